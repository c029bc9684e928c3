//! Inferences: a version or an alias at work between two topics.

mod activity;
mod beside;
mod estimate;
mod figures;
mod input;
mod mutation;
mod output;
mod platform;
mod subscription;

use std::time::Instant;

use async_graphql::{Context, Enum, ID, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::inference as rows;
use millrace_entity::version as version_rows;
use millrace_kafka::PartitionLag as Lag;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

pub use self::mutation::InferenceMutation;
pub use self::subscription::InferenceSubscription;
use super::connection::KafkaConnection;
use super::context::Find as _;
use super::datasource::Datasource;
use super::dead_letter::{self, DeadLetter, DeadLetters};
use super::function::{Function, functions};
use super::loader::{ConnectionId, DatasourceId, InferenceId, ModelId, VersionId};
use super::model::Model;
use super::version::Version;
use super::{GlobalId, Long, report};
use crate::app::{Error, inference};
use crate::platform::Owner;
use activity::{ErrorCount, InferenceActivity};
use beside::{InferenceHandover, InferenceSpan};
use estimate::{LambdaEstimate, LambdaLoadInput};
use figures::CloudWatchFigures;
use output::{HandOn, NotFinite, OutputChoice, OutputFormat};
use platform::LambdaInput;

/// A version or an alias at work between two topics.
pub struct Inference(pub rows::Model);

/// Where an inference is.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "rows::State")]
pub enum InferenceState {
    /// Its topics and offsets are being made ready.
    Pending,
    /// Its functions start.
    Deploying,
    /// All its replicas work.
    Running,
    /// It does not work as it should; the message says why.
    Degraded,
    /// Its functions end.
    Stopping,
    /// No function runs, and its offsets are saved.
    Stopped,
    /// It has answered all that it was made for, and no function runs.
    Finished,
    /// It cannot go on without a person; the message says why.
    Failed,
    /// What Millrace made for it is being removed.
    Deleting,
}

/// What somebody wants an inference to be.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "rows::Desired")]
pub enum DesiredState {
    /// At work.
    Running,
    /// At rest, with its offsets saved.
    Stopped,
    /// Gone, with all that Millrace made for it.
    Deleted,
}

/// What is promised about each record.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "rows::Guarantee")]
pub enum Guarantee {
    /// One answer a record, for readers of committed records only.
    ExactlyOnce,
    /// One answer a record or more; repeats name the same source.
    AtLeastOnce,
}

/// How batches form.
#[derive(SimpleObject)]
pub struct Batching {
    /// Records that one run of the model takes at most.
    max_batch: u32,
    /// Bytes of records in flight at most.
    max_bytes: Long,
    /// Milliseconds between commits.
    commit_interval_ms: u32,
    /// Milliseconds that one run of the model may take.
    run_deadline_ms: u32,
}

/// How far an inference is behind in one partition.
#[derive(SimpleObject)]
pub struct PartitionLag {
    /// The partition of the input.
    partition: i32,
    /// The next offset that it will answer.
    committed: Option<Long>,
    /// Where committed records end.
    end: Long,
    /// Offsets between the two; markers of transactions count.
    lag: Option<Long>,
    /// For how many seconds its oldest record has waited, by the record's own time; null where no function has read it.
    seconds: Option<f64>,
}

#[Object]
impl Inference {
    /// Its global id.
    pub async fn id(&self) -> ID {
        GlobalId::encode("Inference", self.0.id)
    }

    /// Unique within the project.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Where it is.
    async fn state(&self) -> InferenceState {
        self.0.state.into()
    }

    /// Where it is driven to.
    async fn desired_state(&self) -> DesiredState {
        self.0.desired.into()
    }

    /// What a person should know about its state.
    async fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The model.
    async fn model(&self, context: &Context<'_>) -> Result<Model> {
        let row = context.rows().load_one(ModelId(self.0.model_id)).await?;
        row.map(Model).ok_or_else(|| missing("model"))
    }

    /// The version that it runs for ever, where it follows no alias.
    async fn version(&self, context: &Context<'_>) -> Result<Option<Version>> {
        let Some(id) = self.0.version_id else {
            return Ok(None);
        };
        let row = context.rows().load_one(VersionId(id)).await?;
        Ok(row.map(Version))
    }

    /// The alias that it follows, where it does not run one version for ever.
    async fn alias(&self) -> Option<&str> {
        self.0.alias.as_deref()
    }

    /// The version that a replica has reported last.
    async fn running_version(&self, context: &Context<'_>) -> Result<Option<Version>> {
        let Some(number) = self.0.running_version else {
            return Ok(None);
        };
        let row = version_rows::Entity::find()
            .filter(version_rows::Column::ModelId.eq(self.0.model_id))
            .filter(version_rows::Column::Number.eq(number))
            .one(&context.app().database)
            .await
            .map_err(|error| report(error.into()))?;
        Ok(row.map(Version))
    }

    /// What describes its records.
    async fn datasource(&self, context: &Context<'_>) -> Result<Datasource> {
        let id = DatasourceId(self.0.datasource_id);
        let row = context.rows().load_one(id).await?;
        row.map(Datasource).ok_or_else(|| missing("datasource"))
    }

    /// The cluster of its topics.
    async fn connection(&self, context: &Context<'_>) -> Result<KafkaConnection> {
        let id = ConnectionId(self.0.connection_id);
        let row = context.rows().load_one(id).await?;
        row.map(KafkaConnection)
            .ok_or_else(|| missing("connection"))
    }

    /// Where records come from.
    async fn input_topic(&self) -> &str {
        &self.0.input_topic
    }

    /// Where predictions go.
    async fn output_topic(&self) -> &str {
        &self.0.output_topic
    }

    /// Where records go that could not be decoded or predicted, with headers saying why.
    async fn dead_letter_topic(&self) -> &str {
        &self.0.dead_letter_topic
    }

    /// The topic through which dead letters come back to this inference, which alone reads it.
    async fn redrive_topic(&self) -> &str {
        &self.0.redrive_topic
    }

    /// Its dead letters, by partition and offset.
    async fn dead_letters(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "At most so many, 500 at most.", default = 20)] first: i32,
        #[graphql(desc = "Behind this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those with this error.")] error: Option<String>,
        #[graphql(desc = "Only those that were sent back, or that were not.")] redriven: Option<
            bool,
        >,
    ) -> Result<DeadLetters> {
        dead_letter::list(context, &self.0, first, after, error, redriven).await
    }

    /// The dead letter at a place of their topic.
    async fn dead_letter(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Its partition and offset, as `partition/offset`.")] place: String,
    ) -> Result<Option<DeadLetter>> {
        dead_letter::find(context, &self.0, &place).await
    }

    /// Its consumer group, whose committed offsets say what has been answered.
    async fn consumer_group(&self) -> &str {
        &self.0.group_id
    }

    /// What the `transactional.id` of each replica begins with; a dot and its ordinal follow.
    async fn transactional_id_prefix(&self) -> &str {
        &self.0.group_id
    }

    /// What is promised about each record.
    async fn guarantee(&self) -> Guarantee {
        self.0.guarantee.into()
    }

    /// The consumer property that readers of its output must set for the guarantee to hold, or
    /// `any`.
    async fn readers_must_use(&self) -> &'static str {
        match self.0.guarantee {
            rows::Guarantee::ExactlyOnce => "isolation.level=read_committed",
            rows::Guarantee::AtLeastOnce => "any",
        }
    }

    /// How predictions are written.
    async fn output_format(&self) -> OutputFormat {
        self.0.output_format.into()
    }

    /// Which outputs of the model are written, and how; all of them as they are where none is named.
    async fn outputs(&self) -> Result<Vec<OutputChoice>> {
        let settings = inference::settings(&self.0).map_err(report)?;
        Ok(settings
            .outputs
            .into_iter()
            .map(OutputChoice::from)
            .collect())
    }

    /// Whether the record is written beside its prediction.
    async fn echo_input(&self) -> Result<bool> {
        Ok(inference::settings(&self.0).map_err(report)?.echo_input)
    }

    /// What becomes of an output with numbers that are NaN or infinite.
    async fn not_finite(&self) -> Result<NotFinite> {
        let settings = inference::settings(&self.0).map_err(report)?;
        Ok(settings.not_finite.into())
    }

    /// Which records go on to the next model in place of an answer.
    async fn hand_on(&self) -> Result<Option<HandOn>> {
        let settings = inference::settings(&self.0).map_err(report)?;
        Ok(settings.hand_on.map(HandOn::from))
    }

    /// How batches form.
    async fn batching(&self) -> Result<Batching> {
        let batching = inference::settings(&self.0).map_err(report)?.batching;
        Ok(Batching {
            max_batch: batching.max_batch,
            max_bytes: batching.max_bytes.into(),
            commit_interval_ms: batching.commit_interval_ms,
            run_deadline_ms: batching.run_deadline_ms,
        })
    }

    /// Where it was made to begin.
    async fn start(&self) -> Json<&serde_json::Value> {
        Json(&self.0.start)
    }

    /// What it answers, where that ends; null where it goes on for ever.
    async fn span(&self) -> Result<Option<InferenceSpan>> {
        let span = inference::Span::of(&self.0).map_err(report)?;
        Ok(span.map(Into::into))
    }

    /// The inference whose place it takes as soon as it has got as far. Until then it never overtakes that one.
    async fn takes_over(&self, context: &Context<'_>) -> Result<Option<Inference>> {
        let Some(id) = self.0.takes_over_id else {
            return Ok(None);
        };
        let row = context.rows().load_one(InferenceId(id)).await?;
        Ok(row.map(Inference))
    }

    /// The inference that is about to take its place.
    async fn successor(&self, context: &Context<'_>) -> Result<Option<Inference>> {
        let found = inference::successor(&context.app().database, self.0.id).await;
        Ok(found.map_err(report)?.map(Inference))
    }

    /// In whose place it works, and since which offsets.
    async fn handover(&self) -> Result<Option<InferenceHandover>> {
        let handover = inference::Handover::of(&self.0).map_err(report)?;
        Ok(handover.map(Into::into))
    }

    /// Where its functions run.
    async fn platform(&self) -> &str {
        &self.0.platform
    }

    /// How many functions share the work.
    async fn replicas(&self) -> i32 {
        self.0.replicas
    }

    /// How far it is behind, asked of Kafka at this moment; a replay in the partitions that it reads, up to where it ends; null where Kafka cannot say.
    async fn lag(&self, context: &Context<'_>) -> Result<Option<Vec<PartitionLag>>> {
        let lags = inference::lag(context.app(), &self.0)
            .await
            .map_err(report)?;
        let waiting = context.app().replicas.waiting_since(self.0.id);
        let now = context.app().now();
        let seconds = |lag: &Lag| {
            if lag.lag == 0 {
                return Some(0.0);
            }
            let since = waiting.get(&lag.partition)?;
            Some((now - *since).as_seconds_f64().max(0.0))
        };
        let lags = lags
            .into_iter()
            .map(|lag| PartitionLag {
                partition: lag.partition,
                committed: lag.committed.map(Long),
                end: Long(lag.end),
                lag: lag.committed.map(|_| Long(lag.lag)),
                seconds: lag.committed.and_then(|_| seconds(&lag)),
            })
            .collect();
        Ok(Some(lags))
    }

    /// What its functions did in the last minute.
    async fn activity(&self, context: &Context<'_>) -> InferenceActivity {
        let activity = context.app().replicas.activity(self.0.id, Instant::now());
        activity.into()
    }

    /// Records predicted by the functions that were started since Millrace was, as they last reported.
    async fn predicted(&self, context: &Context<'_>) -> Long {
        context.app().replicas.counts(self.0.id).predicted.into()
    }

    /// Records handed on to the next model by the functions that were started since Millrace was, as they last reported.
    async fn handed_on(&self, context: &Context<'_>) -> Long {
        context.app().replicas.counts(self.0.id).handed_on.into()
    }

    /// Dead letters of these functions, by what is wrong with the records.
    async fn errors(&self, context: &Context<'_>) -> Vec<ErrorCount> {
        let errors = context.app().replicas.counts(self.0.id).errors;
        let count = |(code, records): (String, u64)| ErrorCount {
            code,
            records: records.into(),
        };
        errors.into_iter().map(count).collect()
    }

    /// Dead letters of the functions that were started since Millrace was, as they last reported.
    async fn dead_lettered(&self, context: &Context<'_>) -> Long {
        context
            .app()
            .replicas
            .counts(self.0.id)
            .dead_lettered
            .into()
    }

    /// What would be made for it on AWS Lambda, and what that would cost in a month at a given load. Nothing is made. `lambda` is
    /// what would be asked of Lambda; what the inference asks for without.
    async fn lambda_estimate(
        &self,
        context: &Context<'_>,
        load: LambdaLoadInput,
        lambda: Option<LambdaInput>,
    ) -> Result<LambdaEstimate> {
        let options = lambda.map(Into::into);
        let estimate = inference::estimate(context.app(), &self.0, options, &load.into()).await;
        Ok(estimate.map_err(report)?.into())
    }

    /// What `CloudWatch` counted of it; null where it is not on AWS Lambda. AWS is asked once a minute at most.
    async fn cloud_watch(&self, context: &Context<'_>) -> Option<CloudWatchFigures> {
        let platform = context.app().platforms.named(&self.0.platform)?;
        let figures = platform.figures(Owner::Inference(self.0.id)).await?;
        Some(figures.into())
    }

    /// What runs for it now.
    async fn functions(&self, context: &Context<'_>) -> Vec<Function> {
        functions(context, |owner| owner == Owner::Inference(self.0.id)).await
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime<Utc> {
        self.0.updated_at
    }
}

fn missing(what: &str) -> async_graphql::Error {
    report(Error::internal(format!("an inference without its {what}")))
}
