use std::time::Duration;

use ringlog_client::{
    AckLevel, Acks, Client, ClientConfig, ClientError, ErrorCode, PartitionClient,
};
use ringlog_record::batch::{BatchBuilder, RecordData, batches};
use ringlog_record::{Offset, PartitionIndex, ShardId};
use ringlog_wire::Api;

use crate::fake::{Fake, RECEIPT, Say, TOPIC, refuse_fetch, refuse_produce, values};

fn batch(value: &str) -> bytes::Bytes {
    let mut builder = BatchBuilder::new(1 << 20);
    let record = RecordData {
        value: Some(value.as_bytes()),
        ..RecordData::default()
    };
    builder.append(&record).unwrap();
    builder.build().unwrap()
}

async fn partition(fake: &Fake) -> PartitionClient {
    let client = Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap();
    PartitionClient::connect(&client, TOPIC, PartitionIndex::new(1))
        .await
        .unwrap()
}

#[tokio::test]
async fn whole_batches_go_in_and_come_out_over_a_connection_to_the_owner() {
    let fake = Fake::start(&[0, 2], |_| Say::Usual).await;
    let partition = partition(&fake).await;
    for (number, value) in (0..).zip(["a", "b", "c"]) {
        let stored = partition.produce(batch(value), Acks::All).await.unwrap();
        assert_eq!(stored.base_offset, Offset::new(number));
        assert_eq!(stored.level, AckLevel::AllDurable);
    }
    let read = partition
        .fetch(Offset::new(1), 1 << 20, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(values(&read.bytes), ["b", "c"]);
    assert_eq!(
        (read.state.log_start, read.state.high_watermark),
        (Offset::ZERO, Offset::new(3))
    );
    let first = batches(&read.bytes).next().unwrap().unwrap();
    assert_eq!(first.base_offset(), Offset::new(1));
    for asked in fake.asked(Api::Produce) {
        assert_eq!(asked.shard, Some(ShardId::new(2)));
    }
}

#[tokio::test]
async fn nothing_is_tried_again() {
    let fake = Fake::start(&[0, 0], |asked| match asked.api {
        Api::Produce => refuse_produce(asked, ErrorCode::Throttled),
        Api::Fetch => refuse_fetch(asked, ErrorCode::OffsetOutOfRange, None),
        _ => Say::Usual,
    })
    .await;
    let partition = partition(&fake).await;
    let error = partition.produce(batch("a"), Acks::All).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Throttled);
    let read = partition.fetch(Offset::new(9), 1024, Duration::ZERO).await;
    assert!(matches!(
        read,
        Err(ClientError::Refused {
            code: ErrorCode::OffsetOutOfRange,
            ..
        })
    ));
    assert_eq!(fake.asked(Api::Produce).len(), 1);
    assert_eq!(fake.asked(Api::Fetch).len(), 1);
}

#[tokio::test]
async fn a_receipt_comes_with_an_acknowledgement_for_those_who_ask() {
    let fake = Fake::start(&[0, 2], |_| Say::Usual).await;
    let silent = partition(&fake).await;
    let stored = silent.produce(batch("a"), Acks::All).await.unwrap();
    assert_eq!(stored.receipt, None);
    let asking = partition(&fake).await.with_receipts();
    let stored = asking.produce(batch("b"), Acks::All).await.unwrap();
    assert_eq!(stored.receipt, Some(RECEIPT));
    assert_eq!(RECEIPT.total_ns(), 156_000);
}
