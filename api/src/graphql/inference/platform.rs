//! What only some platforms have to be told of an inference.

use async_graphql::{InputObject, Json};
use serde_json::Value;

use crate::platform::{
    KnativeOptions, KubernetesOptions, LambdaOptions, Options, Pollers, Resources, Scaling,
};

/// What is asked of AWS Lambda. What is left out is as the installation, or AWS, has it.
#[derive(InputObject)]
pub struct LambdaInput {
    /// The function's memory, 128 to 10240; 1,769 MiB have one processor.
    memory_mib: Option<u32>,
    /// How long one event may take, 1 to 840; 120 without.
    timeout_seconds: Option<u32>,
    /// Records of an event at most, 1 to 10000; as many as one run of the model takes without.
    batch_size: Option<u32>,
    /// How long the records of an event are gathered, 0 to 300; half a second without.
    window_seconds: Option<u32>,
    /// How many of the function's processes work at once at most. So many are reserved for it out of the account's.
    maximum_concurrency: Option<u32>,
    /// Pollers of its own, which AWS charges for. With them a failed event costs the records that were not answered, and
    /// not the event.
    pollers: Option<LambdaPollersInput>,
    /// With pollers of its own: how often a failed event is tried again before it is given up, 0 to 10000; without end where this is
    /// left out, but ten times where there is `onFailure`.
    retries: Option<u32>,
    /// With pollers of its own: the age at which records are given up, 60 to 604800.
    record_age_seconds: Option<u32>,
    /// With pollers of its own: whether a failed event is cut in two, which finds the record at fault.
    #[graphql(default)]
    bisect: bool,
    /// Where AWS tells of events that it has given up: the ARN of a queue, a topic or a bucket, or `kafka://TOPIC`. The
    /// functions' role must be let write there.
    on_failure: Option<String>,
    /// Patterns of AWS's on the fields of JSON records, as `{value: {amount: [{numeric: [">", 100]}]}}`, 5 at most. Records that
    /// match none of them are passed over, without an answer.
    #[graphql(default)]
    filters: Vec<Json<Value>>,
}

/// How many pollers bring records. One brings 5 MB a second at most.
#[derive(InputObject)]
pub struct LambdaPollersInput {
    /// At least, 1 to 200.
    minimum: u32,
    /// At most, 1 to 2000.
    maximum: u32,
}

impl From<LambdaInput> for LambdaOptions {
    fn from(input: LambdaInput) -> Self {
        Self {
            memory_mib: input.memory_mib,
            timeout_seconds: input.timeout_seconds,
            batch_size: input.batch_size,
            window_seconds: input.window_seconds,
            maximum_concurrency: input.maximum_concurrency,
            pollers: input.pollers.map(|pollers| Pollers {
                minimum: pollers.minimum,
                maximum: pollers.maximum,
            }),
            retries: input.retries,
            record_age_seconds: input.record_age_seconds,
            bisect: input.bisect,
            on_failure: input.on_failure,
            filters: input
                .filters
                .into_iter()
                .map(|Json(filter)| filter)
                .collect(),
        }
    }
}

/// What is asked of Kubernetes. What is left out is as the configuration says.
#[derive(InputObject)]
pub struct KubernetesInput {
    /// What each pod asks for, and takes at most.
    resources: Option<PodResourcesInput>,
    /// How many pods it may be given while records wait, where KEDA is on. Without it there are as many as `replicas`.
    scaling: Option<ScalingInput>,
}

/// How KEDA scales an inference, whose `replicas` are the least. No more pods work than the input has partitions.
#[derive(InputObject)]
pub struct ScalingInput {
    /// Pods at most.
    max_replicas: u32,
    /// Records that wait for one pod, at which another one begins; 1000 without.
    lag: Option<u32>,
}

/// What a pod asks for, and takes at most, in Kubernetes' quantities. What is left out is as the configuration says.
#[derive(InputObject)]
pub struct PodResourcesInput {
    /// Processors that it asks for: `500m` or `2`.
    cpu: Option<String>,
    /// Processors that it takes at most.
    cpu_limit: Option<String>,
    /// Memory that it asks for: `512Mi`.
    memory: Option<String>,
    /// Memory that it takes at most.
    memory_limit: Option<String>,
}

/// What is asked of Knative. What is left out is as Knative, or the configuration, has it.
#[derive(InputObject)]
pub struct KnativeInput {
    /// Pods that stay without records; 0 lets it sleep.
    min_scale: Option<u32>,
    /// Pods at most; without it there is no limit.
    max_scale: Option<u32>,
    /// Requests that one pod answers at once, 1 to 1000, at which another one begins.
    target: Option<u32>,
    /// Whether records of one partition come at once. Batches fill better then, and answers stand in no order.
    #[graphql(default)]
    unordered: bool,
    /// Consumers of the source, which share its partitions; 1 without.
    consumers: Option<u32>,
    /// Seconds that an answer may take, with the start of a pod where none is there; 1 to 600, 120 without.
    timeout_seconds: Option<u32>,
    /// What each pod asks for, and takes at most.
    resources: Option<PodResourcesInput>,
}

/// The options as the application takes them.
pub(super) fn options(
    lambda: Option<LambdaInput>,
    kubernetes: Option<KubernetesInput>,
    knative: Option<KnativeInput>,
) -> Options {
    Options {
        lambda: lambda.map(Into::into),
        kubernetes: kubernetes.map(|input| KubernetesOptions {
            resources: input.resources.map(Into::into).unwrap_or_default(),
            scaling: input.scaling.map(|scaling| Scaling {
                max_replicas: scaling.max_replicas,
                lag: scaling.lag,
            }),
        }),
        knative: knative.map(|input| KnativeOptions {
            min_scale: input.min_scale,
            max_scale: input.max_scale,
            target: input.target,
            unordered: input.unordered,
            consumers: input.consumers,
            timeout_seconds: input.timeout_seconds,
            resources: input.resources.map(Into::into).unwrap_or_default(),
        }),
    }
}

impl From<PodResourcesInput> for Resources {
    fn from(input: PodResourcesInput) -> Self {
        Self {
            cpu: input.cpu,
            cpu_limit: input.cpu_limit,
            memory: input.memory,
            memory_limit: input.memory_limit,
        }
    }
}
