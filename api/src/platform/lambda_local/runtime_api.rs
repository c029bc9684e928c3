//! The Runtime API of one environment: what its process asks, as a sequence of calls.
//!
//! Format: AWS Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes", version 2018-06-01.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, JoinHandle};

/// The most that Lambda takes as an answer.
const LARGEST: usize = 6 << 20;
/// The function's name in AWS's form. Nothing stands behind it.
pub(super) const ARN: &str = "arn:aws:lambda:eu-central-1:000000000000:function:millrace-local";

/// What a process asks or tells.
pub(super) enum Call {
    /// It waits for an invocation.
    Next(oneshot::Sender<Invocation>),
    /// It answers the invocation of this id.
    Answered(String, Bytes),
    /// It has failed at the invocation of this id: the error as it came.
    Failed(String, Bytes),
    /// It cannot start.
    NotStarted(Bytes),
}

/// An event to be answered.
pub(super) struct Invocation {
    pub(super) id: String,
    pub(super) event: Vec<u8>,
    /// Milliseconds since 1970.
    pub(super) deadline_ms: u128,
}

/// A Runtime API at a port of its own, until it is dropped.
pub(super) struct RuntimeApi {
    pub(super) address: SocketAddr,
    pub(super) calls: mpsc::Receiver<Call>,
    server: AbortHandle,
}

impl RuntimeApi {
    pub(super) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, calls) = mpsc::channel(1);
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(answered),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .route("/2018-06-01/runtime/init/error", post(not_started))
            .with_state(sender);
        let server: JoinHandle<_> =
            tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(Self {
            address,
            calls,
            server: server.abort_handle(),
        })
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(calls): State<mpsc::Sender<Call>>) -> Result<Response<Body>, StatusCode> {
    let (sender, invocation) = oneshot::channel();
    tell(&calls, Call::Next(sender)).await?;
    // The environment has ended.
    let invocation = invocation.await.map_err(|_| StatusCode::FORBIDDEN)?;
    Response::builder()
        .header("Lambda-Runtime-Aws-Request-Id", invocation.id)
        .header(
            "Lambda-Runtime-Deadline-Ms",
            invocation.deadline_ms.to_string(),
        )
        .header("Lambda-Runtime-Invoked-Function-Arn", ARN)
        .header("Content-Type", "application/json")
        .body(Body::from(invocation.event))
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn answered(
    State(calls): State<mpsc::Sender<Call>>,
    Path(id): Path<String>,
    body: Body,
) -> Result<StatusCode, StatusCode> {
    let Ok(body) = to_bytes(body, LARGEST).await else {
        let error = format!(
            r#"{{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"an answer has at most {LARGEST} bytes"}}"#
        );
        tell(&calls, Call::Failed(id, error.into())).await?;
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    };
    tell(&calls, Call::Answered(id, body)).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn failed(
    State(calls): State<mpsc::Sender<Call>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    tell(&calls, Call::Failed(id, body)).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn not_started(
    State(calls): State<mpsc::Sender<Call>>,
    body: Bytes,
) -> Result<StatusCode, StatusCode> {
    tell(&calls, Call::NotStarted(body)).await?;
    Ok(StatusCode::ACCEPTED)
}

/// An environment that has ended hears nothing any more.
async fn tell(calls: &mpsc::Sender<Call>, call: Call) -> Result<(), StatusCode> {
    calls.send(call).await.map_err(|_| StatusCode::FORBIDDEN)
}
