//! Why a request is not answered as its sender wishes, as the response that says so.
//!
//! Invariant: the status says whether the sender tries again. A `KafkaSource` does after 5xx and 429, and else drops the
//! record, or leaves it to its own dead letters. So what is wrong with the source and not with the record passes too: it is
//! mended while the record waits.

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
    /// Whether only whoever made the sender can mend it, who reads the log.
    is_senders: bool,
}

impl Fault {
    /// One that passes: the sender tries again.
    pub(crate) fn passing(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code,
            message: message.into(),
            is_senders: false,
        }
    }

    /// One of the source's settings, which passes once they are mended.
    pub(crate) fn settings(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_senders: true,
            ..Self::passing(code, message)
        }
    }

    /// A request that is none of a source's, or none that can be taken now, with the status that says which.
    pub(crate) fn of(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let passes = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Self {
            status,
            is_senders: !passes,
            ..Self::passing(code, message)
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let Self {
            status,
            code,
            message,
            is_senders,
        } = self;
        // What else is wrong is told by the replica's status, and may come by the thousand.
        if is_senders {
            tracing::error!(http.status = status.as_u16(), problem = code, "{message}");
        } else {
            tracing::debug!(http.status = status.as_u16(), problem = code, "{message}");
        }
        (status, Json(json!({"error": code, "message": message}))).into_response()
    }
}
