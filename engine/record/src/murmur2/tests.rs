use super::*;

/// The vectors of Kafka's own `UtilsTest.testMurmur2`.
#[test]
fn hashes_are_those_of_kafka() {
    let vectors: [(&[u8], i32); 6] = [
        (b"21", -973_932_308),
        (b"foobar", -790_332_482),
        (b"a-little-bit-long-string", -985_981_536),
        (b"a-little-bit-longer-string", -1_486_304_829),
        (
            b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
            -58_897_971,
        ),
        (b"abc", 479_470_107),
    ];
    for (key, hash) in vectors {
        assert_eq!(murmur2(key).cast_signed(), hash, "{key:?}");
    }
}

#[test]
fn a_partition_is_always_one_of_the_topic() {
    for count in 1..50 {
        for key in 0_u32..200 {
            assert!(partition_of_key(&key.to_be_bytes(), count) < count);
        }
    }
    assert_eq!(partition_of_key(b"x", 0), 0);
}

/// Placements by Kafka's default partitioner; `kafka_placements.py` beside them made them.
const KAFKA_PLACEMENTS: &[u8] = include_bytes!("kafka_placements.bin");

/// The generator of the keys, as in `kafka_placements.py`.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }
}

#[test]
fn ten_thousand_random_keys_land_where_kafka_puts_them() {
    let (placements, rest) = KAFKA_PLACEMENTS.as_chunks::<2>();
    assert_eq!((placements.len(), rest.len()), (10_000, 0));
    let mut random = SplitMix64(2026);
    for (index, placement) in placements.iter().enumerate() {
        let length = random.below(65);
        let key: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        let partitions = 1 + random.below(65_535);
        let expected = u32::from(u16::from_le_bytes(*placement));
        let found = partition_of_key(&key, partitions);
        assert_eq!(found, expected, "key {index}: {key:02x?} of {partitions}");
    }
}
