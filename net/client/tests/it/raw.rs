use std::time::Duration;

use bytes::Bytes;
use ringlog_client::{
    Acks, Admin, Client, ClientConfig, ClientError, ErrorCode, RawAppend, RawClient, RawFetch,
    RawFetchLimits,
};
use ringlog_record::batch::{BatchBuilder, RecordData};
use ringlog_record::{LeaderEpoch, Offset, PartitionIndex, ShardId};
use ringlog_wire::{Api, FetchRequest, ProduceRequest, frame};

use crate::broker::Broker;
use crate::fake::{Fake, Say, TOPIC, refuse_fetch, values};

const SOON: Duration = Duration::from_secs(5);

const LIMITS: RawFetchLimits = RawFetchLimits {
    max_wait: SOON,
    min_bytes: 1,
    max_bytes: 1 << 20,
};

async fn raw(fake: &Fake) -> RawClient {
    let client = Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap();
    RawClient::new(&client)
}

fn batch(value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(1 << 20);
    let record = RecordData {
        value: Some(value.as_bytes()),
        ..RecordData::default()
    };
    builder.append(&record).unwrap();
    builder.build().unwrap()
}

fn append(topic: &str, partition: u32, value: &str) -> RawAppend {
    RawAppend {
        topic: topic.to_owned(),
        partition: PartitionIndex::new(partition),
        batches: batch(value),
        expected_offset: None,
    }
}

fn fetch(partition: u32, offset: u64) -> RawFetch {
    RawFetch {
        topic: TOPIC.to_owned(),
        partition: PartitionIndex::new(partition),
        offset: Offset::new(offset),
        max_bytes: 1 << 20,
        last_epoch: None,
    }
}

#[tokio::test]
async fn a_request_goes_to_each_shard_and_results_are_in_the_callers_order() {
    let fake = Fake::start(&[0, 3, 0], |_| Say::Usual).await;
    let raw = raw(&fake).await;
    let appends = vec![
        append(TOPIC, 2, "two"),
        append("nothing", 0, "lost"),
        append(TOPIC, 1, "one"),
        append(TOPIC, 0, "zero"),
        append(TOPIC, 2, "twice"),
    ];
    let appended = raw.append(appends, Acks::All, SOON).await;
    let codes = appended.iter().map(|one| match &one.outcome {
        Ok(_) => ErrorCode::None,
        Err(error) => error.code(),
    });
    let expected = [
        ErrorCode::None,
        ErrorCode::UnknownTopic,
        ErrorCode::None,
        ErrorCode::None,
        ErrorCode::InvalidRequest,
    ];
    assert_eq!(codes.collect::<Vec<_>>(), expected);
    assert_eq!(appended[0].state.high_watermark, Offset::new(1));
    assert_eq!(appended[0].state.leader_epoch, LeaderEpoch::new(3));
    let asked = fake.asked(Api::Produce);
    let mut sent: Vec<_> = asked
        .iter()
        .map(|asked| {
            let (_, body) = frame::parse(&asked.head).unwrap();
            let partitions = ProduceRequest::decode(body).unwrap().partitions();
            let partitions: Vec<_> = partitions.map(|one| one.id.partition.get()).collect();
            (asked.shard, partitions)
        })
        .collect();
    sent.sort();
    let shard = |shard| Some(ShardId::new(shard));
    assert_eq!(sent, [(shard(0), vec![2, 0]), (shard(3), vec![1])]);

    // One request for all shards of the broker.
    let fetched = raw
        .fetch(&[fetch(1, 0), fetch(0, 0), fetch(2, 1)], LIMITS)
        .await;
    let read: Vec<_> = fetched
        .iter()
        .map(|one| values(one.outcome.as_ref().unwrap()))
        .collect();
    assert_eq!(read, [vec!["one"], vec!["zero"], vec![]]);
    assert_eq!(fetched[2].state.high_watermark, Offset::new(1));
    let asked = fake.asked(Api::Fetch);
    assert_eq!(asked.len(), 1);
    let (_, body) = frame::parse(&asked[0].head).unwrap();
    assert_eq!(FetchRequest::decode(body).unwrap().max_wait_ms(), 5_000);
}

#[tokio::test]
async fn a_refusal_carries_its_code_and_nothing_is_tried_again() {
    let fake = Fake::start(&[0], |asked| match asked.api {
        Api::Fetch => refuse_fetch(asked, ErrorCode::LogTruncated, Some(Offset::new(3))),
        Api::Produce => Say::Hangup,
        _ => Say::Usual,
    })
    .await;
    let raw = raw(&fake).await;
    let fetched = raw.fetch(&[fetch(0, 9)], LIMITS).await.remove(0);
    assert_eq!(fetched.agreed_end, Some(Offset::new(3)));
    let error = fetched.outcome.unwrap_err();
    assert_eq!(error.code(), ErrorCode::LogTruncated);
    let appends = vec![append(TOPIC, 0, "lost")];
    let appended = raw.append(appends, Acks::All, SOON).await.remove(0);
    let error = appended.outcome.unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
    assert_eq!(fake.asked(Api::Produce).len(), 1);
}

#[tokio::test]
async fn of_appends_that_expect_the_same_end_of_the_log_one_is_stored() {
    let broker = Broker::start(None);
    let client = broker.client().await;
    Admin::new(&client)
        .create_topic(TOPIC, 1, Vec::new())
        .await
        .unwrap();
    let raw = RawClient::new(&client);
    let mut end = Offset::ZERO;
    for round in 0..20 {
        let contenders = (0..4).map(|who| {
            let mut append = append(TOPIC, 0, &format!("{round}-{who}"));
            append.expected_offset = Some(end);
            raw.append(vec![append], Acks::All, SOON)
        });
        let appended = futures_util::future::join_all(contenders).await;
        let appended: Vec<_> = appended.into_iter().flatten().collect();
        let stored: Vec<_> = appended
            .iter()
            .filter_map(|one| one.outcome.as_ref().ok())
            .collect();
        assert_eq!(stored.len(), 1, "round {round}");
        assert_eq!(stored[0].base_offset, end);
        end = end.next();
        for refused in appended.iter().filter(|one| one.outcome.is_err()) {
            let error = refused.outcome.as_ref().unwrap_err();
            assert_eq!(error.code(), ErrorCode::UnexpectedOffset);
            assert!(error.is_definite() && !error.is_retriable());
            assert_eq!(refused.log_end, Some(end));
        }
    }
}
