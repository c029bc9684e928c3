//! Exponentials, logarithms, roots and powers.

use millrace_onnx::proto::{AttributeProto, TensorProto};

use super::{Case, X, hidden, positive};
use crate::support::Draft;

pub fn cases() -> Vec<Case> {
    let of_all = ["Exp", "Erf"].map(|operator| (operator, hidden(), "h"));
    let of_positive = ["Log", "Sqrt"].map(|operator| (operator, positive(), "positive"));
    of_all
        .into_iter()
        .chain(of_positive)
        .map(|(operator, draft, input)| {
            let draft = draft.opset(13).node(operator, &[input], "y");
            Case::new(operator, draft.result("y"), X)
        })
        .chain(constant_powers())
        .chain(powers_that_train())
        .collect()
}

fn constant_powers() -> Vec<Case> {
    let power = |draft: Draft, exponent: f32, base: &str| {
        let draft =
            draft
                .opset(13)
                .number("exponent", exponent)
                .node("Pow", &[base, "exponent"], "y");
        Case::new(&format!("Pow {exponent} of {base}"), draft.result("y"), X)
    };
    let mut whole = hidden();
    let three = TensorProto::from_i64("three", &[], &[3]);
    whole.graph.initializer.push(three);
    let whole = whole.node("Pow", &["h", "three"], "y");
    vec![
        power(hidden(), 2.0, "h"),
        power(hidden(), 3.0, "h"),
        power(hidden(), 1.0, "h"),
        power(positive(), 0.5, "positive"),
        power(positive(), -1.5, "positive"),
        Case::new("Pow with an integer exponent", whole.result("y"), X),
    ]
}

fn powers_that_train() -> Vec<Case> {
    let shapes: [&[usize]; 3] = [&[3], &[1], &[1, 3]];
    let mut cases = Vec::new();
    for shape in shapes {
        for inputs in [["positive", "v"], ["v", "positive"]] {
            let values = &[1.5, 0.5, 2.0][..shape.iter().product()];
            let draft = positive().weights("v", shape, values);
            let draft = draft.node("Pow", &inputs, "y");
            let name = format!("Pow of {inputs:?}, v {shape:?}");
            cases.push(Case::new(&name, draft.result("y"), X));
        }
    }
    let to = |code| vec![AttributeProto::from_int("to", code)];
    let draft = positive()
        .weights("v", &[3], &[1.5, 0.5, 2.0])
        .node_with("Cast", &["v"], "wide", to(11))
        .node("Pow", &["positive", "wide"], "y");
    cases.push(Case::new(
        "Pow with a float64 exponent",
        draft.result("y"),
        X,
    ));
    cases
}
