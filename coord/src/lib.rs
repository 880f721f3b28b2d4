//! Metadata stores, their paths and records, and the controller.
#![forbid(unsafe_code)]

pub mod limits;
pub mod store;
