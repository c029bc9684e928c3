//! Inferences beside another one: a replay answers a part of its input once more, and one that rescores takes its place
//! when it has got as far.
//!
//! Invariant: an inference is taken over by one other at most.

use millrace_entity::inference::{self, Desired};
use millrace_wire::function::HandOn;
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use super::create::{NewInference, create};
use super::extent::Extent;
use super::start::Start;
use super::{Settled, find, locked, settings};
use crate::app::version::Selector;
use crate::app::{
    App, Code, Error, Result, connection, datasource as datasources, model as models,
    project as projects, version as versions,
};
use crate::platform::Options;

/// What a new inference has otherwise than the one beside which it works.
#[derive(Debug, Clone)]
pub struct Beside {
    /// The one beside which it works.
    pub inference: String,
    /// Its name.
    pub name: String,
    /// The version that it runs; that of the other one without.
    pub version: Option<Selector>,
    /// Where its predictions go.
    pub output_topic: String,
    /// Where it hands on the records of which it is not sure, where the other one hands on any.
    pub hand_on_topic: Option<String>,
    /// Records a second at most, until it has answered its span.
    pub records_per_second: Option<u32>,
    /// How many functions share the work.
    pub replicas: i32,
}

/// Makes an inference that answers a part of another one's input once more, and ends with it.
///
/// # Errors
/// Those of [`create`].
pub async fn replay(
    app: &App,
    project: &str,
    beside: Beside,
    extent: Extent,
) -> Result<inference::Model> {
    let live = live(app, project, &beside.inference).await?;
    create(app, project, like(app, &live, beside, extent).await?).await
}

/// Makes an inference that answers everything from a place on once more, with a new version, and takes the other one's
/// place when it has got as far.
///
/// # Errors
/// Those of [`create`]; `ILLEGAL_STATE` where the other one ends by itself or is being deleted, `IN_USE` where somebody
/// takes its place already.
pub async fn rescore(
    app: &App,
    project: &str,
    beside: Beside,
    start: Start,
) -> Result<inference::Model> {
    let live = live(app, project, &beside.inference).await?;
    if live.span.is_some() {
        return Err(Error::new(
            Code::IllegalState,
            format!(
                "the inference {:?} ends by itself, so there is no place to take; make a replay of the same records instead",
                live.name
            ),
        ));
    }
    let extent = Extent::Behind(start, live.id);
    create(app, project, like(app, &live, beside, extent).await?).await
}

async fn live(app: &App, project: &str, name: &str) -> Result<inference::Model> {
    let project = projects::find(&app.database, project).await?;
    find(&app.database, project.id, name).await
}

/// A new inference that does what this one does.
async fn like(
    app: &App,
    live: &inference::Model,
    beside: Beside,
    extent: Extent,
) -> Result<NewInference> {
    let database = &app.database;
    let Settled {
        batching,
        outputs,
        echo_input,
        not_finite,
        hand_on,
    } = settings(live)?;
    let invalid = |message: &str| Err(Error::new(Code::InvalidInput, message));
    let hand_on = match (hand_on, beside.hand_on_topic) {
        (None, None) => None,
        (Some(hand_on), Some(topic)) => Some(HandOn { topic, ..hand_on }),
        (Some(_), None) => {
            return invalid(
                "the inference hands records on to a next model: say where this one hands them on to (`handOnTopic`); in the same topic that model would answer them once more",
            );
        }
        (None, Some(_)) => {
            return invalid("the inference hands no record on: leave `handOnTopic` out");
        }
    };
    let version = match (beside.version, &live.alias, live.version_id) {
        (Some(version), _, _) => version,
        (None, Some(alias), _) => Selector::Alias(alias.clone()),
        (None, None, Some(id)) => Selector::Number(versions::get(database, id).await?.number),
        (None, None, None) => Selector::Latest,
    };
    // A segment's records lie in its own topic.
    let input_topic = match extent {
        Extent::Segment(_) => None,
        Extent::From(_) | Extent::Between(..) | Extent::Behind(..) => {
            Some(live.input_topic.clone())
        }
    };
    Ok(NewInference {
        name: beside.name,
        datasource: datasources::get(database, live.datasource_id).await?.name,
        model: models::get(database, live.model_id).await?.name,
        version,
        connection: Some(connection::get(database, live.connection_id).await?.name),
        input_topic,
        output_topic: beside.output_topic,
        guarantee: live.guarantee,
        output_format: live.output_format,
        outputs,
        echo_input,
        not_finite,
        hand_on,
        extent,
        records_per_second: beside.records_per_second,
        replicas: beside.replicas,
        platform: live.platform.clone(),
        options: Options::default(),
        batching,
    })
}

/// The inference that is about to take this one's place, if there is one.
///
/// # Errors
/// The database's.
pub async fn successor(
    database: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<inference::Model>> {
    Ok(inference::Entity::find()
        .filter(inference::Column::TakesOverId.eq(id))
        .filter(inference::Column::Desired.ne(Desired::Deleted))
        .one(database)
        .await?)
}

/// Refuses to take a place that another one is about to take, or that is gone.
pub(super) async fn refuse_second(transaction: &impl ConnectionTrait, live: Uuid) -> Result<()> {
    let row = locked(transaction, live).await?;
    let Some(row) = row.filter(|row| row.desired != Desired::Deleted) else {
        return Err(Error::new(
            Code::IllegalState,
            "the inference whose place it shall take is being deleted",
        ));
    };
    match successor(transaction, live).await? {
        None => Ok(()),
        Some(other) => Err(Error::new(
            Code::InUse,
            format!(
                "the inference {:?} is about to take the place of {:?}; delete it first, or wait until it has",
                other.name, row.name
            ),
        )),
    }
}
