//! A log and its client: appends, reads, deletes and begins epochs, and tells the history.

mod changes;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_log::{AppendError, Log, LogFailure, ReadError, ReadRequest};
use ringlog_reactor::Reactor;
use ringlog_record::{LeaderEpoch, Offset};

use super::PATIENCE;
use super::clients::Clients;
use super::workload::{Batches, PartitionPlan};
use crate::batch::{build, decode};
use crate::history::{Found, History, ReadRecord};
use crate::value::RecordId;
use crate::violation::{Violation, not_served};

/// Batches that the last life appends to each log.
const LAST_BATCHES: u64 = 5;
/// Bytes asked for at once when a whole log is read.
const SCAN_BYTES: usize = 256 << 10;
/// Appends, or reads, of a life after which its client goes on more slowly: it waits for a device that is silent.
const BUSY_MAX: u64 = 2_000;
/// What the client waits for then.
const SLOW_PAUSE: Duration = Duration::from_millis(200);
/// How long an append that was refused waits.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);

/// Why a client gives up.
pub(crate) enum Stop {
    /// A checker found something.
    Violation(Violation),
    /// The device failed, as it was told to.
    Offline,
}

impl From<Violation> for Stop {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// A log and its client.
#[derive(Clone)]
pub(crate) struct Partition {
    pub(crate) reactor: Reactor,
    pub(crate) clients: Rc<RefCell<Clients>>,
    pub(crate) plan: PartitionPlan,
    pub(crate) pause_us_max: u64,
    pub(crate) index: u32,
    pub(crate) epoch: Rc<Cell<LeaderEpoch>>,
    pub(crate) log: Log,
}

impl Partition {
    fn random_below(&self, bound: u64) -> u64 {
        self.reactor.random_u64() % bound.max(1)
    }

    fn history<R>(&self, body: impl FnOnce(&mut History) -> R) -> R {
        body(&mut self.clients.borrow_mut().histories[self.index as usize])
    }

    /// What an error means: the device was told to fail, or the log is to blame.
    pub(crate) fn stop(&self, error: &impl ToString) -> Stop {
        if self.clients.borrow().life.may_fail(self.index) {
            Stop::Offline
        } else {
            Stop::Violation(not_served(self.index, error))
        }
    }

    /// Reads all that recovery found, before anything is appended.
    pub(crate) async fn compare_all(&self) -> Result<(), Stop> {
        let (mut start, end) = (self.log.log_start(), self.log.log_end());
        let mut records = Vec::new();
        let mut next = start;
        while next < end {
            let read = decode(self.index, &self.read(next, SCAN_BYTES, end).await?)?;
            if read.is_empty() && self.log.log_start() > next {
                // Retention came in between: what is left is compared with what may be left.
                start = self.log.log_start();
                next = start;
                records.clear();
                continue;
            }
            let Some(last) = read.last() else {
                let reason = format!("a read at {next} below the log end {end} gave nothing");
                return Err(not_served(self.index, &reason).into());
            };
            next = Offset::new(last.offset + 1);
            // The first batch may begin in front of the log start.
            records.extend(read.into_iter().filter(|one| one.offset >= start.get()));
        }
        let found = Found {
            log_start: start.get(),
            log_end: end.get(),
            now_ms: self.reactor.unix_time_ms(),
        };
        self.history(|history| history.restarted(found, records))?;
        let latest = self.log.epochs().latest().map_or(0, LeaderEpoch::get);
        let begun = self.history(|history| history.epoch());
        if latest < begun {
            return Err(Violation::WentBack {
                partition: self.index,
                what: "the leader epoch",
                before: begun.into(),
                now: latest.into(),
            }
            .into());
        }
        Ok(())
    }

    async fn read(
        &self,
        offset: Offset,
        max_bytes: usize,
        limit: Offset,
    ) -> Result<Vec<Bytes>, Stop> {
        let request = ReadRequest {
            offset,
            max_bytes,
            limit,
        };
        loop {
            match self.log.read(request).await {
                Ok(data) => return Ok(data.slices.into_vec()),
                Err(ReadError::Throttled) => self.reactor.sleep(Duration::from_millis(1)).await,
                Err(ReadError::Closed) if self.is_closing() => return Ok(Vec::new()),
                // It was deleted meanwhile.
                Err(ReadError::OffsetOutOfRange { log_start, .. }) if offset < log_start => {
                    return Ok(Vec::new());
                }
                Err(error @ (ReadError::File(_) | ReadError::Corrupt { .. })) => {
                    return Err(self.stop(&error));
                }
                Err(error) => return Err(not_served(self.index, &error).into()),
            }
        }
    }

    fn is_closing(&self) -> bool {
        self.clients.borrow().life.is_closing
    }

    /// Tells the history what is durable, now and whenever it moves.
    pub(crate) fn follow_stable_end(&self) {
        let clients = Rc::clone(&self.clients);
        let (index, is_sync) = (self.index, self.plan.is_sync());
        let stable = Cell::new(self.log.stable_end());
        self.log
            .on_stable(move |result: Result<Offset, LogFailure>| {
                let clients = &mut *clients.borrow_mut();
                let end = match result {
                    Ok(end) => end,
                    Err(_) if clients.life.may_fail(index) => return,
                    Err(failure) => return clients.check(Err(not_served(index, &failure))),
                };
                let before = stable.replace(end);
                if end < before {
                    clients.check(Err(Violation::WentBack {
                        partition: index,
                        what: "the stable end",
                        before: before.get(),
                        now: end.get(),
                    }));
                }
                if is_sync {
                    clients.life.durable_records += end.get().saturating_sub(before.get());
                    clients.histories[index as usize].durable_to(end.get());
                }
            });
    }

    /// Appends one or two batches; says whether they were taken.
    fn append(&self) -> Result<bool, Stop> {
        let now_ms = self.reactor.unix_time_ms();
        let mut ids: Vec<RecordId> = Vec::new();
        let mut batches = Vec::new();
        let count = match self.plan.batches {
            Batches::Blocks(_) => 1 + self.random_below(12),
            _ if self.random_below(8) == 0 => 2,
            _ => 1,
        };
        for _ in 0..count {
            let lens = self.plan.batches.draw(|bound| self.random_below(bound));
            let records: Vec<(RecordId, usize)> = {
                let mut clients = self.clients.borrow_mut();
                let first = clients.next_record;
                clients.next_record += lens.len() as u64;
                (first..).zip(lens).collect()
            };
            self.history(|history| records.iter().for_each(|&(id, _)| history.sent(id, now_ms)));
            batches.extend_from_slice(&build(self.index, &records, now_ms)?);
            ids.extend(records.iter().map(|&(id, _)| id));
        }
        let epoch = self.epoch.get();
        let appended = match self.log.append(&batches, epoch) {
            Ok(appended) => appended,
            Err(AppendError::Throttled | AppendError::NoSpace | AppendError::StaleEpoch { .. }) => {
                return Ok(false);
            }
            Err(AppendError::Closed) if self.is_closing() => return Ok(false),
            Err(error) => return Err(self.stop(&error)),
        };
        let base = appended.base_offset.get();
        self.clients.borrow_mut().met.records_appended += ids.len() as u64;
        self.history(|history| {
            ids.into_iter()
                .zip(base..)
                .try_for_each(|(id, offset)| history.appended(id, offset, epoch.get()))
        })?;
        Ok(true)
    }

    /// Appends, and now and then does something else, until the life ends.
    pub(crate) async fn append_for_ever(&self) -> Result<(), Stop> {
        for round in 0_u64.. {
            if round >= BUSY_MAX {
                self.reactor.sleep(SLOW_PAUSE).await;
            }
            let changes = self
                .plan
                .changes_one_in
                .is_some_and(|one_in| self.random_below(one_in) == 0);
            if changes && !self.is_closing() {
                self.change().await?;
            }
            if !self.append()? {
                self.reactor.sleep(REFUSED_PAUSE).await;
            } else if self.random_below(4) > 0 {
                let pause_us = self.random_below(self.pause_us_max);
                self.reactor.sleep(Duration::from_micros(pause_us)).await;
            }
            if !self.plan.is_sync() {
                let end = self.log.durable_end().get();
                self.history(|history| history.durable_to(end));
            }
        }
        Ok(())
    }

    /// Reads at random until the life ends.
    pub(crate) async fn read_for_ever(&self) -> Result<(), Stop> {
        for round in 0_u64.. {
            if round >= BUSY_MAX {
                self.reactor.sleep(SLOW_PAUSE).await;
            }
            let (start, end) = (self.log.log_start().get(), self.log.stable_end().get());
            // Before the read: what is on the device when it begins is what it may promise.
            let durable_end = match self.plan.is_sync() {
                true => end,
                false => self.log.durable_end().get(),
            };
            if start < end {
                let offset = start + self.random_below(end - start);
                let max_bytes = 1 << self.random_below(18);
                let slices = self
                    .read(Offset::new(offset), max_bytes, Offset::new(end))
                    .await?;
                let records = decode(self.index, &slices)?;
                self.check_read(&records, offset, end)?;
                let kept = records.into_iter().filter(|one| one.offset >= start);
                self.history(|history| history.served(kept, durable_end))?;
            }
            let pause_us = 50 + self.random_below(2_000);
            self.reactor.sleep(Duration::from_micros(pause_us)).await;
        }
        Ok(())
    }

    fn check_read(&self, records: &[ReadRecord], offset: u64, limit: u64) -> Result<(), Violation> {
        let partition = self.index;
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(());
        };
        if last.offset >= limit {
            return Err(Violation::ReadPastLimit {
                partition,
                offset: last.offset,
                limit,
            });
        }
        if first.offset > offset || last.offset < offset {
            return Err(Violation::NotDense {
                partition,
                offset: first.offset,
                expected: offset,
            });
        }
        Ok(())
    }

    /// What must be possible when nothing hinders it.
    pub(crate) async fn finish(&self) -> Result<(), Stop> {
        for _ in 0..LAST_BATCHES {
            self.append()?;
        }
        let flushed = self.reactor.timeout(PATIENCE / 2, self.log.flush()).await;
        match flushed {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => return Err(self.stop(&failure)),
            Err(_) => {
                return Err(Violation::NoProgress {
                    partition: self.index,
                    what: "making appends stable",
                    seconds: PATIENCE.as_secs() / 2,
                }
                .into());
            }
        }
        self.compare_all().await
    }

    /// Closes the log in order.
    pub(crate) async fn close(&self) -> Result<(), Stop> {
        let closed = self.log.close().await;
        closed.map_err(|error| self.stop(&error))?;
        let end = self.log.durable_end().get();
        self.history(|history| history.durable_to(end));
        self.clients.borrow_mut().life.closed += 1;
        Ok(())
    }
}
