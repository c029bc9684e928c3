//! Training steps a second, beside the matrix products of the same step alone.
//!
//! Value and floor run in the same ONNX Runtime with as many threads, and take denormal numbers for zero.

use std::time::{Duration, Instant};

use anyhow::Result;
use millrace_engine::{Carried, Data, Session, SessionOptions, Slice, StepSession, Tensor, View};
use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::step::names;
use millrace_onnx::{Loss, Model, Optimizer, StepGraph, StepOptions};

use crate::effort::Effort;
use crate::numbers::Numbers;
use crate::products;
use crate::report::{Better, Row};

const FEATURES: u32 = 784;
const HIDDEN: u32 = 128;
const CLASSES: u32 = 10;
const LEARNING_RATE: [f32; 1] = [1e-3];
/// Batches that take turns, so that no step finds its own records in the cache.
const BATCHES: usize = 8;
/// Runs before anything is measured.
const WARM_UP: usize = 20;

/// The rows of training.
pub(crate) fn rows(effort: &Effort) -> Result<Vec<Row>> {
    let mut subjects = Vec::new();
    for threads in [1, 2] {
        for batch in [32, 128] {
            subjects.push(Subject::new(batch, threads)?);
        }
    }
    for _ in 0..effort.rounds {
        for subject in &mut subjects {
            subject.measure(effort.turn)?;
        }
    }
    Ok(subjects.iter().map(Subject::row).collect())
}

/// One batch size on one number of threads.
struct Subject {
    batch: usize,
    threads: usize,
    steps: StepSession,
    products: Session,
    input: String,
    batches: Vec<Batch>,
    weights: [Vec<f32>; 2],
    /// How many steps were made.
    step: i64,
    steps_per_second: Vec<f64>,
    products_per_second: Vec<f64>,
}

struct Batch {
    rows: Vec<f32>,
    labels: Vec<i64>,
    /// What stands for the loss's gradient in the products.
    delta: Vec<f32>,
}

impl Subject {
    fn new(batch: usize, threads: usize) -> Result<Self> {
        let graph = StepGraph::build(
            &model()?,
            &StepOptions::new(Loss::CROSS_ENTROPY, Optimizer::ADAM),
        )?;
        let products = products::graph(FEATURES.into(), HIDDEN.into(), CLASSES.into())?.encode();
        let options = SessionOptions {
            threads,
            flush_to_zero: true,
        };
        let mut numbers = Numbers::from_seed(1);
        let mut matrix = |rows: usize, columns: u32| numbers.floats(rows * columns as usize);
        let weights = [
            matrix(FEATURES as usize, HIDDEN),
            matrix(HIDDEN as usize, CLASSES),
        ];
        let batches = (0..BATCHES)
            .map(|number| Batch {
                rows: matrix(batch, FEATURES),
                delta: matrix(batch, CLASSES),
                labels: Numbers::from_seed(number as u64).below(CLASSES, batch),
            })
            .collect();
        let mut subject = Self {
            batch,
            threads,
            steps: StepSession::from_bytes(&graph.step.encode(), threads, &carried(&graph))?,
            products: Session::from_bytes(&products, &options)?,
            input: graph.inputs[0].name.clone(),
            batches,
            weights,
            step: 0,
            steps_per_second: Vec::new(),
            products_per_second: Vec::new(),
        };
        for index in 0..WARM_UP {
            subject.make_step(index)?;
            subject.multiply(index)?;
        }
        Ok(subject)
    }

    fn measure(&mut self, turn: Duration) -> Result<()> {
        let steps = runs_per_second(turn, |index| self.make_step(index))?;
        let products = runs_per_second(turn, |index| self.multiply(index))?;
        self.steps_per_second.push(steps);
        self.products_per_second.push(products);
        Ok(())
    }

    fn make_step(&mut self, index: usize) -> Result<()> {
        self.step += 1;
        let step = [self.step];
        let batch = &self.batches[index % BATCHES];
        let rows = View::new([self.batch, FEATURES as usize], Slice::F32(&batch.rows));
        self.steps.step(&[
            (&self.input, rows),
            (
                names::LABELS,
                View::new([self.batch], Slice::I64(&batch.labels)),
            ),
            (
                names::LEARNING_RATE,
                View::new([], Slice::F32(&LEARNING_RATE)),
            ),
            (names::STEP, View::new([], Slice::I64(&step))),
            (names::SEED, View::new([], Slice::I64(&[1]))),
        ])?;
        Ok(())
    }

    fn multiply(&mut self, index: usize) -> Result<()> {
        let batch = &self.batches[index % BATCHES];
        let [first, second] = &self.weights;
        let matrix = |rows: usize, columns: u32, numbers| {
            View::new([rows, columns as usize], Slice::F32(numbers))
        };
        self.products.run(&[
            ("x", matrix(self.batch, FEATURES, &batch.rows)),
            ("first", matrix(FEATURES as usize, HIDDEN, first)),
            ("second", matrix(HIDDEN as usize, CLASSES, second)),
            ("delta", matrix(self.batch, CLASSES, &batch.delta)),
        ])?;
        Ok(())
    }

    fn row(&self) -> Row {
        let threads = if self.threads == 1 {
            "thread"
        } else {
            "threads"
        };
        let name = format!(
            "training step, MLP 784-128-10, Adam, batch {}, {} {threads} | its matrix products alone",
            self.batch, self.threads
        );
        Row::new(
            name,
            "steps/s",
            Better::Higher,
            &self.steps_per_second,
            &self.products_per_second,
        )
    }
}

fn model() -> Result<Model> {
    let dense = |units: u32, activation| Layer::Dense {
        units: units as usize,
        activation,
        bias: true,
    };
    let layers = [
        dense(HIDDEN, Activation::Relu),
        dense(CLASSES, Activation::Softmax),
    ];
    Ok(layers::build(&[FEATURES as usize], &layers, 1)?)
}

/// What steps hand on: parameters as the model has them, state of zeros.
fn carried(graph: &StepGraph) -> Vec<Carried> {
    let parameters = graph.parameters.iter().map(|parameter| Carried {
        input: parameter.name.clone(),
        output: parameter.output(),
        initial: Tensor {
            shape: parameter.dims.clone(),
            data: Data::F32(parameter.initial.clone()),
        },
    });
    let slots = graph.slots.iter().map(|slot| Carried {
        input: slot.name.clone(),
        output: slot.output(),
        initial: Tensor {
            shape: slot.dims.clone(),
            data: Data::F32(vec![0.0; slot.dims.iter().product()]),
        },
    });
    parameters.chain(slots).collect()
}

fn runs_per_second(turn: Duration, mut run: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed() < turn {
        run(runs)?;
        runs += 1;
    }
    Ok(runs as f64 / start.elapsed().as_secs_f64())
}
