//! What training functions report, applied to the row. Every function here may see a report
//! again, or late: what has ended stays as it ended.

use chrono::{DateTime, Utc};
use millrace_entity::training::{self, State};
use millrace_entity::training_epoch;
use millrace_wire::event::{Body, Epoch};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};
use uuid::Uuid;

use super::state;
use super::warning::{self, Warning};
use crate::app::{App, Change, Error, Result, alias, version};

/// Who moves an alias to a version that a training made.
const MOVED_BY: &str = "training";

/// Applies one report within the projector's database transaction and says what changed, to be
/// told once that has committed.
pub(in crate::app) async fn apply(
    app: &App,
    database: &impl ConnectionTrait,
    id: Uuid,
    time: DateTime<Utc>,
    body: &Body,
) -> Result<Vec<Change>> {
    let found = training::Entity::find_by_id(id)
        .lock_exclusive()
        .one(database)
        .await?;
    let Some(row) = found else {
        tracing::warn!(training.id = %id, "a report about a training that does not exist");
        return Ok(Vec::new());
    };
    if state::is_final(row.state) {
        return Ok(Vec::new());
    }
    let mut changes = vec![Change::Training(id)];
    let mut change = row.clone().into_active_model();
    // It goes on, so it waits no longer; a warning says nothing of that.
    if !matches!(body, Body::TrainingWarned { .. }) {
        change.message = Set(None);
    }
    match body {
        Body::TrainingStarted { .. } => running(&row, &mut change, time)?,
        Body::TrainingEpoch(epoch) => {
            running(&row, &mut change, time)?;
            save_epoch(app, database, id, time, epoch).await?;
        }
        Body::TrainingWarned { code, message } => {
            let warning = Warning {
                code: code.clone(),
                message: message.clone(),
                time,
            };
            change.warnings = Set(Some(warning::add(&row, warning)?));
        }
        Body::TrainingWaiting { message } => change.message = Set(Some(message.clone())),
        Body::TrainingSucceeded {
            digest,
            size,
            metrics,
            report,
            last,
            computed_on,
            samples,
        } => {
            // Before the result, which is the newest version then.
            if let Some(last) = last {
                let last = version::Trained {
                    training: &row,
                    digest: &last.digest,
                    size: last.size,
                    metrics: &last.metrics,
                    report: None,
                    computed_on,
                    samples: last.samples.as_ref(),
                };
                version::create_from_training(app, database, last).await?;
            }
            let trained = version::Trained {
                training: &row,
                digest,
                size: *size,
                metrics,
                report: report.as_ref(),
                computed_on,
                samples: samples.as_ref(),
            };
            let made = succeed(app, database, trained).await?;
            change.result_version_id = Set(Some(made.version));
            changes.extend(made.alias.map(Change::Alias));
            end(&row, &mut change, State::Succeeded, time)?;
        }
        Body::TrainingFailed { code, message } => {
            change.error_code = Set(Some(code.clone()));
            change.error_message = Set(Some(message.clone()));
            end(&row, &mut change, State::Failed, time)?;
        }
        Body::TrainingCancelled => end(&row, &mut change, State::Cancelled, time)?,
        Body::InferenceRunning { .. }
        | Body::InferenceDegraded { .. }
        | Body::InferenceProgress(_) => return Ok(Vec::new()),
    }
    change.update(database).await?;
    Ok(changes)
}

/// Moves a scheduled training to running, once.
fn running(
    row: &training::Model,
    change: &mut training::ActiveModel,
    time: DateTime<Utc>,
) -> Result<()> {
    if row.state != State::Running {
        change.state = Set(state::transition(row.state, State::Running)?);
        change.started_at = Set(Some(time));
    }
    Ok(())
}

fn end(
    row: &training::Model,
    change: &mut training::ActiveModel,
    to: State,
    time: DateTime<Utc>,
) -> Result<()> {
    change.state = Set(state::transition(row.state, to)?);
    change.finished_at = Set(Some(time));
    Ok(())
}

/// An epoch that was trained again after a crash has the same metrics but another speed: the
/// first report stands.
async fn save_epoch(
    app: &App,
    database: &impl ConnectionTrait,
    training_id: Uuid,
    time: DateTime<Utc>,
    epoch: &Epoch,
) -> Result<()> {
    let number = i32::try_from(epoch.epoch).map_err(Error::internal)?;
    let known = training_epoch::Entity::find()
        .filter(training_epoch::Column::TrainingId.eq(training_id))
        .filter(training_epoch::Column::Epoch.eq(number))
        .one(database)
        .await?;
    if known.is_none() {
        let row = training_epoch::Model {
            id: app.new_id(),
            training_id,
            epoch: number,
            metrics: serde_json::to_value(epoch).map_err(Error::internal)?,
            reported_at: time,
        };
        row.into_active_model().insert(database).await?;
    }
    Ok(())
}

/// What a successful training made.
struct Made {
    version: Uuid,
    alias: Option<Uuid>,
}

async fn succeed(
    app: &App,
    database: &impl ConnectionTrait,
    trained: version::Trained<'_>,
) -> Result<Made> {
    let row = trained.training;
    let made = version::create_from_training(app, database, trained).await?;
    let alias = match &row.promote_to {
        None => None,
        Some(name) => Some(alias::point(app, database, &made, name, MOVED_BY).await?.id),
    };
    Ok(Made {
        version: made.id,
        alias,
    })
}
