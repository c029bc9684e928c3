//! Kafka clusters as operations use them: one client a connection, kept for as long as the
//! connection's row stays the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use millrace_entity::connection;
use millrace_kafka::{Admin, Connection, Producer, TopicDescription};
use millrace_wire::name::Names;
use uuid::Uuid;

use super::connection::{names_of, properties_of};
use super::{App, Code, Error, Result};

/// The clusters that are in use.
#[derive(Default)]
pub struct Clusters {
    clusters: Mutex<HashMap<Uuid, Cluster>>,
}

/// One cluster; cheap to clone.
#[derive(Clone)]
pub struct Cluster(Arc<Client>);

struct Client {
    row: connection::Model,
    connection: Connection,
    names: Names,
    admin: Admin,
    producer: OnceLock<Arc<Producer>>,
}

/// A topic that an operation needs.
#[derive(Debug, Clone)]
pub struct Need {
    /// Its name.
    pub topic: String,
    /// How many partitions it has where it is made here; the connection's number without.
    pub partitions: Option<i32>,
    /// Its configuration where it is made here.
    pub config: BTreeMap<String, String>,
    /// What it is for, for the owner of a cluster who has to make it: `the predictions of "digits"`.
    pub purpose: String,
}

/// A topic that is there.
#[derive(Debug, Clone)]
pub struct Ensured {
    /// The topic.
    pub description: TopicDescription,
    /// Whether it was made just now.
    pub created: bool,
}

impl App {
    /// The cluster of the connection with this id, which another row refers to.
    ///
    /// # Errors
    /// As [`Clusters::get`], and the database's.
    pub async fn cluster(&self, connection_id: Uuid) -> Result<Cluster> {
        let row = super::connection::get(&self.database, connection_id).await?;
        self.clusters.get(&row)
    }

    /// The cluster that carries Millrace's own topics.
    ///
    /// # Errors
    /// As [`Clusters::get`], and the database's.
    pub async fn control_cluster(&self) -> Result<Cluster> {
        let row = super::connection::control(&self.database).await?;
        self.clusters.get(&row)
    }
}

impl Clusters {
    /// The cluster of a connection. Its client is made anew where the row has changed.
    ///
    /// # Errors
    /// `INVALID_INPUT` where the connection's properties make no client.
    pub fn get(&self, row: &connection::Model) -> Result<Cluster> {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = clusters.get(&row.id)
            && cluster.0.row == *row
        {
            return Ok(cluster.clone());
        }
        let connection = Connection::new(&properties_of(row)?);
        let cluster = Cluster(Arc::new(Client {
            names: names_of(row)?,
            admin: Admin::new(&connection)?,
            connection,
            row: row.clone(),
            producer: OnceLock::new(),
        }));
        if let Some(old) = clusters.insert(row.id, cluster.clone()) {
            close(old);
        }
        Ok(cluster)
    }

    /// Closes the client of a connection that is gone.
    pub fn forget(&self, id: Uuid) {
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = clusters.remove(&id) {
            close(old);
        }
    }
}

/// Closing waits for the client's thread.
fn close(cluster: Cluster) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(move || drop(cluster))),
        Err(_) => drop(cluster),
    }
}

impl Cluster {
    /// The names of what Millrace has there.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.0.names
    }

    /// The connection's properties, for clients of another kind.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// The row that the cluster was made from.
    #[must_use]
    pub fn row(&self) -> &connection::Model {
        &self.0.row
    }

    /// Asks or changes the cluster, on a thread where that may block.
    ///
    /// # Errors
    /// Kafka's, as codes: `KAFKA_UNREACHABLE`, `KAFKA_FORBIDDEN`, `TOPIC_NOT_FOUND`, ….
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Admin) -> std::result::Result<T, millrace_kafka::Error> + Send + 'static,
    {
        let client = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || work(&client.admin))
            .await
            .map_err(Error::internal)?
            .map_err(|error| self.explain(error))
    }

    /// The producer of this cluster: idempotent, and shared.
    ///
    /// # Errors
    /// As [`Clusters::get`].
    pub fn producer(&self) -> Result<Arc<Producer>> {
        if let Some(producer) = self.0.producer.get() {
            return Ok(Arc::clone(producer));
        }
        let made = Arc::new(Producer::new(&self.0.connection)?);
        Ok(Arc::clone(self.0.producer.get_or_init(|| made)))
    }

    /// Makes sure that a topic is there, by the connection's rule: made where it is missing, or
    /// only looked for.
    ///
    /// # Errors
    /// `TOPIC_NOT_FOUND` with what to ask the cluster's owner for, and Kafka's own.
    pub async fn ensure_topic(&self, need: Need) -> Result<Ensured> {
        let topic = need.topic.clone();
        let found = self
            .run({
                let topic = topic.clone();
                move |admin| match admin.describe_topic(&topic) {
                    Err(millrace_kafka::Error::TopicNotFound { .. }) => Ok(None),
                    other => other.map(Some),
                }
            })
            .await?;
        if let Some(description) = found {
            return Ok(Ensured {
                description,
                created: false,
            });
        }
        let row = &self.0.row;
        let partitions = need.partitions.unwrap_or(row.topic_partitions);
        let replication = row.topic_replication;
        if row.topic_policy == connection::TopicPolicy::Require {
            return Err(Error::new(
                Code::TopicNotFound,
                request(&need, partitions, replication, &row.name),
            ));
        }
        let (description, created) = self
            .run(move |admin| {
                let made = admin.create_topic(&topic, partitions, replication, &need.config);
                let created = match made {
                    Ok(()) => true,
                    // Somebody was faster, which is as good.
                    Err(millrace_kafka::Error::TopicExists { .. }) => false,
                    Err(error) => return Err(error),
                };
                Ok((admin.describe_topic(&topic)?, created))
            })
            .await?;
        if created {
            tracing::info!(kafka.topic = %description.name, kafka.partitions = partitions, "topic created");
        }
        Ok(Ensured {
            description,
            created,
        })
    }

    /// Whether a broker answers within two seconds.
    ///
    /// # Errors
    /// `KAFKA_UNREACHABLE`, `KAFKA_FORBIDDEN`.
    pub async fn probe(&self) -> Result<()> {
        self.run(|admin| admin.probe(std::time::Duration::from_secs(2)))
            .await
    }

    fn explain(&self, error: millrace_kafka::Error) -> Error {
        let addresses = self
            .0
            .row
            .properties
            .get("bootstrap.servers")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("no address");
        match Error::from(error) {
            Error::Domain {
                code: code @ (Code::KafkaUnreachable | Code::KafkaForbidden),
                message,
            } => Error::new(
                code,
                format!("{message} (connection {:?}, {addresses})", self.0.row.name),
            ),
            other => other,
        }
    }
}

/// What to ask the cluster's owner for.
fn request(need: &Need, partitions: i32, replication: i32, connection: &str) -> String {
    let Need {
        topic,
        purpose,
        config,
        ..
    } = need;
    let replicas = match replication {
        1.. => format!(" --replication-factor {replication}"),
        _ => String::new(),
    };
    let config: String = config
        .iter()
        .map(|(key, value)| [" --config ", key, "=", value].concat())
        .collect();
    format!(
        "the topic {topic:?} ({purpose}) does not exist, and the connection {connection:?} only requires topics: ask the cluster's owner for `kafka-topics.sh --create --topic {topic} --partitions {partitions}{replicas}{config}`"
    )
}

impl From<millrace_kafka::Error> for Error {
    fn from(error: millrace_kafka::Error) -> Self {
        use millrace_kafka::Error as Kafka;
        let code = match &error {
            Kafka::Unreachable { .. }
            | Kafka::Failed {
                retriable: true, ..
            } => Code::KafkaUnreachable,
            Kafka::Authentication { .. } | Kafka::NotAuthorized { .. } => Code::KafkaForbidden,
            Kafka::TopicNotFound { .. }
            | Kafka::TopicRecreated { .. }
            | Kafka::UnknownPartition { .. } => Code::TopicNotFound,
            Kafka::TopicExists { .. } => Code::AlreadyExists,
            Kafka::OffsetExpired { .. } => Code::SegmentExpired,
            Kafka::OffsetInFuture { .. } => Code::SegmentInFuture,
            Kafka::MessageTooLarge { .. } => Code::TooLarge,
            Kafka::GroupNotEmpty { .. } | Kafka::Fenced { .. } => Code::InUse,
            Kafka::LiteralSecret { .. }
            | Kafka::MisplacedReference { .. }
            | Kafka::MissingSecret { .. }
            | Kafka::Property { .. }
            | Kafka::Client { .. }
            | Kafka::TopicRefused { .. }
            | Kafka::InvalidRange { .. } => Code::InvalidInput,
            _ => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}
