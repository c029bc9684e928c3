//! Manifests: what functions are to Kubernetes. They run as Kubernetes' `restricted` standard asks, and hold no secret.

use millrace_wire::function::{FunctionSpec, ORDINAL_VARIABLE, Role, VARIABLE};
use serde_json::{Value, json};

use super::super::Owner;
use super::super::work::work;
use super::Resources;
use super::cluster::Cluster;
use super::pod::{CONTAINER, INDEX, PORT};
use crate::config;

/// How long a function may take to end in order: it commits what it has answered, or writes a checkpoint.
const GRACE_SECONDS: u32 = 60;
/// Whom the images run as.
pub(in crate::platform) const USER: u32 = 65532;
/// The kernel takes no longer text as a variable.
const LONGEST_VARIABLE: usize = 128 << 10;

/// Whether the kernel takes a specification as a variable.
///
/// # Errors
/// What it would not take.
pub(in crate::platform) fn fits(spec: &FunctionSpec) -> Result<(), String> {
    if spec.to_json().len() < LONGEST_VARIABLE {
        return Ok(());
    }
    Err(
        "cannot give a pod a specification of more than 128 KiB; give its version fewer samples"
            .to_owned(),
    )
}

/// What manifests are made with.
pub(in crate::platform) struct Maker<'a> {
    pub(in crate::platform) cluster: &'a Cluster,
    pub(in crate::platform) settings: &'a config::Kubernetes,
    /// The folder of artifacts, where they lie on a volume.
    pub(in crate::platform) artifacts: Option<&'a str>,
}

impl Maker<'_> {
    /// The `StatefulSet` of an owner, whose replicas share one specification.
    pub(in crate::platform) fn stateful_set(
        &self,
        owner: Owner,
        replicas: usize,
        spec: &FunctionSpec,
        resources: &Resources,
    ) -> Value {
        let name = self.cluster.name(owner);
        let labels = self.cluster.labels(owner);
        let mut template = self.template(owner, spec, resources);
        // Which replica a pod is stays the same over its restarts, as its transactional id has to.
        let ordinal = json!({
            "name": ORDINAL_VARIABLE,
            "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{INDEX}']")}},
        });
        let pod = &mut template["spec"];
        if let Some(variables) = pod["containers"][0]["env"].as_array_mut() {
            variables.push(ordinal);
        }
        pod["terminationGracePeriodSeconds"] = GRACE_SECONDS.into();
        json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {
                "name": name,
                "namespace": self.cluster.namespace(),
                "labels": labels,
                "annotations": annotations(spec),
            },
            "spec": {
                "replicas": replicas,
                // Nobody speaks to a function by its name, so there is no such Service.
                "serviceName": name,
                // Replicas share partitions and wait for nobody.
                "podManagementPolicy": "Parallel",
                "updateStrategy": {"type": "RollingUpdate"},
                "revisionHistoryLimit": 2,
                "selector": {"matchLabels": self.cluster.selector(owner)},
                "template": template,
            },
        })
    }

    /// The pods of an owner.
    pub(in crate::platform) fn template(
        &self,
        owner: Owner,
        spec: &FunctionSpec,
        resources: &Resources,
    ) -> Value {
        let settings = self.settings;
        let mut mounts = vec![json!({"name": "tmp", "mountPath": "/tmp"})];
        let mut volumes = vec![json!({"name": "tmp", "emptyDir": {"sizeLimit": settings.scratch}})];
        if let Some(secret) = &settings.file_secret {
            mounts.push(
                json!({"name": "secret", "mountPath": settings.file_folder, "readOnly": true}),
            );
            volumes.push(
                json!({"name": "secret", "secret": {"secretName": secret, "defaultMode": 0o440}}),
            );
        }
        if let (Some(claim), Some(folder)) = (&settings.artifacts_claim, self.artifacts) {
            let path = &settings.artifacts_path;
            mounts.push(json!({"name": "artifacts", "mountPath": folder, "subPath": path}));
            volumes
                .push(json!({"name": "artifacts", "persistentVolumeClaim": {"claimName": claim}}));
        }
        let mut sources = Vec::new();
        if let Some(name) = &settings.environment_config {
            sources.push(json!({"configMapRef": {"name": name}}));
        }
        if let Some(name) = &settings.environment_secret {
            sources.push(json!({"secretRef": {"name": name}}));
        }
        let image = match spec.role {
            Role::Training(_) => settings.training_image.as_deref().unwrap_or_default(),
            Role::Inference(_) => &settings.inference_image,
        };
        let mut pod = json!({
            "serviceAccountName": settings.service_account,
            "automountServiceAccountToken": false,
            // Variables of Services would be called as those of the configuration are.
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": CONTAINER,
                "image": image,
                "imagePullPolicy": settings.image_pull_policy,
                "env": [{"name": VARIABLE, "value": spec.to_json()}],
                "ports": [{"name": "http", "containerPort": PORT}],
                "livenessProbe": probe("/livez"),
                "readinessProbe": probe("/readyz"),
                "resources": requirements(settings, resources),
                // Its last lines, where it failed.
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
            }],
            "volumes": volumes,
        });
        if !sources.is_empty() {
            pod["containers"][0]["envFrom"] = sources.into();
        }
        if let Some(secret) = &settings.image_pull_secret {
            pod["imagePullSecrets"] = json!([{"name": secret}]);
        }
        json!({
            "metadata": {"labels": self.cluster.labels(owner), "annotations": annotations(spec)},
            "spec": pod,
        })
    }
}

/// The specification that the replicas of an owner share, as it stands in a pod.
pub(in crate::platform) fn shared(spec: &FunctionSpec, live: Option<&Value>) -> FunctionSpec {
    let mut shared = spec.clone();
    shared.listen = format!("[::]:{PORT}");
    if let Role::Training(pool) = &mut shared.role {
        // That of this process is not the pod's, which has one of its own.
        pool.scratch_folder = None;
    }
    // What a function has learned by itself since it began is no reason to start it anew.
    match live.and_then(present) {
        Some(present) if work(&present) == work(&shared) => present,
        _ => shared,
    }
}

/// The specification in the pods of what stands.
fn present(live: &Value) -> Option<FunctionSpec> {
    let containers = live["spec"]["template"]["spec"]["containers"].as_array()?;
    let variables = containers.first()?["env"].as_array()?;
    let variable = variables.iter().find(|one| one["name"] == VARIABLE)?;
    FunctionSpec::from_json(variable["value"].as_str()?).ok()
}

/// For people, who know an inference by its name.
pub(in crate::platform) fn annotations(spec: &FunctionSpec) -> Value {
    match &spec.role {
        Role::Training(_) => json!({}),
        Role::Inference(inference) => json!({
            "millrace.io/project": inference.project,
            "millrace.io/name": inference.name,
        }),
    }
}

fn probe(path: &str) -> Value {
    json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 5, "timeoutSeconds": 3})
}

/// What a pod asks for, and may take at most.
fn requirements(settings: &config::Kubernetes, own: &Resources) -> Value {
    let or =
        |own: &Option<String>, settings: &str| own.clone().unwrap_or_else(|| settings.to_owned());
    json!({
        "requests": {
            "cpu": or(&own.cpu, &settings.cpu),
            "memory": or(&own.memory, &settings.memory),
        },
        "limits": {
            "cpu": or(&own.cpu_limit, &settings.cpu_limit),
            "memory": or(&own.memory_limit, &settings.memory_limit),
        },
    })
}
