//! Golden samples: what a version made of an uploaded file has to answer, seen to before the version exists.
//!
//! Invariant: a version with samples gave what they expect when a process of the inference function ran it here.

use std::collections::HashSet;
use std::path::PathBuf;

use millrace_entity::version;
use millrace_wire::samples::{Expected, LARGEST, Samples, Tolerance};
use millrace_wire::trial::{Outcome, Trial, Work};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};

use super::{App, Code, Error, Result, artifact};

/// What the file around the arrays may take on top of them.
const AROUND: u64 = 1 << 20;

/// Samples for a version that is about to be made.
#[derive(Debug, Clone)]
pub struct NewSamples {
    /// The SHA-256 of an uploaded npz file.
    pub digest: String,
    /// How close the version's answers must come.
    pub tolerance: Tolerance,
}

/// Runs an uploaded model on its samples, where it has some, and says what is expected of it from now on.
///
/// # Errors
/// `NOT_FOUND` for either file, `TOO_LARGE`, `INCOMPATIBLE` where the samples do not fit the model or it answers otherwise,
/// `NOT_TRIED` where it cannot be run.
pub(super) async fn try_out(
    app: &App,
    digest: &str,
    new: Option<&NewSamples>,
) -> Result<Option<Expected>> {
    let Some(new) = new else {
        return Ok(None);
    };
    let tolerance = new.tolerance.check();
    let tolerance = tolerance.map_err(|reason| Error::new(Code::InvalidInput, reason))?;
    // Not under the guard, which a deletion waits for: a file that goes meanwhile is missed afterwards.
    for digest in [digest, &new.digest] {
        artifact::check_there(app, digest).await?;
    }
    let size = app.artifacts.size(&new.digest).await?;
    check_size(size)?;
    let mut expected = Expected {
        digest: new.digest.clone(),
        size,
        count: 0,
        tolerance,
    };
    let work = Work::Samples {
        digest: digest.to_owned(),
        samples: expected.clone(),
    };
    match run(app, work).await? {
        Outcome::Agrees { count } => {
            expected.count = count;
            Ok(Some(expected))
        }
        Outcome::Differs { message } => Err(Error::new(
            Code::Incompatible,
            format!("the model does not give what its samples expect: {message}"),
        )),
        outcome => Err(untried(outcome)),
    }
}

/// Makes a trial in its turn.
///
/// # Errors
/// `NOT_TRIED`.
pub(super) async fn run(app: &App, work: Work) -> Result<Outcome> {
    let _turn = app.trials.take().await?;
    let trial = Trial::new(app.config.artifacts_url(), work);
    let outcome = app.platforms.local.try_out(&trial).await;
    outcome.map_err(|reason| {
        Error::new(
            Code::NotTried,
            format!("the version could not be run: {reason}"),
        )
    })
}

/// A trial that did not come to what it was for.
pub(super) fn untried(outcome: Outcome) -> Error {
    match outcome {
        Outcome::Failed { message } => Error::new(Code::NotTried, message),
        other => Error::internal(format!("a trial ended with {other:?}")),
    }
}

/// What of samples is written into a version's row; they must still be there. The caller holds the artifact guard.
pub(super) async fn held(
    app: &App,
    expected: Option<&Expected>,
) -> Result<Option<serde_json::Value>> {
    let Some(expected) = expected else {
        return Ok(None);
    };
    artifact::check_there(app, &expected.digest).await?;
    serde_json::to_value(expected)
        .map(Some)
        .map_err(Error::internal)
}

/// The samples that a version is held to.
///
/// # Errors
/// Internal, if the row is malformed.
pub fn expected(row: &version::Model) -> Result<Option<Expected>> {
    row.samples
        .clone()
        .map(serde_json::from_value)
        .transpose()
        .map_err(Error::internal)
}

/// The files of all samples that versions are held to.
pub(super) async fn needed(database: &impl ConnectionTrait) -> Result<HashSet<String>> {
    let rows: Vec<Option<serde_json::Value>> = version::Entity::find()
        .select_only()
        .column(version::Column::Samples)
        .filter(version::Column::Samples.is_not_null())
        .into_tuple()
        .all(database)
        .await?;
    rows.into_iter()
        .flatten()
        .map(|row| {
            let expected: Expected = serde_json::from_value(row).map_err(Error::internal)?;
            Ok(expected.digest)
        })
        .collect()
}

/// Reads a file of samples.
///
/// # Errors
/// `TOO_LARGE`, `INVALID_INPUT`.
pub(super) async fn read(path: PathBuf) -> Result<Samples> {
    let read = move || {
        check_size(std::fs::metadata(&path).map_err(Error::internal)?.len())?;
        let file = std::fs::read(&path).map_err(Error::internal)?;
        Ok(Samples::read(&file)?)
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(Error::internal)?
}

fn check_size(size: u64) -> Result<()> {
    if size > LARGEST + AROUND {
        return Err(millrace_wire::samples::BadSamples::TooLarge.into());
    }
    Ok(())
}
