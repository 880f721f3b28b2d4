//! Whole brokers in one process on the simulated driver, with checkers and seeds.
#![forbid(unsafe_code)]
