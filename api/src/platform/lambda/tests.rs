//! The driver against two stand-ins for AWS: one that answers what a test says, which shows states and refusals that
//! only AWS itself has; and moto's server with what Terraform applied to it, which `tests/terraform/run` starts.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod account;
mod answers;
mod lives;
mod refusals;
mod states;

use millrace_wire::function::{FunctionSpec, Role};
use serde_json::json;
use uuid::Uuid;

use super::super::{Deployment, Options};
use super::LambdaOptions;

/// A specification as the API hands it out.
pub(super) fn spec(id: Uuid) -> FunctionSpec {
    let connection = json!({"bootstrap.servers": "b-1.example:9098"});
    let text = json!({
        "format": millrace_wire::FORMAT,
        "control": {"connection": connection, "events_topic": "e", "registry_topic": "r"},
        "artifacts": "s3://artifacts/artifacts",
        "listen": "",
        "ordinal": 0,
        "role": "inference",
        "id": id,
        "project": "default",
        "name": format!("orders-{}", id.simple()),
        "connection": connection,
        "model": "digits",
        "version": {
            "version": 3,
            "digest": "0".repeat(64),
            "size": 1000,
            "signature": {"inputs": [], "outputs": []},
        },
        "alias": "champion",
        "input_topic": "orders-in",
        "input_topic_id": "id",
        "input_format": {"type": "RAW", "dtype": "uint8", "shape": [4]},
        "output_topic": "orders-out",
        "output_format": "JSON",
        "dead_letter_topic": "millrace.dlq.orders",
        "redrive_topic": "millrace.redrive.orders",
        "group": format!("millrace.inference.{}", id.simple()),
        "guarantee": "AT_LEAST_ONCE",
        "transactional_id": "",
        "batching": {"max_batch": 256, "max_bytes": 1_000_000, "commit_interval_ms": 100},
    });
    FunctionSpec::from_json(&text.to_string()).unwrap()
}

/// The same after its alias was moved.
fn moved(mut spec: FunctionSpec) -> FunctionSpec {
    let Role::Inference(inference) = &mut spec.role else {
        panic!("no inference");
    };
    let version = inference.version.as_mut().unwrap();
    version.version += 1;
    version.digest = "1".repeat(64);
    spec
}

/// The same with other work.
fn into_topic(mut spec: FunctionSpec, topic: &str) -> FunctionSpec {
    let Role::Inference(inference) = &mut spec.role else {
        panic!("no inference");
    };
    topic.clone_into(&mut inference.output_topic);
    spec
}

/// The same on records that are JSON documents.
fn of_json(mut spec: FunctionSpec) -> FunctionSpec {
    let Role::Inference(inference) = &mut spec.role else {
        panic!("no inference");
    };
    let format = json!({"type": "JSON", "fields": [{"pointer": "/amount"}]});
    inference.input_format = serde_json::from_value(format).unwrap();
    spec
}

fn deployment(spec: FunctionSpec, lambda: LambdaOptions) -> Deployment {
    Deployment {
        functions: vec![spec],
        options: Options {
            lambda: Some(lambda),
            ..Options::default()
        },
    }
}
