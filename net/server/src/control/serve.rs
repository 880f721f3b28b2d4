//! The loop of the control task: it waits for requests, for news of the cluster and for time to pass, and does what they
//! bring, one thing after the other.
//!
//! What cannot be done now, because the metadata store is away, is tried again; the shards go on serving meanwhile. A
//! session that has ended is followed by another one, in which the broker registers anew: what it leads goes on until
//! the controller has taken the new registration in, and is given to it in a larger leader epoch.

use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, select_all};
use ringlog_coord::controller::{Controller, ControllerError, StartError, cluster_id, register};
use ringlog_coord::ids::BrokerEpoch;
use ringlog_coord::lease::Lease;
use ringlog_coord::observer::Observer;
use ringlog_coord::store::{MetadataStore, Session, SessionStatus};
use ringlog_reactor::mailbox;

use super::member::Member;
use super::request::ControlRequest;
use super::{BrokerError, Serving, Surroundings};
use crate::limits::{CONTROLLER_INTERVAL, HAND_OVER_TIMEOUT, REJOIN_RETRY, STORE_RETRY};

/// What ends a wait.
enum Wake<S> {
    Request(Option<ControlRequest>),
    Seen,
    Reported,
    Session(Session),
    Reopened(Result<S, String>),
    Renewed(Result<(), String>),
    Time,
}

impl<E: Surroundings> Serving<E> {
    /// Serves until a request says to stop; gives whom to tell when that is done.
    ///
    /// # Errors
    /// The broker cannot go on: its id is taken, or a shard has ended.
    pub(super) async fn serve(
        &mut self,
        requests: &mut mailbox::Receiver<ControlRequest>,
    ) -> Result<Option<oneshot::Sender<()>>, BrokerError> {
        loop {
            self.catch_up().await?;
            match self.wait(requests).await {
                Wake::Request(None) => return Ok(None),
                Wake::Request(Some(ControlRequest::Shutdown(answer))) => {
                    self.leave().await;
                    return Ok(Some(answer));
                }
                Wake::Request(Some(request)) => self.handle(request).await,
                Wake::Seen => self.is_look_due = true,
                Wake::Reported => self.is_count_due = true,
                Wake::Session(session) => self.session_changed(session),
                Wake::Reopened(opened) => {
                    self.reopening = None;
                    self.rejoin(opened).await?;
                }
                Wake::Renewed(renewed) => {
                    self.renewal = None;
                    match renewed {
                        Ok(()) => self.lease.renewed(),
                        Err(reason) => {
                            tracing::debug!(reason, "the lease was not renewed");
                            self.lease.failed(self.surroundings.now());
                        }
                    }
                }
                Wake::Time => {}
            }
        }
    }

    async fn wait(&mut self, requests: &mut mailbox::Receiver<ControlRequest>) -> Wake<E::Store> {
        let now = self.surroundings.now();
        let time = self.next_time(now).map(|at| at.saturating_sub(now));
        let mut waits: Vec<LocalBoxFuture<'_, Wake<E::Store>>> = Vec::new();
        if let Some(reopening) = &mut self.reopening {
            waits.push(reopening.map(Wake::Reopened).boxed_local());
        } else {
            let changed = self.member.store.session_changed(&self.session);
            waits.push(changed.map(Wake::Session).boxed_local());
            let seen = self.member.observer.changed();
            waits.push(seen.map(|()| Wake::Seen).boxed_local());
            if let Some(controller) = &mut self.controller {
                waits.push(controller.changed().map(|()| Wake::Reported).boxed_local());
            }
        }
        if let Some(renewal) = &mut self.renewal {
            waits.push(renewal.map(Wake::Renewed).boxed_local());
        }
        if let Some(time) = time {
            waits.push(
                self.surroundings
                    .sleep(time)
                    .map(|()| Wake::Time)
                    .boxed_local(),
            );
        }
        // Whoever is ready first in this order goes first: a crowd of requests holds nothing else up.
        waits.push(requests.recv().map(Wake::Request).boxed_local());
        select_all(waits).await.0
    }

    /// When there is something to do even if nothing happens.
    fn next_time(&self, now: Duration) -> Option<Duration> {
        let retry = self.retry_at;
        let controller = self.controller.as_ref().map(|_| self.controller_at);
        let waiting = self.waiting.iter().map(|one| one.deadline).min();
        let renewal = self
            .lease
            .renewal_at()
            .filter(|_| self.renewal.is_none() && self.is_joined());
        [retry, controller, waiting, renewal]
            .into_iter()
            .flatten()
            .min()
            .map(|at| at.max(now))
    }

    /// Whether the store is in the data directory: there is no other session when this one has ended.
    pub(super) fn is_store_local(&self) -> bool {
        self.session.timeout.is_none()
    }

    pub(super) fn is_joined(&self) -> bool {
        self.session.status != SessionStatus::Ended
    }

    fn session_changed(&mut self, session: Session) {
        match session.status {
            SessionStatus::Ended => {
                if self.is_store_local() {
                    tracing::error!(
                        "the metadata store has failed: the broker serves what it knows, and changes nothing before its next start"
                    );
                } else {
                    tracing::error!(
                        "the session with the metadata store has ended: the broker serves on and registers anew"
                    );
                }
                self.controller = None;
                self.renewal = None;
                self.reopening = Some(self.surroundings.open());
            }
            SessionStatus::Disconnected => {
                tracing::warn!(
                    "the metadata store is away: what is led is served, topics cannot be changed"
                );
            }
            SessionStatus::Connected => {
                tracing::info!("the metadata store is there again");
                self.is_look_due = true;
                self.is_count_due = true;
            }
        }
        self.session = session;
    }

    /// Registers anew, in a new session, if the store is still that of the cluster.
    async fn rejoin(&mut self, opened: Result<E::Store, String>) -> Result<(), BrokerError> {
        let store = opened.map_err(BrokerError::Session)?;
        // The lease runs from before the write.
        let now = self.surroundings.now();
        let reason = match cluster_id(&store).await {
            Ok(Some(found)) if found.to_string() == self.cluster_id => {
                match register(&store, &self.registration).await {
                    Ok(epoch) => {
                        self.session = store.session();
                        self.lease = Lease::new(self.session.timeout, now)?;
                        self.member = Member::new(store.clone(), Observer::new(store), epoch);
                        self.registered_anew(epoch);
                        return Ok(());
                    }
                    Err(error @ StartError::DuplicateBroker { .. }) => return Err(error.into()),
                    Err(error) => error.to_string(),
                }
            }
            Ok(found) => {
                let found = found.map_or("of none".to_owned(), |found| format!("of {found}"));
                format!(
                    "the metadata store is {found}, not of this broker's cluster {}: bring its data back",
                    self.cluster_id
                )
            }
            Err(error) => error.to_string(),
        };
        tracing::error!(
            reason,
            "the broker could not be registered anew; it serves on, and tries again"
        );
        store.close().await;
        let (pause, open) = (
            self.surroundings.sleep(REJOIN_RETRY),
            self.surroundings.open(),
        );
        self.reopening = Some(
            async move {
                pause.await;
                open.await
            }
            .boxed_local(),
        );
        Ok(())
    }

    fn registered_anew(&mut self, epoch: BrokerEpoch) {
        self.me.broker_epoch = epoch.get();
        self.member.epoch = epoch;
        self.is_look_due = true;
        tracing::info!(broker_epoch = epoch.get(), "the broker is registered anew");
    }

    /// Sees to it that the broker's registration is there: somebody may have removed it, or taken its place.
    async fn keep_registration(&mut self, now: Duration) -> Result<(), BrokerError> {
        let live = self.member.sight().brokers.get(&self.config.broker);
        match live {
            None => match register(&self.member.store, &self.registration).await {
                Ok(epoch) if epoch != self.member.epoch => self.registered_anew(epoch),
                Ok(_) => {}
                Err(error @ StartError::DuplicateBroker { .. }) => return Err(error.into()),
                Err(error) => self.try_again(now, &error.to_string()),
            },
            Some(live) if live.epoch > self.member.epoch => {
                return Err(BrokerError::Start(StartError::DuplicateBroker {
                    broker: self.config.broker,
                    addresses: live.registration.addresses.join(", "),
                }));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// Does everything that is due.
    async fn catch_up(&mut self) -> Result<(), BrokerError> {
        let now = self.surroundings.now();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.is_look_due = true;
        }
        if !self.is_joined() {
            self.answer_waiting(now).await;
            return Ok(());
        }
        if self.renewal.is_none() && self.lease.renewal_at().is_some_and(|at| at <= now) {
            let (store, broker) = (self.member.store.clone(), self.config.broker);
            self.lease.begin_renewal(now);
            self.renewal = Some(
                async move {
                    let renewed = ringlog_coord::lease::renew(&store, broker).await;
                    renewed.map_err(|error| error.to_string())
                }
                .boxed_local(),
            );
        }
        if self.is_look_due {
            self.look(now).await?;
        }
        self.govern(now).await;
        if let Err(reason) = self.member.report(self.config.broker, &self.served).await {
            self.try_again(now, &reason);
        }
        self.answer_waiting(now).await;
        Ok(())
    }

    fn try_again(&mut self, now: Duration, reason: &str) {
        tracing::debug!(reason, "the metadata store could not be used, and will be");
        self.retry_at.get_or_insert(now + STORE_RETRY);
    }

    /// Looks at the cluster, and serves what is seen.
    async fn look(&mut self, now: Duration) -> Result<(), BrokerError> {
        self.is_look_due = false;
        if let Err(error) = self.member.observer.look().await {
            if matches!(
                error,
                ControllerError::Record(_) | ControllerError::Inconsistent { .. }
            ) {
                tracing::error!(%error, "the metadata store cannot be understood; what was known before is served");
            }
            self.try_again(now, &error.to_string());
            return Ok(());
        }
        self.keep_registration(now).await?;
        let me = self.config.broker;
        if self.member.is_in(me) {
            let (sight, epoch) = (self.member.sight(), self.member.epoch);
            self.served
                .apply(&self.shards, &self.config, sight, epoch)
                .await?;
        }
        self.publish().await;
        if self.member.is_settled(me)
            && let Some((ready, address)) = self.ready.take()
        {
            self.stock_producer_ids().await;
            self.shards.accept();
            // Whoever started the broker may not care.
            ready.send(address).ok();
        }
        Ok(())
    }

    /// Shows all shards the cluster as it is now, if it is not as they were last shown it.
    async fn publish(&mut self) {
        let mut view = self
            .served
            .view(&self.me, &self.cluster_id, self.member.sight());
        view.picture = self.shown.picture;
        if view != *self.shown {
            view.picture += 1;
            self.shown = Arc::new(view);
            self.shards.publish(Arc::clone(&self.shown)).await;
        }
    }

    /// Is the controller, where nobody else is.
    async fn govern(&mut self, now: Duration) {
        if self.controller.is_none() && self.is_vacant() && self.retry_at.is_none() {
            let store = self.member.store.clone();
            match Controller::take_office(store, self.config.broker, self.member.epoch).await {
                Ok(Some(controller)) => {
                    tracing::info!(
                        epoch = controller.epoch().get(),
                        "this broker is the controller"
                    );
                    self.controller = Some(controller);
                    self.is_count_due = true;
                }
                // Another one was faster, and the watch on the office tells.
                Ok(None) => self.is_look_due = true,
                Err(error) => self.try_again(now, &error.to_string()),
            }
        }
        let Some(controller) = &mut self.controller else {
            return;
        };
        let governed = if self.is_count_due {
            self.is_count_due = false;
            controller.look(now).await
        } else if self.controller_at <= now {
            controller.tick(now).await
        } else {
            return;
        };
        self.controller_at = now + CONTROLLER_INTERVAL;
        if let Err(error) = governed {
            self.is_count_due = true;
            self.controller_at = now + STORE_RETRY;
            self.step_down_if(&error);
            match error {
                ControllerError::Record(_) | ControllerError::Inconsistent { .. } => {
                    tracing::error!(%error, "the controller cannot go on, and tries again");
                }
                _ => self.try_again(now, &error.to_string()),
            }
        }
    }

    /// Whether nobody is the controller, as far as is seen: not even this broker in this registration.
    fn is_vacant(&self) -> bool {
        let incumbent = self.member.sight().controller.as_ref();
        incumbent.is_none_or(|one| one.broker == self.config.broker)
    }

    /// Leaves office once another has taken it.
    pub(super) fn step_down_if(&mut self, error: &ControllerError) {
        if matches!(error, ControllerError::Deposed { .. }) {
            tracing::warn!(%error, "this broker is the controller no more");
            self.controller = None;
            self.is_look_due = true;
        }
    }

    /// Tells the cluster that this broker goes, and waits a while for others to lead what they can.
    async fn leave(&mut self) {
        self.served.draining = true;
        let deadline = self.surroundings.now() + HAND_OVER_TIMEOUT;
        let me = self.config.broker;
        loop {
            self.is_look_due = true;
            // It stops in any case.
            if self.catch_up().await.is_err() || self.surroundings.now() >= deadline {
                return;
            }
            if !self.is_joined() || self.retry_at.is_some() || !self.member.could_hand_over(me) {
                return;
            }
            self.surroundings.sleep(STORE_RETRY).await;
        }
    }
}
