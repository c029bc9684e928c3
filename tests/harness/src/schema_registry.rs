//! A real schema registry: Apicurio Registry, run by `infra/apicurio/registry`, with Confluent's interface.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::gate::Gate;
use crate::paths::{cache, root};
use crate::port::free_port;
use crate::process::tail;
use crate::tied::Tied;
use crate::wait::wait_until;

/// It starts within half a minute, on a machine that compiles at the same time within more.
const START: Duration = Duration::from_mins(3);

/// A schema registry that answers, for one test.
pub struct SchemaRegistry {
    url: String,
    port: u16,
    _process: Tied,
}

impl SchemaRegistry {
    /// Starts one; nothing on a machine without Java 21, which the set-up has said.
    pub async fn start() -> Option<Self> {
        let java = Command::new(root().join("infra/apicurio/java")).output();
        if !java.is_ok_and(|java| java.status.success()) {
            return None;
        }
        assert!(
            cache().join("apicurio/quarkus-run.jar").is_file(),
            "no Apicurio Registry in the cache folder: run `infra/setup/run test`"
        );
        let folder = tempfile::Builder::new()
            .prefix("millrace-schema-registry-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let (port, management) = (free_port(), free_port());
        let log = folder.join("output.log");
        let command = [
            root().join("infra/apicurio/registry").into_os_string(),
            port.to_string().into(),
            management.to_string().into(),
        ];
        let registry = Self {
            url: format!("http://127.0.0.1:{port}/apis/ccompat/v7"),
            port,
            _process: Tied::start("KILL", &folder, command, &log),
        };
        let ready = format!("http://127.0.0.1:{management}/health/ready");
        wait_until("the schema registry answers", START, async || {
            let answer = reqwest::get(&ready).await;
            match answer.and_then(reqwest::Response::error_for_status) {
                Ok(_) => Ok(()),
                Err(error) => Err(format!("{error}\n{}", tail(&log))),
            }
        })
        .await;
        Some(registry)
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Registers a schema of a kind (`AVRO`, `PROTOBUF`, `JSON`) and returns its id.
    pub async fn register(&self, subject: &str, kind: &str, schema: &str) -> u32 {
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let request = reqwest::Client::new().post(url);
        let answer = request
            .json(&json!({"schemaType": kind, "schema": schema}))
            .send()
            .await
            .expect("the registry answers");
        let answer: Value = answer.json().await.expect("JSON");
        let id = answer["id"].as_u64().and_then(|id| id.try_into().ok());
        id.unwrap_or_else(|| panic!("{subject} is not registered: {answer}"))
    }

    /// An address of its own that leads here once it is opened.
    pub fn behind_gate(&self) -> Gate {
        Gate::before(self.port, "/apis/ccompat/v7")
    }
}
