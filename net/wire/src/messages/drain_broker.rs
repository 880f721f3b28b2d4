//! Drain broker: it leads nothing that another one can, and gets nothing new, until it registers anew.

use ringlog_record::BrokerId;

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::frame::{Body, Direction};
use crate::generated as fbs;

const REQUEST: Shape = Shape {
    api: Api::DrainBroker,
    direction: Direction::Request,
    tables_max: 1,
};

const RESPONSE: Shape = Shape {
    api: Api::DrainBroker,
    direction: Direction::Response,
    tables_max: 1,
};

/// Asks for a broker to be drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrainBrokerRequest {
    /// Which.
    pub broker: BrokerId,
}

impl DrainBrokerRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::DrainBrokerRequest<'_>>(body, REQUEST)?;
        Ok(Self {
            broker: BrokerId::new(request.broker()),
        })
    }
}

impl Message for DrainBrokerRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for DrainBrokerRequest {
    fn build(&self, writer: &mut Writer) {
        let args = fbs::DrainBrokerRequestArgs {
            broker: self.broker.get(),
        };
        let root = fbs::DrainBrokerRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// The broker gets nothing new from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DrainBrokerResponse {
    /// Partitions that it leads still, since no other broker has their records.
    pub leaders: u32,
}

impl DrainBrokerResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::DrainBrokerResponse<'_>>(body, RESPONSE)?;
        Ok(Self {
            leaders: response.leaders(),
        })
    }
}

impl Message for DrainBrokerResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for DrainBrokerResponse {
    fn build(&self, writer: &mut Writer) {
        let args = fbs::DrainBrokerResponseArgs {
            leaders: self.leaders,
        };
        let root = fbs::DrainBrokerResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
