//! What a private broker is asked to be, and what follows from it: the broker's properties, the users made
//! when its data folder is formatted, and the properties with which clients log in.

use std::collections::BTreeMap;

use super::iam;
use crate::certificates::Certificates;

/// The user of a secured broker who may do only what it is allowed.
pub const USER: &str = "millrace";

const ADMIN: &str = "admin";
const PASSWORD: &str = "test-password";

/// How a private broker differs from the shared one.
#[derive(Clone, Debug, Default)]
pub struct KafkaOptions {
    pub(super) secured: bool,
    pub(super) iam: bool,
    pub(super) port: Option<u16>,
    properties: BTreeMap<String, String>,
}

/// What a broker is started with, and what its clients need.
pub(super) struct SetUp {
    pub(super) properties: String,
    pub(super) format_arguments: Vec<String>,
    pub(super) client: BTreeMap<String, String>,
    pub(super) admin: BTreeMap<String, String>,
    /// The administrator's login in the words of Kafka's own tools.
    pub(super) tools: String,
}

impl KafkaOptions {
    /// `SASL_SSL` with SCRAM-SHA-512, and access control lists that allow nothing to begin with.
    #[must_use]
    pub fn secured(mut self) -> Self {
        self.secured = true;
        self
    }

    /// Lets clients in by IAM, as Amazon MSK does, whose tokens it checks for the one access key of
    /// [`super::iam::ENVIRONMENT`]; without encryption, since that is checked elsewhere.
    #[must_use]
    pub fn iam(mut self) -> Self {
        self.iam = true;
        self
    }

    /// Listens on this port, in place of one that is free when it starts.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// One property of the broker.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    pub(super) fn set_up(&self, servers: &str, certificates: Option<&Certificates>) -> SetUp {
        let mut broker = BTreeMap::new();
        let mut format_arguments = Vec::new();
        let mut tools = BTreeMap::new();
        let address = BTreeMap::from([("bootstrap.servers".to_owned(), servers.to_owned())]);
        let (mut client, mut admin) = (address.clone(), address);
        if let Some(certificates) = certificates {
            broker.extend(secured_broker(certificates));
            client.extend(login(USER, certificates));
            admin.extend(login(ADMIN, certificates));
            tools.extend(tools_login(certificates));
            for user in [ADMIN, USER] {
                format_arguments.push("--add-scram".into());
                format_arguments.push(format!("SCRAM-SHA-512=[name={user},password={PASSWORD}]"));
            }
        }
        if self.iam {
            broker.extend(iam::broker());
            client.extend(iam::login());
            admin.extend(iam::administrator());
        }
        broker.extend(self.properties.clone());
        SetUp {
            properties: lines(&broker),
            format_arguments,
            client,
            admin,
            tools: lines(&tools),
        }
    }
}

/// The controller's own listener stays without encryption; who speaks there counts as anonymous.
fn secured_broker(certificates: &Certificates) -> BTreeMap<String, String> {
    [
        (
            "listener.security.protocol.map",
            "CLIENT:SASL_SSL,CONTROLLER:PLAINTEXT".into(),
        ),
        (
            "listener.name.client.scram-sha-512.sasl.jaas.config",
            jaas(),
        ),
        ("sasl.enabled.mechanisms", "SCRAM-SHA-512".into()),
        (
            "sasl.mechanism.inter.broker.protocol",
            "SCRAM-SHA-512".into(),
        ),
        ("ssl.keystore.type", "PEM".into()),
        (
            "ssl.keystore.location",
            certificates.server.display().to_string(),
        ),
        ("ssl.truststore.type", "PEM".into()),
        (
            "ssl.truststore.location",
            certificates.authority.display().to_string(),
        ),
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer".into(),
        ),
        ("super.users", format!("User:{ADMIN};User:ANONYMOUS")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn login(user: &str, certificates: &Certificates) -> BTreeMap<String, String> {
    [
        ("security.protocol", "SASL_SSL".into()),
        ("sasl.mechanism", "SCRAM-SHA-512".into()),
        ("sasl.username", user.to_owned()),
        ("sasl.password", PASSWORD.into()),
        (
            "ssl.ca.location",
            certificates.authority.display().to_string(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn tools_login(certificates: &Certificates) -> BTreeMap<String, String> {
    [
        ("security.protocol", "SASL_SSL".into()),
        ("sasl.mechanism", "SCRAM-SHA-512".into()),
        ("sasl.jaas.config", jaas()),
        ("ssl.truststore.type", "PEM".into()),
        (
            "ssl.truststore.location",
            certificates.authority.display().to_string(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The administrator's login, for the broker (which logs in to itself) and for Kafka's tools.
fn jaas() -> String {
    format!(
        "org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"{ADMIN}\" password=\"{PASSWORD}\";"
    )
}

fn lines(properties: &BTreeMap<String, String>) -> String {
    let lines: Vec<String> = properties
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    lines.concat()
}
