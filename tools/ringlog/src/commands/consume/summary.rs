//! What `consume --output json` says at the end.

use std::collections::BTreeMap;
use std::time::Instant;

use ringlog_record::batch::RecordView;
use ringlog_record::{Offset, PartitionIndex};
use serde_json::json;

use crate::output::{Format, print_error_json};

/// Why no more records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As many as were asked for.
    Max,
    /// All that were there when it began.
    All,
    /// A signal.
    Interrupted,
    /// Nobody reads the output.
    OutputClosed,
}

/// What was printed.
pub(super) struct Summary {
    began: Instant,
    records: u64,
    /// Of keys and values.
    bytes: u64,
    /// The offset behind what was printed of each partition.
    next: BTreeMap<PartitionIndex, Offset>,
}

impl Summary {
    /// Of nothing yet; `positions` are where each partition begins.
    pub(super) fn new<'a>(
        positions: impl Iterator<Item = (&'a str, PartitionIndex, Offset)>,
    ) -> Self {
        Self {
            began: Instant::now(),
            records: 0,
            bytes: 0,
            next: positions
                .map(|(_, partition, offset)| (partition, offset))
                .collect(),
        }
    }

    /// A record was printed.
    pub(super) fn note(&mut self, partition: PartitionIndex, record: &RecordView<'_>) {
        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len) as u64;
        self.records += 1;
        self.bytes += length(record.key) + length(record.value);
        self.next.insert(partition, record.offset.next());
    }

    /// The offset behind what was printed of each partition.
    pub(super) fn next(&self) -> &BTreeMap<PartitionIndex, Offset> {
        &self.next
    }

    /// Prints it on standard error. People see the records, and need no more.
    pub(super) fn print(&self, end: End, form: Format) {
        if form == Format::Table {
            return;
        }
        let next = self.next.iter().map(
            |(partition, next)| json!({ "partition": partition.get(), "next_offset": next.get() }),
        );
        print_error_json(&json!({
            "records": self.records,
            "record_bytes": self.bytes,
            "seconds": self.began.elapsed().as_secs_f64(),
            "ended_by": match end {
                End::Max => "max",
                End::All => "until_end",
                End::Interrupted => "interrupt",
                End::OutputClosed => "output_closed",
            },
            "partitions": next.collect::<Vec<_>>(),
        }));
    }
}
