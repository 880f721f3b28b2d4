//! A batch that takes no more records: compressed, and stamped with its number before each attempt.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use ringlog_record::ProducerStamp;
use ringlog_record::batch::{BatchBuilder, Compression, stamp_producer};
use ringlog_wire::ErrorCode;

use super::delivery::Waiting;
use crate::core::accumulator::ReadyBatch;
use crate::core::compression::compress;
use crate::error::{ClientError, DeliveryError};

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Sealed {
    bytes: Bytes,
    stamp: Option<ProducerStamp>,
    records: u32,
    waiting: Vec<Waiting>,
    first_sent: Option<Instant>,
}

impl Sealed {
    /// Closes a batch, with its records compressed if that makes them smaller.
    pub(super) fn new(
        ready: ReadyBatch<Waiting>,
        compression: Compression,
    ) -> Result<Self, (Vec<Waiting>, DeliveryError)> {
        let ReadyBatch {
            builder, waiting, ..
        } = ready;
        let records = builder.record_count();
        match build(builder, compression) {
            Ok(bytes) => Ok(Self {
                bytes,
                stamp: None,
                records,
                waiting,
                first_sent: None,
            }),
            Err(message) => {
                let code = ErrorCode::InvalidBatch;
                Err((waiting, DeliveryError::Refused { code, message }))
            }
        }
    }

    pub(super) fn records(&self) -> u32 {
        self.records
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How long it has been since it was sent for the first time.
    pub(super) fn took(&self) -> Duration {
        self.first_sent
            .map_or(Duration::ZERO, |sent| sent.elapsed())
    }

    pub(super) fn into_waiting(self) -> Vec<Waiting> {
        self.waiting
    }

    /// The bytes to be sent, with this stamp in their header.
    pub(super) fn stamped(
        &mut self,
        stamp: Option<ProducerStamp>,
        now: Instant,
    ) -> Result<Bytes, ClientError> {
        self.first_sent.get_or_insert(now);
        if let Some(stamp) = stamp.filter(|stamp| self.stamp != Some(*stamp)) {
            // An attempt that was lost may still be written out of these bytes.
            let bytes = std::mem::take(&mut self.bytes).try_into_mut();
            let mut bytes = bytes.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            let stamped = stamp_producer(&mut bytes, stamp);
            self.bytes = bytes.freeze();
            stamped.map_err(|error| ClientError::Refused {
                code: ErrorCode::InvalidBatch,
                message: error.to_string(),
            })?;
            self.stamp = Some(stamp);
        }
        Ok(self.bytes.clone())
    }
}

fn build(builder: BatchBuilder, compression: Compression) -> Result<Bytes, String> {
    let compressed = match compression {
        Compression::None => None,
        _ => {
            let compressed = compress(compression, builder.records());
            let compressed = compressed.map_err(|error| error.to_string())?;
            (compressed.len() < builder.records().len()).then_some(compressed)
        }
    };
    let built = match compressed {
        Some(compressed) => builder.build_compressed(compression, &compressed),
        None => builder.build(),
    };
    built.map_err(|error| error.to_string())
}
