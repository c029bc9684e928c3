//! Reductions.

use millrace_onnx::proto::AttributeProto;
use millrace_onnx::{Dim, ElementType, Tensor};

use super::{Case, X, hidden, positive};
use crate::support::{Draft, noise};

const OPERATORS: [&str; 10] = [
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSum",
    "ReduceLogSumExp",
];

pub fn cases() -> Vec<Case> {
    OPERATORS
        .into_iter()
        .flat_map(of_operator)
        .chain([extremes_that_are_equal(), of_integers()])
        .chain(products_with_zeros())
        .collect()
}

/// cube[batch, 3, 2], of which only `ReduceLogSum` needs that it is positive.
fn cube(operator: &str) -> Draft {
    let (draft, source) = match operator {
        "ReduceLogSum" => (positive(), "positive"),
        _ => (hidden(), "h"),
    };
    draft
        .integers("split", &[-1, 3, 1])
        .weights("row", &[1, 2], &[0.6, 1.3])
        .node("Reshape", &[source, "split"], "column")
        .node("Mul", &["column", "row"], "cube")
}

fn of_operator(operator: &'static str) -> Vec<Case> {
    let axes: [&[i64]; 4] = [&[1], &[-1], &[0, 2], &[0, 1, 2]];
    let mut cases = Vec::new();
    for keeps in [0, 1] {
        for axes in axes {
            cases.push(with_attribute(operator, axes, keeps));
            cases.push(with_input(operator, axes, keeps));
        }
        cases.push(without_axes(operator, keeps));
        cases.push(at_run_time(operator, keeps));
    }
    cases.push(of_nothing(operator));
    cases
}

fn keep(keeps: i64) -> AttributeProto {
    AttributeProto::from_int("keepdims", keeps)
}

/// As it was before operator set 18, or 13 for `ReduceSum`, which has no such form here.
fn with_attribute(operator: &str, axes: &[i64], keeps: i64) -> Case {
    if operator == "ReduceSum" {
        return with_input(operator, axes, keeps);
    }
    let attributes = vec![AttributeProto::from_ints("axes", axes), keep(keeps)];
    let draft = cube(operator)
        .opset(13)
        .node_with(operator, &["cube"], "y", attributes);
    let name = format!("{operator}, attribute {axes:?}, keepdims {keeps}");
    Case::new(&name, draft.result("y"), X)
}

fn with_input(operator: &str, axes: &[i64], keeps: i64) -> Case {
    let draft = cube(operator).opset(18).integers("axes", axes).node_with(
        operator,
        &["cube", "axes"],
        "y",
        vec![keep(keeps)],
    );
    let name = format!("{operator}, axes {axes:?}, keepdims {keeps}");
    Case::new(&name, draft.result("y"), X)
}

fn without_axes(operator: &str, keeps: i64) -> Case {
    let draft = cube(operator)
        .opset(18)
        .node_with(operator, &["cube"], "y", vec![keep(keeps)]);
    let name = format!("{operator} over all, keepdims {keeps}");
    Case::new(&name, draft.result("y"), X)
}

fn of_nothing(operator: &str) -> Case {
    let noop = vec![AttributeProto::from_int("noop_with_empty_axes", 1)];
    let draft = cube(operator)
        .opset(18)
        .node_with(operator, &["cube"], "y", noop);
    let name = format!("{operator} over no axes");
    Case::new(&name, draft.result("y"), X)
}

/// The axes are an input of the model.
fn at_run_time(operator: &str, keeps: i64) -> Case {
    let draft = cube(operator)
        .opset(18)
        .input("axes", ElementType::Int64, &[Dim::Fixed(1)])
        .node_with(operator, &["cube", "axes"], "y", vec![keep(keeps)]);
    let x = Tensor::from_f32(&[3, 4], &noise(12, 11));
    let axes = Tensor::integers(&[1], vec![-2]);
    let batch = [("x".to_owned(), x), ("axes".to_owned(), axes)];
    let name = format!("{operator}, axes at run time, keepdims {keeps}");
    Case::with(&name, draft.result("y"), batch.into())
}

/// Equal elements share the gradient: their sum has the whole.
fn extremes_that_are_equal() -> Case {
    let draft = hidden()
        .integers("axes", &[1])
        .integers("split", &[-1, 3, 1])
        .weights("ones", &[1, 2], &[1.0, 1.0])
        .node("Relu", &["ones"], "same")
        .node("ReduceMean", &["same", "axes"], "mean")
        .node("Reshape", &["h", "split"], "column")
        .integers("pair", &[1, 1, 2])
        .node("Expand", &["column", "pair"], "twice")
        .node("ReduceMax", &["twice", "axes"], "largest")
        .node("Mul", &["largest", "mean"], "y");
    Case::new("ReduceMax of equal elements", draft.result("y"), X)
}

/// One zero in the first column, two in the second, none in the third.
fn products_with_zeros() -> Vec<Case> {
    let forms = [(13, true), (18, false)];
    let case = |(opset, is_attribute)| {
        let factors = [0.0, 0.0, 1.5, 0.5, 0.0, -2.0, 2.0, 3.0, 0.25];
        let mut draft = hidden()
            .opset(opset)
            .weights("factors", &[3, 3], &factors)
            .integers("axes", &[0]);
        let mut attributes = vec![keep(0)];
        let mut inputs = vec!["factors"];
        if is_attribute {
            attributes.push(AttributeProto::from_ints("axes", &[0]));
        } else {
            inputs.push("axes");
        }
        draft = draft
            .node_with("ReduceProd", &inputs, "product", attributes)
            .node("Add", &["h", "product"], "y");
        let name = format!("ReduceProd with zeros, operator set {opset}");
        Case::new(&name, draft.result("y"), X)
    };
    forms.into_iter().map(case).collect()
}

/// Shape arithmetic: h[batch, 3] over 3, the product of the last size.
fn of_integers() -> Case {
    let to = vec![AttributeProto::from_int("to", 1)];
    let draft = hidden()
        .opset(18)
        .integers("sizes", &[2, 3, 4])
        .node("Shape", &["h"], "shape")
        .node("ReduceProd", &["shape"], "count")
        .node("ReduceMax", &["sizes"], "most")
        .node("ReduceMin", &["sizes"], "least")
        .node("ReduceSum", &["sizes"], "sum")
        .node("Add", &["count", "most"], "first")
        .node("Mul", &["least", "sum"], "second")
        .node("Add", &["first", "second"], "number")
        .node_with("Cast", &["number"], "divisor", to)
        .node("Div", &["h", "divisor"], "y");
    Case::new("reductions of integers", draft.result("y"), X)
}
