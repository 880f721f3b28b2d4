//! A simulated machine with one log on it, and batches to put in.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use ringlog_log::{
    BulkFiles, CacheBudget, Leisure, Log, LogConfig, LogEnv, NoBulkFiles, OpenError, ReadRequest,
    RecoveryReport, SpaceGauge,
};
use ringlog_reactor::sim::{
    CrashKind, DiskFault, FaultEffect, FaultTrigger, FaultyOp, NodeId, SimConfig, SimWorld,
};
use ringlog_reactor::{OpenOptions, Reactor};
use ringlog_record::batch::{BatchBuilder, RecordData, batches};
use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

pub(crate) const DIRECTORY: &str = "/data/topics/0/0";
const PATIENCE: Duration = Duration::from_secs(600);

/// Prepares files on the disk of the reactor that asks.
pub(crate) struct Bulk(pub(crate) Reactor);

impl BulkFiles for Bulk {
    fn prepare(
        &self,
        path: PathBuf,
        len_bytes: u64,
        leisure: Leisure,
    ) -> LocalBoxFuture<'static, std::io::Result<()>> {
        let reactor = self.0.clone();
        Box::pin(async move {
            let options = OpenOptions {
                write: true,
                create_new: true,
                ..OpenOptions::default()
            };
            let file = reactor.open(&path, options).await?;
            let began = reactor.now();
            for position in (0..len_bytes).step_by(1 << 20) {
                let len = usize::try_from(len_bytes - position).unwrap().min(1 << 20);
                file.write_at(position, Bytes::from(vec![0; len])).await?;
            }
            while reactor.now().since(began) < leisure.within() {
                reactor.sleep(Duration::from_millis(1)).await;
            }
            file.sync_all().await
        })
    }
}

pub(crate) struct World {
    pub(crate) sim: SimWorld,
    pub(crate) node: NodeId,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, SimConfig::default())
    }

    pub(crate) fn with(seed: u64, config: SimConfig) -> Self {
        let sim = SimWorld::new(seed, config);
        let node = sim.add_node();
        Self { sim, node }
    }

    /// Runs a process of the node until its main future is done; it ends as by kill -9.
    pub(crate) fn run<T: 'static, F: Future<Output = T> + 'static>(
        &self,
        main: impl FnOnce(LogEnv) -> F + 'static,
    ) -> T {
        let ran = self
            .sim
            .block_on(self.node, PATIENCE, |reactor| main(env(&reactor, 4 << 20)));
        self.sim.crash(self.node, CrashKind::Process);
        ran.expect("the simulated process came to its end")
    }

    /// What makes the disk fail. Not to be kept longer than the process that it is given to.
    pub(crate) fn faults(&self) -> Faults {
        Faults(self.sim.clone(), self.node)
    }

    /// The wall clock of the machine. Not to be kept longer than the process that it is given to.
    pub(crate) fn clock(&self) -> WallClock {
        WallClock(self.sim.clone(), self.node)
    }

    /// Changes bytes of a file, durably.
    pub(crate) fn overwrite(&self, path: &Path, position: u64, data: &[u8]) {
        let overwritten = self.sim.overwrite(self.node, path, position, data);
        overwritten.unwrap();
    }

    pub(crate) fn lose_power(&self) {
        self.sim.crash(self.node, CrashKind::Power);
    }
}

/// The wall clock of a world.
pub(crate) struct WallClock(SimWorld, NodeId);

impl WallClock {
    /// Sets it off the truth.
    pub(crate) fn set_off(&self, ms: i64) {
        self.0.skew_clock(self.1, ms);
    }
}

/// What makes the disk of a world fail.
#[derive(Clone)]
pub(crate) struct Faults(SimWorld, NodeId);

impl Faults {
    pub(crate) fn fail_always(&self, op: FaultyOp, path: &str, error: ErrorKind) {
        self.inject(op, path, error, FaultTrigger::Always);
    }

    pub(crate) fn fail_once(&self, op: FaultyOp, path: &str, error: ErrorKind) {
        self.inject(op, path, error, FaultTrigger::Next(1));
    }

    /// The next operation of this kind never completes.
    pub(crate) fn hang_once(&self, op: FaultyOp, path: &str) {
        self.strike(op, path, FaultEffect::Hang, FaultTrigger::Next(1));
    }

    /// All operations of this kind take so much longer.
    pub(crate) fn delay_always(&self, op: FaultyOp, path: &str, delay: Duration) {
        let effect = FaultEffect::Delay(delay);
        self.strike(op, path, effect, FaultTrigger::Always);
    }

    /// The next operation of this kind takes so much longer.
    pub(crate) fn delay_once(&self, op: FaultyOp, path: &str, delay: Duration) {
        self.strike(op, path, FaultEffect::Delay(delay), FaultTrigger::Next(1));
    }

    fn inject(&self, op: FaultyOp, path: &str, error: ErrorKind, trigger: FaultTrigger) {
        self.strike(op, path, FaultEffect::Error(error), trigger);
    }

    pub(crate) fn strike(
        &self,
        op: FaultyOp,
        path: &str,
        effect: FaultEffect,
        trigger: FaultTrigger,
    ) {
        let fault = DiskFault {
            op,
            path_contains: path.to_owned(),
            trigger,
            effect,
        };
        self.0.inject(self.1, fault);
    }

    /// Turns a bit over, durably.
    pub(crate) fn flip_bit(&self, path: &Path, position: u64, bit: u32) {
        self.0.flip_bit(self.1, path, position, bit).unwrap();
    }

    pub(crate) fn clear(&self) {
        self.0.clear_faults(self.1);
    }
}

/// The path of the segment file with this base offset.
pub(crate) fn segment_file(base: u64) -> PathBuf {
    PathBuf::from(format!("{DIRECTORY}/{base:020}.log"))
}

/// Where a batch of the first segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchPlace {
    pub(crate) position: u64,
    pub(crate) len_bytes: u64,
    pub(crate) base_offset: u64,
}

/// The batches of a log that has one segment.
pub(crate) async fn read_all_batches(log: &Log) -> Vec<BatchPlace> {
    let (mut places, mut position, mut offset) = (Vec::new(), 0, log.log_start());
    loop {
        let request = ReadRequest {
            offset,
            max_bytes: 1 << 20,
            limit: Offset::MAX,
        };
        let data = log.read(request).await.unwrap();
        if data.slices.is_empty() {
            return places;
        }
        for batch in data.slices.iter().flat_map(|slice| batches(slice)) {
            let batch = batch.unwrap();
            let len_bytes = batch.len_bytes() as u64;
            places.push(BatchPlace {
                position,
                len_bytes,
                base_offset: batch.base_offset().get(),
            });
            position += len_bytes;
            offset = batch.last_offset().next();
        }
    }
}

/// An environment in which nobody prepares files.
pub(crate) fn env_without_bulk(reactor: &Reactor) -> LogEnv {
    env_with(reactor, Rc::new(NoBulkFiles), 4 << 20)
}

pub(crate) fn env(reactor: &Reactor, cache_bytes: usize) -> LogEnv {
    env_with(reactor, Rc::new(Bulk(reactor.clone())), cache_bytes)
}

pub(crate) fn env_with(reactor: &Reactor, bulk: Rc<dyn BulkFiles>, cache_bytes: usize) -> LogEnv {
    LogEnv::new(
        reactor.clone(),
        bulk,
        CacheBudget::new(cache_bytes),
        SpaceGauge::new(),
    )
}

pub(crate) async fn try_open(
    env: &LogEnv,
    config: LogConfig,
) -> Result<(Log, RecoveryReport), OpenError> {
    Log::open(env.clone(), PathBuf::from(DIRECTORY), config).await
}

pub(crate) async fn open(env: &LogEnv) -> (Log, RecoveryReport) {
    open_with(env, LogConfig::default()).await
}

pub(crate) async fn open_with(env: &LogEnv, config: LogConfig) -> (Log, RecoveryReport) {
    try_open(env, config).await.unwrap()
}

/// A batch with one record for each value.
pub(crate) fn batch(values: &[&[u8]]) -> Bytes {
    timed_batch(values, 0)
}

pub(crate) fn timed_batch(values: &[&[u8]], time: i64) -> Bytes {
    let mut builder = BatchBuilder::new(4 << 20);
    for value in values {
        let record = RecordData {
            value: Some(value),
            timestamp: TimestampMs::new(time),
            ..RecordData::default()
        };
        builder.append(&record).unwrap();
    }
    builder.build().unwrap()
}

/// The value of the record with this offset in a log of [`append_numbered`]; sizes differ.
pub(crate) fn numbered_value(offset: u64, len_max: usize) -> Vec<u8> {
    let len = 1 + (usize::try_from(offset).unwrap() * 7919) % len_max;
    let mut value = offset.to_be_bytes().to_vec();
    value.resize(8 + len, offset.to_le_bytes()[0]);
    value
}

/// Appends batches of one record up to the offset `end`, waiting when memory is short.
pub(crate) async fn append_numbered(env: &LogEnv, log: &Log, end: u64, len_max: usize, epoch: u32) {
    while log.log_end().get() < end {
        let value = numbered_value(log.log_end().get(), len_max);
        match log.append(&batch(&[&value]), LeaderEpoch::new(epoch)) {
            Ok(_) => {}
            Err(ringlog_log::AppendError::Throttled) => {
                env.reactor.sleep(Duration::from_millis(1)).await
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads from `from` to the log end, at most `max_bytes` at a time.
pub(crate) async fn read_values(log: &Log, from: u64, max_bytes: usize) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    let mut offset = Offset::new(from);
    loop {
        let request = ReadRequest {
            offset,
            max_bytes,
            limit: Offset::MAX,
        };
        let data = log.read(request).await.unwrap();
        if data.slices.is_empty() {
            return values;
        }
        assert_eq!(
            data.bytes,
            data.slices.iter().map(Bytes::len).sum::<usize>()
        );
        for batch in data.slices.iter().flat_map(|slice| batches(slice)) {
            let batch = batch.unwrap();
            assert!(batch.crc_is_valid());
            for record in batch.records() {
                let record = record.unwrap();
                if record.offset >= offset {
                    assert_eq!(record.offset, offset);
                    values.push(record.value.unwrap().to_vec());
                    offset = offset.next();
                }
            }
        }
    }
}

pub(crate) async fn check_numbered(log: &Log, from: u64, len_max: usize, max_bytes: usize) {
    let values = read_values(log, from, max_bytes).await;
    assert_eq!(values.len() as u64, log.log_end().get() - from);
    for (offset, value) in (from..).zip(values) {
        assert!(value == numbered_value(offset, len_max), "offset {offset}");
    }
}
