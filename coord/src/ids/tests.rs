use std::num::NonZeroU16;

use ringlog_record::PartitionIndex;

use super::{ChunkIndex, ClusterId, Slot};

#[test]
fn ids_are_written_as_32_digits_and_read_back() {
    let id = ClusterId::new(0xab);
    assert_eq!(id.to_string(), "000000000000000000000000000000ab");
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
    for bad in [
        "",
        "ab",
        "+00000000000000000000000000000ab",
        "g00000000000000000000000000000ab",
    ] {
        assert!(bad.parse::<ClusterId>().is_err(), "{bad}");
        assert!(serde_json::from_str::<ClusterId>(&format!("\"{bad}\"")).is_err());
    }
}

#[test]
fn a_slot_wraps_around_the_shards() {
    let shards = NonZeroU16::new(3).unwrap();
    let owners: Vec<u16> = (0..5)
        .map(|slot| Slot::new(slot).shard(shards).get())
        .collect();
    assert_eq!(owners, [0, 1, 2, 0, 1]);
}

#[test]
fn a_chunk_holds_256_partitions() {
    for (partition, chunk) in [(0, 0), (255, 0), (256, 1), (9_999, 39)] {
        assert_eq!(ChunkIndex::of(PartitionIndex::new(partition)).get(), chunk);
    }
}
