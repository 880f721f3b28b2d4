//! The maintenance executor on the real disk of this machine.

#[cfg(test)]
mod prepare;
