//! One file for each command.

pub(crate) mod bench;
pub(crate) mod cluster;
pub(crate) mod completions;
mod connect;
pub(crate) mod consume;
pub(crate) mod doctor;
mod formats;
pub(crate) mod group;
mod input;
mod interrupt;
pub(crate) mod log;
mod place;
pub(crate) mod produce;
pub(crate) mod topic;
