//! The outbox: records for Kafka, written in the database transaction of the change that they
//! announce, sent afterwards in the order in which they were written.
//!
//! A row goes when Kafka has acknowledged its record, so a kill at any point repeats records at
//! most and loses none. Records of one key are in order: the change that wrote the earlier one
//! held a lock on its row until it was committed.
//!
//! What a record of the registry topic says stands in the artifact store as well, before it is sent:
//! there look functions that hold no consumer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use millrace_entity::{connection, outbox};
use millrace_kafka::OutRecord;
use millrace_wire::registry;
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use super::{App, Error, Result, Shutdown, connection as connections};

/// Most records that are under way at once.
const BATCH: u64 = 256;
/// How long a failed sending is left alone, and how often the table is looked at unasked.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the artifact store may take for a pointer: what is behind it waits.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

/// Wakes the publisher.
#[derive(Debug, Clone, Default)]
pub struct Outbox(Arc<Notify>);

impl Outbox {
    /// Tells the publisher that a transaction with records was committed. One that is never told
    /// finds them a second later.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// A record to be sent.
#[derive(Debug, Clone)]
pub struct Message {
    /// The cluster.
    pub connection_id: Uuid,
    /// The topic.
    pub topic: String,
    /// The partition; the key decides without one.
    pub partition: Option<i32>,
    /// The key.
    pub key: String,
    /// The value; none is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Puts a record into the outbox, in the transaction of the change that it announces. Call
/// [`Outbox::wake`] after the commit.
///
/// # Errors
/// The database's.
pub async fn add(app: &App, transaction: &impl ConnectionTrait, message: Message) -> Result<()> {
    let value = message
        .value
        .map(String::from_utf8)
        .transpose()
        .map_err(Error::internal)?;
    outbox::ActiveModel {
        id: NotSet,
        topic: Set(message.topic),
        partition: Set(message.partition),
        key: Set(message.key),
        value: Set(value),
        connection_id: Set(message.connection_id),
        created_at: Set(app.now()),
    }
    .insert(transaction)
    .await?;
    Ok(())
}

/// Sends what is in the outbox until the end is ordered.
pub async fn publish(app: App, shutdown: Shutdown) {
    loop {
        let sending = async {
            match send_all(&app).await {
                Ok(0) => {
                    // A timeout is the usual end of this wait.
                    drop(tokio::time::timeout(PAUSE, app.outbox.0.notified()).await);
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "the outbox waits");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        };
        tokio::select! {
            () = sending => {}
            () = shutdown.requested() => return,
        }
    }
}

/// Sends a batch to every cluster that has one; gives back how many records were sent. A cluster
/// that does not answer keeps only its own records waiting.
async fn send_all(app: &App) -> Result<usize> {
    let connections: Vec<Uuid> = outbox::Entity::find()
        .select_only()
        .column(outbox::Column::ConnectionId)
        .distinct()
        .into_tuple()
        .all(&app.database)
        .await?;
    let sent = futures::future::join_all(
        connections
            .into_iter()
            .map(|connection| send_batch(app, connection)),
    )
    .await;
    let mut total = 0;
    let mut failure = None;
    for result in sent {
        match result {
            Ok(count) => total += count,
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) if total == 0 => Err(error),
        _ => Ok(total),
    }
}

async fn send_batch(app: &App, connection_id: Uuid) -> Result<usize> {
    let row = connection::Entity::find_by_id(connection_id)
        .one(&app.database)
        .await?
        .ok_or_else(|| Error::internal(format!("the connection {connection_id} is missing")))?;
    let rows = outbox::Entity::find()
        .filter(outbox::Column::ConnectionId.eq(connection_id))
        .order_by_asc(outbox::Column::Id)
        .limit(BATCH)
        .all(&app.database)
        .await?;
    let registry_topic = connections::names_of(&row)?.registry();
    let (rows, mut failure) = keep_pointers(app, &registry_topic, rows).await;
    let producer = app.clusters.get(&row)?.producer()?;
    let (rows, deliveries) = tokio::task::spawn_blocking(move || {
        let mut deliveries = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut record = OutRecord::to(&row.topic).key(row.key.as_bytes());
            record.partition = row.partition;
            record.value = row.value.as_deref().map(str::as_bytes);
            let delivery = producer.send_and_wait(&record);
            let failed = delivery.is_err();
            deliveries.push(delivery);
            if failed {
                break;
            }
        }
        (rows, deliveries)
    })
    .await
    .map_err(Error::internal)?;

    let mut sent = Vec::with_capacity(rows.len());
    let mut has_failed = false;
    for (row, delivery) in rows.iter().zip(deliveries) {
        let delivered = match delivery {
            Ok(delivery) => delivery.await,
            Err(error) => Err(error),
        };
        match delivered {
            // What follows a failure is sent again behind it, to keep the order.
            Ok(_) if !has_failed => sent.push(row.id),
            Ok(_) => {}
            Err(error) => {
                has_failed = true;
                failure = failure.or(Some(error.into()));
            }
        }
    }
    let count = sent.len();
    if count > 0 {
        outbox::Entity::delete_many()
            .filter(outbox::Column::Id.is_in(sent))
            .exec(&app.database)
            .await?;
    }
    match failure {
        Some(error) if count == 0 => Err(error),
        _ => Ok(count),
    }
}

/// Puts the pointers among these records into the artifact store, and gives back the records that may be sent now. Where a
/// pointer cannot be put there, its record and the pointers behind it wait for another try, to keep their order. Of several
/// moves of one alias the newest is put there at once: a try that is repeated never goes back behind it.
async fn keep_pointers(
    app: &App,
    registry_topic: &str,
    rows: Vec<outbox::Model>,
) -> (Vec<outbox::Model>, Option<Error>) {
    let pointers = rows.iter().filter(|row| row.topic == registry_topic);
    let newest: BTreeMap<String, Option<String>> = pointers
        .map(|row| (row.key.clone(), row.value.clone()))
        .collect();
    let mut written = BTreeSet::new();
    let mut kept = Vec::with_capacity(rows.len());
    let mut failure = None;
    for row in rows {
        if row.topic == registry_topic {
            if failure.is_some() {
                continue;
            }
            if written.insert(row.key.clone()) {
                let newest = newest.get(&row.key).and_then(Option::as_deref);
                if let Err(error) = keep_pointer(app, &row.key, newest).await {
                    failure = Some(error);
                    continue;
                }
            }
        }
        kept.push(row);
    }
    (kept, failure)
}

async fn keep_pointer(app: &App, key: &str, pointer: Option<&str>) -> Result<()> {
    let name = registry::object(key);
    let keep = async {
        match pointer {
            Some(pointer) => {
                let bytes = pointer.to_owned().into_bytes().into();
                app.artifacts.put_object(&name, bytes).await
            }
            None => app.artifacts.delete_object(&name).await,
        }
    };
    match timeout(STORE_TIMEOUT, keep).await {
        Ok(kept) => kept.map_err(Error::internal),
        Err(_) => Err(Error::internal("the artifact store does not answer")),
    }
}
