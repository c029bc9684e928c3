//! KEDA, which gives an inference more pods while records wait: one `ScaledObject`, whose triggers count the records that the
//! inference's group has not answered, and what it proves itself with.
//!
//! Invariant: while there is a `ScaledObject`, the number of pods is KEDA's; it never goes below what the inference asks for,
//! as Millrace waits for so many.

use std::sync::Arc;

use millrace_wire::function::{FunctionSpec, InferenceSpec, Role};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::{Changes, Error, Owner};
use super::cluster::{Cluster, condition, kind};
use super::kept::Kept;
use super::manifest::annotations;
use super::proof::{AUTHORITY, CERTIFICATE, KEY, PASSWORD, Proof, USER, brokers};
use crate::config;

/// KEDA's group of objects.
const GROUP: &str = "keda.sh";
/// KEDA's reason where some triggers cannot be asked, as that of one topic of two.
const PARTIAL: &str = "PartialTriggerError";
/// Records that wait for one pod, at which another one begins.
const LAG: u32 = 1000;

/// How an inference scales.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaling {
    /// Pods at most. The least is the inference's replicas.
    pub max_replicas: u32,
    /// Records that wait for one pod, at which another one begins.
    pub lag: Option<u32>,
}

impl Scaling {
    /// Refuses what KEDA would refuse.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.max_replicas == 0 || self.lag == Some(0) {
            return Err("maxReplicas and lag are 1 at least".to_owned());
        }
        Ok(())
    }
}

/// Where KEDA is asked for its work.
pub(super) struct Keda {
    cluster: Arc<Cluster>,
    secret: Option<String>,
    objects: Kept,
    authentications: Kept,
}

impl Keda {
    /// The one that the configuration names, unless it is off.
    pub(super) fn configured(
        settings: &config::Keda,
        cluster: &Arc<Cluster>,
        changes: &Changes,
    ) -> Option<Self> {
        let kept = |name, plural| {
            let kind = kind(GROUP, "v1alpha1", name, plural);
            Kept::new(Arc::clone(cluster), kind, changes.clone())
        };
        settings.enabled.then(|| Self {
            cluster: Arc::clone(cluster),
            secret: settings.secret.clone(),
            objects: kept("ScaledObject", "scaledobjects"),
            authentications: kept("TriggerAuthentication", "triggerauthentications"),
        })
    }

    /// Whether it is known what stands.
    pub(super) fn ready(&self) -> Result<(), Error> {
        self.objects.ready()?;
        self.authentications.ready()
    }

    /// Has the pods of an owner scaled from `least` on.
    pub(super) async fn keep(
        &self,
        owner: Owner,
        spec: &FunctionSpec,
        least: usize,
        scaling: &Scaling,
    ) -> Result<(), Error> {
        let Role::Inference(inference) = &spec.role else {
            return Ok(()); // Trainings have the slots that they were given.
        };
        let refused = |message| self.cluster.unavailable(message);
        scaling.check().map_err(refused)?;
        if u32::try_from(least).is_ok_and(|least| least > scaling.max_replicas) {
            return Err(refused(format!(
                "cannot scale from {least} replicas to {}: ask for fewer replicas, or for a higher maxReplicas",
                scaling.max_replicas
            )));
        }
        let proof = Proof::of(
            &inference.connection,
            self.secret.as_deref(),
            "ScaledObject",
            "platform.keda.secret",
        )
        .map_err(refused)?;
        let name = self.cluster.name(owner);
        if proof.needs_secret() {
            let manifest = self.authentication(owner, spec, &proof);
            let live = self.authentications.live(&name).await?;
            self.authentications.keep(manifest, live).await?;
        }
        let manifest = self.scaled_object(owner, spec, inference, least, scaling, &proof);
        let live = self.objects.live(&name).await?;
        self.objects.keep(manifest, live).await
    }

    /// What KEDA says to be wrong with its work.
    pub(super) fn remark(&self, name: &str) -> Option<String> {
        let object = self.objects.seen(name)?;
        match condition(&object, "Ready")? {
            ("False", why) => Some(format!("KEDA does not scale the pods ({why})")),
            // It is unknown without a reason, too, until KEDA has looked at all.
            ("Unknown", why) if why.starts_with(PARTIAL) => Some(format!(
                "KEDA sees only a part of what waits, and scales the pods by that ({why})"
            )),
            _ => None,
        }
    }

    /// Scales an owner's pods no more.
    pub(super) async fn end(&self, name: &str) -> Result<(), Error> {
        self.objects.end(name).await?;
        self.authentications.end(name).await
    }

    fn scaled_object(
        &self,
        owner: Owner,
        spec: &FunctionSpec,
        inference: &InferenceSpec,
        least: usize,
        scaling: &Scaling,
        proof: &Proof<'_>,
    ) -> Value {
        let name = self.cluster.name(owner);
        let topics = std::iter::once(&inference.input_topic).chain(&inference.redrive_topic);
        let triggers = topics.map(|topic| {
            let mut metadata = json!({
                "bootstrapServers": brokers(&inference.connection).join(","),
                "consumerGroup": inference.group,
                "topic": topic,
                "lagThreshold": scaling.lag.unwrap_or(LAG).to_string(),
                // The group's offsets are committed before anything reads, so a partition without one is new.
                "offsetResetPolicy": "earliest",
            });
            if let Some(mechanism) = proof.mechanism {
                metadata["sasl"] = match mechanism {
                    "SCRAM-SHA-256" => "scram_sha256",
                    "SCRAM-SHA-512" => "scram_sha512",
                    _ => "plaintext",
                }
                .into();
            }
            if proof.tls {
                metadata["tls"] = "enable".into();
            }
            let mut trigger = json!({"type": "kafka", "metadata": metadata});
            if proof.needs_secret() {
                trigger["authenticationRef"] = json!({"name": name});
            }
            trigger
        });
        self.manifest(
            "ScaledObject",
            owner,
            spec,
            &json!({
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name},
                "minReplicaCount": least,
                // KEDA itself makes no more pods than the topic has partitions.
                "maxReplicaCount": scaling.max_replicas,
                "triggers": triggers.collect::<Vec<_>>(),
            }),
        )
    }

    fn authentication(&self, owner: Owner, spec: &FunctionSpec, proof: &Proof<'_>) -> Value {
        let mut references = Vec::new();
        let mut add = |is_needed: bool, parameter: &str, key: &str| {
            if is_needed {
                references.push(json!({"parameter": parameter, "name": self.secret, "key": key}));
            }
        };
        add(proof.mechanism.is_some(), "username", USER);
        add(proof.mechanism.is_some(), "password", PASSWORD);
        add(proof.authority, "ca", AUTHORITY);
        add(proof.certificate, "cert", CERTIFICATE);
        add(proof.certificate, "key", KEY);
        let references = json!({"secretTargetRef": references});
        self.manifest("TriggerAuthentication", owner, spec, &references)
    }

    fn manifest(&self, kind: &str, owner: Owner, spec: &FunctionSpec, wanted: &Value) -> Value {
        json!({
            "apiVersion": format!("{GROUP}/v1alpha1"),
            "kind": kind,
            "metadata": {
                "name": self.cluster.name(owner),
                "namespace": self.cluster.namespace(),
                "labels": self.cluster.labels(owner),
                "annotations": annotations(spec),
            },
            "spec": wanted,
        })
    }
}
