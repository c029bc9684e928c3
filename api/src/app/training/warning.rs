//! What a training's function warned about: nothing has failed, and something may.

use chrono::{DateTime, Utc};
use millrace_entity::training;
use serde::{Deserialize, Serialize};

use crate::app::{Error, Result};

/// One warning, as it is kept in the training's row.
#[derive(Debug, Serialize, Deserialize)]
pub struct Warning {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
    /// When the function said so.
    pub time: DateTime<Utc>,
}

/// The warnings of a training, oldest first.
///
/// # Errors
/// Internal, if the row is not what `add` wrote.
pub fn all(row: &training::Model) -> Result<Vec<Warning>> {
    match &row.warnings {
        None => Ok(Vec::new()),
        Some(kept) => serde_json::from_value(kept.clone()).map_err(Error::internal),
    }
}

/// The warnings of a training with one more.
pub(super) fn add(row: &training::Model, warning: Warning) -> Result<serde_json::Value> {
    let mut warnings = all(row)?;
    warnings.push(warning);
    serde_json::to_value(warnings).map_err(Error::internal)
}
