//! The form in which a forward graph trains: batch normalization by the statistics of the batch, dropout by a mask.
//!
//! Every tensor that prediction makes is made here too, under the same name, so that a loss fits both.

use crate::emitter::Emitter;
use crate::facts::Facts;
use crate::forward::Forward;
use crate::graph::Graph;
use crate::operators::{self, Training};
use crate::{Error, Lowering};

/// The initializers that hold the running statistics of a graph, in the order of its nodes.
///
/// Nodes whose statistics something computes have none that could be kept: they predict and train by them as they are.
pub(crate) fn statistics(graph: &Graph) -> Vec<String> {
    let mut found = Vec::new();
    for node in &graph.nodes {
        let inputs = operators::find(node)
            .map(operators::Operator::statistics)
            .unwrap_or_default();
        let names: Option<Vec<String>> = inputs
            .iter()
            .map(|(input, _)| {
                let name = node.input.get(*input)?;
                graph
                    .initializer(name)
                    .filter(|tensor| graph.may_train(tensor))
                    .map(|_| name.clone())
            })
            .collect();
        found.extend(names.unwrap_or_default());
    }
    found
}

/// Writes a forward graph in the form in which it trains.
///
/// `statistics` are the running statistics that the step updates: it makes their next values under the names of the
/// contract. Nodes with other statistics stay as they are. No new node takes a name of `taken`.
///
/// # Errors
/// A node that has no form for training, with what would help.
pub(crate) fn training_form(
    forward: &Forward,
    statistics: &[String],
    taken: impl IntoIterator<Item = String>,
) -> Result<Forward, Error> {
    let mut graph = forward.graph.clone();
    let mut emitter = Emitter::new(taken, graph.opset, Lowering::Standard);
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for (number, node) in graph.nodes.iter().enumerate() {
        let replaced = match operators::find(node) {
            None => false,
            Some(operator) => {
                emitter.enter(format!("training/{}", node.label()));
                let facts = &forward.facts;
                let mut training = Training::new(node, number, &mut emitter, facts, statistics);
                operator.training(&mut training).map_err(|reason| {
                    let (label, operator) = (node.label(), node.op_type());
                    Error::request(format!("node '{label}' ({operator}) {reason}"))
                })?
            }
        };
        if replaced {
            nodes.append(&mut emitter.nodes);
        } else {
            nodes.push(node.clone());
        }
    }
    graph.nodes = nodes;
    graph.initializers.extend(emitter.initializers);
    let facts = Facts::of(&graph);
    Ok(Forward {
        graph,
        facts,
        predictions: forward.predictions.clone(),
    })
}
