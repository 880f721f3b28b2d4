//! Where the time of produces goes, as histograms that can be added up over shards.

use hdrhistogram::Histogram;
use ringlog_wire::ProduceReceipt;

/// Largest duration that is told apart, in nanoseconds: one minute.
const STAGE_NS_MAX: u64 = 60_000_000_000;

/// Significant digits of a duration.
const STAGE_DIGITS: u8 = 2;

/// How long each stage of the produces took that were acknowledged.
#[derive(Clone, Debug, Default)]
pub struct StageLatencies {
    /// In the order of [`ProduceReceipt::STAGES`], in nanoseconds; made with the first produce, 30 KiB each.
    stages: Vec<Histogram<u64>>,
}

impl StageLatencies {
    /// Notes a produce.
    pub(crate) fn record(&mut self, receipt: &ProduceReceipt) {
        if self.stages.is_empty() {
            self.make();
        }
        for (stage, ns) in self.stages.iter_mut().zip(receipt.stages_ns()) {
            stage.saturating_record(ns.max(1));
        }
    }

    /// Adds what another shard has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        if self.stages.is_empty() && !other.stages.is_empty() {
            self.make();
        }
        for (stage, others) in self.stages.iter_mut().zip(&other.stages) {
            // All have the same bounds: nothing is out of range.
            stage.add(others).ok();
        }
    }

    /// Name and durations of each stage, in nanoseconds and in their order; nothing before the first produce.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        ProduceReceipt::STAGES.into_iter().zip(&self.stages)
    }

    #[cold]
    fn make(&mut self) {
        let made = ProduceReceipt::STAGES
            .map(|_| Histogram::new_with_bounds(1, STAGE_NS_MAX, STAGE_DIGITS));
        self.stages = made.into_iter().flatten().collect();
    }
}
