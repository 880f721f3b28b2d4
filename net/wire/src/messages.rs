//! One file for each request with its response.
//!
//! Administration decodes into owned structs. Produce and fetch decode into views that borrow the body, and encode
//! from drafts that borrow what they are made of.

pub(crate) mod alter_partition_reassignment;
pub(crate) mod alter_topic;
pub(crate) mod create_topic;
pub(crate) mod delete_records;
pub(crate) mod delete_topic;
pub(crate) mod describe_cluster;
pub(crate) mod describe_topic;
pub(crate) mod drain_broker;
pub(crate) mod elect_leaders;
pub(crate) mod error;
pub(crate) mod fetch;
pub(crate) mod hello;
pub(crate) mod init_producer;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod offset_commit;
pub(crate) mod offset_fetch;
pub(crate) mod partition;
pub(crate) mod produce;
pub(crate) mod watch_cluster;
