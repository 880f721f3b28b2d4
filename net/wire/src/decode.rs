//! Verification of a body: once, at the boundary, with limits; what comes out needs no further checks.

use std::ops::{Range, RangeInclusive};

use flatbuffers::{Follow, Verifiable, VerifierOptions};
use thiserror::Error;

use crate::api::Api;
use crate::error_code::ErrorCode;
use crate::frame::{Body, Direction};
use crate::limits::{APPARENT_BYTES_MAX, REQUEST_PARTITIONS_MAX, TABLE_DEPTH_MAX};

/// Why a body is not the message that it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Another message than the one asked for.
    #[error("expected a {expected_direction:?} of {expected}, found a {direction:?} of api {api}")]
    WrongMessage {
        /// The kind asked for.
        expected: Api,
        /// The direction asked for.
        expected_direction: Direction,
        /// The kind by the header.
        api: u16,
        /// The direction by the header.
        direction: Direction,
    },
    /// The body does not verify.
    #[error("body of {api} is malformed: {detail}")]
    Malformed {
        /// The kind of message.
        api: Api,
        /// What the verifier found.
        detail: String,
    },
    /// A field holds a value that has no meaning.
    #[error("{field} cannot be {value}")]
    BadValue {
        /// The field, as in the schema.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// A text is shorter or longer than it may be.
    #[error("{field} has {bytes} bytes, and {bytes_min} to {bytes_max} are allowed")]
    BadLength {
        /// The field, as in the schema.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The least that it may have.
        bytes_min: usize,
        /// The most that it may have.
        bytes_max: usize,
    },
    /// More partitions than a request may name.
    #[error("{partitions} partitions are over the limit of {REQUEST_PARTITIONS_MAX}")]
    TooManyPartitions {
        /// How many there are.
        partitions: usize,
    },
    /// The slices of the partitions do not fill the payload exactly.
    #[error("slices of {slices_bytes} bytes in all do not tile a payload of {payload_bytes}")]
    SlicesDoNotTile {
        /// Their lengths added up.
        slices_bytes: u64,
        /// Length of the payload by the header.
        payload_bytes: usize,
    },
}

impl DecodeError {
    /// The code that the peer is told.
    #[must_use]
    pub const fn error_code(&self) -> ErrorCode {
        ErrorCode::InvalidRequest
    }
}

/// What message a type decodes, and how many tables that message may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) api: Api,
    pub(crate) direction: Direction,
    pub(crate) tables_max: usize,
}

/// Verifies a body as the message of this shape, whose payload the caller accounts for.
pub(crate) fn root_with_payload<'a, T>(
    body: Body<'a>,
    shape: Shape,
) -> Result<T::Inner, DecodeError>
where
    T: Follow<'a> + Verifiable + 'a,
{
    let header = body.header();
    if header.api_raw() != shape.api.to_wire() || header.direction() != shape.direction {
        return Err(DecodeError::WrongMessage {
            expected: shape.api,
            expected_direction: shape.direction,
            api: header.api_raw(),
            direction: header.direction(),
        });
    }
    verified::<T>(body, shape.api, shape.tables_max)
}

/// Verifies a body as the message of this shape, which has no payload.
pub(crate) fn root<'a, T>(body: Body<'a>, shape: Shape) -> Result<T::Inner, DecodeError>
where
    T: Follow<'a> + Verifiable + 'a,
{
    tiles([], body.header().payload_len())?;
    root_with_payload::<T>(body, shape)
}

pub(crate) fn verified<'a, T>(
    body: Body<'a>,
    api: Api,
    tables_max: usize,
) -> Result<T::Inner, DecodeError>
where
    T: Follow<'a> + Verifiable + 'a,
{
    let options = VerifierOptions {
        max_depth: TABLE_DEPTH_MAX,
        max_tables: tables_max,
        max_apparent_size: APPARENT_BYTES_MAX,
        ignore_missing_null_terminator: false,
    };
    flatbuffers::root_with_opts::<T>(&options, body.bytes()).map_err(|invalid| {
        DecodeError::Malformed {
            api,
            detail: invalid.to_string(),
        }
    })
}

/// Checks that slices of these lengths, one behind the other, fill a payload of this length exactly.
pub(crate) fn tiles(
    lengths: impl IntoIterator<Item = u32>,
    payload_bytes: usize,
) -> Result<(), DecodeError> {
    let slices_bytes: u64 = lengths.into_iter().map(u64::from).sum();
    if slices_bytes == payload_bytes as u64 {
        Ok(())
    } else {
        Err(DecodeError::SlicesDoNotTile {
            slices_bytes,
            payload_bytes,
        })
    }
}

/// The ranges of the payload that slices of these lengths have, for lengths that [`tiles`] has checked.
pub(crate) fn ranges<T>(
    items: impl ExactSizeIterator<Item = T>,
    len_bytes: impl Fn(&T) -> u32,
) -> impl ExactSizeIterator<Item = (T, Range<usize>)> {
    let mut end = 0;
    items.map(move |item| {
        let start = end;
        end = start + len_bytes(&item) as usize;
        (item, start..end)
    })
}

/// Refuses texts that are shorter or longer than they may be.
pub(crate) fn check_len(
    field: &'static str,
    text: &str,
    allowed: RangeInclusive<usize>,
) -> Result<(), DecodeError> {
    if allowed.contains(&text.len()) {
        return Ok(());
    }
    Err(DecodeError::BadLength {
        field,
        bytes: text.len(),
        bytes_min: *allowed.start(),
        bytes_max: *allowed.end(),
    })
}

/// Refuses lists that are longer than a request may have.
pub(crate) fn check_partition_count(partitions: usize) -> Result<(), DecodeError> {
    if partitions <= REQUEST_PARTITIONS_MAX {
        Ok(())
    } else {
        Err(DecodeError::TooManyPartitions { partitions })
    }
}

#[cfg(test)]
mod tests;
