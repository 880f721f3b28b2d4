//! `ringlog bench`: the arguments of the load generator.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use jiff::SignedDuration;
use ringlog_bench::driver::{DriverKind, Durability};
use ringlog_bench::{Arrivals, Shape, ShapeError, TargetSpec, Vary};

use super::values::{byte_count, bytes, fetch_bytes};
use super::{Output, examples};

/// Targets take turns at every point, and every figure is told with its spread. With --rate, requests leave on a
/// schedule and response times count from when they were due; without, each connection keeps --in-flight requests under
/// way (a closed loop), and percentiles leave out what was not sent while the target stalled.
#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// The machine alone: raw io_uring programs, the limits that everything else is measured against
    #[command(after_help = examples::BENCH_DEVICE)]
    Device(DeviceArguments),
    /// Requests, each with one batch of records
    #[command(after_help = examples::BENCH_PRODUCE)]
    Produce(LoadArguments),
    /// Reading a stream from its start
    #[command(after_help = examples::BENCH_CONSUME)]
    Consume {
        /// Hand batches on as they are, without looking at their records
        #[arg(long)]
        pass_through: bool,
        /// Where what is read lies: beside answers from memory over TCP, or beside direct reads. For `device`, --fill must
        /// be more than the system keeps in memory
        #[arg(long, value_enum, default_value_t = ReadFromArgument::Memory)]
        from: ReadFromArgument,
        #[command(flatten)]
        load: LoadArguments,
    },
    /// Requests with consumers behind them: the time of each record from producer to consumer. Beside `raw` it stands
    /// against a round trip with the same durable write in it
    #[command(after_help = examples::BENCH_END_TO_END)]
    EndToEnd(LoadArguments),
    /// Requests at one rate after the other; without --rate, parts of what the first target can take
    #[command(after_help = examples::BENCH_RATE_LADDER)]
    RateLadder(LoadArguments),
    /// The highest rate that keeps the 99th percentile of the response time under a limit
    #[command(after_help = examples::BENCH_SLO_SEARCH)]
    SloSearch {
        /// The limit
        #[arg(long, value_name = "DURATION", default_value = "1ms", value_parser = duration)]
        p99: Duration,
        /// How often the range of rates is halved
        #[arg(long, value_name = "N", default_value_t = 8)]
        steps: u32,
        #[command(flatten)]
        load: LoadArguments,
    },
    /// What a consumer that reads old data at full speed does to producers: without and with it in turns. Beside `raw` the
    /// reader's bytes stand against direct reads
    #[command(after_help = examples::BENCH_COLD_READER)]
    ColdReader(LoadArguments),
    /// The cost of partitions: 1, 10, 100, 1000 and 10000 unless told otherwise; under load, then idle for as long
    #[command(after_help = examples::BENCH_PARTITIONS)]
    Partitions {
        /// Numbers of partitions
        #[arg(
            long = "counts",
            value_name = "N",
            value_delimiter = ',',
            default_value = "1,10,100,1000,10000"
        )]
        counts: Vec<u32>,
        #[command(flatten)]
        load: LoadArguments,
    },
    /// The cost of connections: 1, 16, 100, 1000 and 5000 unless told otherwise
    #[command(after_help = examples::BENCH_CONNECTIONS)]
    Connections(LoadArguments),
    /// What a producer feels of clients that are no good: it is measured alone, then among thousands of connections that
    /// say nothing, one that asks and never reads, one that sends a byte a second, and many that connect and vanish
    #[command(after_help = examples::BENCH_HOSTILE)]
    Hostile {
        /// Connections that say nothing
        #[arg(long, value_name = "N", default_value_t = 5000)]
        idle: usize,
        /// Connections that are made and let go of in ten seconds
        #[arg(long, value_name = "N", default_value_t = 1000)]
        vanishing: usize,
        #[command(flatten)]
        load: LoadArguments,
    },
    /// What got faster or slower from one result to another, beyond the spread of both
    #[command(after_help = examples::BENCH_COMPARE_RESULTS)]
    CompareResults {
        /// The folder of the first result, or its result.json
        before: PathBuf,
        /// The folder of the second one
        after: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// One long run (30 minutes unless told otherwise), for what changes with time. Give retention_bytes with --config, so
    /// that it goes on behind the start of retention. Ctrl-C ends it and keeps what was measured
    #[command(after_help = examples::BENCH_SOAK)]
    Soak(LoadArguments),
    /// The engine without a network beside raw writes: appends to logs in this process, durable
    #[command(after_help = examples::BENCH_APPEND)]
    Append(AppendArguments),
    /// How long a broker takes until it serves again after kill -9 with work under way
    #[command(after_help = examples::BENCH_RESTART)]
    Restart(RestartArguments),
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text
        .parse()
        .map_err(|_| format!("{text:?} is no duration, such as 500us, 5s or 30m"))?;
    Duration::try_from(duration).map_err(|_| "a duration cannot be negative".to_owned())
}

fn text<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.parse()
}

fn shape(text: &str) -> Result<Shape, String> {
    text.parse().map_err(|error: ShapeError| error.to_string())
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.replace('_', "");
    number
        .parse()
        .map_err(|_| format!("{text:?} is no number of requests a second"))
}

/// Where what a consumer reads lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadFromArgument {
    /// In the system's memory
    Memory,
    /// On the device
    Device,
}

/// `NAME=VALUE,VALUE,…`
fn vary(text: &str) -> Result<Vary, String> {
    let (name, values) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not KEY=VALUE,VALUE"))?;
    Ok(Vary {
        name: name.to_owned(),
        values: values.split(',').map(str::to_owned).collect(),
    })
}

/// What all runs have.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArguments {
    /// How long each run goes on before it measures
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) warm_up: Duration,
    /// How long each run measures [default: 5s; soak: 30m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// How many runs of each there are [default: 3; soak: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repetitions: Option<u32>,
    /// Memory that is touched before each run, so that none pays for pages that the host took back; 0 touches none
    #[arg(long, value_name = "BYTES", default_value = "3GiB", value_parser = bytes)]
    pub(crate) warm_memory: u64,
    /// Where raw programs make their files: give a directory on the device of the broker's data
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// How long raw programs that serve, and the engine of `append`, spin before they sleep: give what the broker has
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    pub(crate) raw_spin: Duration,
    /// Keep the result in this folder: result.json, report.html and a histogram log of each run
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct DeviceArguments {
    /// Which programs: write, write-sync, write-sync-plain, write-dsync, read, tcp-echo, tcp-durable, tcp-out [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = shape)]
    pub(crate) shape: Vec<Shape>,
    /// Sizes of a request
    #[arg(long, value_name = "BYTES", default_value = "4KiB", value_delimiter = ',', value_parser = byte_count)]
    pub(crate) record_bytes: Vec<usize>,
    /// Connections, for the programs that have some
    #[arg(long, value_name = "N", default_value = "1,16", value_delimiter = ',')]
    pub(crate) connections: Vec<usize>,
    /// Requests under way on the file, or on each connection
    #[arg(long, value_name = "N", default_value = "1", value_delimiter = ',')]
    pub(crate) in_flight: Vec<usize>,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

/// What loads have. Lists with commas are varied: every combination is measured.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArguments {
    /// The system: ringlog, wire (ringlog by requests made beforehand), kafka, nats, redis or iggy; all but the first two
    /// need a build with `--features peers`
    #[arg(long, value_name = "NAME", default_value = "ringlog", value_parser = text::<DriverKind>, conflicts_with = "compare")]
    pub(crate) driver: DriverKind,
    /// Address of the system [default: the usual one of --driver; of ringlog that in RINGLOG_BOOTSTRAP]
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "compare")]
    pub(crate) bootstrap: Option<String>,
    /// Targets in turns, with ratios to the first: each is `raw` or `[LABEL=]DRIVER[@HOST:PORT]`
    #[arg(long, value_name = "TARGETS", value_delimiter = ',', value_parser = text::<TargetSpec>)]
    pub(crate) compare: Vec<TargetSpec>,
    /// Sizes of a record's value
    #[arg(long, value_name = "BYTES", default_value = "1KiB", value_delimiter = ',', value_parser = byte_count)]
    pub(crate) record_bytes: Vec<usize>,
    /// Records of a request [default: 1; consume: 64]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(crate) batch_records: Vec<usize>,
    /// Connections [default: 1]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    pub(crate) connections: Vec<usize>,
    /// Partitions that requests are spread over in turn
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) partitions: u32,
    /// Give records keys, so many different ones; the key chooses the partition
    #[arg(long, value_name = "N")]
    pub(crate) keys: Option<u64>,
    /// Requests a second over all connections, on a schedule
    #[arg(long, value_name = "RATE", value_delimiter = ',', value_parser = rate)]
    pub(crate) rate: Vec<f64>,
    /// How requests follow each other on a schedule: fixed or poisson
    #[arg(long, value_name = "HOW", default_value = "poisson", value_parser = text::<Arrivals>)]
    pub(crate) arrivals: Arrivals,
    /// Requests under way on each connection, in a closed loop
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        value_delimiter = ',',
        conflicts_with = "rate"
    )]
    pub(crate) in_flight: Vec<usize>,
    /// When an acknowledgement is given: sync (on the device), async, memory (of ringlog with retention_bytes=16MiB unless
    /// --config says otherwise), or default (what the system does untold)
    #[arg(long, value_name = "LEVEL", default_value = "default", value_parser = text::<Durability>)]
    pub(crate) durability: Durability,
    /// A setting of the streams that are made, in the system's own words
    #[arg(long = "config", value_name = "KEY=VALUE")]
    pub(crate) config: Vec<String>,
    /// A setting of the streams that takes several values in turns, with ratios to the first; for one target
    #[arg(long, value_name = "KEY=VALUE,VALUE", value_parser = vary)]
    pub(crate) vary: Option<Vary>,
    /// Ask the system where its time went, with every request, and tell in which stage the tail arises (ringlog only)
    #[arg(long)]
    pub(crate) receipts: bool,
    /// Bytes that one poll of a consumer asks for
    #[arg(long, value_name = "BYTES", default_value = "1MiB", value_parser = fetch_bytes)]
    pub(crate) fetch_bytes: u32,
    /// Bytes that are written before something is read [default: 256MiB; from the device or with a cold reader: 4GiB]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) fill: Option<u64>,
    /// Threads of the generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) workers: u32,
    /// How much later than due a send is late
    #[arg(long, value_name = "DURATION", default_value = "1ms", value_parser = duration)]
    pub(crate) late_after: Duration,
    /// Part of the requests that may be late; a run with more is not valid
    #[arg(long, value_name = "PART", default_value_t = 0.01)]
    pub(crate) late_limit: f64,
    /// Where random schedules begin, for the same one again
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Admin address of ringlog, for its counters [default: the port behind --bootstrap]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) admin: Option<String>,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

#[derive(Debug, Args)]
pub(crate) struct AppendArguments {
    /// Sizes of a record's value
    #[arg(long, value_name = "BYTES", default_value = "4KiB", value_delimiter = ',', value_parser = byte_count)]
    pub(crate) record_bytes: Vec<usize>,
    /// Records of an append, which is one batch
    #[arg(long, value_name = "N", default_value = "1", value_delimiter = ',')]
    pub(crate) batch_records: Vec<usize>,
    /// Logs that are appended to at the same time, and flushed in common rounds; one stands beside raw writes
    #[arg(long, value_name = "N", default_value = "1", value_delimiter = ',')]
    pub(crate) counts: Vec<u32>,
    /// Appends under way on each log
    #[arg(long, value_name = "N", default_value = "1", value_delimiter = ',')]
    pub(crate) in_flight: Vec<usize>,
    /// Bytes that a log keeps: behind that, files of segments are used again
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = bytes)]
    pub(crate) retention: u64,
    /// Size that segments grow to, 1 MiB to 256 MiB
    #[arg(long, value_name = "BYTES", default_value = "256MiB", value_parser = bytes)]
    pub(crate) segment_bytes: u64,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

#[derive(Debug, Args)]
pub(crate) struct RestartArguments {
    /// Numbers of partitions
    #[arg(
        long = "counts",
        value_name = "N",
        value_delimiter = ',',
        default_value = "1,10,100,1000"
    )]
    pub(crate) counts: Vec<u32>,
    /// Bytes that are written before the first restart
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = bytes)]
    pub(crate) fill: u64,
    /// A setting of the topic
    #[arg(long = "config", value_name = "KEY=VALUE")]
    pub(crate) config: Vec<String>,
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// Further words for `ringlog broker`
    #[arg(last = true)]
    pub(crate) broker: Vec<String>,
}
