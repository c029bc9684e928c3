//! Starts what is measured through Kafka: the inference function, as the platform does it, and the copy, its floor.

use std::ffi::OsString;
use std::iter;
use std::path::Path;

use anyhow::Result;
use chrono::Utc;
use millrace_harness::{Lambda, Process, free_port, onnxruntime};
use millrace_wire::function::{
    Batching, Control, FunctionSpec, Guarantee, InferenceSpec, Invocations, NotFinite, Role,
    Trigger, VARIABLE,
};
use millrace_wire::prediction::OutputFormat;
use millrace_wire::record::{ByteOrder, Dtype, RawArray, RecordFormat};
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::models::Model;
use crate::subject::Subject;

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Program<'a> {
    /// The function's own binary.
    Inference {
        model: &'a Model,
        /// Where the model lies.
        artifacts: &'a str,
        guarantee: Guarantee,
        /// Properties of librdkafka beside the cluster's.
        properties: &'a [(&'a str, &'a str)],
    },
    /// The bench itself, as a copy.
    Copy {
        guarantee: Guarantee,
        /// The file of an [`Answer`](crate::answer::Answer) that is written in place of what is read.
        answer: Option<&'a Path>,
    },
}

/// From where to where a program moves records.
pub(crate) struct Route {
    pub(crate) input: String,
    pub(crate) output: String,
    dead_letters: String,
    events: String,
    /// The consumer group, which stands at the input's beginning.
    pub(crate) group: String,
}

impl Route {
    /// Makes topics and a group.
    pub(crate) fn make(cluster: &Cluster) -> Result<Self> {
        let input = cluster.topic("bench-input")?;
        Ok(Self {
            group: cluster.group(&input)?,
            input,
            output: cluster.topic("bench-output")?,
            dead_letters: cluster.topic("bench-dead-letters")?,
            events: cluster.topic("bench-events")?,
        })
    }

    /// All topics that were made for it.
    pub(crate) fn topics(&self) -> [&str; 4] {
        [&self.input, &self.output, &self.dead_letters, &self.events]
    }
}

impl Program<'_> {
    /// Starts it on a route of its own.
    pub(crate) fn start<'c>(&self, cluster: &'c Cluster) -> Result<Subject<'c>> {
        self.start_on(cluster, Route::make(cluster)?)
    }

    /// Starts it.
    pub(crate) fn start_on<'c>(&self, cluster: &'c Cluster, route: Route) -> Result<Subject<'c>> {
        let (begun, process) = match *self {
            Self::Inference {
                model,
                artifacts,
                guarantee,
                properties,
            } => {
                let inference = inference(cluster, &route, model, guarantee, properties)?;
                let spec = specification(cluster, &route, artifacts, inference);
                let begun = Utc::now();
                let process = start_function(&spec, iter::empty());
                (begun, process)
            }
            Self::Copy { guarantee, answer } => {
                let begun = Utc::now();
                (begun, start_copy(cluster, &route, guarantee, answer))
            }
        };
        Ok(Subject {
            cluster,
            begun,
            process,
            route,
        })
    }
}

fn inference(
    cluster: &Cluster,
    route: &Route,
    model: &Model,
    guarantee: Guarantee,
    properties: &[(&str, &str)],
) -> Result<InferenceSpec> {
    let mut connection = cluster.properties.clone();
    for (name, value) in properties {
        connection.insert((*name).to_owned(), (*value).to_owned());
    }
    Ok(InferenceSpec {
        id: Uuid::now_v7(),
        project: "default".to_owned(),
        name: "bench".to_owned(),
        connection,
        model: "bench".to_owned(),
        version: Some(model.version.clone()),
        alias: None,
        input_topic_id: Some(cluster.admin.describe_topic(&route.input)?.id),
        input_topic: route.input.clone(),
        input_format: RecordFormat::Raw(RawArray {
            dtype: Dtype::Float32,
            shape: vec![model.features],
            byte_order: ByteOrder::Little,
        }),
        output_topic: route.output.clone(),
        output_format: OutputFormat::Json,
        outputs: Vec::new(),
        echo_input: false,
        dead_letter_topic: route.dead_letters.clone(),
        redrive_topic: None,
        span: None,
        hand_on: None,
        not_finite: NotFinite::Pass,
        group: route.group.clone(),
        guarantee,
        transactional_id: route.group.clone(),
        batching: Batching::default(),
    })
}

/// Starts the function as Lambda does.
pub(crate) fn start_on_lambda(
    lambda: &Lambda,
    cluster: &Cluster,
    route: &Route,
    model: &Model,
    artifacts: &str,
) -> Result<Process> {
    let inference = inference(cluster, route, model, Guarantee::AtLeastOnce, &[])?;
    let spec = specification(cluster, route, artifacts, inference)
        .triggered_by(Trigger::Lambda(Invocations::default()));
    let brought = lambda.environment();
    Ok(start_function(
        &spec,
        brought
            .into_iter()
            .map(|(name, value)| (name, value.into())),
    ))
}

fn specification(
    cluster: &Cluster,
    route: &Route,
    artifacts: &str,
    inference: InferenceSpec,
) -> FunctionSpec {
    let control = Control {
        connection: cluster.properties.clone(),
        events_topic: Some(route.events.clone()),
        // Read for an alias, and this inference follows none.
        registry_topic: "none".to_owned(),
    };
    FunctionSpec::new(
        control,
        artifacts.to_owned(),
        format!("127.0.0.1:{}", free_port()),
        0,
        Role::Inference(Box::new(inference)),
    )
}

fn start_function(
    spec: &FunctionSpec,
    more: impl IntoIterator<Item = (&'static str, OsString)>,
) -> Process {
    let environment = [
        (VARIABLE, OsString::from(spec.to_json())),
        ("MILLRACE_ONNXRUNTIME__LIBRARY", onnxruntime().into()),
    ];
    Process::start(
        "millrace-inference",
        iter::empty::<&str>(),
        environment.into_iter().chain(more),
    )
}

fn start_copy(
    cluster: &Cluster,
    route: &Route,
    guarantee: Guarantee,
    answer: Option<&Path>,
) -> Process {
    let servers = &cluster.properties["bootstrap.servers"];
    let mut arguments: Vec<OsString> = [
        "copy",
        "--bootstrap-servers",
        servers,
        "--input",
        &route.input,
        "--output",
        &route.output,
        "--group",
        &route.group,
    ]
    .map(OsString::from)
    .into();
    if guarantee == Guarantee::AtLeastOnce {
        arguments.push("--at-least-once".into());
    }
    if let Some(answer) = answer {
        arguments.extend(["--answer".into(), answer.into()]);
    }
    Process::start("millrace-bench", arguments, iter::empty::<(&str, &str)>())
}
