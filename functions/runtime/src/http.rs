//! The function's own HTTP server: `/livez`, `/readyz` and `/metrics`.
//!
//! Invariant: `/readyz` answers 200 only while the function does its work, else 503 with what it
//! lacks; nothing here is secret, and nothing can be changed through it.

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

use crate::failure::Failure;
use crate::readiness::Readiness;

/// How often measured values are folded into their buckets, so that memory stays bounded where
/// nobody asks for the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// Serves on `address` in the background for as long as the process lives.
pub(crate) fn serve(runtime: &Handle, address: &str, readiness: Readiness) -> Result<(), Failure> {
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
        .route("/metrics", get(move || async move { metrics.render() }));
    runtime.spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(())
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
