//! Removes files of the artifact store that nothing needs: uploads that never became a version, what was written for a
//! version that was never made, and copies of segments that are pinned no more.
//!
//! A file's age counts from its last upload. Whoever makes a version holds the artifact guard from
//! the look at the file until its row stands, so a file goes before that or not at all.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use millrace_entity::training::{self, State};
use millrace_entity::{artifact, segment, version};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QuerySelect as _,
};

use super::{App, Result, samples};

/// How often the store is looked through.
const INTERVAL: Duration = Duration::from_mins(10);

/// Sweeps until the future is dropped.
pub async fn run(app: App) {
    let age = TimeDelta::hours(app.config.artifacts.keep_unused_hours.into());
    loop {
        if let Err(error) = sweep(&app, app.now() - age).await {
            tracing::warn!(%error, "files that nothing needs could not be removed");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Removes the files that were last uploaded before a time and that nothing needs, and says how
/// many these were. Does nothing while somebody relies on any file.
///
/// # Errors
/// The database's and the disk's.
pub async fn sweep(app: &App, before: DateTime<Utc>) -> Result<usize> {
    // Not waited for: an upload holds it for as long as it takes, and all others would queue up
    // behind a writer who waits.
    let Ok(_guard) = app.artifact_guard.try_write() else {
        return Ok(0);
    };
    let before = SystemTime::from(before);
    let mut unused = app.artifacts.list().await?;
    unused.retain(|file| file.modified < before);
    if unused.is_empty() {
        return Ok(0);
    }
    let transaction = app.begin().await?;
    let pinned: Vec<Option<String>> = segment::Entity::find()
        .select_only()
        .column(segment::Column::PinnedDigest)
        .into_tuple()
        .all(&transaction)
        .await?;
    let needed: HashSet<String> = version::Entity::find()
        .select_only()
        .column(version::Column::Digest)
        .distinct()
        .into_tuple()
        .all(&transaction)
        .await?
        .into_iter()
        .chain(pinned.into_iter().flatten())
        .chain(samples::needed(&transaction).await?)
        .collect();
    let trainings = training::Entity::find()
        .filter(training::Column::State.is_in([State::Deploying, State::Running]))
        .count(&transaction)
        .await?;
    unused.retain(|file| !needed.contains(&file.digest));
    let mut removed = Vec::new();
    for file in unused {
        let rows = artifact::Entity::delete_by_id(&file.digest)
            .exec(&transaction)
            .await?
            .rows_affected;
        // What nobody uploaded may be what a training is about to report.
        if rows > 0 || trainings == 0 {
            removed.push(file.digest);
        }
    }
    transaction.commit().await?;
    for digest in &removed {
        app.artifacts.delete(digest).await?;
        tracing::info!(
            artifact.digest = digest,
            "a file that nothing needs is removed"
        );
    }
    Ok(removed.len())
}
