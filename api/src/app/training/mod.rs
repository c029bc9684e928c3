//! Trainings: a version × a segment × hyper-parameters → a new version.
//!
//! A training is a row from its first moment. [`schedule`] gives waiting rows a free partition of
//! the command topic, and with it the command, in one database transaction; the function's events
//! move the row on in [`report`]. Nothing here talks to a function directly.

mod fit;
pub mod report;
pub mod schedule;
mod specification;
pub mod state;
pub mod warning;

use millrace_entity::training::{self, State};
use millrace_entity::version;
use millrace_wire::command::{Action, Command};
use millrace_wire::name;
use millrace_wire::preprocessing::{self, Preprocessing};
use millrace_wire::record;
use millrace_wire::training::Hyperparameters;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _, IntoActiveModel as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::{
    App, Change, Code, Error, Result, compatibility, datasource as datasources, model as models,
    outbox, project as projects, segment as segments, version as versions,
};

/// What a training is made of.
#[derive(Debug)]
pub struct NewTraining {
    /// The project's name.
    pub project: String,
    /// The model's name.
    pub model: String,
    /// Where it starts.
    pub from: versions::Selector,
    /// The segment.
    pub segment: Uuid,
    /// How to train.
    pub hyperparameters: Hyperparameters,
    /// Seed of the shuffling.
    pub seed: i64,
    /// The alias that the new version gets.
    pub promote_to: Option<String>,
}

/// Checks everything that can be checked beforehand and puts the training in the queue.
///
/// # Errors
/// `NOT_FOUND`, `INVALID_INPUT`, `INCOMPATIBLE`, `NOT_TRAINABLE`, `SEGMENT_EXPIRED` and those of
/// Kafka.
pub async fn start(app: &App, new: NewTraining) -> Result<training::Model> {
    check(&new.hyperparameters)?;
    if let Some(alias) = &new.promote_to {
        name::check(alias)?;
    }
    let project = projects::find(&app.database, &new.project).await?;
    let model = models::find(&app.database, project.id, &new.model).await?;
    let version = versions::select(&app.database, &model, &new.from).await?;
    let segment = segments::find(&app.database, project.id, new.segment).await?;
    let source = datasources::get(&app.database, segment.datasource_id).await?;
    let label = datasources::label(&source)?.ok_or_else(|| {
        Error::new(
            Code::InvalidInput,
            format!(
                "the datasource {} says nowhere where labels stand; make one with `label` to train on it",
                source.name
            ),
        )
    })?;
    let signature = versions::signature(&version)?;
    let format = datasources::format(&source)?;
    if record::texts(&format).contains(&true) {
        return Err(Error::new(
            Code::InvalidInput,
            format!(
                "the datasource {} has fields with `text`, and a training learns from numbers alone: leave them out, or send numbers for them",
                source.name
            ),
        ));
    }
    let steps = &new.hyperparameters.tuning.preprocessing;
    preprocessing::plan(steps, format.elements())
        .map_err(|rule| Error::new(Code::InvalidInput, rule))?;
    // How many columns categories make is known when the training part was read.
    let mut shapes = Vec::new();
    if !steps
        .iter()
        .any(|step| matches!(step, Preprocessing::OneHot { .. }))
    {
        compatibility::check(&signature, &format)?;
        let inputs = signature.inputs.iter();
        let inputs: Vec<(&str, bool)> = inputs
            .map(|input| (&*input.name, input.row_elements().is_none()))
            .collect();
        shapes = record::shapes(&inputs, &format);
    }
    for goal in new.hyperparameters.goals() {
        check_trainable(app, &version, goal.prediction.as_deref(), &shapes).await?;
    }
    let options = fit::options(&new.hyperparameters);
    let targets = versions::targets(app, &version, &shapes, options).await?;
    fit::check_label(&targets, &new.hyperparameters.goals(), &label)?;
    fit::check_monitor(&new.hyperparameters, &targets, segment.validation_count > 0)?;
    segments::check_retained(app, &source, &segment).await?;
    let row = training::Model {
        id: app.new_id(),
        project_id: project.id,
        version_id: version.id,
        segment_id: segment.id,
        hyperparameters: kept(&new.hyperparameters).map_err(Error::internal)?,
        state: State::Pending,
        cancel_requested: false,
        platform: app.platforms.for_trainings().name().to_owned(),
        slot: None,
        seed: new.seed,
        promote_to: new.promote_to,
        result_version_id: None,
        message: None,
        warnings: None,
        error_code: None,
        error_message: None,
        created_at: app.now(),
        started_at: None,
        finished_at: None,
    };
    let row = row.into_active_model().insert(&app.database).await?;
    app.changes.send(Change::Training(row.id));
    Ok(row)
}

/// Ends a training without a version: at once if it still waits, else as soon as its function has
/// read the command.
///
/// # Errors
/// `NOT_FOUND`; `ILLEGAL_STATE` where it has ended.
pub async fn cancel(app: &App, id: Uuid) -> Result<training::Model> {
    let transaction = app.begin().await?;
    // Kept from the scheduler and the projector, who move it on.
    let row = training::Entity::find_by_id(id)
        .lock_exclusive()
        .one(&transaction)
        .await?
        .ok_or_else(|| Error::new(Code::NotFound, "there is no such training"))?;
    let mut change = row.clone().into_active_model();
    match (row.state, row.slot) {
        (State::Pending, _) => {
            change.state = Set(state::transition(row.state, State::Cancelled)?);
            change.finished_at = Set(Some(app.now()));
        }
        (State::Deploying | State::Running, Some(slot)) if !row.cancel_requested => {
            let command = Command::new(Action::Cancel { id });
            let message = schedule::message(&transaction, slot, &command).await?;
            outbox::add(app, &transaction, message).await?;
        }
        (State::Deploying | State::Running, _) => {}
        (ended, _) => {
            return Err(Error::new(
                Code::IllegalState,
                format!("the training has ended already ({})", state::name(ended)),
            ));
        }
    }
    change.cancel_requested = Set(true);
    let row = change.update(&transaction).await?;
    transaction.commit().await?;
    app.changes.send(Change::Training(id));
    app.outbox.wake();
    Ok(row)
}

async fn check_trainable(
    app: &App,
    version: &version::Model,
    prediction: Option<&str>,
    shapes: &[(String, Vec<usize>)],
) -> Result<()> {
    let trainability = versions::trainability(app, version, prediction, shapes).await?;
    if trainability.reasons.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        Code::NotTrainable,
        format!(
            "version {} cannot be trained, which does not keep it from an inference: {}",
            version.number,
            trainability.reasons.join("; ")
        ),
    ))
}

/// As they are kept and shown: by way of text, which has the shortest numbers (0.1, not the nearest one of single precision).
fn kept(parameters: &Hyperparameters) -> serde_json::Result<serde_json::Value> {
    serde_json::from_str(&serde_json::to_string(parameters)?)
}

/// Checks the numbers before any function sees them.
fn check(parameters: &Hyperparameters) -> Result<()> {
    let tuning = parameters.tuning.check();
    if let Err(rule) = tuning.and_then(|()| parameters.check_goals()) {
        return Err(Error::new(Code::InvalidInput, rule));
    }
    let rules = [
        (parameters.epochs >= 1, "epochs must be at least 1"),
        (parameters.batch_size >= 1, "batchSize must be at least 1"),
        (
            parameters.learning_rate > 0.0 && parameters.learning_rate.is_finite(),
            "learningRate must be a positive number",
        ),
        (
            (0.0..=1.0).contains(&parameters.max_bad_records),
            "maxBadRecords is a share: 0 to 1",
        ),
        (
            parameters
                .early_stopping
                .as_ref()
                .is_none_or(|stopping| stopping.patience >= 1),
            "earlyStopping.patience must be at least 1",
        ),
        (
            parameters.early_stopping.as_ref().is_none_or(|stopping| {
                stopping.min_change >= 0.0 && stopping.min_change.is_finite()
            }),
            "earlyStopping.minChange must be at least 0",
        ),
        (
            parameters.optimizer.is_valid(),
            "the optimizer's decays must be at least 0 and less than 1, epsilon positive",
        ),
    ];
    match rules.iter().find(|(holds, _)| !holds) {
        None => Ok(()),
        Some((_, rule)) => Err(Error::new(Code::InvalidInput, *rule)),
    }
}
