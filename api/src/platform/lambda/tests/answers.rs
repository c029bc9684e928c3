//! A server that speaks as much of AWS as the driver hears, and answers what a test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::super::super::Changes;
use super::super::aws::Aws;
use super::super::settings::{Pace, Settings};
use super::super::{LambdaOptions, LambdaPlatform, plan};
use crate::config::complete_lambda;

/// What the account holds, and what it refuses.
#[derive(Default)]
pub(super) struct Account {
    /// What `GetFunction` answers.
    pub(super) function: Option<Value>,
    /// What `ListEventSourceMappings` answers.
    pub(super) mappings: Vec<Value>,
    /// A call (`METHOD /path`, or the target of a call of logs, by their beginnings) with the code and the words that
    /// it is refused with.
    pub(super) refused: Option<(&'static str, u16, &'static str, &'static str)>,
    /// The calls so far.
    pub(super) calls: Vec<String>,
}

pub(super) type Shared = Arc<Mutex<Account>>;

/// A platform on an account of its own.
pub(super) async fn platform(pace: Pace) -> (LambdaPlatform, Shared) {
    let account = Shared::default();
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&account));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let keys = Credentials::new("test", "test", None, None, "test");
    let lambda = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(keys.clone())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(&address)
        .build();
    let logs = aws_sdk_cloudwatchlogs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(keys)
        .retry_config(RetryConfig::disabled())
        .endpoint_url(&address)
        .build();
    let aws = Aws::new(
        aws_sdk_lambda::Client::from_conf(lambda),
        aws_sdk_cloudwatchlogs::Client::from_conf(logs),
    );
    let settings = Settings {
        pace,
        ..Settings::configured(&complete_lambda())
    };
    let platform =
        LambdaPlatform::with(settings, OnceCell::new_with(Some(aws)), Changes::default());
    (platform, account)
}

async fn answer(State(account): State<Shared>, request: Request) -> Response {
    let mut account = account.lock().unwrap();
    let target = request.headers().get("x-amz-target");
    let Query(query): Query<BTreeMap<String, String>> = Query::try_from_uri(request.uri()).unwrap();
    let call = target.map_or_else(
        || format!("{} {}", request.method(), request.uri().path()),
        |target| target.to_str().unwrap().to_owned(),
    );
    account.calls.push(call.clone());
    if let Some((refused, status, code, words)) = account.refused
        && call.starts_with(refused)
    {
        return refusal(status, code, words);
    }
    let answer = if call.starts_with("GET /2015-03-31/functions/") {
        match &account.function {
            Some(function) => function.clone(),
            None => return refusal(404, "ResourceNotFoundException", "Function not found"),
        }
    } else if call.starts_with("GET /2015-03-31/event-source-mappings") {
        // AWS tells of those alone that are asked for.
        let is_asked_for = |mapping: &&Value| {
            let cluster = query.get("EventSourceArn");
            cluster.is_none_or(|cluster| mapping["EventSourceArn"] == cluster.as_str())
        };
        let mappings: Vec<&Value> = account.mappings.iter().filter(is_asked_for).collect();
        json!({"EventSourceMappings": mappings})
    } else {
        json!({})
    };
    answer.to_string().into_response()
}

fn refusal(status: u16, code: &str, words: &str) -> Response {
    let body = json!({"__type": code, "message": words, "Message": words});
    let headers = [("x-amzn-errortype", code.to_owned())];
    (
        StatusCode::from_u16(status).unwrap(),
        headers,
        body.to_string(),
    )
        .into_response()
}

/// A function as planned, in this state.
pub(super) fn function(platform: &LambdaPlatform, id: Uuid, state: &str) -> Value {
    let settings = &platform.settings;
    let plan = plan::Plan::new(settings, id, super::spec(id), &LambdaOptions::default()).unwrap();
    json!({
        "Configuration": {
            "FunctionName": plan.function.name,
            "State": state,
            "StateReason": "The role has no rights",
            "LastUpdateStatus": "Successful",
            "CodeSha256": settings.code,
            "Role": settings.role,
            "MemorySize": plan.function.memory_mib,
            "Timeout": plan.function.timeout_seconds,
            "VpcConfig": {"SubnetIds": settings.subnets, "SecurityGroupIds": settings.groups},
            "Environment": {"Variables": plan.function.variables()},
        },
        "Tags": plan.function.tags,
    })
}

/// The planned mappings, in this state.
pub(super) fn mappings(platform: &LambdaPlatform, id: Uuid, state: &str) -> Vec<Value> {
    let settings = &platform.settings;
    let plan = plan::Plan::new(settings, id, super::spec(id), &LambdaOptions::default()).unwrap();
    let arn = format!("arn:aws:lambda:eu-west-1:1:function:{}", plan.function.name);
    let mapping = |mapping: &plan::MappingPlan| {
        json!({
            "UUID": mapping.topic,
            "EventSourceArn": settings.cluster,
            "FunctionArn": arn,
            "Topics": [mapping.topic],
            "AmazonManagedKafkaEventSourceConfig": {"ConsumerGroupId": mapping.group},
            "BatchSize": mapping.batch_size,
            "State": state,
            "StateTransitionReason": "USER_INITIATED",
            "LastProcessingResult": "No records processed",
        })
    };
    plan.mappings.iter().map(mapping).collect()
}
