//! Arithmetic and trigonometry.

use millrace_onnx::{ElementType, Tensor};

use super::{Case, X, hidden, positive};
use crate::support::noise;

const BINARY: [&str; 4] = ["Add", "Sub", "Mul", "Div"];

pub fn cases() -> Vec<Case> {
    let unary = [
        "Neg",
        "Abs",
        "Reciprocal",
        "Sin",
        "Cos",
        "Tan",
        "Atan",
        "Sinh",
        "Cosh",
        "Asinh",
    ];
    unary
        .into_iter()
        .map(|operator| {
            let draft = hidden().opset(13).node(operator, &["h"], "y");
            Case::new(operator, draft.result("y"), X)
        })
        .chain(within_bounds())
        .chain(broadcasts())
        .chain(both_sides())
        .chain(at_run_time())
        .collect()
}

/// Functions of numbers between −1 and 1, and of numbers above 1.
fn within_bounds() -> Vec<Case> {
    let bounded = |operator| {
        let draft = hidden()
            .opset(13)
            .number("most", 0.75)
            .node("Tanh", &["h"], "bent")
            .node("Mul", &["bent", "most"], "bounded");
        Case::new(
            operator,
            draft.node(operator, &["bounded"], "y").result("y"),
            X,
        )
    };
    let above = positive()
        .number("one", 1.0)
        .node("Add", &["positive", "one"], "above")
        .node("Acosh", &["above"], "y");
    let mut cases: Vec<Case> = ["Acos", "Asin", "Atanh"].map(bounded).into();
    cases.push(Case::new("Acosh", above.result("y"), X));
    cases
}

fn broadcasts() -> Vec<Case> {
    let shapes: [&[usize]; 5] = [&[3], &[1], &[1, 3], &[1, 1], &[2, 1, 3]];
    let mut cases = Vec::new();
    for operator in BINARY {
        for shape in shapes {
            let other: Vec<f32> = noise(shape.iter().product(), 7)
                .into_iter()
                .map(|value| value + 2.0)
                .collect();
            for inputs in [["positive", "other"], ["other", "positive"]] {
                let draft = positive()
                    .weights("other", shape, &other)
                    .node(operator, &inputs, "y");
                let name = format!("{operator} of {inputs:?}, other {shape:?}");
                cases.push(Case::new(&name, draft.result("y"), X));
            }
        }
    }
    cases
}

/// One tensor on both sides.
fn both_sides() -> Vec<Case> {
    let mixed = |operator| {
        let draft = positive()
            .weights("v", &[3], &[1.5, -0.5, 2.0])
            .node("Mul", &["positive", "v"], "scaled")
            .node(operator, &["scaled", "positive"], "mixed")
            .node(operator, &["mixed", "positive"], "y");
        Case::new(
            &format!("{operator} of one tensor on both sides"),
            draft.result("y"),
            X,
        )
    };
    BINARY.map(mixed).into()
}

/// A shape that is an input is not known before the run, so the broadcast axes are found while it runs.
fn at_run_time() -> Vec<Case> {
    let mut cases = Vec::new();
    for operator in BINARY {
        for shape in [[1, 3], [3, 1]] {
            let draft = hidden()
                .input("shape", ElementType::Int64, &[millrace_onnx::Dim::Fixed(2)])
                .weights("v", &[3], &[1.5, 0.5, 2.0])
                .node("Reshape", &["v", "shape"], "row")
                .node(operator, &["h", "row"], "y");
            let x = Tensor::from_f32(&[3, 4], &noise(12, 11));
            let shape = Tensor::integers(&[2], shape.to_vec());
            let name = format!("{operator}, broadcast at run time to {shape:?}");
            let batch = [("x".to_owned(), x), ("shape".to_owned(), shape)];
            cases.push(Case::with(&name, draft.result("y"), batch.into()));
        }
    }
    cases
}
