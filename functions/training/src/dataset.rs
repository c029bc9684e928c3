//! A segment's records, decoded and split.
//!
//! Records have their places by (partition, offset), however partitions
//! interleave while they are read, so that the split is the same every time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use millrace_wire::record::{
    DecodeError, Decoder, Dtype, Parts, RecordFormat, SchemaDocument, SchemaKey,
};
use millrace_wire::segment::SegmentDigest;
use millrace_wire::training::TrainingSpec;

use crate::failure::{Failure, Stop};
use crate::inputs::Inputs;
use crate::layout::Layout;
use crate::records::{Block, Records};
use crate::rows::{Hold, Kept, Room};
use crate::spread::are_alike;
use crate::targets::Kind;

/// All that a training learns from and is judged by.
pub struct Dataset {
    /// All records of the segment.
    pub records: Records,
    /// What the optimizer sees: indices of records.
    pub train: Vec<u32>,
    /// What each epoch is judged by.
    pub validation: Vec<u32>,
    /// What the result is judged by.
    pub test: Vec<u32>,
    /// How many records could not be used.
    pub bad: u64,
    /// Whether the first epoch goes through one block after the other.
    pub begins_by_blocks: bool,
}

/// The schemas that records name.
pub trait Registry {
    /// The schema of an id; the inner error says why there is none.
    fn get(&self, key: SchemaKey) -> Result<Result<Arc<SchemaDocument>, String>, Stop>;
}

/// One record as it is read.
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// A block that is complete, and its number.
pub type Complete = (usize, Block);

/// Takes in the records of a segment, and hands them on block by block.
pub struct Builder<'a> {
    spec: &'a TrainingSpec,
    kinds: Vec<Kind>,
    /// What the model takes, where it takes records as they are.
    inputs: Option<&'a Inputs>,
    layout: &'a Layout,
    /// How many records of each partition were taken in.
    taken: BTreeMap<i32, usize>,
    hold: Hold,
    /// The blocks of which some records are there, and not all.
    open: BTreeMap<usize, Block>,
    complete: Sender<Complete>,
    bad: usize,
    digest: SegmentDigest,
    decoder: Decoder,
    schemas: Option<&'a dyn Registry>,
    row: Vec<f32>,
    label: Vec<f32>,
    /// The class that each part of the label is, where it is one.
    classes: Vec<Option<i64>>,
}

impl<'a> Builder<'a> {
    /// For the segment of `spec`, whose labels have parts of these kinds.
    pub fn new(
        spec: &'a TrainingSpec,
        layout: &'a Layout,
        kinds: Vec<Kind>,
        room: &Room,
        complete: Sender<Complete>,
    ) -> Result<Self, Failure> {
        let width = spec.format.elements();
        Ok(Self {
            spec,
            kinds,
            inputs: None,
            layout,
            taken: BTreeMap::new(),
            hold: Hold::new(kept(&spec.format), layout.total(), width, room)?,
            open: BTreeMap::new(),
            complete,
            bad: 0,
            digest: SegmentDigest::new(),
            decoder: Decoder::new(&spec.format, Some(&spec.label)),
            schemas: None,
            row: Vec::with_capacity(width),
            label: Vec::new(),
            classes: Vec::new(),
        })
    }

    /// For a model that takes records as they are: one whose numbers it cannot take cannot be used.
    pub fn with_inputs(mut self, inputs: Option<&'a Inputs>) -> Self {
        self.inputs = inputs;
        self
    }

    /// With schemas for records that carry ids of theirs.
    pub fn with_schemas(mut self, schemas: &'a dyn Registry) -> Self {
        self.schemas = Some(schemas);
        self
    }

    /// Takes in a record. The inner error says why it can't be used; its place
    /// stays empty then.
    pub fn add(&mut self, record: &Record<'_>) -> Result<Result<(), DecodeError>, Stop> {
        self.digest.add(
            record.partition,
            record.offset,
            record.timestamp_ms,
            record.key,
            record.value,
            record.headers.iter().copied(),
        );
        let taken = self.taken.entry(record.partition).or_default();
        let index = self.layout.index(record.partition, *taken).ok_or_else(|| {
            changed(&format!(
                "the record at offset {} of partition {} is one more than there were",
                record.offset, record.partition
            ))
        })?;
        *taken += 1;
        let decoded = loop {
            let decoded = self.decode(record);
            let (Some(key), Some(schemas)) = (
                decoded.as_ref().err().and_then(DecodeError::awaits),
                self.schemas,
            ) else {
                break decoded;
            };
            match schemas.get(key)? {
                Ok(document) => self.decoder.learn(key, &document),
                Err(reason) => {
                    let schema = key.to_string();
                    break Err(DecodeError::BadSchema { schema, reason });
                }
            }
        };
        self.store(index, decoded.is_ok())?;
        Ok(decoded)
    }

    /// Decodes into `row`, `label` and `classes`.
    fn decode(&mut self, record: &Record<'_>) -> Result<(), DecodeError> {
        self.row.clear();
        self.label.clear();
        self.classes.clear();
        let parts = Parts {
            key: record.key,
            value: record.value,
            timestamp_ms: record.timestamp_ms,
            headers: &record.headers,
        };
        self.decoder
            .decode(&parts, &mut self.row, &mut self.label)?;
        if let Some(inputs) = self.inputs {
            inputs.check(&self.row)?;
        }
        let mut label = self.label.as_slice();
        for kind in &self.kinds {
            let (numbers, rest) = label.split_at(kind.elements());
            self.classes.push(kind.class(numbers)?);
            label = rest;
        }
        Ok(())
    }

    /// Puts what was decoded in its place, and hands the block on where it was the last of it.
    fn store(&mut self, index: usize, is_good: bool) -> Result<(), Failure> {
        let (number, place) = self.layout.place(index);
        let block = match self.open.entry(number) {
            Entry::Occupied(block) => block.into_mut(),
            Entry::Vacant(free) => {
                let before = (0..number).map(|block| self.layout.length(block)).sum();
                let count = self.layout.length(number);
                free.insert(Block::new(&self.hold, before, count, &self.kinds)?)
            }
        };
        if is_good {
            let mut label = self.label.as_slice();
            let parts = self.kinds.iter().zip(&self.classes);
            let parts = parts.map(|(kind, class)| {
                let (numbers, rest) = label.split_at(kind.elements());
                label = rest;
                (numbers, *class)
            });
            block.put(place, &self.row, parts)?;
        } else {
            block.leave(place);
            self.bad += 1;
        }
        if block.is_complete()
            && let Some(block) = self.open.remove(&number)
        {
            // Nobody takes them any more where the training has ended.
            self.complete.send((number, block)).ok();
        }
        Ok(())
    }

    /// Checks that these were the segment's records, all of them and unchanged, and that enough of them can be used.
    pub fn finish(self) -> Result<(), Failure> {
        for (partition, count) in self.layout.counts() {
            let taken = self.taken.get(&partition).copied().unwrap_or_default();
            if taken < count {
                return Err(changed(&format!(
                    "partition {partition} had {count} records in its range and has {taken}"
                )));
            }
        }
        let digest = self.digest.finish();
        if digest != self.spec.segment.digest {
            return Err(changed(&format!(
                "the digest of its records was {} and is {digest}",
                self.spec.segment.digest
            )));
        }
        check_share(
            self.bad,
            self.layout.total(),
            self.spec.hyperparameters.max_bad_records,
        )
    }
}

impl Dataset {
    /// Splits all records of the segment of `spec`.
    pub fn new(spec: &TrainingSpec, records: Records) -> Result<Self, Failure> {
        let total = records.layout().total();
        let mut parts = spec
            .segment
            .split
            .parts(total as u64)
            .map_err(|error| Failure::new("split", error.to_string()))?;
        let mut bad = total;
        for (name, part) in [
            ("training", &mut parts.train),
            ("validation", &mut parts.validation),
            ("test", &mut parts.test),
        ] {
            let was_empty = part.is_empty();
            part.retain(|index| records.is_good(*index));
            bad -= part.len();
            if part.is_empty() && !was_empty {
                return Err(Failure::new(
                    "split",
                    format!(
                        "none of the {name} part's records can be used: see the dead letters for why"
                    ),
                ));
            }
        }
        Ok(Self {
            begins_by_blocks: records.layout().blocks() > 1 && are_alike(&records.spreads()),
            records,
            train: parts.train,
            validation: parts.validation,
            test: parts.test,
            bad: bad as u64,
        })
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "the split takes at most 2^32 records"
)]
fn check_share(bad: usize, total: usize, allowed: f64) -> Result<(), Failure> {
    if bad as f64 <= total as f64 * allowed {
        return Ok(());
    }
    Err(Failure::new(
        "bad-records",
        format!(
            "{bad} of the segment's {total} records can't be used, more than the allowed share of {allowed}: \
             the dead letters say of each why"
        ),
    ))
}

fn changed(how: &str) -> Failure {
    Failure::new(
        "segment-changed",
        format!(
            "the segment's records are not those that it was made of: {how}; \
             was the topic compacted or written anew? Make a new segment"
        ),
    )
}

fn kept(format: &RecordFormat) -> Kept {
    match format {
        RecordFormat::Raw(array) => match array.dtype {
            Dtype::Uint8 | Dtype::Bool => Kept::Byte,
            _ => Kept::Float,
        },
        RecordFormat::Image(_) => Kept::Byte,
        RecordFormat::Struct(_)
        | RecordFormat::Json(_)
        | RecordFormat::Avro(_)
        | RecordFormat::Protobuf(_)
        | RecordFormat::Record(_) => Kept::Float,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::sync::mpsc;

    use uuid::Uuid;

    use super::*;
    use crate::layout::BLOCK;
    use crate::testing::spec;

    type Sample<'a> = (i32, i64, &'a [u8], &'a str);

    /// The records of the segment, partitions interleaved.
    const SAMPLES: [Sample<'_>; 5] = [
        (4, 0, &[40, 41], "2"),
        (0, 10, &[0, 1], "0"),
        (0, 12, &[20, 21], "1"),
        (4, 3, &[43, 44], "0"),
        (0, 13, &[30, 31], "2"),
    ];

    fn room() -> Room {
        Room {
            memory_bytes: 1 << 20,
            scratch: std::env::temp_dir(),
        }
    }

    fn add(
        builder: &mut Builder<'_>,
        (partition, offset, value, label): Sample<'_>,
    ) -> Result<Result<(), DecodeError>, Failure> {
        let added = builder.add(&Record {
            partition,
            offset,
            timestamp_ms: Some(1),
            key: None,
            value: Some(value),
            headers: &[("label", Some(label.as_bytes()))],
        });
        added.map_err(|stop| match stop {
            Stop::Failed(failure) => failure,
            other => panic!("{other:?} without a wish to stop"),
        })
    }

    /// The specification of a segment of `samples`, digest included.
    fn spec_of(samples: &[Sample<'_>]) -> TrainingSpec {
        let mut spec = spec(Uuid::nil());
        let mut digest = SegmentDigest::new();
        for (partition, offset, value, label) in samples {
            let headers = [("label", Some(label.as_bytes()))];
            digest.add(
                *partition,
                *offset,
                Some(1),
                None,
                Some(value),
                headers.into_iter(),
            );
        }
        spec.segment.digest = digest.finish();
        spec
    }

    fn build(spec: &TrainingSpec, samples: &[Sample<'_>]) -> Result<Dataset, Failure> {
        build_by(spec, samples, BLOCK)
    }

    fn build_by(
        spec: &TrainingSpec,
        samples: &[Sample<'_>],
        block: usize,
    ) -> Result<Dataset, Failure> {
        let layout = Layout::new(&spec.segment.partitions, block)?;
        let (give, take) = mpsc::channel();
        let mut builder = Builder::new(spec, &layout, vec![Kind::Class(3)], &room(), give)?;
        for sample in samples {
            drop(add(&mut builder, *sample)?);
        }
        builder.finish()?;
        let mut records = Records::new(layout, spec.format.elements());
        for (number, block) in take {
            records.take(number, block);
        }
        Dataset::new(spec, records)
    }

    #[test]
    fn records_stand_by_partition_and_offset() {
        let spec = spec_of(&SAMPLES);
        for block in [BLOCK, 2, 1] {
            let dataset = build_by(&spec, &SAMPLES, block).unwrap();
            let rows: Vec<[f32; 2]> = (0..5)
                .map(|index| {
                    let mut row = [0.0; 2];
                    let records = &dataset.records;
                    records.copy(index, &mut row, &mut Vec::new()).unwrap();
                    row
                })
                .collect();
            let expected = [
                [0.0, 1.0],
                [20.0, 21.0],
                [30.0, 31.0],
                [40.0, 41.0],
                [43.0, 44.0],
            ];
            assert_eq!(rows, expected);
            let labels: Vec<i64> = (0..5)
                .map(|index| dataset.records.class(index, 0))
                .collect();
            assert_eq!(labels, [0, 1, 2, 2, 0]);
            assert_eq!((dataset.train.len(), dataset.bad), (5, 0));
        }
    }

    #[test]
    fn bad_records_are_left_out_and_fail_the_training_beyond_their_share() {
        let mut samples = SAMPLES;
        samples[1].2 = &[0];
        samples[3].3 = "3";
        let mut spec = spec_of(&samples);
        let error = build(&spec, &samples).err().unwrap();
        assert_eq!(error.code, "bad-records");
        assert!(
            error.message.starts_with("2 of the segment's 5 records"),
            "{error}"
        );

        spec.hyperparameters.max_bad_records = 0.4;
        let dataset = build(&spec, &samples).unwrap();
        let mut train = dataset.train.clone();
        train.sort_unstable();
        assert_eq!((train, dataset.bad), (vec![1, 2, 3], 2));

        let layout = Layout::new(&spec.segment.partitions, BLOCK).unwrap();
        let (give, _take) = mpsc::channel();
        let kinds = vec![Kind::Class(3)];
        let mut builder = Builder::new(&spec, &layout, kinds, &room(), give).unwrap();
        let why = add(&mut builder, samples[3]).unwrap().unwrap_err();
        assert_eq!(why.code(), "label-class");
    }

    #[test]
    fn another_set_of_records_is_refused() {
        let spec = spec_of(&SAMPLES);
        let code = |samples: &[Sample<'_>]| build(&spec, samples).err().unwrap().code;
        assert_eq!(code(&SAMPLES[..4]), "segment-changed", "one is missing");
        let mut samples = SAMPLES;
        samples[0].2 = &[40, 42];
        assert_eq!(code(&samples), "segment-changed", "one differs");
        let more = [SAMPLES.as_slice(), &[(4, 4, &[1, 1], "0")]].concat();
        assert_eq!(code(&more), "segment-changed", "one is too many");

        let mut empty = spec.clone();
        empty.segment.partitions.clear();
        assert_eq!(build(&empty, &[]).err().unwrap().code, "segment-empty");
        let mut huge = spec;
        huge.segment.partitions[0].count = u64::MAX;
        assert_eq!(build(&huge, &[]).err().unwrap().code, "segment-too-large");
    }
}
