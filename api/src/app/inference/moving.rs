//! Moves of inferences from one platform to another.
//!
//! Invariant: an inference works on one platform at a time. It ends there first and its offsets are saved; the
//! other platform begins at exactly these. One that has failed is no exception: its functions may still be ending.

use millrace_entity::inference::{self, Desired, Guarantee, State};
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};

use super::checks::{check_functions, check_platform};
use super::rescore::successor;
use super::{Span, Step, change, check_replicas, find, next};
use crate::app::reconciler::{Presence, Settings};
use crate::app::{App, Code, Error, Result, project as projects};
use crate::platform::Options;

/// Where an inference's functions run, and how many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The platform.
    pub platform: String,
    /// What is promised about each record there.
    pub guarantee: Guarantee,
    /// How many functions share the work.
    pub replicas: i32,
    /// What only that platform has to be told.
    pub options: Options,
}

/// Takes an inference to another platform, or to the same one with other options: what runs ends in order, and goes on
/// there where it ended, as does what has failed. One that is stopped is there when it is started.
///
/// # Errors
/// `NOT_FOUND`, also where there is no such platform; `INVALID_INPUT` where that cannot do what is asked for;
/// `ILLEGAL_STATE`, `IN_USE` where it is about to be replaced.
pub async fn move_to(
    app: &App,
    project: &str,
    name: &str,
    destination: impl FnOnce(&inference::Model) -> Destination,
) -> Result<inference::Model> {
    let project_id = projects::find(&app.database, project).await?.id;
    let row = find(&app.database, project_id, name).await?;
    let destination = destination(&row);
    check_replicas(destination.replicas)?;
    check_platform(app, &destination, Span::of(&row)?.is_none())?;
    check_functions(app, &there(&row, &destination)?).await?;
    if let Some(successor) = successor(&app.database, row.id).await? {
        return Err(Error::new(
            Code::InUse,
            format!(
                "the inference {:?} is about to take the place of {name:?}; move it when it has",
                successor.name
            ),
        ));
    }
    change(app, project, name, |row| {
        let mut settings = Settings::of(row)?;
        let is_on_its_way = row.state == State::Stopping && settings.moves_to.is_some();
        if matches!(row.state, State::Stopped | State::Finished) {
            return arrive(row, settings, destination);
        }
        settings.moves_to = Some(destination);
        let state = if is_on_its_way {
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

/// The row as it would be there.
fn there(row: &inference::Model, destination: &Destination) -> Result<inference::Model> {
    let settings = Settings {
        platform: destination.options.clone(),
        ..Settings::of(row)?
    };
    Ok(inference::Model {
        platform: destination.platform.clone(),
        guarantee: destination.guarantee,
        replicas: destination.replicas,
        settings: serde_json::to_value(settings).map_err(Error::internal)?,
        ..row.clone()
    })
}

/// What of a row says where its functions run.
pub(in crate::app) fn arrive(
    row: &inference::Model,
    mut settings: Settings,
    destination: Destination,
) -> Result<inference::ActiveModel> {
    settings.platform = destination.options;
    settings.moves_to = None;
    // Where it stays, its platform keeps what it has of it.
    if row.platform != destination.platform {
        settings.presence = Presence::Absent;
    }
    Ok(inference::ActiveModel {
        platform: Set(destination.platform),
        guarantee: Set(destination.guarantee),
        replicas: Set(destination.replicas),
        settings: Set(serde_json::to_value(settings).map_err(Error::internal)?),
        ..Default::default()
    })
}
