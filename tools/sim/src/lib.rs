//! Whole logs and brokers in one process on the simulated driver, with checkers and seeds.
//!
//! A seed names a run: the workload, the faults, the times and the crashes follow from it, so a failure is
//! replayed by its number. The checkers ([`history`]) know only what clients know. The steps
//! that durability rests on can be left out one by one; for each there is a pinned seed that passes with the step
//! and fails in a named checker without it ([`guards`]).
#![forbid(unsafe_code)]

pub mod batch;
pub mod broker_scenario;
pub mod controller_scenario;
mod files;
pub mod guards;
pub mod history;
pub mod log_scenario;
pub mod report;
pub mod run;
pub mod value;
pub mod violation;
