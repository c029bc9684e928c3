//! ONNX files: streamed in by `PUT`, out by `GET`, never whole in memory.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use serde_json::json;

use super::Server;
use super::media::{failure, refusal};
use crate::app::{self, Code};

/// How long a refused sender is listened to.
const LINGER: Duration = Duration::from_secs(30);

/// Takes a file in: 201 where it is new, 200 where it was there.
pub(super) async fn put(
    State(server): State<Server>,
    Path(digest): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let limit = server.app.config.limits.max_artifact_bytes;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        // Who expects to be asked for the body has not sent it yet.
        if !headers.contains_key(header::EXPECT) {
            drain(body.into_data_stream()).await;
        }
        return refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::TooLarge,
            &format!(
                "the file is larger than the {limit} bytes that are allowed; nothing was kept"
            ),
        );
    }
    let mut body = body.into_data_stream();
    match app::artifact::accept(&server.app, &digest, &mut body).await {
        Ok(accepted) => {
            let status = if accepted.created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            let body = json!({"digest": accepted.artifact.digest, "size": accepted.artifact.size});
            (status, Json(body)).into_response()
        }
        Err(error) => {
            drain(body).await;
            failure(&error)
        }
    }
}

/// Reads what is still to come of a refused file: a connection that is closed while its sender writes is reset, and the
/// sender never sees the answer.
async fn drain(mut body: BodyDataStream) {
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    // Who sends for longer than this sees a reset.
    let _ = tokio::time::timeout(LINGER, rest).await;
}

/// Gives a file out.
pub(super) async fn get(State(server): State<Server>, Path(digest): Path<String>) -> Response {
    let artifact = match app::artifact::find(&server.app.database, &digest).await {
        Ok(artifact) => artifact,
        Err(error) => return failure(&error),
    };
    match server.app.artifacts.reader(&digest, None).await {
        Ok(reader) => (
            [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_LENGTH, artifact.size.to_string()),
                (header::ETAG, format!("\"{digest}\"")),
                (
                    header::CACHE_CONTROL,
                    "private, max-age=31536000, immutable".to_owned(),
                ),
            ],
            Body::from_stream(reader),
        )
            .into_response(),
        Err(error) => failure(&error.into()),
    }
}
