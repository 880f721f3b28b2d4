//! snappy as Kafka's clients have it: raw blocks, each behind its length, behind the header of snappy-java. One raw block
//! without all that is read too, since some clients write it.

use snap::raw::{Decoder, Encoder, decompress_len};

use super::DecompressError;

/// What a stream of snappy-java begins with.
const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";

/// Version and lowest compatible version, both 1, big-endian.
const VERSIONS: &[u8; 8] = b"\0\0\0\x01\0\0\0\x01";

/// Bytes of records in a block, as snappy-java has it.
const BLOCK_BYTES: usize = 32 << 10;

pub(super) fn compress(records: &[u8]) -> Result<Vec<u8>, snap::Error> {
    let mut out = [&MAGIC[..], &VERSIONS[..]].concat();
    let mut encoder = Encoder::new();
    for block in records.chunks(BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block)?;
        // A block of 32 KiB is never much longer than that.
        let len_bytes = u32::try_from(compressed.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&len_bytes.to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}

pub(super) fn decompress(compressed: &[u8], bytes_max: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    let Some(framed) = compressed.strip_prefix(MAGIC) else {
        add(&mut out, compressed, bytes_max)?;
        return Ok(out);
    };
    let ends = || DecompressError::malformed("the snappy stream ends within a block");
    let mut rest = framed.get(VERSIONS.len()..).ok_or_else(ends)?;
    while !rest.is_empty() {
        let (len_bytes, behind) = rest.split_first_chunk::<4>().ok_or_else(ends)?;
        let len_bytes = usize::try_from(u32::from_be_bytes(*len_bytes)).unwrap_or(usize::MAX);
        let (block, behind) = behind.split_at_checked(len_bytes).ok_or_else(ends)?;
        add(&mut out, block, bytes_max)?;
        rest = behind;
    }
    Ok(out)
}

/// Decompresses a block to the end of `out`.
fn add(out: &mut Vec<u8>, block: &[u8], bytes_max: usize) -> Result<(), DecompressError> {
    let len_bytes = decompress_len(block).map_err(DecompressError::malformed)?;
    let from = out.len();
    // Before anything is allocated: the length is what the block claims.
    if len_bytes > bytes_max.saturating_sub(from) {
        return Err(DecompressError::TooLarge { bytes_max });
    }
    out.resize(from + len_bytes, 0);
    let written = Decoder::new()
        .decompress(block, &mut out[from..])
        .map_err(DecompressError::malformed)?;
    out.truncate(from + written);
    Ok(())
}
