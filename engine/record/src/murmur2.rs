//! The hash that chooses the partition of a key: MurmurHash2 with 32 bits and the seed of Kafka's default
//! partitioner, so that keys land on the same partitions as with Kafka's clients.

const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// MurmurHash2 of `data` with Kafka's seed. Source: `org.apache.kafka.common.utils.Utils.murmur2`.
pub fn murmur2(data: &[u8]) -> u32 {
    // Kafka takes the length as a Java int, which a key never exceeds.
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let (words, rest) = data.as_chunks::<4>();
    let mut hash = words.iter().fold(SEED ^ len, |hash, &word| {
        let mut word = u32::from_le_bytes(word).wrapping_mul(M);
        word ^= word >> R;
        hash.wrapping_mul(M) ^ word.wrapping_mul(M)
    });
    if !rest.is_empty() {
        for (index, &byte) in rest.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 15
}

/// The partition of a key among `partitions`, at least one. Source: `Utils.toPositive(murmur2(key)) % n`.
pub fn partition_of_key(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

#[cfg(test)]
mod tests;
