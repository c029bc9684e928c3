//! The reconciler: drives every inference and the training pool to what their rows want.
//!
//! It looks at the state of things, not at what changed, so it repairs whatever a crash at any
//! point left. Every step may be repeated. No owner is driven by two tasks at once.

mod groups;
mod inference;
mod owned;
mod pool;
mod presence;
mod refill;
mod span;
pub(in crate::app) mod topics;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use millrace_entity::inference::{Column, Desired, Entity, Model, State};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, sleep};
use uuid::Uuid;

pub(in crate::app) use inference::{Settings, specification, specs};
pub(in crate::app) use presence::Presence;

use super::inference::locked;
use super::{App, Change, Result, Shutdown};
use crate::platform::Owner;

/// How often everything is looked at unasked, which is also the pause before a failed step is
/// tried again.
const INTERVAL: Duration = Duration::from_secs(1);

/// Works until the end is ordered. The functions go on; ending them is the platform's.
pub async fn run(app: App, shutdown: Shutdown) {
    let mut changes = app.changes.subscribe();
    let mut functions = app.platforms.changes();
    let mut busy = HashSet::new();
    let mut tasks = JoinSet::new();
    let pool = Arc::new(pool::Progress::default());
    while let Err(error) = put_back(&app).await {
        tracing::warn!(%error, "the reconciler waits");
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = shutdown.requested() => return,
        }
    }
    // The inference that has changed; all of them where something else has, or a second is over.
    let mut only = None;
    let mut every = tokio::time::interval(INTERVAL);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        match inferences(&app, only.take()).await {
            Ok(rows) => {
                for row in rows {
                    let owner = Owner::Inference(row.id);
                    if busy.insert(owner) {
                        let app = app.clone();
                        tasks.spawn(async move {
                            inference::drive(&app, row).await;
                            owner
                        });
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the reconciler waits"),
        }
        if busy.insert(Owner::TrainingPool) {
            let app = app.clone();
            let pool = Arc::clone(&pool);
            tasks.spawn(async move {
                pool::drive(&app, &pool).await;
                Owner::TrainingPool
            });
        }
        // Until something changes; what ended meanwhile may be driven again.
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                _ = every.tick() => break,
                _ = functions.changed() => break,
                change = changes.recv() => match change {
                    Ok(Change::Inference(id)) => {
                        only = Some(id);
                        break;
                    }
                    Err(RecvError::Lagged(_)) => break,
                    Ok(_) => {}
                    Err(RecvError::Closed) => return,
                },
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => match ended {
                    Ok(owner) => { busy.remove(&owner); }
                    Err(error) => {
                        // Nobody knows whose it was: all are looked at anew.
                        tracing::error!(%error, "a step of the reconciler failed");
                        tasks.shutdown().await;
                        busy.clear();
                    }
                },
            }
        }
    }
}

/// At the start no function runs that ends with the API, whatever the rows say.
async fn put_back(app: &App) -> Result<()> {
    Entity::update_many()
        .set(millrace_entity::inference::ActiveModel {
            state: Set(State::Deploying),
            ..Default::default()
        })
        .filter(Column::Platform.is_in(app.platforms.ending_with_the_api()))
        .filter(Column::Desired.eq(Desired::Running))
        .filter(Column::State.is_in([State::Running, State::Degraded]))
        .exec(&app.database)
        .await?;
    Ok(())
}

/// Those that something has to be done for, or looked at.
async fn inferences(app: &App, only: Option<Uuid>) -> Result<Vec<Model>> {
    Ok(Entity::find()
        .filter(Condition::all().add_option(only.map(|id| Column::Id.eq(id))))
        .all(&app.database)
        .await?)
}

/// Changes a row unless what is wanted of it has changed since `seen`, and tells everybody.
async fn update(
    app: &App,
    seen: &Model,
    edit: impl FnOnce(&Model) -> Result<millrace_entity::inference::ActiveModel>,
) -> Result<bool> {
    use sea_orm::ActiveModelTrait as _;

    let transaction = app.begin().await?;
    let Some(row) = locked(&transaction, seen.id).await? else {
        return Ok(false);
    };
    if row.desired != seen.desired || row.state != seen.state {
        return Ok(false);
    }
    millrace_entity::inference::ActiveModel {
        id: Set(row.id),
        updated_at: Set(app.now()),
        ..edit(&row)?
    }
    .update(&transaction)
    .await?;
    transaction.commit().await?;
    app.changes.send(Change::Inference(seen.id));
    Ok(true)
}
