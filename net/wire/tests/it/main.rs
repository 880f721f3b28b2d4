//! The protocol from outside: golden frames, round trips, hostile bytes.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod samples;
