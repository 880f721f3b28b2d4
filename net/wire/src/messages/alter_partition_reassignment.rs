//! Alter partition reassignment: a partition gets other replicas, or keeps those that it had before.

use ringlog_record::{BrokerId, PartitionIndex};

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::frame::{Body, Direction};
use crate::generated as fbs;
use crate::messages::metadata::{read_brokers, write_brokers};

const REQUEST: Shape = Shape {
    api: Api::AlterPartitionReassignment,
    direction: Direction::Request,
    tables_max: 1,
};

const RESPONSE: Shape = Shape {
    api: Api::AlterPartitionReassignment,
    direction: Direction::Response,
    tables_max: 1,
};

/// Asks for other replicas of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlterPartitionReassignmentRequest {
    /// The name of its topic.
    pub topic: String,
    /// Which.
    pub partition: PartitionIndex,
    /// The brokers that are to have it, the preferred leader first; `None` cancels the reassignment that is under way.
    pub replicas: Option<Vec<BrokerId>>,
}

impl AlterPartitionReassignmentRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::AlterPartitionReassignmentRequest<'_>>(body, REQUEST)?;
        let replicas = request.replicas();
        Ok(Self {
            topic: request.topic().to_owned(),
            partition: PartitionIndex::new(request.partition()),
            replicas: replicas.map(|replicas| read_brokers(Some(replicas))),
        })
    }
}

impl Message for AlterPartitionReassignmentRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for AlterPartitionReassignmentRequest {
    fn build(&self, writer: &mut Writer) {
        let replicas = self.replicas.as_deref();
        let replicas = replicas.map(|replicas| write_brokers(&mut writer.builder, replicas));
        let topic = writer.builder.create_string(&self.topic);
        let args = fbs::AlterPartitionReassignmentRequestArgs {
            topic: Some(topic),
            partition: self.partition.get(),
            replicas,
        };
        let root = fbs::AlterPartitionReassignmentRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// What the partition has now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlterPartitionReassignmentResponse {
    /// Its replicas; while a reassignment is under way, those that are to stay before those that are to go.
    pub replicas: Vec<BrokerId>,
    /// Those of them that are waited for.
    pub adding: Vec<BrokerId>,
    /// Those of them that are to go once the others are in sync.
    pub removing: Vec<BrokerId>,
}

impl AlterPartitionReassignmentResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::AlterPartitionReassignmentResponse<'_>>(body, RESPONSE)?;
        Ok(Self {
            replicas: read_brokers(response.replicas()),
            adding: read_brokers(response.adding()),
            removing: read_brokers(response.removing()),
        })
    }
}

impl Message for AlterPartitionReassignmentResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for AlterPartitionReassignmentResponse {
    fn build(&self, writer: &mut Writer) {
        let mut brokers = |brokers: &[BrokerId]| Some(write_brokers(&mut writer.builder, brokers));
        let args = fbs::AlterPartitionReassignmentResponseArgs {
            replicas: brokers(&self.replicas),
            adding: brokers(&self.adding),
            removing: brokers(&self.removing),
        };
        let root = fbs::AlterPartitionReassignmentResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
