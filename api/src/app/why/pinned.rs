//! Records that Kafka has dropped, in the copies of pinned segments.

use futures::TryStreamExt as _;
use millrace_entity::{datasource, segment};
use millrace_kafka::Record;
use millrace_wire::pinned::Reader;
use millrace_wire::prediction::Source;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, JoinType, QueryFilter as _, QuerySelect as _,
    RelationTrait as _,
};
use uuid::Uuid;

use crate::app::{App, Error, Result, segment as segments};

/// The record of a cluster's topic, if the copy of a pinned segment holds it.
pub(super) async fn find(app: &App, connection: Uuid, place: Source<'_>) -> Result<Option<Record>> {
    let _guard = app.artifact_guard.read().await;
    let pinned = segment::Entity::find()
        .join(JoinType::InnerJoin, segment::Relation::Datasource.def())
        .filter(datasource::Column::ConnectionId.eq(connection))
        .filter(segment::Column::Topic.eq(place.topic))
        .filter(segment::Column::PinnedDigest.is_not_null())
        .all(&app.database)
        .await?;
    for row in pinned {
        let holds_it = segments::ranges(&row)?.iter().any(|range| {
            range.partition == place.partition && (range.start..range.end).contains(&place.offset)
        });
        if let (true, Some(digest)) = (holds_it, &row.pinned_digest)
            && let Some(record) = read(app, digest, place).await?
        {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

async fn read(app: &App, digest: &str, place: Source<'_>) -> Result<Option<Record>> {
    let mut file = app.artifacts.reader(digest, None).await?;
    let mut reader = Reader::default();
    while let Some(piece) = file.try_next().await? {
        reader.push(&piece);
        while let Some(found) = reader.record().map_err(Error::internal)? {
            if (found.partition, found.offset) != (place.partition, place.offset) {
                continue;
            }
            let headers = found.headers.into_iter();
            return Ok(Some(Record {
                topic: place.topic.to_owned(),
                partition: found.partition,
                offset: found.offset,
                timestamp_ms: found.timestamp_ms,
                key: found.key,
                value: found.value,
                headers: headers.map(|header| (header.name, header.value)).collect(),
            }));
        }
    }
    Ok(None)
}
