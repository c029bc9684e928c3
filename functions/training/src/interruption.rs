//! Trainings that are interrupted and killed at random points end with the same bytes as those that ran through, and so do
//! those that began before all their records were there.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::cell::Cell;
use std::sync::mpsc::{self, Sender};

use bytes::Bytes;
use millrace_harness::onnxruntime;
use millrace_onnx::StepGraph;
use millrace_onnx::layers::{self, Activation, Layer};
use millrace_wire::event::Epoch;
use millrace_wire::segment::SegmentDigest;
use millrace_wire::split::shuffle;
use millrace_wire::training::{EarlyStopping, Optimizer, TrainingSpec};
use millrace_wire::tuning::{Clipping, Plateau, Schedule, Tuning};
use uuid::Uuid;

use crate::checkpoint::Checkpoint;
use crate::dataset::{Builder, Complete, Dataset, Record};
use crate::early::{Arriving, Early};
use crate::failure::Stop;
use crate::inputs::Inputs;
use crate::layout::{BLOCK, Layout};
use crate::options::options;
use crate::records::Records;
use crate::rows::Room;
use crate::targets::{self, Shapes};
use crate::testing;
use crate::trainer::{Trained, Trainer, Watch};

/// The digest by which the checkpoints are known.
const TRAINING: &str = "training";

/// Lets a training go on for some batches.
struct Chunk {
    left: Cell<u32>,
    /// How it ends.
    stop: Stop,
    /// Every so many batches a checkpoint is written.
    interval: u32,
    saved: Option<Bytes>,
    epochs: Vec<Epoch>,
}

impl Watch for Chunk {
    fn check(&self) -> Result<(), Stop> {
        let Some(left) = self.left.get().checked_sub(1) else {
            return Err(self.stop.clone());
        };
        self.left.set(left);
        Ok(())
    }

    fn trained(&mut self, _records: usize) {}

    fn epoch(&mut self, epoch: &Epoch) {
        self.epochs.push(epoch.clone());
    }

    fn wants_checkpoint(&self) -> bool {
        self.left.get().is_multiple_of(self.interval)
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<bool, Stop> {
        self.saved = Some(checkpoint.encode(TRAINING));
        Ok(true)
    }
}

/// The class of each record, by its offset and its numbers. One from [`CLASSES`] on cannot be used.
type Class = fn(u8, [u8; 2]) -> u8;

/// How many classes the model has.
const CLASSES: u8 = 2;

fn is_greater(_offset: u8, value: [u8; 2]) -> u8 {
    u8::from(value[0] > value[1])
}

fn is_late(offset: u8, _value: [u8; 2]) -> u8 {
    u8::from(offset >= 30)
}

fn is_greater_or_unusable(offset: u8, value: [u8; 2]) -> u8 {
    if offset % 10 == 3 {
        return CLASSES;
    }
    is_greater(offset, value)
}

/// Blocks of so many records or more, as they are read, and where their records stand.
fn blocks(spec: &mut TrainingSpec, block: usize, class: Class) -> (Layout, Vec<Complete>) {
    let records: Vec<([u8; 2], u8, i64)> = (0..60)
        .map(|offset: u8| {
            let value = [offset.wrapping_mul(37), offset.wrapping_mul(91)];
            (value, class(offset, value), offset.into())
        })
        .collect();
    spec.segment.partitions.truncate(1);
    spec.segment.partitions[0].count = records.len() as u64;
    spec.segment.split.validation = 0.2;
    spec.segment.split.test = 0.2;
    let mut digest = SegmentDigest::new();
    for (value, class, offset) in &records {
        let label = class.to_string();
        let headers = [("label", Some(label.as_bytes()))];
        digest.add(0, *offset, None, None, Some(value), headers.into_iter());
    }
    spec.segment.digest = digest.finish();
    let room = Room {
        memory_bytes: 1 << 20,
        scratch: std::env::temp_dir(),
    };
    let (_, shapes) = graph(spec);
    let kinds = shapes.targets.iter().map(|target| target.kind).collect();
    let layout = Layout::new(&spec.segment.partitions, block).unwrap();
    let (give, take) = mpsc::channel();
    let mut builder = Builder::new(spec, &layout, kinds, &room, give).unwrap();
    for (value, class, offset) in &records {
        let label = class.to_string();
        let record = Record {
            partition: 0,
            offset: *offset,
            timestamp_ms: None,
            key: None,
            value: Some(value),
            headers: &[("label", Some(label.as_bytes()))],
        };
        assert_eq!(builder.add(&record).unwrap().is_ok(), *class < CLASSES);
    }
    builder.finish().unwrap();
    (layout, take.into_iter().collect())
}

fn dataset(spec: &mut TrainingSpec, block: usize, class: Class) -> Dataset {
    let (layout, blocks) = blocks(spec, block, class);
    let mut records = Records::new(layout, spec.format.elements());
    for (number, block) in blocks {
        records.take(number, block);
    }
    Dataset::new(spec, records).unwrap()
}

fn graph(spec: &TrainingSpec) -> (StepGraph, Shapes) {
    let dense = |units, activation| Layer::Dense {
        units,
        activation,
        bias: true,
    };
    let layers = [
        Layer::Scale { factor: 0.01 },
        dense(8, Activation::Tanh),
        Layer::BatchNormalization {
            momentum: 0.9,
            epsilon: 1e-5,
        },
        Layer::Dropout { ratio: 0.25 },
        dense(CLASSES.into(), Activation::Softmax),
    ];
    let model = layers::build(&[2], &layers, 3).unwrap();
    let options = options(&spec.hyperparameters, millrace_engine::lowering());
    let graph = StepGraph::build(&model, &options).unwrap();
    let targets = targets::plan(&graph, &spec.hyperparameters.goals(), &spec.label).unwrap();
    let inputs = Inputs::plan(&model, &graph, &spec.format).unwrap();
    (graph, Shapes { inputs, targets })
}

/// Trains in chunks, of which the first one that `chunk` leaves unlimited is the last, and gives what was made with the
/// epochs that were reported.
fn train(
    spec: &TrainingSpec,
    dataset: &Dataset,
    chunk: &mut dyn FnMut() -> Chunk,
) -> (Trained, Vec<Epoch>) {
    let mut saved: Option<Bytes> = None;
    let mut epochs: Vec<Epoch> = Vec::new();
    loop {
        let (graph, shapes) = graph(spec);
        let checkpoint = saved
            .as_ref()
            .map(|bytes| Checkpoint::decode(bytes, TRAINING).unwrap());
        let mut trainer =
            Trainer::new(&graph, shapes, &spec.hyperparameters, spec.seed, checkpoint).unwrap();
        let mut watch = chunk();
        let result = trainer.train(dataset, &mut watch);
        for epoch in watch.epochs {
            // One that was lost with its process is reported again, the same.
            match epochs.iter().find(|known| known.epoch == epoch.epoch) {
                Some(known) => assert_eq!(known.metrics, epoch.metrics),
                None => epochs.push(epoch),
            }
        }
        match result {
            Ok(()) => return (trainer.finish(dataset).unwrap(), epochs),
            Err(Stop::Failed(failure)) => panic!("{failure}"),
            Err(_) => saved = watch.saved.or(saved),
        }
    }
}

fn all_at_once() -> Chunk {
    Chunk {
        left: Cell::new(u32::MAX),
        stop: Stop::Cancelled,
        interval: u32::MAX,
        saved: None,
        epochs: Vec::new(),
    }
}

fn assert_ends_alike(what: &str, spec: &mut TrainingSpec, block: usize) {
    let dataset = dataset(spec, block, is_greater);
    assert_eq!(dataset.begins_by_blocks, block < BLOCK, "{what}");
    let (whole, whole_epochs) = train(spec, &dataset, &mut all_at_once);
    // The same chunks each time that the test runs: a failure can be repeated.
    let mut lengths: Vec<u32> = (1..=23).collect();
    shuffle(&mut lengths, spec.seed);
    let mut lengths = lengths.into_iter().cycle();
    let (parts, part_epochs) = train(spec, &dataset, &mut || {
        let length = lengths.next().unwrap();
        Chunk {
            left: Cell::new(length),
            stop: match length % 3 {
                0 => Stop::Interrupted,
                1 => Stop::Paused,
                // Nothing is written on a cancellation, as on a kill.
                _ => Stop::Cancelled,
            },
            interval: 1 + length % 4,
            saved: None,
            epochs: Vec::new(),
        }
    });
    let made = |trained: &Trained| {
        let last = trained.last.as_ref();
        [Some(&trained.result), last]
            .map(|made| made.map(|made| (made.parameters.clone(), made.metrics.clone())))
    };
    assert_eq!(made(&parts), made(&whole), "{what}");
    assert_eq!(parts.report, whole.report, "{what}");
    let metrics = |epochs: &[Epoch]| -> Vec<_> {
        epochs
            .iter()
            .map(|epoch| (epoch.epoch, epoch.step, epoch.metrics.clone()))
            .collect()
    };
    assert_eq!(metrics(&part_epochs), metrics(&whole_epochs), "{what}");
}

#[test]
fn every_optimizer_and_schedule_goes_on_where_it_was() {
    millrace_engine::load(&onnxruntime()).unwrap();
    let epsilon = 1e-7;
    let optimizers = [
        Optimizer::Sgd,
        Optimizer::Momentum { momentum: 0.9 },
        Optimizer::Nesterov { momentum: 0.9 },
        Optimizer::Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon,
        },
        Optimizer::AdamW {
            beta1: 0.9,
            beta2: 0.999,
            epsilon,
        },
        Optimizer::RmsProp {
            decay: 0.9,
            epsilon,
        },
        Optimizer::Adagrad { epsilon },
        Optimizer::Lion {
            beta1: 0.9,
            beta2: 0.99,
        },
    ];
    let tunings = [
        Tuning::default(),
        Tuning {
            accumulation: 3,
            clipping: Some(Clipping::Norm(0.5)),
            warm_up: 5,
            schedule: Schedule::Cosine { least: 0.1 },
            ..Tuning::default()
        },
        Tuning {
            schedule: Schedule::Step {
                epochs: 2,
                factor: 0.5,
            },
            plateau: Some(Plateau {
                factor: 0.5,
                patience: 1,
                min_change: 0.0,
                least: 0.01,
            }),
            ..Tuning::default()
        },
    ];
    for (number, optimizer) in (0..).zip(optimizers) {
        for (tuning, block) in tunings.iter().zip([BLOCK, 15, 20]) {
            let mut spec = testing::spec(Uuid::nil());
            spec.seed = number;
            spec.hyperparameters.epochs = 8;
            spec.hyperparameters.batch_size = 4;
            spec.hyperparameters.learning_rate = 0.02;
            spec.hyperparameters.optimizer = optimizer;
            spec.hyperparameters.tuning = tuning.clone();
            if number % 2 == 1 {
                spec.hyperparameters.early_stopping = Some(EarlyStopping {
                    monitor: "validation_loss".to_owned(),
                    patience: 3,
                    min_change: 0.0,
                    restore_best: true,
                });
            }
            assert_ends_alike(&format!("{optimizer:?}, {tuning:?}"), &mut spec, block);
        }
    }
}

/// Trains on records of which all come at once, except that they end after so many steps, and says whether these counted.
fn train_early(spec: &mut TrainingSpec, block: usize, class: Class, steps: u32) -> (Trained, bool) {
    let (layout, blocks) = blocks(spec, block, class);
    let (give, come) = mpsc::channel();
    let mut arriving = Arriving::new(&layout, spec.format.elements(), come);
    for block in blocks {
        give.send(block).unwrap();
    }
    let mut left = Some((give, steps));
    let mut check = || {
        left = match left.take() {
            Some((give, more)) if more > 1 => Some((give, more - 1)),
            _ => None::<(Sender<Complete>, u32)>,
        };
        Ok(())
    };
    let (graph, shapes) = graph(spec);
    let trainer =
        |shapes| Trainer::new(&graph, shapes, &spec.hyperparameters, spec.seed, None).unwrap();
    let early = Early::new(trainer(shapes.clone()), spec, &mut arriving, &mut check);
    drop(left);
    let dataset = Dataset::new(spec, arriving.into_records()).unwrap();
    let early = early.on(&dataset, spec).unwrap();
    let has_counted = early.is_some();
    let mut trainer = early.unwrap_or_else(|| trainer(shapes));
    trainer.train(&dataset, &mut all_at_once()).unwrap();
    (trainer.finish(&dataset).unwrap(), has_counted)
}

#[test]
fn what_begins_before_its_last_record_ends_as_if_it_had_waited() {
    millrace_engine::load(&onnxruntime()).unwrap();
    let mut spec = testing::spec(Uuid::nil());
    spec.hyperparameters.batch_size = 4;
    spec.hyperparameters.max_bad_records = 0.5;
    for (schedule, class, counts) in [
        (Schedule::Constant, is_greater as Class, true),
        (Schedule::Cosine { least: 0.1 }, is_greater, true),
        // Sorted by their labels they are not learned from in the order in which they come.
        (Schedule::Constant, is_late, false),
        // Fewer records than there seemed to be make fewer steps, by which a schedule goes.
        (Schedule::Constant, is_greater_or_unusable, true),
        (
            Schedule::Cosine { least: 0.1 },
            is_greater_or_unusable,
            false,
        ),
    ] {
        spec.hyperparameters.tuning.schedule = schedule;
        let dataset = dataset(&mut spec, 15, class);
        let (waited, _) = train(&spec, &dataset, &mut all_at_once);
        for steps in [1, 4, 7, u32::MAX] {
            let (early, has_counted) = train_early(&mut spec, 15, class, steps);
            assert_eq!(has_counted, counts, "{schedule:?}, {steps}");
            assert_eq!(
                early.result.parameters, waited.result.parameters,
                "{schedule:?}, {steps}"
            );
            assert_eq!(early.result.metrics, waited.result.metrics);
        }
    }
}
