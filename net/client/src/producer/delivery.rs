//! The outcome of a record, and who waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ringlog_record::{Offset, PartitionIndex};
use ringlog_wire::{AckLevel, ProduceReceipt};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::DeliveryError;

/// A record that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// In which partition.
    pub partition: PartitionIndex,
    /// At which offset; not known with [`ringlog_wire::Acks::None`], and 0 then.
    pub offset: Offset,
    /// What the acknowledgement is worth.
    pub level: AckLevel,
    /// Where the broker's time for the request of this record went; with [`super::ProducerConfig::wants_receipts`],
    /// from a broker that knows receipts. Records that went in one request have the same.
    pub receipt: Option<ProduceReceipt>,
}

/// The outcome to come of a record.
#[derive(Debug)]
#[must_use = "the outcome comes from awaiting this; drop it to ignore it"]
pub struct Delivery(oneshot::Receiver<Result<Delivered, DeliveryError>>);

impl Delivery {
    pub(super) fn new(outcome: oneshot::Receiver<Result<Delivered, DeliveryError>>) -> Self {
        Self(outcome)
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, DeliveryError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = Pin::new(&mut self.0).poll(cx);
        outcome.map(|outcome| outcome.unwrap_or(Err(DeliveryError::Closed)))
    }
}

/// Who waits for a record, and the room that the record takes.
#[derive(Debug)]
pub(super) struct Waiting {
    outcome: oneshot::Sender<Result<Delivered, DeliveryError>>,
    _room: OwnedSemaphorePermit,
}

impl Waiting {
    pub(super) fn new(
        outcome: oneshot::Sender<Result<Delivered, DeliveryError>>,
        room: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            outcome,
            _room: room,
        }
    }

    pub(super) fn settle(self, outcome: Result<Delivered, DeliveryError>) {
        // Who sent the record may not care.
        self.outcome.send(outcome).ok();
    }
}
