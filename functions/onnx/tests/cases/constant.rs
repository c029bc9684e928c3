//! Constants, and what makes tensors of indices and sizes: `Constant`, `ConstantOfShape`, `EyeLike`, `OneHot`, `NonZero`.

use millrace_onnx::ElementType;
use millrace_onnx::proto::{AttributeProto, TensorProto};

use super::{Case, X, hidden};
use crate::support::Draft;

pub fn cases() -> Vec<Case> {
    constants()
        .into_iter()
        .chain(one_hots())
        .chain(identities())
        .chain([sizes(), non_zero()])
        .collect()
}

fn to(element: ElementType) -> Vec<AttributeProto> {
    vec![AttributeProto::from_int("to", i64::from(element.code()))]
}

/// y = h · what a node makes, as float32.
fn scaled(name: &str, draft: Draft) -> Case {
    let draft = draft
        .node_with("Cast", &["made"], "factor", to(ElementType::Float32))
        .node("Mul", &["h", "factor"], "y");
    Case::new(name, draft.result("y"), X)
}

fn constants() -> Vec<Case> {
    let tensor = TensorProto::from_f32("", &[3], &[0.5, -1.0, 2.0]);
    let floats = AttributeProto {
        floats: vec![0.5, 1.5, -2.0],
        ..AttributeProto::from_ints("value_floats", &[])
    };
    let floats = AttributeProto {
        r#type: Some(6),
        ..floats
    };
    let forms = [
        AttributeProto::from_tensor("value", tensor),
        AttributeProto::from_float("value_float", 0.75),
        floats,
        AttributeProto::from_int("value_int", -2),
        AttributeProto::from_ints("value_ints", &[1, -2, 3]),
    ];
    let case = |form: AttributeProto| {
        let name = format!("Constant, {}", form.name());
        let draft = hidden().opset(13);
        scaled(&name, draft.node_with("Constant", &[], "made", vec![form]))
    };
    forms.map(case).into()
}

fn one_hots() -> Vec<Case> {
    let case = |axis: i64| {
        let mut draft = hidden()
            .opset(13)
            .integers("classes", &[2, 0, -3, 7])
            .number("one", 1.0);
        let depth = TensorProto::from_i64("depth", &[], &[3]);
        let values = TensorProto::from_i64("values", &[2], &[-1, 2]);
        draft.graph.initializer.extend([depth, values]);
        let axes = vec![AttributeProto::from_int("axis", axis)];
        let table = draft
            .node_with("OneHot", &["classes", "depth", "values"], "table", axes)
            .node_with("Cast", &["table"], "made", to(ElementType::Float32));
        // [4, 3], or [3, 4] that is turned.
        let draft = if axis == 0 {
            table.node("Transpose", &["made"], "rows")
        } else {
            table.node("Identity", &["made"], "rows")
        };
        let draft = draft
            .integers("split", &[-1, 1, 3])
            .node("Reshape", &["h", "split"], "slices")
            .node("Mul", &["slices", "rows"], "y");
        Case::new(&format!("OneHot, axis {axis}"), draft.result("y"), X)
    };
    [-1, 0, 1].map(case).into()
}

fn identities() -> Vec<Case> {
    let case = |(name, attributes): (&str, Vec<AttributeProto>)| {
        let draft = hidden()
            .opset(13)
            .weights("square", &[3, 3], &[0.5; 9])
            .node_with("EyeLike", &["square"], "made", attributes)
            .node_with("Cast", &["made"], "identity", to(ElementType::Float32))
            .node("Add", &["square", "identity"], "mixing")
            .node("MatMul", &["h", "mixing"], "y");
        Case::new(name, draft.result("y"), X)
    };
    let integers = i64::from(ElementType::Int64.code());
    [
        ("EyeLike", Vec::new()),
        ("EyeLike above", vec![AttributeProto::from_int("k", 1)]),
        (
            "EyeLike of integers",
            vec![
                AttributeProto::from_int("k", -1),
                AttributeProto::from_int("dtype", integers),
            ],
        ),
    ]
    .map(case)
    .into()
}

/// A part of a shape, the number of elements, and a tensor made of a shape.
fn sizes() -> Case {
    let part = vec![
        AttributeProto::from_int("start", -1),
        AttributeProto::from_int("end", 2),
    ];
    let value = TensorProto::from_i64("", &[1], &[4]);
    let value = vec![AttributeProto::from_tensor("value", value)];
    let draft = hidden()
        .opset(15)
        .node_with("Shape", &["h"], "last", part)
        .node_with("ConstantOfShape", &["last"], "fours", value)
        .node("Size", &["h"], "count")
        .node("Add", &["fours", "count"], "made");
    scaled("Shape, Size and ConstantOfShape", draft)
}

fn non_zero() -> Case {
    let draft = hidden()
        .opset(13)
        .weights("mask", &[4], &[0.5, 0.0, 1.0, 2.0])
        .node("Sign", &["mask"], "signs")
        .node("NonZero", &["signs"], "made");
    scaled("NonZero", draft)
}
