//! `Softmax` and `LogSoftmax`.

use millrace_onnx::proto::AttributeProto;

use super::{Case, X, hidden};
use crate::support::noise;

pub fn cases() -> Vec<Case> {
    ["Softmax", "LogSoftmax"]
        .into_iter()
        .flat_map(|operator| [last_axis(operator), inner_axis(operator)])
        .collect()
}

fn last_axis(operator: &str) -> Case {
    let draft = hidden().opset(13).node(operator, &["h"], "y");
    Case::new(operator, draft.result("y"), X)
}

fn inner_axis(operator: &str) -> Case {
    let axis = vec![AttributeProto::from_int("axis", 1)];
    let draft = hidden()
        .integers("split", &[-1, 3, 1])
        .weights("row", &[1, 2], &noise(2, 5))
        .node("Reshape", &["h", "split"], "column")
        .node("Mul", &["column", "row"], "square")
        .node_with(operator, &["square"], "y", axis);
    let name = format!("{operator} along an inner axis");
    Case::new(&name, draft.result("y"), X)
}
