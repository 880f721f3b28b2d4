use std::sync::{Arc, Mutex};

use ringlog_client::{Admin, Client, ClientConfig, ErrorCode, TopicSetting};
use ringlog_record::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use ringlog_wire::{
    AlterTopicRequest, AlterTopicResponse, Api, CreateTopicRequest, CreateTopicResponse,
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicRequest, DeleteTopicResponse,
    DeletedRecords, Encoder, ErrorResponse, OffsetPosition, PartitionState, frame,
};

use crate::fake::{Asked, Fake, Say, TOPIC, answer};

async fn admin(fake: &Fake) -> (Client, Admin) {
    let client = Client::connect(&fake.bootstrap(), ClientConfig::default())
        .await
        .unwrap();
    let admin = Admin::new(&client);
    (client, admin)
}

#[tokio::test]
async fn topics_are_made_altered_and_deleted_as_asked() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let script = move |asked: &Asked| {
        let (_, body) = frame::parse(&asked.head).unwrap();
        let topic = TopicId::new(7);
        let settings = vec![TopicSetting::new("retention_ms", "1000")];
        let (text, bytes) = match asked.api {
            Api::CreateTopic => {
                let request = CreateTopicRequest::decode(body).unwrap();
                let response = CreateTopicResponse {
                    topic,
                    partitions: request.partitions,
                    settings: request.settings.clone(),
                };
                (format!("{request:?}"), answer(asked.id, &response))
            }
            Api::AlterTopic => {
                let request = AlterTopicRequest::decode(body).unwrap();
                let response = AlterTopicResponse {
                    topic,
                    settings,
                    pending: Vec::new(),
                };
                (format!("{request:?}"), answer(asked.id, &response))
            }
            Api::DeleteTopic => {
                let request = DeleteTopicRequest::decode(body).unwrap();
                (
                    format!("{request:?}"),
                    answer(asked.id, &DeleteTopicResponse { topic }),
                )
            }
            _ => return Say::Usual,
        };
        log.lock().unwrap().push(text);
        Say::Bytes(bytes)
    };
    let fake = Fake::start(&[0], script).await;
    let (client, admin) = admin(&fake).await;
    let setting = TopicSetting::new("durability", "async");
    let created = admin
        .create_topic(TOPIC, 3, vec![setting.clone()])
        .await
        .unwrap();
    assert_eq!((created.topic, created.partitions), (TopicId::new(7), 3));
    let unset = vec!["retention_bytes".to_owned()];
    let altered = admin
        .alter_topic(TOPIC, vec![setting.clone()], unset.clone())
        .await
        .unwrap();
    assert_eq!(altered.settings[0].key, "retention_ms");
    let one = PartitionIndex::new(1);
    admin
        .alter_partition(TOPIC, one, vec![setting.clone()], Vec::new())
        .await
        .unwrap();
    client.topic(TOPIC).await.unwrap();
    let asked_before = fake.asked(Api::Metadata).len();
    admin.delete_topic(TOPIC).await.unwrap();
    client.topic(TOPIC).await.unwrap();
    assert_eq!(
        fake.asked(Api::Metadata).len(),
        asked_before + 1,
        "it was forgotten"
    );
    let name = TOPIC.to_owned();
    let expected = [
        format!(
            "{:?}",
            CreateTopicRequest {
                name: name.clone(),
                partitions: 3,
                settings: vec![setting.clone()],
                replication_factor: 0,
            }
        ),
        format!(
            "{:?}",
            AlterTopicRequest {
                name: name.clone(),
                set: vec![setting.clone()],
                unset,
                partition: None,
            }
        ),
        format!(
            "{:?}",
            AlterTopicRequest {
                name: name.clone(),
                set: vec![setting],
                unset: Vec::new(),
                partition: Some(one),
            }
        ),
        format!("{:?}", DeleteTopicRequest { name }),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_refusal_keeps_its_code_and_its_sentence() {
    let fake = Fake::start(&[0], |asked| match asked.api {
        Api::CreateTopic => {
            let error = ErrorResponse::new(ErrorCode::TopicExists, "there is one already");
            let frame = Encoder::new().encode_error(asked.api.to_wire(), asked.id, &error);
            Say::Bytes(frame.unwrap().to_vec())
        }
        _ => Say::Usual,
    })
    .await;
    let (_client, admin) = admin(&fake).await;
    let error = admin.create_topic(TOPIC, 1, Vec::new()).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TopicExists);
    assert!(error.is_definite() && !error.is_retriable());
    assert_eq!(error.to_string(), "there is one already (topic_exists)");
}

#[tokio::test]
async fn offsets_are_listed_and_records_deleted_at_the_owner() {
    let fake = Fake::start(&[0, 3], |asked| match asked.api {
        Api::DeleteRecords => {
            let (_, body) = frame::parse(&asked.head).unwrap();
            let request = DeleteRecordsRequest::decode(body).unwrap();
            let deleted = request.partitions.into_iter().map(|one| DeletedRecords {
                id: one.id,
                error: ErrorCode::None,
                message: None,
                state: PartitionState {
                    high_watermark: Offset::new(9),
                    log_start: one.before,
                    leader_epoch: LeaderEpoch::new(3),
                },
            });
            let response = DeleteRecordsResponse {
                partitions: deleted.collect(),
            };
            Say::Bytes(answer(asked.id, &response))
        }
        _ => Say::Usual,
    })
    .await;
    fake.store(1, &[("a", 10), ("b", 20)]);
    let (client, admin) = admin(&fake).await;
    let topic = client.topic(TOPIC).await.unwrap();
    let partition = PartitionIndex::new(1);
    let earliest = admin
        .offset(&topic, partition, OffsetPosition::Earliest)
        .await
        .unwrap();
    assert_eq!(earliest, Some((Offset::ZERO, None)));
    assert_eq!(
        admin.end_offset(&topic, partition).await.unwrap(),
        Offset::new(2)
    );
    let log_start = admin
        .delete_records(&topic, partition, Offset::new(1))
        .await
        .unwrap();
    assert_eq!(log_start, Offset::new(1));
    for api in [Api::ListOffsets, Api::DeleteRecords] {
        for asked in fake.asked(api) {
            assert_eq!(asked.shard.map(|shard| shard.get()), Some(3));
        }
    }
    let beyond = admin
        .end_offset(&topic, PartitionIndex::new(2))
        .await
        .unwrap_err();
    assert_eq!(beyond.code(), ErrorCode::UnknownPartition);
    assert_eq!(admin.list_topics().await.unwrap(), [(*topic).clone()]);
}
