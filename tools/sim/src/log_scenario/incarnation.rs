//! One life of the node: open every log, compare it with the history, append and read until the end.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_log::{
    AppendError, CacheBudget, Log, LogConfig, LogEnv, ReadError, ReadRequest, SpaceGauge,
};
use ringlog_reactor::Reactor;
use ringlog_record::batch::{BatchBuilder, BatchView, RecordData, batches};
use ringlog_record::{LeaderEpoch, Offset, TimestampMs};

use super::files::SimFiles;
use super::{Clients, PATIENCE, Workload, directory};
use crate::history::{ReadRecord, RecordId, Violation, value_of};

/// Batches that the last incarnation appends to each log.
const LAST_BATCHES: u64 = 5;
/// Bytes asked for at once when a whole log is read.
const SCAN_BYTES: usize = 256 << 10;
/// Bytes of a batch at most, and of the buffer that it is built in.
const BATCH_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Incarnation {
    pub(crate) clients: Rc<RefCell<Clients>>,
    pub(crate) workload: Workload,
    pub(crate) epoch: u32,
    pub(crate) last: bool,
}

/// A log and its client.
#[derive(Clone)]
struct Partition {
    reactor: Reactor,
    clients: Rc<RefCell<Clients>>,
    workload: Workload,
    index: u32,
    epoch: LeaderEpoch,
    log: Log,
    /// Appended and not yet stable, with their offsets, ascending.
    unanswered: Rc<RefCell<VecDeque<(RecordId, u64)>>>,
    stable: Rc<Cell<u64>>,
}

impl Incarnation {
    /// Runs until the node dies, or for the last one until all is done.
    pub(crate) async fn run(self, reactor: Reactor) {
        let bulk = Rc::new(SimFiles::new(reactor.clone()));
        let cache = CacheBudget::new(self.workload.cache_bytes);
        let env = LogEnv::new(reactor.clone(), bulk, cache, SpaceGauge::new());
        let tasks: Vec<_> = (0..self.workload.partitions)
            .map(|index| {
                let env = env.clone();
                let clients = Rc::clone(&self.clients);
                let (workload, last) = (self.workload, self.last);
                let epoch = LeaderEpoch::new(self.epoch);
                let own = reactor.clone();
                reactor.spawn("partition", async move {
                    let result =
                        live(own, env, Rc::clone(&clients), workload, index, epoch, last).await;
                    clients.borrow_mut().check(result);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        if self.last {
            self.clients.borrow_mut().done = true;
        }
        std::future::pending::<()>().await;
    }
}

fn not_served(partition: u32, reason: &impl ToString) -> Violation {
    Violation::NotServed {
        partition,
        reason: reason.to_string(),
    }
}

async fn live(
    reactor: Reactor,
    env: LogEnv,
    clients: Rc<RefCell<Clients>>,
    workload: Workload,
    index: u32,
    epoch: LeaderEpoch,
    last: bool,
) -> Result<(), Violation> {
    let config = LogConfig {
        segment_bytes: workload.segment_bytes,
        ..LogConfig::default()
    };
    let (log, report) = Log::open(env, directory(index), config)
        .await
        .map_err(|error| not_served(index, &error))?;
    log.begin_epoch(epoch)
        .await
        .map_err(|error| not_served(index, &error))?;
    let partition = Partition {
        reactor: reactor.clone(),
        clients: Rc::clone(&clients),
        workload,
        index,
        epoch,
        unanswered: Rc::default(),
        stable: Rc::new(Cell::new(log.stable_end().get())),
        log,
    };
    partition.compare_all().await?;
    {
        let mut clients = clients.borrow_mut();
        clients.partitions_recovered += 1;
        clients.torn_tails += u64::from(report.torn_tail.is_some());
    }
    partition.acknowledge_when_stable();
    if last {
        return partition.finish().await;
    }
    let reader = partition.clone();
    let reading = reactor.spawn("reader", async move {
        let clients = Rc::clone(&reader.clients);
        let result = reader.read_for_ever().await;
        clients.borrow_mut().check(result);
    });
    let result = partition.append_for_ever().await;
    drop(reading);
    result
}

impl Partition {
    fn random_below(&self, bound: u64) -> u64 {
        self.reactor.random_u64() % bound.max(1)
    }

    /// Reads all that recovery found, before anything is appended.
    async fn compare_all(&self) -> Result<(), Violation> {
        let (start, end) = (self.log.log_start(), self.log.log_end());
        let mut records = Vec::new();
        let mut next = start;
        while next < end {
            // Decoded at once: the slices pin the memory that they were read into.
            let read = self.decode(&self.read(next, SCAN_BYTES, end).await?)?;
            let Some((last, _)) = read.last() else {
                let reason = format!("a read at {next} below the log end {end} gave nothing");
                return Err(not_served(self.index, &reason));
            };
            next = Offset::new(last + 1);
            records.extend(read);
        }
        let records = records.iter().map(|(offset, value)| ReadRecord {
            offset: *offset,
            value,
        });
        let mut clients = self.clients.borrow_mut();
        let history = &mut clients.histories[self.index as usize];
        history.restarted(start.get(), end.get(), records)
    }

    async fn read(
        &self,
        offset: Offset,
        max_bytes: usize,
        limit: Offset,
    ) -> Result<Vec<Bytes>, Violation> {
        let request = ReadRequest {
            offset,
            max_bytes,
            limit,
        };
        loop {
            match self.log.read(request).await {
                Ok(data) => return Ok(data.slices),
                Err(ReadError::Throttled) => self.reactor.sleep(Duration::from_millis(1)).await,
                Err(error) => return Err(not_served(self.index, &error)),
            }
        }
    }

    /// The records of whole batches, each checked against its own CRC.
    fn decode(&self, slices: &[Bytes]) -> Result<Vec<(u64, Vec<u8>)>, Violation> {
        let mut records = Vec::new();
        for slice in slices {
            for batch in batches(slice) {
                let batch: BatchView<'_> = batch.map_err(|error| not_served(self.index, &error))?;
                let changed = Violation::ContentChanged {
                    partition: self.index,
                    offset: batch.base_offset().get(),
                };
                if !batch.crc_is_valid() {
                    return Err(changed);
                }
                for record in batch.records() {
                    let record = record.map_err(|_| changed.clone())?;
                    records.push((
                        record.offset.get(),
                        record.value.unwrap_or_default().to_vec(),
                    ));
                }
            }
        }
        Ok(records)
    }

    /// Turns stable records into acknowledged ones.
    fn acknowledge_when_stable(&self) {
        let clients = Rc::clone(&self.clients);
        let (unanswered, stable) = (Rc::clone(&self.unanswered), Rc::clone(&self.stable));
        let index = self.index;
        self.log.on_stable(move |result| {
            let mut clients = clients.borrow_mut();
            let end = match result {
                Ok(end) => end.get(),
                Err(failure) => return clients.check(Err(not_served(index, &failure))),
            };
            let before = stable.replace(end);
            if end < before {
                let what = "the stable end";
                clients.check(Err(Violation::WentBack {
                    partition: index,
                    what,
                    before,
                    now: end,
                }));
            }
            let mut unanswered = unanswered.borrow_mut();
            while let Some((id, offset)) = unanswered.pop_front_if(|(_, offset)| *offset < end) {
                let result = clients.histories[index as usize].acknowledged_at(id, offset);
                clients.check(result);
            }
        });
    }

    /// Appends one batch.
    fn append(&self) -> Result<(), Violation> {
        let count = 1 + self.random_below(self.workload.records_per_batch_max);
        let mut builder = BatchBuilder::new(BATCH_BYTES_MAX);
        let mut ids = Vec::new();
        for _ in 0..count {
            let id = {
                let mut clients = self.clients.borrow_mut();
                let id = clients.next_record;
                clients.next_record += 1;
                clients.histories[self.index as usize].sent(id);
                id
            };
            let len =
                usize::try_from(self.random_below(self.workload.value_bytes_max)).unwrap_or(0);
            let value = value_of(id, len);
            let timestamp = TimestampMs::new(self.reactor.unix_time_ms());
            let record = RecordData {
                key: None,
                value: Some(&value),
                headers: &[],
                timestamp,
            };
            builder
                .append(&record)
                .map_err(|error| not_served(self.index, &error))?;
            ids.push(id);
        }
        let batch = builder
            .build()
            .map_err(|error| not_served(self.index, &error))?;
        let appended = match self.log.append(&batch, self.epoch) {
            Ok(appended) => appended,
            // Refused, and asked for again with the next batch.
            Err(AppendError::Throttled | AppendError::NoSpace) => return Ok(()),
            Err(error) => return Err(not_served(self.index, &error)),
        };
        let offsets = (0..).map(|delta| appended.base_offset.get() + delta);
        self.unanswered
            .borrow_mut()
            .extend(ids.into_iter().zip(offsets));
        Ok(())
    }

    async fn append_for_ever(&self) -> Result<(), Violation> {
        loop {
            self.append()?;
            if self.random_below(4) > 0 {
                let pause_us = self.random_below(self.workload.pause_us_max);
                self.reactor.sleep(Duration::from_micros(pause_us)).await;
            }
        }
    }

    async fn read_for_ever(&self) -> Result<(), Violation> {
        loop {
            let (start, end) = (self.log.log_start().get(), self.log.stable_end().get());
            if start < end {
                let offset = Offset::new(start + self.random_below(end - start));
                let slices = self
                    .read(offset, 1 << self.random_below(18), Offset::new(end))
                    .await?;
                let records = self.decode(&slices)?;
                let records = records.iter().map(|(offset, value)| ReadRecord {
                    offset: *offset,
                    value,
                });
                self.clients.borrow_mut().histories[self.index as usize].served(records)?;
            }
            self.reactor
                .sleep(Duration::from_micros(50 + self.random_below(2_000)))
                .await;
        }
    }

    /// What must be possible when nothing hinders it.
    async fn finish(&self) -> Result<(), Violation> {
        for _ in 0..LAST_BATCHES {
            self.append()?;
        }
        let waited = self.reactor.timeout(PATIENCE / 2, async {
            while self.log.stable_end() < self.log.log_end() {
                self.reactor.sleep(Duration::from_micros(100)).await;
            }
        });
        if waited.await.is_err() {
            let (what, seconds) = ("making appends stable", PATIENCE.as_secs() / 2);
            return Err(Violation::NoProgress {
                partition: self.index,
                what,
                seconds,
            });
        }
        self.compare_all().await?;
        self.log
            .close()
            .await
            .map_err(|error| not_served(self.index, &error))
    }
}
