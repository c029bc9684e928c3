//! What clients give to make and change inferences.

use async_graphql::{ID, InputObject, OneofObject, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::inference::Model as Row;
use millrace_wire::function::{Batching, HandOn};
use millrace_wire::prediction::{Choice, Form};

use super::beside::{extent, selector};
use super::output::{NotFinite, OutputForm, OutputFormat};
use super::platform::{KnativeInput, KubernetesInput, LambdaInput, options};
use super::{Guarantee, Inference};
use crate::app::Result;
use crate::app::inference::{Destination, NewInference, Place, Position, Start};
use crate::graphql::Long;

/// What `createInference` needs.
#[derive(InputObject)]
pub struct CreateInferenceInput {
    /// The project.
    #[graphql(default = "default")]
    pub project: String,
    /// 1 to 63 letters, digits, `-` and `_`.
    name: String,
    /// The datasource that describes the records.
    datasource: String,
    /// The model.
    model: String,
    /// The version to run for ever; or else `alias`.
    version: Option<i32>,
    /// The alias to follow: whenever it is moved, the version changes without a restart.
    alias: Option<String>,
    /// The connection of the topics; the datasource's without.
    connection: Option<String>,
    /// Where records come from; the datasource's topic without.
    input_topic: Option<String>,
    /// Where predictions go.
    output_topic: String,
    /// What is promised about each record.
    #[graphql(default_with = "Guarantee::ExactlyOnce")]
    guarantee: Guarantee,
    /// How predictions are written.
    #[graphql(default_with = "OutputFormat::Json")]
    output_format: OutputFormat,
    /// Which outputs of the model are written, and how; all of them as they are where none is named.
    #[graphql(default)]
    outputs: Vec<OutputChoiceInput>,
    /// Whether the record is written beside its prediction: a JSON document as it came, another record
    /// by its features.
    #[graphql(default)]
    echo_input: bool,
    /// What becomes of an output with numbers that are NaN or infinite.
    #[graphql(default_with = "NotFinite::Pass")]
    not_finite: NotFinite,
    /// Which records go on to the next model in place of an answer.
    hand_on: Option<HandOnInput>,
    /// Where to begin; without, behind everything that is in the topic at this moment, or, where it ends, at the first
    /// record that Kafka keeps.
    start: Option<StartInput>,
    /// Where to end, exclusive: it is `FINISHED` when it has answered all before. Partitions whose offsets are not named are
    /// not read. Without it goes on for ever.
    end: Option<StartInput>,
    /// The segment to answer, in place of a start and an end.
    segment: Option<ID>,
    /// Records a second at most, of all replicas together, where it ends.
    records_per_second: Option<u32>,
    /// How many functions share the work. More than the input has partitions stand idle.
    #[graphql(default = 1)]
    replicas: i32,
    /// Where they run.
    #[graphql(default = "local")]
    platform: String,
    /// For the platform `lambda` alone: what its function and the mappings of its topics are like.
    lambda: Option<LambdaInput>,
    /// For the platform `kubernetes` alone.
    kubernetes: Option<KubernetesInput>,
    /// For the platform `knative` alone.
    knative: Option<KnativeInput>,
    /// How batches form.
    batching: Option<BatchingInput>,
}

/// Where an inference begins, or ends.
#[derive(OneofObject)]
pub enum StartInput {
    /// At a place that has a name.
    At(StartPlace),
    /// At the first record that is not older than this.
    Time(DateTime<Utc>),
    /// At these offsets; partitions that are not named begin at their first record.
    Offsets(Vec<StartOffsetInput>),
}

/// A place in a topic that has a name.
#[derive(async_graphql::Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Place")]
pub enum StartPlace {
    /// Behind everything that is in the topic at this moment.
    Now,
    /// At the first record that Kafka keeps.
    Earliest,
}

/// A place in one partition.
#[derive(InputObject)]
pub struct StartOffsetInput {
    /// The partition.
    partition: i32,
    /// The offset of the first record to answer; of an end: of the first one not to answer.
    offset: Long,
}

/// An output of the model that is written, and how.
#[derive(InputObject)]
pub struct OutputChoiceInput {
    /// The output's name.
    name: String,
    /// How it is written.
    #[graphql(default_with = "OutputForm::Raw")]
    form: OutputForm,
    /// For `TOP_K`: how many classes.
    #[graphql(default = 5)]
    k: u32,
    /// The names of its classes, in the order of its elements. The classes of scikit-learn's and
    /// `LightGBM`'s classifiers are known without.
    #[graphql(default)]
    classes: Vec<String>,
    /// Classes with a lower score are left out.
    threshold: Option<f64>,
}

impl From<OutputChoiceInput> for Choice {
    fn from(input: OutputChoiceInput) -> Self {
        Self {
            name: input.name,
            form: match input.form {
                OutputForm::Raw => Form::Raw,
                OutputForm::Argmax => Form::Argmax,
                OutputForm::TopK => Form::TopK(input.k),
            },
            classes: input.classes,
            threshold: input.threshold,
        }
    }
}

/// An early exit: records of which the model is not sure go on to the next model as they came.
#[derive(InputObject)]
pub struct HandOnInput {
    /// Where they go, for another inference to read. It is made where it is missing, with as many partitions as the input.
    topic: String,
    /// The output of the model whose highest number says how sure it is. It need not be among those that are written.
    output: String,
    /// Below this number the model is not sure; nor is it of NaN.
    below: f64,
}

impl From<HandOnInput> for HandOn {
    fn from(input: HandOnInput) -> Self {
        Self {
            topic: input.topic,
            output: input.output,
            below: input.below,
        }
    }
}

/// How batches form.
#[derive(InputObject)]
pub struct BatchingInput {
    /// Records that one run of the model takes at most.
    #[graphql(default = 512)]
    max_batch: u32,
    /// Bytes of records in flight at most.
    #[graphql(default_with = "Long(32 << 20)")]
    max_bytes: Long,
    /// Milliseconds between commits: readers of committed records wait so long.
    #[graphql(default = 100)]
    commit_interval_ms: u32,
    /// Milliseconds that one run of the model may take. After it the process is replaced, the batch
    /// is answered record by record, and the one that stops the model goes to the dead letters.
    #[graphql(default = 20_000)]
    run_deadline_ms: u32,
}

/// What `createInference` made.
#[derive(SimpleObject)]
pub struct CreateInferencePayload {
    /// The new inference, which begins to work by itself.
    pub inference: Inference,
}

/// What `stopInference` needs.
#[derive(InputObject)]
pub struct StopInferenceInput {
    /// The project.
    #[graphql(default = "default")]
    pub project: String,
    /// The inference.
    pub name: String,
}

/// What `stopInference` changed.
#[derive(SimpleObject)]
pub struct StopInferencePayload {
    /// The inference, whose functions end now.
    pub inference: Inference,
}

/// What `startInference` needs.
#[derive(InputObject)]
pub struct StartInferenceInput {
    /// The project.
    #[graphql(default = "default")]
    pub project: String,
    /// An inference that is stopped or has failed.
    pub name: String,
    /// Where to go on; without, at the first record that was not answered. What lies between is passed over, or answered
    /// again.
    pub start: Option<StartInput>,
}

/// What `startInference` changed.
#[derive(SimpleObject)]
pub struct StartInferencePayload {
    /// The inference, which begins to work again.
    pub inference: Inference,
}

/// What `moveInference` needs.
#[derive(InputObject)]
pub struct MoveInferenceInput {
    /// The project.
    #[graphql(default = "default")]
    pub project: String,
    /// The inference.
    pub name: String,
    /// Where it shall run.
    platform: String,
    /// What shall be promised about each record there; what was promised so far without.
    guarantee: Option<Guarantee>,
    /// How many functions share the work there.
    #[graphql(default = 1)]
    replicas: i32,
    /// For the platform `lambda` alone: what its function and the mappings of its topics shall be like.
    lambda: Option<LambdaInput>,
    /// For the platform `kubernetes` alone.
    kubernetes: Option<KubernetesInput>,
    /// For the platform `knative` alone.
    knative: Option<KnativeInput>,
}

impl MoveInferenceInput {
    /// The input as the application takes it.
    pub fn destination(self, row: &Row) -> Destination {
        Destination {
            platform: self.platform,
            guarantee: self.guarantee.map_or(row.guarantee, Into::into),
            replicas: self.replicas,
            options: options(self.lambda, self.kubernetes, self.knative),
        }
    }
}

/// What `moveInference` changed.
#[derive(SimpleObject)]
pub struct MoveInferencePayload {
    /// The inference. It is `STOPPING` until its functions have ended where they are, and goes on by itself then.
    pub inference: Inference,
}

/// What `scaleInference` needs.
#[derive(InputObject)]
pub struct ScaleInferenceInput {
    /// The project.
    #[graphql(default = "default")]
    pub project: String,
    /// The inference.
    pub name: String,
    /// How many functions shall share the work.
    pub replicas: i32,
}

/// What `scaleInference` changed.
#[derive(SimpleObject)]
pub struct ScaleInferencePayload {
    /// The inference.
    pub inference: Inference,
}

/// What `deleteInference` needs.
#[derive(InputObject)]
pub struct DeleteInferenceInput {
    /// The project.
    #[graphql(default = "default")]
    pub project: String,
    /// The inference.
    pub name: String,
}

/// What `deleteInference` removes.
#[derive(SimpleObject)]
pub struct DeleteInferencePayload {
    /// The name, which is free again when the inference's functions, group and topics are gone.
    pub name: String,
}

impl From<StartInput> for Start {
    fn from(input: StartInput) -> Self {
        match input {
            StartInput::At(place) => Self::At(place.into()),
            StartInput::Time(time) => Self::Time(time),
            StartInput::Offsets(offsets) => {
                let position = |one: StartOffsetInput| Position {
                    partition: one.partition,
                    offset: one.offset.0,
                    metadata: String::new(),
                };
                Self::Offsets(offsets.into_iter().map(position).collect())
            }
        }
    }
}

impl CreateInferenceInput {
    /// The input as the application takes it.
    pub fn into_new(self) -> Result<NewInference> {
        let batching = match self.batching {
            None => Batching::default(),
            Some(batching) => Batching {
                max_batch: batching.max_batch,
                // What is negative becomes 0, which is refused.
                max_bytes: u64::try_from(batching.max_bytes.0).unwrap_or(0),
                commit_interval_ms: batching.commit_interval_ms,
                run_deadline_ms: batching.run_deadline_ms,
            },
        };
        Ok(NewInference {
            name: self.name,
            datasource: self.datasource,
            model: self.model,
            version: selector(self.version, self.alias)?,
            connection: self.connection,
            input_topic: self.input_topic,
            output_topic: self.output_topic,
            guarantee: self.guarantee.into(),
            output_format: self.output_format.into(),
            outputs: self.outputs.into_iter().map(Choice::from).collect(),
            echo_input: self.echo_input,
            not_finite: self.not_finite.into(),
            hand_on: self.hand_on.map(Into::into),
            extent: extent(self.start, self.end, self.segment.as_ref())?,
            records_per_second: self.records_per_second,
            replicas: self.replicas,
            platform: self.platform,
            options: options(self.lambda, self.kubernetes, self.knative),
            batching,
        })
    }
}
