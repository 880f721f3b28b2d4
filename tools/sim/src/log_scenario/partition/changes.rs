//! What a client does to its log beside appending and reading.

use std::rc::Rc;

use ringlog_log::ChangeError;
use ringlog_record::{LeaderEpoch, Offset};

use super::{Partition, Stop};
use crate::violation::Violation;

impl Partition {
    /// Something that is no append, beside the appends or in their place.
    pub(super) async fn change(&self) -> Result<(), Stop> {
        let this = self.clone();
        let changing = async move {
            match this.random_below(5) {
                0 => this.delete_records().await,
                1 => this.begin_epoch().await,
                2 => match this.log.flush().await {
                    Ok(()) => Ok(()),
                    Err(failure) => Err(this.stop(&failure)),
                },
                _ => this.apply_retention().await,
            }
        };
        if self.random_below(2) == 0 {
            return changing.await;
        }
        let clients = Rc::clone(&self.clients);
        let beside = async move {
            if let Err(Stop::Violation(violation)) = changing.await {
                clients.borrow_mut().check(Err(violation));
            }
        };
        self.reactor.spawn("change", beside).detach();
        Ok(())
    }

    fn changed<T>(&self, result: Result<T, ChangeError>) -> Result<Option<T>, Stop> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(ChangeError::StaleEpoch { .. } | ChangeError::NoSpace) => Ok(None),
            Err(ChangeError::Closed) if self.is_closing() => Ok(None),
            Err(error) => Err(self.stop(&error)),
        }
    }

    async fn delete_records(&self) -> Result<(), Stop> {
        let (start, end) = (self.log.log_start().get(), self.log.stable_end().get());
        // Half of what is there at most, so that something is left to look at.
        let before = start + self.random_below((end - start) / 2 + 1);
        self.history(|history| history.deletion_asked(before));
        let deleted = self.log.delete_records(Offset::new(before)).await;
        if let Some(log_start) = self.changed(deleted)? {
            self.started_at(log_start)?;
            self.clients.borrow_mut().met.deletions += 1;
        }
        Ok(())
    }

    async fn apply_retention(&self) -> Result<(), Stop> {
        let removed = self.log.apply_retention().await;
        let removed = self.changed(removed)?.unwrap_or(0);
        let retained = self.plan.config.retention_bytes;
        let retained = retained.filter(|_| !self.plan.is_in_memory());
        let asked = self.history(|history| history.asked_start());
        // Of what went with a deletion that was asked for meanwhile, nothing has to be left.
        let by_itself = removed > 0 && self.log.log_start().get() > asked;
        if let Some(bytes) = retained.filter(|&bytes| by_itself && self.log.size_bytes() < bytes) {
            let what = format!("less than {bytes} bytes are left by retention");
            return Err(Violation::WrongAnswer {
                partition: self.index,
                what,
            }
            .into());
        }
        Ok(())
    }

    fn started_at(&self, log_start: Offset) -> Result<(), Stop> {
        let now_ms = self.reactor.unix_time_ms();
        Ok(self.history(|history| history.started_at(log_start.get(), now_ms))?)
    }

    /// Begins an epoch newer than all before.
    pub(crate) async fn begin_epoch(&self) -> Result<(), Stop> {
        let epoch = {
            let epochs = &mut self.clients.borrow_mut().epochs[self.index as usize];
            *epochs += 1;
            *epochs
        };
        let begun = self.log.begin_epoch(LeaderEpoch::new(epoch)).await;
        if self.changed(begun)?.is_some() {
            self.epoch
                .set(self.epoch.get().max(LeaderEpoch::new(epoch)));
            self.history(|history| history.epoch_begun(epoch));
            self.clients.borrow_mut().met.epochs_begun += 1;
        }
        Ok(())
    }
}
