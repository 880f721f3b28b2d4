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
