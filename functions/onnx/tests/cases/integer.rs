//! Whole numbers, made of the inputs and multiplied with weights.

use millrace_onnx::ElementType;
use millrace_onnx::proto::{AttributeProto, TensorProto};

use super::{Case, X, hidden};
use crate::support::Draft;

pub fn cases() -> Vec<Case> {
    let truncates = || vec![AttributeProto::from_int("fmod", 1)];
    let direction = |to: &str| vec![AttributeProto::from_string("direction", to)];
    vec![
        of_integers(
            "Mod",
            "Mod",
            13,
            ElementType::Int64,
            &[3, -4, 5, 7],
            Vec::new(),
        ),
        of_integers(
            "Mod, towards zero",
            "Mod",
            13,
            ElementType::Int64,
            &[3, -4, 5, 7],
            truncates(),
        ),
        of_integers(
            "BitShift left",
            "BitShift",
            13,
            ElementType::Uint64,
            &[1, 0, 3, 2],
            direction("LEFT"),
        ),
        of_integers(
            "BitShift right",
            "BitShift",
            13,
            ElementType::Uint64,
            &[1, 0, 3, 2],
            direction("RIGHT"),
        ),
        of_integers(
            "BitwiseAnd",
            "BitwiseAnd",
            18,
            ElementType::Int64,
            &[3, 5, -2, 6],
            Vec::new(),
        ),
        of_integers(
            "BitwiseOr",
            "BitwiseOr",
            18,
            ElementType::Int64,
            &[3, 5, -2, 6],
            Vec::new(),
        ),
        of_integers(
            "BitwiseXor",
            "BitwiseXor",
            18,
            ElementType::Int64,
            &[3, 5, -2, 6],
            Vec::new(),
        ),
        bitwise_not(),
        of_integers(
            "Pow of integers",
            "Pow",
            13,
            ElementType::Int64,
            &[2, 1, 3, 0],
            Vec::new(),
        ),
        of_integers(
            "Max of integers",
            "Max",
            13,
            ElementType::Int64,
            &[2, -1, 3, 0],
            Vec::new(),
        ),
        of_integers(
            "Min of integers",
            "Min",
            13,
            ElementType::Int64,
            &[2, -1, 3, 0],
            Vec::new(),
        ),
        of_integers(
            "Div of integers",
            "Div",
            13,
            ElementType::Int64,
            &[2, -3, 4, 5],
            Vec::new(),
        ),
        remainder(),
        signs(),
    ]
}

fn to(element: ElementType) -> Vec<AttributeProto> {
    vec![AttributeProto::from_int("to", i64::from(element.code()))]
}

/// Whole numbers between −9 and 9, or between 0 and 9.
fn whole(element: ElementType) -> Draft {
    let draft = hidden()
        .number("nine", 9.0)
        .node("Mul", &["x", "nine"], "wide");
    let draft = if element == ElementType::Uint64 {
        draft.node("Abs", &["wide"], "near")
    } else {
        draft.node("Identity", &["wide"], "near")
    };
    draft.node_with("Cast", &["near"], "whole", to(element))
}

fn times_weights(name: &str, draft: Draft) -> Case {
    let draft = draft
        .node_with("Cast", &["found"], "floats", to(ElementType::Float32))
        .node("MatMul", &["floats", "w"], "y");
    Case::new(name, draft.result("y"), X)
}

fn of_integers(
    name: &str,
    operator: &str,
    opset: i64,
    element: ElementType,
    others: &[i64],
    attributes: Vec<AttributeProto>,
) -> Case {
    let bytes = others
        .iter()
        .flat_map(|other| other.to_le_bytes())
        .collect();
    let mut draft = whole(element).opset(opset);
    let others = TensorProto::from_raw("others", element, &[others.len()], bytes);
    draft.graph.initializer.push(others);
    let draft = draft.node_with(operator, &["whole", "others"], "found", attributes);
    times_weights(name, draft)
}

fn bitwise_not() -> Case {
    let draft = whole(ElementType::Int64).opset(18);
    times_weights("BitwiseNot", draft.node("BitwiseNot", &["whole"], "found"))
}

fn signs() -> Case {
    let draft = whole(ElementType::Int64)
        .node("Sign", &["whole"], "signs")
        .node("Abs", &["whole"], "sizes")
        .node("Mul", &["signs", "sizes"], "same")
        .node("Neg", &["same"], "found");
    times_weights("Sign, Abs and Neg of integers", draft)
}

fn remainder() -> Case {
    let draft = hidden().weights("v", &[3], &[0.3, -0.45, 0.2]).node_with(
        "Mod",
        &["h", "v"],
        "y",
        vec![AttributeProto::from_int("fmod", 1)],
    );
    Case::new("Mod of floating-point numbers", draft.result("y"), X)
}
