//! Create topic. Refusals (`TopicExists`, `InvalidTopicName`, `InvalidConfig`) are error responses.

use ringlog_record::TopicId;

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::limits::ADMIN_TABLES_MAX;
use crate::messages::partition::{
    Setting, read_settings, topic_from_wire, topic_to_wire, write_settings,
};

const REQUEST: Shape = Shape {
    api: Api::CreateTopic,
    direction: Direction::Request,
    tables_max: ADMIN_TABLES_MAX,
};

const RESPONSE: Shape = Shape {
    api: Api::CreateTopic,
    direction: Direction::Response,
    tables_max: ADMIN_TABLES_MAX,
};

/// Asks for a new topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CreateTopicRequest {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// The settings that differ from the defaults.
    pub settings: Vec<Setting>,
    /// Replicas of each partition; 0 leaves the choice to the cluster.
    pub replication_factor: u16,
}

impl CreateTopicRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::CreateTopicRequest<'_>>(body, REQUEST)?;
        Ok(Self {
            name: request.name().to_owned(),
            partitions: request.partitions(),
            settings: read_settings(request.settings()),
            replication_factor: request.replication_factor(),
        })
    }
}

impl Message for CreateTopicRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for CreateTopicRequest {
    fn build(&self, writer: &mut Writer) {
        let settings = write_settings(writer, &self.settings);
        let name = writer.builder.create_string(&self.name);
        let args = fbs::CreateTopicRequestArgs {
            name: Some(name),
            partitions: self.partitions,
            settings: Some(settings),
            replication_factor: self.replication_factor,
        };
        let root = fbs::CreateTopicRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// The topic that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopicResponse {
    /// Its id.
    pub topic: TopicId,
    /// How many partitions.
    pub partitions: u32,
    /// Every setting with the value in force.
    pub settings: Vec<Setting>,
}

impl CreateTopicResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::CreateTopicResponse<'_>>(body, RESPONSE)?;
        Ok(Self {
            topic: topic_from_wire(response.topic()),
            partitions: response.partitions(),
            settings: read_settings(response.settings()),
        })
    }
}

impl Message for CreateTopicResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for CreateTopicResponse {
    fn build(&self, writer: &mut Writer) {
        let settings = write_settings(writer, &self.settings);
        let args = fbs::CreateTopicResponseArgs {
            topic: Some(&topic_to_wire(self.topic)),
            partitions: self.partitions,
            settings: Some(settings),
        };
        let root = fbs::CreateTopicResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
