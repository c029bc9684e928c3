//! Why a request is not answered as its sender wishes, as the response that says so.
//!
//! Invariant: the status says whether the sender tries again. A `KafkaSource` does after 5xx and 429, and else drops the
//! record, or leaves it to its own dead letters.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What keeps a request from its answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    /// A short stable code.
    pub(crate) code: &'static str,
    /// What is wrong, whose fault it is and what to do.
    pub(crate) message: String,
}

impl Fault {
    /// One that passes: the sender tries again.
    pub(crate) fn passing(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code,
            message: message.into(),
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            message,
        } = self;
        // What passes is told by the replica's status, and may come by the thousand.
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            tracing::debug!(http.status = status.as_u16(), problem = code, "{message}");
        } else {
            tracing::error!(http.status = status.as_u16(), problem = code, "{message}");
        }
        (status, Json(json!({"error": code, "message": message}))).into_response()
    }
}
