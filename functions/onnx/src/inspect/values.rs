//! Whether each value that a graph reads is given, once and before it is needed: by an input, an initializer, a node,
//! or a graph around it.

use std::collections::{HashMap, HashSet};

use super::graphs_within;
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::{Error, Model};

/// # Errors
/// [`Error::NotOnnx`], which names a value that nothing gives and who reads it, one that is given twice, or a node that
/// waits for itself.
pub(super) fn check(model: &Model) -> Result<(), Error> {
    let ModelProto { functions, .. } = model.proto();
    check_graph(model.graph(), &HashSet::new())?;
    for function in functions {
        let own: HashSet<&str> = function.input.iter().map(String::as_str).collect();
        let given = check_nodes(&function.node, &own, &HashSet::new())?;
        let outputs = function.output.iter().map(String::as_str);
        check_outputs(outputs, function.name(), &given)?;
    }
    Ok(())
}

fn check_graph(graph: &GraphProto, around: &HashSet<&str>) -> Result<(), Error> {
    let given = check_nodes(&graph.node, &own_values(graph), around)?;
    let outputs = graph.output.iter().map(ValueInfoProto::name);
    check_outputs(outputs, graph.name(), &given)
}

/// What a graph has before its first node runs, without the values of graphs around it.
fn own_values(graph: &GraphProto) -> HashSet<&str> {
    let inputs = graph.input.iter().map(ValueInfoProto::name);
    let initializers = graph.initializer.iter().map(TensorProto::name);
    let sparse = graph.sparse_initializer.iter();
    let sparse = sparse.filter_map(|tensor| tensor.values.as_ref().map(TensorProto::name));
    inputs.chain(initializers).chain(sparse).collect()
}

/// Checks the nodes of a graph that has values of its `own` and sees those `around` it, and gives all names that are
/// known behind them. In which order the nodes stand is not looked at: runtimes sort them.
fn check_nodes<'a>(
    nodes: &'a [NodeProto],
    own: &HashSet<&'a str>,
    around: &HashSet<&'a str>,
) -> Result<HashSet<&'a str>, Error> {
    let mut makers = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        // An output that nobody wants has an empty name.
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            if own.contains(output.as_str()) || makers.insert(output.as_str(), index).is_some() {
                return Err(refused(&format!(
                    "'{output}' is given twice, one time by node '{}'",
                    node.label()
                )));
            }
        }
    }
    let mut given: HashSet<&str> = around | own;
    given.extend(makers.keys());
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
    check_cycles(nodes, &makers)?;
    Ok(given)
}

/// Whether the nodes can run in some order (Kahn's algorithm). `makers` tells which node gives a value.
fn check_cycles(nodes: &[NodeProto], makers: &HashMap<&str, usize>) -> Result<(), Error> {
    let mut readers = vec![Vec::new(); nodes.len()];
    let mut waits_for = vec![0_usize; nodes.len()];
    for (reader, node) in nodes.iter().enumerate() {
        for maker in read_by(node)
            .into_iter()
            .filter_map(|name| makers.get(name))
        {
            readers[*maker].push(reader);
            waits_for[reader] += 1;
        }
    }
    let mut ready: Vec<usize> = (0..nodes.len())
        .filter(|node| waits_for[*node] == 0)
        .collect();
    while let Some(maker) = ready.pop() {
        for reader in &readers[maker] {
            waits_for[*reader] -= 1;
            if waits_for[*reader] == 0 {
                ready.push(*reader);
            }
        }
    }
    match waits_for.iter().position(|count| *count > 0) {
        None => Ok(()),
        Some(node) => Err(refused(&format!(
            "node '{}' waits for itself, or for nodes that do: the graph has a cycle",
            nodes[node].label()
        ))),
    }
}

/// What a node and the graphs within it read from outside of it.
fn read_by(node: &NodeProto) -> HashSet<&str> {
    let mut read: HashSet<&str> = node.input.iter().map(String::as_str).collect();
    for graph in graphs_within(node) {
        let mut inner: HashSet<&str> = graph.node.iter().flat_map(read_by).collect();
        inner.extend(graph.output.iter().map(ValueInfoProto::name));
        let mut own = own_values(graph);
        own.extend(
            graph
                .node
                .iter()
                .flat_map(|node| &node.output)
                .map(String::as_str),
        );
        read.extend(&inner - &own);
    }
    read
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
    refused(&format!(
        "{who} '{value}', which no input, initializer or node gives"
    ))
}

fn refused(reason: &str) -> Error {
    Error::NotOnnx {
        reason: format!("{reason}; export the model again"),
    }
}
