//! Inferences: a version or an alias at work between two topics. The operations here write what is
//! wanted into the row; the reconciler makes it so.

mod activity;
mod checks;
mod create;
mod estimate;
mod extent;
mod moving;
mod report;
mod rescore;
mod span;
mod start;
mod state;

use millrace_entity::inference::{self, Desired, State};
use millrace_entity::version;
use millrace_kafka::PartitionLag;
use millrace_wire::function::{Batching, HandOn, NotFinite};
use millrace_wire::prediction::Choice;
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};
use uuid::Uuid;

pub use activity::Activity;
pub use create::{NewInference, create};
pub use estimate::estimate;
pub use extent::Extent;
pub(super) use extent::reached;
pub(super) use moving::arrive;
pub use moving::{Destination, move_to};
pub use report::{Counts, Replicas};
pub(super) use report::{apply, refresh};
pub use rescore::{Beside, replay, rescore, successor};
pub use span::{Handover, Span};
pub use start::{Place, Position, Start, check as check_positions};
pub use state::{Step, next};

use self::checks::{check_functions, check_scale};
use super::reconciler::Settings;
use super::version::{self as versions, Selector};
use super::{
    App, Change, Code, Error, Result, compatibility, datasource as datasources, model as models,
    project as projects,
};

/// Most replicas of one inference.
const LARGEST: i32 = 256;

/// The inference of this name.
///
/// # Errors
/// `NOT_FOUND`.
pub async fn find(
    database: &impl ConnectionTrait,
    project_id: Uuid,
    name: &str,
) -> Result<inference::Model> {
    inference::Entity::find()
        .filter(inference::Column::ProjectId.eq(project_id))
        .filter(inference::Column::Name.eq(name))
        .one(database)
        .await?
        .ok_or_else(|| Error::not_found("inference", name))
}

/// What was settled when an inference was made.
#[derive(Debug, Clone)]
pub struct Settled {
    /// How batches form.
    pub batching: Batching,
    /// Which outputs of the model are written, and how; all of them where none is named.
    pub outputs: Vec<Choice>,
    /// Whether the record is written beside its prediction.
    pub echo_input: bool,
    /// What becomes of outputs with numbers that are not finite.
    pub not_finite: NotFinite,
    /// Which records are handed on in place of an answer.
    pub hand_on: Option<HandOn>,
}

/// What was settled when an inference was made.
///
/// # Errors
/// `INTERNAL` where the row is malformed.
pub fn settings(row: &inference::Model) -> Result<Settled> {
    let Settings {
        batching,
        outputs,
        echo_input,
        not_finite,
        hand_on,
        ..
    } = Settings::of(row)?;
    Ok(Settled {
        batching,
        outputs,
        echo_input,
        not_finite,
        hand_on,
    })
}

/// Ends an inference's functions and saves its offsets. One that is on its way to another platform stays stopped then.
///
/// # Errors
/// `NOT_FOUND`, `ILLEGAL_STATE`.
pub async fn stop(app: &App, project: &str, name: &str) -> Result<inference::Model> {
    change(app, project, name, |row| {
        let mut settings = Settings::of(row)?;
        let was_to_move = settings.moves_to.take().is_some();
        let state = if row.state == State::Stopping && was_to_move {
            row.state
        } else {
            next(row.state, Step::Stop)?
        };
        Ok(inference::ActiveModel {
            desired: Set(Desired::Stopped),
            state: Set(state),
            message: Set(None),
            settings: Set(serde_json::to_value(settings).map_err(Error::internal)?),
            ..Default::default()
        })
    })
    .await
}

/// Starts a stopped inference again: at its saved offsets, or elsewhere in the topic that has its input's name now.
///
/// # Errors
/// `NOT_FOUND`, `ILLEGAL_STATE`, `INCOMPATIBLE` where its alias was moved to what does not fit meanwhile; those of the
/// creation where it shall begin elsewhere.
pub async fn start(
    app: &App,
    project: &str,
    name: &str,
    elsewhere: Option<Start>,
) -> Result<inference::Model> {
    let database = &app.database;
    let project_id = projects::find(database, project).await?.id;
    let row = find(database, project_id, name).await?;
    let datasource = datasources::get(database, row.datasource_id).await?;
    let signature = versions::signature(&begins_with(database, &row).await?)?;
    compatibility::check(&signature, &datasources::format(&datasource)?)?;
    let asked = settings(&row)?;
    compatibility::check_outputs(&signature, &asked.outputs, asked.hand_on.as_ref())?;
    let state = next(row.state, Step::Start)?;
    check_functions(app, &row).await?;
    let mut changes = inference::ActiveModel {
        desired: Set(Desired::Running),
        state: Set(state),
        message: Set(None),
        ..Default::default()
    };
    if let Some(elsewhere) = elsewhere {
        let cluster = app.cluster(row.connection_id).await?;
        let topic = row.input_topic.clone();
        let input = cluster
            .run(move |admin| admin.describe_topic(&topic))
            .await?;
        let positions = start::begin(&cluster, &row, &elsewhere, app.now()).await?;
        let positions = serde_json::to_value(positions).map_err(Error::internal)?;
        changes.input_topic_id = Set(input.id);
        changes.saved_offsets = Set(Some(positions));
    }
    change(app, project, name, |row| {
        next(row.state, Step::Start)?;
        // One that failed on its way elsewhere goes on where it is.
        let mut settings = Settings::of(row)?;
        settings.moves_to = None;
        changes.settings = Set(serde_json::to_value(settings).map_err(Error::internal)?);
        Ok(changes)
    })
    .await
}

/// The version that an inference begins with: its own, or what its alias points at.
///
/// # Errors
/// `NOT_FOUND` where the alias points at nothing.
pub(super) async fn begins_with(
    database: &impl ConnectionTrait,
    row: &inference::Model,
) -> Result<version::Model> {
    let model = models::get(database, row.model_id).await?;
    match (row.version_id, &row.alias) {
        (Some(id), _) => versions::get(database, id).await,
        (None, Some(alias)) => {
            let selector = Selector::Alias(alias.clone());
            versions::select(database, &model, &selector).await
        }
        (None, None) => versions::select(database, &model, &Selector::Latest).await,
    }
}

/// Gives an inference another number of replicas.
///
/// # Errors
/// `NOT_FOUND`, `INVALID_INPUT`, `ILLEGAL_STATE` where it is being deleted.
pub async fn scale(
    app: &App,
    project: &str,
    name: &str,
    replicas: i32,
) -> Result<inference::Model> {
    check_replicas(replicas)?;
    change(app, project, name, |row| {
        check_scale(app, &row.platform, replicas)?;
        if let Some(destination) = Settings::of(row)?.moves_to {
            return Err(Error::new(
                Code::IllegalState,
                format!(
                    "the inference is on its way to {:?}; scale it when it is there",
                    destination.platform
                ),
            ));
        }
        // What runs deploys anew; what does not takes the number when it starts.
        let state = match row.state {
            State::Deploying | State::Running | State::Degraded => next(row.state, Step::Deploy)?,
            other => other,
        };
        Ok(inference::ActiveModel {
            replicas: Set(replicas),
            state: Set(state),
            ..Default::default()
        })
    })
    .await
}

/// Begins to remove an inference, with the topics and the group that Millrace made for it. Its row
/// and its name are gone when they are.
///
/// # Errors
/// `NOT_FOUND`; `IN_USE` while another one is about to take its place.
pub async fn delete(app: &App, project: &str, name: &str) -> Result<()> {
    let transaction = app.begin().await?;
    let project = projects::find(&transaction, project).await?;
    let row = find(&transaction, project.id, name).await?;
    if let Some(successor) = successor(&transaction, row.id).await? {
        return Err(Error::new(
            Code::InUse,
            format!(
                "the inference {:?} is about to take the place of {name:?}: delete it first, or wait until it has",
                successor.name
            ),
        ));
    }
    inference::ActiveModel {
        desired: Set(Desired::Deleted),
        state: Set(next(row.state, Step::Delete)?),
        message: Set(None),
        updated_at: Set(app.now()),
        ..row.clone().into_active_model()
    }
    .update(&transaction)
    .await?;
    transaction.commit().await?;
    app.changes.send(Change::Inference(row.id));
    tracing::info!(inference.name = name, "inference is being deleted");
    Ok(())
}

/// How far an inference is behind in each partition of its input; a replay in those that it reads, before their ends, or
/// in those of its own topic, where its records are brought back into that.
///
/// # Errors
/// Kafka's.
pub async fn lag(app: &App, row: &inference::Model) -> Result<Vec<PartitionLag>> {
    let span = Span::of(row)?;
    let is_brought_back = span.as_ref().is_some_and(|span| span.pinned.is_some());
    if is_brought_back && !Settings::of(row)?.is_brought_back {
        // Nothing is there yet, perhaps not even the topic.
        return Ok(Vec::new());
    }
    let topic = if is_brought_back {
        row.redrive_topic.clone()
    } else {
        row.input_topic.clone()
    };
    let group = row.group_id.clone();
    let cluster = app.cluster(row.connection_id).await?;
    // Each question to a group has a client of its own, and one request can ask of many groups.
    let turn = app.lags.take().await?;
    let lag = cluster
        .run(move |admin| {
            let lag = admin.lag(&group, &topic);
            drop(turn);
            lag
        })
        .await?;
    Ok(match span {
        Some(span) if row.takes_over_id.is_none() && !is_brought_back => span.lag(lag),
        _ => lag,
    })
}

/// Changes what is wanted of an inference that is not being deleted.
async fn change(
    app: &App,
    project: &str,
    name: &str,
    edit: impl FnOnce(&inference::Model) -> Result<inference::ActiveModel>,
) -> Result<inference::Model> {
    let transaction = app.begin().await?;
    let project = projects::find(&transaction, project).await?;
    let found = find(&transaction, project.id, name).await?;
    let row = locked(&transaction, found.id)
        .await?
        .ok_or_else(|| Error::not_found("inference", name))?;
    if row.desired == Desired::Deleted {
        return Err(Error::new(
            Code::IllegalState,
            format!("the inference {name:?} is being deleted"),
        ));
    }
    let changed = inference::ActiveModel {
        id: Set(row.id),
        updated_at: Set(app.now()),
        ..edit(&row)?
    }
    .update(&transaction)
    .await?;
    transaction.commit().await?;
    app.changes.send(Change::Inference(row.id));
    tracing::info!(inference.name = name, inference.state = ?changed.state, "inference changed");
    Ok(changed)
}

/// The row, kept from other writers until the end of the transaction.
pub(super) async fn locked(
    transaction: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<inference::Model>> {
    Ok(inference::Entity::find_by_id(id)
        .lock_exclusive()
        .one(transaction)
        .await?)
}

/// What a person should know about an inference that works as it should.
pub(super) fn note(row: &inference::Model) -> Option<String> {
    let way = Span::of(row).ok().flatten().and_then(|span| span.note);
    way.or_else(|| idle_note(row))
}

/// What a person should know about the number of replicas.
fn idle_note(row: &inference::Model) -> Option<String> {
    let partitions = row.settings.get("partitions")?.as_i64()?;
    let idle = i64::from(row.replicas) - partitions;
    (idle > 0).then(|| {
        format!(
            "{} replicas for {partitions} partitions of the input: {idle} of them stand idle",
            row.replicas
        )
    })
}

fn check_replicas(replicas: i32) -> Result<()> {
    if (1..=LARGEST).contains(&replicas) {
        return Ok(());
    }
    Err(Error::new(
        Code::InvalidInput,
        format!("an inference has 1 to {LARGEST} replicas, not {replicas}; stop it to have none"),
    ))
}
