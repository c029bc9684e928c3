//! The training pool: one process for each training that may run at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use millrace_wire::function::{Control, FunctionSpec, Role, TrainingPool};

use super::super::connection::{control, names_of, properties_of};
use super::super::{App, Result};
use super::topics::ensure_own;
use crate::platform::{self, Deployment, Options, Owner};

/// How far the pool has come.
#[derive(Default)]
pub(super) struct Progress {
    /// What it waited for when it was driven last.
    waits_for: Mutex<Option<String>>,
    /// Whether no other platform has a pool from before another one was chosen, which would take commands too.
    is_alone: AtomicBool,
}

/// Makes sure of Millrace's own topics and of the pool's processes.
pub(super) async fn drive(app: &App, progress: &Progress) {
    let error = deploy(app, progress).await.err();
    let waits_for = error.map(|error| error.to_string());
    let mut said = progress
        .waits_for
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    // The cluster's owner may take days: it is said once.
    if let Some(reason) = &waits_for
        && *said != waits_for
    {
        tracing::warn!(reason, "the training pool waits");
    }
    *said = waits_for;
}

async fn deploy(app: &App, progress: &Progress) -> Result<()> {
    // One that cannot be asked holds nobody up: commands go to either pool then, and each training is one pool's at a time.
    let not_alone = end_others(app, progress).await.err();
    let row = control(&app.database).await?;
    let names = names_of(&row)?;
    let platform = app.platforms.for_trainings();
    let slots = platform.training_slots();
    if !app.own_topics_stand.load(Ordering::Relaxed) {
        let cluster = app.clusters.get(&row)?;
        ensure_own(&cluster, i32::try_from(slots).unwrap_or(i32::MAX)).await?;
        app.own_topics_stand.store(true, Ordering::Relaxed);
    }
    let control = control_of(app).await?;
    let functions = (0..slots)
        .map(|ordinal| {
            let pool = TrainingPool {
                topic: names.training(),
                group: names.training_group(),
                memory_bytes: app.config.training.memory_bytes,
                scratch_folder: app
                    .config
                    .training
                    .scratch_folder
                    .as_ref()
                    .map(|folder| folder.display().to_string()),
                slice_ms: app
                    .config
                    .training
                    .slice()
                    .map(|slice| u64::try_from(slice.as_millis()).unwrap_or(u64::MAX)),
            };
            FunctionSpec::new(
                control.clone(),
                app.config.artifacts_url(),
                String::new(),
                ordinal,
                Role::Training(pool),
            )
        })
        .collect();
    let deployment = Deployment {
        functions,
        options: Options::default(),
    };
    match platform.deploy(Owner::TrainingPool, deployment).await {
        // One that is closing means that the end was ordered.
        Ok(()) | Err(platform::Error::Closing { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    not_alone.map_or(Ok(()), Err)
}

/// Ends the pools that other platforms have from before.
async fn end_others(app: &App, progress: &Progress) -> Result<()> {
    if progress.is_alone.load(Ordering::Relaxed) {
        return Ok(());
    }
    for other in app.platforms.not_for_trainings() {
        let nothing = Deployment::default();
        other.deploy(Owner::TrainingPool, nothing).await?;
    }
    progress.is_alone.store(true, Ordering::Relaxed);
    Ok(())
}

/// Where functions report to and hear from.
pub(super) async fn control_of(app: &App) -> Result<Control> {
    let row = control(&app.database).await?;
    let names = names_of(&row)?;
    Ok(Control {
        connection: properties_of(&row)?,
        events_topic: Some(names.events()),
        registry_topic: names.registry(),
    })
}
