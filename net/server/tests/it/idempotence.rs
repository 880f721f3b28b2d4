//! Idempotent producers as PROTOCOL.md says, over stops of the broker and deletion of records.

use ringlog_reactor::sim::CrashKind;
use ringlog_record::batch::stamp_producer;
use ringlog_record::{Offset, ProducerEpoch, ProducerId, ProducerStamp, Sequence, TopicPartition};
use ringlog_wire::{
    Acks, DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, ErrorCode,
    InitProducerRequest, InitProducerResponse,
};

use crate::client::{Client, batch_of, partition, produced};
use crate::world::World;

/// A batch of one record.
#[derive(Clone, Copy)]
struct Stamp {
    id: ProducerId,
    epoch: u16,
    sequence: u32,
}

impl Stamp {
    fn batch(self) -> Vec<u8> {
        let value = format!("{} {}", self.epoch, self.sequence);
        let mut batch = batch_of(&[value.as_bytes()]).to_vec();
        let stamp = ProducerStamp {
            id: self.id,
            epoch: ProducerEpoch::new(self.epoch),
            base_sequence: Sequence::new(self.sequence),
        };
        stamp_producer(&mut batch, stamp).unwrap();
        batch
    }
}

async fn init(client: &mut Client) -> ProducerId {
    let answer = client.call(&InitProducerRequest, &[]).await;
    let given = InitProducerResponse::decode(answer.body()).unwrap();
    assert_eq!(given.producer_epoch.get(), 0);
    given.producer_id
}

/// Sends a batch; gives the code and the offset.
async fn send(client: &mut Client, to: TopicPartition, stamp: Stamp) -> (ErrorCode, u64) {
    client.send_produce(to, &stamp.batch(), Acks::All).await;
    let answer = produced(&client.receive().await.unwrap());
    (answer.error, answer.base_offset)
}

/// What the broker must know of a producer whose sequences 0 to 7 are at offsets 0 to 7: asked over and over, it changes
/// nothing.
async fn check_known(client: &mut Client, to: TopicPartition, id: ProducerId) {
    let at = |epoch, sequence| Stamp {
        id,
        epoch,
        sequence,
    };
    for sequence in 3..8 {
        let again = send(client, to, at(1, sequence)).await;
        assert_eq!(
            again,
            (ErrorCode::None, sequence.into()),
            "one of the last five"
        );
    }
    // It may remember one more, while the last one was not durable yet.
    for sequence in 0..2 {
        let (code, _) = send(client, to, at(1, sequence)).await;
        assert_eq!(code, ErrorCode::DuplicateSequence);
    }
    let (code, _) = send(client, to, at(1, 9)).await;
    assert_eq!(code, ErrorCode::OutOfOrderSequence);
    let (code, _) = send(client, to, at(0, 8)).await;
    assert_eq!(code, ErrorCode::FencedProducer);
    let (code, _) = send(client, to, at(2, 1)).await;
    assert_eq!(
        code,
        ErrorCode::OutOfOrderSequence,
        "a new epoch begins with 0"
    );
}

#[test]
fn the_broker_knows_what_a_producer_sent_over_every_stop_and_deletion() {
    let world = World::new(90, 2);
    let running = world.start();
    let (to, id) = world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let to = partition(&client.topic("events").await, 0);
        let id = init(&mut client).await;
        assert_ne!(init(&mut client).await, id);
        for sequence in 0..8 {
            let epoch = 1;
            let stamp = Stamp {
                id,
                epoch,
                sequence,
            };
            let sent = send(&mut client, to, stamp).await;
            assert_eq!(sent, (ErrorCode::None, sequence.into()));
        }
        check_known(&mut client, to, id).await;
        (to, id)
    });
    let check = |world: &World| {
        world.client(move |reactor| async move {
            let (mut client, _) = Client::connect(&reactor, None).await;
            check_known(&mut client, to, id).await;
        });
    };
    drop(running);
    for kind in [CrashKind::Process, CrashKind::Power] {
        world.crash(kind);
        let running = world.start();
        check(&world);
        drop(running);
    }
    // The records go, and what is known of them does not: over a crash and a clean stop.
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let before = Offset::new(8);
        let request = DeleteRecordsRequest {
            partitions: vec![DeleteRecordsPartition { id: to, before }],
        };
        let answer = client.call(&request, &[]).await;
        let answer = DeleteRecordsResponse::decode(answer.body()).unwrap();
        assert_eq!(answer.partitions[0].state.log_start, before);
        check_known(&mut client, to, id).await;
    });
    world.crash(CrashKind::Power);
    let running = world.start();
    check(&world);
    world.stop(running);
    world.start();
    check(&world);
    world.client(move |reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        let next = Stamp {
            id,
            epoch: 1,
            sequence: 8,
        };
        assert_eq!(send(&mut client, to, next).await, (ErrorCode::None, 8));
    });
}

#[test]
fn a_batch_that_is_sent_again_at_once_is_stored_once_and_answered_twice() {
    let world = World::new(91, 1);
    world.start();
    world.client(|reactor| async move {
        let (mut client, _) = Client::connect(&reactor, None).await;
        client.create_topic("events", 1, &[]).await;
        let to = partition(&client.topic("events").await, 0);
        let id = init(&mut client).await;
        for sequence in 0..20_u32 {
            let epoch = 0;
            let stamp = Stamp {
                id,
                epoch,
                sequence,
            };
            for _ in 0..3 {
                client.send_produce(to, &stamp.batch(), Acks::All).await;
            }
            for _ in 0..3 {
                let frame = client.receive().await.unwrap();
                let answer = produced(&frame);
                assert_eq!(
                    (answer.error, answer.base_offset),
                    (ErrorCode::None, sequence.into())
                );
                let response = ringlog_wire::ProduceResponse::decode(frame.body()).unwrap();
                let one = response.partitions().next().unwrap();
                assert!(
                    one.state.high_watermark.get() > u64::from(sequence),
                    "it is committed"
                );
                assert_eq!(one.level, ringlog_wire::AckLevel::AllDurable);
            }
        }
        assert_eq!(client.values(to, 0).await.len(), 20);
    });
}
