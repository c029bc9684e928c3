//! Real Kafka brokers: the one that all tests share, and private ones that a test may stop, kill and
//! start again. Every broker is one node on 127.0.0.1, run by `infra/kafka/broker`.

mod broker;
mod iam;
mod options;
mod topics;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tempfile::TempDir;

use self::broker::Broker;
pub use self::iam::ENVIRONMENT as IAM;
pub use self::options::{KafkaOptions, USER};
use crate::certificates::Certificates;
use crate::paths::{cache, root};
use crate::port::free_port;
use crate::tied::Tied;
use crate::wait::block_until;

/// A broker has this long to answer, on a machine that compiles at the same time.
const START: Duration = Duration::from_secs(90);

/// The file with the login for Kafka's own tools, in a private broker's folder.
const TOOLS: &str = "tools.properties";

/// A Kafka that answers.
pub struct Kafka {
    bootstrap_servers: String,
    client: BTreeMap<String, String>,
    private: Option<Private>,
    _shared: Option<Tied>,
}

struct Private {
    broker: Mutex<Broker>,
    folder: TempDir,
    admin: BTreeMap<String, String>,
}

impl Kafka {
    /// The broker that the tests share: the one that `MILLRACE_TEST_KAFKA` names, as in `make test`, else
    /// one for this process. Use topics with names of your own, and never stop it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(|| {
            if let Ok(bootstrap_servers) = std::env::var("MILLRACE_TEST_KAFKA") {
                return Self::open(bootstrap_servers, None);
            }
            let folder = tempfile::Builder::new()
                .prefix("millrace-kafka-")
                .tempdir()
                .expect("a temporary folder")
                .keep();
            let port = free_port();
            let command = [
                program().into_os_string(),
                folder.clone().into_os_string(),
                port.to_string().into(),
            ];
            let server = Tied::start("KILL", &folder, command, &folder.join("output.log"));
            Self::open(format!("127.0.0.1:{port}"), Some(server))
        })
    }

    fn open(bootstrap_servers: String, shared: Option<Tied>) -> Self {
        let client = BTreeMap::from([("bootstrap.servers".into(), bootstrap_servers.clone())]);
        await_answer(&client, || Ok(()));
        Self {
            bootstrap_servers,
            client,
            private: None,
            _shared: shared,
        }
    }

    /// Starts a broker for one test, which ends with the returned value.
    pub fn start(options: &KafkaOptions) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("millrace-kafka-")
            .tempdir()
            .expect("a temporary folder");
        let port = options.port.unwrap_or_else(free_port);
        let bootstrap_servers = format!("127.0.0.1:{port}");
        let certificates = options.secured.then(|| Certificates::make(folder.path()));
        let set_up = options.set_up(&bootstrap_servers, certificates.as_ref());
        std::fs::write(folder.path().join(TOOLS), &set_up.tools).expect("a folder of our own");
        let classes = options.iam.then(|| iam::compile(folder.path()));
        let broker = Broker::new(
            folder.path(),
            port,
            &set_up.properties,
            set_up.format_arguments,
            classes,
        );
        let kafka = Self {
            bootstrap_servers,
            client: set_up.client,
            private: Some(Private {
                broker: Mutex::new(broker),
                folder,
                admin: set_up.admin,
            }),
            _shared: None,
        };
        kafka.start_again();
        kafka
    }

    /// `host:port` for clients.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The librdkafka properties with which a client connects: the address, and on a secured broker
    /// the name and password of [`USER`], who may do only what [`Kafka::allow`] has allowed.
    pub fn client_properties(&self) -> &BTreeMap<String, String> {
        &self.client
    }

    /// The same, for whoever may do everything.
    pub fn admin_properties(&self) -> &BTreeMap<String, String> {
        self.private
            .as_ref()
            .map_or(&self.client, |private| &private.admin)
    }

    /// A configuration for a client of a test's own, with the administrator's rights.
    pub fn config(&self) -> ClientConfig {
        self.admin_properties().clone().into_iter().collect()
    }

    /// Ends a private broker in order, and waits until it is gone.
    pub fn stop(&self) {
        self.with_broker(Broker::stop);
    }

    /// Ends a private broker with SIGKILL, and waits until it is gone.
    pub fn kill(&self) {
        self.with_broker(Broker::kill);
    }

    /// Starts a private broker that was stopped or killed, on the same port and with the same data, and
    /// waits until it answers.
    pub fn start_again(&self) {
        self.with_broker(Broker::start);
        await_answer(self.admin_properties(), || {
            self.with_broker(Broker::running)
        });
    }

    /// Allows [`USER`] of a secured broker something, in the words of `kafka-acls`, for example
    /// `["--operation", "Read", "--topic", "digits"]`.
    pub fn allow(&self, what: &[&str]) {
        self.acls(&["--add", "--allow-principal"], what);
    }

    /// Forbids [`USER`] something that it was allowed: this counts for more.
    pub fn forbid(&self, what: &[&str]) {
        self.acls(&["--add", "--deny-principal"], what);
    }

    /// Takes back what [`Kafka::forbid`] did.
    pub fn forbid_no_more(&self, what: &[&str]) {
        self.acls(&["--remove", "--force", "--deny-principal"], what);
    }

    fn acls(&self, action: &[&str], what: &[&str]) {
        let private = self.private();
        let config = private.folder.path().join(TOOLS);
        let tool = Command::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-cp"])
            .arg(cache().join("kafka/*"))
            .arg("org.apache.kafka.tools.AclCommand")
            .args([
                "--bootstrap-server",
                &self.bootstrap_servers,
                "--command-config",
            ])
            .arg(config)
            .args(action)
            .arg(format!("User:{USER}"))
            .args(what)
            .output()
            .expect("java is there, since the broker runs");
        assert!(
            tool.status.success(),
            "kafka-acls {what:?} failed: {}{}",
            String::from_utf8_lossy(&tool.stdout),
            String::from_utf8_lossy(&tool.stderr)
        );
    }

    fn private(&self) -> &Private {
        self.private.as_ref().expect(
            "the shared broker belongs to all tests: take one of your own with Kafka::start",
        )
    }

    fn with_broker<T>(&self, act: impl FnOnce(&mut Broker) -> T) -> T {
        let mut broker = match self.private().broker.lock() {
            Ok(broker) => broker,
            Err(poisoned) => poisoned.into_inner(),
        };
        act(&mut broker)
    }
}

/// Waits until a client gets the list of brokers, as long as `running` finds nothing wrong.
fn await_answer(properties: &BTreeMap<String, String>, running: impl Fn() -> Result<(), String>) {
    let config: ClientConfig = properties.clone().into_iter().collect();
    let client: BaseConsumer = config.create().expect("properties made by the harness");
    block_until("Kafka answers", START, || {
        if let Err(ended) = running() {
            panic!("{ended}");
        }
        match client.fetch_metadata(None, Duration::from_secs(1)) {
            Ok(metadata) if metadata.brokers().is_empty() => {
                Err("no broker in the metadata".into())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    });
}

fn program() -> PathBuf {
    let program = root().join("infra/kafka/broker");
    assert!(Path::new(&program).is_file(), "no {}", program.display());
    program
}
