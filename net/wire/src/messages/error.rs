//! The body of a response whose error flag is set.

use crate::api::{Api, PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN};
use crate::decode::{DecodeError, tiles, verified};
use crate::encoder::{Writer, cut};
use crate::error_code::ErrorCode;
use crate::frame::{Body, Direction, FrameError};
use crate::generated as fbs;

/// Why a whole request was refused. Errors of single partitions are in the response proper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// What went wrong.
    pub code: ErrorCode,
    /// What was tried, what went wrong, what to do.
    pub message: String,
    /// For retriable errors: how long to wait first; 0 = as the client likes.
    pub retry_after_ms: u32,
    /// The oldest protocol version that the broker speaks.
    pub version_min: u8,
    /// The newest protocol version that the broker speaks.
    pub version_max: u8,
}

impl ErrorResponse {
    /// An error with this explanation.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after_ms: 0,
            version_min: PROTOCOL_VERSION_MIN,
            version_max: PROTOCOL_VERSION_MAX,
        }
    }

    /// The same error, asking the client to wait before it tries again.
    #[must_use]
    pub fn with_retry_after_ms(self, retry_after_ms: u32) -> Self {
        Self {
            retry_after_ms,
            ..self
        }
    }

    /// Decodes the body of a response with the error flag, whatever the kind of its request.
    ///
    /// # Errors
    ///
    /// The frame is not an error response, or does not verify.
    pub fn decode(body: Body<'_>) -> Result<Self, DecodeError> {
        let header = body.header();
        let api = Api::from_wire(header.api_raw()).unwrap_or(Api::Hello);
        if header.direction() != Direction::Error {
            return Err(DecodeError::WrongMessage {
                expected: api,
                expected_direction: Direction::Error,
                api: header.api_raw(),
                direction: header.direction(),
            });
        }
        tiles([], header.payload_len())?;
        let error = verified::<fbs::ErrorResponse<'_>>(body, api, 1)?;
        Ok(Self {
            code: ErrorCode::from_wire(error.code()),
            message: error.message().to_owned(),
            retry_after_ms: error.retry_after_ms(),
            version_min: error.version_min(),
            version_max: error.version_max(),
        })
    }
}

impl std::fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ErrorResponse {}

impl Body<'_> {
    /// The error that stands in place of the response, if the frame carries one. To be asked before `decode`.
    ///
    /// # Errors
    ///
    /// The error flag is set but the body does not verify.
    pub fn refusal(&self) -> Result<Option<ErrorResponse>, DecodeError> {
        match self.header().direction() {
            Direction::Error => ErrorResponse::decode(*self).map(Some),
            Direction::Request | Direction::Response => Ok(None),
        }
    }
}

impl From<&DecodeError> for ErrorResponse {
    fn from(error: &DecodeError) -> Self {
        Self::new(error.error_code(), error.to_string())
    }
}

impl From<&FrameError> for ErrorResponse {
    fn from(error: &FrameError) -> Self {
        Self::new(error.error_code(), error.to_string())
    }
}

impl ErrorResponse {
    pub(crate) fn write(&self, writer: &mut Writer) {
        let message = writer.builder.create_string(cut(&self.message));
        let args = fbs::ErrorResponseArgs {
            code: self.code.to_wire(),
            message: Some(message),
            retry_after_ms: self.retry_after_ms,
            version_min: self.version_min,
            version_max: self.version_max,
        };
        let root = fbs::ErrorResponse::create(&mut writer.builder, &args);
        writer.builder.finish_minimal(root);
    }
}
