//! What stands behind a prediction and cannot be differentiated: classes picked from probabilities, names put to them.
//!
//! A training step ends in front of such a tail; the model that results from training keeps it.

use crate::graph::Graph;
use crate::proto::NodeProto;

/// Operators that only pass a prediction on in another form.
const TAILS: [&str; 16] = [
    "ArgMax",
    "ArrayFeatureExtractor",
    "Cast",
    "Equal",
    "Flatten",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "LabelEncoder",
    "Less",
    "LessOrEqual",
    "Reshape",
    "Round",
    "Squeeze",
    "TopK",
    "ZipMap",
];

/// The tensors in which the tails of all outputs end, each once: nothing that a tail makes is among them.
pub(super) fn candidates(graph: &Graph) -> Vec<&str> {
    let mut ends: Vec<&str> = Vec::new();
    for output in &graph.ends {
        let mut tensor = output.as_str();
        while let Some(node) = graph.producer(tensor).filter(|node| is_tail(node)) {
            let Some(before) = node
                .input
                .iter()
                .find(|name| graph.producer(name).is_some())
            else {
                break;
            };
            tensor = before;
        }
        let is_made = graph.producer(tensor).is_some_and(|node| !is_tail(node));
        if is_made && !ends.contains(&tensor) {
            ends.push(tensor);
        }
    }
    ends
}

fn is_tail(node: &NodeProto) -> bool {
    TAILS.contains(&node.op_type())
}
