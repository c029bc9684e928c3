//! Training steps a second: with our own operators, beside standard ones and beside the matrix products of the step alone.
//!
//! All of them run in the same ONNX Runtime with as many threads, and take denormal numbers for zero.

use std::time::{Duration, Instant};

use anyhow::Result;
use millrace_engine::{Carried, Slice, StepSession, View};
use millrace_onnx::step::names;
use millrace_onnx::{Loss, Lowering, Optimizer, StepGraph, StepOptions};

use crate::cases::{CASES, CLASSES, Kind};
use crate::effort::Effort;
use crate::numbers::Numbers;
use crate::products::Products;
use crate::report::{Better, Row};

/// How the rows begin.
pub(crate) const NAME: &str = "training step";
const LEARNING_RATE: [f32; 1] = [1e-3];
/// Batches that take turns, so that no step finds its own records in the cache.
const BATCHES: usize = 8;
/// So long every subject runs before it is measured, as a part of a turn.
const WARM_UP: u32 = 4;

/// The rows of training: two for each case, batch size and number of threads.
pub(crate) fn rows(effort: &Effort) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in &CASES {
        for &batch in case.batches {
            for threads in [1, 2] {
                let name = name(case.name, batch, threads);
                rows.extend(Subject::new(case.kind, batch, threads)?.rows(&name, effort)?);
            }
        }
    }
    Ok(rows)
}

/// How a step is called in a row.
pub(crate) fn name(case: &str, batch: usize, threads: usize) -> String {
    let plural = if threads == 1 { "" } else { "s" };
    format!("{NAME}, {case}, batch {batch}, {threads} thread{plural}")
}

/// A step in both lowerings, and its products.
struct Subject {
    fast: Steps,
    standard: Steps,
    products: Products,
}

impl Subject {
    fn new(kind: Kind, batch: usize, threads: usize) -> Result<Self> {
        Ok(Self {
            fast: Steps::new(kind, batch, threads, Lowering::Fast)?,
            standard: Steps::new(kind, batch, threads, Lowering::Standard)?,
            products: Products::new(&kind.products(batch), threads)?,
        })
    }

    fn rows(mut self, name: &str, effort: &Effort) -> Result<[Row; 2]> {
        let mut found = [const { Vec::new() }; 3];
        self.turn(effort.turn / WARM_UP)?;
        for _ in 0..effort.rounds {
            for (found, rate) in found.iter_mut().zip(self.turn(effort.turn)?) {
                found.push(rate);
            }
        }
        let [fast, standard, products] = found;
        let row = |beside: &str, floor: &[f64]| {
            let name = format!("{name} | {beside}");
            Row::new(name, "steps/s", Better::Higher, &fast, floor)
        };
        Ok([
            row("in standard operators", &standard),
            row("its matrix products alone", &products),
        ])
    }

    /// Runs a second of each.
    fn turn(&mut self, turn: Duration) -> Result<[f64; 3]> {
        Ok([
            self.fast.per_second(turn)?,
            self.standard.per_second(turn)?,
            runs_per_second(turn, || self.products.run())?,
        ])
    }
}

/// A training that goes on and on.
pub(crate) struct Steps {
    session: StepSession,
    shape: Vec<usize>,
    batches: Vec<(Vec<f32>, Vec<i64>)>,
    /// How many steps were made.
    step: i64,
}

impl Steps {
    pub(crate) fn new(
        kind: Kind,
        batch: usize,
        threads: usize,
        lowering: Lowering,
    ) -> Result<Self> {
        let options = StepOptions {
            lowering,
            ..StepOptions::new(Loss::CROSS_ENTROPY, Optimizer::ADAM)
        };
        let graph = StepGraph::build(&kind.model()?, &options)?;
        let shape = [vec![batch], kind.features()].concat();
        let mut numbers = Numbers::from_seed(1);
        let batches = (0..BATCHES).map(|number| {
            let rows = numbers.floats(shape.iter().product());
            let labels = Numbers::from_seed(number as u64).below(CLASSES, batch);
            (rows, labels)
        });
        Ok(Self {
            batches: batches.collect(),
            session: StepSession::from_bytes(&graph.step.encode(), threads, &Carried::all(&graph))?,
            shape,
            step: 0,
        })
    }

    /// Steps a second in a turn.
    pub(crate) fn per_second(&mut self, turn: Duration) -> Result<f64> {
        runs_per_second(turn, || self.make())
    }

    fn make(&mut self) -> Result<()> {
        let step = [self.step + 1];
        let (rows, labels) = &self.batches[usize::try_from(self.step)? % BATCHES];
        self.step += 1;
        self.session.step(&[
            ("input", View::new(self.shape.clone(), Slice::F32(rows))),
            (names::LABELS, View::new([labels.len()], Slice::I64(labels))),
            (
                names::LEARNING_RATE,
                View::new([], Slice::F32(&LEARNING_RATE)),
            ),
            (names::STEP, View::new([], Slice::I64(&step))),
            (names::SEED, View::new([], Slice::I64(&[1]))),
        ])?;
        Ok(())
    }
}

fn runs_per_second(turn: Duration, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    let mut runs = 0;
    while runs == 0 || start.elapsed() < turn {
        run()?;
        runs += 1;
    }
    Ok(f64::from(runs) / start.elapsed().as_secs_f64())
}
