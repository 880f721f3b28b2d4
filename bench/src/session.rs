//! A session: targets take turns at a point, repetition by repetition, and each starts from the same state.

mod append;
mod fill;
mod keep;
mod point;
mod ran;
mod raw;
mod replay;

pub(crate) use self::fill::{FILL_SHAPE, fill_requests, write_requests};
pub(crate) use self::keep::write_result;
pub(crate) use self::point::{AppendTo, Beside, Lane, PointPlan, PointWork};
pub(crate) use self::ran::of_restart;
pub(crate) use self::raw::READ_DEPTH;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

use crate::Progress;
use crate::driver::{Counters, Driver, DriverKind, ProducerSpec, StreamSpec};
use crate::environment::environment;
use crate::error::BenchError;
use crate::metrics::counters;
use crate::pin::placement;
use crate::process::Observed;
use crate::recorder::Window;
use crate::result::{Point, RESULT_FORMAT, RunResult, TargetInfo};
use crate::run::{run, watch_idle};
use crate::settings::BenchSettings;
use crate::stop::Stop;
use crate::summary::{Limits, Measured, as_f64, background_ratio, ratio, repetition, summary};
use crate::target::{Target, TargetKind, TargetSpec};
use crate::warm::warm_memory;
use crate::worker::{Plan, Work};

/// A target with what is open of it.
struct Open {
    target: Target,
    /// None for the raw programs.
    driver: Option<Arc<dyn Driver>>,
    info: TargetInfo,
    /// A stream that was filled for a cold reader.
    cold: Option<StreamSpec>,
}

pub(crate) struct Session<'a> {
    settings: &'a BenchSettings,
    progress: Progress<'a>,
    targets: Vec<Open>,
    /// Streams that are there now: whatever happens, they are removed.
    streams: Vec<(usize, StreamSpec)>,
    streams_made: u32,
    /// Points begun, for the names of their files.
    points_begun: u32,
    points: Vec<Point>,
    notes: Vec<String>,
    started: (SystemTime, Instant),
    stop: Stop,
}

impl<'a> Session<'a> {
    /// Connects to all targets.
    pub(crate) async fn open(
        settings: &'a BenchSettings,
        progress: Progress<'a>,
        stop: Stop,
    ) -> Result<Self, BenchError> {
        settings.check()?;
        let mut opened = Vec::with_capacity(settings.targets.len());
        for spec in &settings.targets {
            let target = Target::new(spec.clone(), &settings.dir);
            let spec = &target.spec;
            progress(&format!("connecting to {spec}"));
            let driver = target.driver().await?;
            let mut said = BTreeMap::new();
            if let Some(driver) = &driver {
                let facts = driver.describe().await;
                said.extend(facts.map_err(BenchError::of(&spec.label))?);
                said.extend(placed(spec));
            }
            let info = TargetInfo {
                name: spec.label.clone(),
                driver: spec.driver,
                bootstrap: spec.bootstrap.clone(),
                said,
            };
            opened.push(Open {
                target,
                driver,
                info,
                cold: None,
            });
        }
        Ok(Self {
            settings,
            progress,
            targets: opened,
            streams: Vec::new(),
            streams_made: 0,
            points_begun: 0,
            points: Vec::new(),
            notes: Vec::new(),
            started: (SystemTime::now(), Instant::now()),
            stop,
        })
    }

    /// Says what is done now.
    pub(crate) fn tell(&mut self, what: &str) {
        (self.progress)(what);
    }

    pub(crate) fn settings(&self) -> &'a BenchSettings {
        self.settings
    }

    pub(crate) fn target_count(&self) -> usize {
        self.targets.len()
    }

    pub(crate) fn target_name(&self, target: usize) -> &str {
        &self.targets[target].info.name
    }

    /// What was measured so far.
    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Measures all targets at a point, in turns.
    pub(crate) async fn point(&mut self, plan: &PointPlan) -> Result<(), BenchError> {
        let all: Vec<usize> = (0..self.targets.len()).collect();
        self.point_of(plan, &all, self.settings.timing.repetitions)
            .await
            .map(drop)
    }

    /// Measures some targets at a point, in turns, beside the first of them; gives their points.
    pub(crate) async fn point_of(
        &mut self,
        plan: &PointPlan,
        targets: &[usize],
        repetitions: u32,
    ) -> Result<Vec<Point>, BenchError> {
        let lanes = targets.iter().enumerate().map(|(index, &target)| Lane {
            target,
            plan: plan.clone(),
            beside: if index == 0 {
                Vec::new()
            } else {
                vec![Beside::Load(0)]
            },
        });
        self.lanes(&lanes.collect::<Vec<_>>(), repetitions).await
    }

    /// Measures lanes in turns; gives a point for each. Whatever ends it before its time, what was measured is kept.
    pub(crate) async fn lanes(
        &mut self,
        lanes: &[Lane],
        repetitions: u32,
    ) -> Result<Vec<Point>, BenchError> {
        let mut measured: Vec<Vec<Measured>> = lanes.iter().map(|_| Vec::new()).collect();
        self.points_begun += 1;
        let ended = self.take_turns(lanes, repetitions, &mut measured).await;
        let points = self.points_of(lanes, &measured)?;
        self.points.extend(points.iter().cloned());
        ended.map(|()| points)
    }

    async fn take_turns(
        &mut self,
        lanes: &[Lane],
        repetitions: u32,
        measured: &mut [Vec<Measured>],
    ) -> Result<(), BenchError> {
        let filled = self.fill_for(lanes).await?;
        for number in 1..=repetitions {
            for (index, lane) in lanes.iter().enumerate() {
                let name = &self.targets[lane.target].info.name;
                let what = lane.plan.describe();
                (self.progress)(&format!("{name}, {what}: run {number} of {repetitions}"));
                let bytes = self.settings.warm_memory_bytes;
                let warmed = tokio::task::spawn_blocking(move || warm_memory(bytes));
                warmed.await.map_err(|error| BenchError::Generator {
                    what: "warm memory",
                    reason: error.to_string(),
                })?;
                self.unless_stopped()?;
                let began = SystemTime::now();
                let stream = filled[index].as_ref();
                let mut one = self.run_once(&lane.plan, lane.target, stream).await?;
                // Ended in its warm-up, it has measured nothing.
                if one.figures.elapsed_s > 0.0 {
                    self.keep(&mut one, began, lane, index, number)?;
                    measured[index].push(one);
                }
                self.unless_stopped()?;
            }
        }
        for stream in filled.into_iter().flatten() {
            self.remove(&stream.name).await?;
        }
        Ok(())
    }

    pub(crate) fn unless_stopped(&self) -> Result<(), BenchError> {
        if self.stop.is_told() {
            return Err(BenchError::Stopped);
        }
        Ok(())
    }

    /// The points of lanes that have something to tell.
    fn points_of(
        &self,
        lanes: &[Lane],
        measured: &[Vec<Measured>],
    ) -> Result<Vec<Point>, BenchError> {
        let mut points = Vec::with_capacity(lanes.len());
        for (lane, of) in lanes.iter().zip(measured) {
            if of.is_empty() {
                continue;
            }
            let ratios = lane.beside.iter().map(|beside| match *beside {
                Beside::Load(first) => ratio(&self.lane_name(&lanes[first]), &measured[first], of),
                Beside::Background(first) => {
                    background_ratio(&self.lane_name(&lanes[first]), &measured[first], of)
                }
            });
            let settings = lane.plan.settings(self.settings.durability);
            let mut summary = summary(of)?;
            // On a schedule it is the late sends that say so.
            summary.is_generator_bound &= settings.rate.is_none();
            points.push(Point {
                target: self.targets[lane.target].info.name.clone(),
                settings,
                summary,
                ratios: ratios.collect(),
                repetitions: of.iter().map(|one| one.figures.clone()).collect(),
            });
        }
        Ok(points)
    }

    /// A lane in few words.
    fn lane_name(&self, lane: &Lane) -> String {
        let name = &self.targets[lane.target].info.name;
        if lane.plan.phase.is_empty() {
            name.clone()
        } else {
            format!("{name}, {}", lane.plan.phase)
        }
    }

    /// Takes a point that was measured elsewhere.
    pub(crate) fn push_point(&mut self, point: Point) {
        self.points.push(point);
    }

    async fn run_once(
        &mut self,
        plan: &PointPlan,
        target: usize,
        filled: Option<&StreamSpec>,
    ) -> Result<Measured, BenchError> {
        let settings = self.settings;
        let window = Window::new(settings.timing.warm_up, settings.timing.duration);
        let open = &self.targets[target];
        let connector = match &open.target.kind {
            TargetKind::System(connector) => connector,
            TargetKind::Raw(dir) => {
                return match plan.work {
                    PointWork::Append {
                        shape,
                        in_flight,
                        to: AppendTo::Log,
                    } => append::run(shape, in_flight, dir, settings, &self.stop).await,
                    _ => raw::run(plan, dir, settings, &self.stop).await,
                };
            }
        };
        let connector = Arc::clone(connector);
        let bootstrap = open.info.bootstrap.clone();
        let label = open.info.name.clone();
        let cold = open.cold.clone();
        let stream = match filled {
            Some(stream) => stream.clone(),
            None => {
                let setting = plan.stream_setting.as_ref();
                self.create(target, plan.partitions, setting).await?
            }
        };
        let work = match &plan.work {
            PointWork::Produce {
                shape,
                load,
                is_followed,
            } => Work::Produce {
                shape: *shape,
                load: *load,
                follow_bytes: is_followed.then_some(settings.fetch_bytes),
            },
            PointWork::Consume {
                is_decoding, shape, ..
            } => Work::Consume {
                fetch_bytes: settings.fetch_bytes,
                is_decoding: *is_decoding,
                records: self.fill_records(*shape),
            },
            PointWork::Device { .. } | PointWork::Append { .. } => {
                let message = format!("{label} is not in this process");
                return Err(BenchError::Settings(message));
            }
        };
        let planned = Plan {
            target: label,
            connector,
            stream: stream.clone(),
            work,
            producer: ProducerSpec {
                wants_receipts: settings.wants_receipts,
            },
            connections: plan.connections,
            window,
            workers: settings.workers,
            late_after: settings.late_after,
            seed: settings.seed,
        };
        let beside = match cold {
            Some(cold) if plan.has_cold_reader => Some(Plan {
                stream: cold,
                work: Work::Consume {
                    fetch_bytes: settings.fetch_bytes,
                    is_decoding: false,
                    records: self.fill_records(FILL_SHAPE),
                },
                connections: 1,
                workers: 1,
                ..planned.clone()
            }),
            _ => None,
        };
        let server = Observed::listening_at(&bootstrap);
        let before = self.counters(target).await;
        let (mut measured, beside) = match self.replay(plan, target, &stream).await? {
            Some(replay) => {
                let measured = replay::run(replay, server.as_ref(), &self.stop).await?;
                (measured, None)
            }
            None => {
                let (seen, beside) = run(planned, beside, server.as_ref(), &self.stop).await?;
                let limits = Limits {
                    late_share_max: settings.late_share_max,
                };
                (repetition(seen, limits), beside)
            }
        };
        let after = self.counters(target).await;
        let idle = match &server {
            Some(server) if plan.is_idle_watched => {
                watch_idle(server, settings.timing.duration, &self.stop).await
            }
            _ => None,
        };
        if filled.is_none() {
            self.remove(&stream.name).await?;
        }
        measured.figures.counters_before = before;
        measured.figures.counters_after = after;
        measured.figures.idle_cpu_share = idle;
        if let Some(beside) = beside {
            let bytes_per_s = as_f64(beside.bytes) / measured.figures.elapsed_s.max(1e-9);
            measured.figures.background_bytes_per_s = Some(bytes_per_s);
        }
        Ok(measured)
    }

    /// What a target counts of itself; nothing is better than no figures.
    async fn counters(&self, target: usize) -> Counters {
        let open = &self.targets[target];
        let Some(driver) = &open.driver else {
            return Counters::new();
        };
        let mut counted = driver.counters().await.unwrap_or_default();
        if open.info.driver.is_some_and(DriverKind::is_ringlog) {
            let admin = self.settings.admin.as_deref();
            counted.extend(counters(&open.info.bootstrap, admin).await);
        }
        counted
    }

    async fn create(
        &mut self,
        target: usize,
        partitions: u32,
        setting: Option<&(String, String)>,
    ) -> Result<StreamSpec, BenchError> {
        self.streams_made += 1;
        let name = format!("bench-{}-{}", std::process::id(), self.streams_made);
        let mut settings = self.settings.stream_settings.clone();
        settings.extend(setting.cloned());
        let stream = StreamSpec {
            name,
            partitions,
            durability: self.settings.durability,
            settings,
        };
        let open = &self.targets[target];
        if let Some(driver) = &open.driver {
            let created = driver.create(&stream).await;
            created.map_err(BenchError::of(&open.info.name))?;
            self.streams.push((target, stream.clone()));
        }
        Ok(stream)
    }

    /// Removes a stream that is there.
    async fn remove(&mut self, name: &str) -> Result<(), BenchError> {
        let at = self.streams.iter().position(|(_, one)| one.name == name);
        let Some(at) = at else {
            return Ok(());
        };
        let (target, stream) = self.streams.swap_remove(at);
        let open = &self.targets[target];
        if let Some(driver) = &open.driver {
            let removed = driver.remove(&stream).await;
            removed.map_err(BenchError::of(&open.info.name))?;
        }
        Ok(())
    }

    /// Removes everything that was made.
    pub(crate) async fn clean_up(&mut self) {
        for (target, stream) in std::mem::take(&mut self.streams) {
            let open = &self.targets[target];
            if let Some(driver) = &open.driver
                && let Err(error) = driver.remove(&stream).await
            {
                let (name, stream) = (&open.info.name, &stream.name);
                self.notes.push(format!(
                    "{name}: the stream {stream} is left behind: {error}"
                ));
            }
        }
    }

    /// All that was measured, and why there is not more.
    pub(crate) fn result(
        &mut self,
        outcome: Result<(), BenchError>,
    ) -> Result<RunResult, BenchError> {
        let ended_early = match outcome {
            Ok(()) => None,
            Err(error) if self.points.is_empty() => return Err(error),
            Err(error) => Some(error.to_string()),
        };
        let (began, since) = self.started;
        Ok(RunResult {
            format: RESULT_FORMAT,
            scenario: self.settings.scenario.name().to_owned(),
            command: self.settings.command.clone(),
            started_at: keep::rfc3339(began),
            took_s: since.elapsed().as_secs_f64(),
            environment: environment(&self.settings.dir),
            settings: self.said_settings(),
            targets: self.targets.iter().map(|open| open.info.clone()).collect(),
            points: std::mem::take(&mut self.points),
            notes: std::mem::take(&mut self.notes),
            ended_early,
        })
    }

    fn said_settings(&self) -> BTreeMap<String, String> {
        let settings = self.settings;
        let placement = placement();
        let cpu = |cpu: Option<usize>| {
            cpu.map_or_else(|| "not pinned".to_owned(), |cpu| format!("cpu {cpu}"))
        };
        let load = if settings.rates.is_empty() {
            "closed loop: percentiles leave out the requests that were not sent while the target stalled".to_owned()
        } else {
            format!("on a schedule, {} arrivals", settings.arrivals)
        };
        let raw_programs = if settings.raw_spin.is_zero() {
            format!("{}, sleeping when idle", cpu(placement.server_cpu))
        } else {
            let (cpu, spin) = (cpu(placement.server_cpu), settings.raw_spin);
            format!("{cpu}, spinning for {spin:?} before sleeping")
        };
        let warmed = settings.warm_memory_bytes >> 20;
        let keys = settings
            .keys
            .map_or("none".to_owned(), |keys| keys.to_string());
        let pairs = [
            ("load", load),
            ("warm-up", format!("{:?}", settings.timing.warm_up)),
            ("duration", format!("{:?}", settings.timing.duration)),
            (
                "repetitions",
                format!("{}, targets in turns", settings.timing.repetitions),
            ),
            ("durability", settings.durability.to_string()),
            ("payload", "random bytes".to_owned()),
            ("replication", "none: one copy".to_owned()),
            ("keys", keys),
            (
                "generator",
                format!(
                    "{} thread(s), {}",
                    settings.workers,
                    cpu(placement.client_cpu)
                ),
            ),
            ("raw programs", raw_programs),
            ("memory touched before each run", format!("{warmed} MiB")),
            (
                "late",
                format!(
                    "more than {:?} after its time; {} of the requests may be",
                    settings.late_after, settings.late_share_max
                ),
            ),
        ];
        let mut said: BTreeMap<String, String> = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for (name, value) in &settings.stream_settings {
            said.insert(format!("stream setting {name}"), value.clone());
        }
        said
    }
}

/// Where a system runs, as far as that can be seen from here.
fn placed(spec: &TargetSpec) -> Vec<(String, String)> {
    let Some(server) = Observed::listening_at(&spec.bootstrap) else {
        return vec![("host".to_owned(), "not this one".to_owned())];
    };
    let mut said = vec![("host".to_owned(), "the generator's".to_owned())];
    let processors = server.processors();
    said.extend(processors.map(|list| ("threads on processors".to_owned(), list)));
    // What others are started with may be nobody's business.
    if spec.driver.is_some_and(DriverKind::is_ringlog) {
        said.extend(
            server
                .command()
                .map(|words| ("started as".to_owned(), words)),
        );
    }
    said
}
