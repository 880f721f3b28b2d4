//! The protocol from outside: golden frames, the document, round trips, hostile bytes.

#[cfg(test)]
mod decode;
#[cfg(test)]
mod document;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod samples;
