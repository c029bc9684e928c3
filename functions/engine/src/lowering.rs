//! Whether the kernels of the fast lowering can be relied on here.
//!
//! They are compiled for several instruction sets, and a build is tested on the machines of its makers: so each process tries
//! them on the networks of [`trial`] before it trains with them.

use std::sync::OnceLock;

use millrace_onnx::{Dim, Loss, Lowering, StepGraph, StepOptions};

use crate::kernels::instructions;
use crate::trial;
use crate::{Session, SessionOptions, Slice, View};

/// The largest difference of an output in the Euclidean norm, relative to the output's own.
const LARGEST_DIFFERENCE: f64 = 1e-5;
const RECORDS: usize = 5;

/// The lowering for step graphs that this process runs.
///
/// It is the fast one where its kernels compute what the standard operators do. That is tried once a process, on small
/// networks; where they differ it is logged, and the standard lowering is used. [`crate::load`] comes first.
#[must_use]
pub fn lowering() -> Lowering {
    static FOUND: OnceLock<Lowering> = OnceLock::new();
    *FOUND.get_or_init(|| match difference() {
        Ok(None) => Lowering::Fast,
        Ok(Some(reason)) => fall_back(&reason),
        Err(error) => fall_back(&error.to_string()),
    })
}

/// With what this process computes steps: the processor's instructions and the lowering, as `avx512/fast`.
///
/// Where two processes say the same, the same steps give the same bytes; where they differ, sums are rounded differently.
#[must_use]
pub fn arithmetic() -> String {
    let lowering = match lowering() {
        Lowering::Fast => "fast",
        Lowering::Standard => "standard",
    };
    format!("{}/{lowering}", instructions::name())
}

fn fall_back(reason: &str) -> Lowering {
    tracing::warn!(
        reason,
        "the fast kernels do not compute what standard operators do on this machine: training goes on without them, slower"
    );
    Lowering::Standard
}

/// What the two lowerings compute differently.
fn difference() -> Result<Option<String>, Box<dyn std::error::Error>> {
    for (model, optimizer) in trial::all()? {
        let options = |lowering| StepOptions {
            lowering,
            ..StepOptions::new(Loss::CROSS_ENTROPY, optimizer)
        };
        let standard = outputs(&StepGraph::build(&model, &options(Lowering::Standard))?)?;
        let fast = outputs(&StepGraph::build(&model, &options(Lowering::Fast))?)?;
        for ((name, expected), (_, found)) in standard.iter().zip(&fast) {
            let norm = |values: &mut dyn Iterator<Item = f64>| {
                values.map(|value| value * value).sum::<f64>().sqrt()
            };
            let pairs = expected.iter().zip(found);
            let apart = norm(&mut pairs.map(|(a, b)| f64::from(a - b)));
            let size = norm(&mut expected.iter().copied().map(f64::from));
            // Written so that a NaN is a difference as well.
            let is_close = apart <= LARGEST_DIFFERENCE * size && found.len() == expected.len();
            if !is_close {
                return Ok(Some(format!("{optimizer:?}: {name} is off by {apart:e}")));
            }
        }
    }
    Ok(None)
}

/// All outputs of one step.
fn outputs(graph: &StepGraph) -> Result<Vec<(String, Vec<f32>)>, crate::Error> {
    let mut session = Session::from_bytes(&graph.step.encode(), &SessionOptions::default())?;
    let mut shape = vec![RECORDS];
    let dims = graph.inputs.iter().flat_map(|input| &input.dims).flatten();
    shape.extend(dims.filter_map(|dim| match dim {
        Dim::Fixed(size) => usize::try_from(*size).ok(),
        _ => None,
    }));
    let records = numbers(shape.iter().product());
    let labels: Vec<i64> = (0..trial::CLASSES.into()).cycle().take(RECORDS).collect();
    // Not the biases of 0 that the model begins with.
    let parameters = graph.parameters.iter();
    let parameters: Vec<Vec<f32>> = parameters
        .map(|parameter| {
            let values = numbers(parameter.initial.len());
            values.into_iter().map(|value| value / 4.0).collect()
        })
        .collect();
    let state: Vec<Vec<f32>> = graph
        .slots
        .iter()
        .map(|slot| vec![0.0; slot.dims.iter().product()])
        .collect();
    let mut inputs = vec![
        ("input", View::new(shape, Slice::F32(&records))),
        ("labels", View::new([RECORDS], Slice::I64(&labels))),
        ("lr", View::new([], Slice::F32(&[0.125]))),
        ("step", View::new([], Slice::I64(&[1]))),
    ];
    for (parameter, values) in graph.parameters.iter().zip(&parameters) {
        let values = Slice::F32(values);
        inputs.push((&parameter.name, View::new(parameter.dims.clone(), values)));
    }
    for (slot, values) in graph.slots.iter().zip(&state) {
        inputs.push((&slot.name, View::new(slot.dims.clone(), Slice::F32(values))));
    }
    inputs.retain(|(name, _)| session.inputs().iter().any(|input| input.name == *name));
    let names: Vec<String> = session
        .outputs()
        .iter()
        .map(|output| output.name.clone())
        .collect();
    let results = session.run(&inputs)?;
    names
        .into_iter()
        .map(|name| {
            let values = results.get(&name)?.as_f32().unwrap_or_default().to_vec();
            Ok((name, values))
        })
        .collect()
}

/// Numbers between −1 and 1 that look random.
fn numbers(count: usize) -> Vec<f32> {
    let mut state: u32 = 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
            let number = (state >> 8) as f32;
            number / 8_388_608.0 - 1.0
        })
        .collect()
}
