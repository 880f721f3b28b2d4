//! The scenarios: which points are measured, and what is said of them.

mod hostile;
mod search;

pub use self::hostile::Crowd;
use crate::error::BenchError;
use crate::load::{Load, Shape};
use crate::schedule::Arrivals;
use crate::session::{PointPlan, PointWork, Session};
use crate::settings::Scenario;

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
            every(session, &Extra::default()).await?;
            session.note(
                "A soak is read over time: the plots of latency and throughput over time should be flat.".to_owned(),
            );
            Ok(())
        }
        Scenario::EndToEnd => {
            let extra = Extra {
                is_followed: true,
                ..Extra::default()
            };
            every(session, &extra).await
        }
        Scenario::Consume { is_decoding } => consume(session, *is_decoding).await,
        Scenario::RateLadder => rate_ladder(session).await,
        Scenario::SloSearch { p99_max, steps } => {
            search::slo_search(session, *p99_max, *steps).await
        }
        Scenario::ColdReader => cold_reader(session).await,
        Scenario::Partitions { counts } => partitions(session, counts).await,
        Scenario::Hostile(crowd) => hostile::run(session, *crowd).await,
    }
}

/// What a scenario adds to plain requests.
#[derive(Clone, Debug, Default)]
struct Extra {
    phase: String,
    partitions: Option<u32>,
    is_followed: bool,
    has_cold_reader: bool,
    /// Instead of the loads of the settings.
    load: Option<Load>,
}

/// Every combination of what the settings vary.
async fn every(session: &mut Session<'_>, extra: &Extra) -> Result<(), BenchError> {
    for plan in plans(session, extra) {
        session.point(&plan).await?;
    }
    Ok(())
}

fn plans(session: &Session<'_>, extra: &Extra) -> Vec<PointPlan> {
    let settings = session.settings();
    let loads = extra
        .load
        .map_or_else(|| settings.loads(), |load| vec![load]);
    let partitions = extra.partitions.unwrap_or(settings.partitions);
    let mut plans = Vec::new();
    for &record_bytes in &settings.record_bytes {
        for &batch_records in &settings.batch_records {
            for &connections in &settings.connections {
                for &load in &loads {
                    plans.push(PointPlan {
                        phase: extra.phase.clone(),
                        connections,
                        partitions,
                        work: PointWork::Produce {
                            shape: Shape {
                                record_bytes,
                                batch_records,
                                partitions,
                                keys: settings.keys,
                            },
                            load,
                            is_followed: extra.is_followed,
                        },
                        has_cold_reader: extra.has_cold_reader,
                    });
                }
            }
        }
    }
    plans
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
                    let plan = PointPlan {
                        phase: shape.name().to_owned(),
                        connections,
                        partitions: 1,
                        work: PointWork::Device {
                            shape,
                            record_bytes,
                            depth,
                        },
                        has_cold_reader: false,
                    };
                    session.point(&plan).await?;
                }
            }
        }
    }
    Ok(())
}

async fn consume(session: &mut Session<'_>, is_decoding: bool) -> Result<(), BenchError> {
    let settings = session.settings();
    for &record_bytes in &settings.record_bytes {
        for &batch_records in &settings.batch_records {
            for &connections in &settings.connections {
                let plan = PointPlan {
                    phase: String::new(),
                    connections,
                    partitions: settings.partitions,
                    work: PointWork::Consume {
                        shape: Shape {
                            record_bytes,
                            batch_records,
                            partitions: settings.partitions,
                            keys: settings.keys,
                        },
                        is_decoding,
                    },
                    has_cold_reader: false,
                };
                session.point(&plan).await?;
            }
        }
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

async fn cold_reader(session: &mut Session<'_>) -> Result<(), BenchError> {
    let settings = session.settings();
    for has_cold_reader in [false, true] {
        let phase = if has_cold_reader {
            "with a cold reader"
        } else {
            "quiet"
        };
        let extra = Extra {
            phase: phase.to_owned(),
            has_cold_reader,
            ..Extra::default()
        };
        every(session, &extra).await?;
    }
    let mib = settings.fill_bytes >> 20;
    session.note(format!(
        "The cold reader reads {mib} MiB from the start, over and over, at full speed. What of it is in a cache decides \
         how cold it is: give more with --fill than the system and, where it uses it, the page cache can hold."
    ));
    Ok(())
}

async fn partitions(session: &mut Session<'_>, counts: &[u32]) -> Result<(), BenchError> {
    for &count in counts {
        let extra = Extra {
            partitions: Some(count),
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
