//! The simulated driver: virtual time, network and disk.
