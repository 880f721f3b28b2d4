use super::{PartitionIndex, TopicId, TopicPartition};

#[test]
fn a_topic_id_is_written_and_read_as_32_digits() {
    let id = TopicId::new(0xab);
    assert_eq!(id.to_string(), "000000000000000000000000000000ab");
    assert_eq!(id.to_string().parse(), Ok(id));
    let partition = TopicPartition {
        topic: id,
        partition: PartitionIndex::new(3),
    };
    assert_eq!(partition.to_string(), "000000000000000000000000000000ab/3");
}

#[test]
fn other_text_is_refused_as_a_topic_id() {
    for text in ["", "ab", "+00000000000000000000000000000ab", "é"] {
        assert!(text.parse::<TopicId>().is_err(), "{text}");
    }
}
