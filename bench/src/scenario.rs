//! The scenarios: which points are measured, and what is said of them.

mod hostile;
mod restart;
mod search;

pub use self::hostile::Crowd;
use crate::error::BenchError;
use crate::load::{Load, Shape};
use crate::result::Point;
use crate::schedule::Arrivals;
use crate::session::{AppendTo, Beside, Lane, PointPlan, PointWork, READ_DEPTH, Session};
use crate::settings::{BenchSettings, ReadFrom, Scenario, Vary};
use crate::summary::as_f64;

/// In-flight requests on a connection when the most that a target can take is looked for.
const PROBE_IN_FLIGHT: usize = 16;

/// Parts of the most that a target can take, for a ladder without rates.
const LADDER: [f64; 6] = [0.1, 0.25, 0.5, 0.7, 0.85, 0.95];

/// Measures all points of the session's scenario.
pub(crate) async fn run(session: &mut Session<'_>) -> Result<(), BenchError> {
    let settings = session.settings();
    match &settings.scenario {
        Scenario::Device { shapes } => device(session, shapes).await,
        Scenario::Produce | Scenario::Connections => every(session, &Extra::default()).await,
        Scenario::Soak => {
            let ended = every(session, &Extra::default()).await;
            session.note(
                "A soak is read over time: the plots of latency, throughput and memory over time should be flat."
                    .to_owned(),
            );
            let notes: Vec<String> = session.points().iter().filter_map(memory).collect();
            notes.into_iter().for_each(|note| session.note(note));
            ended
        }
        Scenario::EndToEnd => {
            let extra = Extra {
                is_followed: true,
                ..Extra::default()
            };
            every(session, &extra).await
        }
        Scenario::Consume { is_decoding, from } => consume(session, *is_decoding, *from).await,
        Scenario::RateLadder => rate_ladder(session).await,
        Scenario::SloSearch { p99_max, steps } => {
            search::slo_search(session, *p99_max, *steps).await
        }
        Scenario::ColdReader => cold_reader(session).await,
        Scenario::Partitions { counts } => partitions(session, counts).await,
        Scenario::Hostile(crowd) => hostile::run(session, *crowd).await,
        Scenario::Append { counts } => append(session, counts).await,
        Scenario::Restart { counts, broker } => restart::restart(session, counts, broker).await,
    }
}

/// What became of the server's memory while so much passed through; nothing when it is not known.
fn memory(point: &Point) -> Option<String> {
    let steps = point.repetitions.iter().flat_map(|one| &one.intervals);
    let steps: Vec<u64> = steps.filter_map(|step| step.server_memory_bytes).collect();
    let (first, last, most) = (steps.first()?, steps.last()?, steps.iter().max()?);
    let passed: u64 = point.repetitions.iter().map(|one| one.bytes).sum();
    Some(format!(
        "{}: {:.1} GB passed; memory of the server {} MiB in the first step, {} MiB in the last one, {} MiB at most.",
        point.target,
        as_f64(passed) / 1e9,
        first >> 20,
        last >> 20,
        most >> 20
    ))
}

/// What a scenario adds to plain requests.
#[derive(Clone, Debug, Default)]
struct Extra {
    phase: String,
    partitions: Option<u32>,
    is_followed: bool,
    is_idle_watched: bool,
    /// Instead of the loads of the settings.
    load: Option<Load>,
}

/// Every combination of what the settings vary: targets in turns, or the values of a setting.
async fn every(session: &mut Session<'_>, extra: &Extra) -> Result<(), BenchError> {
    for plan in plans(session, extra) {
        match &session.settings().vary {
            None => session.point(&plan).await?,
            Some(vary) => {
                let lanes = varied(&plan, vary);
                let repetitions = session.settings().timing.repetitions;
                session.lanes(&lanes, repetitions).await?;
            }
        }
    }
    Ok(())
}

/// A lane for each value of a setting, beside that of the first one.
fn varied(plan: &PointPlan, vary: &Vary) -> Vec<Lane> {
    let lanes = vary.values.iter().enumerate().map(|(index, value)| {
        let setting = format!("{}={value}", vary.name);
        let phase = if plan.phase.is_empty() {
            setting
        } else {
            format!("{}, {setting}", plan.phase)
        };
        Lane {
            target: 0,
            plan: PointPlan {
                phase,
                stream_setting: Some((vary.name.clone(), value.clone())),
                ..plan.clone()
            },
            beside: if index == 0 {
                Vec::new()
            } else {
                vec![Beside::Load(0)]
            },
        }
    });
    lanes.collect()
}

fn plans(session: &Session<'_>, extra: &Extra) -> Vec<PointPlan> {
    let settings = session.settings();
    let loads = extra
        .load
        .map_or_else(|| settings.loads(), |load| vec![load]);
    let partitions = extra.partitions.unwrap_or(settings.partitions);
    let mut plans = Vec::new();
    for shape in shapes(settings, partitions) {
        for &connections in &settings.connections {
            for &load in &loads {
                let work = PointWork::Produce {
                    shape,
                    load,
                    is_followed: extra.is_followed,
                };
                plans.push(PointPlan {
                    phase: extra.phase.clone(),
                    is_idle_watched: extra.is_idle_watched,
                    ..PointPlan::new(work, connections, partitions)
                });
            }
        }
    }
    plans
}

/// Every request that the settings vary.
fn shapes(settings: &BenchSettings, partitions: u32) -> Vec<Shape> {
    let records = settings.record_bytes.iter();
    let shapes = records.flat_map(|&record_bytes| {
        settings
            .batch_records
            .iter()
            .map(move |&batch_records| Shape {
                record_bytes,
                batch_records,
                partitions,
                keys: settings.keys,
            })
    });
    shapes.collect()
}

async fn device(
    session: &mut Session<'_>,
    shapes: &[ringlog_device::Shape],
) -> Result<(), BenchError> {
    let settings = session.settings();
    let shapes = if shapes.is_empty() {
        ringlog_device::Shape::ALL
    } else {
        shapes
    };
    for &shape in shapes {
        let connections: &[usize] = if shape.is_network() {
            &settings.connections
        } else {
            &[1]
        };
        for &record_bytes in &settings.record_bytes {
            for &connections in connections {
                for &depth in &settings.in_flight {
                    let work = PointWork::Device {
                        shape,
                        record_bytes,
                        depth,
                    };
                    let plan = PointPlan {
                        phase: shape.name().to_owned(),
                        ..PointPlan::new(work, connections, 1)
                    };
                    session.point(&plan).await?;
                }
            }
        }
    }
    Ok(())
}

async fn consume(
    session: &mut Session<'_>,
    is_decoding: bool,
    from: ReadFrom,
) -> Result<(), BenchError> {
    let settings = session.settings();
    let partitions = settings.partitions;
    for shape in shapes(settings, partitions) {
        for &connections in &settings.connections {
            let work = PointWork::Consume {
                shape,
                is_decoding,
                from,
            };
            let plan = PointPlan::new(work, connections, partitions);
            session.point(&plan).await?;
        }
    }
    if from == ReadFrom::Device {
        session.note(format!(
            "What is read is said to be on the device: {} MiB were written before, which must be more than the system \
             and, where it uses it, the page cache can hold. The counters of ringlog tell what came from where.",
            settings.fill_bytes >> 20
        ));
    }
    Ok(())
}

/// Rates as asked for, or parts of what the first target can take.
async fn rate_ladder(session: &mut Session<'_>) -> Result<(), BenchError> {
    let settings = session.settings();
    if !settings.rates.is_empty() {
        return every(session, &Extra::default()).await;
    }
    let most = most(session, 0).await?;
    let name = session.target_name(0).to_owned();
    session.note(format!(
        "The rates are parts of {most:.0} requests/s, what {name} takes in a closed loop with {PROBE_IN_FLIGHT} in flight on \
         each connection."
    ));
    for part in LADDER {
        let extra = Extra {
            load: Some(Load::Open {
                rate: (most * part).max(1.0),
                arrivals: settings.arrivals,
            }),
            ..Extra::default()
        };
        every(session, &extra).await?;
    }
    Ok(())
}

/// Requests a second that a target takes when there are always more.
async fn most(session: &mut Session<'_>, target: usize) -> Result<f64, BenchError> {
    let extra = Extra {
        phase: "the most in a closed loop".to_owned(),
        load: Some(Load::Closed {
            in_flight: PROBE_IN_FLIGHT,
        }),
        ..Extra::default()
    };
    let mut most = 0.0_f64;
    for plan in plans(session, &extra).iter().take(1) {
        for point in session.point_of(plan, &[target], 1).await? {
            most = most.max(point.summary.requests_per_s);
        }
    }
    Ok(most)
}

/// Each system without and with a reader of old data, in turns; raw programs read as well, to be compared with the
/// reader.
async fn cold_reader(session: &mut Session<'_>) -> Result<(), BenchError> {
    let settings = session.settings();
    for plan in plans(session, &Extra::default()) {
        let mut lanes = Vec::new();
        let mut raw = None;
        for (target, spec) in settings.targets.iter().enumerate() {
            if spec.driver.is_none() {
                raw = Some(lanes.len());
                lanes.push(Lane {
                    target,
                    plan: raw_reads(settings),
                    beside: Vec::new(),
                });
            }
        }
        for (target, spec) in settings.targets.iter().enumerate() {
            if spec.driver.is_none() {
                continue;
            }
            let quiet = lanes.len();
            for has_cold_reader in [false, true] {
                let (phase, beside) = if has_cold_reader {
                    let reader = raw.map(Beside::Background);
                    let beside = std::iter::once(Beside::Load(quiet)).chain(reader);
                    ("with a cold reader", beside.collect())
                } else {
                    ("quiet", Vec::new())
                };
                lanes.push(Lane {
                    target,
                    plan: PointPlan {
                        phase: phase.to_owned(),
                        has_cold_reader,
                        ..plan.clone()
                    },
                    beside,
                });
            }
        }
        session.lanes(&lanes, settings.timing.repetitions).await?;
    }
    let mib = settings.fill_bytes >> 20;
    session.note(format!(
        "The cold reader reads {mib} MiB from the start, over and over, at full speed. What of it is in a cache decides \
         how cold it is: give more with --fill than the system and, where it uses it, the page cache can hold."
    ));
    Ok(())
}

/// Reads of the size that a consumer asks for.
fn raw_reads(settings: &BenchSettings) -> PointPlan {
    let shape = ringlog_device::Shape::Read;
    let work = PointWork::Device {
        shape,
        record_bytes: usize::try_from(settings.fetch_bytes).unwrap_or(usize::MAX),
        depth: READ_DEPTH,
    };
    PointPlan {
        phase: shape.name().to_owned(),
        ..PointPlan::new(work, 1, 1)
    }
}

/// The engine without a network beside raw writes; many logs at a time beside one.
async fn append(session: &mut Session<'_>, counts: &[u32]) -> Result<(), BenchError> {
    let settings = session.settings();
    for &count in counts {
        for shape in shapes(settings, count) {
            for &in_flight in &settings.in_flight {
                let lane = |target, to, beside| {
                    let work = PointWork::Append {
                        shape,
                        in_flight,
                        to,
                    };
                    Lane {
                        target,
                        plan: PointPlan::new(work, 1, count),
                        beside,
                    }
                };
                let mut lanes = Vec::new();
                if count == 1 {
                    lanes.push(lane(0, AppendTo::File, Vec::new()));
                    lanes.push(lane(1, AppendTo::Log, vec![Beside::Load(0)]));
                } else {
                    lanes.push(lane(1, AppendTo::Log, Vec::new()));
                }
                session.lanes(&lanes, settings.timing.repetitions).await?;
            }
        }
    }
    Ok(())
}

async fn partitions(session: &mut Session<'_>, counts: &[u32]) -> Result<(), BenchError> {
    for &count in counts {
        let extra = Extra {
            partitions: Some(count),
            is_idle_watched: true,
            ..Extra::default()
        };
        every(session, &extra).await?;
    }
    Ok(())
}

/// A schedule with the settings' arrivals.
fn open(session: &Session<'_>, rate: f64) -> Load {
    let arrivals: Arrivals = session.settings().arrivals;
    Load::Open { rate, arrivals }
}
