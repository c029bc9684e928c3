//! Projects what functions report into the database.
//!
//! One reader follows the events topic. An event's effect, its id and the position behind it are
//! written in one database transaction: after a crash the reader goes on exactly there, and an
//! event that was produced twice counts once.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use millrace_entity::{event_position, function_event};
use millrace_kafka as kafka;
use millrace_wire::event::{Body, Event};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, TransactionTrait as _, sea_query::OnConflict,
};
use tokio::sync::mpsc;

use super::{App, Change, Code, Error, Result, inference, training};

/// How long the reader waits for a record before it looks whether it shall end.
const WAIT: Duration = Duration::from_millis(100);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows the events topic until the future is dropped.
pub async fn run(app: App) {
    let mut said = None;
    loop {
        let outcome = follow(&app).await.map_err(|error| error.to_string());
        // What keeps failing is said once, not each time.
        if said.as_ref() != Some(&outcome) {
            match &outcome {
                Ok(Ended::NoTopic) => {
                    tracing::info!("the topic of events is not there yet; waiting for it");
                }
                Ok(Ended::Reader) => {}
                Err(error) => tracing::error!(error, "events cannot be followed; trying again"),
            }
        }
        said = Some(outcome);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Why events are no longer followed, where nothing failed.
#[derive(PartialEq)]
enum Ended {
    /// The reconciler has yet to make the topic: the first time, or since somebody has deleted it.
    NoTopic,
    /// The reader was told to end.
    Reader,
}

async fn follow(app: &App) -> Result<Ended> {
    let cluster = app.control_cluster().await?;
    let topic = cluster.names().events();
    let name = topic.clone();
    let found = cluster.run(move |admin| admin.describe_topic(&name)).await;
    let id = match found {
        Ok(description) => description.id,
        Err(error) if error.code() == Code::TopicNotFound => {
            app.own_topics_stand.store(false, Ordering::Relaxed);
            return Ok(Ended::NoTopic);
        }
        Err(error) => return Err(error),
    };
    let positions: BTreeMap<i32, i64> = event_position::Entity::find()
        .filter(event_position::Column::Topic.eq(&id))
        .all(&app.database)
        .await?
        .into_iter()
        .map(|row| (row.partition, row.next_offset))
        .collect();
    let connection = cluster.connection().clone();
    // The channel is small: a slow database slows the reader down instead of filling memory.
    let (sender, mut receiver) = mpsc::channel(64);
    let reading = tokio::task::spawn_blocking({
        let topic = topic.clone();
        move || read(&connection, &topic, &positions, &sender)
    });
    while let Some(record) = receiver.recv().await {
        project(app, &id, &record).await?;
    }
    match reading.await.map_err(Error::internal)? {
        Ok(()) => Ok(Ended::Reader),
        Err(kafka::Error::TopicNotFound { .. }) => Ok(Ended::NoTopic),
        Err(error) => Err(error.into()),
    }
}

/// Reads records into the channel until its receiver is gone. Blocks.
fn read(
    connection: &kafka::Connection,
    topic: &str,
    positions: &BTreeMap<i32, i64>,
    sender: &mpsc::Sender<kafka::Record>,
) -> std::result::Result<(), kafka::Error> {
    let mut tail = open(connection, topic, positions.clone())?;
    while !sender.is_closed() {
        if let kafka::TailEvent::Record(record) = tail.poll(WAIT)?
            && sender.blocking_send(record).is_err()
        {
            break;
        }
    }
    Ok(())
}

/// Opens the topic at these positions. A partition whose position Kafka no longer has (retention
/// took it, or the topic was made anew) goes on at its first record: what is read twice counts once.
fn open(
    connection: &kafka::Connection,
    topic: &str,
    mut positions: BTreeMap<i32, i64>,
) -> std::result::Result<kafka::Tail, kafka::Error> {
    loop {
        let error = match kafka::Tail::open(connection, topic, &positions) {
            Ok(tail) => return Ok(tail),
            Err(error) => error,
        };
        match error {
            kafka::Error::OffsetExpired { partition, .. }
            | kafka::Error::OffsetInFuture { partition, .. } => {
                tracing::error!(%error, "events may be lost; going on at the first that Kafka keeps");
                positions.remove(&partition);
            }
            error => return Err(error),
        }
    }
}

/// Applies one record of the events topic and moves the position behind it, all or nothing. Positions belong to Kafka's id
/// of the topic: one that was deleted and made anew is read from its beginning.
///
/// # Errors
/// Those of the database and of the artifact store: the record is to be applied again.
pub async fn project(app: &App, topic_id: &str, record: &kafka::Record) -> Result<()> {
    let event = Event::from_json(record.value.as_deref().unwrap_or_default());
    // Before the transaction, as whoever removes files takes the two.
    let _guard = match &event {
        Ok(Event {
            body: Body::TrainingSucceeded { .. },
            ..
        }) => Some(app.artifact_guard.read().await),
        _ => None,
    };
    let transaction = app.begin().await?;
    let changes = match &event {
        Ok(event) => {
            // A part of its own: what an event that cannot be applied has done so far is undone.
            let effect = transaction.begin().await?;
            match apply(app, &effect, event).await {
                Ok(changes) => {
                    effect.commit().await?;
                    changes
                }
                Err(error @ Error::Domain { .. }) => {
                    effect.rollback().await?;
                    tracing::error!(%error, event.id = %event.id, "an event cannot be applied");
                    refuse(app, &transaction, event, &error).await?
                }
                Err(error) => return Err(error),
            }
        }
        Err(error) => {
            tracing::error!(
                kafka.topic = record.topic,
                kafka.partition = record.partition,
                kafka.offset = record.offset,
                error = %error,
                "an event cannot be read and is passed over"
            );
            Vec::new()
        }
    };
    let position = event_position::ActiveModel {
        topic: Set(topic_id.to_owned()),
        partition: Set(record.partition),
        next_offset: Set(record.offset + 1),
    };
    event_position::Entity::insert(position)
        .on_conflict(
            OnConflict::columns([
                event_position::Column::Topic,
                event_position::Column::Partition,
            ])
            .update_column(event_position::Column::NextOffset)
            .to_owned(),
        )
        .exec(&transaction)
        .await?;
    transaction.commit().await?;
    for change in changes {
        app.changes.send(change);
    }
    app.outbox.wake();
    Ok(())
}

/// What becomes of an event that contradicts what is known: a training fails of it, since nobody
/// would hear of that training again. Retrying would hold back every event behind it.
async fn refuse(
    app: &App,
    transaction: &sea_orm::DatabaseTransaction,
    event: &Event,
    error: &Error,
) -> Result<Vec<Change>> {
    if describe(&event.body).0 != "training" {
        return Ok(Vec::new());
    }
    let failed = Body::TrainingFailed {
        code: "report".to_owned(),
        message: format!("what its function reported cannot be applied: {error}"),
    };
    training::report::apply(app, transaction, event.subject, event.time, &failed).await
}

async fn apply(
    app: &App,
    transaction: &sea_orm::DatabaseTransaction,
    event: &Event,
) -> Result<Vec<Change>> {
    let (owner, kind) = describe(&event.body);
    let known = function_event::Entity::find_by_id(event.id)
        .one(transaction)
        .await?;
    if known.is_some() {
        return Ok(Vec::new());
    }
    // Heartbeats say how things stand, not what happened: they leave no row.
    if !matches!(event.body, Body::InferenceProgress(_)) {
        let row = function_event::Model {
            id: event.id,
            function_kind: owner.to_owned(),
            owner_id: event.subject,
            kind: kind.to_owned(),
            body: serde_json::to_value(&event.body).map_err(Error::internal)?,
            occurred_at: event.time,
        };
        row.into_active_model().insert(transaction).await?;
    }
    match owner {
        "training" => {
            training::report::apply(app, transaction, event.subject, event.time, &event.body).await
        }
        _ => inference::apply(app, transaction, event).await,
    }
}

/// Whom an event is about and what it says, in the words of the history.
fn describe(body: &Body) -> (&'static str, &'static str) {
    match body {
        Body::TrainingStarted { .. } => ("training", "started"),
        Body::TrainingEpoch(_) => ("training", "epoch"),
        Body::TrainingWaiting { .. } => ("training", "waiting"),
        Body::TrainingWarned { .. } => ("training", "warned"),
        Body::TrainingSucceeded { .. } => ("training", "succeeded"),
        Body::TrainingFailed { .. } => ("training", "failed"),
        Body::TrainingCancelled => ("training", "cancelled"),
        Body::InferenceRunning { .. } => ("inference", "running"),
        Body::InferenceDegraded { .. } => ("inference", "degraded"),
        Body::InferenceProgress(_) => ("inference", "progress"),
    }
}
