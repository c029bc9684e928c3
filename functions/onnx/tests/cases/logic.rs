//! Comparisons, truth values and rounding, as masks on the way of a gradient.

use millrace_onnx::ElementType;
use millrace_onnx::proto::AttributeProto;

use super::{Case, X, hidden};
use crate::support::Draft;

pub fn cases() -> Vec<Case> {
    comparisons()
        .into_iter()
        .chain(connectives())
        .chain(roundings())
        .chain(questions())
        .collect()
}

/// y = h where the mask holds, else 0.
fn masked(name: &str, draft: Draft) -> Case {
    let draft = draft.node("Where", &["mask", "h", "zero"], "y");
    Case::new(name, draft.result("y"), X)
}

fn halves() -> Draft {
    hidden()
        .opset(16)
        .number("zero", 0.0)
        .number("tenth", 0.1)
        .node("Greater", &["h", "zero"], "is positive")
        .node("Less", &["h", "tenth"], "is small")
}

fn comparisons() -> Vec<Case> {
    let of_floats = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]
        .map(|operator| masked(operator, halves().node(operator, &["h", "tenth"], "mask")));
    let to = |element: ElementType| vec![AttributeProto::from_int("to", i64::from(element.code()))];
    let of_integers =
        ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"].map(|operator| {
            let draft = halves()
                .integers("row", &[0, 1, 0])
                .node_with("Cast", &["is positive"], "ones", to(ElementType::Int64))
                .node(operator, &["ones", "row"], "mask");
            masked(&format!("{operator} of integers"), draft)
        });
    let of_truths = halves().node("Equal", &["is positive", "is small"], "mask");
    of_floats
        .into_iter()
        .chain(of_integers)
        .chain([masked("Equal of truth values", of_truths)])
        .collect()
}

fn connectives() -> Vec<Case> {
    let pairs = ["And", "Or", "Xor"].map(|operator| {
        let draft = halves().node(operator, &["is positive", "is small"], "mask");
        masked(operator, draft)
    });
    let not = masked("Not", halves().node("Not", &["is small"], "mask"));
    pairs.into_iter().chain([not]).collect()
}

fn roundings() -> Vec<Case> {
    let of_floats = ["Ceil", "Floor", "Round", "Sign"].map(|operator| {
        let draft = hidden()
            .number("scale", 1.5)
            .node("Mul", &["x", "scale"], "wide")
            .node(operator, &["wide"], "rounded")
            .node("MatMul", &["rounded", "w"], "y");
        Case::new(operator, draft.result("y"), X)
    });
    let halves = hidden()
        .weights("halves", &[3], &[0.5, 1.5, -2.5])
        .number("zero", 0.0)
        .node("Sub", &["halves", "zero"], "same")
        .node("Round", &["same"], "even")
        .node("Mul", &["h", "even"], "y");
    let halves = Case::new("Round of halves", halves.result("y"), X);
    of_floats.into_iter().chain([halves]).collect()
}

fn questions() -> Vec<Case> {
    // ln x is NaN or −∞ where x is not positive, and 1 / 0 is infinite.
    let draft = |operator: &str, attributes| {
        hidden()
            .opset(20)
            .number("zero", 0.0)
            .node("Log", &["h"], "logarithm")
            .node("Relu", &["h"], "clipped")
            .node("Log", &["clipped"], "unbounded")
            .node("Neg", &["unbounded"], "turned")
            .node_with(
                operator,
                &[if operator == "IsNaN" {
                    "logarithm"
                } else {
                    "turned"
                }],
                "mask",
                attributes,
            )
    };
    let no_positive = vec![AttributeProto::from_int("detect_positive", 0)];
    let no_negative = vec![AttributeProto::from_int("detect_negative", 0)];
    vec![
        masked("IsNaN", draft("IsNaN", Vec::new())),
        masked("IsInf", draft("IsInf", Vec::new())),
        masked("IsInf below", draft("IsInf", no_positive)),
        masked("IsInf above", draft("IsInf", no_negative)),
    ]
}
