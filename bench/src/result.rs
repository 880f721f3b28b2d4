//! What was measured, as it is kept: plain data, with units in the names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::driver::{Counters, DriverKind, Durability};
use crate::spread::Spread;

/// The version of this form; a reader refuses another one.
pub const RESULT_FORMAT: u32 = 2;

/// One run of the harness: some targets, each at the same points, several times and in turns.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// [`RESULT_FORMAT`].
    pub format: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// The command that makes this run again, word by word.
    pub command: Vec<String>,
    /// When it began (RFC 3339, UTC).
    pub started_at: String,
    /// How long all of it took, in seconds.
    pub took_s: f64,
    /// Where it ran: names and values, such as `kernel`, `processors`, `device`, `git revision`.
    pub environment: BTreeMap<String, String>,
    /// How it ran: names and values, such as `duration`, `warm-up`, `placement`, `load`.
    pub settings: BTreeMap<String, String>,
    /// What was loaded, in the order in which they took turns.
    pub targets: Vec<TargetInfo>,
    /// The figures: one for each target at each point, points in order, targets in order within a point.
    pub points: Vec<Point>,
    /// What a reader should know, in sentences.
    pub notes: Vec<String>,
    /// Why not all was measured; none when it was.
    pub ended_early: Option<String>,
}

/// A system that was loaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetInfo {
    /// How it is called in the points, unique within the run.
    pub name: String,
    /// The driver; none for the raw programs.
    pub driver: Option<DriverKind>,
    /// Its address; empty for the raw programs.
    pub bootstrap: String,
    /// What it said of itself.
    pub said: BTreeMap<String, String>,
}

/// One combination of the things that are varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointSettings {
    /// What is done, when a scenario does several things: `quiet`, `with a cold reader`, `write-sync`; else empty.
    pub phase: String,
    /// Size of a record's value.
    pub record_bytes: usize,
    /// Records of a request.
    pub batch_records: usize,
    /// Connections.
    pub connections: usize,
    /// Partitions of the topic.
    pub partitions: u32,
    /// Requests under way on each connection at a time; none with a schedule.
    pub in_flight: Option<usize>,
    /// Requests a second over all connections; none in a closed loop.
    pub rate: Option<f64>,
    /// When an acknowledgement was given.
    pub durability: Durability,
}

/// One target at one point.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// Name of the target.
    pub target: String,
    /// The point.
    #[serde(flatten)]
    pub settings: PointSettings,
    /// All repetitions together.
    #[serde(flatten)]
    pub summary: Summary,
    /// The figures beside those of others that took turns with it, repetition by repetition.
    pub ratios: Vec<Ratio>,
    /// Each repetition.
    pub repetitions: Vec<Repetition>,
}

/// The repetitions of a point together: rates are the median repetition's, percentiles those of the merged histograms.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Requests answered a second.
    pub requests_per_s: f64,
    /// Records acknowledged or read a second.
    pub records_per_s: f64,
    /// Bytes of their values a second.
    pub bytes_per_s: f64,
    /// From the intended send to the answer.
    pub response_ns: Percentiles,
    /// From the real send to the answer.
    pub service_ns: Percentiles,
    /// From the intended send of a record to its arrival at the consumer, where there was one.
    pub end_to_end_ns: Option<Percentiles>,
    /// Part of the requests that the generator sent late, of all repetitions.
    pub late_share: f64,
    /// Requests that failed or were not answered, of all repetitions.
    pub errors: u64,
    /// Whether every repetition is valid.
    pub is_valid: bool,
    /// Whether the generator of a closed loop had little time to spare: its figures are of the pair.
    pub is_generator_bound: bool,
    /// Where the time of the requests went, by how long they took; empty without receipts.
    pub stages: Vec<StageBand>,
    /// The spread over the repetitions.
    pub spread: SummarySpread,
}

/// How far repetitions lay apart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SummarySpread {
    /// Requests a second.
    pub requests_per_s: Option<Spread>,
    /// Bytes a second.
    pub bytes_per_s: Option<Spread>,
    /// Median response time; none when a repetition has too few samples for it, as for all percentiles.
    pub response_p50_ns: Option<Spread>,
    /// 99th percentile of the response time.
    pub response_p99_ns: Option<Spread>,
    /// 99.9th percentile of the response time.
    pub response_p999_ns: Option<Spread>,
    /// CPU time of the server for each request, in microseconds.
    pub server_cpu_us_per_request: Option<Spread>,
}

/// Requests between two percentiles of the response time, and where their time went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageBand {
    /// The lower percentile.
    pub from_percentile: f64,
    /// The upper percentile.
    pub to_percentile: f64,
    /// How many requests there are.
    pub requests: u64,
    /// Their mean response time.
    pub response_mean_ns: u64,
    /// What each stage took of it, on average: the server's stages in their order, then all that is none of them.
    pub stages_mean_ns: Vec<(String, u64)>,
}

/// Figures divided by those of another one, pair by pair of repetitions that followed each other.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Ratio {
    /// What the figures are divided by: the name of a target, with what it did if that differs.
    pub to: String,
    /// Of requests a second: more is better.
    pub requests_per_s: Option<Spread>,
    /// Of bytes a second: more is better.
    pub bytes_per_s: Option<Spread>,
    /// Of median response times: less is better.
    pub response_p50: Option<Spread>,
    /// Of 99th percentiles of response times: less is better.
    pub response_p99: Option<Spread>,
    /// Of 99.9th percentiles of response times: less is better.
    pub response_p999: Option<Spread>,
    /// Of median end-to-end times: less is better.
    pub end_to_end_p50: Option<Spread>,
    /// Of 99th percentiles of end-to-end times: less is better.
    pub end_to_end_p99: Option<Spread>,
    /// Not divided but taken away: how much longer the median response time is, in nanoseconds.
    pub response_p50_more_ns: Option<Spread>,
    /// Not divided but taken away: how much more CPU time the server takes for a request, in microseconds.
    pub server_cpu_more_us: Option<Spread>,
    /// Of bytes a second of what went on beside the load, by the bytes a second of the other one.
    pub background_bytes_per_s: Option<Spread>,
}

/// Percentiles of a histogram, in nanoseconds. One that has fewer than 100 samples above it is none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// The median.
    pub p50: Option<u64>,
    /// The 90th percentile.
    pub p90: Option<u64>,
    /// The 99th percentile.
    pub p99: Option<u64>,
    /// The 99.9th percentile.
    pub p999: Option<u64>,
    /// The 99.99th percentile.
    pub p9999: Option<u64>,
    /// The slowest, exactly; none when nothing was counted.
    pub max: Option<u64>,
    /// Number of samples.
    pub count: u64,
    /// The whole curve for plots: percentile (0 to 100) and value, ascending, as far as there are enough samples, with
    /// the maximum at 100 last.
    pub curve: Vec<(f64, u64)>,
}

/// One repetition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repetition {
    /// Requests answered within the measured time.
    pub requests: u64,
    /// Their records.
    pub records: u64,
    /// Bytes of the values of those.
    pub bytes: u64,
    /// How long was measured, in seconds.
    pub elapsed_s: f64,
    /// Requests a second.
    pub requests_per_s: f64,
    /// Records a second.
    pub records_per_s: f64,
    /// Bytes a second.
    pub bytes_per_s: f64,
    /// From the intended send to the answer.
    pub response_ns: Percentiles,
    /// From the real send to the answer.
    pub service_ns: Percentiles,
    /// Per record, where there was a consumer.
    pub end_to_end_ns: Option<Percentiles>,
    /// Requests that were due within the measured time.
    pub due: u64,
    /// Those of them that left late by more than the settings allow.
    pub late: u64,
    /// `late` of `due`.
    pub late_share: f64,
    /// The latest send, in nanoseconds after its time.
    pub late_max_ns: u64,
    /// Requests that failed or were not answered in time.
    pub errors: u64,
    /// What went wrong, each kind once.
    pub error_kinds: Vec<String>,
    /// Why the figures must not be used; empty when they can.
    pub invalid: Vec<String>,
    /// CPU time of the generator as a part of one processor.
    pub generator_cpu_share: f64,
    /// What the server used; none when it runs elsewhere or is not known.
    pub server: Option<ServerUse>,
    /// What the server counted before and after.
    pub counters_before: Counters,
    /// See `counters_before`.
    pub counters_after: Counters,
    /// CPU time of the server while nobody asked it for anything, as a part of one processor, where that was looked at.
    pub idle_cpu_share: Option<f64>,
    /// How long a restart took, where there was one.
    pub restart: Option<Restart>,
    /// What happened when, in equal steps.
    pub intervals: Vec<Interval>,
    /// Bytes a second of what went on beside the load, such as a cold reader.
    pub background_bytes_per_s: Option<f64>,
    /// The histogram log beside this file, if results are kept.
    pub hlog: Option<String>,
}

/// What the server's process used within the measured time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerUse {
    /// CPU time, in seconds.
    pub cpu_s: f64,
    /// CPU time as a part of one processor.
    pub cpu_share: f64,
    /// Memory at the end (resident set), in bytes.
    pub memory_bytes: u64,
    /// Bytes that it had written to the device.
    pub written_bytes: u64,
}

/// A broker that was killed with work under way and started again, in seconds from its start.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restart {
    /// Until it took a connection and told its topics.
    pub answers_s: f64,
    /// Until each partition had taken a batch.
    pub all_partitions_s: f64,
    /// Bytes that were in its log.
    pub log_bytes: u64,
}

/// A step of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its begin, in seconds since the measurement began.
    pub at_s: f64,
    /// Its length, in seconds.
    pub length_s: f64,
    /// Requests answered in it.
    pub requests: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// Response times of the requests that were due in it: the median, if there are enough.
    pub response_p50_ns: Option<u64>,
    /// The 99th percentile, if there are enough.
    pub response_p99_ns: Option<u64>,
    /// The 99.9th percentile, if there are enough.
    pub response_p999_ns: Option<u64>,
    /// The slowest; none when no request was due.
    pub response_max_ns: Option<u64>,
    /// Memory of the server at its end (resident set), in bytes; none when that is not known, as what follows.
    pub server_memory_bytes: Option<u64>,
    /// Bytes that the server had written to the device in it.
    pub server_written_bytes: Option<u64>,
    /// CPU time of the server in it, as a part of one processor.
    pub server_cpu_share: Option<f64>,
}
