//! The checkpoint: what recovery begins from.
//!
//! Two slots in one file, written in turn, each with a sequence number and a CRC: a write that is torn leaves the
//! other slot. All numbers are little-endian.
//!
//! ```text
//! byte  0   magic             8 bytes   "RLOGCKP1"
//!       8   CRC-32C           u32       of byte 12 to the end of the body
//!      12   version           u16       1
//!      14   flags             u16       bit 0: closed cleanly, nothing was written since;
//!                                      bit 1: it has producers, see [`producers`];
//!                                      bit 2: the log is in memory only, see below
//!      16   sequence          u64       the slot with the higher one counts; its lowest bit is the slot
//!      24   durable end       u64       offset
//!      32   durable position  u64       where the durable end lies in the active segment
//!      40   active base       u64       base offset of the active segment
//!      48   log start         u64       offset
//!      56   high watermark    u64       offset
//!      64   first append      i64       ms, of the active segment; -1: none
//!      72   last append       i64       ms, of the active segment; -1: none
//!      80   max time stamp    i64       ms, of the active segment
//!      88   epochs            u32       count
//!      92   index entries     u32       count
//!      96   epochs            16 bytes each: epoch u32, 0 u32, start offset u64
//!           index entries     24 bytes each: offset u64, position u64, largest time stamp before i64
//! ```
//!
//! The checkpoint of a log that is in memory only describes what is found when it is opened anew: an empty log, whose
//! start and durable end is an offset above all that may have been given out.

mod producers;

use std::io;

use bytes::Bytes;
use ringlog_record::{LeaderEpoch, Offset, TimestampMs};
use zerocopy::little_endian::{I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use ringlog_reactor::{AlignedBuf, File, Reactor};

use crate::directory::{Directory, Mode};
use crate::epochs::{EpochCache, EpochStart};
use crate::error::FileError;
use crate::index::{IndexEntry, SparseIndex};
use crate::limits::{
    BLOCK_BYTES, CHECKPOINT_SLOT_BYTES, EPOCHS_MAX, INDEX_ENTRIES_MAX, PRODUCER_REGION_BYTES,
    SEGMENT_BYTES_MAX,
};
use crate::names::CHECKPOINT;
use crate::omit::Step;
use crate::producers::Producers;

const MAGIC: [u8; 8] = *b"RLOGCKP1";
const VERSION: u16 = 1;
const FLAG_CLEAN: u16 = 1;
const FLAG_PRODUCERS: u16 = 2;
const FLAG_MEMORY: u16 = 4;
const CRC_START: usize = 12;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    crc: U32,
    version: U16,
    flags: U16,
    sequence: U64,
    durable_end: U64,
    durable_position: U64,
    active_base: U64,
    log_start: U64,
    high_watermark: U64,
    first_append: I64,
    last_append: I64,
    max_timestamp: I64,
    epochs: U32,
    index_entries: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct EpochRecord {
    epoch: U32,
    zero: U32,
    start: U64,
}

/// An entry of a sparse index, in a checkpoint and in an index file.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct IndexRecord {
    offset: U64,
    position: U64,
    max_timestamp_before: I64,
}

const _: () = assert!(size_of::<Header>() == 96);
const _: () = assert!(size_of::<EpochRecord>() == 16);
const _: () = assert!(size_of::<IndexRecord>() == 24);
const _: () = assert!(
    96 + EPOCHS_MAX * size_of::<EpochRecord>() + INDEX_ENTRIES_MAX * size_of::<IndexRecord>()
        <= CHECKPOINT_SLOT_BYTES
);
const _: () = assert!((CHECKPOINT_SLOT_BYTES as u64).is_multiple_of(BLOCK_BYTES));

impl From<&IndexEntry> for IndexRecord {
    fn from(entry: &IndexEntry) -> Self {
        Self {
            offset: entry.offset.get().into(),
            position: entry.position.into(),
            max_timestamp_before: entry.max_timestamp_before.get().into(),
        }
    }
}

impl From<&IndexRecord> for IndexEntry {
    fn from(record: &IndexRecord) -> Self {
        Self {
            offset: Offset::new(record.offset.get()),
            position: record.position.get(),
            max_timestamp_before: TimestampMs::new(record.max_timestamp_before.get()),
        }
    }
}

/// What a checkpoint holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) is_clean: bool,
    /// It counts only with the producers of its sequence number.
    pub(crate) has_producers: bool,
    /// No file holds records: the log was in memory only, and what it held is gone.
    pub(crate) is_memory: bool,
    pub(crate) sequence: u64,
    pub(crate) durable_end: Offset,
    pub(crate) durable_position: u64,
    pub(crate) active_base: Offset,
    pub(crate) log_start: Offset,
    pub(crate) high_watermark: Offset,
    pub(crate) first_append: Option<TimestampMs>,
    pub(crate) last_append: Option<TimestampMs>,
    pub(crate) max_timestamp: TimestampMs,
    pub(crate) epochs: EpochCache,
    pub(crate) index: SparseIndex,
}

impl Checkpoint {
    /// The bytes of its slot.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let count = |len: usize| U32::new(u32::try_from(len).unwrap_or(u32::MAX));
        let header = Header {
            magic: MAGIC,
            crc: 0.into(),
            version: VERSION.into(),
            flags: self.flags().into(),
            sequence: self.sequence.into(),
            durable_end: self.durable_end.get().into(),
            durable_position: self.durable_position.into(),
            active_base: self.active_base.get().into(),
            log_start: self.log_start.get().into(),
            high_watermark: self.high_watermark.get().into(),
            first_append: self.first_append.unwrap_or(TimestampMs::NONE).get().into(),
            last_append: self.last_append.unwrap_or(TimestampMs::NONE).get().into(),
            max_timestamp: self.max_timestamp.get().into(),
            epochs: count(self.epochs.entries().len()),
            index_entries: count(self.index.entries().len()),
        };
        let mut bytes = header.as_bytes().to_vec();
        for entry in self.epochs.entries() {
            let record = EpochRecord {
                epoch: entry.epoch.get().into(),
                zero: 0.into(),
                start: entry.start.get().into(),
            };
            bytes.extend_from_slice(record.as_bytes());
        }
        for entry in self.index.entries() {
            bytes.extend_from_slice(IndexRecord::from(entry).as_bytes());
        }
        let crc = U32::new(crc32c::crc32c(&bytes[CRC_START..]));
        bytes[CRC_START - size_of::<U32>()..CRC_START].copy_from_slice(crc.as_bytes());
        bytes
    }

    fn flags(&self) -> u16 {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        flag(self.is_clean, FLAG_CLEAN)
            | flag(self.has_producers, FLAG_PRODUCERS)
            | flag(self.is_memory, FLAG_MEMORY)
    }

    /// The checkpoint at the front of a slot, if there is a whole one.
    pub(crate) fn decode(slot: &[u8]) -> Option<Self> {
        let (header, body) = Header::ref_from_prefix(slot).ok()?;
        let (epochs, index) = (
            usize::try_from(header.epochs.get()).ok()?,
            usize::try_from(header.index_entries.get()).ok()?,
        );
        if header.magic != MAGIC || epochs > EPOCHS_MAX || index > INDEX_ENTRIES_MAX {
            return None;
        }
        let body_bytes = epochs * size_of::<EpochRecord>() + index * size_of::<IndexRecord>();
        let covered = slot.get(CRC_START..size_of::<Header>() + body_bytes)?;
        if crc32c::crc32c(covered) != header.crc.get() || header.version.get() != VERSION {
            return None;
        }
        let (epochs, rest) = <[EpochRecord]>::ref_from_prefix_with_elems(body, epochs).ok()?;
        let (index, _) = <[IndexRecord]>::ref_from_prefix_with_elems(rest, index).ok()?;
        let epoch = |record: &EpochRecord| EpochStart {
            epoch: LeaderEpoch::new(record.epoch.get()),
            start: Offset::new(record.start.get()),
        };
        let time =
            |ms: I64| Some(TimestampMs::new(ms.get())).filter(|&time| time != TimestampMs::NONE);
        let checkpoint = Self {
            is_clean: header.flags.get() & FLAG_CLEAN != 0,
            has_producers: header.flags.get() & FLAG_PRODUCERS != 0,
            is_memory: header.flags.get() & FLAG_MEMORY != 0,
            sequence: header.sequence.get(),
            durable_end: Offset::new(header.durable_end.get()),
            durable_position: header.durable_position.get(),
            active_base: Offset::new(header.active_base.get()),
            log_start: Offset::new(header.log_start.get()),
            high_watermark: Offset::new(header.high_watermark.get()),
            first_append: time(header.first_append),
            last_append: time(header.last_append),
            max_timestamp: TimestampMs::new(header.max_timestamp.get()),
            epochs: EpochCache::from_entries(epochs.iter().map(epoch).collect())?,
            index: SparseIndex::from_entries(index.iter().map(IndexEntry::from).collect())?,
        };
        checkpoint.is_sound().then_some(checkpoint)
    }

    /// Whether its numbers can be those of a log. Recovery counts from them without looking again.
    fn is_sound(&self) -> bool {
        let is_inside = |entry: &IndexEntry| {
            let offsets = self.active_base..self.durable_end;
            offsets.contains(&entry.offset) && entry.position < self.durable_position
        };
        let is_empty = (self.log_start, self.active_base) == (self.durable_end, self.durable_end)
            && self.durable_position == 0;
        self.active_base <= self.durable_end
            && (!self.is_memory || is_empty)
            && self.log_start <= self.durable_end
            && self.durable_end <= Offset::MAX
            && self.durable_position <= SEGMENT_BYTES_MAX
            && self.index.entries().iter().all(is_inside)
            && self.epochs.latest() <= Some(LeaderEpoch::MAX)
    }
}

/// What the log knows of its checkpoint file.
pub(crate) struct CheckpointState {
    pub(crate) file: File,
    /// Sequence of the last one that was written or found.
    pub(crate) sequence: u64,
    /// [`crate::log::LogState::durable_bytes`] when it was taken.
    pub(crate) durable_bytes: u64,
    /// It says that nothing was written since.
    pub(crate) is_clean: bool,
    /// The log start that is durable in it: nothing above may be removed.
    pub(crate) log_start: Offset,
    /// The newest epoch that is durable in it, and where that begins: while the log's is another, no batch may be
    /// written.
    pub(crate) latest_epoch: Option<EpochStart>,
    /// One is being written.
    pub(crate) is_busy: bool,
    /// One was asked for and is not written yet.
    pub(crate) is_wanted: bool,
}

/// A checkpoint with the producers that belong to it.
pub(crate) struct Whole {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) producers: Producers,
}

/// Opens the checkpoint file, which is made when it is missing, and reads what it holds. It is `file_bytes` long.
pub(crate) async fn load(
    reactor: &Reactor,
    directory: &Directory,
    file_bytes: u64,
) -> Result<(File, Option<Whole>), FileError> {
    let path = directory.join(CHECKPOINT);
    let file = directory.open(&path, Mode::Either).await?;
    directory.sync().await?;
    let read_failed = |error| FileError::new("read", &path, error);
    let slot_bytes = CHECKPOINT_SLOT_BYTES;
    let mut newest: Option<Whole> = None;
    for slot in 0..2 {
        let (buf, read) = read_at(reactor, &file, slot * slot_bytes as u64, slot_bytes)
            .await
            .map_err(read_failed)?;
        let found = Checkpoint::decode(&buf[..read]).filter(|found| found.sequence % 2 == slot);
        let Some(checkpoint) = found else { continue };
        let is_newer = |newest: &Whole| newest.checkpoint.sequence < checkpoint.sequence;
        if !newest.as_ref().is_none_or(is_newer) {
            continue;
        }
        let producers = load_producers(reactor, &file, &checkpoint)
            .await
            .map_err(read_failed)?;
        if let Some(producers) = producers {
            newest = Some(Whole {
                checkpoint,
                producers,
            });
        }
    }
    // It is new, or of a build that reserved less.
    if file_bytes < producers::REGIONS_END {
        reserve(&file)
            .await
            .map_err(|error| FileError::new("allocate", &path, error))?;
    }
    if let Some(newest) = newest
        .as_ref()
        .filter(|_| !Step::CheckpointRewrite.is_omitted())
    {
        // A process that was killed may have written it without a sync, or with one that failed: it can be read and
        // still be lost. The same bytes go to the same place, so that a tear changes nothing.
        write(reactor, &file, &newest.checkpoint, &newest.producers)
            .await
            .map_err(|error| FileError::new("write", &path, error))?;
    }
    Ok((file, newest))
}

/// The producers of a checkpoint, none when they are not whole.
async fn load_producers(
    reactor: &Reactor,
    file: &File,
    checkpoint: &Checkpoint,
) -> io::Result<Option<Producers>> {
    if !checkpoint.has_producers {
        return Ok(Some(Producers::default()));
    }
    let position = producers::position(checkpoint.sequence);
    let (buf, read) = read_at(reactor, file, position, PRODUCER_REGION_BYTES).await?;
    let (sequence, durable_end) = (checkpoint.sequence, checkpoint.durable_end);
    Ok(producers::decode(&buf[..read], sequence, durable_end))
}

async fn read_at(
    reactor: &Reactor,
    file: &File,
    position: u64,
    len: usize,
) -> io::Result<(AlignedBuf, usize)> {
    let buf = reactor
        .buffer(len)
        .unwrap_or_else(|| AlignedBuf::unpooled(len));
    let (read, buf) = file.read_at(position, buf, len).await;
    Ok((buf, read?.min(len)))
}

/// Writes a checkpoint to its slot, and its producers to their region, durably. Gives how many bytes that took.
pub(crate) async fn write(
    reactor: &Reactor,
    file: &File,
    checkpoint: &Checkpoint,
    producers: &Producers,
) -> io::Result<u64> {
    let mut written_bytes = 0;
    if checkpoint.has_producers {
        let blocks = to_blocks(reactor, &producers::encode(producers, checkpoint.sequence));
        written_bytes += blocks.len() as u64;
        let position = producers::position(checkpoint.sequence);
        file.write_at(position, blocks).await?;
    }
    let position = (checkpoint.sequence % 2) * CHECKPOINT_SLOT_BYTES as u64;
    let blocks = to_blocks(reactor, &checkpoint.encode());
    written_bytes += blocks.len() as u64;
    file.write_at(position, blocks).await?;
    file.sync_data().await?;
    Ok(written_bytes)
}

/// Takes the space of both slots and of the producers behind them while there is some, so that a full file system does
/// not hinder a checkpoint, which retention must write before it can make room.
async fn reserve(file: &File) -> io::Result<()> {
    match file.allocate(producers::REGIONS_END).await {
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Ok(()),
        Err(error) => Err(error),
        Ok(()) => file.sync_all().await,
    }
}

/// `bytes` in whole blocks, as a direct write wants them.
pub(crate) fn to_blocks(reactor: &Reactor, bytes: &[u8]) -> Bytes {
    let block = crate::tail::block_ceil(bytes.len() as u64);
    let padded = usize::try_from(block).unwrap_or(bytes.len());
    let mut buf = reactor
        .buffer(padded)
        .unwrap_or_else(|| AlignedBuf::unpooled(padded));
    buf[..bytes.len()].copy_from_slice(bytes);
    buf[bytes.len()..padded].fill(0);
    buf.freeze(padded)
}

#[cfg(test)]
mod tests;
