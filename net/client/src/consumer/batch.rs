//! A batch that was fetched, and its records, borrowed from it.

use std::sync::OnceLock;

use bytes::Bytes;
use ringlog_record::batch::{BatchError, BatchView, RecordView, Records};
use ringlog_record::{LeaderEpoch, Offset, PartitionIndex};

use super::fetcher::Fetched;
use crate::core::compression::{DecompressError, decompress_batch};
use crate::error::ConsumeError;

/// A batch that was fetched; it owns its bytes. Records before the consumer's position are not given out.
#[derive(Clone, Debug)]
pub struct FetchedBatch {
    fetched: Fetched,
    decompressed_bytes_max: usize,
    /// Made when records are asked for; none in there when they are not compressed.
    decompressed: OnceLock<Result<Option<Vec<u8>>, DecompressError>>,
}

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    Decompress(#[from] DecompressError),
}

impl FetchedBatch {
    pub(super) fn new(fetched: Fetched, decompressed_bytes_max: usize) -> Self {
        Self {
            fetched,
            decompressed_bytes_max,
            decompressed: OnceLock::new(),
        }
    }

    /// Name of the topic.
    pub fn topic(&self) -> &str {
        &self.fetched.source.topic
    }

    /// Which partition.
    pub fn partition(&self) -> PartitionIndex {
        self.fetched.source.partition
    }

    /// The offset behind the last record that could be read when this was fetched.
    pub fn high_watermark(&self) -> Offset {
        self.fetched.high_watermark
    }

    /// The offset behind the last record of the batch.
    pub fn next_offset(&self) -> Offset {
        self.fetched.last_offset.next()
    }

    /// The epoch of the leader that assigned the offsets, if the batch says so.
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.fetched.leader_epoch
    }

    /// The batch as it lies in the log: base offset, header, records.
    pub fn bytes(&self) -> &Bytes {
        &self.fetched.bytes
    }

    /// The records from the consumer's position on, in the order of their offsets, borrowed from the batch. A compressed
    /// batch is decompressed when this is called for the first time, and keeps the result.
    ///
    /// # Errors
    ///
    /// Each item may be a [`ConsumeError::Batch`], after which there are no more: the batch is damaged, or larger than
    /// [`super::ConsumerConfig::decompressed_bytes_max`]. The consumer goes on behind it.
    pub fn records(&self) -> impl Iterator<Item = Result<RecordView<'_>, ConsumeError>> {
        let (records, error) = match self.read() {
            Ok(records) => (Some(records), None),
            Err(error) => (None, Some(Err(self.unreadable(&error)))),
        };
        let from = self.fetched.from;
        let records = records
            .into_iter()
            .flatten()
            .map(|record| record.map_err(|error| self.unreadable(&error)))
            .filter(move |record| match record {
                Ok(record) => record.offset >= from,
                Err(_) => true,
            });
        error.into_iter().chain(records)
    }

    fn read(&self) -> Result<Records<'_>, Unreadable> {
        let view = BatchView::parse(&self.fetched.bytes)?;
        let decompressed = self
            .decompressed
            .get_or_init(|| decompress_batch(&view, self.decompressed_bytes_max));
        match decompressed {
            Ok(Some(records)) => Ok(view.decompressed_records(records)),
            Ok(None) => Ok(view.records()),
            Err(error) => Err(error.clone().into()),
        }
    }

    fn unreadable(&self, reason: &dyn std::fmt::Display) -> ConsumeError {
        ConsumeError::Batch {
            topic: self.topic().to_owned(),
            partition: self.partition(),
            offset: self.fetched.from,
            reason: reason.to_string(),
        }
    }
}
