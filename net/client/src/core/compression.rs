//! The records of a batch, compressed and back, in the forms that Kafka's clients write and read.
//!
//! What comes from a broker may have been made by anybody: decompression never gives more than it is allowed to, so that
//! a few kilobytes cannot become gigabytes, and no input panics.

mod snappy;

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{FrameDecoder, FrameEncoder};
use ringlog_record::batch::{BatchView, Compression};

use crate::limits::ZSTD_WINDOW_LOG_MAX;

/// Why records cannot be decompressed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecompressError {
    /// They are larger than they may be.
    #[error("the records of the batch are larger than {bytes_max} bytes when decompressed")]
    TooLarge {
        /// What is allowed.
        bytes_max: usize,
    },
    /// The bytes are not what the batch says they are.
    #[error("the records of the batch cannot be decompressed: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
}

impl DecompressError {
    fn malformed(reason: impl ToString) -> Self {
        Self::Malformed {
            reason: reason.to_string(),
        }
    }
}

/// Compresses records.
///
/// # Errors
///
/// None that the input causes: memory goes in and memory comes out.
pub fn compress(compression: Compression, records: &[u8]) -> io::Result<Vec<u8>> {
    let out = Vec::with_capacity(records.len() / 2);
    match compression {
        Compression::None => Ok(records.to_vec()),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(out, flate2::Compression::default());
            encoder.write_all(records)?;
            encoder.finish()
        }
        Compression::Snappy => snappy::compress(records).map_err(io::Error::other),
        // Kafka's clients read independent blocks only, which is the default here.
        Compression::Lz4 => {
            let mut encoder = FrameEncoder::new(out);
            encoder.write_all(records)?;
            encoder.finish().map_err(io::Error::other)
        }
        Compression::Zstd => zstd::stream::encode_all(records, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

/// Decompresses records, of at most `bytes_max` bytes.
///
/// # Errors
///
/// [`DecompressError`].
pub fn decompress(
    compression: Compression,
    compressed: &[u8],
    bytes_max: usize,
) -> Result<Vec<u8>, DecompressError> {
    match compression {
        Compression::None if compressed.len() > bytes_max => {
            Err(DecompressError::TooLarge { bytes_max })
        }
        Compression::None => Ok(compressed.to_vec()),
        Compression::Gzip => read(MultiGzDecoder::new(compressed), bytes_max),
        Compression::Snappy => snappy::decompress(compressed, bytes_max),
        Compression::Lz4 => read(FrameDecoder::new(compressed), bytes_max),
        Compression::Zstd => {
            let mut decoder = zstd::stream::Decoder::with_buffer(compressed)
                .map_err(DecompressError::malformed)?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(DecompressError::malformed)?;
            read(decoder, bytes_max)
        }
    }
}

/// The records of a batch, decompressed to at most `bytes_max` bytes; none when they are not compressed, and can be read
/// where they are.
///
/// # Errors
///
/// [`DecompressError`].
pub fn decompress_batch(
    batch: &BatchView<'_>,
    bytes_max: usize,
) -> Result<Option<Vec<u8>>, DecompressError> {
    let attributes = batch.header().attributes();
    match attributes.compression() {
        Some(Compression::None) => Ok(None),
        Some(compression) => decompress(compression, batch.body(), bytes_max).map(Some),
        None => {
            let code = attributes.compression_code();
            let reason = format!("compression code {code} is not known");
            Err(DecompressError::Malformed { reason })
        }
    }
}

/// Reads to the end, or to one byte more than is allowed.
fn read(decoder: impl Read, bytes_max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    let bounded = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    let mut decoder = decoder.take(bounded.saturating_add(1));
    decoder
        .read_to_end(&mut out)
        .map_err(DecompressError::malformed)?;
    if out.len() > bytes_max {
        return Err(DecompressError::TooLarge { bytes_max });
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
