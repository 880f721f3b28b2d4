//! One file for each command but `broker`.

pub(crate) mod bench;
pub(crate) mod connect;
pub(crate) mod consume;
pub(crate) mod doctor;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod produce;
pub(crate) mod topic;
