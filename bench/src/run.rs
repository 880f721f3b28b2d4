//! One run of one target: workers start together, the machine is watched meanwhile, and the counts are put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Barrier, watch};
use tokio::time::Instant;

use crate::error::BenchError;
use crate::process::{Observed, Usage};
use crate::recorder::Recorder;
use crate::result::ServerUse;
use crate::worker::{Plan, Together, start};

/// Time between the moment when all are connected and the begin, so that nobody is late for it.
const HEAD_START: Duration = Duration::from_millis(20);

/// What a run has shown.
pub(crate) struct Seen {
    pub(crate) recorder: Recorder,
    /// CPU time of this process in the window as a part of one processor.
    pub(crate) generator_cpu_share: f64,
    pub(crate) server: Option<ServerUse>,
    /// Acknowledged records that no consumer was given, where consumers follow.
    pub(crate) missing: u64,
}

/// Runs a plan, and what else is to be under way at the same time: none of its requests are counted.
pub(crate) async fn run(
    plan: Plan,
    beside: Option<Plan>,
    server: Option<&Observed>,
) -> Result<(Seen, Option<Recorder>), BenchError> {
    let plans: Vec<Plan> = [Some(plan), beside].into_iter().flatten().collect();
    let window = plans[0].window;
    let workers: usize = plans.iter().map(|plan| plan.workers as usize).sum();
    let ready = Arc::new(Barrier::new(workers + 1));
    let (begin, begins) = watch::channel(None);
    let is_cancelled = Arc::new(AtomicBool::new(false));
    let mut outcomes = Vec::new();
    let mut counts = Vec::new();
    for (number, plan) in plans.iter().enumerate() {
        let together = Together {
            ready: Arc::clone(&ready),
            begin: begins.clone(),
            acknowledged: Arc::new(AtomicU64::new(0)),
            arrived: Arc::new(AtomicU64::new(0)),
            stopped: Arc::new(AtomicU64::new(0)),
            is_cancelled: Arc::clone(&is_cancelled),
        };
        for worker in 0..plan.workers {
            let outcome = start(plan.clone(), worker, together.clone())?;
            outcomes.push((number, outcome));
        }
        counts.push(together);
    }
    ready.wait().await;
    let began = Instant::now() + HEAD_START;
    begin.send_replace(Some(began));
    let watched = watch_usage(began + window.from, began + window.until, server);
    let is_cancelled = is_cancelled.load(Ordering::Acquire);
    let usage = if is_cancelled {
        None
    } else {
        Some(watched.await)
    };
    let mut recorders = plans
        .iter()
        .map(Plan::recorder)
        .collect::<Result<Vec<_>, _>>()?;
    for (number, outcome) in outcomes {
        let ended = outcome.await.map_err(|_| BenchError::Generator {
            what: "go on",
            reason: "a worker ended without an outcome".to_owned(),
        })?;
        recorders[number].merge(&ended?)?;
    }
    let follows = matches!(
        plans[0].work,
        crate::worker::Work::Produce {
            follow_bytes: Some(_),
            ..
        }
    );
    let missing = if follows {
        let acknowledged = counts[0].acknowledged.load(Ordering::Acquire);
        acknowledged.saturating_sub(counts[0].arrived.load(Ordering::Acquire))
    } else {
        0
    };
    let (generator_cpu_share, server) = usage.unwrap_or_default();
    let mut recorders = recorders.into_iter();
    let recorder = recorders.next().ok_or_else(|| BenchError::Generator {
        what: "put counts together",
        reason: "there are none".to_owned(),
    })?;
    let seen = Seen {
        recorder,
        generator_cpu_share,
        server,
        missing,
    };
    Ok((seen, recorders.next()))
}

/// CPU time of the generator and of the server between two moments.
async fn watch_usage(
    from: Instant,
    until: Instant,
    server: Option<&Observed>,
) -> (f64, Option<ServerUse>) {
    let myself = Observed::myself();
    let now = || {
        let usage = |of: Option<&Observed>| of.and_then(Observed::usage);
        (Instant::now(), usage(myself.as_ref()), usage(server))
    };
    tokio::time::sleep_until(from).await;
    let (first, generator_first, server_first) = now();
    tokio::time::sleep_until(until).await;
    let (last, generator_last, server_last) = now();
    let elapsed = last - first;
    let share = |first: Usage, last: Usage| {
        let cpu = last.cpu.saturating_sub(first.cpu);
        (cpu, cpu.as_secs_f64() / elapsed.as_secs_f64().max(1e-9))
    };
    let generator = generator_first.zip(generator_last);
    let generator = generator.map_or(0.0, |(first, last)| share(first, last).1);
    let server = server_first.zip(server_last).map(|(first, last)| {
        let (cpu, cpu_share) = share(first, last);
        ServerUse {
            cpu_s: cpu.as_secs_f64(),
            cpu_share,
            memory_bytes: last.memory_bytes,
        }
    });
    (generator, server)
}
