//! What stands behind a prediction and cannot be differentiated: classes picked from probabilities, names put to them.
//!
//! A training step ends in front of such a tail; the model that results from training keeps it.

use crate::graph::Graph;
use crate::proto::NodeProto;

/// Operators that only pass a prediction on in another form.
const TAILS: [&str; 17] = [
    "ArgMax",
    "ArrayFeatureExtractor",
    "Binarizer",
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
        while let Some(node) = graph.producer(tensor).filter(|node| is_tail(graph, node)) {
            let Some(before) = node
                .input
                .iter()
                .find(|name| graph.producer(name).is_some())
            else {
                break;
            };
            tensor = before;
        }
        let is_made = graph
            .producer(tensor)
            .is_some_and(|node| !is_tail(graph, node));
        if is_made && !ends.contains(&tensor) {
            ends.push(tensor);
        }
    }
    let all = ends.clone();
    ends.retain(|end| {
        !all.iter()
            .any(|other| is_both_classes_of(graph, end, other))
    });
    ends
}

/// The outputs that are no tails, where there are any: another output beside them may be their classes as numbers.
pub(super) fn without_tails<'a>(graph: &Graph, outputs: Vec<&'a str>) -> Vec<&'a str> {
    let is_made = |output: &&&str| {
        graph
            .producer(output)
            .is_some_and(|node| !is_tail(graph, node))
    };
    let kept: Vec<&str> = outputs.iter().filter(is_made).copied().collect();
    if kept.is_empty() { outputs } else { kept }
}

/// Whether a tensor is [1 − p, p] of another one, as scikit-learn's exporter shows two classes.
fn is_both_classes_of(graph: &Graph, tensor: &str, other: &str) -> bool {
    let made_by = |tensor: &str, operator: &str| {
        let node = graph.producer(tensor)?;
        (node.op_type() == operator).then_some(node.input.as_slice())
    };
    let Some([no, yes]) = made_by(tensor, "Concat") else {
        return false;
    };
    let rest = made_by(no, "Sub");
    yes == other && rest.is_some_and(|inputs| inputs.get(1).is_some_and(|taken| taken == other))
}

fn is_tail(graph: &Graph, node: &NodeProto) -> bool {
    TAILS.contains(&node.op_type()) || picks_classes(graph, node)
}

/// Whether a node looks up in a list of whole numbers.
fn picks_classes(graph: &Graph, node: &NodeProto) -> bool {
    let list = node.input.first().and_then(|name| graph.initializer(name));
    node.op_type() == "Gather" && list.is_some_and(|list| !list.element().is_float())
}
