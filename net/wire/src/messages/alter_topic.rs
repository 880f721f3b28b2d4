//! Alter topic: changes settings. `UnknownTopic` and `InvalidConfig` are error responses.

use ringlog_record::{PartitionIndex, TopicId};

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
    api: Api::AlterTopic,
    direction: Direction::Request,
    tables_max: ADMIN_TABLES_MAX,
};

const RESPONSE: Shape = Shape {
    api: Api::AlterTopic,
    direction: Direction::Response,
    tables_max: ADMIN_TABLES_MAX,
};

/// Asks for other settings; those not named stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlterTopicRequest {
    /// The topic's name.
    pub name: String,
    /// Settings that get a value.
    pub set: Vec<Setting>,
    /// Settings that go back to their defaults.
    pub unset: Vec<String>,
    /// The one partition whose settings are meant; those of the topic without. A partition has `durability` only.
    pub partition: Option<PartitionIndex>,
}

impl AlterTopicRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::AlterTopicRequest<'_>>(body, REQUEST)?;
        Ok(Self {
            name: request.name().to_owned(),
            set: read_settings(request.set()),
            unset: request.unset().iter().map(str::to_owned).collect(),
            partition: request.partition().map(PartitionIndex::new),
        })
    }
}

impl Message for AlterTopicRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for AlterTopicRequest {
    fn build(&self, writer: &mut Writer) {
        let set = write_settings(writer, &self.set);
        let unset = writer.strings(&self.unset);
        let name = writer.builder.create_string(&self.name);
        let args = fbs::AlterTopicRequestArgs {
            name: Some(name),
            set: Some(set),
            unset: Some(unset),
            partition: self.partition.map(PartitionIndex::get),
        };
        let root = fbs::AlterTopicRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// The settings are changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterTopicResponse {
    /// The topic's id.
    pub topic: TopicId,
    /// Every setting of the topic with its value.
    pub settings: Vec<Setting>,
    /// Partitions that hold records which keep them from their new durability.
    pub pending: Vec<PartitionIndex>,
}

impl AlterTopicResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::AlterTopicResponse<'_>>(body, RESPONSE)?;
        Ok(Self {
            topic: topic_from_wire(response.topic()),
            settings: read_settings(response.settings()),
            pending: response
                .pending()
                .into_iter()
                .flatten()
                .map(PartitionIndex::new)
                .collect(),
        })
    }
}

impl Message for AlterTopicResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for AlterTopicResponse {
    fn build(&self, writer: &mut Writer) {
        let settings = write_settings(writer, &self.settings);
        let pending = (!self.pending.is_empty()).then(|| {
            let indices = self.pending.iter().map(|index| index.get());
            writer.builder.create_vector_from_iter(indices)
        });
        let args = fbs::AlterTopicResponseArgs {
            topic: Some(&topic_to_wire(self.topic)),
            settings: Some(settings),
            pending,
        };
        let root = fbs::AlterTopicResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
