//! Whether somebody gives each value that a graph reads: an input, an initializer, a node, or a graph around it.

use std::collections::HashSet;

use super::graphs_within;
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::{Error, Model};

/// # Errors
/// [`Error::NotOnnx`], which names the first value that nothing gives and who reads it.
pub(super) fn check(model: &Model) -> Result<(), Error> {
    let ModelProto { functions, .. } = model.proto();
    check_graph(model.graph(), &HashSet::new())?;
    for function in functions {
        let given = function.input.iter().map(String::as_str).collect();
        let given = check_nodes(&function.node, given)?;
        let outputs = function.output.iter().map(String::as_str);
        check_outputs(outputs, function.name(), &given)?;
    }
    Ok(())
}

fn check_graph(graph: &GraphProto, around: &HashSet<&str>) -> Result<(), Error> {
    let mut given = around.clone();
    given.extend(graph.input.iter().map(ValueInfoProto::name));
    given.extend(graph.initializer.iter().map(TensorProto::name));
    let sparse = graph.sparse_initializer.iter();
    given.extend(sparse.filter_map(|tensor| tensor.values.as_ref().map(TensorProto::name)));
    let given = check_nodes(&graph.node, given)?;
    let outputs = graph.output.iter().map(ValueInfoProto::name);
    check_outputs(outputs, graph.name(), &given)
}

/// Checks the nodes, and gives the names with those that they give. Their order is not looked at: runtimes sort them.
fn check_nodes<'a>(
    nodes: &'a [NodeProto],
    mut given: HashSet<&'a str>,
) -> Result<HashSet<&'a str>, Error> {
    given.extend(
        nodes
            .iter()
            .flat_map(|node| &node.output)
            .map(String::as_str),
    );
    for node in nodes {
        // An input that is left out has an empty name.
        let mut read = node.input.iter().filter(|value| !value.is_empty());
        if let Some(value) = read.find(|value| !given.contains(value.as_str())) {
            return Err(nobody_gives(
                value,
                &format!("node '{}' reads", node.label()),
            ));
        }
        for graph in graphs_within(node) {
            check_graph(graph, &given)?;
        }
    }
    Ok(given)
}

fn check_outputs<'a>(
    mut outputs: impl Iterator<Item = &'a str>,
    graph: &str,
    given: &HashSet<&str>,
) -> Result<(), Error> {
    match outputs.find(|output| !given.contains(output)) {
        None => Ok(()),
        Some(output) => Err(nobody_gives(output, &format!("graph '{graph}' puts out"))),
    }
}

fn nobody_gives(value: &str, who: &str) -> Error {
    Error::NotOnnx {
        reason: format!(
            "{who} '{value}', which no input, initializer or node gives; export the model again"
        ),
    }
}
