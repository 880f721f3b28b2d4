//! Where the broker's time went, over many requests.

use hdrhistogram::Histogram;
use ringlog_wire::ProduceReceipt;

/// Largest duration that is told apart, in nanoseconds: ten minutes.
const STAGE_NS_MAX: u64 = 600_000_000_000;

/// Significant digits of a duration.
const STAGE_DIGITS: u8 = 2;

/// The stages of the produces that came back with a receipt, one value for each request.
#[derive(Clone, Debug, Default)]
pub struct StageStats {
    /// In the order of [`ProduceReceipt::STAGES`], in nanoseconds; made with the first receipt.
    stages_ns: Vec<Histogram<u64>>,
}

impl StageStats {
    /// Notes a receipt.
    pub fn record(&mut self, receipt: &ProduceReceipt) {
        if self.stages_ns.is_empty() {
            let made = ProduceReceipt::STAGES
                .map(|_| Histogram::new_with_bounds(1, STAGE_NS_MAX, STAGE_DIGITS));
            self.stages_ns = made.into_iter().flatten().collect();
        }
        for (stage, ns) in self.stages_ns.iter_mut().zip(receipt.stages_ns()) {
            stage.saturating_record(ns.max(1));
        }
    }

    /// Name and durations of each stage in nanoseconds, in their order; nothing without receipts. A duration of 0 counts
    /// as 1.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        ProduceReceipt::STAGES.into_iter().zip(&self.stages_ns)
    }
}
