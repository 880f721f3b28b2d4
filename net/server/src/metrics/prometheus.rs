//! The text format of Prometheus, version 0.0.4: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

mod loops;
mod stages;

use std::fmt::Write;

use super::ShardMetrics;

/// The quantiles of a latency.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// A number of a shard: its name behind `ringlog_`, its type, what it is, and where it stands.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&ShardMetrics) -> u64,
}

macro_rules! families {
    ($($name:literal $kind:ident $help:literal = $value:expr;)+) => {
        &[$(Family { name: $name, kind: stringify!($kind), help: $help, value: $value },)+]
    };
}

const FAMILIES: &[Family] = families! {
    "received_bytes_total" counter "Bytes received from clients." = |shard| shard.received_bytes;
    "sent_bytes_total" counter "Bytes sent to clients." = |shard| shard.sent_bytes;
    "connections" gauge "Connections open." = |shard| shard.connections;
    "connections_accepted_total" counter "Connections taken." = |shard| shard.connections_accepted;
    "connections_refused_total" counter "Connections refused because there were too many." = |shard| shard.connections_refused;
    "connections_failed_total" counter "Connections closed for what the client did or did not do." = |shard| shard.connections_failed;
    "connections_handed_over_total" counter "Connections handed over to the shard that they asked for." = |shard| shard.handed_over;
    "forwarded_total" counter "Partitions of requests that came in on another shard than their owner's." = |shard| shard.forwarded;
    "buffer_waits_total" counter "Waits for a buffer, during which a connection is not read from." = |shard| shard.buffer_waits;
    "frames_refused_total" counter "Frames that were refused." = |shard| shard.frames_refused;
    "requests_in_flight" gauge "Requests under way." = |shard| shard.requests_in_flight;
    "calls_in_flight" gauge "Calls of other shards under way." = |shard| shard.calls_in_flight;
    "partitions" gauge "Partitions that are served." = |shard| shard.gauges.partitions;
    "partitions_offline" gauge "Partitions that are not served, although they should be." = |shard| shard.gauges.partitions_offline;
    "partitions_in_memory" gauge "Partitions that are in memory only." = |shard| shard.gauges.partitions_in_memory;
    "memory_bytes" gauge "Part of the buffer pool that holds the records of partitions in memory." = |shard| shard.gauges.memory_bytes;
    "memory_dropped_bytes_total" counter "Memory of records that left partitions in memory: by their bound, by age, or deleted." = |shard| shard.log.memory_dropped_bytes;
    "produces_waiting" gauge "Produces that wait to be stable." = |shard| shard.gauges.produces_waiting;
    "fetches_waiting" gauge "Fetches that wait for records, by partition." = |shard| shard.gauges.fetches_waiting;
    "pool_bytes" gauge "Memory of the buffer pool." = |shard| shard.gauges.pool_bytes;
    "cache_bytes" gauge "Part of the buffer pool that keeps the tails of the logs." = |shard| shard.gauges.cache_bytes;
    "read_ahead_bytes" gauge "Part of the buffer pool that holds what was read ahead of consumers." = |shard| shard.gauges.read_ahead_bytes;
    "commands_waiting" gauge "Commands that wait for the shard." = |shard| shard.gauges.commands_waiting;
    "flush_groups_total" counter "Flush groups that became durable." = |shard| shard.log.flush_groups;
    "flush_rounds_total" counter "Rounds of the flusher." = |shard| shard.log.flush_rounds;
    "appended_bytes_total" counter "Bytes of record batches appended." = |shard| shard.log.appended_bytes;
    "written_bytes_total" counter "Bytes written to segment files, whole blocks." = |shard| shard.log.written_bytes;
    "prepared_bytes_total" counter "Bytes of zeros written to segment files before their use." = |shard| shard.log.prepared_bytes;
    "metadata_bytes_total" counter "Bytes written of checkpoints and indexes, by recovery, and by recycling. Bytes written, prepared and of metadata, by bytes appended, are the write amplification." = |shard| shard.log.metadata_bytes;
    "files_recycled_total" counter "Files of removed segments that are used again." = |shard| shard.log.files_recycled;
    "rolls_prepared_total" counter "Segments begun in a prepared file, or in a recycled one." = |shard| shard.log.rolls_prepared;
    "rolls_unprepared_total" counter "Segments begun in a file that nobody had prepared." = |shard| shard.log.rolls_unprepared;
    "checkpoints_total" counter "Checkpoints written." = |shard| shard.log.checkpoints;
    "reads_from_memory_total" counter "Reads answered from memory." = |shard| shard.log.reads_from_memory;
    "reads_from_disk_total" counter "Reads answered from disk." = |shard| shard.log.reads_from_disk;
    "reads_ahead_total" counter "Windows of segment files read ahead of consumers." = |shard| shard.log.reads_ahead;
    "reads_from_read_ahead_total" counter "Reads answered from what had been read ahead." = |shard| shard.log.reads_from_read_ahead;
    "appends_without_space_total" counter "Appends refused for want of space on the device." = |shard| shard.log.appends_without_space;
    "appends_throttled_total" counter "Appends refused for want of memory." = |shard| shard.log.appends_throttled;
    "appends_duplicate_total" counter "Appends of idempotent producers that were in the log already." = |shard| shard.log.appends_duplicate;
    "segments_removed_total" counter "Segments removed by retention or delete_records." = |shard| shard.log.segments_removed;
    "loop_turns_total" counter "Turns of the loop of a core." = |shard| shard.loops.turns;
    "loop_polls_total" counter "Polls of tasks." = |shard| shard.loops.polls;
    "loop_parks_total" counter "Turns of the loop that waited." = |shard| shard.loops.parks;
    "loop_operations_total" counter "Operations on files and sockets handed to the kernel." = |shard| shard.loops.operations;
    "ring_submissions_total" counter "Submission queue entries of the ring." = |shard| shard.loops.driver.submissions;
    "ring_completions_total" counter "Completion queue entries of the ring." = |shard| shard.loops.driver.completions;
    "ring_enters_total" counter "System calls that submit to the ring or wait for it." = |shard| shard.loops.driver.enters;
    "log_failures_total" counter "Logs that failed for good." = |shard| shard.log.failures;
};

/// Renders what the shards have counted.
pub fn render(shards: &[ShardMetrics]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    write_all(&mut text, shards).ok();
    text
}

fn write_all(text: &mut String, shards: &[ShardMetrics]) -> std::fmt::Result {
    for family in FAMILIES {
        let Family {
            name,
            kind,
            help,
            value,
        } = family;
        head(text, name, kind, help)?;
        for shard in shards {
            writeln!(
                text,
                "ringlog_{name}{{shard=\"{}\"}} {}",
                shard.shard,
                value(shard)
            )?;
        }
    }
    head(text, "requests_total", "counter", "Requests answered.")?;
    each_api(shards, |shard, api| {
        writeln!(
            text,
            "ringlog_requests_total{{shard=\"{shard}\",api=\"{}\"}} {}",
            api.api, api.requests
        )
    })?;
    let help = "Requests refused as a whole.";
    head(text, "request_errors_total", "counter", help)?;
    each_api(shards, |shard, api| {
        writeln!(
            text,
            "ringlog_request_errors_total{{shard=\"{shard}\",api=\"{}\"}} {}",
            api.api, api.errors
        )
    })?;
    let help =
        "From a whole request to its answer, since the start; parked time of a fetch included.";
    head(text, "request_seconds", "summary", help)?;
    each_api(shards, |shard, api| {
        let labels = format!("shard=\"{shard}\",api=\"{}\"", api.api);
        let seconds = |micros: f64| micros / 1e6;
        for quantile in QUANTILES {
            let micros = api.latency_us.value_at_quantile(quantile);
            let value = seconds(f64::from(u32::try_from(micros).unwrap_or(u32::MAX)));
            writeln!(
                text,
                "ringlog_request_seconds{{{labels},quantile=\"{quantile}\"}} {value}"
            )?;
        }
        let count = api.latency_us.len();
        // Above 2^53 requests the sum is rounded.
        let sum = seconds(api.latency_us.mean()) * count as f64;
        writeln!(text, "ringlog_request_seconds_sum{{{labels}}} {sum}")?;
        writeln!(text, "ringlog_request_seconds_count{{{labels}}} {count}")
    })?;
    stages::write(text, shards)?;
    loops::write(text, shards)
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(
        text,
        "# HELP ringlog_{name} {help}\n# TYPE ringlog_{name} {kind}"
    )
}

fn each_api(
    shards: &[ShardMetrics],
    mut write: impl FnMut(ringlog_record::ShardId, &super::ApiCounts) -> std::fmt::Result,
) -> std::fmt::Result {
    for shard in shards {
        for api in &shard.apis {
            write(shard.shard, api)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
