//! The index file of a sealed segment: its sparse index, and what else need not be scanned for. Written when the
//! segment is sealed; where it is missing or wrong, the segment is scanned. All numbers are little-endian.
//!
//! ```text
//! byte  0   magic            8 bytes   "RLOGIDX1"
//!       8   CRC-32C          u32       of byte 12 to the end of the entries
//!      12   entries          u32       count
//!      16   base             u64       base offset of the segment
//!      24   end              u64       offset behind its last record
//!      32   length           u64       bytes of batches
//!      40   first append     i64       ms; -1: none
//!      48   last append      i64       ms; -1: none
//!      56   max time stamp   i64       ms
//!      64   entries          24 bytes each: offset u64, position u64, largest time stamp before i64
//! ```

use ringlog_reactor::{AlignedBuf, Reactor};
use ringlog_record::{Offset, TimestampMs};
use zerocopy::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checkpoint::{IndexRecord, to_blocks};
use crate::directory::{Directory, Mode};
use crate::env::LogEnv;
use crate::error::FileError;
use crate::index::{IndexEntry, SparseIndex};
use crate::limits::{INDEX_ENTRIES_MAX, SEGMENT_BYTES_MAX};
use crate::segment::{Segment, SegmentFile};

const MAGIC: [u8; 8] = *b"RLOGIDX1";
const CRC_START: usize = 12;

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    crc: U32,
    entries: U32,
    base: U64,
    end: U64,
    len_bytes: U64,
    first_append: I64,
    last_append: I64,
    max_timestamp: I64,
}

const _: () = assert!(size_of::<Header>() == 64);

pub(crate) const FILE_BYTES_MAX: usize =
    size_of::<Header>() + INDEX_ENTRIES_MAX * size_of::<IndexRecord>();

pub(crate) fn encode(segment: &Segment) -> Vec<u8> {
    let entries = segment.index.entries();
    let header = Header {
        magic: MAGIC,
        crc: 0.into(),
        entries: u32::try_from(entries.len()).unwrap_or(u32::MAX).into(),
        base: segment.base.get().into(),
        end: segment.end.get().into(),
        len_bytes: segment.len_bytes.into(),
        first_append: segment
            .first_append
            .unwrap_or(TimestampMs::NONE)
            .get()
            .into(),
        last_append: segment
            .last_append
            .unwrap_or(TimestampMs::NONE)
            .get()
            .into(),
        max_timestamp: segment.max_timestamp.get().into(),
    };
    let mut bytes = header.as_bytes().to_vec();
    for entry in entries {
        bytes.extend_from_slice(IndexRecord::from(entry).as_bytes());
    }
    let crc = U32::new(crc32c::crc32c(&bytes[CRC_START..]));
    bytes[CRC_START - size_of::<U32>()..CRC_START].copy_from_slice(crc.as_bytes());
    bytes
}

pub(crate) fn decode(bytes: &[u8], base: Offset) -> Option<Segment> {
    let (header, body) = Header::ref_from_prefix(bytes).ok()?;
    let entries = usize::try_from(header.entries.get())
        .ok()
        .filter(|&count| count <= INDEX_ENTRIES_MAX)?;
    let covered = bytes.get(CRC_START..size_of::<Header>() + entries * size_of::<IndexRecord>())?;
    let is_intact = header.magic == MAGIC
        && crc32c::crc32c(covered) == header.crc.get()
        && header.base.get() == base.get();
    if !is_intact {
        return None;
    }
    let (entries, _) = <[IndexRecord]>::ref_from_prefix_with_elems(body, entries).ok()?;
    let time = |ms: I64| Some(TimestampMs::new(ms.get())).filter(|&time| time != TimestampMs::NONE);
    let segment = Segment {
        base,
        end: Offset::new(header.end.get()),
        capacity_bytes: header.len_bytes.get(),
        len_bytes: header.len_bytes.get(),
        durable_bytes: header.len_bytes.get(),
        index: SparseIndex::from_entries(entries.iter().map(IndexEntry::from).collect())?,
        max_timestamp: TimestampMs::new(header.max_timestamp.get()),
        first_append: time(header.first_append),
        last_append: time(header.last_append),
        file: SegmentFile::Closed,
    };
    is_sound(&segment).then_some(segment)
}

/// Whether its numbers can be those of a segment. Readers begin where its entries say.
fn is_sound(segment: &Segment) -> bool {
    let is_inside = |entry: &IndexEntry| {
        let offsets = segment.base..segment.end;
        offsets.contains(&entry.offset) && entry.position < segment.len_bytes
    };
    segment.base <= segment.end
        && segment.end <= Offset::MAX
        && segment.len_bytes <= SEGMENT_BYTES_MAX
        && segment.index.entries().iter().all(is_inside)
}

/// The sealed segment with this base offset as its index file describes it, if there is a sound one.
pub(crate) async fn load(
    reactor: &Reactor,
    directory: &Directory,
    base: Offset,
) -> Result<Option<Segment>, FileError> {
    let path = directory.index_path(base);
    let file = directory.open(&path, Mode::Existing).await?;
    let len = FILE_BYTES_MAX.next_multiple_of(ringlog_reactor::limits::BLOCK_BYTES);
    let buf = reactor
        .buffer(len)
        .unwrap_or_else(|| AlignedBuf::unpooled(len));
    let (read, buf) = file.read_at(0, buf, len).await;
    let read = read.map_err(|error| FileError::new("read", &path, error))?;
    Ok(decode(&buf[..read.min(len)], base))
}

/// Writes the index file of a sealed segment. Without it the next open walks over the segment, so a failure is only
/// told.
pub(crate) async fn write(env: &LogEnv, directory: &Directory, segment: &Segment) {
    let path = directory.index_path(segment.base);
    let written = async {
        let file = directory.open(&path, Mode::Either).await?;
        let blocks = to_blocks(&env.reactor, &encode(segment));
        env.counters.metadata_bytes.add(blocks.len() as u64);
        let failed = |error| FileError::new("write", &path, error);
        file.write_at(0, blocks).await.map_err(failed)?;
        file.sync_data().await.map_err(failed)?;
        directory.sync().await
    };
    if let Err(error) = written.await {
        tracing::warn!(%error, "the index of a sealed segment was not written");
    }
}

#[cfg(test)]
mod tests;
