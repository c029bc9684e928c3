//! moto's server, which speaks for services of AWS. It looks at no signature.

use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::gate::Gate;
use crate::paths::cache;
use crate::port::free_port;
use crate::process::tail;
use crate::tied::Tied;
use crate::wait::block_until;

const START: Duration = Duration::from_mins(2);
const REGION: &str = "eu-central-1";

/// An account that is empty at first; dropping it ends it.
pub struct Moto {
    port: u16,
    _process: Tied,
}

impl Moto {
    /// Starts one.
    pub fn start() -> Self {
        let program = cache().join("terraform/venv/bin/moto_server");
        assert!(
            program.is_file(),
            "no moto in the cache folder: run `infra/setup/run test`"
        );
        let folder = tempfile::Builder::new()
            .prefix("millrace-moto-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let port = free_port();
        let log = folder.join("output.log");
        let number = port.to_string();
        let command = [
            program.as_os_str(),
            "-H".as_ref(),
            "127.0.0.1".as_ref(),
            "-p".as_ref(),
            number.as_ref(),
        ];
        let process = Tied::start("KILL", &folder, command, &log);
        block_until("moto answers", START, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .map(drop)
                .map_err(|error| format!("{error}\n{}", tail(&log)))
        });
        Self {
            port,
            _process: process,
        }
    }

    /// The region of [`environment`](Self::environment).
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// An address of its own that leads here once it is opened.
    pub fn behind_gate(&self) -> Gate {
        Gate::before(self.port, "")
    }

    /// The variables by which a process is somebody in this account, at this address of it.
    pub fn environment(url: &str) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", url.to_owned()),
            ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }

    /// Asks a service for an action, as `AWSGlue.CreateSchema`.
    pub async fn ask(&self, service: &str, action: &str, asked: &Value) -> Value {
        let whom = format!(
            "AWS4-HMAC-SHA256 Credential=testing/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let request = reqwest::Client::new().post(self.url());
        let answer = request
            .header("authorization", whom)
            .header("x-amz-target", action)
            .header("content-type", "application/x-amz-json-1.1")
            .body(asked.to_string())
            .send()
            .await
            .expect("moto answers");
        let status = answer.status();
        let answer = answer.text().await.expect("a text");
        assert!(status.is_success(), "{action}: {answer}");
        serde_json::from_str(&answer).expect("JSON")
    }

    /// Registers a schema in the default registry, and returns the UUID of its version.
    pub async fn register(&self, name: &str, format: &str, schema: &str) -> String {
        let asked = json!({
            "SchemaName": name, "DataFormat": format, "Compatibility": "NONE", "SchemaDefinition": schema,
        });
        let answer = self.ask("glue", "AWSGlue.CreateSchema", &asked).await;
        let version = answer["SchemaVersionId"].as_str();
        version.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}
