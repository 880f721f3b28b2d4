use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ringlog_client::transport::{Connection, ConnectionConfig};
use ringlog_client::{Client, ClientConfig, ClientError, ConnectError, ErrorCode};
use ringlog_record::{BrokerId, PartitionIndex, ShardId, TopicId, TopicPartition};
use ringlog_wire::{
    Acks, Api, CorrelationId, Encoder, ErrorResponse, HelloResponse, MetadataRequest,
    MetadataResponse, ProducePartition, ProduceRequestDraft, TopicSelection,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{Asked, Fake, Say};

const SOON: Duration = Duration::from_secs(5);

fn all() -> MetadataRequest {
    MetadataRequest {
        topics: TopicSelection::All,
    }
}

fn client_config() -> ClientConfig {
    ClientConfig {
        request_timeout: SOON,
        ..ClientConfig::default()
    }
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_named_with_what_to_do() {
    // Bound and closed: nobody listens there now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Client::connect(std::slice::from_ref(&address), ClientConfig::default())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(
        error,
        ClientError::Connect(ConnectError::Refused { .. })
    ));
    for part in [address.as_str(), "refused", "ringlog broker"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test]
async fn the_first_bootstrap_that_answers_is_used() {
    let fake = Fake::start(&[0], |_| Say::Usual).await;
    let bootstrap = ["127.0.0.1:1".to_owned(), fake.address.clone()];
    let client = Client::connect(&bootstrap, client_config()).await.unwrap();
    assert_eq!(client.topic("events").await.unwrap().partitions.len(), 1);
    let error = client.topic("nothing").await.unwrap_err();
    assert!(matches!(error, ClientError::UnknownTopic { .. }), "{error}");
    let error = Client::connect(&["nonsense".to_owned()], client_config()).await;
    assert!(error.unwrap_err().to_string().contains("host:port"));
}

#[tokio::test]
async fn what_is_known_of_a_topic_is_renewed_by_age_beside_the_work() {
    let fake = Fake::start(&[0], |_| Say::Usual).await;
    let of_age = |metadata_max_age| ClientConfig {
        metadata_max_age,
        ..client_config()
    };
    let bootstrap = fake.bootstrap();
    let young = Client::connect(&bootstrap, of_age(Duration::from_secs(3600)));
    let old = Client::connect(&bootstrap, of_age(Duration::ZERO));
    let (young, old) = (young.await.unwrap(), old.await.unwrap());
    for client in [&young, &old] {
        assert_eq!(client.topic("events").await.unwrap().partitions.len(), 1);
    }
    fake.state.lock().unwrap().shards.push(ShardId::new(0));
    // What is known is given at once, and the next finds what is new.
    let renewed = async {
        while old.topic("events").await.unwrap().partitions.len() == 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, renewed).await.unwrap();
    assert_eq!(young.topic("events").await.unwrap().partitions.len(), 1);
}

#[tokio::test]
async fn answers_may_come_in_any_order() {
    let mut first = None;
    let fake = Fake::start(&[0], move |asked| {
        if asked.api != Api::Metadata {
            return Say::Usual;
        }
        // The first waits for the second, and is answered behind it.
        let Some(first) = first.take() else {
            first = Some(asked.id);
            return Say::Nothing;
        };
        let answer = |id: CorrelationId| {
            let response = MetadataResponse {
                cluster_id: format!("answer to {}", id.get()),
                ..MetadataResponse::default()
            };
            Encoder::new().encode(id, &response).unwrap()
        };
        Say::Bytes([answer(asked.id), answer(first)].concat())
    })
    .await;
    let connection = Connection::connect(&fake.address, None, &ConnectionConfig::default())
        .await
        .unwrap();
    let request = all();
    let call = || async {
        let frame = connection.call(&request, Vec::new(), SOON).await.unwrap();
        let response = MetadataResponse::decode(frame.body()).unwrap();
        let expected = format!("answer to {}", frame.header.correlation_id().get());
        assert_eq!(response.cluster_id, expected);
        frame.header.correlation_id()
    };
    let (one, other) = tokio::join!(call(), call());
    assert_ne!(one, other);
}

#[tokio::test]
async fn an_unanswered_request_is_lost_and_ends_a_connection_that_is_silent() {
    let mut calls = 0;
    let fake = Fake::start(&[0], move |asked| {
        calls += u32::from(asked.api == Api::Metadata);
        if asked.api == Api::Metadata && calls != 2 {
            Say::Nothing
        } else {
            Say::Usual
        }
    })
    .await;
    let connection = Connection::connect(
        &fake.address,
        Some(ShardId::new(2)),
        &ConnectionConfig::default(),
    )
    .await
    .unwrap();
    assert_eq!(connection.hello().shard, ShardId::new(2));
    // While something comes, who is not answered is merely out of luck.
    let short = Duration::from_secs(1);
    let unanswered = connection.begin(&all(), Vec::new(), short).await.unwrap();
    connection.call(&all(), Vec::new(), SOON).await.unwrap();
    let error = unanswered.answer().await.unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
    assert!(!error.is_definite() && connection.is_open());
    let short = Duration::from_millis(50);
    let silent = connection.call(&all(), Vec::new(), short).await;
    let error = silent.unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
    assert!(!connection.is_open(), "{error}");
}

#[tokio::test]
async fn a_connection_that_ends_says_so_at_once_and_takes_no_more() {
    let fake = Fake::start(&[0], |asked| match asked.api {
        Api::Metadata => Say::Hangup,
        _ => Say::Usual,
    })
    .await;
    let connection = Connection::connect(&fake.address, None, &ConnectionConfig::default())
        .await
        .unwrap();
    let error = connection.call(&all(), Vec::new(), SOON).await.unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
    assert!(!connection.is_open());
    let error = connection.call(&all(), Vec::new(), SOON).await.unwrap_err();
    assert!(matches!(error, ClientError::NotSent { .. }), "{error}");
    assert!(error.is_definite() && error.is_retriable());
}

#[tokio::test]
async fn a_refused_request_is_a_typed_error_and_a_damaged_answer_ends_the_connection() {
    let mut calls = 0;
    let fake = Fake::start(&[0], move |asked| {
        if asked.api == Api::Hello {
            return Say::Usual;
        }
        calls += 1;
        let error = ErrorResponse::new(ErrorCode::Throttled, "later");
        let frame = Encoder::new().encode_error(asked.api.to_wire(), asked.id, &error);
        let mut bytes = frame.unwrap().to_vec();
        if calls == 2 {
            bytes[40] ^= 1;
        }
        Say::Bytes(bytes)
    })
    .await;
    let connection = Connection::connect(&fake.address, None, &ConnectionConfig::default())
        .await
        .unwrap();
    let error = connection.call(&all(), Vec::new(), SOON).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Throttled);
    assert!(error.is_retriable());
    let error = connection.call(&all(), Vec::new(), SOON).await.unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[tokio::test]
async fn many_who_ask_share_one_connection() {
    let fake = Fake::start(&[0], |_| Say::Usual).await;
    let client = Client::connect(&fake.bootstrap(), client_config())
        .await
        .unwrap();
    let asking = (0..50).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.refresh_topic("events").await })
    });
    for asked in asking.collect::<Vec<_>>() {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(fake.state.lock().unwrap().connections, 1);
}

#[tokio::test]
async fn a_broker_that_stops_is_tried_again_and_a_stranger_is_not() {
    let short = ClientConfig {
        connection: ConnectionConfig {
            connect_timeout: Duration::from_millis(100),
            ..ConnectionConfig::default()
        },
        ..client_config()
    };
    let refuse = |code| {
        move |asked: &Asked| {
            let error = ErrorResponse::new(code, "as the script says");
            let frame = Encoder::new().encode_error(asked.api.to_wire(), asked.id, &error);
            Say::Bytes(frame.unwrap().to_vec())
        }
    };
    let fakes = [
        (Fake::start(&[0], |_| Say::Hangup).await, true),
        (Fake::start(&[0], |_| Say::Nothing).await, true),
        (
            Fake::start(&[0], refuse(ErrorCode::ShuttingDown)).await,
            true,
        ),
        (
            Fake::start(&[0], refuse(ErrorCode::UnsupportedVersion)).await,
            false,
        ),
        (
            Fake::start(&[0], |_| {
                Say::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n".repeat(2))
            })
            .await,
            false,
        ),
    ];
    for (fake, is_retriable) in fakes {
        let error = Client::connect(&fake.bootstrap(), short.clone())
            .await
            .unwrap_err();
        assert_eq!(error.is_retriable(), is_retriable, "{error}");
        assert!(error.is_definite(), "{error}");
        assert!(error.to_string().contains(&fake.address), "{error}");
    }
}

#[tokio::test]
async fn a_broker_that_does_not_read_holds_no_call_beyond_its_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It answers the hello, and reads nothing more.
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 32];
        stream.read_exact(&mut head).await.unwrap();
        let hello = HelloResponse {
            version: 1,
            features: 0,
            cluster_id: "fake".to_owned(),
            broker: BrokerId::new(1),
            shard: ShardId::new(0),
            shard_count: 1,
            software: "fake".to_owned(),
        };
        let answer = Encoder::new()
            .encode(CorrelationId::new(0), &hello)
            .unwrap();
        stream.write_all(&answer).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(stream);
    });
    let connection = Connection::connect(&address, None, &ConnectionConfig::default())
        .await
        .unwrap();
    let connection = Arc::new(connection);
    let payload = Bytes::from(vec![0; 1 << 20]);
    let calls = (0..400).map(|_| {
        let (connection, payload) = (Arc::clone(&connection), payload.clone());
        tokio::spawn(async move {
            let partitions = [ProducePartition::new(
                TopicPartition {
                    topic: TopicId::new(7),
                    partition: PartitionIndex::new(0),
                },
                1 << 20,
            )];
            let draft = ProduceRequestDraft {
                acks: Acks::All,
                timeout_ms: 100,
                partitions: &partitions,
                wants_receipt: false,
            };
            let timeout = Duration::from_millis(300);
            connection.call(&draft, vec![payload], timeout).await
        })
    });
    let (mut lost, mut not_sent) = (0, 0);
    for call in calls.collect::<Vec<_>>() {
        match call.await.unwrap().unwrap_err() {
            ClientError::Lost { .. } => lost += 1,
            ClientError::NotSent { .. } => not_sent += 1,
            error => panic!("{error}"),
        }
    }
    // What was not begun surely was not carried out.
    assert!(
        lost >= 1 && not_sent >= 300,
        "{lost} lost, {not_sent} not sent"
    );
    serving.abort();
}

#[tokio::test]
async fn a_broker_of_another_version_is_refused_with_both_ranges() {
    let newer = |asked: &Asked| {
        let error = ErrorResponse {
            version_min: 7,
            version_max: 9,
            ..ErrorResponse::new(ErrorCode::UnsupportedVersion, "not with me")
        };
        let frame = Encoder::new().encode_error(asked.api.to_wire(), asked.id, &error);
        Say::Bytes(frame.unwrap().to_vec())
    };
    let fake = Fake::start(&[0], newer).await;
    let refused = Client::connect(&fake.bootstrap(), client_config()).await;
    let said = refused.unwrap_err().to_string();
    let both = "speaks versions 7 to 9 of the protocol and this client version 1";
    assert!(said.contains(both), "{said}");

    let stubborn = |asked: &Asked| {
        let hello = HelloResponse {
            version: 9,
            features: 0,
            cluster_id: "cluster".to_owned(),
            broker: BrokerId::new(1),
            shard: ShardId::new(0),
            shard_count: 1,
            software: "ringlog 9".to_owned(),
        };
        let frame = Encoder::new().encode(asked.id, &hello);
        Say::Bytes(frame.unwrap().to_vec())
    };
    let fake = Fake::start(&[0], stubborn).await;
    let refused = Client::connect(&fake.bootstrap(), client_config()).await;
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("it chose version 9"), "{said}");
}
