//! Elect leaders: the preferred brokers lead again, where they can.

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::frame::{Body, Direction};
use crate::generated as fbs;

const REQUEST: Shape = Shape {
    api: Api::ElectLeaders,
    direction: Direction::Request,
    tables_max: 1,
};

const RESPONSE: Shape = Shape {
    api: Api::ElectLeaders,
    direction: Direction::Response,
    tables_max: 1,
};

/// Asks for preferred brokers to lead again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ElectLeadersRequest {
    /// Partitions of this topic; of all without.
    pub topic: Option<String>,
}

impl ElectLeadersRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::ElectLeadersRequest<'_>>(body, REQUEST)?;
        Ok(Self {
            topic: request.topic().map(str::to_owned),
        })
    }
}

impl Message for ElectLeadersRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for ElectLeadersRequest {
    fn build(&self, writer: &mut Writer) {
        let topic = self.topic.as_ref();
        let topic = topic.map(|topic| writer.builder.create_string(topic));
        let args = fbs::ElectLeadersRequestArgs { topic };
        let root = fbs::ElectLeadersRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ElectLeadersResponse {
    /// How many leaders.
    pub moved: u32,
}

impl ElectLeadersResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::ElectLeadersResponse<'_>>(body, RESPONSE)?;
        Ok(Self {
            moved: response.moved(),
        })
    }
}

impl Message for ElectLeadersResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for ElectLeadersResponse {
    fn build(&self, writer: &mut Writer) {
        let args = fbs::ElectLeadersResponseArgs { moved: self.moved };
        let root = fbs::ElectLeadersResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
