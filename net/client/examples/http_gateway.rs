//! An HTTP gateway: posts records, and waits for them with long polls.
//!
//! `cargo run -p ringlog-client --example http_gateway -- 127.0.0.1:9400 127.0.0.1:8080`, then
//!
//! ```text
//! curl -d 'hello' '127.0.0.1:8080/topics/events?key=k'
//! curl '127.0.0.1:8080/topics/events/0?offset=0&wait_ms=10000'
//! ```

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use ringlog_client::core::compression::decompress_batch;
use ringlog_client::limits::DECOMPRESSED_BYTES_MAX;
use ringlog_client::{
    Client, ClientConfig, ClientError, DeliveryError, ErrorCode, Producer, ProducerConfig,
    ProducerRecord, RawClient, RawFetch, RawFetchLimits, SendError,
};
use ringlog_record::batch::{RecordView, batches};
use ringlog_record::{Offset, PartitionIndex};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Bytes of an answer, about.
const MAX_BYTES: u32 = 1 << 20;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(bootstrap), Some(listen)) = (arguments.next(), arguments.next()) else {
        return Err("usage: http_gateway HOST:PORT LISTEN_HOST:PORT".into());
    };
    serve(&bootstrap, TcpListener::bind(listen).await?).await
}

struct Gateway {
    producer: Producer,
    raw: RawClient,
}

type Answer = Result<String, (StatusCode, String)>;

/// Serves until the task is dropped.
pub(crate) async fn serve(bootstrap: &str, listener: TcpListener) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(&[bootstrap.to_owned()], ClientConfig::default()).await?;
    let config = ProducerConfig {
        // A request waits for its record: nothing is gained by letting it linger.
        linger: Duration::ZERO,
        delivery_timeout: Duration::from_secs(30),
        ..ProducerConfig::default()
    };
    let gateway = Arc::new(Gateway {
        producer: Producer::new(&client, config),
        raw: RawClient::new(&client),
    });
    let router = Router::new()
        .route("/topics/{topic}", post(produce))
        .route("/topics/{topic}/{partition}", get(consume))
        .with_state(gateway);
    Ok(axum::serve(listener, router).await?)
}

#[derive(Deserialize)]
struct ProduceQuery {
    key: Option<String>,
    partition: Option<u32>,
}

/// Stores the body as a record. A client that goes away leaves the record on its way.
async fn produce(
    State(gateway): State<Arc<Gateway>>,
    Path(topic): Path<String>,
    Query(query): Query<ProduceQuery>,
    body: Bytes,
) -> Answer {
    let record = ProducerRecord {
        key: query.key.map(Into::into),
        partition: query.partition.map(PartitionIndex::new),
        ..ProducerRecord::value(topic, body)
    };
    let sent = gateway.producer.send(record).await.map_err(not_taken)?;
    let delivered = sent.await.map_err(not_stored)?;
    let answer = json!({
        "partition": delivered.partition.get(),
        "offset": delivered.offset.get(),
        "level": delivered.level.name(),
    });
    Ok(answer.to_string())
}

#[derive(Deserialize)]
struct ConsumeQuery {
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    wait_ms: u32,
}

/// The records from an offset on, as soon as there is one. `next_offset` is the offset to ask for next.
async fn consume(
    State(gateway): State<Arc<Gateway>>,
    Path((topic, partition)): Path<(String, u32)>,
    Query(query): Query<ConsumeQuery>,
) -> Answer {
    let fetch = RawFetch {
        topic,
        partition: PartitionIndex::new(partition),
        offset: Offset::new(query.offset),
        max_bytes: MAX_BYTES,
        last_epoch: None,
    };
    let limits = RawFetchLimits {
        max_wait: Duration::from_millis(query.wait_ms.into()),
        min_bytes: 1,
        max_bytes: MAX_BYTES,
    };
    let fetched = gateway.raw.fetch(&[fetch], limits).await.remove(0);
    let bytes = fetched.outcome.map_err(not_asked)?;
    let bad = |error: &dyn Error| (StatusCode::BAD_GATEWAY, error.to_string());
    let (mut records, mut next) = (Vec::new(), Offset::new(query.offset));
    for batch in batches(&bytes) {
        let batch = batch.map_err(|error| bad(&error))?;
        batch.check_crc().map_err(|error| bad(&error))?;
        let decompressed = decompress_batch(&batch, DECOMPRESSED_BYTES_MAX);
        let decompressed = decompressed.map_err(|error| bad(&error))?;
        let found = match &decompressed {
            Some(decompressed) => batch.decompressed_records(decompressed),
            None => batch.records(),
        };
        for record in found {
            let record = record.map_err(|error| bad(&error))?;
            if record.offset >= next {
                records.push(to_json(&record));
            }
        }
        next = batch.last_offset().next();
    }
    let answer = json!({
        "records": records,
        "next_offset": next.get(),
        "high_watermark": fetched.state.high_watermark.get(),
    });
    Ok(answer.to_string())
}

fn to_json(record: &RecordView<'_>) -> Value {
    let text =
        |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    json!({
        "offset": record.offset.get(),
        "timestamp": record.timestamp.get(),
        "key": text(record.key),
        "value": text(record.value),
    })
}

fn not_taken(error: SendError) -> (StatusCode, String) {
    match error {
        SendError::Client(error) => not_asked(error),
        SendError::Record(_) => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        SendError::Closed => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

/// An unknown outcome is not a failure: the record may be there, and 504 says just that.
fn not_stored(error: DeliveryError) -> (StatusCode, String) {
    let status = match &error {
        DeliveryError::UnknownOutcome { .. } | DeliveryError::Closed => StatusCode::GATEWAY_TIMEOUT,
        DeliveryError::Expired { .. } => StatusCode::SERVICE_UNAVAILABLE,
        DeliveryError::StoredBefore => StatusCode::OK,
        DeliveryError::Refused { .. } => StatusCode::BAD_GATEWAY,
    };
    (status, error.to_string())
}

fn not_asked(error: ClientError) -> (StatusCode, String) {
    let status = match error.code() {
        ErrorCode::UnknownTopic | ErrorCode::UnknownPartition => StatusCode::NOT_FOUND,
        ErrorCode::OffsetOutOfRange => StatusCode::RANGE_NOT_SATISFIABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    (status, error.to_string())
}
