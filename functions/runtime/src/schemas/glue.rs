//! The AWS Glue Schema Registry of a region, asked as whoever this process is in AWS.
//!
//! Invariant: only that AWS does not know a version is an answer; a right that is missing is none, and is named.

use std::collections::BTreeMap;

use millrace_aws::{Error, Service};
use millrace_wire::record::{SchemaDocument, SchemaKey, SchemaKind};
use serde::Deserialize;
use serde_json::json;

use super::{Missing, PAUSES, TIMEOUT};

/// The registry of a region.
pub(super) struct Glue {
    service: Service,
}

/// A version of a schema, as AWS answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    #[serde(default)]
    schema_definition: String,
    #[serde(default)]
    data_format: String,
    #[serde(default)]
    status: String,
}

impl Glue {
    /// The registry that the properties name, if they do.
    pub(super) fn new(properties: &BTreeMap<String, String>) -> Result<Option<Self>, Missing> {
        let Some(region) = properties.get("glue.region") else {
            return Ok(None);
        };
        let service = Service::new("glue", "AWSGlue", region, TIMEOUT)
            .map_err(|error| Missing::Unavailable(error.to_string()))?;
        Ok(Some(Self::of(service)))
    }

    pub(super) fn of(service: Service) -> Self {
        Self { service }
    }

    /// A version of a schema. AWS lets none use another one.
    pub(super) async fn document(&self, key: SchemaKey) -> Result<SchemaDocument, Missing> {
        let version = self.version(key).await?;
        let unknown = |reason: String| Missing::Unknown(format!("the schema {key} {reason}"));
        let kind = match version.data_format.as_str() {
            "AVRO" => SchemaKind::Avro,
            "JSON" => SchemaKind::Json,
            "PROTOBUF" => SchemaKind::Protobuf,
            other => {
                return Err(unknown(format!(
                    "is of the type {other}, which is not known"
                )));
            }
        };
        match version.status.as_str() {
            // AWS may still be checking whether it is compatible.
            "PENDING" => Err(Missing::Unavailable(format!(
                "AWS Glue has not yet made the schema {key} available"
            ))),
            "FAILURE" => Err(unknown(
                "was refused by AWS Glue when it was registered".to_owned(),
            )),
            _ => Ok(SchemaDocument {
                kind,
                text: version.schema_definition,
                references: Vec::new(),
            }),
        }
    }

    async fn version(&self, key: SchemaKey) -> Result<Version, Missing> {
        let mut pauses = PAUSES.iter();
        loop {
            let asked = json!({"SchemaVersionId": key.to_string()});
            let unavailable = match self.service.ask("GetSchemaVersion", &asked).await {
                Ok(version) => return Ok(version),
                Err(Error::Refused { code, .. }) if code == "EntityNotFoundException" => {
                    return Err(Missing::Unknown(format!(
                        "the schema {key} is unknown to AWS Glue in {}",
                        self.service.region()
                    )));
                }
                Err(error) if error.is_forbidden() => {
                    return Err(Missing::Unavailable(format!(
                        "AWS Glue does not let us in: this role needs the right glue:GetSchemaVersion, which Terraform's variable glue_schema_registry grants ({error})"
                    )));
                }
                Err(error) => Missing::Unavailable(error.to_string()),
            };
            match pauses.next() {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(unavailable),
            }
        }
    }
}

#[cfg(test)]
mod tests;
