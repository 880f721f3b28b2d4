//! What to measure.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::ending::Ending;
use crate::error::ConfigError;
use crate::limits::{
    BLOCK_BYTES, CONNECTIONS_MAX, DEPTH_MAX, FILE_BYTES_DEFAULT, FILE_BYTES_MAX, GROUP_BYTES_MAX,
    RECORD_BYTES_MAX, RING_MEMORY_BYTES_MAX,
};
use crate::measured::Timing;

/// What one run does over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// Writes of whole blocks into a pre-written file, direct.
    Write,
    /// The same, each followed by a linked fdatasync.
    WriteSync,
    /// The same on a file and memory that the ring does not know beforehand.
    WriteSyncPlain,
    /// The same as `Write`, each durable by itself (RWF_DSYNC).
    WriteDsync,
    /// Reads of whole blocks, one behind the other, direct.
    Read,
    /// A request of the record's size over loopback TCP, sent back whole.
    TcpEcho,
    /// A request of the record's size over loopback TCP, written and synced together with those of the other
    /// connections that came in meanwhile (group commit), then answered with 16 bytes.
    TcpDurable,
    /// A request of 16 bytes over loopback TCP, answered with the record's size from memory.
    TcpOut,
}

impl Shape {
    /// Every shape.
    pub const ALL: &'static [Self] = &[
        Self::Write,
        Self::WriteSync,
        Self::WriteSyncPlain,
        Self::WriteDsync,
        Self::Read,
        Self::TcpEcho,
        Self::TcpDurable,
        Self::TcpOut,
    ];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::WriteSync => "write-sync",
            Self::WriteSyncPlain => "write-sync-plain",
            Self::WriteDsync => "write-dsync",
            Self::Read => "read",
            Self::TcpEcho => "tcp-echo",
            Self::TcpDurable => "tcp-durable",
            Self::TcpOut => "tcp-out",
        }
    }

    /// Whether requests come over sockets, and `connections` counts.
    #[must_use]
    pub const fn is_network(self) -> bool {
        matches!(self, Self::TcpEcho | Self::TcpDurable | Self::TcpOut)
    }

    /// Whether a file is read or written.
    #[must_use]
    pub const fn uses_file(self) -> bool {
        !matches!(self, Self::TcpEcho | Self::TcpOut)
    }

    /// Every name, for an error message.
    pub(crate) fn names() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|shape| shape.name()).collect();
        names.join(", ")
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Shape {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().find(|shape| shape.name() == name);
        found.copied().ok_or_else(|| ConfigError::UnknownShape {
            name: name.to_owned(),
        })
    }
}

/// What the server's ring (the only ring of a file shape) does when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Idle {
    /// Waits in the kernel.
    #[default]
    Park,
    /// Looks at the completion queue for so long, then waits in the kernel: what the kernel itself does on the core
    /// would starve beside a thread that never parks.
    Spin(Duration),
}

/// Which core each thread is pinned to; `None` leaves it to the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Placement {
    /// Of the thread that does the I/O, or serves.
    pub server_cpu: Option<usize>,
    /// Of the thread that asks.
    pub client_cpu: Option<usize>,
}

impl Placement {
    /// The first core serves, the last one asks. Nothing is pinned where there is only one.
    #[must_use]
    pub fn first_and_last() -> Self {
        let cores = core_affinity::get_core_ids().unwrap_or_default();
        match (cores.first(), cores.last()) {
            (Some(first), Some(last)) if first.id != last.id => Self {
                server_cpu: Some(first.id),
                client_cpu: Some(last.id),
            },
            _ => Self::none(),
        }
    }

    /// Nothing is pinned.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            server_cpu: None,
            client_cpu: None,
        }
    }
}

/// One run.
#[derive(Debug, Clone)]
pub struct DeviceConfig {
    /// What it does.
    pub shape: Shape,
    /// Size of a request (of the answer, for [`Shape::TcpOut`]). Files take whole blocks: it is rounded up.
    pub record_bytes: usize,
    /// Operations in flight, for each connection where there are any.
    pub depth: usize,
    /// Connections; 1 for file shapes.
    pub connections: usize,
    /// How long it runs before it measures.
    pub warm_up: Duration,
    /// How long it measures.
    pub duration: Duration,
    /// Where the file is made, and removed.
    pub dir: PathBuf,
    /// How large the file is; it is written round and round.
    pub file_bytes: u64,
    /// What an idle server does.
    pub idle: Idle,
    /// Who runs where.
    pub placement: Placement,
    /// Ends it before its time.
    pub ending: Ending,
}

impl DeviceConfig {
    /// 4 KiB, one in flight on one connection, one second of warm-up and five of measurement.
    #[must_use]
    pub fn new(shape: Shape, dir: impl Into<PathBuf>) -> Self {
        Self {
            shape,
            record_bytes: 4096,
            depth: 1,
            connections: 1,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(5),
            dir: dir.into(),
            file_bytes: FILE_BYTES_DEFAULT,
            idle: Idle::Park,
            placement: Placement::first_and_last(),
            ending: Ending::default(),
        }
    }

    pub(crate) fn timing(&self) -> Timing {
        Timing {
            warm_up: self.warm_up,
            duration: self.duration,
            ending: self.ending.clone(),
        }
    }

    /// Bytes that one operation on the file moves: whole blocks.
    #[must_use]
    pub fn block_rounded_bytes(&self) -> usize {
        self.record_bytes.next_multiple_of(BLOCK_BYTES)
    }

    /// Room for one group of a group commit: all that can be in flight, at most the limit, and the block in which
    /// the group before it ended.
    pub(crate) fn group_bytes(&self) -> usize {
        let in_flight = self.record_bytes * self.depth * self.connections;
        let group = in_flight.min(GROUP_BYTES_MAX.max(self.record_bytes));
        (group + BLOCK_BYTES).next_multiple_of(BLOCK_BYTES)
    }

    /// Checks that the memory of one ring is within its limit.
    pub(crate) fn check_memory(&self, needed_bytes: usize) -> Result<usize, ConfigError> {
        check_memory(
            self.connections,
            self.depth,
            self.record_bytes,
            needed_bytes,
        )
    }

    /// Checks every number against its limit.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let connections_max = if self.shape.is_network() {
            CONNECTIONS_MAX
        } else {
            1
        };
        within("record-bytes", self.record_bytes, RECORD_BYTES_MAX)?;
        within("depth", self.depth, DEPTH_MAX)?;
        within("connections", self.connections, connections_max)?;
        if self.shape.uses_file() {
            self.validate_file()?;
        }
        Ok(())
    }

    fn validate_file(&self) -> Result<(), ConfigError> {
        let at_once = match self.shape {
            Shape::TcpDurable => self.group_bytes(),
            _ => self.block_rounded_bytes() * self.depth,
        };
        let needed_bytes = at_once as u64;
        if self.file_bytes < needed_bytes {
            return Err(ConfigError::FileTooSmall {
                file_bytes: self.file_bytes,
                needed_bytes,
            });
        }
        if self.file_bytes > FILE_BYTES_MAX {
            return Err(ConfigError::OutOfRange {
                name: "file-bytes",
                value: self.file_bytes,
                min: needed_bytes,
                max: FILE_BYTES_MAX,
            });
        }
        Ok(())
    }
}

/// Checks that the memory of one ring is within its limit.
pub(crate) fn check_memory(
    connections: usize,
    depth: usize,
    record_bytes: usize,
    needed_bytes: usize,
) -> Result<usize, ConfigError> {
    if needed_bytes <= RING_MEMORY_BYTES_MAX {
        return Ok(needed_bytes);
    }
    Err(ConfigError::TooMuchMemory {
        connections,
        depth,
        record_bytes,
        needed_bytes,
        allowed_bytes: RING_MEMORY_BYTES_MAX,
    })
}

/// Checks a number against its limit.
pub(crate) fn within(name: &'static str, value: usize, max: usize) -> Result<(), ConfigError> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::OutOfRange {
        name,
        value: value as u64,
        min: 1,
        max: max as u64,
    })
}
