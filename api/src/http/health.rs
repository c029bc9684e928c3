//! Probes and metrics. `/readyz` asks Kafka at the moment when it is asked, and the database to
//! write.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::Server;
use crate::app::{self, App, Code};

/// How long a probe waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the answer of a write holds: anybody may ask, and a write costs the disk.
const WRITE_INTERVAL: Duration = Duration::from_secs(2);
/// Upper bounds of request times.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// When the database was last asked to write, and what came of it.
pub(super) type Written = Arc<Mutex<Option<(Instant, Result<(), String>)>>>;

/// The process answers.
pub(super) async fn live() -> impl IntoResponse {
    Json(json!({"live": true}))
}

/// The process can do its work.
pub(super) async fn ready(State(server): State<Server>) -> Response {
    let (database, kafka) = tokio::join!(writes(&server), within(kafka(&server.app)),);
    let ending = server.shutdown.is_requested();
    let ready = database.is_ok() && kafka.is_ok() && !ending;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "ready": ready,
        "ending": ending,
        "checks": {"database": describe(database), "kafka": describe(kafka)},
    });
    (status, Json(body)).into_response()
}

async fn writes(server: &Server) -> Result<(), String> {
    let mut last = server.written.lock().await;
    if let Some((at, answer)) = &*last
        && at.elapsed() < WRITE_INTERVAL
    {
        return answer.clone();
    }
    let answer = within(server.app.probe_database()).await;
    *last = Some((Instant::now(), answer.clone()));
    answer
}

async fn kafka(app: &App) -> app::Result<()> {
    let row = app::connection::control(&app.database).await?;
    app.clusters.get(&row)?.probe().await
}

async fn within(check: impl Future<Output = app::Result<()>>) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, check).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.code() == Code::Internal => {
            tracing::warn!(error = %error, "not ready");
            Err("it failed; the API's log has the details".to_owned())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

fn describe(check: Result<(), String>) -> Value {
    match check {
        Ok(()) => json!({"ok": true}),
        Err(message) => json!({"ok": false, "message": message}),
    }
}

/// Everything that is measured, for Prometheus.
pub(super) async fn metrics(State(server): State<Server>) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        server.metrics.render(),
    )
        .into_response()
}

/// The recorder of this process: there is one, however many servers it has.
pub(super) fn recorder() -> Result<PrometheusHandle> {
    static RECORDER: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            PrometheusBuilder::new()
                .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
                .and_then(PrometheusBuilder::install_recorder)
                .map_err(|error| error.to_string())
        })
        .clone()
        .map_err(anyhow::Error::msg)
        .context("the metrics cannot be set up")
}
