//! Watch cluster: waits until something about the cluster has changed.

use crate::api::Api;
use crate::decode::{DecodeError, Shape, root};
use crate::encoder::{Build, Message, Writer};
use crate::frame::{Body, Direction};
use crate::generated as fbs;

const REQUEST: Shape = Shape {
    api: Api::WatchCluster,
    direction: Direction::Request,
    tables_max: 1,
};

const RESPONSE: Shape = Shape {
    api: Api::WatchCluster,
    direction: Direction::Response,
    tables_max: 1,
};

/// Waits for another picture of the cluster than the client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchClusterRequest {
    /// The picture that the client has; 0 without one.
    pub seen: u64,
    /// How long to wait.
    pub max_wait_ms: u32,
}

impl WatchClusterRequest {
    /// Decodes the body of a request.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let request = root::<fbs::WatchClusterRequest<'_>>(body, REQUEST)?;
        Ok(Self {
            seen: request.seen(),
            max_wait_ms: request.max_wait_ms(),
        })
    }
}

impl Message for WatchClusterRequest {
    const API: Api = REQUEST.api;
    const DIRECTION: Direction = REQUEST.direction;
}

impl Build for WatchClusterRequest {
    fn build(&self, writer: &mut Writer) {
        let args = fbs::WatchClusterRequestArgs {
            seen: self.seen,
            max_wait_ms: self.max_wait_ms,
        };
        let root = fbs::WatchClusterRequest::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}

/// The picture that the broker has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchClusterResponse {
    /// The same as was seen when the time is over; compares with those of the same broker only.
    pub picture: u64,
}

impl WatchClusterResponse {
    /// Decodes the body of a response.
    ///
    /// # Errors
    ///
    /// Another message, or one that does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let response = root::<fbs::WatchClusterResponse<'_>>(body, RESPONSE)?;
        Ok(Self {
            picture: response.picture(),
        })
    }
}

impl Message for WatchClusterResponse {
    const API: Api = RESPONSE.api;
    const DIRECTION: Direction = RESPONSE.direction;
}

impl Build for WatchClusterResponse {
    fn build(&self, writer: &mut Writer) {
        let args = fbs::WatchClusterResponseArgs {
            picture: self.picture,
        };
        let root = fbs::WatchClusterResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
