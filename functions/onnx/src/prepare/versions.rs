//! Models of older operator sets whose operators mean the same in the oldest one that is known here.

use super::control::is_control_flow;
use crate::proto::{ModelProto, NodeProto};

/// The oldest operator set whose operators mean what they mean here.
pub(crate) const OLDEST_OPSET: i64 = 13;
/// The oldest that is raised.
const OLDEST_RAISED: i64 = 9;

/// Operators that mean the same in all sets between these two. scikit-learn's exporter writes no later set than it needs.
const UNCHANGED: [&str; 36] = [
    "Abs",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "Cast",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Div",
    "Equal",
    "Exp",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "Greater",
    "Identity",
    "IsNaN",
    "Less",
    "Log",
    "MatMul",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "Pow",
    "Reciprocal",
    "Relu",
    "Reshape",
    "Shape",
    "Sigmoid",
    "Sqrt",
    "Sub",
    "Tanh",
    "Transpose",
];

/// Calls a model by the oldest known operator set where that changes nothing. Nodes of other domains are no hindrance.
pub(super) fn raise(model: &mut ModelProto) {
    let nodes = model.graph.iter().flat_map(|graph| &graph.node);
    let is_unchanged = |node: &NodeProto| {
        let is_standard = matches!(node.domain(), "" | "ai.onnx");
        !is_standard || (UNCHANGED.contains(&node.op_type()) && !is_control_flow(node))
    };
    if !model.functions.is_empty() || !nodes.into_iter().all(is_unchanged) {
        return;
    }
    for import in &mut model.opset_import {
        let is_standard = matches!(import.domain(), "" | "ai.onnx");
        if is_standard && (OLDEST_RAISED..OLDEST_OPSET).contains(&import.version()) {
            import.version = Some(OLDEST_OPSET);
        }
    }
}
