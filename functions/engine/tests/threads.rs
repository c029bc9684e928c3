//! Operators of ONNX Runtime that trainings run on several threads: the same bytes as on one.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod library;
#[path = "../../onnx/tests/support/mod.rs"]
mod support;

use millrace_engine::{Session, SessionOptions, Slice, View, load};
use millrace_onnx::proto::AttributeProto;
use millrace_onnx::{Dim, ElementType, Loss, Lowering, Model, Optimizer, StepGraph, StepOptions};
use support::Draft;

/// Many elements, and sizes that no share of a thread fits evenly.
const SHAPE: [usize; 3] = [33, 331, 61];

/// Functions that are computed by polynomials, and sums along rows.
const FUNCTIONS: [&str; 16] = [
    "Celu",
    "Cos",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LogSoftmax",
    "Selu",
    "Sigmoid",
    "Sin",
    "Softmax",
    "Softsign",
    "Tanh",
    "Atan",
];

#[test]
fn threads_change_no_byte_of_what_may_have_several() {
    load(&library::path()).unwrap();
    let mut values = support::noise(SHAPE.iter().product(), 3);
    for value in &mut values {
        *value *= 3.0;
    }
    for model in models() {
        let run = |threads| {
            let options = SessionOptions {
                threads,
                flush_to_zero: true,
            };
            let mut session = Session::from_bytes(&model.encode(), &options).unwrap();
            let given = [("x", View::new(SHAPE, Slice::F32(&values)))];
            let found = session.run(&given).unwrap();
            let found = found.get("y").unwrap().as_f32().unwrap();
            found.iter().map(|value| value.to_bits()).collect()
        };
        let alone: Vec<u32> = run(1);
        for threads in [2, 3, 5] {
            let operator = model.graph().node[0].op_type();
            assert!(run(threads) == alone, "{operator} on {threads} threads");
        }
    }
}

fn models() -> Vec<Model> {
    let free = |name: &str| Dim::Symbolic(name.to_owned());
    let input = || {
        let dims = [free("a"), free("b"), free("c")];
        Draft::new()
            .opset(22)
            .input("x", ElementType::Float32, &dims)
            .result("y")
    };
    let functions = FUNCTIONS.map(|operator| input().node(operator, &["x"], "y").model());
    let power = input().number("z", 3.0).node("Pow", &["x", "z"], "y");
    let sums = input().integers("axis", &[1]);
    let sums = sums.node("CumSum", &["x", "axis"], "y");
    let ones = vec![1.0; SHAPE[2]];
    let rows = input().weights("one", &[SHAPE[2]], &ones);
    let rows = rows.node("LayerNormalization", &["x", "one"], "y");
    let across = vec![AttributeProto::from_int("axis", 1)];
    let columns = input().node_with("Softmax", &["x"], "y", across);
    let others = [power, sums, rows, columns].map(Draft::model);
    functions.into_iter().chain(others).collect()
}

/// Of the functions above, and of one that ONNX Runtime rounds by the share of a thread.
#[test]
fn steps_say_whether_they_may_have_several() {
    let is_same = |function: &str| {
        let dims = [support::batch(), Dim::Fixed(4)];
        let model = Draft::new()
            .opset(22)
            .input("x", ElementType::Float32, &dims)
            .weights("w", &[4, 3], &support::noise(12, 1))
            .node("MatMul", &["x", "w"], "h")
            .node(function, &["h"], "y")
            .output("y", &[support::batch(), Dim::Fixed(3)])
            .model();
        let same = |lowering| {
            let options = StepOptions {
                lowering,
                ..StepOptions::new(Loss::CROSS_ENTROPY, Optimizer::ADAM)
            };
            StepGraph::build(&model, &options)
                .unwrap()
                .is_same_on_threads()
        };
        [Lowering::Standard, Lowering::Fast].map(same)
    };
    assert_eq!(is_same("Tanh"), [false, true]);
    assert_eq!(is_same("Mish"), [false, false]);
}
