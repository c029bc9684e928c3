//! A sigmoid that is written out, 1 / (1 + exp(−x)), becomes one operator.
//!
//! scikit-learn's exporter writes one for classes that are each told from all others. Of large negative x the exponential is
//! infinite: the value is right, 0, but the gradient through the parts is 0 · ∞.

use crate::graph::Graph;
use crate::proto::NodeProto;

/// Puts a sigmoid in the place of each. The nodes that lead to it stay; whether there were any is given back.
pub(super) fn put_together(graph: &mut Graph) -> bool {
    let found: Vec<(usize, String)> = graph
        .nodes
        .iter()
        .enumerate()
        .filter_map(|(place, node)| Some((place, argument(graph, node)?)))
        .collect();
    for (place, argument) in &found {
        let node = &mut graph.nodes[*place];
        node.op_type = Some("Sigmoid".to_owned());
        node.input = vec![argument.clone()];
    }
    !found.is_empty()
}

/// The x of a node that gives 1 / (1 + exp(−x)).
fn argument(graph: &Graph, node: &NodeProto) -> Option<String> {
    let sum = match (node.op_type(), node.input.as_slice()) {
        ("Reciprocal", [sum]) => sum,
        ("Div", [one, sum]) if number(graph, one) == Some(1.0) => sum,
        _ => return None,
    };
    let power = beside(graph, made_by(graph, sum, "Add")?, 1.0)?;
    let [negated] = made_by(graph, power, "Exp")? else {
        return None;
    };
    match made_by(graph, negated, "Neg") {
        Some([argument]) => Some(argument.clone()),
        _ => beside(graph, made_by(graph, negated, "Mul")?, -1.0).cloned(),
    }
}

/// The inputs of the node that makes a tensor, where it is of this operator.
fn made_by<'a>(graph: &'a Graph, tensor: &str, operator: &str) -> Option<&'a [String]> {
    let node = graph.producer(tensor)?;
    (node.op_type() == operator).then_some(node.input.as_slice())
}

/// The one of two inputs that is not this number.
fn beside<'a>(graph: &Graph, inputs: &'a [String], wanted: f32) -> Option<&'a String> {
    let [left, right] = inputs else {
        return None;
    };
    if number(graph, right) == Some(wanted) {
        return Some(left);
    }
    (number(graph, left) == Some(wanted)).then_some(right)
}

/// The number that a tensor of one element is, which does not train.
fn number(graph: &Graph, tensor: &str) -> Option<f32> {
    let values = match graph.initializer(tensor) {
        Some(initializer) if graph.may_train(initializer) => return None,
        Some(initializer) => initializer.to_f32().ok()?,
        None => {
            let node = graph.producer(tensor)?;
            let is_constant = node.op_type() == "Constant";
            let value = node.tensor("value").filter(|_| is_constant)?;
            value.to_f32().ok()?
        }
    };
    match values.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}
