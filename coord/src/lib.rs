//! Metadata stores, their paths and records, and the controller.
//!
//! Duty: what a broker must remember about the cluster, and who decides it. [`store`] is where it is kept,
//! [`paths`] and [`records`] are its form, [`config`] the settings of a topic, [`controller`] the only writer
//! of topics and partition states, [`observer`] what every broker sees of the cluster, [`directory`] the identity of a data
//! directory, [`groups`] what consumer groups have committed.
//!
//! Thread: the control thread, but for [`groups`]. No data path runs here, and nothing here needs a particular executor.
#![forbid(unsafe_code)]

pub mod config;
pub mod controller;
pub mod directory;
pub mod groups;
pub mod ids;
pub mod lease;
pub mod limits;
pub mod observer;
pub mod omit;
pub mod paths;
pub mod records;
pub mod store;
pub mod topic_name;
pub mod units;
pub mod watcher;
