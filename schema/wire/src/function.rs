//! The specification of a function: all that a process needs to do its work, as JSON in the
//! environment variable [`VARIABLE`]. It holds references to secrets, never secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::prediction::{Choice, OutputFormat};
use crate::record::RecordFormat;
use crate::registry::Version;
use crate::{FORMAT, MessageError};

/// The environment variable that holds the specification.
pub const VARIABLE: &str = "MILLRACE_FUNCTION";

/// The environment variable that says which replica a function is, where one specification serves all of them.
pub const ORDINAL_VARIABLE: &str = "MILLRACE_ORDINAL";

/// Stands for the replica's ordinal in a `transactional.id`.
pub const ORDINAL: &str = "{ordinal}";

/// A Kafka cluster as flat librdkafka properties. A value may refer to a secret as `${env:NAME}`
/// or `${file:/path}`, which is resolved where a client is made.
pub type Connection = BTreeMap<String, String>;

/// One function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionSpec {
    /// Layout version.
    pub format: u32,
    /// Where the function reports to and hears from Millrace; none where it works on its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// URL of the artifact store.
    pub artifacts: String,
    /// Address of the function's own HTTP server (`/livez`, `/readyz`, `/metrics`).
    pub listen: String,
    /// Which replica this is, from 0: stable over restarts.
    pub ordinal: u32,
    /// What brings records to it.
    #[serde(default, skip_serializing_if = "Trigger::is_poll")]
    pub trigger: Trigger,
    /// What the function does.
    #[serde(flatten)]
    pub role: Role,
}

/// What brings records to a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// It reads them itself, as a member of a consumer group.
    #[default]
    Poll,
    /// AWS Lambda brings them, by an event source mapping on Kafka.
    Lambda(Invocations),
    /// Knative Eventing brings them, one a request, as events of a `KafkaSource`.
    Knative(Requests),
}

/// How requests of Knative are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requests {
    /// What the Service gives a request, as its `timeoutSeconds`.
    #[serde(default = "knatives_own")]
    pub timeout_seconds: u32,
}

fn knatives_own() -> u32 {
    300
}

impl Default for Requests {
    fn default() -> Self {
        Self {
            timeout_seconds: knatives_own(),
        }
    }
}

impl Requests {
    /// How long the answer to a request may take: less than Knative waits for it, so that the function itself says what
    /// is wrong.
    #[must_use]
    pub fn within(self) -> Duration {
        Duration::from_secs(self.timeout_seconds.into()) * 9 / 10
    }
}

/// How invocations of AWS Lambda are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invocations {
    /// Whether an invocation that could not write some of its outputs names their records, for Lambda to bring these
    /// alone again. Only mappings in provisioned mode that ask for `ReportBatchItemFailures` look at it: in the others
    /// the records would be lost, so there the whole invocation has to fail.
    #[serde(default)]
    pub partial: bool,
}

impl Trigger {
    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks with a reference"
    )]
    fn is_poll(&self) -> bool {
        *self == Self::Poll
    }
}

/// The topics through which Millrace and its functions talk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// The cluster that holds them.
    pub connection: Connection,
    /// Where events go; nowhere where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_topic: Option<String>,
    /// Which version each alias points at.
    pub registry_topic: String,
}

/// What a function does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case")]
pub enum Role {
    /// A member of the training pool.
    Training(TrainingPool),
    /// A replica of an inference.
    Inference(Box<InferenceSpec>),
}

/// The training pool: trainings come as commands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingPool {
    /// The command topic, on the control cluster.
    pub topic: String,
    /// The pool's consumer group.
    pub group: String,
    /// Decoded records of a training that take more bytes than these lie in a scratch file.
    pub memory_bytes: u64,
    /// The folder of scratch files; the system's temporary one where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch_folder: Option<String>,
    /// After so many milliseconds a training makes way for those that wait behind it; only at its end where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice_ms: Option<u64>,
}

/// One inference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InferenceSpec {
    /// The inference.
    pub id: Uuid,
    /// The project's name.
    pub project: String,
    /// Its name.
    pub name: String,
    /// The cluster of its input, output and dead letters.
    pub connection: Connection,
    /// The model's name.
    pub model: String,
    /// The version that it answers with. Where it follows an alias: what it may begin with while what the alias points at
    /// cannot be loaded, and left out where nobody knows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The alias that it follows through the registry topic; none for a fixed version.
    pub alias: Option<String>,
    /// Where records come from.
    pub input_topic: String,
    /// Kafka's id of the input topic: one that was created again under the same name is another. Without it
    /// nobody has prepared the start: the topic that is there when it is first seen is meant, and a group that has
    /// committed nothing begins at its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_topic_id: Option<String>,
    /// How they are encoded.
    pub input_format: RecordFormat,
    /// Where predictions go.
    pub output_topic: String,
    /// How they are written.
    pub output_format: OutputFormat,
    /// Which outputs of the model are written, and how; all of them as they are where none is named.
    #[serde(default)]
    pub outputs: Vec<Choice>,
    /// Whether the record is written beside its prediction.
    #[serde(default)]
    pub echo_input: bool,
    /// Which records are handed on in place of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_on: Option<HandOn>,
    /// Where records go that could not be decoded or predicted.
    pub dead_letter_topic: String,
    /// Where dead letters come back from that somebody sent once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive_topic: Option<String>,
    /// What becomes of an output with numbers that are not finite.
    #[serde(default)]
    pub not_finite: NotFinite,
    /// The consumer group, whose committed offsets say where to go on.
    pub group: String,
    /// What is promised about each record.
    pub guarantee: Guarantee,
    /// The replica's `transactional.id`, with [`ORDINAL`] in it until the replica is known; its `group.instance.id` too.
    pub transactional_id: String,
    /// How batches form.
    pub batching: Batching,
    /// What it answers of its input, where that ends; without it goes on for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

/// A part of the input that is answered once more, beside those who answer it as it comes. Its answers have the present
/// as their time, and the record's in a header.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Where it ends.
    pub ends: Ends,
    /// Records that this replica answers in a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_per_second: Option<f64>,
}

/// Where a span ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ends {
    /// At these offsets. Partitions that are not named are not read.
    At(Vec<End>),
    /// Where this consumer group is: it is followed, and never overtaken.
    Behind(String),
}

/// Where a span ends in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The partition.
    pub partition: i32,
    /// The offset, exclusive.
    pub offset: i64,
}

/// An early exit: a record of which the model is not sure goes on to the next model as it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOn {
    /// Where it goes.
    pub topic: String,
    /// The output of the model whose highest number says how sure it is.
    pub output: String,
    /// Below this it is not sure; nor is it of NaN.
    pub below: f64,
}

/// What becomes of an output with numbers that are NaN or infinite.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NotFinite {
    /// It is written like any other.
    #[default]
    Pass,
    /// Its record goes to the dead letters.
    DeadLetter,
}

/// What is promised about each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Guarantee {
    /// One output or dead letter a record for `read_committed` readers: inputs' offsets and
    /// outputs commit in one Kafka transaction.
    ExactlyOnce,
    /// At least one; repeats carry the same source.
    AtLeastOnce,
}

/// How batches form and when they are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batching {
    /// Records that one `session.run` takes at most.
    pub max_batch: u32,
    /// Bytes of records in flight at most.
    pub max_bytes: u64,
    /// Milliseconds between commits.
    pub commit_interval_ms: u32,
    /// Milliseconds that one run of the model may take. After it the process is replaced, and the
    /// record that stops the model goes to the dead letters.
    #[serde(default = "run_deadline_ms")]
    pub run_deadline_ms: u32,
}

fn run_deadline_ms() -> u32 {
    20_000
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            max_batch: 512,
            max_bytes: 32 << 20,
            commit_interval_ms: 100,
            run_deadline_ms: run_deadline_ms(),
        }
    }
}

impl FunctionSpec {
    /// The variable's value.
    #[must_use]
    pub fn to_json(&self) -> String {
        String::from_utf8_lossy(&crate::write(self)).into_owned()
    }

    /// Reads the variable's value.
    ///
    /// # Errors
    /// [`MessageError`] for malformed JSON and for another format.
    pub fn from_json(text: &str) -> Result<Self, MessageError> {
        crate::read("function specification", text.as_bytes())
    }

    /// A specification in today's format.
    #[must_use]
    pub fn new(
        control: Control,
        artifacts: String,
        listen: String,
        ordinal: u32,
        role: Role,
    ) -> Self {
        Self {
            format: FORMAT,
            control: Some(control),
            artifacts,
            listen,
            ordinal,
            trigger: Trigger::Poll,
            role,
        }
    }

    /// That of the replica with this ordinal.
    #[must_use]
    pub fn replica(mut self, ordinal: u32) -> Self {
        self.ordinal = ordinal;
        if let Role::Inference(inference) = &mut self.role {
            inference.transactional_id = inference
                .transactional_id
                .replace(ORDINAL, &ordinal.to_string());
        }
        self
    }

    /// The same, with records brought by another trigger.
    #[must_use]
    pub fn triggered_by(self, trigger: Trigger) -> Self {
        Self { trigger, ..self }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_specification_reads_back() {
        let control = Control {
            connection: Connection::from([("bootstrap.servers".into(), "localhost:9092".into())]),
            events_topic: Some("millrace.events".into()),
            registry_topic: "millrace.registry".into(),
        };
        let role = Role::Training(TrainingPool {
            topic: "t".into(),
            group: "g".into(),
            memory_bytes: 1,
            scratch_folder: None,
            slice_ms: None,
        });
        let spec = FunctionSpec::new(control, "file:///a".into(), "127.0.0.1:0".into(), 1, role);
        assert!(!spec.to_json().contains("trigger"), "{}", spec.to_json());
        for spec in [
            spec.clone(),
            spec.clone()
                .triggered_by(Trigger::Knative(Requests::default())),
            spec.triggered_by(Trigger::Lambda(Invocations { partial: true })),
        ] {
            assert_eq!(FunctionSpec::from_json(&spec.to_json()).unwrap(), spec);
        }
    }

    #[test]
    fn each_replica_puts_its_ordinal_into_the_transactional_id() {
        let spec = r#"{"format":1,"control":{"connection":{},"events_topic":"e","registry_topic":"r"},
            "artifacts":"file:///a","listen":"","ordinal":0,"role":"inference",
            "id":"00000000-0000-0000-0000-000000000001","project":"p","name":"n","connection":{},"model":"m",
            "version":{"version":1,"digest":"d","size":1,"signature":{"inputs":[],"outputs":[]}},"alias":null,
            "input_topic":"i","input_topic_id":"t","input_format":{"type":"JSON","fields":[]},"output_topic":"o",
            "output_format":"JSON","dead_letter_topic":"d","group":"g","guarantee":"EXACTLY_ONCE",
            "transactional_id":"g.{ordinal}",
            "batching":{"max_batch":1,"max_bytes":1,"commit_interval_ms":1}}"#;
        let third = FunctionSpec::from_json(spec).unwrap().replica(2);
        let Role::Inference(inference) = &third.role else {
            panic!("the text is an inference's");
        };
        assert_eq!(
            (third.ordinal, inference.transactional_id.as_str()),
            (2, "g.2")
        );
        // Who is known already stays so.
        assert_eq!(third.clone().replica(2), third);
    }
}
