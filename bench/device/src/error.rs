//! What can go wrong.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::config::Shape;

/// A run that could not be measured.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The settings contradict a limit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory cannot hold the file, or the file cannot be used with direct I/O.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel refused the ring, or failed it.
    #[error("cannot {action} the ring")]
    Ring {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A socket could not be set up.
    #[error("cannot {action}")]
    Socket {
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// An operation failed.
    #[error("{operation} failed")]
    Operation {
        /// Which.
        operation: &'static str,
        /// What the kernel returned.
        source: io::Error,
    },
    /// An operation on the file moved fewer bytes than asked for.
    #[error("{operation} moved {moved_bytes} of {expected_bytes} bytes")]
    Short {
        /// Which.
        operation: &'static str,
        /// How many bytes it should have moved.
        expected_bytes: usize,
        /// How many it did.
        moved_bytes: usize,
    },
    /// A server elsewhere answered something else than what is wanted.
    #[error("the answer of the server: {0}")]
    Answer(String),
    /// The other side closed a connection in the middle of the run.
    #[error("connection {connection} was closed during the run")]
    Closed {
        /// Its number.
        connection: usize,
    },
    /// The run ended without one request inside the measured time.
    #[error("nothing was completed within the {duration_ms} ms measured; measure for longer")]
    Nothing {
        /// How long it measured.
        duration_ms: u128,
    },
    /// A thread could not be started, or died.
    #[error("the {name} thread {what}")]
    Thread {
        /// Which.
        name: &'static str,
        /// What became of it.
        what: &'static str,
    },
    /// The process's own accounting of CPU time could not be read.
    #[error("cannot read the CPU time of this process")]
    CpuTime(#[source] io::Error),
    /// A histogram could not be made or merged.
    #[error("cannot {action} the latency histogram: {reason}")]
    Histogram {
        /// What was tried.
        action: &'static str,
        /// Why not.
        reason: String,
    },
}

/// Settings that contradict a limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A number out of range.
    #[error("{name} is {value}; it must be between {min} and {max}")]
    OutOfRange {
        /// Of which setting.
        name: &'static str,
        /// The value.
        value: u64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// Buffers for all of it would take too much memory.
    #[error(
        "{connections} connections of depth {depth} with {record_bytes} bytes each need {needed_bytes} bytes of \
         buffers, over the {allowed_bytes} allowed; lower one of them"
    )]
    TooMuchMemory {
        /// Connections asked for.
        connections: usize,
        /// Depth asked for.
        depth: usize,
        /// Size asked for.
        record_bytes: usize,
        /// What it comes to.
        needed_bytes: usize,
        /// What is allowed.
        allowed_bytes: usize,
    },
    /// The file is too small for what shall be in flight at once.
    #[error(
        "a file of {file_bytes} bytes is too small; {needed_bytes} are needed for what is in flight at once"
    )]
    FileTooSmall {
        /// Size asked for.
        file_bytes: u64,
        /// Least size.
        needed_bytes: u64,
    },
    /// Not the name of a shape.
    #[error("no shape \"{name}\"; it is one of {}", Shape::names())]
    UnknownShape {
        /// What was given.
        name: String,
    },
}
