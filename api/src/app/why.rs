//! Why an output record is what it is: its input, the version that answered, and whether that version answers the same
//! again.
//!
//! Invariant: nothing is written anywhere. What is gone (an input that Kafka dropped, a version that was deleted) is told
//! as such, and the rest is told nevertheless.

mod compare;
mod pinned;
mod told;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use millrace_entity::{inference, version};
use millrace_kafka::{Connection, Range, RangeReader, Record, RecordView};
use millrace_wire::header;
use millrace_wire::pinned::{Header, Record as Copied};
use millrace_wire::prediction::Source;
use millrace_wire::samples::Tolerance;
use millrace_wire::trial::{Bytes, Outcome, Work};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use tokio::sync::OnceCell;
use uuid::Uuid;

use compare::Written;
pub use compare::{Again, Refusal, Verdict};
use told::{Told, told};

use super::reconciler::specification;
use super::reconciler::topics::writes_to;
use super::version::{self as versions, Selector};
use super::{
    App, Cluster, Code, Error, Result, connection as connections, dead_letter, model as models,
    project as projects, samples,
};

/// How long the reading of one record may stand still.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long one look for it lasts.
const LOOK: Duration = Duration::from_millis(100);

/// An output record or a dead letter, and where it comes from.
pub struct Why {
    /// The record.
    pub record: Record,
    /// The record that it answers, as `topic/partition/offset`.
    pub source: String,
    /// What is wrong with that record, where this is a dead letter.
    pub refusal: Option<Refusal>,
    /// The model's name.
    pub model: String,
    /// The version's number.
    pub number: i32,
    /// The version, or why there is none any more.
    pub version: std::result::Result<version::Model, Gone>,
    /// The inference that writes there, if there still is one.
    pub inference: Option<inference::Model>,
    cluster: Cluster,
    input: OnceCell<std::result::Result<Input, Gone>>,
}

/// The record that was answered.
#[derive(Debug, Clone)]
pub struct Input {
    /// The record where it lies now: in the input, in the copy of a pinned segment, or where a dead letter of it lies.
    pub record: Record,
    /// Its time, which is not that of a copy.
    pub timestamp_ms: Option<i64>,
    /// Whether a dead letter kept it, with headers of its own.
    is_copy: bool,
}

/// Why something is not there.
#[derive(Debug, Clone)]
pub struct Gone {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
}

impl From<Error> for Gone {
    fn from(error: Error) -> Self {
        let (code, message) = (error.code(), error.to_string());
        if code == Code::Internal {
            tracing::error!(%error, "a record could not be explained");
            let message = "an internal error occurred; the API's log has the details".to_owned();
            return Self { code, message };
        }
        Self { code, message }
    }
}

/// Explains the record at a place, `topic/partition/offset`.
///
/// # Errors
/// `INVALID_INPUT` for another text, and for a record that no version of Millrace answered; `NOT_FOUND`, `TOPIC_NOT_FOUND`,
/// `SEGMENT_EXPIRED` and `SEGMENT_IN_FUTURE` where there is no record; Kafka's.
pub async fn why(app: &App, project: &str, connection: &str, place: &str) -> Result<Why> {
    let address = Source::parse(place).ok_or_else(|| {
        Error::new(
            Code::InvalidInput,
            format!("{place:?} is not the place of a record; give topic/partition/offset"),
        )
    })?;
    let project = projects::find(&app.database, project).await?;
    let connection = connections::find(&app.database, project.id, connection).await?;
    let cluster = app.cluster(connection.id).await?;
    let record = read_at(app, &cluster, address).await?;
    let Told {
        source,
        model,
        number,
        refusal,
    } = Told::by(&record, place)?;
    let version = find_version(app, project.id, &model, number).await;
    let found = version.as_ref().ok();
    let inference = find_inference(app, connection.id, address.topic, &source, found).await?;
    Ok(Why {
        record,
        source,
        refusal,
        model,
        number,
        version: version.map_err(Gone::from),
        inference,
        cluster,
        input: OnceCell::new(),
    })
}

impl Why {
    /// The record that was answered, or why it cannot be had.
    pub async fn input(&self, app: &App) -> &std::result::Result<Input, Gone> {
        self.input
            .get_or_init(|| async { self.find_input(app).await.map_err(Gone::from) })
            .await
    }

    async fn find_input(&self, app: &App) -> Result<Input> {
        let source = Source::parse(&self.source).ok_or_else(|| {
            Error::new(
                Code::InvalidInput,
                format!(
                    "the record's header {} holds {:?}",
                    header::SOURCE,
                    self.source
                ),
            )
        })?;
        let found = match &self.inference {
            Some(row) if row.input_topic == source.topic => {
                let (topic, id) = (row.input_topic.clone(), row.input_topic_id.clone());
                self.cluster
                    .run(move |admin| admin.check_topic_id(&topic, &id))
                    .await
            }
            _ => Ok(()),
        };
        let found = match found {
            Ok(()) => read_at(app, &self.cluster, source).await,
            Err(error) => Err(error),
        };
        let error = match found {
            Ok(record) => {
                return Ok(Input {
                    timestamp_ms: record.timestamp_ms,
                    record,
                    is_copy: false,
                });
            }
            Err(error) => error,
        };
        let is_gone = matches!(
            error.code(),
            Code::SegmentExpired | Code::TopicNotFound | Code::NotFound
        );
        if !is_gone {
            return Err(error);
        }
        if let Some(record) = pinned::find(app, self.cluster.row().id, source).await? {
            return Ok(Input {
                timestamp_ms: record.timestamp_ms,
                record,
                is_copy: false,
            });
        }
        self.find_copy(app).await?.ok_or(error)
    }

    /// The record as a dead letter of it kept it, in the topic that dead letters come back through or in their own.
    async fn find_copy(&self, app: &App) -> Result<Option<Input>> {
        let Some(row) = &self.inference else {
            return Ok(None);
        };
        let topics = [row.redrive_topic.clone(), row.dead_letter_topic.clone()];
        let (connection, source) = (self.cluster.connection().clone(), self.source.clone());
        let search = move || {
            for topic in topics {
                let mut found = None;
                let searched = dead_letter::read(
                    &connection,
                    &topic,
                    |_| true,
                    |record| {
                        if record.header(header::SOURCE) == Some(source.as_bytes()) {
                            found = Some(record);
                            return Ok(ControlFlow::Break(()));
                        }
                        Ok(ControlFlow::Continue(()))
                    },
                );
                match searched {
                    Err(error) if error.code() == Code::TopicNotFound => {}
                    Err(error) => return Err(error),
                    Ok(()) => {}
                }
                if let Some(record) = found {
                    return Ok(Some(Input {
                        timestamp_ms: told(&record, header::TIMESTAMP)
                            .and_then(|time| time.parse().ok())
                            .or(record.timestamp_ms),
                        record,
                        is_copy: true,
                    }));
                }
            }
            Ok(None)
        };
        app.scans.run(search).await?
    }

    /// Runs the input with the version once more, and compares.
    ///
    /// # Errors
    /// `INVALID_INPUT` for a tolerance that is none.
    pub async fn again(&self, app: &App, tolerance: Tolerance) -> Result<Again> {
        let tolerance = tolerance.check();
        let tolerance = tolerance.map_err(|reason| Error::new(Code::InvalidInput, reason))?;
        match self.rerun(app).await {
            Ok(outcome) => Ok(compare::compare(self.written(), outcome, tolerance)),
            Err(gone) => Ok(Again::impossible(gone.message)),
        }
    }

    fn written(&self) -> Written<'_> {
        if let Some(refusal) = &self.refusal {
            return Written::Refused(refusal);
        }
        let is_output = |row: &inference::Model| row.output_topic == self.record.topic;
        if self.inference.as_ref().is_none_or(is_output) {
            Written::Output(self.record.value.as_deref().unwrap_or_default())
        } else {
            Written::HandedOn
        }
    }

    async fn rerun(&self, app: &App) -> std::result::Result<Outcome, Gone> {
        let version = self.version.as_ref().map_err(Clone::clone)?;
        let Some(row) = &self.inference else {
            return Err(Gone {
                code: Code::NotFound,
                message: format!(
                    "no inference writes from {} to {} with the model {:?} any more, so how its records are read and written is not known",
                    Source::parse(&self.source).map_or("?", |source| source.topic),
                    self.record.topic,
                    self.model
                ),
            });
        };
        let input = self.input(app).await.as_ref().map_err(Clone::clone)?;
        let work = Work::Record {
            spec: Box::new(specification(app, row, version).await?),
            version: versions::wire(version)?,
            source: self.source.clone(),
            record: Bytes::of(&input.to_wire()),
        };
        Ok(samples::run(app, work).await?)
    }
}

impl Input {
    /// The record as it was when it was answered: without what Millrace added to a dead letter.
    fn to_wire(&self) -> Copied {
        let record = &self.record;
        let headers = record.headers.iter();
        let own = headers.filter(|(name, _)| !self.is_copy || !header::is_ours(name));
        Copied {
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: self.timestamp_ms,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: own
                .map(|(name, value)| Header {
                    name: name.clone(),
                    value: value.clone(),
                })
                .collect(),
        }
    }
}

async fn find_version(
    app: &App,
    project_id: Uuid,
    model: &str,
    number: i32,
) -> Result<version::Model> {
    let deleted = |error: Error| match error.code() {
        Code::NotFound => Error::new(
            Code::NotFound,
            format!(
                "version {number} of the model {model:?} was deleted, or is another project's ({error})"
            ),
        ),
        _ => error,
    };
    let row = models::find(&app.database, project_id, model).await;
    let row = row.map_err(deleted)?;
    let selector = Selector::Number(number);
    let found = versions::select(&app.database, &row, &selector).await;
    found.map_err(deleted)
}

/// The inference that writes such records there: the newest, where several do.
async fn find_inference(
    app: &App,
    connection_id: Uuid,
    topic: &str,
    source: &str,
    version: Option<&version::Model>,
) -> Result<Option<inference::Model>> {
    let (Some(source), Some(version)) = (Source::parse(source), version) else {
        return Ok(None);
    };
    let candidates = inference::Entity::find()
        .filter(inference::Column::ConnectionId.eq(connection_id))
        .filter(inference::Column::ModelId.eq(version.model_id))
        .filter(inference::Column::InputTopic.eq(source.topic))
        .order_by_desc(inference::Column::Id)
        .all(&app.database)
        .await?;
    for row in candidates {
        if writes_to(&row, topic)? {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Reads one record, on a thread where that may block.
async fn read_at(app: &App, cluster: &Cluster, place: Source<'_>) -> Result<Record> {
    let connection = cluster.connection().clone();
    let (topic, partition, offset) = (place.topic.to_owned(), place.partition, place.offset);
    app.scans
        .run(move || read_one(&connection, &topic, partition, offset))
        .await?
}

fn read_one(connection: &Connection, topic: &str, partition: i32, offset: i64) -> Result<Record> {
    let range = Range {
        partition,
        start: offset,
        end: offset.saturating_add(1),
    };
    let mut reader = RangeReader::open(connection, topic, &[range])?;
    let started = Instant::now();
    while !reader.is_done() {
        let batch = reader.next_batch(1, LOOK)?;
        if let Some(record) = batch.first() {
            return Ok(RecordView::to_record(record));
        }
        if started.elapsed() > PATIENCE {
            return Err(Error::new(
                Code::KafkaUnreachable,
                format!(
                    "the record {topic}/{partition}/{offset} did not come for {} s: its broker is away, or a transaction before it is open; try again",
                    PATIENCE.as_secs()
                ),
            ));
        }
    }
    Err(Error::new(
        Code::NotFound,
        format!(
            "there is no record at {topic}/{partition}/{offset}: the offset belongs to the end of a transaction or to one that was aborted, or compaction took it"
        ),
    ))
}
