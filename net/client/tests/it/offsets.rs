use std::time::Duration;

use ringlog_client::{
    Admin, Assignment, Client, ClientConfig, Consumer, ConsumerConfig, ErrorCode, GroupOffset,
    GroupOffsets, Producer, ProducerConfig, ProducerRecord, StartAt,
};
use ringlog_record::{LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use ringlog_wire::{
    Api, CommittedOffset, OffsetCommitRequest, OffsetCommitResponse, OffsetCommitted,
    OffsetFetchRequest, OffsetFetchResponse, PartitionState, frame,
};

use crate::broker::Broker;
use crate::fake::{Asked, Fake, Say, TOPIC, answer};

fn id(partition: u32) -> TopicPartition {
    TopicPartition {
        topic: TopicId::new(7),
        partition: PartitionIndex::new(partition),
    }
}

fn committed() -> GroupOffset {
    GroupOffset {
        leader_epoch: Some(LeaderEpoch::new(3)),
        metadata: "beside it".to_owned(),
        ..GroupOffset::new(id(0), Offset::new(5))
    }
}

/// Takes commits of partition 0 and refuses others; knows what the test has committed, and nothing more.
fn script(asked: &Asked) -> Say {
    let (_, body) = frame::parse(&asked.head).unwrap();
    match asked.api {
        Api::OffsetCommit => {
            let request = OffsetCommitRequest::decode(body).unwrap();
            assert_eq!(request.group, "billing");
            let results = request.partitions.iter().map(|one| {
                let is_known = one.id == id(0);
                OffsetCommitted {
                    id: one.id,
                    error: [ErrorCode::UnknownPartition, ErrorCode::None][usize::from(is_known)],
                    message: (!is_known).then(|| "no such partition".to_owned()),
                    state: PartitionState::default(),
                }
            });
            let partitions = results.collect();
            Say::Bytes(answer(asked.id, &OffsetCommitResponse { partitions }))
        }
        Api::OffsetFetch => {
            let request = OffsetFetchRequest::decode(body).unwrap();
            let ids = request.partitions.unwrap_or_else(|| vec![id(0)]);
            let found = ids.into_iter().map(|one| match one == id(0) {
                true => CommittedOffset {
                    offset: Some(committed().offset),
                    leader_epoch: committed().leader_epoch,
                    metadata: committed().metadata,
                    ..CommittedOffset::none(one)
                },
                false => CommittedOffset::none(one),
            });
            let partitions = found.collect();
            Say::Bytes(answer(asked.id, &OffsetFetchResponse { partitions }))
        }
        _ => Say::Usual,
    }
}

#[tokio::test]
async fn offsets_of_a_group_are_committed_and_found_again() {
    let fake = Fake::start(&[0], script).await;
    let client = Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap();
    let offsets = GroupOffsets::new(&client, "billing");
    offsets.commit(&[committed()]).await.unwrap();
    let asked = fake.asked(Api::OffsetCommit);
    let (_, body) = frame::parse(&asked[0].head).unwrap();
    let sent = OffsetCommitRequest::decode(body).unwrap().partitions;
    assert_eq!(
        (sent[0].offset, sent[0].leader_epoch),
        (Offset::new(5), Some(LeaderEpoch::new(3)))
    );
    let found = offsets.committed(&[id(1), id(0)]).await.unwrap();
    assert_eq!(found, [None, Some(committed())]);
    assert_eq!(offsets.all().await.unwrap(), [committed()]);
    let both = [committed(), GroupOffset::new(id(1), Offset::ZERO)];
    let refused = offsets.commit(&both).await.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::UnknownPartition);
    assert!(refused.to_string().contains("no such partition"));
}

/// Values of the records that a consumer gives until it has `count` of them.
async fn values(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    while values.len() < count {
        let polled = consumer.poll(Duration::from_secs(30)).await.unwrap();
        for record in polled.expect("more records").records() {
            let value = record.unwrap().value.unwrap().to_vec();
            values.push(String::from_utf8(value).unwrap());
        }
    }
    values
}

#[tokio::test]
async fn a_consumer_goes_on_where_its_group_has_committed() {
    let broker = Broker::start(None);
    let client = broker.client().await;
    let admin = Admin::new(&client);
    admin.create_topic(TOPIC, 2, Vec::new()).await.unwrap();
    let producer = Producer::new(&client, ProducerConfig::default());
    let send = async |partition: u32, value: &str| {
        let record = ProducerRecord {
            partition: Some(PartitionIndex::new(partition)),
            ..ProducerRecord::value(TOPIC, value.to_owned())
        };
        producer.send(record).await.unwrap().await.unwrap();
    };
    let assignments = |start| {
        let partitions = [0, 1].map(|partition| Assignment {
            topic: TOPIC.to_owned(),
            partition: PartitionIndex::new(partition),
            start,
        });
        partitions.to_vec()
    };
    let group = GroupOffsets::new(&client, "billing");
    let mut first = Consumer::new(&client, ConsumerConfig::default());
    first.commit(&group).await.unwrap();
    first
        .assign_committed(&group, assignments(StartAt::Earliest))
        .await
        .unwrap();
    send(0, "a").await;
    assert_eq!(values(&mut first, 1).await, ["a"]);
    first.commit(&group).await.unwrap();
    // Read, and not committed.
    send(0, "b").await;
    assert_eq!(values(&mut first, 1).await, ["b"]);
    drop(first);
    send(1, "c").await;

    let mut second = Consumer::new(&client, ConsumerConfig::default());
    second
        .assign_committed(&group, assignments(StartAt::Latest))
        .await
        .unwrap();
    // The start does not count where the group has committed, which it has in partition 1 too: that nothing was read there.
    let mut read = values(&mut second, 2).await;
    read.sort_unstable();
    assert_eq!(read, ["b", "c"]);
    let other = GroupOffsets::new(&client, "another");
    second
        .assign_committed(&other, assignments(StartAt::Latest))
        .await
        .unwrap();
    assert_eq!(
        second.position(TOPIC, PartitionIndex::new(0)),
        Some(Offset::new(2))
    );
}
