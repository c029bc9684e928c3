//! Whether an inference's platform may have something of it.
//!
//! Invariant: it is written down before a platform is asked for functions, and only once that could be reached. So a platform
//! that never could be asked has nothing that would have to end, and holds nobody up.

use millrace_entity::inference::{self, Model};
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};

use super::super::{App, Error, Result};
use super::{Settings, update};
use crate::platform::{Owner, Platform};

/// What a platform may have of an inference.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::app) enum Presence {
    /// Nothing: it was never asked for functions.
    Absent,
    /// Functions, or what is left of them. So is what was there before this was kept.
    #[default]
    Possible,
}

/// Whether the platform may have something of this inference.
pub(super) fn is_possible(row: &Model) -> Result<bool> {
    Ok(Settings::of(row)?.presence == Presence::Possible)
}

/// Notes that the platform is asked for functions from now on. Whether that is still wanted.
pub(super) async fn note(app: &App, row: &Model, platform: &dyn Platform) -> Result<bool> {
    if is_possible(row)? {
        return Ok(true);
    }
    platform.reach(Owner::Inference(row.id)).await?;
    update(app, row, |row| {
        let settings = Settings {
            presence: Presence::Possible,
            ..Settings::of(row)?
        };
        Ok(inference::ActiveModel {
            settings: Set(serde_json::to_value(settings).map_err(Error::internal)?),
            ..Default::default()
        })
    })
    .await
}
