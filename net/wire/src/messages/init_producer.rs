//! Init producer: an id for an idempotent producer.

use ringlog_record::{ProducerEpoch, ProducerId};

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::frame::{Body, Direction};
use crate::generated as fbs;

const REQUEST: Shape = Shape {
    api: Api::InitProducer,
    direction: Direction::Request,
    tables_max: 1,
};

const RESPONSE: Shape = Shape {
    api: Api::InitProducer,
    direction: Direction::Response,
    tables_max: 1,
};

/// Asks for an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InitProducerRequest;

impl InitProducerRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        root::<fbs::InitProducerRequest<'_>>(body, REQUEST)?;
        Ok(Self)
    }
}

impl Message for InitProducerRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for InitProducerRequest {
    fn build(&self, writer: &mut Writer) {
        let args = fbs::InitProducerRequestArgs {};
        let root = fbs::InitProducerRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// The id, which nobody else has, had or will have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitProducerResponse {
    /// What goes into the header of each batch.
    pub producer_id: ProducerId,
    /// The epoch to begin with.
    pub producer_epoch: ProducerEpoch,
}

impl InitProducerResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify; an id or epoch that no batch can hold.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::InitProducerResponse<'_>>(body, RESPONSE)?;
        let (producer_id, epoch) = (response.producer_id(), response.producer_epoch());
        let bad = |field, value| Err(DecodeError::BadValue { field, value });
        if i64::try_from(producer_id).is_err() {
            return bad("producer_id", producer_id);
        }
        if epoch > ProducerEpoch::MAX.get() {
            return bad("producer_epoch", epoch.into());
        }
        Ok(Self {
            producer_id: ProducerId::new(producer_id),
            producer_epoch: ProducerEpoch::new(epoch),
        })
    }
}

impl Message for InitProducerResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for InitProducerResponse {
    fn build(&self, writer: &mut Writer) {
        let args = fbs::InitProducerResponseArgs {
            producer_id: self.producer_id.get(),
            producer_epoch: self.producer_epoch.get(),
        };
        let root = fbs::InitProducerResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
