//! The stages of produces: a histogram for each shard, which a server can add up over shards, brokers and time, and a
//! summary of all shards since the start for whoever reads the page.

use std::fmt::Write;

use super::{QUANTILES, head};
use crate::metrics::{ShardMetrics, StageLatencies};

/// Upper bounds of the buckets in nanoseconds.
const BOUNDS_NS: [u64; 22] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Seconds, for people and for Prometheus. Above 2^53 ns, which are 104 days, they are rounded.
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

pub(super) fn write(text: &mut String, shards: &[ShardMetrics]) -> std::fmt::Result {
    let help = "How long the stages of a produce took that was acknowledged, each from the end of the one before.";
    head(text, "produce_stage_seconds", "histogram", help)?;
    for shard in shards {
        for (stage, latency) in shard.stages.iter() {
            let labels = format!("shard=\"{}\",stage=\"{stage}\"", shard.shard);
            let (mut below, mut bound_before) = (0, 0);
            for bound in BOUNDS_NS {
                below += latency.count_between(bound_before + 1, bound);
                bound_before = latency.highest_equivalent(bound);
                let le = seconds(bound);
                writeln!(
                    text,
                    "ringlog_produce_stage_seconds_bucket{{{labels},le=\"{le}\"}} {below}"
                )?;
            }
            let count = latency.len();
            let sum = latency.mean() * count as f64 / 1e9;
            writeln!(
                text,
                "ringlog_produce_stage_seconds_bucket{{{labels},le=\"+Inf\"}} {count}\n\
                 ringlog_produce_stage_seconds_sum{{{labels}}} {sum}\n\
                 ringlog_produce_stage_seconds_count{{{labels}}} {count}"
            )?;
        }
    }
    let help = "The same of all shards together, since the start.";
    head(text, "produce_stage_quantile_seconds", "summary", help)?;
    let mut all = StageLatencies::default();
    shards.iter().for_each(|shard| all.add(&shard.stages));
    for (stage, latency) in all.iter() {
        for quantile in QUANTILES {
            let value = seconds(latency.value_at_quantile(quantile));
            writeln!(
                text,
                "ringlog_produce_stage_quantile_seconds{{stage=\"{stage}\",quantile=\"{quantile}\"}} {value}"
            )?;
        }
        let count = latency.len();
        let sum = latency.mean() * count as f64 / 1e9;
        writeln!(
            text,
            "ringlog_produce_stage_quantile_seconds_sum{{stage=\"{stage}\"}} {sum}\n\
             ringlog_produce_stage_quantile_seconds_count{{stage=\"{stage}\"}} {count}"
        )?;
    }
    Ok(())
}
