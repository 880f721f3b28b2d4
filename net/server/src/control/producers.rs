//! Handing out producer ids.

use ringlog_coord::store::MetadataStore;
use ringlog_record::{ProducerEpoch, ProducerId};
use ringlog_wire::InitProducerResponse;

use super::Serving;
use crate::failure::Failure;

impl<S: MetadataStore> Serving<S> {
    /// An id that nobody was given, in any life of the cluster.
    pub(super) async fn init_producer(&mut self) -> Result<InitProducerResponse, Failure> {
        if self.producer_ids.is_empty() {
            self.producer_ids = self.controller.allocate_producer_ids().await?;
        }
        let id = self.producer_ids.next().unwrap_or(self.producer_ids.end);
        Ok(InitProducerResponse {
            producer_id: ProducerId::new(id),
            producer_epoch: ProducerEpoch::default(),
        })
    }
}
