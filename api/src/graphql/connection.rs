//! Connections to Kafka clusters.

use std::collections::BTreeMap;

use async_graphql::{Context, Enum, ID, InputObject, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::connection;
use millrace_wire::name::TopicTemplates;

use super::context::Find as _;
use super::{GlobalId, report};
use crate::app::connection::NewConnection;
use crate::app::{self, Code, Error};

/// A Kafka cluster, how to reach it, and its rules for topics.
pub struct KafkaConnection(pub connection::Model);

/// How the bytes travel, and who is on the other side.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS, with the client's certificate where one is given.
    Ssl,
    /// SASL without encryption.
    SaslPlaintext,
    /// SASL over TLS.
    SaslSsl,
}

/// How SASL authenticates.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// The password as it is: only over TLS.
    Plain,
    /// SCRAM with SHA-256.
    #[graphql(name = "SCRAM_SHA_256")]
    ScramSha256,
    /// SCRAM with SHA-512.
    #[graphql(name = "SCRAM_SHA_512")]
    ScramSha512,
}

/// Whether topics that are missing are made.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "connection::TopicPolicy")]
pub enum TopicPolicy {
    /// Millrace makes them.
    Create,
    /// The owner of the cluster makes them; Millrace says which.
    Require,
}

/// Names of the topics that Millrace has for itself on a connection.
#[derive(SimpleObject)]
pub struct OwnedTopics {
    /// Commands that start trainings.
    training: String,
    /// What functions report.
    events: String,
    /// Which version each alias points at.
    registry: String,
    /// Records that trainings could not use.
    training_dead_letter: String,
}

/// Whether a cluster answers.
#[derive(SimpleObject)]
pub struct ConnectionHealth {
    /// A broker has answered just now.
    reachable: bool,
    /// The cluster's own id.
    cluster_id: Option<String>,
    /// Why it cannot be used.
    message: Option<String>,
}

/// A Kafka cluster, how to reach it, and its rules for topics.
#[Object]
impl KafkaConnection {
    /// Its global id.
    pub async fn id(&self) -> ID {
        GlobalId::encode("KafkaConnection", self.0.id)
    }

    /// Its name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What the names of topics, consumer groups and transactions begin with.
    async fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// The cluster's addresses.
    async fn bootstrap_servers(&self) -> &str {
        self.property("bootstrap.servers").unwrap_or_default()
    }

    /// How the bytes travel.
    async fn security_protocol(&self) -> SecurityProtocol {
        match self
            .property("security.protocol")
            .map(str::to_ascii_uppercase)
            .as_deref()
        {
            Some("SSL") => SecurityProtocol::Ssl,
            Some("SASL_PLAINTEXT") => SecurityProtocol::SaslPlaintext,
            Some("SASL_SSL") => SecurityProtocol::SaslSsl,
            _ => SecurityProtocol::Plaintext,
        }
    }

    /// All of librdkafka's properties. Secrets are references to where they are kept.
    async fn properties(&self) -> Result<Json<BTreeMap<String, String>>> {
        let properties = app::connection::properties_of(&self.0).map_err(report)?;
        Ok(Json(millrace_kafka::Connection::new(&properties).masked()))
    }

    /// Whether topics that are missing are made.
    async fn topics(&self) -> TopicPolicy {
        self.0.topic_policy.into()
    }

    /// Partitions of a topic that is made here.
    async fn topic_partitions(&self) -> i32 {
        self.0.topic_partitions
    }

    /// Replicas of a topic that is made here; -1 is the cluster's default.
    async fn topic_replication(&self) -> i32 {
        self.0.topic_replication
    }

    /// Names of the topics that Millrace has for itself here.
    async fn owned_topics(&self) -> Result<OwnedTopics> {
        let names = app::connection::names_of(&self.0).map_err(report)?;
        Ok(OwnedTopics {
            training: names.training(),
            events: names.events(),
            registry: names.registry(),
            training_dead_letter: names.training_dead_letter(),
        })
    }

    /// Whether the cluster answers, asked at this moment.
    async fn health(&self, context: &Context<'_>) -> Result<ConnectionHealth> {
        let asked = async {
            let cluster = context.app().clusters.get(&self.0)?;
            cluster.probe().await?;
            cluster.run(millrace_kafka::Admin::cluster_id).await
        };
        match asked.await {
            Ok(cluster_id) => Ok(ConnectionHealth {
                reachable: true,
                cluster_id: Some(cluster_id),
                message: None,
            }),
            Err(error @ Error::Domain { .. }) => Ok(ConnectionHealth {
                reachable: false,
                cluster_id: None,
                message: Some(error.to_string()),
            }),
            Err(error) => Err(report(error)),
        }
    }

    /// Whether it comes from the configuration, which alone changes it.
    async fn managed(&self) -> bool {
        self.0.managed
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }
}

impl KafkaConnection {
    fn property(&self, name: &str) -> Option<&str> {
        self.0.properties.get(name)?.as_str()
    }
}

/// What `createConnection` needs. Secrets are given by reference, `${env:NAME}` or `${file:/path}`,
/// and read by Millrace and its functions where they connect: variables that begin with
/// `MILLRACE_SECRET_`, files below the folder `secrets.folder` of the configuration.
#[derive(InputObject)]
pub struct CreateConnectionInput {
    /// The project.
    #[graphql(default = "default")]
    project: String,
    /// 1 to 63 letters, digits, `-` and `_`.
    name: String,
    /// `host:port`, several of them with commas between.
    bootstrap_servers: String,
    /// How the bytes travel.
    #[graphql(default_with = "SecurityProtocol::Plaintext")]
    security_protocol: SecurityProtocol,
    /// How SASL authenticates.
    sasl_mechanism: Option<SaslMechanism>,
    /// SASL's user.
    username: Option<String>,
    /// SASL's password, by reference.
    password: Option<String>,
    /// Path of the certificates that the brokers' are signed with, in PEM; the system's without.
    ca_certificate: Option<String>,
    /// Path of the client's certificate, in PEM.
    certificate: Option<String>,
    /// Path of the client's key, in PEM.
    private_key: Option<String>,
    /// The key's password, by reference.
    private_key_password: Option<String>,
    /// More of librdkafka's properties, as an object of strings.
    properties: Option<Json<BTreeMap<String, String>>>,
    /// What the names of topics, consumer groups and transactions begin with.
    #[graphql(default = "millrace")]
    prefix: String,
    /// Whether topics that are missing are made.
    #[graphql(default_with = "TopicPolicy::Create")]
    topics: TopicPolicy,
    /// Partitions of a topic that is made here.
    #[graphql(default = 4)]
    topic_partitions: i32,
    /// Replicas of a topic that is made here; -1 is the cluster's default.
    #[graphql(default = -1)]
    topic_replication: i32,
    /// Names of topics made here: `training`, `events`, `registry`, `dead_letter`, `redrive`,
    /// `training_dead_letter`, with `{prefix}` and `{inference}`.
    topic_templates: Option<Json<TopicTemplates>>,
}

impl CreateConnectionInput {
    fn properties(&self) -> Result<BTreeMap<String, String>, Error> {
        // librdkafka's other name of `bootstrap.servers`, which would win.
        let has_other =
            matches!(&self.properties, Some(Json(map)) if map.contains_key("metadata.broker.list"));
        if self.bootstrap_servers.trim().is_empty() || has_other {
            return Err(Error::new(
                Code::InvalidInput,
                "name the brokers as `bootstrapServers`: host:port, separated by commas",
            ));
        }
        let protocol = match self.security_protocol {
            SecurityProtocol::Plaintext => "plaintext",
            SecurityProtocol::Ssl => "ssl",
            SecurityProtocol::SaslPlaintext => "sasl_plaintext",
            SecurityProtocol::SaslSsl => "sasl_ssl",
        };
        let mechanism = self.sasl_mechanism.map(|mechanism| match mechanism {
            SaslMechanism::Plain => "PLAIN".to_owned(),
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256".to_owned(),
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512".to_owned(),
        });
        let given = [
            ("bootstrap.servers", Some(self.bootstrap_servers.clone())),
            ("security.protocol", Some(protocol.to_owned())),
            ("sasl.mechanism", mechanism),
            ("sasl.username", self.username.clone()),
            ("sasl.password", self.password.clone()),
            ("ssl.ca.location", self.ca_certificate.clone()),
            ("ssl.certificate.location", self.certificate.clone()),
            ("ssl.key.location", self.private_key.clone()),
            ("ssl.key.password", self.private_key_password.clone()),
        ];
        let mut properties = self
            .properties
            .as_ref()
            .map(|Json(map)| map.clone())
            .unwrap_or_default();
        for (property, value) in given {
            let Some(value) = value else { continue };
            if properties.insert(property.to_owned(), value).is_some() {
                return Err(Error::new(
                    Code::InvalidInput,
                    format!("{property} is given twice: leave it out of `properties`"),
                ));
            }
        }
        Ok(properties)
    }
}

/// What `createConnection` made.
#[derive(SimpleObject)]
pub struct CreateConnectionPayload {
    /// The new connection.
    connection: KafkaConnection,
}

/// What `deleteConnection` needs.
#[derive(InputObject)]
pub struct DeleteConnectionInput {
    /// The project.
    #[graphql(default = "default")]
    project: String,
    /// A connection that nothing uses.
    name: String,
}

/// What `deleteConnection` removed.
#[derive(SimpleObject)]
pub struct DeleteConnectionPayload {
    /// The connection that is gone.
    name: String,
}

/// Mutations of connections.
#[derive(Default)]
pub struct ConnectionMutation;

#[Object]
impl ConnectionMutation {
    /// Makes a connection to a Kafka cluster, which need not be reachable yet.
    async fn create_connection(
        &self,
        context: &Context<'_>,
        input: CreateConnectionInput,
    ) -> Result<CreateConnectionPayload> {
        let new = NewConnection {
            name: input.name.clone(),
            properties: input.properties().map_err(report)?,
            prefix: input.prefix,
            topics: input.topics.into(),
            partitions: input.topic_partitions,
            replication: input.topic_replication,
            templates: input
                .topic_templates
                .map(|Json(templates)| templates)
                .unwrap_or_default(),
        };
        let row = app::connection::create(context.app(), &input.project, new)
            .await
            .map_err(report)?;
        Ok(CreateConnectionPayload {
            connection: KafkaConnection(row),
        })
    }

    /// Deletes a connection that nothing uses.
    async fn delete_connection(
        &self,
        context: &Context<'_>,
        input: DeleteConnectionInput,
    ) -> Result<DeleteConnectionPayload> {
        app::connection::delete(context.app(), &input.project, &input.name)
            .await
            .map_err(report)?;
        Ok(DeleteConnectionPayload { name: input.name })
    }
}
