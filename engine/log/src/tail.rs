//! The end of a log in memory: chunks of whole batches, each at an aligned position of its file.
//!
//! A chunk begins with a copy of the partial block that the chunk before ended in, so that each can be written for
//! itself. Once a chunk is sealed its memory never changes again: it may be under DMA and in the hands of readers.
//! Of the chunks of one flush group all but the last leave their partial last block to the next one, so that no
//! two writes of a group touch one block.
//!
//! ```text
//! file     |  block  |  block  |  block  |  block  |
//! chunk 1  |##########=======================...|        = own batches, # copy of the block before
//! chunk 2                                |######=====.|
//! ```

use std::collections::VecDeque;

use bytes::Bytes;
use ringlog_reactor::AlignedBuf;
use ringlog_record::Offset;
use smallvec::SmallVec;

use crate::limits::{BLOCK_BYTES, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, FLUSH_GROUP_BYTES_MAX};

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkSpan {
    /// Base offset of the segment.
    pub(crate) segment: Offset,
    /// Position of the first byte of its memory in the file, aligned.
    pub(crate) start: u64,
    /// Position of its first batch.
    pub(crate) data_start: u64,
    /// Position behind its last batch.
    pub(crate) end: u64,
    /// Offset of its first record.
    pub(crate) base_offset: Offset,
    /// Offset behind its last record.
    pub(crate) end_offset: Offset,
}

impl ChunkSpan {
    pub(crate) fn data_bytes(&self) -> u64 {
        self.end - self.data_start
    }
}

/// A chunk whose memory does not change any more.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) span: ChunkSpan,
    /// From `start` to the end of the block of `end`, padded with zeros.
    block_bytes: Bytes,
    /// What the chunk holds of the pool.
    pub(crate) capacity_bytes: usize,
}

impl Chunk {
    /// Its own batches.
    pub(crate) fn data(&self) -> Bytes {
        self.block_bytes.slice(
            in_memory(&self.span, self.span.data_start)..in_memory(&self.span, self.span.end),
        )
    }

    /// What is written of it: whole blocks, the last one only when no other chunk of the group begins with it.
    pub(crate) fn blocks(&self, is_last_of_group: bool) -> Bytes {
        let end = if is_last_of_group {
            block_ceil(self.span.end)
        } else {
            block_floor(self.span.end)
        };
        self.block_bytes.slice(..in_memory(&self.span, end))
    }
}

/// The chunk that is being filled.
struct OpenChunk {
    span: ChunkSpan,
    buf: AlignedBuf,
}

/// The size of a chunk to be made, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkBytes {
    /// What would be good.
    pub(crate) wanted: usize,
    /// What it cannot do without.
    pub(crate) needed: usize,
}

/// The chunks of a log that are in memory, oldest first, without gaps between them.
pub(crate) struct Tail {
    chunks: VecDeque<Chunk>,
    open: Option<OpenChunk>,
    /// The segment that is appended to, and where.
    segment: Offset,
    end: u64,
    end_offset: Offset,
    /// The bytes of the partial block that the segment ends in.
    carry: Vec<u8>,
    /// Offset behind the last chunk that was given to a flush group.
    submitted_end: Offset,
    chunk_bytes: usize,
    /// What all chunks hold of the pool.
    held_bytes: usize,
}

/// Bytes of a span's position within its memory. A chunk is far smaller than 4 GiB.
fn in_memory(span: &ChunkSpan, position: u64) -> usize {
    usize::try_from(position - span.start).unwrap_or(usize::MAX)
}

/// How far `position` lies within its block.
fn in_block(position: u64) -> usize {
    usize::try_from(position % BLOCK_BYTES).unwrap_or(0)
}

/// The start of the block that holds `position`.
pub(crate) const fn block_floor(position: u64) -> u64 {
    position - position % BLOCK_BYTES
}

/// The end of the block that ends at or behind `position`.
pub(crate) const fn block_ceil(position: u64) -> u64 {
    position.next_multiple_of(BLOCK_BYTES)
}

impl Tail {
    /// The tail of a log that ends at `end` of a segment, where the bytes `carry` fill the last block so far.
    pub(crate) fn new(segment: Offset, end: u64, end_offset: Offset, carry: Vec<u8>) -> Self {
        debug_assert_eq!(carry.len() as u64, end % BLOCK_BYTES);
        Self {
            chunks: VecDeque::new(),
            open: None,
            segment,
            end,
            end_offset,
            carry,
            submitted_end: end_offset,
            chunk_bytes: CHUNK_BYTES_MIN,
            held_bytes: 0,
        }
    }

    /// What the chunks hold of the pool, the open one included.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Bytes of batches in the chunks.
    pub(crate) fn data_bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.span.data_bytes());
        let sealed = self.chunks.iter().map(|chunk| chunk.span.data_bytes());
        open + sealed.sum::<u64>()
    }

    /// Goes on at the start of another segment.
    pub(crate) fn roll(&mut self, segment: Offset) {
        self.seal();
        self.segment = segment;
        self.end = 0;
        self.carry.clear();
    }

    /// Bytes that are not given to a flush group yet.
    pub(crate) fn unsubmitted_bytes(&self) -> u64 {
        let open = self.open.as_ref().map_or(0, |open| open.span.data_bytes());
        let sealed = self
            .chunks
            .iter()
            .rev()
            .take_while(|chunk| chunk.span.base_offset >= self.submitted_end);
        open + sealed.map(|chunk| chunk.span.data_bytes()).sum::<u64>()
    }

    /// The first offset that is in memory.
    pub(crate) fn first_offset(&self) -> Offset {
        let open = || self.open.as_ref().map(|open| open.span.base_offset);
        self.chunks
            .front()
            .map(|chunk| chunk.span.base_offset)
            .or_else(open)
            .unwrap_or(self.end_offset)
    }

    /// What a new chunk must hold for `len` bytes of batches, if the open one has no room for them. More than `bytes_max`
    /// is not wanted unless it is needed.
    pub(crate) fn chunk_for(&self, len: usize, bytes_max: usize) -> Option<ChunkBytes> {
        let fits = self.open.as_ref().is_some_and(|open| {
            in_memory(&open.span, self.end) + len <= open.buf.capacity()
                && open.span.data_bytes() + len as u64 <= FLUSH_GROUP_BYTES_MAX
        });
        let needed = in_block(self.end) + len;
        (!fits).then_some(ChunkBytes {
            needed,
            wanted: needed.max(self.chunk_bytes.min(bytes_max)),
        })
    }

    /// Goes on in another chunk.
    pub(crate) fn begin_chunk(&mut self, mut buf: AlignedBuf) {
        self.seal();
        buf[..self.carry.len()].copy_from_slice(&self.carry);
        self.chunk_bytes = (self.chunk_bytes * 2).min(CHUNK_BYTES_MAX);
        self.held_bytes += buf.capacity();
        let span = ChunkSpan {
            segment: self.segment,
            start: block_floor(self.end),
            data_start: self.end,
            end: self.end,
            base_offset: self.end_offset,
            end_offset: self.end_offset,
        };
        self.open = Some(OpenChunk { span, buf });
    }

    /// Memory behind the end for `len` bytes of batches; empty unless there is room in the open chunk.
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        let end = self.end;
        self.open
            .as_mut()
            .and_then(|open| {
                let from = in_memory(&open.span, end);
                open.buf.get_mut(from..from + len)
            })
            .unwrap_or_default()
    }

    /// Takes note that the first `len` bytes of the room were filled, up to `end_offset`.
    pub(crate) fn advance(&mut self, len: usize, end_offset: Offset) {
        self.end += len as u64;
        self.end_offset = end_offset;
        if let Some(open) = &mut self.open {
            open.span.end = self.end;
            open.span.end_offset = end_offset;
        }
    }

    /// Seals the open chunk: its memory does not change from here on.
    pub(crate) fn seal(&mut self) {
        let Some(OpenChunk { span, mut buf }) = self.open.take() else {
            return;
        };
        if span.data_bytes() == 0 {
            self.held_bytes -= buf.capacity();
            return;
        }
        let (end, padded_end) = (
            in_memory(&span, span.end),
            in_memory(&span, block_ceil(span.end)),
        );
        buf[end..padded_end].fill(0);
        self.carry.clear();
        self.carry
            .extend_from_slice(&buf[in_memory(&span, block_floor(span.end))..end]);
        let capacity_bytes = buf.capacity();
        self.chunks.push_back(Chunk {
            span,
            block_bytes: buf.freeze(padded_end),
            capacity_bytes,
        });
    }

    /// Segment of the next flush group, if there is anything to flush.
    pub(crate) fn next_group_segment(&self) -> Option<Offset> {
        let sealed = self
            .chunks
            .get(self.first_unsubmitted())
            .map(|chunk| chunk.span.segment);
        let open = || {
            self.open
                .as_ref()
                .filter(|open| open.span.data_bytes() > 0)
                .map(|open| open.span.segment)
        };
        sealed.or_else(open)
    }

    /// The chunks of the next flush group: of one segment, at most `FLUSH_GROUP_BYTES_MAX` together. They count as
    /// submitted.
    pub(crate) fn take_group(&mut self) -> SmallVec<[Chunk; 1]> {
        let first = self.first_unsubmitted();
        if first == self.chunks.len() {
            let filled = self.open.as_ref().map_or(0, |open| open.span.data_bytes());
            let filled = usize::try_from(filled).unwrap_or(CHUNK_BYTES_MAX);
            self.chunk_bytes = filled
                .next_power_of_two()
                .clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
        }
        self.seal();
        let mut group: SmallVec<[Chunk; 1]> = SmallVec::new();
        for chunk in self.chunks.range(first..) {
            let begin = group.first().map_or(chunk.span, |chunk| chunk.span);
            let fits = chunk.span.segment == begin.segment
                && chunk.span.end - begin.data_start <= FLUSH_GROUP_BYTES_MAX;
            if !fits {
                break;
            }
            group.push(chunk.clone());
        }
        if let Some(last) = group.last() {
            self.submitted_end = last.span.end_offset;
        }
        group
    }

    fn first_unsubmitted(&self) -> usize {
        self.chunks
            .partition_point(|chunk| chunk.span.base_offset < self.submitted_end)
    }

    /// What the chunks hold of the pool whose ends lie behind `before` and not behind `durable_end`.
    pub(crate) fn capacities_between(
        &self,
        before: Offset,
        durable_end: Offset,
    ) -> SmallVec<[usize; 4]> {
        let first = self
            .chunks
            .partition_point(|chunk| chunk.span.end_offset <= before);
        let durable = self
            .chunks
            .range(first..)
            .take_while(|chunk| chunk.span.end_offset <= durable_end);
        durable.map(|chunk| chunk.capacity_bytes).collect()
    }

    /// Drops the oldest chunk when it lies below `durable_end`.
    pub(crate) fn evict_oldest(&mut self, durable_end: Offset) {
        if self
            .chunks
            .front()
            .is_some_and(|chunk| chunk.span.end_offset <= durable_end)
        {
            self.drop_oldest();
        }
    }

    /// Drops the oldest sealed chunk, if there is one. Gives the offset behind it.
    pub(crate) fn drop_oldest(&mut self) -> Option<Offset> {
        let oldest = self.chunks.pop_front()?;
        self.held_bytes -= oldest.capacity_bytes;
        Some(oldest.span.end_offset)
    }

    /// Offset behind the oldest sealed chunk.
    pub(crate) fn oldest_end(&self) -> Option<Offset> {
        self.chunks.front().map(|oldest| oldest.span.end_offset)
    }

    /// What the open chunk holds of the pool.
    pub(crate) fn open_capacity_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.buf.capacity())
    }

    /// The chunks that hold `offset` and what follows, as far as somebody asks; the open one is sealed first when
    /// `seal_from_bytes` or more of it could be wanted, else its batches come as a copy.
    pub(crate) fn chunks_from(
        &mut self,
        offset: Offset,
        seal_from_bytes: u64,
    ) -> impl Iterator<Item = (ChunkSpan, Bytes)> {
        if self
            .open
            .as_ref()
            .is_some_and(|open| open.span.data_bytes() >= seal_from_bytes)
        {
            self.seal();
        }
        let first = self
            .chunks
            .partition_point(|chunk| chunk.span.end_offset <= offset);
        let sealed = self.chunks.range(first..);
        let open = self.open.iter().filter(|open| open.span.data_bytes() > 0);
        sealed
            .map(|chunk| (chunk.span, chunk.data()))
            .chain(open.map(|OpenChunk { span, buf }| {
                let data = &buf[in_memory(span, span.data_start)..in_memory(span, span.end)];
                (*span, Bytes::copy_from_slice(data))
            }))
    }
}

#[cfg(test)]
mod tests;
