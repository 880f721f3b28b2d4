use proptest::prelude::*;
use ringlog_record::{PartitionIndex, TopicId, TopicPartition};
use ringlog_wire::{
    Acks, CorrelationId, Encoder, ProducePartition, ProduceRequest, ProduceRequestDraft,
};

use super::*;

fn frame_with(id: u64, payload: &[u8]) -> Vec<u8> {
    let partitions = [ProducePartition::new(
        TopicPartition {
            topic: TopicId::new(7),
            partition: PartitionIndex::new(1),
        },
        u32::try_from(payload.len()).unwrap(),
    )];
    let draft = ProduceRequestDraft {
        acks: Acks::All,
        timeout_ms: 5,
        partitions: &partitions,
        wants_receipt: false,
    };
    let head = Encoder::new()
        .encode(CorrelationId::new(id), &draft)
        .unwrap();
    [&head[..], payload].concat()
}

proptest! {
    #[test]
    fn frames_come_out_whole_however_the_bytes_come_in(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..6),
        pieces in proptest::collection::vec(1_usize..200, 1..40),
    ) {
        let stream: Vec<u8> = (0..)
            .zip(&payloads)
            .flat_map(|(id, payload)| frame_with(id, payload))
            .collect();
        let mut assembler = Assembler::default();
        let mut frames = Vec::new();
        let mut rest = &stream[..];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            rest = later;
            assembler.buffer().extend_from_slice(now);
            while let Some(frame) = assembler.next_frame().unwrap() {
                frames.push(frame);
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert!(!assembler.is_within_frame());
        prop_assert_eq!(frames.len(), payloads.len());
        for (id, (frame, payload)) in (0..).zip(frames.iter().zip(&payloads)) {
            prop_assert_eq!(frame.header.correlation_id(), CorrelationId::new(id));
            prop_assert_eq!(&frame.payload[..], &payload[..]);
            let request = ProduceRequest::decode(frame.body()).unwrap();
            prop_assert_eq!(request.slices().next().unwrap().1, 0..payload.len());
        }
    }
}

#[test]
fn a_damaged_stream_is_given_up() {
    let mut bytes = frame_with(1, b"payload");
    bytes[40] ^= 1;
    let mut assembler = Assembler::default();
    assembler.buffer().extend_from_slice(&bytes);
    assert!(matches!(
        assembler.next_frame(),
        Err(FrameError::BadChecksum { .. })
    ));
}
