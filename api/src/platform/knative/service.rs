//! The Knative Service of an owner: how many requests its pods take at once, how long each may last, and how it scales.
//!
//! Invariant: what stands on the template is what Knative takes without any feature that is off unless it is asked for.

use millrace_wire::function::{FunctionSpec, Role};
use serde_json::{Map, Value, json};

use super::super::Owner;
use super::super::kubernetes::manifest::{Maker, USER, annotations};
use super::super::kubernetes::pod;
use super::{MOST_CONCURRENT, Options};

/// How a Service takes its requests.
pub(super) struct Pace {
    /// Requests that one pod answers at once.
    concurrency: u32,
    /// How long one may last.
    pub(super) timeout_seconds: u32,
    /// What the autoscaler is told, by the names of Knative's annotations.
    scale: Map<String, Value>,
}

impl Pace {
    /// For a function of this role; `slots` is how many trainings may run at once.
    pub(super) fn new(role: &Role, options: &Options, slots: u32) -> Self {
        let (concurrency, timeout_seconds, scale) = match role {
            // A pod trains one model, and a busy one is no reason for another.
            Role::Training(_) => (
                1,
                TRAINING_SECONDS,
                vec![
                    ("max-scale", Some(slots)),
                    ("target-utilization-percentage", Some(100)),
                ],
            ),
            // As many as one run of the model takes.
            Role::Inference(inference) => (
                inference.batching.max_batch.min(MOST_CONCURRENT),
                options.timeout_seconds.unwrap_or(INFERENCE_SECONDS),
                vec![
                    ("min-scale", options.min_scale),
                    ("max-scale", options.max_scale),
                    ("target", options.target),
                ],
            ),
        };
        let scale = scale.into_iter().filter_map(|(name, value)| {
            let name = format!("autoscaling.knative.dev/{name}");
            Some((name, value?.to_string().into()))
        });
        Self {
            concurrency,
            timeout_seconds,
            scale: scale.collect(),
        }
    }
}

/// The longest that Knative allows unless it is told otherwise: a training goes on in another request before that.
const TRAINING_SECONDS: u32 = super::LONGEST_SECONDS;
/// How long an answer may take where nobody says otherwise: the start of a pod with a large model, and a run.
const INFERENCE_SECONDS: u32 = 120;

/// The manifest.
pub(super) fn service(
    maker: &Maker<'_>,
    owner: Owner,
    spec: &FunctionSpec,
    options: &Options,
    pace: &Pace,
) -> Value {
    let mut template = maker.template(owner, spec, &options.resources);
    // Knative looks for its scale there.
    if let Some(annotations) = template["metadata"]["annotations"].as_object_mut() {
        annotations.extend(pace.scale.clone());
    }
    let pod = &mut template["spec"];
    pod["containerConcurrency"] = pace.concurrency.into();
    pod["timeoutSeconds"] = pace.timeout_seconds.into();
    // Of its own it is no more than five minutes, and a function says nothing before it has an answer.
    pod["responseStartTimeoutSeconds"] = pace.timeout_seconds.into();
    // A context of the whole pod is a feature of Knative's that is off unless it is asked for. Without a group that
    // files belong to, everybody in the pod may read its Secret.
    if let Some(pod) = pod.as_object_mut() {
        pod.remove("securityContext");
    }
    for volume in pod["volumes"].as_array_mut().into_iter().flatten() {
        if !volume["secret"].is_null() {
            volume["secret"]["defaultMode"] = 0o444.into();
        }
    }
    let container = &mut pod["containers"][0];
    let context = &mut container["securityContext"];
    context["runAsNonRoot"] = true.into();
    context["runAsUser"] = USER.into();
    context["seccompProfile"] = json!({"type": "RuntimeDefault"});
    // Knative names the port, and asks the function itself.
    container["ports"] = json!([{"name": "http1", "containerPort": pod::PORT}]);
    for probe in ["livenessProbe", "readinessProbe"] {
        container[probe]["httpGet"]["port"] = pod::PORT.into();
    }
    let mut labels = maker.cluster.labels(owner);
    // Reached inside the cluster only.
    labels.insert(
        "networking.knative.dev/visibility".to_owned(),
        "cluster-local".to_owned(),
    );
    json!({
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {
            "name": maker.cluster.name(owner),
            "namespace": maker.cluster.namespace(),
            "labels": labels,
            "annotations": annotations(spec),
        },
        "spec": {"template": template},
    })
}
