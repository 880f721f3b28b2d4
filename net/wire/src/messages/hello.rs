//! Hello: versions, features, and the shard that the connection is for.

use ringlog_record::{BrokerId, ShardId};

use crate::api::{Api, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN};
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::frame::{Body, Direction};
use crate::generated as fbs;

/// The first request of a connection. Nothing is sent behind it before it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloRequest {
    /// The oldest protocol version that the client speaks.
    pub version_min: u8,
    /// The newest protocol version that the client speaks.
    pub version_max: u8,
    /// The shard that this connection is for; `None` = any.
    pub shard: Option<ShardId>,
    /// Bits of optional behaviour that the client understands; none is defined yet.
    pub features: u64,
    /// Name and version of the client's software, for the broker's log.
    pub software: String,
}

impl HelloRequest {
    /// A hello of this version of the protocol.
    #[must_use]
    pub fn new(shard: Option<ShardId>, software: impl Into<String>) -> Self {
        Self {
            version_min: PROTOCOL_VERSION_MIN,
            version_max: PROTOCOL_VERSION_MAX,
            shard,
            features: 0,
            software: software.into(),
        }
    }

    /// The newest version that both sides speak.
    #[must_use]
    pub fn agreed_version(&self) -> Option<u8> {
        let newest = self.version_max.min(PROTOCOL_VERSION_MAX);
        (newest >= self.version_min.max(PROTOCOL_VERSION_MIN)).then_some(newest)
    }

    const SHAPE: Shape = Shape {
        api: Api::Hello,
        direction: Direction::Request,
        tables_max: 1,
    };

    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let hello = root::<fbs::HelloRequest<'_>>(body, Self::SHAPE)?;
        Ok(Self {
            version_min: hello.version_min(),
            version_max: hello.version_max(),
            shard: hello.shard().map(ShardId::new),
            features: hello.features(),
            software: hello.software().to_owned(),
        })
    }
}

impl Message for HelloRequest {
    const API: Api = Self::SHAPE.api;
    const DIRECTION: Direction = Self::SHAPE.direction;
}

impl Build for HelloRequest {
    fn build(&self, writer: &mut Writer) {
        let builder = &mut writer.builder;
        let software = builder.create_string(&self.software);
        let args = fbs::HelloRequestArgs {
            version_min: self.version_min,
            version_max: self.version_max,
            shard: self.shard.map(ShardId::get),
            features: self.features,
            software: Some(software),
        };
        let root = fbs::HelloRequest::create(builder, &args);
        builder.finish_minimal(root);
    }
}

/// The answer to hello: who is there, and how its cores are numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloResponse {
    /// The version spoken on this connection from here on.
    pub version: u8,
    /// The features that both sides understand.
    pub features: u64,
    /// The cluster that the broker belongs to.
    pub cluster_id: String,
    /// The broker.
    pub broker: BrokerId,
    /// The shard that serves this connection.
    pub shard: ShardId,
    /// Shards of this broker, numbered from 0.
    pub shard_count: u16,
    /// Name and version of the broker's software.
    pub software: String,
}

impl HelloResponse {
    const SHAPE: Shape = Shape {
        api: Api::Hello,
        direction: Direction::Response,
        tables_max: 1,
    };

    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let hello = root::<fbs::HelloResponse<'_>>(body, Self::SHAPE)?;
        Ok(Self {
            version: hello.version(),
            features: hello.features(),
            cluster_id: hello.cluster_id().to_owned(),
            broker: BrokerId::new(hello.broker()),
            shard: ShardId::new(hello.shard()),
            shard_count: hello.shard_count(),
            software: hello.software().to_owned(),
        })
    }
}

impl Message for HelloResponse {
    const API: Api = Self::SHAPE.api;
    const DIRECTION: Direction = Self::SHAPE.direction;
}

impl Build for HelloResponse {
    fn build(&self, writer: &mut Writer) {
        let builder = &mut writer.builder;
        let cluster_id = builder.create_string(&self.cluster_id);
        let software = builder.create_string(&self.software);
        let args = fbs::HelloResponseArgs {
            version: self.version,
            features: self.features,
            cluster_id: Some(cluster_id),
            broker: self.broker.get(),
            shard: self.shard.get(),
            shard_count: self.shard_count,
            software: Some(software),
        };
        let root = fbs::HelloResponse::create(builder, &args);
        builder.finish_minimal(root);
    }
}
