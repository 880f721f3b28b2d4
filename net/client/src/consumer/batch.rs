//! A batch that was fetched, and its records, borrowed from it.

use bytes::Bytes;
use ringlog_record::batch::{BatchView, RecordError, RecordView};
use ringlog_record::{LeaderEpoch, Offset, PartitionIndex};

use super::fetcher::Fetched;
use crate::error::ConsumeError;

/// A batch that was fetched; it owns its bytes. Records before the consumer's position are not given out.
#[derive(Clone, Debug)]
pub struct FetchedBatch(Fetched);

impl FetchedBatch {
    pub(super) fn new(fetched: Fetched) -> Self {
        Self(fetched)
    }

    /// Name of the topic.
    pub fn topic(&self) -> &str {
        &self.0.source.topic
    }

    /// Which partition.
    pub fn partition(&self) -> PartitionIndex {
        self.0.source.partition
    }

    /// The offset behind the last record that could be read when this was fetched.
    pub fn high_watermark(&self) -> Offset {
        self.0.high_watermark
    }

    /// The offset behind the last record of the batch.
    pub fn next_offset(&self) -> Offset {
        self.0.last_offset.next()
    }

    /// The epoch of the leader that assigned the offsets, if the batch says so.
    pub fn leader_epoch(&self) -> Option<LeaderEpoch> {
        self.0.leader_epoch
    }

    /// The batch as it lies in the log: base offset, header, records.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// The records from the consumer's position on, in the order of their offsets.
    ///
    /// # Errors
    ///
    /// Each item may be a [`ConsumeError::Batch`], after which there are no more: the batch is compressed, or damaged.
    pub fn records(&self) -> impl Iterator<Item = Result<RecordView<'_>, ConsumeError>> {
        let view = BatchView::parse(&self.0.bytes);
        let (records, error) = match view {
            Ok(view) => (Some(view.records()), None),
            Err(error) => (None, Some(Err(self.unreadable(&error)))),
        };
        let from = self.0.from;
        let records = records
            .into_iter()
            .flatten()
            .map(|record| record.map_err(|error: RecordError| self.unreadable(&error)))
            .filter(move |record| match record {
                Ok(record) => record.offset >= from,
                Err(_) => true,
            });
        error.into_iter().chain(records)
    }

    fn unreadable(&self, reason: &dyn std::fmt::Display) -> ConsumeError {
        ConsumeError::Batch {
            topic: self.topic().to_owned(),
            partition: self.partition(),
            offset: self.0.from,
            reason: reason.to_string(),
        }
    }
}
