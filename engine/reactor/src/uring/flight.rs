//! Operations in flight: what each owns until its completion, how it becomes a submission, and what its
//! completion means.
//!
//! Whatever the kernel is given an address of lies on the heap and is owned by the [`Flight`], so a flight may be
//! moved; it must not be dropped before its completion has arrived.

use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use bytes::Bytes;
use io_uring::squeue::Entry;
use io_uring::{opcode, types};
use socket2::{SockAddr, SockAddrStorage, Socket};

use crate::buf::AlignedBuf;
use crate::op::{FileKind, Handle, Op, Output, Stat, SyncKind};
use crate::uring::helper::Job;
use crate::uring::net;
use crate::uring::path::{c_string, descriptor, duplicate, open_flags};
use crate::uring::send_header::{SendHeader, SendHeaders};

/// The most that one read, write, receive or send moves: what Linux itself allows, in bytes.
const TRANSFER_BYTES_MAX: usize = 0x7fff_f000;

const WORKING_DIRECTORY: types::Fd = types::Fd(libc::AT_FDCWD);

/// An operation and everything that the kernel may touch on its behalf.
pub(super) enum Flight {
    Open {
        path: CString,
        flags: libc::c_int,
    },
    Read {
        file: RawFd,
        position: u64,
        buf: AlignedBuf,
        at: usize,
        len: u32,
    },
    Write {
        file: RawFd,
        position: u64,
        data: Bytes,
    },
    /// Two submissions, the second linked to the first. Where the queue has no room for both, two stages. One submission
    /// where the device writes through.
    WriteSync {
        file: RawFd,
        position: u64,
        data: Bytes,
        stage: WriteStage,
    },
    Sync {
        file: RawFd,
        kind: SyncKind,
    },
    Allocate {
        file: RawFd,
        len_bytes: u64,
    },
    Close {
        fd: RawFd,
    },
    Rename {
        from: CString,
        to: CString,
    },
    Unlink {
        path: CString,
        flags: libc::c_int,
    },
    Mkdir {
        path: CString,
    },
    /// Two stages: open (no `dir` yet), then fsync; the directory is closed when this is dropped.
    SyncDir {
        path: CString,
        dir: Option<OwnedFd>,
    },
    Stat {
        path: CString,
        answer: Box<libc::statx>,
    },
    Accept {
        listener: RawFd,
        peer: Box<Peer>,
    },
    Connect {
        socket: Socket,
        address: Box<SockAddr>,
    },
    Recv {
        socket: RawFd,
        buf: AlignedBuf,
        range: Range<usize>,
    },
    /// Of at most one slice.
    Send {
        socket: RawFd,
        data: Vec<Bytes>,
    },
    SendMany {
        socket: RawFd,
        header: Box<SendHeader>,
        data: Vec<Bytes>,
    },
    Shutdown {
        socket: RawFd,
    },
    /// The helper thread has it.
    Helped,
}

/// How far a write that is followed by a sync has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteStage {
    /// Both are with the kernel.
    Linked,
    /// The write is, and is durable when it ends.
    Through,
    /// The write is, alone.
    Writing,
    /// All was written; the sync is with the kernel.
    Syncing,
}

/// Where accept writes the address of the peer.
pub(super) struct Peer {
    storage: SockAddrStorage,
    len: libc::socklen_t,
}

impl Peer {
    fn into_address(self) -> io::Result<SocketAddr> {
        // SAFETY: accept wrote an address of `len` bytes into the storage.
        let address = unsafe { SockAddr::new(self.storage, self.len) };
        address
            .as_socket()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }
}

/// Where an operation goes.
pub(super) enum Route {
    /// To the ring.
    Ring(Flight),
    /// To the helper thread.
    Helper(Job),
    /// Nowhere: it has failed.
    Ended(Output),
}

/// What a completion of the ring makes of a flight.
pub(super) enum Step {
    /// It has ended.
    Done(Output),
    /// It goes to the ring once more.
    Again(Flight),
}

impl Flight {
    /// Sorts an operation, taking over what it owns.
    pub(super) fn route(op: Op, headers: &mut SendHeaders) -> Route {
        let flight = match op {
            Op::Open { path, options } => match c_string(&path) {
                Ok(path) => Self::Open {
                    path,
                    flags: open_flags(options),
                },
                Err(error) => return Route::Ended(Output::Handle(Err(error))),
            },
            Op::ReadAt {
                file,
                position,
                buf,
                at,
                len,
            } => {
                let at = at.min(buf.capacity());
                let len = transfer_len(len.min(buf.capacity() - at));
                Self::Read {
                    file: descriptor(file),
                    position,
                    buf,
                    at,
                    len,
                }
            }
            Op::WriteAt {
                file,
                position,
                data,
            } => Self::Write {
                file: descriptor(file),
                position,
                data,
            },
            Op::WriteSync {
                file,
                position,
                data,
            } => Self::WriteSync {
                file: descriptor(file),
                position,
                data,
                stage: WriteStage::Linked,
            },
            Op::Sync { file, kind } => Self::Sync {
                file: descriptor(file),
                kind,
            },
            Op::Allocate { file, len_bytes } => Self::Allocate {
                file: descriptor(file),
                len_bytes,
            },
            Op::Close { handle } => Self::Close {
                fd: descriptor(handle),
            },
            Op::Rename { from, to } => match (c_string(&from), c_string(&to)) {
                (Ok(from), Ok(to)) => Self::Rename { from, to },
                (Err(error), _) | (_, Err(error)) => return failed(error),
            },
            Op::Unlink { path } => match c_string(&path) {
                Ok(path) => Self::Unlink { path, flags: 0 },
                Err(error) => return failed(error),
            },
            Op::Rmdir { path } => match c_string(&path) {
                Ok(path) => Self::Unlink {
                    path,
                    flags: libc::AT_REMOVEDIR,
                },
                Err(error) => return failed(error),
            },
            Op::Mkdir { path } => match c_string(&path) {
                Ok(path) => Self::Mkdir { path },
                Err(error) => return failed(error),
            },
            Op::SyncDir { path } => match c_string(&path) {
                Ok(path) => Self::SyncDir { path, dir: None },
                Err(error) => return failed(error),
            },
            Op::Stat { path } => match c_string(&path) {
                Ok(path) => Self::Stat {
                    path,
                    answer: zeroed_statx(),
                },
                Err(error) => return Route::Ended(Output::Stat(Err(error))),
            },
            Op::Accept { listener } => {
                let storage = SockAddrStorage::zeroed();
                let peer = Box::new(Peer {
                    len: storage.size_of(),
                    storage,
                });
                Self::Accept {
                    listener: descriptor(listener),
                    peer,
                }
            }
            Op::Connect { address } => match net::stream_socket(address) {
                Ok(socket) => Self::Connect {
                    socket,
                    address: Box::new(address.into()),
                },
                Err(error) => return Route::Ended(Output::Handle(Err(error))),
            },
            Op::Recv { socket, buf, range } => {
                if range.start > range.end || range.end > buf.capacity() {
                    let error = io::Error::new(
                        io::ErrorKind::InvalidInput,
                        "the range lies outside of the buffer",
                    );
                    return Route::Ended(Output::Buf(Err(error), buf));
                }
                Self::Recv {
                    socket: descriptor(socket),
                    buf,
                    range,
                }
            }
            Op::Send { socket, data } => Self::send(descriptor(socket), data, headers),
            Op::Shutdown { socket } => Self::Shutdown {
                socket: descriptor(socket),
            },
            Op::Truncate { file, len_bytes } => match duplicate(file) {
                Ok(file) => {
                    return Route::Helper(Job::Truncate {
                        file: file.into(),
                        len_bytes,
                    });
                }
                Err(error) => return failed(error),
            },
            Op::TryLock { file } => match duplicate(file) {
                Ok(file) => return Route::Helper(Job::TryLock { file: file.into() }),
                Err(error) => return failed(error),
            },
            Op::ListDir { path } => return Route::Helper(Job::ListDir { path }),
            Op::SpaceOf { path } => return Route::Helper(Job::SpaceOf { path }),
        };
        Route::Ring(flight)
    }

    fn send(socket: RawFd, data: Vec<Bytes>, headers: &mut SendHeaders) -> Self {
        if data.len() <= 1 {
            return Self::Send { socket, data };
        }
        let mut header = headers.take();
        header.fill(&data);
        Self::SendMany {
            socket,
            header,
            data,
        }
    }

    /// The submission of the present stage. The addresses in it are good until the flight is dropped.
    pub(super) fn entry(&mut self) -> Entry {
        match self {
            Self::Open { path, flags } => opcode::OpenAt::new(WORKING_DIRECTORY, path.as_ptr())
                .flags(*flags)
                .mode(0o644)
                .build(),
            Self::Read {
                file,
                position,
                buf,
                at,
                len,
            } => opcode::Read::new(types::Fd(*file), buf[*at..].as_mut_ptr(), *len)
                .offset(*position)
                .build(),
            Self::Write {
                file,
                position,
                data,
            } => write_entry(*file, *position, data, 0),
            Self::WriteSync {
                file,
                stage: WriteStage::Syncing,
                ..
            } => sync_entry(*file, SyncKind::Data),
            Self::WriteSync {
                file,
                position,
                data,
                stage,
            } => {
                let flags = match stage {
                    WriteStage::Through => libc::RWF_DSYNC,
                    _ => 0,
                };
                write_entry(*file, *position, data, flags)
            }
            Self::Sync { file, kind } => sync_entry(*file, *kind),
            Self::Allocate { file, len_bytes } => {
                opcode::Fallocate::new(types::Fd(*file), *len_bytes).build()
            }
            Self::Close { fd } => opcode::Close::new(types::Fd(*fd)).build(),
            Self::Rename { from, to } => opcode::RenameAt::new(
                WORKING_DIRECTORY,
                from.as_ptr(),
                WORKING_DIRECTORY,
                to.as_ptr(),
            )
            .build(),
            Self::Unlink { path, flags } => opcode::UnlinkAt::new(WORKING_DIRECTORY, path.as_ptr())
                .flags(*flags)
                .build(),
            Self::Mkdir { path } => opcode::MkDirAt::new(WORKING_DIRECTORY, path.as_ptr())
                .mode(0o755)
                .build(),
            Self::SyncDir { path, dir: None } => {
                opcode::OpenAt::new(WORKING_DIRECTORY, path.as_ptr())
                    .flags(libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC)
                    .build()
            }
            Self::SyncDir { dir: Some(dir), .. } => {
                opcode::Fsync::new(types::Fd(dir.as_raw_fd())).build()
            }
            Self::Stat { path, answer } => {
                let answer = (&raw mut **answer).cast();
                opcode::Statx::new(WORKING_DIRECTORY, path.as_ptr(), answer)
                    .mask(libc::STATX_BASIC_STATS)
                    .build()
            }
            Self::Accept { listener, peer } => {
                let len = &raw mut peer.len;
                let storage = (&raw mut peer.storage).cast();
                opcode::Accept::new(types::Fd(*listener), storage, len)
                    .flags(libc::SOCK_CLOEXEC)
                    .build()
            }
            Self::Connect { socket, address } => {
                let fd = types::Fd(socket.as_raw_fd());
                opcode::Connect::new(fd, address.as_ptr().cast(), address.len()).build()
            }
            Self::Recv { socket, buf, range } => {
                let destination = buf[range.clone()].as_mut_ptr();
                opcode::Recv::new(types::Fd(*socket), destination, transfer_len(range.len()))
                    .build()
            }
            Self::Send { socket, data } => {
                let bytes = data.first().map_or(&[][..], |slice| slice);
                let len = transfer_len(bytes.len());
                opcode::Send::new(types::Fd(*socket), bytes.as_ptr(), len)
                    .flags(libc::MSG_NOSIGNAL)
                    .build()
            }
            Self::SendMany { socket, header, .. } => {
                opcode::SendMsg::new(types::Fd(*socket), &raw const header.message)
                    .flags(libc::MSG_NOSIGNAL.cast_unsigned())
                    .build()
            }
            Self::Shutdown { socket } => {
                opcode::Shutdown::new(types::Fd(*socket), libc::SHUT_RDWR).build()
            }
            Self::Helped => opcode::Nop::new().build(),
        }
    }

    /// The submission that is linked to the present one: it begins when that has done all of its work, and is dropped
    /// when it has not.
    pub(super) fn linked_entry(&self) -> Option<Entry> {
        match self {
            Self::WriteSync {
                file,
                stage: WriteStage::Linked,
                ..
            } => Some(sync_entry(*file, SyncKind::Data)),
            _ => None,
        }
    }

    /// Has a durable write carry its sync with it.
    pub(super) fn write_through(&mut self) {
        if let Self::WriteSync { stage, .. } = self {
            *stage = WriteStage::Through;
        }
    }

    /// Goes in stages, since there is no room for two submissions.
    pub(super) fn unlink(&mut self) {
        if let Self::WriteSync { stage, .. } = self {
            *stage = WriteStage::Writing;
        }
    }

    /// The linked write has failed or was short, and the sync was dropped.
    pub(super) fn broken(self) -> Self {
        match self {
            Self::WriteSync {
                file,
                position,
                data,
                ..
            } => Self::Write {
                file,
                position,
                data,
            },
            other => other,
        }
    }

    /// Takes the kernel's answer to the present stage.
    pub(super) fn complete(self, result: i32, headers: &mut SendHeaders) -> Step {
        if self.is_interrupted(result) {
            return Step::Again(self);
        }
        Step::Done(match self {
            Self::Open { .. } => Output::Handle(handle(result)),
            Self::Read { buf, .. } | Self::Recv { buf, .. } => Output::Buf(count(result), buf),
            Self::Write { .. } => Output::Count(count(result)),
            Self::Send { data, .. } => Output::Sent(count(result), data),
            Self::WriteSync {
                data,
                stage: WriteStage::Through,
                ..
            } => match count(result) {
                Ok(written) if written == data.len() => Output::Unit(Ok(())),
                written => Output::Count(written),
            },
            Self::WriteSync {
                file,
                position,
                data,
                stage: WriteStage::Writing,
            } => match count(result) {
                Ok(written) if written == data.len() => {
                    return Step::Again(Self::WriteSync {
                        file,
                        position,
                        data,
                        stage: WriteStage::Syncing,
                    });
                }
                written => Output::Count(written),
            },
            Self::SendMany { header, data, .. } => {
                headers.give_back(header);
                Output::Sent(count(result), data)
            }
            Self::Close { fd } if result == -libc::ECANCELED => {
                // Only when the whole ring is being closed; the descriptor must not be lost.
                close_now(fd);
                Output::Unit(Ok(()))
            }
            Self::WriteSync { .. }
            | Self::Sync { .. }
            | Self::Allocate { .. }
            | Self::Close { .. }
            | Self::Rename { .. }
            | Self::Unlink { .. }
            | Self::Mkdir { .. }
            | Self::SyncDir { dir: Some(_), .. }
            | Self::Shutdown { .. }
            | Self::Helped => Output::Unit(unit(result)),
            Self::SyncDir { path, dir: None } => match owned(result) {
                Ok(dir) => {
                    return Step::Again(Self::SyncDir {
                        path,
                        dir: Some(dir),
                    });
                }
                Err(error) => Output::Unit(Err(error)),
            },
            Self::Stat { answer, .. } => Output::Stat(unit(result).map(|()| stat(&answer))),
            Self::Accept { peer, .. } => Output::Accepted(accepted(result, *peer)),
            Self::Connect { socket, .. } => {
                Output::Handle(unit(result).map(|()| into_handle(socket)))
            }
        })
    }

    /// Whether it ends only when somebody at the other end of a connection does something.
    pub(super) fn may_wait_for_ever(&self) -> bool {
        matches!(
            self,
            Self::Accept { .. }
                | Self::Connect { .. }
                | Self::Recv { .. }
                | Self::Send { .. }
                | Self::SendMany { .. }
        )
    }

    /// A socket operation that a signal ended before it moved anything is simply tried again. Operations on
    /// files are not: whether they happened is not known.
    fn is_interrupted(&self, result: i32) -> bool {
        result == -libc::EINTR
            && matches!(
                self,
                Self::Accept { .. } | Self::Recv { .. } | Self::Send { .. } | Self::SendMany { .. }
            )
    }
}

fn failed(error: io::Error) -> Route {
    Route::Ended(Output::Unit(Err(error)))
}

fn transfer_len(len: usize) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounded by TRANSFER_BYTES_MAX, which fits"
    )]
    let len = len.min(TRANSFER_BYTES_MAX) as u32;
    len
}

fn write_entry(file: RawFd, position: u64, data: &Bytes, flags: libc::c_int) -> Entry {
    opcode::Write::new(types::Fd(file), data.as_ptr(), transfer_len(data.len()))
        .offset(position)
        .rw_flags(flags)
        .build()
}

fn sync_entry(file: RawFd, kind: SyncKind) -> Entry {
    opcode::Fsync::new(types::Fd(file))
        .flags(fsync_flags(kind))
        .build()
}

fn fsync_flags(kind: SyncKind) -> types::FsyncFlags {
    match kind {
        SyncKind::Data => types::FsyncFlags::DATASYNC,
        SyncKind::All => types::FsyncFlags::empty(),
    }
}

fn unit(result: i32) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::from_raw_os_error(-result))
    } else {
        Ok(())
    }
}

fn count(result: i32) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result))
}

fn handle(result: i32) -> io::Result<Handle> {
    unit(result).map(|()| Handle(i64::from(result)))
}

fn owned(result: i32) -> io::Result<OwnedFd> {
    unit(result)?;
    // SAFETY: the kernel has just made this descriptor for us and told nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

fn accepted(result: i32, peer: Peer) -> io::Result<(Handle, SocketAddr)> {
    let socket = owned(result)?;
    let address = peer.into_address()?;
    Ok((into_handle(socket), address))
}

fn zeroed_statx() -> Box<libc::statx> {
    // SAFETY: all zeros is a valid statx: it is made of integers.
    Box::new(unsafe { std::mem::zeroed() })
}

fn stat(answer: &libc::statx) -> Stat {
    let kind = match libc::mode_t::from(answer.stx_mode) & libc::S_IFMT {
        libc::S_IFREG => FileKind::File,
        libc::S_IFDIR => FileKind::Directory,
        _ => FileKind::Other,
    };
    Stat {
        len_bytes: answer.stx_size,
        allocated_bytes: answer.stx_blocks.saturating_mul(512),
        modified_ms: (answer.stx_mtime.tv_sec.saturating_mul(1_000))
            .saturating_add(i64::from(answer.stx_mtime.tv_nsec / 1_000_000)),
        kind,
    }
}

/// Closes what an operation made that nobody will ever hear of.
pub(super) fn discard(output: Output) {
    if let Output::Handle(Ok(handle)) | Output::Accepted(Ok((handle, _))) = output {
        close_now(descriptor(handle));
    }
}

/// Closes a descriptor that the caller owns.
fn close_now(fd: RawFd) {
    if fd >= 0 {
        // SAFETY: the caller owns the descriptor, so it is open and nobody else closes it.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

/// The handle of an owned descriptor.
pub(super) fn into_handle(fd: impl Into<OwnedFd>) -> Handle {
    Handle(i64::from(fd.into().into_raw_fd()))
}
