//! The load generator, its scenarios and reports.
#![forbid(unsafe_code)]
