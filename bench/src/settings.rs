//! What is to be measured.

use std::path::PathBuf;
use std::time::Duration;

use crate::driver::Durability;
use crate::error::BenchError;
use crate::limits::{CONNECTIONS_MAX, IN_FLIGHT_MAX, PARTITIONS_MAX, RATE_MAX, REQUEST_BYTES_MAX};
use crate::load::Load;
use crate::payload::STAMP_BYTES;
use crate::scenario::Crowd;
use crate::schedule::Arrivals;
use crate::target::{TargetSpec, distinct};

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub enum Scenario {
    /// The raw programs alone: the limits of the machine.
    Device {
        /// Which of them; all without any.
        shapes: Vec<ringlog_device::Shape>,
    },
    /// Requests are sent.
    Produce,
    /// A stream that was filled before is read from its start.
    Consume {
        /// Whether records are looked at one by one.
        is_decoding: bool,
        /// Where what is read lies.
        from: ReadFrom,
    },
    /// Requests are sent, and consumers follow: the time of each record from producer to consumer.
    EndToEnd,
    /// Requests are sent at one rate after the other.
    RateLadder,
    /// The highest rate that keeps the 99th percentile of the response time under a limit.
    SloSearch {
        /// The limit.
        p99_max: Duration,
        /// How often the range is halved.
        steps: u32,
    },
    /// What a consumer that reads old data at full speed does to producers.
    ColdReader,
    /// The cost of partitions.
    Partitions {
        /// How many, one point for each.
        counts: Vec<u32>,
    },
    /// The cost of connections.
    Connections,
    /// One long run, for what changes with time.
    Soak,
    /// A producer alone, then among clients that are no good.
    Hostile(Crowd),
    /// The engine without a network beside raw writes: appends to logs in this process.
    Append {
        /// How many logs are appended to at the same time, one point for each.
        counts: Vec<u32>,
    },
    /// A broker is killed with work under way and started again.
    Restart {
        /// How many partitions it has, one point for each.
        counts: Vec<u32>,
        /// How it is started.
        broker: BrokerCommand,
    },
}

/// Where what a consumer reads lies, which says what raw program stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// In the system's memory, if so much fits: beside answers from memory over TCP.
    Memory,
    /// On the device: beside direct reads.
    Device,
}

/// A program that is started as a broker of ringlog: address and data directory are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its words, as far as whoever measures has some.
    pub arguments: Vec<String>,
}

/// A setting of streams that takes several values in turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vary {
    /// Its name, in the system's own words.
    pub name: String,
    /// Its values: figures of the others are put beside those of the first.
    pub values: Vec<String>,
}

impl Scenario {
    /// The name on the command line and in results.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Device { .. } => "device",
            Self::Produce => "produce",
            Self::Consume { .. } => "consume",
            Self::EndToEnd => "end-to-end",
            Self::RateLadder => "rate-ladder",
            Self::SloSearch { .. } => "slo-search",
            Self::ColdReader => "cold-reader",
            Self::Partitions { .. } => "partitions",
            Self::Connections => "connections",
            Self::Hostile(_) => "hostile",
            Self::Soak => "soak",
            Self::Append { .. } => "append",
            Self::Restart { .. } => "restart",
        }
    }
}

/// How often, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long each run goes on before it measures.
    pub warm_up: Duration,
    /// How long it measures.
    pub duration: Duration,
    /// How many runs of each there are.
    pub repetitions: u32,
}

/// A run of the harness. Lists are varied: every combination is a point.
#[derive(Clone, Debug)]
pub struct BenchSettings {
    /// What is done.
    pub scenario: Scenario,
    /// What is loaded, in turns.
    pub targets: Vec<TargetSpec>,
    /// Where raw programs make their files: on the device of the systems' data.
    pub dir: PathBuf,
    /// How long raw programs that serve spin before they sleep.
    pub raw_spin: Duration,
    /// Sizes of a record's value.
    pub record_bytes: Vec<usize>,
    /// Records of a request.
    pub batch_records: Vec<usize>,
    /// Numbers of connections.
    pub connections: Vec<usize>,
    /// Partitions that requests are spread over.
    pub partitions: u32,
    /// Distinct keys; none sends records without keys.
    pub keys: Option<u64>,
    /// Requests a second over all connections; none is the closed loop.
    pub rates: Vec<f64>,
    /// How requests follow each other on a schedule.
    pub arrivals: Arrivals,
    /// Requests under way on a connection, in a closed loop.
    pub in_flight: Vec<usize>,
    /// When an acknowledgement is given.
    pub durability: Durability,
    /// Settings of the streams in the system's own words.
    pub stream_settings: Vec<(String, String)>,
    /// A setting of the streams that takes several values in turns.
    pub vary: Option<Vary>,
    /// Whether the system is asked where its time went, with every request.
    pub wants_receipts: bool,
    /// Bytes that one poll of a consumer asks for.
    pub fetch_bytes: u32,
    /// Bytes that are written before something is read.
    pub fill_bytes: u64,
    /// How often, and for how long.
    pub timing: Timing,
    /// Bytes that a log keeps, for the engine without a network.
    pub retention_bytes: u64,
    /// Size that its segments grow to, for the engine without a network.
    pub segment_bytes: u64,
    /// Threads of the generator.
    pub workers: u32,
    /// Memory that is touched before each repetition; 0 touches none.
    pub warm_memory_bytes: u64,
    /// How much later than due a send is late.
    pub late_after: Duration,
    /// Part of the requests that may be late.
    pub late_share_max: f64,
    /// Where random schedules begin.
    pub seed: u64,
    /// Admin address of the first ringlog target, for its counters.
    pub admin: Option<String>,
    /// Where the result is kept.
    pub out: Option<PathBuf>,
    /// The command line, for whoever runs it again.
    pub command: Vec<String>,
}

impl BenchSettings {
    /// The loads that are asked for.
    pub(crate) fn loads(&self) -> Vec<Load> {
        if self.rates.is_empty() {
            let in_flight = self.in_flight.iter();
            return in_flight
                .map(|&in_flight| Load::Closed { in_flight })
                .collect();
        }
        let arrivals = self.arrivals;
        let rates = self.rates.iter();
        rates.map(|&rate| Load::Open { rate, arrivals }).collect()
    }

    /// Refuses what cannot be measured, with a sentence that says what can.
    pub(crate) fn check(&self) -> Result<(), BenchError> {
        let refuse = |message: String| Err(BenchError::Settings(message));
        distinct(&self.targets)?;
        if self.targets.is_empty() {
            return refuse("there is no target".to_owned());
        }
        for &connections in &self.connections {
            within("connections", connections, CONNECTIONS_MAX)?;
        }
        for &in_flight in &self.in_flight {
            within("in-flight", in_flight, IN_FLIGHT_MAX)?;
        }
        within("repetitions", self.timing.repetitions as usize, 1000)?;
        within("workers", self.workers as usize, 64)?;
        if self.timing.duration.is_zero() {
            return refuse("--duration must be more than 0".to_owned());
        }
        for &rate in &self.rates {
            if !(rate > 0.0 && rate <= RATE_MAX) {
                return refuse(format!(
                    "--rate {rate}: more than 0 and at most {RATE_MAX} is allowed"
                ));
            }
        }
        if !(0.0..=1.0).contains(&self.late_share_max) {
            return refuse("--late-limit is a part, from 0 to 1".to_owned());
        }
        let (name, counts) = match &self.scenario {
            Scenario::Partitions { counts }
            | Scenario::Append { counts }
            | Scenario::Restart { counts, .. } => ("counts", counts.clone()),
            _ => ("partitions", vec![self.partitions]),
        };
        for count in counts {
            within(name, count as usize, PARTITIONS_MAX as usize)?;
        }
        if self.keys == Some(0) {
            return refuse("--keys must be at least 1".to_owned());
        }
        if matches!(self.scenario, Scenario::Device { .. }) {
            return Ok(());
        }
        for &record_bytes in &self.record_bytes {
            for &batch_records in &self.batch_records {
                let request = record_bytes.saturating_mul(batch_records);
                if !(1..=REQUEST_BYTES_MAX).contains(&request) {
                    return refuse(format!(
                        "{batch_records} records of {record_bytes} bytes: a request of 1 to {REQUEST_BYTES_MAX} bytes \
                         is allowed"
                    ));
                }
            }
            if self.scenario == Scenario::EndToEnd && record_bytes < STAMP_BYTES {
                return refuse(format!(
                    "--record-bytes {record_bytes}: end-to-end latency needs records of at least {STAMP_BYTES} bytes, \
                     for the stamp in each"
                ));
            }
        }
        if let Some(Vary { name, values }) = &self.vary
            && (values.len() < 2 || self.targets.len() > 1)
        {
            return refuse(format!(
                "--vary {name}=…: it takes two values or more, and one target"
            ));
        }
        self.check_raw()
    }

    /// What the raw programs can stand beside.
    fn check_raw(&self) -> Result<(), BenchError> {
        if self.targets.iter().all(|target| target.driver.is_some()) {
            return Ok(());
        }
        let can = match self.scenario {
            Scenario::Consume { .. } | Scenario::Append { .. } | Scenario::Restart { .. } => true,
            Scenario::Produce | Scenario::Connections => {
                self.rates.is_empty() && self.durability != Durability::Default
            }
            Scenario::EndToEnd => self.rates.is_empty() && self.durability == Durability::Sync,
            // Beside the reader; the load needs a system.
            Scenario::ColdReader => self.targets.iter().any(|target| target.driver.is_some()),
            _ => false,
        };
        if can {
            return Ok(());
        }
        let message = "the target raw can be compared in consume and, beside another target, in cold-reader; and as a \
                       closed loop (without --rate) in produce and connections with --durability sync, async or memory, \
                       and in end-to-end with --durability sync";
        Err(BenchError::Settings(message.to_owned()))
    }
}

fn within(name: &str, value: usize, max: usize) -> Result<(), BenchError> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    let message = format!("--{name} {value}: 1 to {max} is allowed");
    Err(BenchError::Settings(message))
}
