//! Trainings: the object, its mutations and the subscription to its progress.

mod goal;
mod input;
mod progress;
mod tuning;

use async_graphql::{Context, Enum, ID, Json, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::{training as rows, training_epoch as epoch_rows};
use millrace_wire::event;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};

pub use self::input::TrainingMutation;
pub use self::progress::{TrainingProgress, TrainingSubscription};
use super::context::Find as _;
use super::loader::{ModelId, SegmentId, VersionId};
use super::model::Model;
use super::segment::Segment;
use super::version::Version;
use super::{GlobalId, Long, report};
use crate::app::training::warning;
use crate::app::{App, Error};

/// A version × a segment × hyper-parameters → a new version.
#[derive(Clone)]
pub struct Training(pub rows::Model);

/// Where a training is.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "rows::State")]
pub enum TrainingState {
    /// It waits for a free slot.
    Pending,
    /// Its command is on its way to a function, or waits there for its first turn.
    Deploying,
    /// A function trains.
    Running,
    /// It made a version.
    Succeeded,
    /// It ended without one; `error` says why.
    Failed,
    /// Somebody ended it.
    Cancelled,
}

/// Why something failed.
#[derive(SimpleObject)]
pub struct OperationError {
    /// For programs.
    code: String,
    /// For people.
    message: String,
}

impl OperationError {
    /// Something that failed.
    pub(super) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

/// What may go wrong with a training that goes on.
#[derive(SimpleObject)]
pub struct TrainingWarning {
    /// For programs.
    code: String,
    /// For people: what may happen, and what to do against it.
    message: String,
    /// When the function reported it.
    reported_at: DateTime<Utc>,
}

/// One pass over the training part.
#[derive(SimpleObject, Clone)]
#[allow(
    clippy::struct_field_names,
    reason = "an epoch's number is called as in every training framework"
)]
pub struct Epoch {
    /// Which one, from 1.
    epoch: u32,
    /// Of how many.
    epochs: u32,
    /// Optimizer steps so far.
    step: Long,
    /// Records of the training part a second.
    records_per_second: f64,
    /// Mean loss over the training part, as it was trained on.
    loss: Option<f64>,
    /// Share of the training part that was classified rightly, as it was trained on.
    accuracy: Option<f64>,
    /// Loss over the validation part after the epoch.
    validation_loss: Option<f64>,
    /// Accuracy over the validation part after the epoch.
    validation_accuracy: Option<f64>,
    /// All metrics by name.
    metrics: Json<std::collections::BTreeMap<String, f64>>,
    /// When the function reported it.
    reported_at: DateTime<Utc>,
}

impl Epoch {
    fn read(row: epoch_rows::Model) -> Result<Self, Error> {
        let epoch: event::Epoch = serde_json::from_value(row.metrics).map_err(Error::internal)?;
        let metric = |name: &str| epoch.metrics.get(name).copied();
        Ok(Self {
            epoch: epoch.epoch,
            epochs: epoch.epochs,
            step: epoch.step.into(),
            records_per_second: epoch.records_per_second,
            loss: metric("loss"),
            accuracy: metric("accuracy"),
            validation_loss: metric("validation_loss"),
            validation_accuracy: metric("validation_accuracy"),
            metrics: Json(epoch.metrics),
            reported_at: row.reported_at,
        })
    }

    /// The epochs of a training that follow `after`.
    async fn since(app: &App, training: uuid::Uuid, after: i32) -> Result<Vec<Self>, Error> {
        let rows = epoch_rows::Entity::find()
            .filter(epoch_rows::Column::TrainingId.eq(training))
            .filter(epoch_rows::Column::Epoch.gt(after))
            .order_by_asc(epoch_rows::Column::Epoch)
            .all(&app.database)
            .await?;
        rows.into_iter().map(Self::read).collect()
    }
}

#[Object]
impl Training {
    /// Global id.
    pub async fn id(&self) -> ID {
        GlobalId::encode("Training", self.0.id)
    }

    /// Where it is.
    async fn state(&self) -> TrainingState {
        self.0.state.into()
    }

    /// The model.
    async fn model(&self, context: &Context<'_>) -> Result<Model> {
        let version = self.parent(context).await?;
        let row = context.rows().load_one(ModelId(version.0.model_id)).await?;
        row.map(Model)
            .ok_or_else(|| report(Error::internal("a version without its model")))
    }

    /// The version that it starts from.
    async fn version(&self, context: &Context<'_>) -> Result<Version> {
        self.parent(context).await
    }

    /// The records.
    async fn segment(&self, context: &Context<'_>) -> Result<Segment> {
        let row = context
            .rows()
            .load_one(SegmentId(self.0.segment_id))
            .await?;
        row.map(Segment)
            .ok_or_else(|| report(Error::internal("a training without its segment")))
    }

    /// How it trains.
    async fn hyperparameters(&self) -> Json<&serde_json::Value> {
        Json(&self.0.hyperparameters)
    }

    /// Seed of the shuffling.
    async fn seed(&self) -> Long {
        self.0.seed.into()
    }

    /// Where it runs.
    async fn platform(&self) -> &str {
        &self.0.platform
    }

    /// The alias that the new version gets.
    async fn promote_to(&self) -> Option<&str> {
        self.0.promote_to.as_deref()
    }

    /// The version that it made.
    async fn result(&self, context: &Context<'_>) -> Result<Option<Version>> {
        let Some(id) = self.0.result_version_id else {
            return Ok(None);
        };
        let row = context.rows().load_one(VersionId(id)).await?;
        Ok(row.map(Version))
    }

    /// The epochs so far.
    async fn epochs(&self, context: &Context<'_>) -> Result<Vec<Epoch>> {
        let app = context.app();
        Epoch::since(app, self.0.id, 0).await.map_err(report)
    }

    /// Why it failed.
    async fn error(&self) -> Option<OperationError> {
        Some(OperationError {
            code: self.0.error_code.clone()?,
            message: self.0.error_message.clone()?,
        })
    }

    /// What it waits for, while it waits.
    async fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// What may go wrong with it, oldest first. `retention-short`: Kafka's retention may take records of the segment
    /// before the training ends, which a function that goes on after a crash could not read again. `retention-ended`: it
    /// may take them at any moment.
    async fn warnings(&self) -> Result<Vec<TrainingWarning>> {
        let warnings = warning::all(&self.0).map_err(report)?;
        let warnings = warnings.into_iter().map(|warning| TrainingWarning {
            code: warning.code,
            message: warning.message,
            reported_at: warning.time,
        });
        Ok(warnings.collect())
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// When its function began.
    async fn started_at(&self) -> Option<DateTime<Utc>> {
        self.0.started_at
    }

    /// When it ended.
    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.0.finished_at
    }
}

impl Training {
    async fn parent(&self, context: &Context<'_>) -> Result<Version> {
        let row = context
            .rows()
            .load_one(VersionId(self.0.version_id))
            .await?;
        row.map(Version)
            .ok_or_else(|| report(Error::internal("a training without its version")))
    }
}
