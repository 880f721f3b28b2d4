//! Where the broker's time went, as `produce --receipt` tells it.

use std::fmt::Write;

use ringlog_client::StageStats;
use serde_json::{Map, Value, json};

use crate::output::counted;

/// A line for each stage below a heading; a sentence when there were no receipts.
pub(super) fn table(stages: &StageStats) -> String {
    let Some((_, first)) = stages.iter().next() else {
        return "no receipts: the broker gives none, or nothing was acknowledged".to_owned();
    };
    let requests = first.len();
    let mut text = format!(
        "the broker's time for {name}, in us\n{:<12}{:>12}{:>12}{:>12}",
        "stage",
        "p50",
        "p99",
        "max",
        name = counted(requests, "request")
    );
    for (stage, ns) in stages.iter() {
        let (p50, p99) = (ns.value_at_quantile(0.5), ns.value_at_quantile(0.99));
        let [p50, p99, max] = [p50, p99, ns.max()].map(micros);
        // Writing to a string does not fail.
        write!(text, "\n{stage:<12}{p50:>12}{p99:>12}{max:>12}").ok();
    }
    text
}

/// By stage; nothing without receipts.
pub(super) fn json(stages: &StageStats) -> Value {
    let named = stages.iter().map(|(stage, ns)| {
        let told = json!({
            "p50": ns.value_at_quantile(0.5),
            "p99": ns.value_at_quantile(0.99),
            "max": ns.max(),
        });
        (stage.to_owned(), told)
    });
    Value::Object(named.collect::<Map<_, _>>())
}

/// Microseconds with a decimal.
fn micros(ns: u64) -> String {
    format!("{}.{}", ns / 1_000, ns % 1_000 / 100)
}
