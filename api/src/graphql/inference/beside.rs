//! Replays and rescoring: what clients give to make them, and how far an inference that ends has to go.

use async_graphql::{ID, InputObject, SimpleObject};

use super::Inference;
use super::input::{StartInput, StartPlace};
use crate::app::inference::{Beside, Extent, Handover, Place, Position, Span, Start};
use crate::app::version::Selector;
use crate::app::{Code, Error, Result};
use crate::graphql::{GlobalId, Long};

/// What an inference answers of its input, where that ends.
#[derive(SimpleObject)]
pub struct InferenceSpan {
    /// The ends of the partitions that it reads. Of one that takes another's place: where that one was a moment ago.
    ends: Vec<PartitionOffset>,
    /// Records a second at most, of all replicas together.
    records_per_second: Option<u32>,
}

/// An offset in a partition.
#[derive(SimpleObject)]
pub struct PartitionOffset {
    /// The partition.
    partition: i32,
    /// The offset; of an end: that of the first record that is not read.
    offset: Long,
}

/// That an inference has taken another one's place.
#[derive(SimpleObject)]
pub struct InferenceHandover {
    /// The name that the other one had.
    inference: String,
    /// Where that one stopped in each partition of the input. Records before these offsets were answered by it, all from
    /// there on by this one.
    offsets: Vec<PartitionOffset>,
}

fn offsets(positions: Vec<Position>) -> Vec<PartitionOffset> {
    let offset = |one: Position| PartitionOffset {
        partition: one.partition,
        offset: Long(one.offset),
    };
    positions.into_iter().map(offset).collect()
}

impl From<Span> for InferenceSpan {
    fn from(span: Span) -> Self {
        Self {
            ends: offsets(span.ends),
            records_per_second: span.records_per_second,
        }
    }
}

impl From<Handover> for InferenceHandover {
    fn from(handover: Handover) -> Self {
        Self {
            inference: handover.inference,
            offsets: offsets(handover.offsets),
        }
    }
}

/// What `replayInference` needs: a `segment`, or a `start`, an `end` or both.
#[derive(InputObject)]
pub struct ReplayInferenceInput {
    /// The project.
    #[graphql(default = "default")]
    pub project: String,
    /// The inference beside which it works: it does what that one does.
    inference: String,
    /// Its own name.
    name: String,
    /// The version to run; that of the other one, or its alias, without.
    version: Option<i32>,
    /// The alias to follow.
    alias: Option<String>,
    /// Where its predictions go. Name the other one's topic if they shall go there too.
    output_topic: String,
    /// Where records of which it is not sure are handed on to, where the other one hands on any.
    hand_on_topic: Option<String>,
    /// The segment to answer.
    segment: Option<ID>,
    /// Where to begin; the first record that Kafka keeps without.
    start: Option<StartInput>,
    /// Where to end, exclusive; behind everything that is in the topic at this moment without. Partitions whose offsets are
    /// not named are not read.
    end: Option<StartInput>,
    /// Records a second at most, of all replicas together.
    records_per_second: Option<u32>,
    /// How many functions share the work.
    #[graphql(default = 1)]
    replicas: i32,
}

/// What `replayInference` made.
#[derive(SimpleObject)]
pub struct ReplayInferencePayload {
    /// The new inference. It is `FINISHED` when it has answered all.
    pub inference: Inference,
}

/// What `rescoreInference` needs.
#[derive(InputObject)]
pub struct RescoreInferenceInput {
    /// The project.
    #[graphql(default = "default")]
    pub project: String,
    /// The inference whose place it takes in the end: it does what that one does.
    inference: String,
    /// Its own name.
    name: String,
    /// The version to run; or else `alias`.
    version: Option<i32>,
    /// The alias to follow.
    alias: Option<String>,
    /// Where its predictions go, now and later. Name the other one's topic if they shall go there too.
    output_topic: String,
    /// Where records of which it is not sure are handed on to, where the other one hands on any.
    hand_on_topic: Option<String>,
    /// From where on everything is answered once more; the first record that Kafka keeps without.
    start: Option<StartInput>,
    /// Records a second at most, of all replicas together, until it takes the other one's place.
    records_per_second: Option<u32>,
    /// How many functions share the work.
    #[graphql(default = 1)]
    replicas: i32,
}

/// What `rescoreInference` made.
#[derive(SimpleObject)]
pub struct RescoreInferencePayload {
    /// The new inference. It takes the other one's place by itself.
    pub inference: Inference,
}

impl ReplayInferenceInput {
    /// The input as the application takes it.
    pub fn into_replay(self) -> Result<(Beside, Extent)> {
        let version = match (self.version, self.alias) {
            (None, None) => None,
            (version, alias) => Some(selector(version, alias)?),
        };
        let end = match (&self.segment, self.end) {
            (None, None) => Some(StartInput::At(StartPlace::Now)),
            (_, end) => end,
        };
        let extent = extent(self.start, end, self.segment.as_ref())?;
        let beside = Beside {
            inference: self.inference,
            name: self.name,
            version,
            output_topic: self.output_topic,
            hand_on_topic: self.hand_on_topic,
            records_per_second: self.records_per_second,
            replicas: self.replicas,
        };
        Ok((beside, extent))
    }
}

impl RescoreInferenceInput {
    /// The input as the application takes it.
    pub fn into_rescore(self) -> Result<(Beside, Start)> {
        let beside = Beside {
            inference: self.inference,
            name: self.name,
            version: Some(selector(self.version, self.alias)?),
            output_topic: self.output_topic,
            hand_on_topic: self.hand_on_topic,
            records_per_second: self.records_per_second,
            replicas: self.replicas,
        };
        let start = self.start.map_or(Start::At(Place::Earliest), Into::into);
        Ok((beside, start))
    }
}

/// The version or the alias.
pub(super) fn selector(version: Option<i32>, alias: Option<String>) -> Result<Selector> {
    match (version, alias) {
        (Some(number), None) => Ok(Selector::Number(number)),
        (None, Some(alias)) => Ok(Selector::Alias(alias)),
        _ => Err(Error::new(
            Code::InvalidInput,
            "give `version` or `alias`, one of them",
        )),
    }
}

/// Which records are answered.
pub(super) fn extent(
    start: Option<StartInput>,
    end: Option<StartInput>,
    segment: Option<&ID>,
) -> Result<Extent> {
    Ok(match (segment, start, end) {
        (Some(id), None, None) => Extent::Segment(GlobalId::expect(id, "Segment")?),
        (Some(_), _, _) => {
            return Err(Error::new(
                Code::InvalidInput,
                "a segment has a start and an end of its own: give `segment` alone",
            ));
        }
        (None, start, None) => Extent::From(start.map_or(Start::At(Place::Now), Into::into)),
        (None, start, Some(end)) => Extent::Between(
            start.map_or(Start::At(Place::Earliest), Into::into),
            end.into(),
        ),
    })
}
