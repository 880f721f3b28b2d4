//! One run of one target: workers start together, the machine is watched meanwhile, and the counts are put together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Barrier, watch};
use tokio::time::Instant;

use crate::error::BenchError;
use crate::process::{Observed, Usage};
use crate::recorder::{Recorder, Window};
use crate::result::ServerUse;
use crate::stop::Stop;
use crate::worker::{Plan, Together, start};

/// Time between the moment when all are connected and the begin, so that nobody is late for it.
const HEAD_START: Duration = Duration::from_millis(20);

/// How long a server is left alone before it counts as idle.
const SETTLE: Duration = Duration::from_secs(1);

/// What a run has shown.
pub(crate) struct Seen {
    pub(crate) recorder: Recorder,
    /// CPU time of this process in the window as a part of one processor.
    pub(crate) generator_cpu_share: f64,
    pub(crate) server: Option<ServerUse>,
    /// The same by step, where it is known.
    pub(crate) server_steps: Vec<StepUse>,
    /// Acknowledged records that no consumer was given, where consumers follow.
    pub(crate) missing: u64,
}

/// Runs a plan, and what else is to be under way at the same time: none of its requests are counted.
pub(crate) async fn run(
    plan: Plan,
    beside: Option<Plan>,
    server: Option<&Observed>,
    stop: &Stop,
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
            stop: stop.clone(),
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
    let watched = watch_usage(began, window, server, stop);
    let is_cancelled = is_cancelled.load(Ordering::Acquire);
    let watched = if is_cancelled {
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
    let watched = watched.unwrap_or_default();
    if let Some(at) = watched.cut {
        recorders.iter_mut().for_each(|recorder| recorder.cut(at));
    }
    let mut recorders = recorders.into_iter();
    let recorder = recorders.next().ok_or_else(|| BenchError::Generator {
        what: "put counts together",
        reason: "there are none".to_owned(),
    })?;
    let seen = Seen {
        recorder,
        generator_cpu_share: watched.generator_cpu_share,
        server: watched.server,
        server_steps: watched.steps,
        missing,
    };
    Ok((seen, recorders.next()))
}

/// The use of a process in a step of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepUse {
    pub(crate) cpu_share: f64,
    pub(crate) memory_bytes: u64,
    pub(crate) written_bytes: u64,
}

/// What was used while it was measured.
#[derive(Default)]
pub(crate) struct Watched {
    generator_cpu_share: f64,
    pub(crate) server: Option<ServerUse>,
    /// By step; as long as the window, unless it was ended before its time.
    steps: Vec<StepUse>,
    /// When it ended before its time, since the run began.
    cut: Option<Duration>,
}

/// Looks at the generator and the server from the begin of the window to its end, step by step, or until told to stop.
pub(crate) async fn watch_usage(
    began: Instant,
    window: Window,
    server: Option<&Observed>,
    stop: &Stop,
) -> Watched {
    let myself = Observed::myself();
    let now = || {
        let usage = |of: Option<&Observed>| of.and_then(Observed::usage);
        (Instant::now(), usage(myself.as_ref()), usage(server))
    };
    let mut cut = None;
    let mut until = async |at: Instant| {
        tokio::select! {
            () = tokio::time::sleep_until(at) => false,
            () = stop.told() => {
                cut.get_or_insert_with(|| began.elapsed());
                true
            }
        }
    };
    let mut is_stopped = until(began + window.from).await;
    let (first, generator_first, server_first) = now();
    let mut steps = Vec::new();
    let mut before = (first, server_first);
    for number in 1..=u32::try_from(window.steps()).unwrap_or(u32::MAX) {
        if is_stopped {
            break;
        }
        let end = window.from + window.step() * number;
        is_stopped = until(began + end.min(window.until)).await;
        let (at, _, used) = now();
        steps.extend(before.1.zip(used).map(|(first, last)| StepUse {
            cpu_share: cpu_between(first, last, at - before.0).1,
            memory_bytes: last.memory_bytes,
            written_bytes: last.written_bytes.saturating_sub(first.written_bytes),
        }));
        before = (at, used);
    }
    let (last, generator_last, server_last) = now();
    let elapsed = last - first;
    let generator = generator_first.zip(generator_last);
    let generator = generator.map_or(0.0, |(first, last)| cpu_between(first, last, elapsed).1);
    let server = server_first.zip(server_last);
    Watched {
        generator_cpu_share: generator,
        server: server.map(|(first, last)| server_use(first, last, elapsed)),
        steps,
        cut,
    }
}

/// CPU time of a process while nobody asks it for anything, as a part of one processor.
pub(crate) async fn watch_idle(server: &Observed, how_long: Duration, stop: &Stop) -> Option<f64> {
    // What was begun is to end.
    tokio::time::sleep(SETTLE).await;
    let (began, first) = (Instant::now(), server.usage()?);
    tokio::select! {
        () = tokio::time::sleep(how_long) => {}
        () = stop.told() => return None,
    }
    Some(cpu_between(first, server.usage()?, began.elapsed()).1)
}

fn cpu_between(first: Usage, last: Usage, elapsed: Duration) -> (Duration, f64) {
    let cpu = last.cpu.saturating_sub(first.cpu);
    (cpu, cpu.as_secs_f64() / elapsed.as_secs_f64().max(1e-9))
}

fn server_use(first: Usage, last: Usage, elapsed: Duration) -> ServerUse {
    let (cpu, cpu_share) = cpu_between(first, last, elapsed);
    ServerUse {
        cpu_s: cpu.as_secs_f64(),
        cpu_share,
        memory_bytes: last.memory_bytes,
        written_bytes: last.written_bytes.saturating_sub(first.written_bytes),
    }
}
