//! Delete topic. `UnknownTopic` is an error response.

use ringlog_record::TopicId;

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::messages::partition::{topic_from_wire, topic_to_wire};

const REQUEST: Shape = Shape {
    api: Api::DeleteTopic,
    direction: Direction::Request,
    tables_max: 1,
};

const RESPONSE: Shape = Shape {
    api: Api::DeleteTopic,
    direction: Direction::Response,
    tables_max: 1,
};

/// Asks for a topic to be removed with its records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteTopicRequest {
    /// Its name.
    pub name: String,
}

impl DeleteTopicRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::DeleteTopicRequest<'_>>(body, REQUEST)?;
        Ok(Self {
            name: request.name().to_owned(),
        })
    }
}

impl Message for DeleteTopicRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for DeleteTopicRequest {
    fn build(&self, writer: &mut Writer) {
        let name = writer.builder.create_string(&self.name);
        let args = fbs::DeleteTopicRequestArgs { name: Some(name) };
        let root = fbs::DeleteTopicRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// The topic is gone; its files follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteTopicResponse {
    /// The id that it had.
    pub topic: TopicId,
}

impl DeleteTopicResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::DeleteTopicResponse<'_>>(body, RESPONSE)?;
        Ok(Self {
            topic: topic_from_wire(response.topic()),
        })
    }
}

impl Message for DeleteTopicResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for DeleteTopicResponse {
    fn build(&self, writer: &mut Writer) {
        let args = fbs::DeleteTopicResponseArgs {
            topic: Some(&topic_to_wire(self.topic)),
        };
        let root = fbs::DeleteTopicResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
