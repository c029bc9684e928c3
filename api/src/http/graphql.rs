//! GraphQL over HTTP, as the specification of 2025 has it and the `graphql-http` audits check it.
//!
//! Mutations come by POST with `application/json` only, which no page of another site can send
//! without being allowed to. One operation a request.

use std::collections::BTreeMap;

use async_graphql::parser::types::{DocumentOperations, OperationType};
use async_graphql::{Request, ServerError, Value as GraphQlValue, Variables};
use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Server;
use super::media::{Media, refusal};
use crate::app::Code;
use crate::graphql::Actor;

/// The largest request; files come by `PUT /artifacts/…`.
pub(super) const LARGEST: usize = 1 << 20;

/// Runs the query of the address.
pub(super) async fn get(
    State(server): State<Server>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(media) = Media::accepted(&headers) else {
        return not_acceptable();
    };
    let mut members = Map::new();
    for (name, value) in url_pairs(query.as_deref().unwrap_or_default()) {
        let value = match name.as_str() {
            "variables" | "extensions" => match serde_json::from_str(&value) {
                Ok(value) => value,
                Err(_) => return bad_request(media, &format!("`{name}` is not JSON")),
            },
            _ => Value::String(value),
        };
        members.insert(name, value);
    }
    let mut request = match read(members) {
        Ok(request) => request,
        Err(message) => return bad_request(media, &message),
    };
    if is_mutation(&mut request) {
        let mut response = refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::InvalidInput,
            "mutations come by POST",
        );
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    run(server, actor, media, request).await
}

/// Runs the operation of the body.
pub(super) async fn post(
    State(server): State<Server>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let Some(media) = Media::accepted(&headers) else {
        return not_acceptable();
    };
    if !is_json(&headers) {
        return refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::InvalidInput,
            "the body has to be `application/json` in UTF-8; files come by `PUT /artifacts/{sha256}`",
        );
    }
    let Ok(bytes) = axum::body::to_bytes(body, LARGEST).await else {
        return refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::TooLarge,
            "a GraphQL request has at most 1 MiB; files come by `PUT /artifacts/{sha256}`",
        );
    };
    let request = match serde_json::from_slice(&bytes) {
        Ok(Value::Object(members)) => read(members),
        Ok(Value::Array(_)) => Err("one operation a request: batches are refused".to_owned()),
        Ok(_) => Err("the body has to be a JSON object".to_owned()),
        Err(error) => Err(format!("the body is not JSON: {error}")),
    };
    match request {
        Ok(request) => run(server, actor, media, request).await,
        Err(message) => bad_request(media, &message),
    }
}

async fn run(server: Server, actor: Actor, media: Media, request: Request) -> Response {
    let response = server.schema.execute(request.data(actor)).await;
    let was_run = was_run(&response);
    let status = match media {
        Media::Response if !was_run => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let body = Answer {
        data: was_run.then_some(&response.data),
        errors: &response.errors,
        extensions: &response.extensions,
    };
    answer(status, media, &body)
}

/// Whether an operation was run, well or not; else the request itself was wrong.
pub(super) fn was_run(response: &async_graphql::Response) -> bool {
    response.errors.is_empty()
        || response.data != GraphQlValue::Null
        || response.errors.iter().any(|error| !error.path.is_empty())
}

/// An answer, with the fields of `data` in the order in which they were asked for.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a GraphQlValue>,
    #[serde(skip_serializing_if = "<[ServerError]>::is_empty")]
    errors: &'a [ServerError],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extensions: &'a BTreeMap<String, GraphQlValue>,
}

/// Reads the members of a request, as strictly as the audits want.
pub(super) fn read(mut members: Map<String, Value>) -> Result<Request, String> {
    let Some(Value::String(query)) = members.remove("query") else {
        return Err("`query` has to be a string with the operation".to_owned());
    };
    let mut request = Request::new(query);
    match members.remove("operationName") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) => request = request.operation_name(name),
        Some(_) => return Err("`operationName` has to be a string".to_owned()),
    }
    match members.remove("variables") {
        None | Some(Value::Null) => {}
        Some(variables @ Value::Object(_)) => {
            request = request.variables(Variables::from_json(variables));
        }
        Some(_) => return Err("`variables` has to be an object".to_owned()),
    }
    match members.remove("extensions") {
        None | Some(Value::Null | Value::Object(_)) => Ok(request),
        Some(_) => Err("`extensions` has to be an object".to_owned()),
    }
}

fn is_mutation(request: &mut Request) -> bool {
    let wanted = request.operation_name.clone();
    // What does not parse is reported when it is run.
    let Ok(document) = request.parsed_query() else {
        return false;
    };
    match &document.operations {
        DocumentOperations::Single(operation) => operation.node.ty == OperationType::Mutation,
        DocumentOperations::Multiple(operations) => operations
            .iter()
            .filter(|(name, _)| {
                wanted
                    .as_deref()
                    .is_none_or(|wanted| wanted == name.as_str())
            })
            .any(|(_, operation)| operation.node.ty == OperationType::Mutation),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str) else {
        return false;
    };
    let text = text.to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    parts.next() == Some("application/json")
        && parts
            .filter_map(|part| part.strip_prefix("charset="))
            .all(|charset| charset.trim_matches('"') == "utf-8")
}

/// The pairs of an address's query, percent-decoded.
fn url_pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

fn not_acceptable() -> Response {
    refusal(
        StatusCode::NOT_ACCEPTABLE,
        Code::InvalidInput,
        "answers are `application/graphql-response+json` or `application/json`",
    )
}

fn bad_request(media: Media, message: &str) -> Response {
    let error = json!({"message": message, "extensions": {"code": Code::InvalidInput.as_str()}});
    answer(StatusCode::BAD_REQUEST, media, &json!({"errors": [error]}))
}

fn answer(status: StatusCode, media: Media, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).expect("an answer has text for keys and finite numbers");
    (status, [(header::CONTENT_TYPE, media.content_type())], body).into_response()
}
