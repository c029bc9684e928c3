//! `Where`.

use super::{Case, X, hidden, positive};

pub fn cases() -> Vec<Case> {
    let shapes: [&[usize]; 3] = [&[3], &[1], &[2, 1, 3]];
    let mut cases = Vec::new();
    for shape in shapes {
        for inputs in [["positive", "v"], ["v", "positive"]] {
            let values = &[0.5, -0.25, 2.0, 0.75, 1.5, -1.0][..shape.iter().product()];
            let draft = positive()
                .opset(16)
                .weights("v", shape, values)
                .number("zero", 0.0)
                .node("Greater", &["h", "zero"], "is positive")
                .node("Where", &["is positive", inputs[0], inputs[1]], "y");
            let name = format!("Where of {inputs:?}, v {shape:?}");
            cases.push(Case::new(&name, draft.result("y"), X));
        }
    }
    let columns = hidden()
        .weights("mask", &[3], &[1.0, -1.0, 1.0])
        .number("zero", 0.0)
        .node("Greater", &["mask", "zero"], "columns")
        .node("Where", &["columns", "h", "zero"], "y");
    cases.push(Case::new("Where on whole columns", columns.result("y"), X));
    cases
}
