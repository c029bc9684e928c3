//! Dead letters: what an inference could not answer, looked at and sent back.

use async_graphql::connection::{Connection, Edge, EmptyFields};
use async_graphql::{Context, InputObject, Object, OneofObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::inference as rows;
use millrace_wire::header;
use millrace_wire::record::RecordFormat;

use super::inference::Inference;
use super::record::{Bytes, DecodedRecord, RecordHeader};
use super::{Long, report};
use crate::app::dead_letter::{self, Place, Selection};
use crate::app::{App, Code, Error, datasource};
use crate::graphql::context::Find as _;

/// Most dead letters of one page.
const LARGEST: usize = 500;

/// A page of dead letters.
pub type DeadLetters = Connection<String, DeadLetter, EmptyFields, EmptyFields>;

/// A record that an inference could not answer.
pub struct DeadLetter {
    letter: dead_letter::DeadLetter,
    /// How the datasource says that the record is to be read.
    format: RecordFormat,
}

#[Object]
impl DeadLetter {
    /// Where it lies in the topic of dead letters, as `partition/offset`.
    async fn place(&self) -> String {
        self.letter.place().to_string()
    }

    /// The record's own time.
    async fn timestamp(&self) -> Option<DateTime<Utc>> {
        self.letter.timestamp()
    }

    /// The record's key.
    async fn key(&self) -> Option<Bytes> {
        self.letter.record.key.as_deref().map(Bytes::of)
    }

    /// The record's value.
    async fn value(&self) -> Option<Bytes> {
        self.letter.record.value.as_deref().map(Bytes::of)
    }

    /// Its headers, the record's own and those that say what is wrong.
    async fn headers(&self) -> Vec<RecordHeader> {
        RecordHeader::all(&self.letter.record)
    }

    /// The record as the datasource says that it is to be read.
    async fn decoded(&self) -> DecodedRecord {
        DecodedRecord::of(&self.letter.record, &self.format)
    }

    /// The code of what was wrong with it.
    async fn error(&self) -> Option<String> {
        self.letter.header(header::ERROR)
    }

    /// What was wrong with it, as a sentence.
    async fn message(&self) -> Option<String> {
        self.letter.header(header::ERROR_MESSAGE)
    }

    /// The record of the input that it is, as `topic/partition/offset`.
    async fn source(&self) -> Option<String> {
        self.letter.header(header::SOURCE)
    }

    /// The number of the version that could not answer it.
    async fn version(&self) -> Option<i32> {
        self.letter.header(header::VERSION)?.parse().ok()
    }

    /// How often it was tried.
    async fn attempt(&self) -> u32 {
        self.letter.attempt()
    }

    /// Whether it was sent back. What then cannot be answered again is another dead letter.
    async fn redriven(&self) -> bool {
        self.letter.is_redriven
    }
}

/// One page of an inference's dead letters.
pub(super) async fn list(
    context: &Context<'_>,
    row: &rows::Model,
    first: i32,
    after: Option<String>,
    error: Option<String>,
    redriven: Option<bool>,
) -> Result<DeadLetters> {
    let app = context.app();
    let page = async {
        let first = usize::try_from(first)
            .ok()
            .filter(|first| *first <= LARGEST)
            .ok_or_else(|| {
                Error::new(
                    Code::InvalidInput,
                    format!("a page has 0 to {LARGEST} dead letters"),
                )
            })?;
        let after = after.as_deref().map(Place::parse).transpose()?;
        let page = dead_letter::list(app, row, first, after, error, redriven).await?;
        let mut connection = Connection::new(after.is_some(), page.has_more);
        let format = format(app, row).await?;
        connection
            .edges
            .extend(page.letters.into_iter().map(|letter| {
                let cursor = letter.place().to_string();
                let format = format.clone();
                Edge::new(cursor, DeadLetter { letter, format })
            }));
        Ok::<_, Error>(connection)
    };
    page.await.map_err(report)
}

/// The dead letter at a place.
pub(super) async fn find(
    context: &Context<'_>,
    row: &rows::Model,
    place: &str,
) -> Result<Option<DeadLetter>> {
    let app = context.app();
    let found = async {
        let Some(letter) = dead_letter::find(app, row, Place::parse(place)?).await? else {
            return Ok(None);
        };
        let format = format(app, row).await?;
        Ok::<_, Error>(Some(DeadLetter { letter, format }))
    };
    found.await.map_err(report)
}

async fn format(app: &App, row: &rows::Model) -> crate::app::Result<RecordFormat> {
    datasource::format(&datasource::get(&app.database, row.datasource_id).await?)
}

/// Which dead letters `redriveDeadLetters` sends back.
#[derive(OneofObject)]
pub enum DeadLetterSelection {
    /// All of them, where it is true.
    All(bool),
    /// Those with this error.
    Error(String),
    /// Those at these places, each as `partition/offset`.
    Places(Vec<String>),
}

/// What `redriveDeadLetters` needs.
#[derive(InputObject)]
pub struct RedriveDeadLettersInput {
    /// The project.
    #[graphql(default = "default")]
    pub project: String,
    /// The inference.
    pub name: String,
    /// Which of its dead letters.
    pub select: DeadLetterSelection,
}

/// What `redriveDeadLetters` did.
#[derive(SimpleObject)]
pub struct RedriveDeadLettersPayload {
    /// The inference, which answers them where they stand in its redrive topic.
    pub inference: Inference,
    /// How many were sent back.
    pub sent: Long,
    /// How many had been sent back before, and were passed over.
    pub passed_over: Long,
}

/// Mutations of dead letters.
#[derive(Default)]
pub struct DeadLetterMutation;

#[Object]
impl DeadLetterMutation {
    /// Sends dead letters back to their inference, through a topic that it alone reads; each once,
    /// however often this is asked for.
    async fn redrive_dead_letters(
        &self,
        context: &Context<'_>,
        input: RedriveDeadLettersInput,
    ) -> Result<RedriveDeadLettersPayload> {
        let (row, redriven) = async {
            let selection = input.select.into_selection()?;
            dead_letter::redrive(context.app(), &input.project, &input.name, selection).await
        }
        .await
        .map_err(report)?;
        Ok(RedriveDeadLettersPayload {
            inference: Inference(row),
            sent: redriven.sent.into(),
            passed_over: redriven.passed_over.into(),
        })
    }
}

impl DeadLetterSelection {
    fn into_selection(self) -> crate::app::Result<Selection> {
        Ok(match self {
            Self::All(true) => Selection::All,
            Self::All(false) => {
                return Err(Error::new(
                    Code::InvalidInput,
                    "`all: false` selects nothing; give `all: true`, `error` or `places`",
                ));
            }
            Self::Error(code) => Selection::Error(code),
            Self::Places(places) => {
                let places = places.iter().map(String::as_str).map(Place::parse);
                Selection::Places(places.collect::<crate::app::Result<_>>()?)
            }
        })
    }
}
