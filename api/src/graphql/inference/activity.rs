//! What the functions of an inference did, and how long it took them.

use async_graphql::{Enum, SimpleObject};
use millrace_wire::progress::{Histogram, RECORDS, SECONDS, Stage};

use super::Long;
use crate::app::inference::Activity;

/// What the functions of an inference did in the last minute, as they last reported.
#[derive(SimpleObject)]
pub struct InferenceActivity {
    /// Records answered, handed on or sent to the dead letters, a second.
    records_per_second: f64,
    /// Records in each batch; null where there was none.
    batch_records: Option<Distribution>,
    /// How long the stages of the work on a batch took, in their order.
    stages: Vec<StageActivity>,
}

/// How long a stage of the work took.
#[derive(SimpleObject)]
pub struct StageActivity {
    /// The stage.
    stage: InferenceStage,
    /// Seconds for each batch.
    seconds: Distribution,
}

/// A stage of the work on a batch of records.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Stage")]
pub enum InferenceStage {
    /// Until there was a record.
    Wait,
    /// From records to numbers.
    Decode,
    /// The model's run, or runs where a record made one fail.
    Run,
    /// From numbers to answers.
    Encode,
    /// The hand-over to the Kafka client.
    Send,
    /// The commit of what was sent, of one batch or of several.
    Commit,
}

/// How values are distributed. Median and p99 are estimated from counts of values between fixed bounds.
#[derive(SimpleObject)]
pub struct Distribution {
    /// How many there are.
    count: Long,
    /// All of them together.
    sum: f64,
    /// Their mean.
    mean: f64,
    /// Half of them are smaller.
    median: f64,
    /// 99 of 100 are smaller.
    p99: f64,
}

/// Records that could not be answered for one reason.
#[derive(SimpleObject)]
pub struct ErrorCount {
    /// The reason's code, as dead letters have it.
    pub(super) code: String,
    /// How many.
    pub(super) records: Long,
}

impl Distribution {
    /// Nothing where there is no value.
    fn of(histogram: &Histogram, bounds: &[f64]) -> Option<Self> {
        Some(Self {
            count: histogram.count().into(),
            sum: histogram.sum,
            mean: histogram.mean()?,
            median: histogram.quantile(bounds, 0.5)?,
            p99: histogram.quantile(bounds, 0.99)?,
        })
    }
}

impl From<Activity> for InferenceActivity {
    fn from(activity: Activity) -> Self {
        let stages = activity.stages.iter().filter_map(|(stage, histogram)| {
            Some(StageActivity {
                stage: (*stage).into(),
                seconds: Distribution::of(histogram, &SECONDS)?,
            })
        });
        Self {
            records_per_second: activity.records_per_second,
            batch_records: Distribution::of(&activity.batches, &RECORDS),
            stages: stages.collect(),
        }
    }
}
