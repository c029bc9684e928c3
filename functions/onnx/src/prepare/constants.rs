//! `Constant` nodes as initializers: some exporters write weights so, and weights train.

use crate::proto::{GraphProto, NodeProto, TensorProto};

/// Makes an initializer of every `Constant` node whose value is a tensor, under the name of the node's output.
pub(super) fn to_initializers(graph: &mut GraphProto) {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        match tensor_of(&node) {
            Some(tensor) => graph.initializer.push(tensor),
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
}

/// The value of a `Constant` node under the name of its output, where it is a tensor: exporters write a program's numbers as
/// `value_float` and `value_floats`.
fn tensor_of(node: &NodeProto) -> Option<TensorProto> {
    if !is_constant(node) {
        return None;
    }
    Some(TensorProto {
        name: Some(node.output.first()?.clone()),
        ..node.tensor("value")?.clone()
    })
}

fn is_constant(node: &NodeProto) -> bool {
    matches!(node.domain(), "" | "ai.onnx") && node.op_type() == "Constant"
}

/// Shows every initializer of a graph, every tensor of a `Constant` node, and those of the bodies within, by its name.
///
/// # Errors
/// The first that is made of one.
pub(super) fn for_each<E>(
    graph: &mut GraphProto,
    show: &mut impl FnMut(&str, &mut TensorProto) -> Result<(), E>,
) -> Result<(), E> {
    for initializer in &mut graph.initializer {
        let name = initializer.name().to_owned();
        show(&name, initializer)?;
    }
    for node in &mut graph.node {
        let name = node.output.first().cloned().unwrap_or_default();
        let is_constant = is_constant(node);
        for attribute in &mut node.attribute {
            if let Some(tensor) = attribute.t.as_mut().filter(|_| is_constant) {
                show(&name, tensor)?;
            }
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                for_each(graph, show)?;
            }
        }
    }
    Ok(())
}
