//! One life of the node: open every log, compare it with the history, append and read until the end.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, select_all};
use ringlog_log::{CacheBudget, Log, LogEnv, OpenError, SpaceGauge};
use ringlog_reactor::Reactor;
use ringlog_record::{LeaderEpoch, Offset};

use super::clients::Clients;
use super::directory;
use super::partition::{Partition, Stop};
use super::trouble::Trouble;
use super::workload::{PartitionPlan, Role, Workload};
use crate::files::SimFiles;
use crate::violation::{Violation, not_served};

/// How often a life looks whether it is to close its logs.
const CLOSING_POLL: Duration = Duration::from_micros(100);

pub(crate) struct Incarnation {
    pub(crate) clients: Rc<RefCell<Clients>>,
    pub(crate) workload: Rc<Workload>,
    pub(crate) role: Role,
    /// The life before closed its logs in order.
    pub(crate) were_closed: bool,
}

impl Incarnation {
    /// Runs until the node dies.
    pub(crate) async fn run(self, reactor: Reactor) {
        let bulk = Rc::new(SimFiles::new(reactor.clone(), self.workload.bulk));
        let cache = CacheBudget::new(self.workload.cache_bytes);
        let env = LogEnv::new(reactor.clone(), bulk, cache, SpaceGauge::new());
        {
            let life = &mut self.clients.borrow_mut().life;
            life.counters = Some(Rc::clone(&env.counters));
            life.appends = self.role != Role::Reads;
        }
        let this = Rc::new(self);
        let tasks: Vec<_> = (0..)
            .zip(&this.workload.partitions)
            .map(|(index, &plan)| {
                let (this, env) = (Rc::clone(&this), env.clone());
                reactor.spawn("partition", async move {
                    let ended = this.live(env, index, plan).await;
                    let mut clients = this.clients.borrow_mut();
                    match ended {
                        Ok(()) => {}
                        Err(Stop::Violation(violation)) => clients.check(Err(violation)),
                        Err(Stop::Offline) => clients.life.offline += 1,
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        std::future::pending::<()>().await;
    }

    async fn open(&self, env: LogEnv, index: u32, plan: PartitionPlan) -> Result<Partition, Stop> {
        let reactor = env.reactor.clone();
        let (log, report) = match Log::open(env, directory(index), plan.config).await {
            Ok(opened) => opened,
            Err(OpenError::File(_) | OpenError::Corrupt(_))
                if self.clients.borrow().life.may_fail(index) =>
            {
                return Err(Stop::Offline);
            }
            // A log without a segment needs room for its first one.
            Err(OpenError::File(error)) if self.is_full(&error.source) => {
                return Err(Stop::Offline);
            }
            Err(error) => return Err(not_served(index, &error).into()),
        };
        if self.were_closed && (!report.is_clean || report.torn_tail.is_some()) {
            return Err(Violation::ScannedAfterClose {
                partition: index,
                bytes: report.scanned_bytes,
            }
            .into());
        }
        {
            let met = &mut self.clients.borrow_mut().met;
            met.restarts_in_memory += u64::from(log.lost_below() > Offset::ZERO);
        }
        self.clients.borrow_mut().met.torn_tails += u64::from(report.torn_tail.is_some());
        let epoch = log.epochs().latest().unwrap_or(LeaderEpoch::new(0));
        Ok(Partition {
            reactor,
            clients: Rc::clone(&self.clients),
            plan,
            pause_us_max: self.workload.pause_us_max,
            index,
            epoch: Rc::new(Cell::new(epoch)),
            log,
        })
    }

    fn is_full(&self, error: &io::Error) -> bool {
        let trouble = self.clients.borrow().life.trouble;
        error.kind() == io::ErrorKind::StorageFull && matches!(trouble, Some(Trouble::Full { .. }))
    }

    async fn live(&self, env: LogEnv, index: u32, plan: PartitionPlan) -> Result<(), Stop> {
        let reactor = env.reactor.clone();
        let opened = self.recover(env, index, plan).await;
        self.clients.borrow_mut().life.settled += 1;
        let partition = opened?;
        partition.follow_stable_end();
        if self.role == Role::Finishes {
            partition.finish().await?;
            return partition.close().await;
        }
        let appending = async {
            match self.role {
                Role::Reads => std::future::pending().await,
                _ => partition.append_for_ever().await,
            }
        };
        let closing = async {
            while !self.clients.borrow().life.is_closing {
                reactor.sleep(CLOSING_POLL).await;
            }
            partition.close().await?;
            std::future::pending().await
        };
        let tasks: [LocalBoxFuture<'_, Result<(), Stop>>; 3] = [
            Box::pin(partition.read_for_ever()),
            Box::pin(appending),
            Box::pin(closing),
        ];
        select_all(tasks).await.0
    }

    /// Opens a log, compares it with its history, and begins an epoch if that is the role.
    async fn recover(
        &self,
        env: LogEnv,
        index: u32,
        plan: PartitionPlan,
    ) -> Result<Partition, Stop> {
        let partition = self.open(env, index, plan).await?;
        partition.compare_all().await?;
        if matches!(self.role, Role::Leads | Role::Finishes) {
            partition.begin_epoch().await?;
        }
        Ok(partition)
    }
}
