//! Handing out producer ids. A block is kept in stock, so that producers can begin while the metadata store is away.

use std::ops::Range;

use ringlog_coord::controller::allocate_producer_ids;
use ringlog_record::{ProducerEpoch, ProducerId};
use ringlog_wire::InitProducerResponse;
use tracing::warn;

use super::{Serving, Surroundings};
use crate::failure::Failure;

/// Producer ids that may be handed out.
#[derive(Debug, Default)]
pub(super) struct ProducerIds {
    present: Range<u64>,
    /// What comes when those are used up; nothing while it could not be had.
    stock: Range<u64>,
}

impl ProducerIds {
    fn next(&mut self) -> Option<u64> {
        if self.present.is_empty() {
            self.present = std::mem::take(&mut self.stock);
        }
        self.present.next()
    }
}

impl<E: Surroundings> Serving<E> {
    /// An id that nobody was given, in any life of the cluster.
    pub(super) async fn init_producer(&mut self) -> Result<InitProducerResponse, Failure> {
        let id = match self.producer_ids.next() {
            Some(id) => id,
            None => {
                self.producer_ids.present = allocate_producer_ids(&self.member.store).await?;
                let present = &mut self.producer_ids.present;
                present.next().unwrap_or(present.end)
            }
        };
        self.stock_producer_ids().await;
        Ok(InitProducerResponse {
            producer_id: ProducerId::new(id),
            producer_epoch: ProducerEpoch::default(),
        })
    }

    /// Sees to it that there is a block in stock. What fails is tried again with the next producer.
    pub(super) async fn stock_producer_ids(&mut self) {
        if !self.producer_ids.stock.is_empty() {
            return;
        }
        match allocate_producer_ids(&self.member.store).await {
            Ok(block) => self.producer_ids.stock = block,
            Err(error) => warn!(%error, "no producer ids can be had now"),
        }
    }
}
