//! A Kafka cluster and how to speak to it: flat librdkafka properties.
//!
//! Invariant: the properties are kept as they were written. Secrets are
//! resolved into a client's configuration only, and every way to print a
//! connection masks them.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use crate::Error;
use crate::error::Step;
use crate::health::Health;
use crate::iam;
use crate::observer::Observer;
use crate::secret::{self, Reference};

/// What properties of the cluster's schema registry begin with: librdkafka does not see them.
const SCHEMA_REGISTRY: &str = "schema.registry.";

/// Which there are, under the names that Confluent's clients have for them.
const SCHEMA_REGISTRY_PROPERTIES: &[&str] = &[
    "basic.auth.user.info",
    "bearer.auth.token",
    "glue.region",
    "ssl.ca.location",
    "url",
];

/// A cluster's properties; clones share their [`Health`].
#[derive(Clone)]
pub struct Connection {
    properties: BTreeMap<String, String>,
    health: Health,
}

impl Connection {
    /// A connection from librdkafka properties. Those that are secrets may hold
    /// the references `${env:NAME}`, `${file:/path}` and `${aws-secret:ARN}`.
    /// Nothing is resolved or contacted yet.
    #[must_use]
    pub fn new(properties: &BTreeMap<String, String>) -> Self {
        Self {
            properties: properties.clone(),
            health: Health::default(),
        }
    }

    /// The same connection with one property set, sharing its health.
    #[must_use]
    pub fn with(mut self, property: &str, value: &str) -> Self {
        self.properties
            .insert(property.to_owned(), value.to_owned());
        self
    }

    /// What the clients of this connection last observed of its brokers.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The properties as they may be shown: secrets masked, references kept.
    #[must_use]
    pub fn masked(&self) -> BTreeMap<String, String> {
        self.properties
            .iter()
            .map(|(property, value)| (property.clone(), secret::masked(property, value)))
            .collect()
    }

    /// Checks that every secret stands by reference, and that nothing else does.
    pub fn check(&self) -> Result<(), Error> {
        for (property, value) in &self.properties {
            // The mask covers exactly what may not be kept as it stands.
            if secret::masked(property, value) != *value {
                return Err(Error::LiteralSecret {
                    property: property.clone(),
                });
            }
            refuse_misplaced(property, value)?;
        }
        Ok(())
    }

    /// Checks that librdkafka knows every property and takes its value. A secret may be missing here: it may only be
    /// there for those who use the connection. The cluster is not asked.
    pub fn check_properties(&self) -> Result<(), Error> {
        for property in self.properties.keys() {
            let of_registry = property.strip_prefix(SCHEMA_REGISTRY);
            if of_registry.is_some_and(|name| !SCHEMA_REGISTRY_PROPERTIES.contains(&name)) {
                return Err(Error::Property {
                    property: property.clone(),
                    reason: format!(
                        "of a schema registry there are {SCHEMA_REGISTRY}{{{}}}",
                        SCHEMA_REGISTRY_PROPERTIES.join(", ")
                    ),
                });
            }
        }
        // No token and no secret is asked for: only those who use the connection have to be somebody in AWS.
        let made = self.without_aws()?.make::<_, AdminClient<_>>(
            &[],
            &[],
            Observer::new(self.health.clone()),
        );
        match made {
            Ok(_) | Err(Error::MissingSecret { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The same with something in the place of each secret of AWS, and without certificates and keys, for which nothing can stand.
    fn without_aws(&self) -> Result<Self, Error> {
        let mut without = self.clone();
        for (property, reference) in self.references()? {
            if reference.arn().is_none() {
                continue;
            }
            if property.split('.').next_back() == Some("pem") {
                without.properties.remove(property);
            } else {
                without = without.with(property, "of-aws");
            }
        }
        Ok(without)
    }

    /// Every reference to a secret, with the property that holds it.
    pub fn references(&self) -> Result<Vec<(&str, Reference<'_>)>, Error> {
        let mut found = Vec::new();
        for (property, value) in &self.properties {
            for reference in secret::references(property, value)? {
                found.push((property.as_str(), reference));
            }
        }
        Ok(found)
    }

    /// Whether the cluster has a schema registry.
    #[must_use]
    pub fn has_schema_registry(&self) -> bool {
        ["url", "glue.region"].iter().any(|name| {
            let property = format!("{SCHEMA_REGISTRY}{name}");
            self.properties.contains_key(&property)
        })
    }

    /// The properties of the cluster's schema registry, without what their names begin with, their secrets looked up.
    pub fn schema_registry(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut found = BTreeMap::new();
        for (property, value) in &self.properties {
            if let Some(name) = property.strip_prefix(SCHEMA_REGISTRY) {
                refuse_misplaced(property, value)?;
                found.insert(name.to_owned(), secret::resolve(property, value)?);
            }
        }
        Ok(found)
    }

    /// Makes a client. `defaults` give way to the connection's properties,
    /// `fixed` stand above them, because the crate's promises rest on them.
    pub(crate) fn client<C, T>(
        &self,
        defaults: &[(&str, &str)],
        fixed: &[(&str, &str)],
        context: C,
    ) -> Result<T, Error>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C> + iam::Client,
    {
        let (client, config) = self.make(defaults, fixed, context)?;
        if let Some(config) = config {
            iam::log_in(&client, &config)?;
        }
        Ok(client)
    }

    /// The client, and what its tokens are to be signed for where it logs in by IAM.
    fn make<C, T>(
        &self,
        defaults: &[(&str, &str)],
        fixed: &[(&str, &str)],
        context: C,
    ) -> Result<(T, Option<String>), Error>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        let told = iam::properties(&self.properties)?;
        let properties = told.as_ref().unwrap_or(&self.properties);
        let mut config = ClientConfig::new();
        for (property, value) in DEFAULTS.iter().chain(defaults) {
            config.set(*property, *value);
        }
        let of_librdkafka = properties
            .iter()
            .filter(|(property, _)| !property.starts_with(SCHEMA_REGISTRY));
        for (property, value) in of_librdkafka {
            if RUNS_CODE.contains(&property.as_str()) {
                return Err(Error::Property {
                    property: property.clone(),
                    reason: "it would run code of another file in this process".to_owned(),
                });
            }
            refuse_misplaced(property, value)?;
            config.set(property, secret::resolve(property, value)?);
        }
        for (property, value) in FIXED.iter().chain(fixed) {
            config.set(*property, *value);
        }
        // Without a level librdkafka keeps its errors to itself.
        config.set_log_level(RDKafkaLogLevel::Info);
        let client = config
            .create_with_context(context)
            .map_err(|error| refused(&error))?;
        Ok((client, told.as_ref().and_then(iam::config)))
    }
}

/// Whoever may describe a cluster may not therefore have its brokers told what lies on this machine.
fn refuse_misplaced(property: &str, value: &str) -> Result<(), Error> {
    if secret::is_misplaced(property, value) {
        return Err(Error::MisplacedReference {
            property: property.to_owned(),
        });
    }
    Ok(())
}

/// What suits every client, unless the connection says otherwise.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "millrace"),
    // Ten seconds, librdkafka's own limit, is long after a broker's restart.
    ("reconnect.backoff.max.ms", "1000"),
];

/// What no connection may set: whoever may describe a cluster may not therefore run programs here.
const RUNS_CODE: &[&str] = &[
    "plugin.library.paths",
    "sasl.kerberos.kinit.cmd",
    "ssl.engine.location",
];

/// What no connection may change.
const FIXED: &[(&str, &str)] = &[
    ("allow.auto.create.topics", "false"),
    ("statistics.interval.ms", "0"),
];

/// librdkafka puts the refused value into its message, which may be a secret, or whatever a
/// reference led to: only the property is named.
fn refused(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(result, _, property, _) => {
            let reason = match result {
                RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN => "librdkafka knows no such property",
                _ => "its value is not one that it can have",
            };
            Error::Property {
                property: property.clone(),
                reason: reason.to_owned(),
            }
        }
        KafkaError::ClientCreation(reason) if reason.contains("GSSAPI") => Error::Property {
            property: "sasl.mechanism".to_owned(),
            reason: "it has to be set, to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or AWS_MSK_IAM: without it librdkafka takes Kerberos, which is not built in".to_owned(),
        },
        other => Step::new("make a Kafka client").kafka(other),
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("properties", &self.masked())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let properties: Vec<String> = self
            .masked()
            .into_iter()
            .map(|(property, value)| format!("{property}={value}"))
            .collect();
        formatter.write_str(&properties.join(", "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use rdkafka::producer::BaseProducer;

    use super::*;

    fn connection(properties: &[(&str, &str)]) -> Connection {
        Connection::new(
            &properties
                .iter()
                .map(|(property, value)| ((*property).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn secrets_are_never_printed() {
        let connection = connection(&[
            ("bootstrap.servers", "broker:9092"),
            ("sasl.username", "me"),
            ("sasl.password", "hunter2"),
            ("ssl.key.pem", "-----BEGIN hunter2"),
            ("ssl.key.password", "${env:KEY_PASSWORD}"),
        ]);
        for text in [format!("{connection:?}"), connection.to_string()] {
            assert!(!text.contains("hunter2"), "{text}");
            assert!(text.contains("broker:9092"), "{text}");
            assert!(text.contains("${env:KEY_PASSWORD}"), "{text}");
        }
    }

    #[test]
    fn a_secret_that_is_no_reference_is_named() {
        let by_reference = connection(&[
            ("sasl.username", "me"),
            ("sasl.password", "${file:/run/password}"),
        ]);
        by_reference.check().unwrap();
        assert_eq!(
            by_reference.references().unwrap(),
            [("sasl.password", Reference::File("/run/password"))]
        );
        let error = by_reference
            .with("sasl.password", "hunter2")
            .check()
            .unwrap_err();
        assert!(matches!(
            &error,
            Error::LiteralSecret { property } if property == "sasl.password"
        ));
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn nothing_but_a_secret_is_looked_up() {
        let connection = connection(&[("client.id", "${env:HOME}")]);
        let made: Result<BaseProducer<_>, Error> =
            connection.client(&[], &[], rdkafka::producer::DefaultProducerContext);
        for error in [made.err().unwrap(), connection.check().unwrap_err()] {
            assert!(matches!(
                error,
                Error::MisplacedReference { property } if property == "client.id"
            ));
        }
    }

    #[test]
    fn a_missing_secret_is_found_when_a_client_is_made() {
        let connection = connection(&[("sasl.password", "${env:MILLRACE_NOT_THERE}")]);
        let made: Result<BaseProducer<_>, Error> =
            connection.client(&[], &[], rdkafka::producer::DefaultProducerContext);
        assert!(matches!(
            made.err().unwrap(),
            Error::MissingSecret { reference, .. } if reference == "${env:MILLRACE_NOT_THERE}"
        ));
    }

    #[test]
    fn sasl_without_a_mechanism_says_which_there_are() {
        let connection = connection(&[("security.protocol", "SASL_SSL")]);
        let made: Result<BaseProducer<_>, Error> =
            connection.client(&[], &[], rdkafka::producer::DefaultProducerContext);
        assert!(matches!(
            made.err().unwrap(),
            Error::Property { property, reason } if property == "sasl.mechanism" && reason.contains("SCRAM-SHA-512")
        ));
    }

    #[test]
    fn the_schema_registry_is_none_of_librdkafkas_business() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "me:hunter2").unwrap();
        let connection = connection(&[
            ("bootstrap.servers", "127.0.0.1:1"),
            ("schema.registry.url", "http://registry:8081"),
            (
                "schema.registry.basic.auth.user.info",
                &format!("${{file:{}}}", file.path().display()),
            ),
        ]);
        connection.check().unwrap();
        connection.check_properties().unwrap();
        assert!(connection.has_schema_registry());
        let found = connection.schema_registry().unwrap();
        assert_eq!(found["url"], "http://registry:8081");
        assert_eq!(found["basic.auth.user.info"], "me:hunter2");

        let literal = connection
            .clone()
            .with("schema.registry.basic.auth.user.info", "me:hunter2");
        assert!(!literal.to_string().contains("hunter2"));
        assert!(matches!(
            literal.check().unwrap_err(),
            Error::LiteralSecret { .. }
        ));
        let in_address = connection
            .clone()
            .with("schema.registry.url", "http://me:hunter2@registry:8081");
        assert!(!in_address.to_string().contains("hunter2"));
        assert!(matches!(
            in_address.check().unwrap_err(),
            Error::LiteralSecret { .. }
        ));
        let unknown = connection.with("schema.registry.uri", "x");
        assert!(matches!(
            unknown.check_properties().unwrap_err(),
            Error::Property { property, .. } if property == "schema.registry.uri"
        ));
    }

    #[test]
    fn a_connection_is_checked_without_asking_aws_for_its_secrets() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:x";
        let secret = |field: &str| format!("${{aws-secret:{arn}#{field}}}");
        let scram = connection(&[
            ("bootstrap.servers", "127.0.0.1:1"),
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "me"),
            ("sasl.password", &secret("password")),
        ]);
        scram.check().unwrap();
        scram.check_properties().unwrap();
        let references = scram.references().unwrap();
        assert_eq!(references[0].1.arn(), Some(arn));
        let certificate = connection(&[
            ("security.protocol", "SSL"),
            ("ssl.certificate.pem", &secret("certificate")),
            ("ssl.key.pem", &secret("privateKey")),
        ]);
        certificate.check().unwrap();
        certificate.check_properties().unwrap();
        let wrong = scram.with("sasl.pasword", &secret("password"));
        assert!(wrong.check_properties().is_err());
    }

    #[test]
    fn a_property_that_runs_code_is_refused() {
        let connection = connection(&[("plugin.library.paths", "/tmp/any.so")]);
        let made: Result<BaseProducer<_>, Error> =
            connection.client(&[], &[], rdkafka::producer::DefaultProducerContext);
        assert!(matches!(
            made.err().unwrap(),
            Error::Property { property, .. } if property == "plugin.library.paths"
        ));
    }

    #[test]
    fn a_refused_property_is_named_without_its_secret() {
        let wrong = connection(&[("no.such.property", "x")]);
        let made: Result<rdkafka::consumer::BaseConsumer<_>, Error> =
            wrong.client(&[], &[], Observer::default());
        assert!(matches!(
            made.err().unwrap(),
            Error::Property { property, .. } if property == "no.such.property"
        ));

        let wrong = connection(&[("no.such.password", "hunter2")]);
        let made: Result<rdkafka::consumer::BaseConsumer<_>, Error> =
            wrong.client(&[], &[], Observer::default());
        assert!(!made.err().unwrap().to_string().contains("hunter2"));
    }
}
