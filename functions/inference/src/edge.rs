//! An inference on its own: a Kafka cluster and a model, which is a file or what an alias of a Millrace elsewhere points
//! at. What a file says becomes the specification that a Millrace would give, so that everything else is as everywhere.
//!
//! Invariant: a model's file is kept by its digest, so what answers is what was read at the start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use millrace_artifacts::Store;
use millrace_runtime::Failure;
use millrace_wire::FORMAT;
use millrace_wire::function::{
    Batching, Control, FunctionSpec, Guarantee, HandOn, InferenceSpec, NotFinite, Role, Trigger,
};
use millrace_wire::prediction::{Choice, OutputFormat};
use millrace_wire::record::RecordFormat;
use millrace_wire::registry::Version;
use millrace_wire::signature::Signature;
use serde::Deserialize;
use uuid::Uuid;

/// The argument before the file's path.
pub(crate) const ARGUMENT: &str = "edge";
/// The namespace of the ids of these inferences, which come from their groups' names.
const NAMESPACE: Uuid = Uuid::from_u128(0x6d69_6c6c_7261_6365_0065_6467_6500_0001);

/// What the file says. Members are those of [`InferenceSpec`] but for the names of topics and files.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge {
    /// librdkafka's properties; `bootstrap.servers` at least. Secrets as `${env:NAME}` and `${file:/path}`.
    kafka: BTreeMap<String, String>,
    /// The ONNX file, from the folder of this file; or else `follow`.
    #[serde(default)]
    model: Option<PathBuf>,
    #[serde(default)]
    follow: Option<Follow>,
    /// The topic that is read.
    input: String,
    input_format: RecordFormat,
    /// The topic of predictions.
    output: String,
    #[serde(default = "json")]
    output_format: OutputFormat,
    #[serde(default)]
    outputs: Vec<Choice>,
    #[serde(default)]
    echo_input: bool,
    #[serde(default)]
    not_finite: NotFinite,
    #[serde(default)]
    hand_on: Option<HandOn>,
    /// The topic of records that cannot be answered.
    dead_letters: String,
    /// The consumer group. It begins where it has committed, and at the topic's beginning at first.
    group: String,
    /// Which one of those that share the group: no two have the same.
    #[serde(default)]
    instance: u32,
    #[serde(default = "exactly_once")]
    guarantee: Guarantee,
    #[serde(default)]
    batching: Batching,
    /// Where the model is kept, from the folder of this file.
    #[serde(default = "beside")]
    folder: PathBuf,
    /// Where probes and metrics are answered.
    #[serde(default = "loopback")]
    listen: String,
}

/// The alias of a Millrace elsewhere, whose moves come through its registry topic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Follow {
    project: String,
    model: String,
    alias: String,
    /// The registry topic, or its mirror.
    registry: String,
    /// The cluster that has it; that of the records without.
    #[serde(default)]
    kafka: Option<BTreeMap<String, String>>,
    /// The store that has the versions: `s3://…` or `file:///…`.
    artifacts: String,
}

/// Where the model comes from.
struct Source {
    project: String,
    model: String,
    version: Option<Version>,
    alias: Option<String>,
    control: Option<Control>,
    artifacts: String,
}

impl Source {
    /// A file, which is kept in this store.
    fn file(model: &Path, artifacts: String) -> Result<Self, Failure> {
        let name = model.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            project: ARGUMENT.to_owned(),
            model: name.into_owned(),
            version: Some(keep(model, &artifacts)?),
            alias: None,
            control: None,
            artifacts,
        })
    }

    /// What an alias points at. `kafka` is the cluster of the records.
    fn alias(follow: Follow, kafka: &BTreeMap<String, String>) -> Self {
        Self {
            project: follow.project,
            model: follow.model,
            version: None,
            alias: Some(follow.alias),
            control: Some(Control {
                connection: follow.kafka.unwrap_or_else(|| kafka.clone()),
                events_topic: None,
                registry_topic: follow.registry,
            }),
            artifacts: follow.artifacts,
        }
    }
}

fn json() -> OutputFormat {
    OutputFormat::Json
}

fn exactly_once() -> Guarantee {
    Guarantee::ExactlyOnce
}

fn beside() -> PathBuf {
    PathBuf::from(".millrace")
}

fn loopback() -> String {
    "127.0.0.1:8080".to_owned()
}

/// The specification that the file means.
///
/// # Errors
/// [`Failure::Specification`] where the file, or the model that it names, cannot be used; [`Failure::Failed`] where the
/// model cannot be kept.
pub(crate) fn specification(path: Option<OsString>) -> Result<FunctionSpec, Failure> {
    let path = path.map(PathBuf::from).ok_or_else(|| {
        wrong("`edge` takes the path of a file that says what to do; docs/edge.md shows one")
    })?;
    let text = std::fs::read(&path)
        .map_err(|error| wrong(format!("{} cannot be read: {error}", path.display())))?;
    let edge: Edge = serde_json::from_slice(&text)
        .map_err(|error| wrong(format!("{} is malformed: {error}", path.display())))?;
    for name in [&edge.group, &edge.input, &edge.output, &edge.dead_letters] {
        if name.is_empty() {
            let message = format!("{}: topics and the group have names", path.display());
            return Err(wrong(message));
        }
    }
    let home = std::path::absolute(&path).map_err(Failure::failed)?;
    let home = home.parent().unwrap_or(Path::new("/"));
    let source = match (edge.model, edge.follow) {
        (Some(model), None) => {
            let kept = format!("file://{}", home.join(&edge.folder).display());
            Source::file(&home.join(model), kept)?
        }
        (None, Some(follow)) => Source::alias(follow, &edge.kafka),
        _ => {
            let message = format!(
                "{}: the model is a file, `model`, or what an alias points at, `follow`: give one of them",
                path.display()
            );
            return Err(wrong(message));
        }
    };
    let inference = InferenceSpec {
        id: Uuid::new_v5(&NAMESPACE, edge.group.as_bytes()),
        project: source.project,
        name: edge.group.clone(),
        connection: edge.kafka,
        model: source.model,
        version: source.version,
        alias: source.alias,
        input_topic: edge.input,
        input_topic_id: None,
        input_format: edge.input_format,
        output_topic: edge.output,
        output_format: edge.output_format,
        outputs: edge.outputs,
        echo_input: edge.echo_input,
        hand_on: edge.hand_on,
        dead_letter_topic: edge.dead_letters,
        redrive_topic: None,
        not_finite: edge.not_finite,
        transactional_id: format!("{}-{}", edge.group, edge.instance),
        group: edge.group,
        guarantee: edge.guarantee,
        batching: edge.batching,
        span: None,
    };
    Ok(FunctionSpec {
        format: FORMAT,
        control: source.control,
        artifacts: source.artifacts,
        listen: edge.listen,
        ordinal: edge.instance,
        trigger: Trigger::Poll,
        role: Role::Inference(Box::new(inference)),
    })
}

/// Puts the model into the store, as the first version of its name.
fn keep(model: &Path, artifacts: &str) -> Result<Version, Failure> {
    let bytes = std::fs::read(model).map_err(|error| {
        wrong(format!(
            "the model {} cannot be read: {error}",
            model.display()
        ))
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    let stored = runtime.block_on(async {
        let store = Store::open(artifacts).await?;
        store.put_bytes(bytes.into()).await
    });
    let stored = stored.map_err(|error| {
        Failure::failed(format!("the model cannot be kept in {artifacts}: {error}"))
    })?;
    Ok(Version {
        version: 1,
        digest: stored.digest,
        size: stored.size,
        // What the model takes and gives is read from the model itself.
        signature: Signature {
            inputs: Vec::new(),
            outputs: Vec::new(),
            others: None,
        },
        samples: None,
    })
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::Specification(message.into())
}
