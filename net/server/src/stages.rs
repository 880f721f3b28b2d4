//! Where the time of a produce went.
//!
//! All cores of a machine read one monotonic clock, so that times of the core of the connection and of the one that owns
//! the partition can be compared.

use ringlog_reactor::Instant;
use ringlog_replication::ProduceTimes;
use ringlog_wire::ProduceReceipt;

/// When a produce that was acknowledged reached each stage.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stages {
    /// Its last byte had come in.
    pub(crate) received: Instant,
    /// The owner of the partition began to append it.
    pub(crate) began: Instant,
    /// What the partition says.
    pub(crate) times: ProduceTimes,
}

impl Stages {
    /// How long each stage took, when the answer was written at `replied`.
    pub(crate) fn receipt(&self, replied: Instant) -> ProduceReceipt {
        let nanos = |from: Instant, to: Instant| to.as_nanos().saturating_sub(from.as_nanos());
        let times = &self.times;
        ProduceReceipt {
            queued_ns: nanos(self.received, self.began),
            appended_ns: nanos(self.began, times.appended),
            flushed_ns: nanos(times.appended, times.stable),
            replicated_ns: nanos(times.stable, times.acknowledged),
            replied_ns: nanos(times.acknowledged, replied),
        }
    }
}
