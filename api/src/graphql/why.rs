//! Why an answer is what it is.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use millrace_wire::samples::Tolerance;

use super::context::Find as _;
use super::inference::Inference;
use super::record::{Bytes, DecodedRecord, KafkaRecord};
use super::report;
use super::training::OperationError;
use super::version::Version;
use crate::app::datasource;
use crate::app::why::{self, Gone, Refusal, Verdict};

/// An answer, and where it comes from.
pub struct Why(pub why::Why);

/// The answer to a record when it is asked for again.
#[derive(SimpleObject)]
pub struct AnswerAgain {
    /// Whether it is the same.
    verdict: AnswerVerdict,
    /// How it compares, as a sentence.
    message: String,
    /// The value that an output would have now.
    value: Option<Bytes>,
    /// What is wrong with the record now, where it cannot be answered.
    refusal: Option<OperationError>,
    /// The largest difference of two numbers, where the answer is the same but for these.
    largest_difference: Option<f64>,
}

/// Whether two answers are the same.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Verdict")]
pub enum AnswerVerdict {
    /// Bit for bit; of dead letters, by the same error.
    Same,
    /// But for numbers that are close enough.
    Close,
    /// They are not.
    Different,
    /// The record could not be answered again; the message says why.
    Impossible,
}

impl From<why::Again> for AnswerAgain {
    fn from(again: why::Again) -> Self {
        Self {
            verdict: again.verdict.into(),
            message: again.message,
            value: again.value.as_deref().map(Bytes::of),
            refusal: again.refusal.map(error_of),
            largest_difference: again.largest_difference,
        }
    }
}

fn error_of(refusal: Refusal) -> OperationError {
    OperationError::new(refusal.code, refusal.message)
}

fn gone(gone: &Gone) -> OperationError {
    OperationError::new(gone.code.as_str(), gone.message.clone())
}

/// An answer, and where it comes from.
#[Object]
impl Why {
    /// The record that was asked about.
    async fn record(&self) -> KafkaRecord {
        KafkaRecord::new(self.0.record.clone())
    }

    /// Why the input has no output, where the record is a dead letter.
    async fn refusal(&self) -> Option<OperationError> {
        self.0.refusal.clone().map(error_of)
    }

    /// The record that it answers, as `topic/partition/offset`: where it came from first, also if it was sent back from the
    /// dead letters meanwhile.
    async fn source(&self) -> &str {
        &self.0.source
    }

    /// The record that it answers; where Kafka has dropped it, as a dead letter of it kept it. Null where it cannot be had.
    async fn input(&self, context: &Context<'_>) -> Option<KafkaRecord> {
        let input = self.0.input(context.app()).await.as_ref().ok()?;
        Some(KafkaRecord::of_time(
            input.record.clone(),
            input.timestamp_ms,
        ))
    }

    /// Why the input cannot be had.
    async fn input_error(&self, context: &Context<'_>) -> Option<OperationError> {
        let input = self.0.input(context.app()).await;
        input.as_ref().err().map(gone)
    }

    /// The input as the inference's datasource reads it.
    async fn decoded(&self, context: &Context<'_>) -> Result<Option<DecodedRecord>> {
        let app = context.app();
        let (Some(row), Ok(input)) = (&self.0.inference, self.0.input(app).await) else {
            return Ok(None);
        };
        let source = datasource::get(&app.database, row.datasource_id).await;
        let format = source.and_then(|source| datasource::format(&source));
        let format = format.map_err(report)?;
        Ok(Some(DecodedRecord::of(&input.record, &format)))
    }

    /// The name of the model that answered.
    async fn model(&self) -> &str {
        &self.0.model
    }

    /// The number of the version that answered.
    async fn version_number(&self) -> i32 {
        self.0.number
    }

    /// That version; its training, segment and parent say where it comes from. Null where it was deleted.
    async fn version(&self) -> Option<Version> {
        self.0.version.as_ref().ok().cloned().map(Version)
    }

    /// Why there is no such version.
    async fn version_error(&self) -> Option<OperationError> {
        self.0.version.as_ref().err().map(gone)
    }

    /// The inference that writes there with this model; null where there is none any more.
    async fn inference(&self) -> Option<Inference> {
        self.0.inference.clone().map(Inference)
    }

    /// Runs the input with the version once more, and compares the answers. Numbers are close where
    /// |now − then| ≤ absoluteTolerance + relativeTolerance × |then|.
    async fn again(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "Tolerance::default().relative")] relative_tolerance: f64,
        #[graphql(default_with = "Tolerance::default().absolute")] absolute_tolerance: f64,
    ) -> Result<AnswerAgain> {
        let tolerance = Tolerance {
            relative: relative_tolerance,
            absolute: absolute_tolerance,
        };
        let again = self.0.again(context.app(), tolerance).await;
        Ok(again.map_err(report)?.into())
    }
}
