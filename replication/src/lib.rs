//! The pure leader machine and the partition actor that joins it to a log.
//!
//! - [`leader`] decides: which produce is answered, and where the high watermark is. It does no I/O and knows no
//!   clock; an in-sync set of one is the same machine as one of three.
//! - [`Partition`] is the thin shell around it: it appends to the log, tells the machine what became of it, and
//!   wakes those whom the machine lets go.
//!
//! A partition lives on the core that owns its log. Nothing here knows of topics' names, requests or connections.
#![forbid(unsafe_code)]

mod closing;
mod error;
mod fetch;
pub mod leader;
pub mod limits;
mod marks;
mod partition;
mod produce;
mod recent;
mod status;
mod waiters;

pub use closing::CloseError;
pub use error::{FetchError, ProduceError};
pub use fetch::{FetchSpec, Fetched};
pub use leader::{AckLevel, Acks};
pub use partition::{OpenPartitionError, Partition, PartitionSpec};
pub use produce::{PendingProduce, ProduceAck, ProduceTimes};
pub use status::{PartitionEnds, PartitionStatus};
pub use waiters::Moved;
