//! The `KafkaSource` of an owner: which topics it brings records of, as which consumer group, and how it proves itself
//! to the brokers.
//!
//! Invariant: a record whose request fails is brought again for as long as that can help; the function itself writes dead
//! letters. Secrets stay references, by Kubernetes' Secrets.

use millrace_wire::function::{Connection, FunctionSpec, Role};
use serde_json::{Value, json};

use super::super::Owner;
use super::super::kubernetes::cluster::Cluster;
use super::super::kubernetes::manifest::annotations;
use super::super::kubernetes::proof::{
    AUTHORITY, CERTIFICATE, KEY, MECHANISM, PASSWORD, Proof, USER, brokers,
};
use super::Options;

/// Keys come as their bytes, or not at all.
const KEY_TYPE: &str = "kafkasources.sources.knative.dev/key-type";
/// A dispatcher that gives up drops the record. Its n-th pause is n times the delay below, without a limit: a delay of 0.2 s has
/// become 38 s after an outage of one hour, and 3 minutes after a day.
const RETRIES: u32 = 1_000_000;
/// What a source brings.
pub(super) struct Fed<'a> {
    /// None where a pool hears of nobody.
    connection: Option<&'a Connection>,
    topics: Vec<&'a String>,
    group: &'a str,
    ordering: &'static str,
    consumers: u32,
    timeout_seconds: u32,
}

impl<'a> Fed<'a> {
    /// What the function of this specification is to be brought.
    pub(super) fn new(
        spec: &'a FunctionSpec,
        options: &Options,
        slots: u32,
        timeout_seconds: u32,
    ) -> Self {
        match &spec.role {
            // The topic has a partition a slot, and each of them one request under way.
            Role::Training(pool) => Self {
                connection: spec.control.as_ref().map(|control| &control.connection),
                topics: vec![&pool.topic],
                group: &pool.group,
                ordering: "ordered",
                consumers: slots,
                timeout_seconds,
            },
            Role::Inference(inference) => Self {
                connection: Some(&inference.connection),
                topics: std::iter::once(&inference.input_topic)
                    .chain(&inference.redrive_topic)
                    .collect(),
                group: &inference.group,
                ordering: if options.unordered {
                    "unordered"
                } else {
                    "ordered"
                },
                consumers: options.consumers.unwrap_or(1),
                timeout_seconds,
            },
        }
    }
}

/// The manifest.
///
/// # Errors
/// What of the connection a source cannot be told.
pub(super) fn source(
    cluster: &Cluster,
    owner: Owner,
    spec: &FunctionSpec,
    fed: &Fed<'_>,
    secret: Option<&str>,
) -> Result<Value, String> {
    let name = cluster.name(owner);
    let mut labels = cluster.labels(owner);
    labels.insert(KEY_TYPE.to_owned(), "byte-array".to_owned());
    let connection = fed
        .connection
        .ok_or("is not told where commands come from")?;
    let mut manifest = json!({
        "apiVersion": "sources.knative.dev/v1",
        "kind": "KafkaSource",
        "metadata": {
            "name": name,
            "namespace": cluster.namespace(),
            "labels": labels,
            "annotations": annotations(spec),
        },
        "spec": {
            "bootstrapServers": brokers(connection),
            "topics": fed.topics,
            // Its offsets are committed already; what has none is new, and is read from its beginning.
            "consumerGroup": fed.group,
            "initialOffset": "earliest",
            "ordering": fed.ordering,
            "consumers": fed.consumers,
            "delivery": {
                "retry": RETRIES,
                "backoffPolicy": "linear",
                "backoffDelay": "PT0.2S",
                "timeout": format!("PT{}S", fed.timeout_seconds),
            },
            "sink": {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": name}},
        },
    });
    if let Some(net) = net(connection, secret)? {
        manifest["spec"]["net"] = net;
    }
    Ok(manifest)
}

/// How the source proves itself. None where the brokers ask for nothing.
fn net(connection: &Connection, secret: Option<&str>) -> Result<Option<Value>, String> {
    let proof = Proof::of(connection, secret, "KafkaSource", "platform.knative.secret")?;
    if proof == Proof::default() {
        return Ok(None);
    }
    let from = |key: &str| json!({"secretKeyRef": {"name": secret, "key": key}});
    let mut net = json!({});
    if proof.mechanism.is_some() {
        // Its type is a key of the Secret beside the others.
        net["sasl"] = json!({"enable": true, "user": from(USER), "password": from(PASSWORD), "type": from(MECHANISM)});
    }
    if proof.tls {
        net["tls"] = json!({"enable": true});
        if proof.authority {
            net["tls"]["caCert"] = from(AUTHORITY);
        }
        if proof.certificate {
            net["tls"]["cert"] = from(CERTIFICATE);
            net["tls"]["key"] = from(KEY);
        }
    }
    Ok(Some(net))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn connection(properties: &[(&str, &str)]) -> Connection {
        let properties = properties.iter();
        properties
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn what_a_source_cannot_be_told_is_refused() {
        let sasl = [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.password", "${env:PASSWORD}"),
            ("ssl.ca.location", "/run/secrets/kafka/ca.pem"),
        ];
        assert_eq!(net(&connection(&[]), None).unwrap(), None);
        let refused = net(&connection(&sasl), None).unwrap_err();
        assert!(refused.contains("platform.knative.secret"), "{refused}");
        let mut iam = sasl;
        iam[1] = ("sasl.mechanism", "AWS_MSK_IAM");
        let refused = net(&connection(&iam), Some("kafka")).unwrap_err();
        assert!(refused.contains("AWS_MSK_IAM"), "{refused}");
        let given = net(&connection(&sasl), Some("kafka")).unwrap().unwrap();
        assert_eq!(given["tls"]["caCert"]["secretKeyRef"]["key"], "ca.crt");
        assert_eq!(given["sasl"]["password"]["secretKeyRef"]["name"], "kafka");
        assert!(!given.to_string().contains("PASSWORD"), "{given}");
        let plain = net(&connection(&[("security.protocol", "ssl")]), None)
            .unwrap()
            .unwrap();
        assert_eq!(plain, json!({"tls": {"enable": true}}));
    }
}
