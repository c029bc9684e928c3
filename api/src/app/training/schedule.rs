//! Gives waiting trainings a free partition of the command topic, so that none waits in Kafka
//! behind a running one while another slot is free.
//!
//! A partition is taken while a row that names it has not ended. Where trainings make way for each
//! other, a taken one is given to more of them, which take turns. The row and its command are
//! written in one database transaction; the outbox brings the command to Kafka.

use std::time::Duration;

use millrace_entity::training::{self, State};
use millrace_wire::command::{Action, Command};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _,
    IntoActiveModel as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tokio::sync::broadcast::error::RecvError;

use super::{specification, state};
use crate::app::{App, Change, Result, connection, outbox};

/// How often rows are looked at without a reason: what an error left behind.
const SWEEP: Duration = Duration::from_secs(5);

/// Schedules whenever a training has changed, until the future is dropped.
pub async fn run(app: App) {
    let mut changes = app.changes.subscribe();
    loop {
        if let Err(error) = schedule(&app).await {
            tracing::error!(error = %error, "trainings could not be scheduled; trying again");
        }
        let sweep = tokio::time::sleep(SWEEP);
        tokio::pin!(sweep);
        loop {
            tokio::select! {
                () = &mut sweep => break,
                change = changes.recv() => match change {
                    Ok(Change::Training(_)) | Err(RecvError::Lagged(_)) => break,
                    Ok(_) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        }
    }
}

/// Gives as many waiting trainings, oldest first, as there are free partitions their command; all of
/// them where trainings take turns.
async fn schedule(app: &App) -> Result<()> {
    let waiting = training::Entity::find().filter(training::Column::State.eq(State::Pending));
    if waiting.count(&app.database).await? == 0 {
        return Ok(());
    }
    let slots = slots(app).await?;
    let takes_turns = app.config.training.slice().is_some();
    loop {
        let transaction = app.begin().await?;
        let scheduled = training::Entity::find()
            .filter(training::Column::State.is_in([State::Deploying, State::Running]))
            .all(&transaction)
            .await?;
        let trainings_of = |slot: &i32| {
            let scheduled = scheduled.iter();
            scheduled.filter(|row| row.slot == Some(*slot)).count()
        };
        let least = (0..slots).min_by_key(trainings_of);
        let Some(slot) = least.filter(|slot| takes_turns || trainings_of(slot) == 0) else {
            return Ok(());
        };
        let waiting = training::Entity::find()
            .filter(training::Column::State.eq(State::Pending))
            .order_by_asc(training::Column::Id)
            // A cancellation of it comes before or after, never between.
            .lock_exclusive()
            .one(&transaction)
            .await?;
        let Some(row) = waiting else {
            return Ok(());
        };
        let specification = specification::of(&transaction, &row).await?;
        let command = Command::new(Action::Start {
            training: Box::new(specification),
        });
        let message = message(&transaction, slot, &command).await?;
        outbox::add(app, &transaction, message).await?;
        let id = row.id;
        let next = state::transition(row.state, State::Deploying)?;
        let mut change = row.into_active_model();
        change.state = Set(next);
        change.slot = Set(Some(slot));
        change.update(&transaction).await?;
        transaction.commit().await?;
        app.outbox.wake();
        app.changes.send(Change::Training(id));
        tracing::info!(training.id = %id, kafka.partition = slot, "training scheduled");
    }
}

/// How many trainings may run at once: as many as are configured, and as the command topic has
/// partitions, which on a cluster of somebody else's may be fewer.
async fn slots(app: &App) -> Result<i32> {
    let configured = app.platforms.for_trainings().training_slots();
    let configured = i32::try_from(configured).unwrap_or(i32::MAX);
    let cluster = app.control_cluster().await?;
    let topic = cluster.names().training();
    let found = cluster
        .run(move |admin| admin.describe_topic(&topic))
        .await?;
    if found.partitions < configured {
        tracing::warn!(
            kafka.topic = found.name,
            kafka.partitions = found.partitions,
            "the command topic has fewer partitions than there are training slots ({configured}): so many trainings run at once"
        );
    }
    Ok(configured.min(found.partitions))
}

/// A command as a row of the outbox.
pub(super) async fn message(
    transaction: &impl ConnectionTrait,
    slot: i32,
    command: &Command,
) -> Result<outbox::Message> {
    let control = connection::control(transaction).await?;
    Ok(outbox::Message {
        connection_id: control.id,
        topic: connection::names_of(&control)?.training(),
        partition: Some(slot),
        key: command.training_id().to_string(),
        value: Some(command.to_json()),
    })
}
