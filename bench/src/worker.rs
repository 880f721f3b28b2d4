//! A worker: a thread of its own on the generator's processor, with connections of its own.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Barrier, oneshot, watch};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use crate::driver::{ConsumerSpec, Driver, ProducerSpec, StreamSpec};
use crate::error::BenchError;
use crate::limits::DRAIN;
use crate::load::{Load, Shape, Share, closed_loop, consume, follow, open_loop};
use crate::pacer::Pacer;
use crate::pin::pin_generator;
use crate::recorder::{Belongs, Recorder, Window};
use crate::schedule::Schedule;
use crate::stop::Stop;
use crate::target::Connector;

/// What is done to a system in one run.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Requests are sent, and followed by consumers if a fetch has a size.
    Produce {
        shape: Shape,
        load: Load,
        follow_bytes: Option<u32>,
    },
    /// The stream is read from its start, over and over, by each connection.
    Consume {
        fetch_bytes: u32,
        is_decoding: bool,
        /// Records of each partition.
        records: u64,
    },
}

/// One run, as all workers know it.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Name of the target, for errors.
    pub(crate) target: String,
    pub(crate) connector: Connector,
    pub(crate) stream: StreamSpec,
    pub(crate) work: Work,
    pub(crate) producer: ProducerSpec,
    pub(crate) connections: usize,
    pub(crate) window: Window,
    pub(crate) workers: u32,
    pub(crate) late_after: Duration,
    pub(crate) seed: u64,
}

impl Plan {
    pub(crate) fn belongs(&self) -> Belongs {
        match &self.work {
            Work::Produce {
                load: Load::Open { .. },
                ..
            } => Belongs::Due,
            Work::Produce { .. } | Work::Consume { .. } => Belongs::Within,
        }
    }

    pub(crate) fn recorder(&self) -> Result<Recorder, BenchError> {
        Recorder::new(self.window, self.belongs(), self.late_after)
    }
}

/// What workers of a run tell each other.
#[derive(Clone)]
pub(crate) struct Together {
    /// All are connected.
    pub(crate) ready: Arc<Barrier>,
    /// When the run begins.
    pub(crate) begin: watch::Receiver<Option<Instant>>,
    /// Records acknowledged, of all workers.
    pub(crate) acknowledged: Arc<AtomicU64>,
    /// Records that arrived, at the consumers of all workers.
    pub(crate) arrived: Arc<AtomicU64>,
    /// How many workers have stopped sending.
    pub(crate) stopped: Arc<AtomicU64>,
    /// The run is given up.
    pub(crate) is_cancelled: Arc<AtomicBool>,
    /// The run is to end before its time.
    pub(crate) stop: Stop,
}

/// Starts a worker; it gives what it has seen, or why it could not.
pub(crate) fn start(
    plan: Plan,
    worker: u32,
    together: Together,
) -> Result<oneshot::Receiver<Result<Recorder, BenchError>>, BenchError> {
    let (done, outcome) = oneshot::channel();
    let thread = std::thread::Builder::new().name(format!("generator-{worker}"));
    let spawned = thread.spawn(move || {
        pin_generator();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let outcome = runtime
            .map_err(BenchError::generator("start a runtime"))
            .and_then(|runtime| LocalSet::new().block_on(&runtime, run(plan, worker, together)));
        // Who waited may have given up.
        done.send(outcome).ok();
    });
    spawned.map_err(BenchError::generator("start a thread"))?;
    Ok(outcome)
}

/// How many of `all` things are those of a worker, when they are dealt out in turn.
fn dealt(all: usize, worker: u32, workers: u32) -> usize {
    let (worker, workers) = (worker as usize, workers as usize);
    all / workers + usize::from(worker < all % workers)
}

async fn run(plan: Plan, worker: u32, together: Together) -> Result<Recorder, BenchError> {
    let connected = connect(&plan, worker).await;
    if connected.is_err() {
        together.is_cancelled.store(true, Ordering::Release);
    }
    // Also when it failed: the others wait for everybody.
    together.ready.wait().await;
    let connected = connected?;
    let mut begin = together.begin.clone();
    let begin = match begin.wait_for(Option::is_some).await {
        Ok(begin) => *begin,
        Err(_) => None,
    };
    let seen = Rc::new(RefCell::new(plan.recorder()?));
    let (Some(begin), false) = (begin, together.is_cancelled.load(Ordering::Acquire)) else {
        return plan.recorder();
    };
    let running = Running {
        plan,
        worker,
        together,
        begin,
        seen: Rc::clone(&seen),
    };
    running.run(connected).await?;
    drop(running);
    let seen = Rc::try_unwrap(seen).map(RefCell::into_inner);
    Ok(seen.unwrap_or_else(|shared| shared.borrow().clone()))
}

/// The connections of a worker.
struct Connected {
    driver: Arc<dyn Driver>,
    producers: Vec<Arc<dyn crate::driver::ProducerConnection>>,
    /// With what each reads.
    consumers: Vec<Box<dyn crate::driver::ConsumerConnection>>,
}

async fn connect(plan: &Plan, worker: u32) -> Result<Connected, BenchError> {
    let of = |source| BenchError::of(&plan.target)(source);
    let driver = (plan.connector)().await.map_err(of)?;
    let mut connected = Connected {
        driver,
        producers: Vec::new(),
        consumers: Vec::new(),
    };
    let mine = dealt(plan.connections, worker, plan.workers);
    let partitions = plan.stream.partitions;
    let mut specs = Vec::new();
    match plan.work {
        Work::Produce { follow_bytes, .. } => {
            for _ in 0..mine {
                let producer = connected.driver.producer(&plan.stream, plan.producer).await;
                connected.producers.push(producer.map_err(of)?);
            }
            if let Some(fetch_bytes) = follow_bytes {
                let partitions = (0..partitions).filter(|one| one % plan.workers == worker);
                specs.extend(partitions.map(|partition| ConsumerSpec {
                    partition,
                    fetch_bytes,
                    is_decoding: true,
                }));
            }
        }
        Work::Consume {
            fetch_bytes,
            is_decoding,
            ..
        } => {
            let first = (0..worker).map(|one| dealt(plan.connections, one, plan.workers));
            let first: usize = first.sum();
            specs.extend((first..first + mine).map(|connection| ConsumerSpec {
                partition: u32::try_from(connection).unwrap_or(0) % partitions.max(1),
                fetch_bytes,
                is_decoding,
            }));
        }
    }
    for spec in specs {
        let consumer = connected.driver.consumer(&plan.stream, spec).await;
        connected.consumers.push(consumer.map_err(of)?);
    }
    Ok(connected)
}

struct Running {
    plan: Plan,
    worker: u32,
    together: Together,
    begin: Instant,
    seen: Rc<RefCell<Recorder>>,
}

impl Running {
    async fn run(&self, connected: Connected) -> Result<(), BenchError> {
        match self.plan.work {
            Work::Produce { shape, load, .. } => self.produce(shape, load, connected).await,
            Work::Consume { records, .. } => {
                self.consume(connected, records).await;
                Ok(())
            }
        }
    }

    async fn produce(
        &self,
        shape: Shape,
        load: Load,
        connected: Connected,
    ) -> Result<(), BenchError> {
        let mut followers = JoinSet::new();
        for consumer in connected.consumers {
            followers.spawn_local(self.follower(consumer));
        }
        let share = Share {
            worker: self.worker,
            workers: self.plan.workers,
            connections: connected.producers,
            shape,
            outstanding_max: shape.outstanding_max(),
            acknowledged: Arc::clone(&self.together.acknowledged),
            begin: self.begin,
            seen: Rc::clone(&self.seen),
            stop: self.together.stop.clone(),
        };
        let sent = if share.connections.is_empty() {
            Ok(())
        } else {
            match load {
                Load::Closed { in_flight } => closed_loop(share, in_flight).await,
                Load::Open { rate, arrivals } => {
                    let (worker, workers) = (self.worker, self.plan.workers);
                    let schedule = Schedule::new(arrivals, rate, worker, workers, self.plan.seed);
                    open_loop(share, schedule, &Pacer::precise()?).await
                }
            }
        };
        self.together.stopped.fetch_add(1, Ordering::AcqRel);
        while followers.join_next().await.is_some() {}
        sent
    }

    /// Follows the producers until what they had acknowledged has arrived.
    fn follower(
        &self,
        consumer: Box<dyn crate::driver::ConsumerConnection>,
    ) -> impl Future<Output = ()> + use<> {
        let together = self.together.clone();
        let (begin, seen) = (self.begin, Rc::clone(&self.seen));
        let workers = u64::from(self.plan.workers);
        let stop = self.together.stop.clone();
        let latest = Cell::new(self.plan.window.until + DRAIN + DRAIN);
        async move {
            let mine = Cell::new(0);
            let is_over = |arrived: u64| {
                let before = mine.replace(arrived);
                together
                    .arrived
                    .fetch_add(arrived - before, Ordering::AcqRel);
                let have_stopped = together.stopped.load(Ordering::Acquire) == workers;
                let acknowledged = together.acknowledged.load(Ordering::Acquire);
                let arrived = together.arrived.load(Ordering::Acquire);
                if stop.is_told() {
                    latest.set(latest.get().min(begin.elapsed() + DRAIN + DRAIN));
                }
                have_stopped && arrived >= acknowledged || begin.elapsed() >= latest.get()
            };
            follow(consumer, begin, &seen, is_over).await;
        }
    }

    async fn consume(&self, connected: Connected, records: u64) {
        let mut readers = JoinSet::new();
        for consumer in connected.consumers {
            let (begin, seen) = (self.begin, Rc::clone(&self.seen));
            let stop = self.together.stop.clone();
            readers.spawn_local(async move {
                consume(consumer, records, begin, &seen, &stop).await;
            });
        }
        while readers.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_dealt_out_in_turn_and_none_is_left() {
        for (all, workers) in [(1, 1), (1, 4), (5, 2), (16, 3)] {
            let dealt: Vec<usize> = (0..workers).map(|w| dealt(all, w, workers)).collect();
            assert_eq!(dealt.iter().sum::<usize>(), all);
            assert!(dealt.iter().max().unwrap() - dealt.iter().min().unwrap() <= 1);
        }
    }
}
