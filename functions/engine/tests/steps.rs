//! Steps of whole models in both lowerings: the same bytes across sessions, and on one thread and on several.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "library/mod.rs"]
mod library;
#[path = "../../onnx/tests/support/mod.rs"]
mod support;

use millrace_engine::{Carried, Slice, StepSession, Tensor, View, load};
use millrace_onnx::layers::{self, Activation, Layer, Padding};
use millrace_onnx::proto::{AttributeProto, NodeProto};
use millrace_onnx::{
    Dim, ElementType, Loss, Lowering, Model, Optimizer, StepGraph, StepOptions, fast,
};
use support::Draft;

/// Enough that every kernel has work for several threads.
const RECORDS: usize = 70;
const CLASSES: u16 = 10;
const STEPS: i64 = 4;

/// Every attention is one node and its gradient another, with a mask as without.
#[test]
fn attention_is_one_operator() {
    for (name, _, model) in models() {
        let graph = graph(&model, Lowering::Fast);
        let count = |operator: &str| {
            let nodes = graph.step.graph().node.iter();
            nodes.filter(|node| node.op_type() == operator).count()
        };
        let expected = usize::from(name.ends_with("transformer"));
        assert_eq!(count(fast::ATTENTION), expected, "{name}");
        assert_eq!(count(fast::ATTENTION_GRADIENT), expected, "{name}");
    }
}

#[test]
fn one_thread_and_several_make_the_same_bytes() {
    load(&library::path()).unwrap();
    for (name, features, model) in models() {
        let graph = graph(&model, Lowering::Fast);
        let [alone, two, three, four] = [1, 2, 3, 4].map(|threads| {
            let mut session = session(&graph, threads);
            make(&mut session, &features, 1..=STEPS);
            bits(&session.export().unwrap())
        });
        assert!(alone == two && alone == three && alone == four, "{name}");
    }
}

/// Those of the standard lowering have the products of ONNX Runtime, which cuts long sums by the share of each thread.
#[test]
fn steps_tell_whether_several_threads_make_the_same_bytes() {
    for (name, _, model) in models() {
        let is_same = |lowering| graph(&model, lowering).is_same_on_threads();
        assert!(!is_same(Lowering::Standard), "{name}");
        // Batch normalization takes its means with reductions of ONNX Runtime.
        assert_eq!(is_same(Lowering::Fast), name != "CNN", "{name}");
    }
}

/// What a training that was interrupted after any step does: it goes on in another session from what was exported.
#[test]
fn steps_go_on_elsewhere_as_if_nothing_had_happened() {
    load(&library::path()).unwrap();
    for (name, features, model) in models() {
        let graph = graph(&model, Lowering::Fast);
        let mut through = session(&graph, 1);
        make(&mut through, &features, 1..=STEPS);
        let expected = through.export().unwrap();
        for interrupted in 1..STEPS {
            let mut first = session(&graph, 1);
            make(&mut first, &features, 1..=interrupted);
            let mut second = session(&graph, 1);
            second.import(&first.export().unwrap()).unwrap();
            make(&mut second, &features, interrupted + 1..=STEPS);
            let found = second.export().unwrap();
            assert!(bits(&found) == bits(&expected), "{name}, {interrupted}");
        }
    }
}

fn graph(model: &Model, lowering: Lowering) -> StepGraph {
    let options = StepOptions {
        lowering,
        ..StepOptions::new(Loss::CROSS_ENTROPY, Optimizer::ADAM)
    };
    StepGraph::build(model, &options).unwrap()
}

fn session(graph: &StepGraph, threads: usize) -> StepSession {
    StepSession::from_bytes(&graph.step.encode(), threads, &Carried::all(graph)).unwrap()
}

/// Makes the steps of these numbers, each on records of its own.
fn make(session: &mut StepSession, features: &[usize], steps: std::ops::RangeInclusive<i64>) {
    let width: usize = features.iter().product();
    let shape = [&[RECORDS], features].concat();
    let labels: Vec<i64> = (0..CLASSES.into()).cycle().take(RECORDS).collect();
    for step in steps {
        let rows = numbers(RECORDS * width, step);
        // At a multiple of 64 bytes, as trainings have them: ONNX Runtime's kernels round by where their inputs lie.
        let mut space = vec![0.0; rows.len() + 16];
        let start = space.as_ptr().align_offset(64);
        let aligned = &mut space[start..][..rows.len()];
        aligned.copy_from_slice(&rows);
        let losses = session.step(&[
            ("input", View::new(shape.clone(), Slice::F32(aligned))),
            ("labels", View::new([RECORDS], Slice::I64(&labels))),
            ("lr", View::new([], Slice::F32(&[0.01]))),
            ("step", View::new([], Slice::I64(&[step]))),
            ("seed", View::new([], Slice::I64(&[7]))),
        ]);
        let losses = losses.unwrap();
        assert!(losses.get("loss").unwrap().as_f32().unwrap()[0].is_finite());
    }
}

fn bits(tensors: &[(String, Tensor)]) -> Vec<(String, Vec<u32>)> {
    let bits = |tensor: &Tensor| {
        let numbers = tensor.view().as_f32().unwrap().to_vec();
        numbers.into_iter().map(f32::to_bits).collect()
    };
    let named = |(name, tensor): &(String, Tensor)| (name.clone(), bits(tensor));
    tensors.iter().map(named).collect()
}

/// Models with the shapes of their records.
fn models() -> Vec<(&'static str, Vec<usize>, Model)> {
    let dense = |units, activation| Layer::Dense {
        units,
        activation,
        bias: true,
    };
    let convolution = |filters| Layer::Conv2d {
        filters,
        kernel: [3, 3],
        stride: [1, 1],
        padding: Padding::Same,
        activation: Activation::Relu,
        bias: true,
    };
    let pool = Layer::MaxPooling {
        size: [2, 2],
        stride: [2, 2],
        padding: Padding::Valid,
    };
    let classes = dense(CLASSES.into(), Activation::Softmax);
    let mlp = vec![
        dense(128, Activation::Relu),
        Layer::Dropout { ratio: 0.25 },
        classes.clone(),
    ];
    let cnn = vec![
        convolution(16),
        pool.clone(),
        convolution(32),
        Layer::BatchNormalization {
            momentum: 0.9,
            epsilon: 1e-5,
        },
        pool,
        Layer::Flatten,
        dense(64, Activation::Relu),
        classes.clone(),
    ];
    let lstm = |units, all_steps| Layer::Lstm { units, all_steps };
    let recurrent = vec![lstm(48, true), lstm(33, false), classes];
    let models = [
        ("MLP", vec![784], mlp),
        ("CNN", vec![1, 14, 14], cnn),
        ("LSTM", vec![9, 16], recurrent),
    ];
    let models = models.map(|(name, features, layers)| {
        let model = layers::build(&features, &layers, 1).unwrap();
        (name, features, model)
    });
    let records = vec![TOKENS, WIDTH];
    let transformers = [
        ("transformer", records.clone(), transformer(false)),
        ("masked transformer", records, transformer(true)),
    ];
    models.into_iter().chain(transformers).collect()
}

const TOKENS: usize = 24;
const WIDTH: usize = 32;

/// What is added to the scores of tokens that come later.
fn causal_mask() -> Vec<f32> {
    let places = (0..TOKENS).flat_map(|query| (0..TOKENS).map(move |key| (query, key)));
    let added = places.map(|(query, key)| if key > query { f32::NEG_INFINITY } else { 0.0 });
    added.collect()
}

/// A layer of attention, causal or not, and two dense ones, with a normalization behind each sum.
fn transformer(is_causal: bool) -> Model {
    let size = |size: usize| i64::try_from(size).unwrap();
    let ints = |name: &str, values: &[i64]| vec![AttributeProto::from_ints(name, values)];
    let axis = |axis| vec![AttributeProto::from_int("axis", axis)];
    let mut seed = 0;
    let mut weights = |draft: Draft, name: &str, dims: &[usize]| {
        seed += 1;
        let values = support::noise(dims.iter().product(), seed);
        let values: Vec<f32> = values.iter().map(|value| value / 8.0).collect();
        draft.weights(name, dims, &values)
    };
    let classes = usize::from(CLASSES);
    let records = [
        support::batch(),
        Dim::Fixed(size(TOKENS)),
        Dim::Fixed(size(WIDTH)),
    ];
    let mut draft = Draft::new()
        .input("input", ElementType::Float32, &records)
        .integers("heads", &[0, size(TOKENS), 4, size(WIDTH / 4)])
        .integers("whole", &[0, size(TOKENS), size(WIDTH)])
        .integers("sizes", &[size(WIDTH); 3]);
    for (name, dims) in [
        ("in", [WIDTH, 3 * WIDTH].as_slice()),
        ("scale", &[WIDTH]),
        ("bias", &[WIDTH]),
        ("wide", &[WIDTH, 4 * WIDTH]),
        ("wide bias", &[4 * WIDTH]),
        ("narrow", &[4 * WIDTH, WIDTH]),
        ("out", &[TOKENS * WIDTH, classes]),
        ("out bias", &[classes]),
    ] {
        draft = weights(draft, name, dims);
    }
    draft = draft.node("MatMul", &["input", "in"], "all");
    draft.graph.node.push(NodeProto {
        input: vec!["all".to_owned(), "sizes".to_owned()],
        output: ["q", "k", "v"].map(str::to_owned).to_vec(),
        op_type: Some("Split".to_owned()),
        attribute: axis(-1),
        ..NodeProto::default()
    });
    for (part, perm) in [
        ("q", [0, 2, 1, 3]),
        ("k", [0, 2, 3, 1]),
        ("v", [0, 2, 1, 3]),
    ] {
        let (heads, apart) = (format!("{part} heads"), format!("{part} apart"));
        draft = draft.node("Reshape", &[part, "heads"], &heads).node_with(
            "Transpose",
            &[&heads],
            &apart,
            ints("perm", &perm),
        );
    }
    draft = draft.node("MatMul", &["q apart", "k apart"], "scores");
    let mut scores = "scores";
    if is_causal {
        draft = draft
            .weights("mask", &[1, 1, TOKENS, TOKENS], &causal_mask())
            .node("Add", &["scores", "mask"], "masked");
        scores = "masked";
    }
    draft
        .node("Softmax", &[scores], "shares")
        .node("MatMul", &["shares", "v apart"], "apart")
        .node_with("Transpose", &["apart"], "back", ints("perm", &[0, 2, 1, 3]))
        .node("Reshape", &["back", "whole"], "attended")
        .node("Add", &["input", "attended"], "sum")
        .node("LayerNormalization", &["sum", "scale", "bias"], "normal")
        .node("MatMul", &["normal", "wide"], "product")
        .node("Add", &["product", "wide bias"], "added")
        .node("Relu", &["added"], "bent")
        .node("MatMul", &["bent", "narrow"], "dense")
        .node("Add", &["normal", "dense"], "second")
        .node("Flatten", &["second"], "flat")
        .node("Gemm", &["flat", "out", "out bias"], "y")
        .output("y", &[support::batch(), Dim::Fixed(size(classes))])
        .model()
}

/// Numbers between −1 and 1 that look random.
fn numbers(count: usize, seed: i64) -> Vec<f32> {
    let mut state = seed.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
            let number = (state >> 40) as f32;
            number / 8_388_608.0 - 1.0
        })
        .collect()
}
