//! The admin port: `/metrics` for Prometheus, `/healthz` for whoever asks whether all is well, `/debug/slow` for whoever
//! asks why something takes long.

mod slow;

use std::fmt::Write;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::FutureExt;
use ringlog_maintenance::{Maintenance, MaintenanceCounters};
use ringlog_server::metrics::prometheus;
use ringlog_server::{BrokerHandle, Health, OfflinePartition, ShardSlow};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::error::CommandError;

/// What the admin port answers from.
#[derive(Clone)]
pub(super) struct Admin {
    /// Once it serves.
    broker: Arc<OnceLock<BrokerHandle>>,
    maintenance: Option<Arc<MaintenanceCounters>>,
}

impl Admin {
    /// Answers for a broker that is starting.
    pub(super) fn new(maintenance: Option<&Maintenance>) -> Self {
        Self {
            broker: Arc::default(),
            maintenance: maintenance.map(Maintenance::counters),
        }
    }

    /// The broker has started. There is no other one to come.
    pub(super) fn started(&self, broker: BrokerHandle) {
        self.broker.set(broker).ok();
    }

    /// The slowest requests by shard, of a broker that serves.
    async fn slow(&self) -> Option<Vec<ShardSlow>> {
        self.broker.get()?.slow().await.ok()
    }
}

/// Takes the address, and answers there from now on, by a task of this runtime. What is given back ends when that
/// cannot go on.
pub(super) async fn serve(
    address: SocketAddr,
    admin: Admin,
) -> Result<impl Future<Output = CommandError>, CommandError> {
    let listener = bind(address).await?;
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/debug/slow", get(slow::slow))
        .with_state(admin);
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(serving.map(|ended| {
        let reason = match ended {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        CommandError::failed("serve the admin port", reason)
    }))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|error| {
        let what = format!("listen on the admin address {address}");
        let reason = if error.kind() == io::ErrorKind::AddrInUse {
            "the address is in use: stop what listens there, or give another one, or none, with --admin"
                .to_owned()
        } else {
            error.to_string()
        };
        CommandError::failed(&what, reason)
    })
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut text = String::new();
    if let Some(broker) = admin.broker.get()
        && let Ok(shards) = broker.metrics().await
    {
        text = prometheus::render(&shards);
    }
    // Writing to a string does not fail.
    maintenance_metrics(&mut text, admin.maintenance.as_deref()).ok();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (kind, text).into_response()
}

fn maintenance_metrics(
    text: &mut String,
    counters: Option<&MaintenanceCounters>,
) -> std::fmt::Result {
    let mut one = |name: &str, kind: &str, help: &str, value: u64| {
        writeln!(
            text,
            "# HELP ringlog_{name} {help}\n# TYPE ringlog_{name} {kind}\nringlog_{name} {value}"
        )
    };
    let is_running = u64::from(counters.is_some());
    let help = "Whether segment files are prepared ahead.";
    one("maintenance_running", "gauge", help, is_running)?;
    let Some(counters) = counters else {
        return Ok(());
    };
    let help = "Segment files prepared.";
    let files = counters.prepared_files();
    one("maintenance_prepared_files_total", "counter", help, files)?;
    let help = "Bytes of the segment files prepared.";
    let bytes = counters.prepared_bytes();
    one("maintenance_prepared_bytes_total", "counter", help, bytes)?;
    let help = "Segment files whose preparation failed or was given up.";
    let failed = counters.failed_files();
    one("maintenance_failed_files_total", "counter", help, failed)
}

async fn health(State(admin): State<Admin>) -> Response {
    let Some(broker) = admin.broker.get() else {
        return answer(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"status": "starting"}),
        );
    };
    match broker.health().await {
        Ok(health) => answer(StatusCode::OK, &to_json(&health)),
        Err(_) => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"status": "stopping"}),
        ),
    }
}

fn answer(code: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (code, kind, format!("{body}\n")).into_response()
}

/// A broker with offline partitions is up: restarting it would take the others down too.
fn to_json(health: &Health) -> Value {
    let offline = |one: &OfflinePartition| {
        json!({
            "topic": one.topic,
            "partition": one.partition.get(),
            "reason": one.reason,
        })
    };
    json!({
        "status": if health.offline.is_empty() { "ok" } else { "degraded" },
        "partitions": health.partitions,
        "controller": health.is_controller,
        "metadata": if health.is_lease_valid { "ok" } else { "away" },
        "offline": health.offline.iter().map(offline).collect::<Vec<_>>(),
    })
}
