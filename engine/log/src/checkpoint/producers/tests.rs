use super::*;

fn sample() -> Producers {
    let batch = |epoch, sequence, records, offset| StoredBatch {
        epoch: ProducerEpoch::new(epoch),
        base_sequence: Sequence::new(sequence),
        records,
        base_offset: Offset::new(offset),
    };
    let of = |last_append, batches: Vec<StoredBatch>| Producer {
        last_append: TimestampMs::new(last_append),
        batches: batches.into(),
    };
    Producers::from_entries(vec![
        (
            ProducerId::new(3),
            of(77, vec![batch(0, 5, 5, 10), batch(1, 0, 7, 20)]),
        ),
        (
            ProducerId::new(1 << 50),
            of(-9, vec![batch(9, i32::MAX as u32, 1, 15)]),
        ),
    ])
    .unwrap()
}

#[test]
fn a_region_comes_back() {
    let bytes = encode(&sample(), 6);
    assert_eq!(decode(&bytes, 6, Offset::new(27)), Some(sample()));
    let mut padded = bytes.clone();
    padded.resize(4096, 0xaa);
    assert_eq!(decode(&padded, 6, Offset::new(27)), Some(sample()));
}

#[test]
fn a_region_of_another_checkpoint_or_with_any_changed_bit_does_not_count() {
    let bytes = encode(&sample(), 6);
    assert_eq!(decode(&bytes, 8, Offset::new(27)), None);
    assert_eq!(
        decode(&bytes, 6, Offset::new(26)),
        None,
        "a batch beyond the durable end"
    );
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decode(&changed, 6, Offset::new(27)), None, "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert_eq!(
            decode(&bytes[..len], 6, Offset::new(27)),
            None,
            "{len} bytes"
        );
    }
}
