//! Segments: the object and its mutations.

use async_graphql::{Context, ID, InputObject, Object, Result, SimpleObject};
use chrono::{DateTime, Utc};
use millrace_entity::{segment as rows, training as training_rows};
use millrace_kafka::Range;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::context::Find as _;
use super::datasource::Datasource;
use super::loader::DatasourceId;
use super::training::Training;
use super::{GlobalId, Long, Page, PageArguments, report};
use crate::app::segment::{self, NewSegment, Selection};
use crate::app::{Code, Error, pin};

/// An immutable set of records: offsets in one topic of one cluster.
pub struct Segment(pub rows::Model);

/// Offsets of one partition.
#[derive(SimpleObject)]
pub struct SegmentPartition {
    /// The partition.
    partition: i32,
    /// First offset.
    start: Long,
    /// Exclusive end.
    end: Long,
    /// Committed records really there; markers of transactions and aborted records leave gaps.
    count: Long,
}

/// How a segment is split.
#[derive(SimpleObject)]
pub struct Split {
    /// Seed of the permutation.
    seed: Long,
    /// Share for validation.
    validation: f64,
    /// Share for the final test.
    test: f64,
}

#[Object]
impl Segment {
    /// Global id.
    pub async fn id(&self) -> ID {
        GlobalId::encode("Segment", self.0.id)
    }

    /// A name for people.
    async fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// The datasource.
    async fn datasource(&self, context: &Context<'_>) -> Result<Datasource> {
        let row = context
            .rows()
            .load_one(DatasourceId(self.0.datasource_id))
            .await?;
        row.map(Datasource)
            .ok_or_else(|| report(Error::internal("a segment without its datasource")))
    }

    /// Kafka's id of the cluster.
    async fn cluster_id(&self) -> &str {
        &self.0.cluster_id
    }

    /// Kafka's id of the topic.
    async fn topic_id(&self) -> &str {
        &self.0.topic_id
    }

    /// The topic's name.
    async fn topic(&self) -> &str {
        &self.0.topic
    }

    /// The offsets, by partition.
    async fn partitions(&self) -> Result<Vec<SegmentPartition>> {
        let ranges = segment::ranges(&self.0).map_err(report)?;
        Ok(ranges
            .into_iter()
            .map(|range| SegmentPartition {
                partition: range.partition,
                start: range.start.into(),
                end: range.end.into(),
                count: range.count.into(),
            })
            .collect())
    }

    /// Committed records in all ranges.
    async fn count(&self) -> Long {
        self.0.count.into()
    }

    /// SHA-256 over the records.
    async fn digest(&self) -> &str {
        &self.0.digest
    }

    /// How it is split.
    async fn split(&self) -> Result<Split> {
        let split = segment::split(&self.0).map_err(report)?;
        Ok(Split {
            seed: split.seed.into(),
            validation: split.validation,
            test: split.test,
        })
    }

    /// Records that trainings see.
    async fn train_count(&self) -> Long {
        self.0.train_count.into()
    }

    /// Records that each epoch is judged by.
    async fn validation_count(&self) -> Long {
        self.0.validation_count.into()
    }

    /// Records that the finished version is judged by.
    async fn test_count(&self) -> Long {
        self.0.test_count.into()
    }

    /// Until when the topic's retention by time surely keeps the records; null: for ever.
    /// Retention by size can take them earlier.
    async fn retained_until(&self) -> Option<DateTime<Utc>> {
        self.0.retained_until
    }

    /// Whether its records are in the artifact store as well, whatever Kafka drops.
    async fn pinned(&self) -> bool {
        self.0.pinned_digest.is_some()
    }

    /// The bytes of that copy.
    async fn pinned_bytes(&self) -> Option<Long> {
        self.0.pinned_bytes.map(Into::into)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// The trainings on it, oldest first.
    async fn trainings(
        &self,
        context: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Result<Page<Training>> {
        let select =
            training_rows::Entity::find().filter(training_rows::Column::SegmentId.eq(self.0.id));
        PageArguments::new(first, after, last, before)
            .page(context, select, Training)
            .await
    }
}

/// Mutations of segments.
#[derive(Default)]
pub struct SegmentMutation;

/// What a segment is made of: `offsets`, or a time span by `from` and `to`.
#[derive(InputObject)]
pub struct CreateSegmentInput {
    /// The project's name.
    #[graphql(default = "default")]
    project: String,
    /// The datasource's name.
    datasource: String,
    /// A name for people.
    name: Option<String>,
    /// Exactly these offsets.
    offsets: Option<Vec<OffsetRangeInput>>,
    /// Records from this time on.
    from: Option<DateTime<Utc>>,
    /// Records before this time; until now if left out.
    to: Option<DateTime<Utc>>,
    /// How it is split.
    #[graphql(default_with = "SplitInput::default()")]
    split: SplitInput,
}

/// Offsets of one partition.
#[derive(InputObject)]
pub struct OffsetRangeInput {
    /// The partition.
    partition: i32,
    /// First offset.
    start: Long,
    /// Exclusive end.
    end: Long,
}

/// How a segment is split; what the shares leave is for training.
#[derive(InputObject)]
pub struct SplitInput {
    /// Seed of the permutation.
    #[graphql(default_with = "Long(0)")]
    seed: Long,
    /// Share for validation, at least 0.
    #[graphql(default)]
    validation: f64,
    /// Share for the final test, at least 0.
    #[graphql(default)]
    test: f64,
}

impl Default for SplitInput {
    fn default() -> Self {
        Self {
            seed: Long(0),
            validation: 0.0,
            test: 0.0,
        }
    }
}

/// The new segment.
#[derive(SimpleObject)]
pub struct CreateSegmentPayload {
    /// The new segment.
    segment: Segment,
}

/// Which segment to pin.
#[derive(InputObject)]
pub struct PinSegmentInput {
    /// Its id.
    id: ID,
}

/// The pinned segment.
#[derive(SimpleObject)]
pub struct PinSegmentPayload {
    /// The segment.
    segment: Segment,
}

/// Which segment to pin no more.
#[derive(InputObject)]
pub struct UnpinSegmentInput {
    /// Its id.
    id: ID,
}

/// The segment without a copy.
#[derive(SimpleObject)]
pub struct UnpinSegmentPayload {
    /// The segment.
    segment: Segment,
}

/// Which segment to delete.
#[derive(InputObject)]
pub struct DeleteSegmentInput {
    /// Its id.
    id: ID,
}

/// What was deleted.
#[derive(SimpleObject)]
pub struct DeleteSegmentPayload {
    /// Its id.
    id: ID,
}

#[Object]
impl SegmentMutation {
    /// Reads the records once and keeps their offsets, count and digest.
    async fn create_segment(
        &self,
        context: &Context<'_>,
        input: CreateSegmentInput,
    ) -> Result<CreateSegmentPayload> {
        let app = context.app();
        let split = millrace_wire::split::Split {
            seed: input.split.seed.0.cast_unsigned(),
            validation: input.split.validation,
            test: input.split.test,
        };
        let selection = selection(input.offsets, input.from, input.to).map_err(report)?;
        let new = NewSegment {
            project: input.project,
            datasource: input.datasource,
            name: input.name,
            selection,
            split,
        };
        let row = segment::create(app, new).await.map_err(report)?;
        Ok(CreateSegmentPayload {
            segment: Segment(row),
        })
    }

    /// Copies a segment's records into the artifact store: trainings take them from there when Kafka has dropped them.
    async fn pin_segment(
        &self,
        context: &Context<'_>,
        input: PinSegmentInput,
    ) -> Result<PinSegmentPayload> {
        let id = GlobalId::expect(&input.id, "Segment").map_err(report)?;
        let row = pin::pin(context.app(), id).await.map_err(report)?;
        Ok(PinSegmentPayload {
            segment: Segment(row),
        })
    }

    /// Gives the copy of a segment's records up.
    async fn unpin_segment(
        &self,
        context: &Context<'_>,
        input: UnpinSegmentInput,
    ) -> Result<UnpinSegmentPayload> {
        let id = GlobalId::expect(&input.id, "Segment").map_err(report)?;
        let row = pin::unpin(context.app(), id).await.map_err(report)?;
        Ok(UnpinSegmentPayload {
            segment: Segment(row),
        })
    }

    /// Deletes a segment that nothing came from. Its records stay in Kafka.
    async fn delete_segment(
        &self,
        context: &Context<'_>,
        input: DeleteSegmentInput,
    ) -> Result<DeleteSegmentPayload> {
        let app = context.app();
        let id = GlobalId::expect(&input.id, "Segment").map_err(report)?;
        segment::delete(app, id).await.map_err(report)?;
        Ok(DeleteSegmentPayload { id: input.id })
    }
}

fn selection(
    offsets: Option<Vec<OffsetRangeInput>>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Result<Selection, Error> {
    match (offsets, from, to) {
        (Some(offsets), None, None) => Ok(Selection::Offsets(
            offsets
                .iter()
                .map(|range| Range {
                    partition: range.partition,
                    start: range.start.0,
                    end: range.end.0,
                })
                .collect(),
        )),
        (None, Some(from), Some(to)) if from >= to => Err(Error::new(
            Code::InvalidInput,
            format!("`from` ({from}) has to be earlier than `to` ({to}), which is exclusive"),
        )),
        (None, Some(from), to) => Ok(Selection::Time { from, to }),
        _ => Err(Error::new(
            Code::InvalidInput,
            "give either `offsets`, or `from` with or without `to`",
        )),
    }
}
