//! The admin port: `/metrics` for Prometheus, `/healthz` for whoever decides whether the broker is well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ringlog_server::metrics::prometheus;
use ringlog_server::{BrokerHandle, Health};
use serde_json::json;
use tokio::net::TcpListener;

use crate::error::CommandError;

/// Content type of the text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
struct Shared {
    broker: BrokerHandle,
    is_ready: Arc<AtomicBool>,
}

/// The admin port.
pub(super) struct Admin {
    listener: std::sync::Mutex<Option<TcpListener>>,
    shared: Shared,
}

impl Admin {
    /// Binds the port. Until the broker is ready `/healthz` says that it is starting.
    pub(super) async fn bind(
        address: SocketAddr,
        broker: BrokerHandle,
    ) -> Result<Self, CommandError> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.map_err(|error| {
            let what = format!("listen on the admin address {address}");
            let reason = if error.kind() == std::io::ErrorKind::AddrInUse {
                "the address is in use: stop what listens there, or choose another one with --admin"
                    .to_owned()
            } else {
                error.to_string()
            };
            CommandError::failed(&what, reason)
        })?;
        Ok(Self {
            listener: std::sync::Mutex::new(Some(listener)),
            shared: Shared {
                broker,
                is_ready: Arc::new(AtomicBool::new(false)),
            },
        })
    }

    /// The broker serves clients from now on.
    pub(super) fn is_ready(&self) {
        self.shared.is_ready.store(true, Ordering::Release);
    }

    /// Serves until it cannot.
    pub(super) async fn serve(&self) -> CommandError {
        let listener = self
            .listener
            .lock()
            .ok()
            .and_then(|mut listener| listener.take());
        let Some(listener) = listener else {
            return CommandError::failed("serve the admin port", "it is served already");
        };
        let app = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(healthz))
            .with_state(self.shared.clone());
        match axum::serve(listener, app).await {
            Ok(()) => CommandError::failed("serve the admin port", "it ended"),
            Err(error) => CommandError::failed("serve the admin port", error),
        }
    }
}

async fn metrics(State(shared): State<Shared>) -> Response {
    if !shared.is_ready.load(Ordering::Acquire) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the broker is starting\n").into_response();
    }
    match shared.broker.metrics().await {
        Ok(shards) => (
            [(header::CONTENT_TYPE, PROMETHEUS)],
            prometheus::render(&shards),
        )
            .into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

async fn healthz(State(shared): State<Shared>) -> Response {
    if !shared.is_ready.load(Ordering::Acquire) {
        return answer(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "status": "starting" }),
        );
    }
    match shared.broker.health().await {
        Ok(health) => describe(&health),
        Err(error) => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({ "status": "stopping", "reason": error.to_string() }),
        ),
    }
}

/// A broker with partitions offline serves the others: it is alive, and says what is wrong.
fn describe(health: &Health) -> Response {
    let offline: Vec<_> = health
        .offline
        .iter()
        .map(|one| {
            json!({
                "topic": one.topic,
                "partition": one.partition.get(),
                "reason": one.reason,
            })
        })
        .collect();
    let status = if offline.is_empty() { "ok" } else { "degraded" };
    let body = json!({
        "status": status,
        "partitions": health.partitions,
        "offline": offline,
    });
    answer(StatusCode::OK, &body)
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (status, json, format!("{body}\n")).into_response()
}
