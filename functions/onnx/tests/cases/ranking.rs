//! Orders, places and running sums along an axis, and triangles: `TopK`, `ArgMax`, `ArgMin`, `CumSum`, `Trilu`.

use millrace_onnx::proto::{AttributeProto, TensorProto};

use super::{Case, X, hidden};
use crate::support::{Draft, noise};

pub fn cases() -> Vec<Case> {
    running_sums()
        .into_iter()
        .chain(tops())
        .chain(places())
        .chain(triangles())
        .collect()
}

/// cube[batch, 3, 4]
fn cube() -> Draft {
    hidden()
        .integers("split", &[-1, 3, 1])
        .weights("row", &[1, 4], &[0.6, 1.3, -0.8, 0.35])
        .node("Reshape", &["h", "split"], "column")
        .node("Mul", &["column", "row"], "cube")
}

fn running_sums() -> Vec<Case> {
    let mut cases = Vec::new();
    for (axis, exclusive, reverse) in [(1, 0, 0), (1, 1, 0), (-1, 0, 1), (0, 1, 1), (2, 0, 0)] {
        let mut draft = cube().opset(14);
        let axis_tensor = TensorProto::from_i64("axis", &[], &[axis]);
        draft.graph.initializer.push(axis_tensor);
        let attributes = vec![
            AttributeProto::from_int("exclusive", exclusive),
            AttributeProto::from_int("reverse", reverse),
        ];
        let draft = draft.node_with("CumSum", &["cube", "axis"], "y", attributes);
        let name = format!("CumSum, axis {axis}, exclusive {exclusive}, reverse {reverse}");
        cases.push(Case::new(&name, draft.result("y"), X));
    }
    cases
}

fn tops() -> Vec<Case> {
    let mut cases = Vec::new();
    for (opset, axis, largest) in [(13, -1, 1), (13, 1, 0), (24, 2, 1)] {
        let attributes = vec![
            AttributeProto::from_int("axis", axis),
            AttributeProto::from_int("largest", largest),
        ];
        let mut draft = cube().opset(opset).integers("count", &[2]).node_with(
            "TopK",
            &["cube", "count"],
            "y",
            attributes,
        );
        let node = draft.graph.node.last_mut().unwrap();
        node.output.push("places".to_owned());
        let name = format!("TopK, axis {axis}, largest {largest}");
        cases.push(Case::new(&name, draft.result("y"), X));
    }
    cases
}

/// The places, as numbers, times weights.
fn places() -> Vec<Case> {
    let mut cases = Vec::new();
    for operator in ["ArgMax", "ArgMin"] {
        for (axis, keeps, last) in [(1, 1, 0), (-1, 0, 0), (1, 1, 1), (-1, 0, 1)] {
            let attributes = vec![
                AttributeProto::from_int("axis", axis),
                AttributeProto::from_int("keepdims", keeps),
                AttributeProto::from_int("select_last_index", last),
            ];
            let draft = hidden()
                .opset(13)
                .node("Sign", &["x"], "signs")
                .node_with("ArgMax", &["signs"], "ignored", Vec::new())
                .node_with(operator, &["signs"], "place", attributes)
                .node_with(
                    "Cast",
                    &["place"],
                    "number",
                    vec![AttributeProto::from_int("to", 1)],
                )
                .weights("v", &[1], &[0.7])
                .node("Mul", &["number", "v"], "y");
            let name = format!("{operator}, axis {axis}, keepdims {keeps}, last {last}");
            cases.push(Case::new(&name, draft.result("y"), X));
        }
    }
    cases
}

fn triangles() -> Vec<Case> {
    let mut cases = Vec::new();
    for (upper, diagonal) in [
        (1, None),
        (0, None),
        (1, Some(1)),
        (0, Some(-1)),
        (0, Some(2)),
    ] {
        let mut draft = cube().opset(14);
        let mut inputs = vec!["cube"];
        if let Some(diagonal) = diagonal {
            let diagonal = TensorProto::from_i64("diagonal", &[], &[diagonal]);
            draft.graph.initializer.push(diagonal);
            inputs.push("diagonal");
        }
        let upper_only = vec![AttributeProto::from_int("upper", upper)];
        let draft = draft.node_with("Trilu", &inputs, "y", upper_only);
        let name = format!("Trilu, upper {upper}, diagonal {diagonal:?}");
        cases.push(Case::new(&name, draft.result("y"), X));
    }
    let square = hidden()
        .opset(14)
        .weights("mixing", &[3, 3], &noise(9, 4))
        .node("Trilu", &["mixing"], "above")
        .node("MatMul", &["h", "above"], "y");
    cases.push(Case::new("Trilu of a weight", square.result("y"), X));
    cases
}
