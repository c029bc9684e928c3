//! Schemas of a registry that speaks Confluent's REST interface, or of AWS Glue's, by the ids that records carry.
//!
//! Invariant: a schema that was found is kept for ever, since an id never gets another one. That a registry does not
//! know an id is believed for a while only; that it does not answer is no answer, and no reason to refuse a record.

mod confluent;
mod glue;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_kafka::Connection;
use millrace_wire::record::{SchemaDocument, SchemaKey};
use tokio::runtime::Handle;

use self::confluent::Confluent;
use self::glue::Glue;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long all that is asked for one schema may take: far less than the deadline of a batch, which would take a
/// registry that hangs for a model that does.
const WHOLE: Duration = Duration::from_secs(4);
/// The pauses before an attempt is repeated: a restart of a registry behind a balancer goes by unseen.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// For how long it is believed that an id is unknown: another region may only be about to hear of it.
const UNKNOWN: Duration = Duration::from_secs(10);

/// A client of a connection's schema registries.
pub struct Schemas {
    runtime: Handle,
    confluent: Option<Confluent>,
    glue: Option<Glue>,
    known: HashMap<SchemaKey, Arc<SchemaDocument>>,
    unknown: HashMap<SchemaKey, (Instant, String)>,
}

/// Why a schema is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The registry does not have it: the fault of the record that names it.
    #[error("{0}")]
    Unknown(String),
    /// The registry did not say: the records that need it wait.
    #[error("{0}")]
    Unavailable(String),
}

/// Whether a schema shall be made known to the registry, or is only asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Registering {
    Write,
    LookUp,
}

/// Why a schema got no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unregistered {
    /// The registry does not take it, as where it is not compatible with those before it.
    #[error("{0}")]
    Refused(String),
    /// The registry did not say.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Missing> for Unregistered {
    fn from(missing: Missing) -> Self {
        Self::Unavailable(missing.to_string())
    }
}

impl Schemas {
    /// A client of the registries that the connection's properties name, if they do. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Missing::Unavailable`] where a secret or a certificate is missing, or a property means nothing.
    pub fn new(runtime: &Handle, connection: &BTreeMap<String, String>) -> Result<Self, Missing> {
        let properties = Connection::new(connection)
            .schema_registry()
            .map_err(|error| Missing::Unavailable(error.to_string()))?;
        Ok(Self {
            runtime: runtime.clone(),
            confluent: Confluent::new(&properties)?,
            glue: Glue::new(&properties)?,
            known: HashMap::new(),
            unknown: HashMap::new(),
        })
    }

    /// The schema of an id. Blocks while the registry is asked.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn get(&mut self, key: SchemaKey) -> Result<Arc<SchemaDocument>, Missing> {
        if let Some(found) = self.known.get(&key) {
            return Ok(found.clone());
        }
        if let Some((since, reason)) = self.unknown.get(&key)
            && since.elapsed() < UNKNOWN
        {
            return Err(Missing::Unknown(reason.clone()));
        }
        let asked = async { tokio::time::timeout(WHOLE, self.document(key)).await };
        let found = self.runtime.block_on(asked).unwrap_or_else(|_| {
            Err(Missing::Unavailable(format!(
                "the schema registry does not answer within {WHOLE:?}"
            )))
        });
        match found {
            Ok(document) => {
                tracing::info!(schema.id = %key, "schema found");
                let document = Arc::new(document);
                self.known.insert(key, document.clone());
                Ok(document)
            }
            Err(Missing::Unknown(reason)) => {
                self.unknown.insert(key, (Instant::now(), reason.clone()));
                Err(Missing::Unknown(reason))
            }
            Err(unavailable) => Err(unavailable),
        }
    }

    /// The id of an Avro schema by which the values of a topic are written. Blocks while the registry is asked.
    ///
    /// # Errors
    /// [`Unregistered`].
    pub fn register(
        &self,
        topic: &str,
        schema: &str,
        how: Registering,
    ) -> Result<u32, Unregistered> {
        let Some(confluent) = &self.confluent else {
            return Err(Unregistered::Refused(
                "its outputs are written by a schema of a registry, and the connection names none that speaks Confluent's interface: set its property schema.registry.url"
                    .to_owned(),
            ));
        };
        let subject = format!("{topic}-value");
        let asked =
            async { tokio::time::timeout(WHOLE, confluent.register(&subject, schema, how)).await };
        let id = self.runtime.block_on(asked).unwrap_or_else(|_| {
            Err(Unregistered::Unavailable(format!(
                "the schema registry does not answer within {WHOLE:?}"
            )))
        })?;
        tracing::info!(schema.id = id, subject, "outputs have a schema");
        Ok(id)
    }

    async fn document(&self, key: SchemaKey) -> Result<SchemaDocument, Missing> {
        match (key, &self.confluent, &self.glue) {
            (SchemaKey::Glue(_), _, Some(glue)) => glue.document(key).await,
            (SchemaKey::Id(_) | SchemaKey::Guid(_), Some(confluent), _) => {
                confluent.document(key).await
            }
            (_, None, None) => Err(Missing::Unavailable(
                "records name schemas of a registry, and the connection names none: set its property schema.registry.url, or schema.registry.glue.region"
                    .to_owned(),
            )),
            // Another producer's records among those of a registry that is there are the fault of those records.
            (SchemaKey::Glue(_), Some(_), None) => Err(Missing::Unknown(
                "the record names a schema of AWS Glue, and the connection has none: set its property schema.registry.glue.region"
                    .to_owned(),
            )),
            (SchemaKey::Id(_) | SchemaKey::Guid(_), None, Some(_)) => Err(Missing::Unknown(
                "the record names a schema of a registry with Confluent's interface, and the connection has none: set its property schema.registry.url"
                    .to_owned(),
            )),
        }
    }
}

/// The innermost reason.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

#[cfg(test)]
mod tests;
