//! The disk of a simulated node: volatile until synced.
//!
//! An operation is taken at its submission ([`Disk::begin`]) and takes effect at its completion
//! ([`Disk::finish`]); in between others overlap it. A sync covers the writes that completed before it was
//! submitted. At a crash ([`Disk::crash`]) the operations in flight and everything unsynced are decided by
//! chance, see [`content`] and [`tree`]. It knows nothing of time; the world decides when operations end, and says what
//! the wall clock shows then, for the times of files.

mod content;
mod faults;
mod tree;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use content::{Content, Pending, Seq};
pub use faults::{DiskFault, FaultEffect, FaultTrigger, FaultyOp};
use tree::{Ino, Tree};

use super::random::Chance;
use crate::limits::BLOCK_BYTES;
use crate::op::{DirEntry, FileKind, Handle, Op, OpenOptions, Output, Space, Stat, SyncKind};

/// What became of the disks of a world so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskStats {
    /// Losses of power.
    pub power_losses: u64,
    /// Losses of power that found something written, or named, that was not durable.
    pub power_losses_with_unsynced: u64,
    /// Deaths of the process alone.
    pub process_losses: u64,
    /// Sectors that a loss of power left as a mix of two versions.
    pub torn_sectors: u64,
    /// Writes that completed.
    pub writes: u64,
    /// Syncs of files and directories that completed.
    pub syncs: u64,
    /// Operations that failed by an injected fault.
    pub injected_failures: u64,
    /// Operations that never complete by an injected fault.
    pub hung_operations: u64,
    /// Reads that gave a bit that is not on the medium.
    pub flipped_reads: u64,
}

/// What a crash takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrashKind {
    /// The power: everything that is not durable may be lost.
    Power,
    /// The process alone (kill -9): what was written stays visible, and stays volatile.
    Process,
}

struct OpenFile {
    ino: Ino,
    options: OpenOptions,
    path: PathBuf,
}

struct InFlight {
    op: Op,
    /// The file or directory that the operation is on, when it had one at its submission.
    ino: Option<Ino>,
    direct: bool,
    began: Seq,
    fault: Option<FaultEffect>,
}

/// Names an operation in flight on a disk.
pub(crate) type DiskToken = u64;

pub(crate) struct Disk {
    tree: Tree,
    files: BTreeMap<Ino, Content>,
    open: BTreeMap<Handle, OpenFile>,
    locks: BTreeMap<Ino, Handle>,
    in_flight: BTreeMap<DiskToken, InFlight>,
    faults: Vec<DiskFault>,
    seq: Seq,
    next_token: DiskToken,
    capacity_bytes: u64,
    now_ms: i64,
    pub(crate) stats: DiskStats,
}

impl Disk {
    pub(crate) fn new(capacity_bytes: u64) -> Self {
        Self {
            tree: Tree::new(),
            files: BTreeMap::new(),
            open: BTreeMap::new(),
            locks: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            faults: Vec::new(),
            seq: 0,
            next_token: 0,
            capacity_bytes,
            now_ms: 0,
            stats: DiskStats::default(),
        }
    }

    fn next_seq(&mut self) -> Seq {
        self.seq += 1;
        self.seq
    }

    /// Takes an operation; it is in flight until [`Disk::finish`]. Gives its name, and how much longer than usual it
    /// takes: none when it never completes.
    pub(crate) fn begin(&mut self, op: Op, chance: &mut Chance) -> (DiskToken, Option<Duration>) {
        let (ino, direct, fault) = {
            let (file, path) = match &op {
                Op::ReadAt { file, .. }
                | Op::WriteAt { file, .. }
                | Op::Sync { file, .. }
                | Op::Allocate { file, .. }
                | Op::Truncate { file, .. }
                | Op::TryLock { file } => {
                    let open = self.open.get(file);
                    (open, open.map_or(Path::new(""), |open| open.path.as_path()))
                }
                Op::Open { path, .. }
                | Op::Unlink { path }
                | Op::Mkdir { path }
                | Op::Rmdir { path }
                | Op::SyncDir { path }
                | Op::ListDir { path }
                | Op::Stat { path }
                | Op::SpaceOf { path } => (None, path.as_path()),
                Op::Rename { from, .. } => (None, from.as_path()),
                _ => (None, Path::new("")),
            };
            let fault = faults::strike(&mut self.faults, &op, path, chance);
            (
                file.map(|open| open.ino),
                file.is_some_and(|open| open.options.direct),
                fault,
            )
        };
        let ino = match &op {
            Op::SyncDir { path } => self.tree.find(path).ok(),
            _ => ino,
        };
        if direct {
            assert_aligned(&op);
        }
        let token = self.next_token;
        self.next_token += 1;
        let delay = match fault {
            Some(FaultEffect::Hang) => None,
            Some(FaultEffect::Delay(delay)) => Some(delay),
            Some(FaultEffect::Error(_) | FaultEffect::FlipBit) | None => Some(Duration::ZERO),
        };
        self.stats.hung_operations += u64::from(delay.is_none());
        let began = self.next_seq();
        self.in_flight.insert(
            token,
            InFlight {
                op,
                ino,
                direct,
                began,
                fault,
            },
        );
        (token, delay)
    }

    /// Lets an operation take effect and gives what it came to; `new_handle` names a file that it opens.
    /// `None` when a crash has taken the operation.
    pub(crate) fn finish(
        &mut self,
        token: DiskToken,
        new_handle: Handle,
        now_ms: i64,
        chance: &mut Chance,
    ) -> Option<Output> {
        self.now_ms = now_ms;
        let InFlight {
            op,
            ino,
            direct,
            began,
            fault,
        } = self.in_flight.remove(&token)?;
        let flips = fault == Some(FaultEffect::FlipBit);
        let fault = match fault {
            Some(FaultEffect::Error(error)) => Some(error),
            _ => None,
        };
        self.stats.injected_failures += u64::from(fault.is_some());
        Some(match op {
            Op::Open { path, options } => {
                Output::Handle(failed(fault).and_then(|()| self.open(&path, options, new_handle)))
            }
            Op::ReadAt {
                position,
                mut buf,
                at,
                len,
                ..
            } => {
                let result = failed(fault).and_then(|()| {
                    let file = self.file(ino)?;
                    let end = (at + len).min(buf.capacity());
                    let count = file.read(position, &mut buf[at..end]);
                    if flips && count > 0 {
                        buf[at + chance.index(count)] ^= 1 << chance.below(8);
                        self.stats.flipped_reads += 1;
                    }
                    debug_assert!(!direct || position.is_multiple_of(BLOCK_BYTES as u64));
                    Ok(count)
                });
                Output::Buf(result, buf)
            }
            Op::WriteAt { position, data, .. } => {
                let write = Pending {
                    position,
                    data: &data,
                    began,
                };
                Output::Count(self.write(ino, &write, fault, chance))
            }
            Op::Sync { kind, .. } => Output::Unit(self.sync(ino, kind, began, fault, chance)),
            Op::Allocate { len_bytes, .. } => Output::Unit(failed(fault).and_then(|()| {
                self.reserve(ino, len_bytes)?;
                let seq = self.next_seq();
                self.file(ino)?.allocate(len_bytes, seq);
                Ok(())
            })),
            Op::Truncate { len_bytes, .. } => Output::Unit(failed(fault).and_then(|()| {
                let seq = self.next_seq();
                self.file(ino)?.set_len(len_bytes, seq);
                Ok(())
            })),
            Op::TryLock { file } => Output::Unit(failed(fault).and_then(|()| self.try_lock(file))),
            Op::Close { handle } => {
                self.close(handle);
                Output::Unit(Ok(()))
            }
            Op::Rename { from, to } => Output::Unit(failed(fault).and_then(|()| {
                let seq = self.next_seq();
                self.tree.rename(&from, &to, seq)
            })),
            Op::Unlink { path } => Output::Unit(failed(fault).and_then(|()| {
                let seq = self.next_seq();
                self.tree.unlink(&path, seq)
            })),
            Op::Mkdir { path } => Output::Unit(failed(fault).and_then(|()| {
                let seq = self.next_seq();
                self.tree.mkdir(&path, seq).map(|_| ())
            })),
            Op::Rmdir { path } => Output::Unit(failed(fault).and_then(|()| {
                let seq = self.next_seq();
                self.tree.rmdir(&path, seq)
            })),
            Op::SyncDir { .. } => Output::Unit(failed(fault).and_then(|()| {
                self.stats.syncs += 1;
                let ino = ino.ok_or(io::ErrorKind::NotFound)?;
                self.tree.synced(ino, began);
                self.forget_unreferenced();
                Ok(())
            })),
            Op::ListDir { path } => Output::Entries(failed(fault).and_then(|()| self.list(&path))),
            Op::Stat { path } => Output::Stat(failed(fault).and_then(|()| self.stat(&path))),
            Op::SpaceOf { .. } => Output::Space(failed(fault).map(|()| self.space())),
            Op::Accept { .. }
            | Op::Connect { .. }
            | Op::Recv { .. }
            | Op::Send { .. }
            | Op::Shutdown { .. }
            // The world makes two operations of it.
            | Op::WriteSync { .. } => Output::Unit(Err(io::ErrorKind::Unsupported.into())),
        })
    }

    fn file(&mut self, ino: Option<Ino>) -> io::Result<&mut Content> {
        ino.and_then(|ino| self.files.get_mut(&ino))
            .ok_or_else(bad_handle)
    }

    fn open(&mut self, path: &Path, options: OpenOptions, handle: Handle) -> io::Result<Handle> {
        let place = self.tree.place(path)?;
        let ino = match place.ino {
            Some(_) if options.create_new => return Err(io::ErrorKind::AlreadyExists.into()),
            Some(ino) if self.tree.is_directory(ino) => {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            Some(ino) => ino,
            None if options.create || options.create_new => {
                let seq = self.next_seq();
                let ino = self.tree.create(&place, seq);
                self.files.insert(ino, Content::created(self.now_ms));
                ino
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        if options.truncate {
            let seq = self.next_seq();
            self.file(Some(ino))?.set_len(0, seq);
        }
        self.open.insert(
            handle,
            OpenFile {
                ino,
                options,
                path: path.to_owned(),
            },
        );
        Ok(handle)
    }

    fn write(
        &mut self,
        ino: Option<Ino>,
        write: &Pending<'_>,
        fault: Option<io::ErrorKind>,
        chance: &mut Chance,
    ) -> io::Result<usize> {
        if let Err(error) = failed(fault) {
            // A failed write may have reached the device.
            if error.kind() != io::ErrorKind::StorageFull && chance.coin() {
                self.land(ino, write, chance)?;
            }
            return Err(error);
        }
        self.reserve(ino, write.position + write.data.len() as u64)?;
        self.land(ino, write, chance)?;
        self.stats.writes += 1;
        Ok(write.data.len())
    }

    fn land(
        &mut self,
        ino: Option<Ino>,
        write: &Pending<'_>,
        chance: &mut Chance,
    ) -> io::Result<()> {
        let seq = self.next_seq();
        let others = self
            .in_flight
            .values()
            .any(|op| op.ino == ino && matches!(op.op, Op::WriteAt { .. }));
        let now_ms = self.now_ms;
        let file = self.file(ino)?;
        file.land(write, seq, others, chance);
        file.note_modified(now_ms);
        Ok(())
    }

    fn sync(
        &mut self,
        ino: Option<Ino>,
        kind: SyncKind,
        began: Seq,
        fault: Option<io::ErrorKind>,
        chance: &mut Chance,
    ) -> io::Result<()> {
        if let Err(error) = failed(fault) {
            self.file(ino)?.sync_failed(began, chance);
            return Err(error);
        }
        self.stats.syncs += 1;
        let file = self.file(ino)?;
        file.synced(began);
        if kind == SyncKind::All {
            file.metadata_synced();
        }
        Ok(())
    }

    fn try_lock(&mut self, handle: Handle) -> io::Result<()> {
        let ino = self.open.get(&handle).ok_or_else(bad_handle)?.ino;
        match self.locks.get(&ino) {
            Some(&holder) if holder != handle => Err(io::ErrorKind::WouldBlock.into()),
            _ => {
                self.locks.insert(ino, handle);
                Ok(())
            }
        }
    }

    /// Closes a file; nothing happens when it is not one of this disk.
    pub(crate) fn close(&mut self, handle: Handle) {
        if let Some(open) = self.open.remove(&handle)
            && self.locks.get(&open.ino) == Some(&handle)
        {
            self.locks.remove(&open.ino);
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let entries = self.tree.entries(self.tree.find(path)?)?;
        Ok(entries
            .iter()
            .map(|(name, &ino)| {
                let stat = self.stat_of(ino);
                DirEntry {
                    name: name.clone(),
                    kind: stat.kind,
                    len_bytes: stat.len_bytes,
                }
            })
            .collect())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        Ok(self.stat_of(self.tree.find(path)?))
    }

    fn stat_of(&self, ino: Ino) -> Stat {
        match self.files.get(&ino) {
            Some(file) => Stat {
                len_bytes: file.len(),
                allocated_bytes: file.allocated(),
                modified_ms: file.modified_ms(),
                kind: FileKind::File,
            },
            None => Stat {
                len_bytes: 0,
                allocated_bytes: 0,
                modified_ms: 0,
                kind: FileKind::Directory,
            },
        }
    }

    fn used_bytes(&self) -> u64 {
        let mut used = self.tree.visible();
        used.extend(self.open.values().map(|open| open.ino));
        used.iter()
            .filter_map(|ino| self.files.get(ino))
            .map(Content::allocated)
            .sum()
    }

    fn space(&self) -> Space {
        let available_bytes = self.capacity_bytes.saturating_sub(self.used_bytes());
        Space {
            available_bytes,
            total_bytes: self.capacity_bytes,
        }
    }

    /// Checks that a file may grow to `len_bytes`.
    fn reserve(&mut self, ino: Option<Ino>, len_bytes: u64) -> io::Result<()> {
        let allocated = self.file(ino)?.allocated();
        let wanted = len_bytes.next_multiple_of(BLOCK_BYTES as u64);
        if wanted > allocated && wanted - allocated > self.space().available_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn forget_unreferenced(&mut self) {
        let mut referenced = self.tree.referenced();
        referenced.extend(self.open.values().map(|open| open.ino));
        referenced.extend(self.in_flight.values().filter_map(|op| op.ino));
        self.files.retain(|ino, _| referenced.contains(ino));
    }

    /// Whether a loss of power now could lose something.
    pub(crate) fn has_unsynced(&self) -> bool {
        self.tree.is_dirty()
            || self.files.values().any(Content::is_dirty)
            || self
                .in_flight
                .values()
                .any(|op| matches!(op.op, Op::WriteAt { .. }))
    }

    /// The node died: nothing is open any more, and what was in flight has happened or not.
    pub(crate) fn crash(&mut self, kind: CrashKind, chance: &mut Chance) {
        let with_unsynced = self.has_unsynced();
        let in_flight = std::mem::take(&mut self.in_flight);
        self.open.clear();
        self.locks.clear();
        let seq = self.next_seq();
        for (&ino, file) in &mut self.files {
            let writes: Vec<Pending<'_>> = in_flight
                .values()
                .filter(|op| op.ino == Some(ino))
                .filter_map(|op| match &op.op {
                    Op::WriteAt { position, data, .. } => Some(Pending {
                        position: *position,
                        data,
                        began: op.began,
                    }),
                    _ => None,
                })
                .collect();
            match kind {
                CrashKind::Process => file.lose_process(&writes, seq, chance),
                CrashKind::Power => file.lose_power(&writes, seq, chance, &mut self.stats),
            }
        }
        match kind {
            CrashKind::Process => self.stats.process_losses += 1,
            CrashKind::Power => {
                self.tree.lose_power(chance);
                self.stats.power_losses += 1;
                self.stats.power_losses_with_unsynced += u64::from(with_unsynced);
            }
        }
        self.forget_unreferenced();
    }

    pub(crate) fn set_capacity(&mut self, capacity_bytes: u64) {
        self.capacity_bytes = capacity_bytes;
    }

    pub(crate) fn inject(&mut self, fault: DiskFault) {
        self.faults.push(fault);
    }

    pub(crate) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Makes the directories of `path`, durable at once.
    pub(crate) fn make_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = PathBuf::new();
        for component in path.components() {
            at.push(component);
            if self.tree.find(&at).is_err() {
                let seq = self.next_seq();
                self.tree.mkdir(&at, seq)?;
            }
        }
        self.tree.make_durable();
        Ok(())
    }

    /// The content of a file as readers see it.
    pub(crate) fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self
            .files
            .get(&self.tree.find(path)?)
            .ok_or(io::ErrorKind::IsADirectory)?;
        let mut data = vec![0; usize::try_from(file.len()).map_err(io::Error::other)?];
        file.read(0, &mut data);
        Ok(data)
    }

    /// Overwrites a part of an existing file, durable at once: what a failing device or a hostile hand does.
    pub(crate) fn overwrite(&mut self, path: &Path, position: u64, data: &[u8]) -> io::Result<()> {
        let ino = self.tree.find(path)?;
        let (began, seq) = (self.next_seq(), self.next_seq());
        let file = self
            .files
            .get_mut(&ino)
            .ok_or(io::ErrorKind::IsADirectory)?;
        file.land(
            &Pending {
                position,
                data,
                began,
            },
            seq,
            false,
            &mut Chance::new(0),
        );
        file.make_durable();
        Ok(())
    }

    /// Turns one bit of a file over, for readers and on the medium, whatever is unsynced: bit rot.
    pub(crate) fn flip_bit(&mut self, path: &Path, position: u64, bit: u32) -> io::Result<()> {
        let ino = self.tree.find(path)?;
        let file = self.files.get_mut(&ino);
        file.ok_or(io::ErrorKind::IsADirectory)?
            .flip_bit(position, bit);
        Ok(())
    }

    /// The entries of a directory.
    pub(crate) fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.list(path)
    }
}

fn failed(fault: Option<io::ErrorKind>) -> io::Result<()> {
    match fault {
        Some(io::ErrorKind::StorageFull) => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
        Some(io::ErrorKind::OutOfMemory) => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
        Some(_) => Err(io::Error::from_raw_os_error(libc::EIO)),
        None => Ok(()),
    }
}

fn bad_handle() -> io::Error {
    io::Error::from_raw_os_error(libc::EBADF)
}

/// What O_DIRECT asks for; a real disk answers EINVAL, the simulation ends the test.
fn assert_aligned(op: &Op) {
    match op {
        Op::ReadAt {
            position, at, len, ..
        } => {
            assert!(
                position.is_multiple_of(BLOCK_BYTES as u64)
                    && at.is_multiple_of(BLOCK_BYTES)
                    && len.is_multiple_of(BLOCK_BYTES),
                "direct read of {len} bytes at {position} is not aligned"
            );
        }
        Op::WriteAt { position, data, .. } => {
            assert!(
                position.is_multiple_of(BLOCK_BYTES as u64)
                    && data.len().is_multiple_of(BLOCK_BYTES)
                    && data.as_ptr().addr().is_multiple_of(BLOCK_BYTES),
                "direct write of {} bytes at {position} is not aligned",
                data.len()
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
