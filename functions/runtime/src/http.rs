//! The function's own HTTP server: `/livez`, `/readyz` and `/metrics`, and what its trigger serves beside them.
//!
//! Invariant: `/readyz` answers 200 only while the function does its work, else 503 with what it
//! lacks; nothing of its own here is secret, and nothing can be changed through it.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use millrace_wire::progress::{RECORDS, SECONDS};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::readiness::Readiness;

/// How often measured values are folded into their buckets, so that memory stays bounded where
/// nobody asks for the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// How long answers may take to leave at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// A server in the background.
pub(crate) struct Server {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Ends it once all answers have left.
    pub(crate) fn end(self, runtime: &Handle) {
        // It has ended where nobody hears this.
        let _ = self.end.send(());
        runtime.block_on(async {
            if timeout(FAREWELL, self.task).await.is_err() {
                tracing::warn!("the HTTP server ended before all connections did");
            }
        });
    }
}

/// Serves on `address` in the background, with `more` routes, for as long as the process lives or until it is ended.
pub(crate) fn serve(
    runtime: &Handle,
    address: &str,
    readiness: Readiness,
    more: Router,
) -> Result<Server, Failure> {
    let metrics = recorder()?;
    let listener = runtime
        .block_on(TcpListener::bind(address))
        .map_err(|error| {
            Failure::failed(format!(
                "cannot listen on {address}: {error}; free the port or give the function another `listen` address"
            ))
        })?;
    // With port 0 the system chooses one: the log is where it is said.
    match listener.local_addr() {
        Ok(bound) => tracing::info!(http.address = %bound, "listening"),
        Err(error) => tracing::warn!(%error, "listening on an unknown address"),
    }
    runtime.spawn({
        let metrics = metrics.clone();
        async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                metrics.run_upkeep();
            }
        }
    });
    let routes = Router::new()
        .route("/livez", get(|| async { "alive\n" }))
        .route("/readyz", get(move || async move { ready(&readiness) }))
        .route("/metrics", get(move || async move { metrics.render() }))
        .merge(more);
    let (end, ended) = oneshot::channel::<()>();
    let task = runtime.spawn(async move {
        // A server that nobody ends is dropped with the runtime.
        let ended = async { drop(ended.await) };
        let server = axum::serve(listener, routes).with_graceful_shutdown(ended);
        if let Err(error) = server.await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(Server { end, task })
}

fn ready(readiness: &Readiness) -> Response {
    let lacking = readiness.lacking();
    if lacking.is_empty() {
        return Json(json!({"ready": true})).into_response();
    }
    let body = Json(json!({"ready": false, "lacking": lacking}));
    (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
}

fn recorder() -> Result<PrometheusHandle, Failure> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(|builder| {
            builder.set_buckets_for_metric(Matcher::Suffix("_records".to_owned()), &RECORDS)
        })
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| Failure::failed(format!("cannot start the metrics: {error}")))
}
