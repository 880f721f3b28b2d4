//! Fetching: whole batches below the high watermark, and the check that the reader saw no more than there is.

use ringlog_log::{ReadError, ReadRequest, Slices};
use ringlog_record::{LeaderEpoch, Offset};

use crate::error::FetchError;
use crate::partition::Inner;
use crate::status::PartitionEnds;

/// What to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchSpec {
    /// The first record that is wanted.
    pub offset: Offset,
    /// Most bytes, unless the first batch alone is larger.
    pub max_bytes: usize,
    /// The leader epoch of the last record that the reader saw, if it saw any.
    pub last_epoch: Option<LeaderEpoch>,
}

/// What was fetched: whole batches, in order, without gaps.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The batches; one never spans two slices.
    pub slices: Slices,
    /// Their bytes together.
    pub bytes: usize,
    /// The partition at the time of the answer.
    pub ends: PartitionEnds,
}

impl Inner {
    pub(crate) async fn fetch(&self, spec: FetchSpec) -> Result<Fetched, FetchError> {
        self.check_readable()?;
        if let Some(epoch) = spec.last_epoch {
            self.check_not_truncated(spec.offset, epoch)?;
        }
        let ends = self.ends();
        if spec.offset < ends.log_start || spec.offset > ends.log_end {
            return Err(out_of_range(spec.offset, &ends));
        }
        if spec.offset >= ends.high_watermark {
            return Ok(Fetched {
                slices: Slices::new(),
                bytes: 0,
                ends,
            });
        }
        let request = ReadRequest {
            offset: spec.offset,
            max_bytes: spec.max_bytes,
            limit: ends.high_watermark,
        };
        let read = self.log.read(request).await;
        let ends = self.ends();
        match read {
            Ok(data) => Ok(Fetched {
                slices: data.slices,
                bytes: data.bytes,
                ends,
            }),
            Err(ReadError::OffsetOutOfRange { .. }) => Err(out_of_range(spec.offset, &ends)),
            Err(ReadError::Closed) => Err(FetchError::Closed),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the log still holds what the reader saw: its last record was of `epoch` and lay below `offset`.
    /// A reader of a log in memory that does not know all that was lost with it is told so, too.
    fn check_not_truncated(&self, offset: Offset, epoch: LeaderEpoch) -> Result<(), FetchError> {
        if epoch > self.leader_epoch {
            return Err(FetchError::FencedLeader {
                epoch,
                latest: self.leader_epoch,
            });
        }
        let lost_below = self.log.lost_below();
        if offset < lost_below {
            return Err(FetchError::LogTruncated {
                requested: offset,
                epoch,
                end: lost_below,
            });
        }
        let end = self.log.end_of_epoch(epoch);
        if offset > end {
            return Err(FetchError::LogTruncated {
                requested: offset,
                epoch,
                end,
            });
        }
        Ok(())
    }
}

fn out_of_range(requested: Offset, ends: &PartitionEnds) -> FetchError {
    FetchError::OffsetOutOfRange {
        requested,
        log_start: ends.log_start,
        high_watermark: ends.high_watermark,
    }
}
