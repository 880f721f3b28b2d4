//! The operations that cross the driver seam, and what comes back from them.
//!
//! An operation owns everything that the kernel may touch while it runs; the driver keeps it until it completes,
//! whether or not anybody still waits for it.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;

use crate::buf::AlignedBuf;

/// Names an operation in flight, unique among the operations in flight of one reactor.
pub type OpId = usize;

/// An open file, listener or socket, as its driver names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub(crate) i64);

/// How to open a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Open for reading.
    pub read: bool,
    /// Open for writing.
    pub write: bool,
    /// Create the file when it is missing.
    pub create: bool,
    /// Create the file; an error when it exists.
    pub create_new: bool,
    /// Empty the file.
    pub truncate: bool,
    /// `O_DIRECT`: positions, lengths and memory are multiples of 4096.
    pub direct: bool,
}

/// What a directory entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, socket, device, …
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Name inside the directory; an entry whose name is not UTF-8 is given with replacement characters.
    pub name: String,
    /// What the entry is.
    pub kind: FileKind,
    /// Length in bytes of a regular file, else 0.
    pub len_bytes: u64,
}

/// What `stat` tells of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Length in bytes.
    pub len_bytes: u64,
    /// Bytes that the file system has allocated to it.
    pub allocated_bytes: u64,
    /// When its contents changed last, in milliseconds since the Unix epoch, by the wall clock at that time. After a loss
    /// of power it may be older: only a sync of all metadata makes it durable at once.
    pub modified_ms: i64,
    /// What it is.
    pub kind: FileKind,
}

/// Space of the file system that holds a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still allocate.
    pub available_bytes: u64,
    /// Size of the file system in bytes.
    pub total_bytes: u64,
}

/// Which of fdatasync and fsync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncKind {
    /// Contents and what is needed to read them back.
    Data,
    /// Contents and all metadata.
    All,
}

/// An operation, with everything that it needs and owns.
#[derive(Debug)]
pub enum Op {
    /// Open a file: [`Output::Handle`].
    Open {
        /// The file.
        path: PathBuf,
        /// How.
        options: OpenOptions,
    },
    /// Read up to `len` bytes at `position` into `buf`, from `at` on: [`Output::Buf`].
    ReadAt {
        /// An open file.
        file: Handle,
        /// Byte position in the file.
        position: u64,
        /// Destination.
        buf: AlignedBuf,
        /// Where in the destination the first byte goes.
        at: usize,
        /// Bytes wanted, at most what `buf` has room for behind `at`.
        len: usize,
    },
    /// Write `data` at `position`, possibly only a part: [`Output::Count`].
    WriteAt {
        /// An open file.
        file: Handle,
        /// Byte position in the file.
        position: u64,
        /// Source.
        data: Bytes,
    },
    /// Write `data` at `position`, then fdatasync: [`Output::Unit`] of the sync when all of it was written, else
    /// [`Output::Count`] of the write, and no sync.
    WriteSync {
        /// An open file.
        file: Handle,
        /// Byte position in the file.
        position: u64,
        /// Source.
        data: Bytes,
    },
    /// fdatasync or fsync: [`Output::Unit`].
    Sync {
        /// An open file.
        file: Handle,
        /// Which.
        kind: SyncKind,
    },
    /// Allocate blocks from 0 to `len_bytes`, growing the file: [`Output::Unit`].
    Allocate {
        /// An open file.
        file: Handle,
        /// New least length in bytes.
        len_bytes: u64,
    },
    /// Set the length: [`Output::Unit`].
    Truncate {
        /// An open file.
        file: Handle,
        /// New length in bytes.
        len_bytes: u64,
    },
    /// Take the exclusive advisory lock of an open file without waiting: [`Output::Unit`], `WouldBlock` when
    /// another process holds it. The lock ends when the file is closed.
    TryLock {
        /// An open file.
        file: Handle,
    },
    /// Close a file, listener or socket: [`Output::Unit`].
    Close {
        /// What to close.
        handle: Handle,
    },
    /// Rename, replacing the target: [`Output::Unit`].
    Rename {
        /// Old path.
        from: PathBuf,
        /// New path.
        to: PathBuf,
    },
    /// Remove a file: [`Output::Unit`].
    Unlink {
        /// The file.
        path: PathBuf,
    },
    /// Make one directory: [`Output::Unit`].
    Mkdir {
        /// The directory.
        path: PathBuf,
    },
    /// Remove an empty directory: [`Output::Unit`].
    Rmdir {
        /// The directory.
        path: PathBuf,
    },
    /// Make the entries of a directory durable: [`Output::Unit`].
    SyncDir {
        /// The directory.
        path: PathBuf,
    },
    /// List a directory, sorted by name: [`Output::Entries`].
    ListDir {
        /// The directory.
        path: PathBuf,
    },
    /// Describe a path: [`Output::Stat`].
    Stat {
        /// The path.
        path: PathBuf,
    },
    /// Space of the file system below a path: [`Output::Space`].
    SpaceOf {
        /// The path.
        path: PathBuf,
    },
    /// Take the next connection: [`Output::Accepted`].
    Accept {
        /// A listener.
        listener: Handle,
    },
    /// Connect: [`Output::Handle`].
    Connect {
        /// Where to.
        address: SocketAddr,
    },
    /// Receive up to `range.len()` bytes into `buf[range]`; 0 is the end of the stream: [`Output::Buf`].
    Recv {
        /// A socket.
        socket: Handle,
        /// Destination.
        buf: AlignedBuf,
        /// Part of the destination.
        range: Range<usize>,
    },
    /// Send from the front of `data` (at most `SEND_SLICES_MAX` slices), possibly only a part: [`Output::Sent`].
    Send {
        /// A socket.
        socket: Handle,
        /// Source.
        data: Vec<Bytes>,
    },
    /// Shut both directions down: [`Output::Unit`].
    Shutdown {
        /// A socket.
        socket: Handle,
    },
}

impl Op {
    /// Whether a device is to begin with it at once, also when this core has other things to do first.
    pub(crate) fn is_write(&self) -> bool {
        matches!(
            self,
            Self::WriteAt { .. } | Self::WriteSync { .. } | Self::Sync { .. }
        )
    }
}

/// What an operation came to. Buffers come back whatever the result.
#[derive(Debug)]
pub enum Output {
    /// Nothing but success or failure.
    Unit(io::Result<()>),
    /// Bytes moved.
    Count(io::Result<usize>),
    /// Bytes moved, and the buffer.
    Buf(io::Result<usize>, AlignedBuf),
    /// Bytes sent, and what they were sent from.
    Sent(io::Result<usize>, Vec<Bytes>),
    /// A new handle.
    Handle(io::Result<Handle>),
    /// A new connection and its peer.
    Accepted(io::Result<(Handle, SocketAddr)>),
    /// The entries of a directory.
    Entries(io::Result<Vec<DirEntry>>),
    /// What a path is.
    Stat(io::Result<Stat>),
    /// Space of a file system.
    Space(io::Result<Space>),
}

/// An operation that has ended.
#[derive(Debug)]
pub struct Completion {
    /// Which one.
    pub id: OpId,
    /// What it came to.
    pub output: Output,
}
