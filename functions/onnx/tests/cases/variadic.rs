//! `Max`, `Min`, `Sum`, `Clip`.

use super::{Case, X, hidden};

pub fn cases() -> Vec<Case> {
    ["Max", "Min", "Sum"]
        .into_iter()
        .flat_map(of_any_number)
        .chain(clips())
        .collect()
}

fn of_any_number(operator: &str) -> Vec<Case> {
    let sets: [&[&str]; 5] = [
        &["h"],
        &["h", "row"],
        &["number", "h"],
        &["row", "h", "column", "number"],
        // Ties share the gradient, so that the sum over both is the whole.
        &["h", "h"],
    ];
    let case = |inputs: &&[&str]| {
        let mut draft = hidden().opset(13);
        if inputs.contains(&"row") {
            draft = draft.weights("row", &[3], &[0.1, -0.2, 0.05]);
        }
        if inputs.contains(&"column") {
            draft = draft.weights("column", &[2, 1, 1], &[0.3, -0.25]);
        }
        if inputs.contains(&"number") {
            draft = draft.number("number", 0.12);
        }
        let draft = draft.node(operator, inputs, "y");
        Case::new(&format!("{operator} of {inputs:?}"), draft.result("y"), X)
    };
    sets.iter().map(case).collect()
}

fn clips() -> Vec<Case> {
    let sets: [&[&str]; 4] = [
        &["h"],
        &["h", "low"],
        &["h", "", "high"],
        &["h", "low", "high"],
    ];
    let constant = sets.map(|inputs| {
        let mut draft = hidden().opset(13);
        for (name, value) in [("low", -0.3), ("high", 0.25)] {
            if inputs.contains(&name) {
                draft = draft.number(name, value);
            }
        }
        let draft = draft.node("Clip", inputs, "y");
        Case::new(&format!("Clip of {inputs:?}"), draft.result("y"), X)
    });
    let bounds = hidden()
        .weights("lower", &[1], &[-0.3])
        .weights("upper", &[1], &[0.25])
        .integers("scalar", &[])
        .node("Reshape", &["lower", "scalar"], "low")
        .node("Reshape", &["upper", "scalar"], "high")
        .node("Clip", &["h", "low", "high"], "y");
    let trained = Case::new("Clip, bounds that train", bounds.result("y"), X);
    constant.into_iter().chain([trained]).collect()
}
