//! Whether the kernels of the fast lowering can be relied on here.
//!
//! They are compiled for several instruction sets, and a build is tested on the machines of its makers: so each process tries
//! them on its own before it trains with them.

use std::sync::OnceLock;

use millrace_onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    ValueInfoProto,
};
use millrace_onnx::{
    Dim, ElementType, Loss, Lowering, Model, Optimizer, StepGraph, StepOptions, TensorInfo,
};

use crate::kernels::instructions;
use crate::{Session, SessionOptions, Slice, View};

/// The largest difference of an output in the Euclidean norm, relative to the output's own.
const LARGEST_DIFFERENCE: f64 = 1e-5;
const RECORDS: usize = 5;
const PIXELS: usize = 9;
const CHANNELS: usize = 2;
const CLASSES: i64 = 3;

/// The lowering for step graphs that this process runs.
///
/// It is the fast one where its kernels compute what the standard operators do. That is tried once a process, on a small
/// network; where they differ it is logged, and the standard lowering is used. [`crate::load`] comes first.
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
    let model = network()?;
    for optimizer in [
        Optimizer::Sgd,
        Optimizer::Momentum { momentum: 0.9 },
        Optimizer::ADAM,
    ] {
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
    let pixels = numbers(RECORDS * CHANNELS * PIXELS * PIXELS);
    let labels: Vec<i64> = (0..CLASSES).cycle().take(RECORDS).collect();
    let state: Vec<Vec<f32>> = graph
        .slots
        .iter()
        .map(|slot| vec![0.0; slot.dims.iter().product()])
        .collect();
    let mut inputs = vec![
        (
            "x",
            View::new([RECORDS, CHANNELS, PIXELS, PIXELS], Slice::F32(&pixels)),
        ),
        ("labels", View::new([RECORDS], Slice::I64(&labels))),
        ("lr", View::new([], Slice::F32(&[0.125]))),
        ("step", View::new([], Slice::I64(&[1]))),
    ];
    for parameter in &graph.parameters {
        let values = Slice::F32(&parameter.initial);
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

/// A network that uses every kernel.
fn network() -> Result<Model, millrace_onnx::Error> {
    let mut graph = GraphProto {
        name: Some("self-test".to_owned()),
        ..GraphProto::default()
    };
    let batch = Dim::Symbolic("batch".to_owned());
    let sizes = [CHANNELS, PIXELS, PIXELS].map(|size| Dim::Fixed(i64::try_from(size).unwrap_or(1)));
    let input = std::iter::once(batch.clone()).chain(sizes).collect();
    let output = vec![batch, Dim::Fixed(CLASSES)];
    let info =
        |name, dims| ValueInfoProto::from_info(&TensorInfo::new(name, ElementType::Float32, dims));
    graph.input.push(info("x", input));
    graph.output.push(info("y", output));
    let weights: [(&str, &[usize]); 8] = [
        ("w1", &[8, 2, 3, 3]),
        ("b1", &[8]),
        ("w2", &[6, 8, 3, 3]),
        ("b2", &[6]),
        ("w3", &[24, 20]),
        ("b3", &[20]),
        ("w4", &[20, 3]),
        ("b4", &[3]),
    ];
    for (name, dims) in weights {
        let values = numbers(dims.iter().product());
        let values: Vec<f32> = values.iter().map(|value| value / 4.0).collect();
        graph
            .initializer
            .push(TensorProto::from_f32(name, dims, &values));
    }
    let ints = AttributeProto::from_ints;
    let nodes: [(&str, &[&str], &str, Vec<AttributeProto>); 9] = [
        (
            "Conv",
            &["x", "w1", "b1"],
            "c1",
            vec![ints("pads", &[1, 1, 1, 1])],
        ),
        ("Relu", &["c1"], "r1", vec![]),
        (
            "MaxPool",
            &["r1"],
            "p1",
            vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
        ),
        ("Conv", &["p1", "w2", "b2"], "c2", vec![]),
        ("Relu", &["c2"], "r2", vec![]),
        ("Flatten", &["r2"], "f", vec![]),
        ("Gemm", &["f", "w3", "b3"], "d", vec![]),
        ("Relu", &["d"], "r3", vec![]),
        ("Gemm", &["r3", "w4", "b4"], "y", vec![]),
    ];
    for (operator, inputs, output, attribute) in nodes {
        graph.node.push(NodeProto {
            input: inputs.iter().copied().map(str::to_owned).collect(),
            output: vec![output.to_owned()],
            name: Some(output.to_owned()),
            op_type: Some(operator.to_owned()),
            attribute,
            ..NodeProto::default()
        });
    }
    Model::from_proto(ModelProto {
        ir_version: Some(8),
        opset_import: vec![OperatorSetIdProto {
            domain: None,
            version: Some(17),
        }],
        graph: Some(graph),
        ..ModelProto::default()
    })
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
