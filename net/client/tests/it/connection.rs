use std::time::Duration;

use ringlog_client::transport::{Connection, ConnectionConfig};
use ringlog_client::{Client, ClientConfig, ClientError, ConnectError, ErrorCode};
use ringlog_record::ShardId;
use ringlog_wire::{
    Api, CorrelationId, Encoder, ErrorResponse, MetadataRequest, MetadataResponse, TopicSelection,
};

use crate::fake::{Fake, Say};

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
        let response = MetadataResponse::decode(frame.body().unwrap()).unwrap();
        let expected = format!("answer to {}", frame.header.correlation_id().get());
        assert_eq!(response.cluster_id, expected);
        frame.header.correlation_id()
    };
    let (one, other) = tokio::join!(call(), call());
    assert_ne!(one, other);
}

#[tokio::test]
async fn an_unanswered_request_is_lost_and_the_connection_lives_on() {
    let mut calls = 0;
    let fake = Fake::start(&[0], move |asked| {
        calls += u32::from(asked.api == Api::Metadata);
        if asked.api == Api::Metadata && calls == 1 {
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
    let short = Duration::from_millis(50);
    let error = connection
        .call(&all(), Vec::new(), short)
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error}");
    assert!(!error.is_definite());
    connection.call(&all(), Vec::new(), SOON).await.unwrap();
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
