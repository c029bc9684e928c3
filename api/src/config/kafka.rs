//! The Kafka cluster of the connection `default`, which carries Millrace's own topics too.

use std::collections::BTreeMap;

use millrace_wire::name::{self, TopicTemplates};
use serde::{Deserialize, Serialize};

use super::Error;

/// `[kafka]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// `host:port`, several of them with commas between.
    pub bootstrap_servers: String,
    /// What the names of topics, groups and transactions begin with.
    pub prefix: String,
    /// Whether topics that are missing are made.
    pub topics: TopicPolicy,
    /// Partitions of a topic that is made here.
    pub partitions: i32,
    /// Replicas of a topic that is made here; −1 is the cluster's default.
    pub replication: i32,
    /// librdkafka's properties, passed through. Secrets, and only these, by reference: `${env:NAME}` or
    /// `${file:/path}`. As a variable: `MILLRACE_KAFKA__PROPERTIES__SASL_USERNAME`.
    pub properties: BTreeMap<String, String>,
    /// The names of the topics that Millrace makes.
    pub templates: TopicTemplates,
}

/// Whether topics that are missing are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TopicPolicy {
    /// Millrace makes them.
    Create,
    /// The owner of the cluster makes them; Millrace says which.
    Require,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: "localhost:9092".to_owned(),
            prefix: "millrace".to_owned(),
            topics: TopicPolicy::Create,
            partitions: 4,
            replication: -1,
            properties: BTreeMap::new(),
            templates: TopicTemplates::default(),
        }
    }
}

impl Kafka {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.bootstrap_servers.trim().is_empty() {
            return Err(Error::invalid(
                "kafka.bootstrap_servers",
                "give the cluster's addresses as host:port, with commas between",
            ));
        }
        if self.partitions < 1 {
            return Err(Error::invalid(
                "kafka.partitions",
                "a topic has at least 1 partition",
            ));
        }
        if self.replication < 1 && self.replication != -1 {
            return Err(Error::invalid(
                "kafka.replication",
                "a topic has at least 1 replica; -1 is the cluster's default",
            ));
        }
        name::check_prefix(&self.prefix).map_err(|rule| Error::invalid("kafka.prefix", rule))?;
        self.templates
            .check()
            .map_err(|rule| Error::invalid("kafka.templates", rule))?;
        let refused =
            |error: millrace_kafka::Error| Error::invalid("kafka.properties", error.to_string());
        // Before anybody can print the tree.
        millrace_kafka::Connection::new(&self.properties)
            .check()
            .map_err(refused)?;
        millrace_kafka::Connection::new(&self.all_properties())
            .check_properties()
            .map_err(refused)
    }

    /// All properties, the addresses included.
    #[must_use]
    pub fn all_properties(&self) -> BTreeMap<String, String> {
        let mut properties = self.properties.clone();
        properties.insert(
            "bootstrap.servers".to_owned(),
            self.bootstrap_servers.clone(),
        );
        properties
    }
}
