//! The form in which a model predicts, whatever form it was exported in.
//!
//! Exporters write batch normalization and dropout in the form for prediction or in the form for training, depending on
//! a switch that has nothing to do with who trains the model later. Here all have the form for prediction: batch
//! normalization uses its running statistics, dropout passes its input through. How they differ while a model trains is
//! decided when the training step is made, see [`crate::training`].
//!
//! Exporters also merge equal initializers, and the running statistics of a fresh model are zeros and ones like many a
//! parameter. Since statistics and parameters change differently, every running statistic gets an initializer of its own.

use std::collections::HashSet;

use crate::graph::uses;
use crate::operators;
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::{Error, prepare};

/// Brings a model into the form for prediction. A model that has it already stays as it is, to the byte.
///
/// Where functions of the model's own normalize batches, or drop elements out, all functions are put in the places where
/// they are called: each call may have statistics of its own.
///
/// # Errors
/// Functions that call themselves.
pub(crate) fn to_inference_form(model: &mut ModelProto) -> Result<(), Error> {
    let mut inner = model.functions.iter().flat_map(|function| &function.node);
    if inner.any(|node| is_standard(node, "BatchNormalization") || trains_dropout(node)) {
        prepare::put_functions_in_place(model)?;
    }
    if let Some(graph) = &mut model.graph {
        graph_to_inference_form(graph);
    }
    Ok(())
}

/// Whether a node is told to drop elements out by its input `training_mode`.
fn trains_dropout(node: &NodeProto) -> bool {
    is_standard(node, "Dropout") && node.input.len() > 2
}

fn graph_to_inference_form(graph: &mut GraphProto) {
    let mut at = 0;
    while at < graph.node.len() {
        if trains_dropout(&graph.node[at]) {
            // Without that input, which is the third.
            graph.node[at].input.truncate(2);
        }
        if is_standard(&graph.node[at], "BatchNormalization") {
            own_statistics(graph, at);
            drop_training_outputs(graph, at);
        }
        at += 1;
    }
}

fn is_standard(node: &NodeProto, operator: &str) -> bool {
    matches!(node.domain(), "" | "ai.onnx") && node.op_type() == operator
}

/// Gives each running statistic of a node an initializer that nothing else uses, where its values can be had.
fn own_statistics(graph: &mut GraphProto, at: usize) {
    let statistics = operators::find(&graph.node[at])
        .map(operators::Operator::statistics)
        .unwrap_or_default();
    for (input, kind) in statistics {
        let Some(name) = graph.node[at].input.get(*input).cloned() else {
            continue;
        };
        let Some((root, is_shared)) = root(graph, &name) else {
            continue;
        };
        let own = if is_shared || !is_initializer(graph, root.name()) {
            let label = graph.node[at].label();
            let name = free_name(graph, &format!("{label}.{kind}"));
            let copy = TensorProto {
                name: Some(name.clone()),
                ..root
            };
            graph.initializer.push(copy);
            name
        } else {
            root.name().to_owned()
        };
        graph.node[at].input[*input] = own;
    }
}

/// The constant tensor behind a name, through `Identity` nodes, and whether anything else uses it as well.
fn root(graph: &GraphProto, name: &str) -> Option<(TensorProto, bool)> {
    let mut name = name.to_owned();
    let mut is_shared = false;
    loop {
        is_shared |= count_uses(graph, &name) > 1;
        if let Some(tensor) = graph
            .initializer
            .iter()
            .find(|tensor| tensor.name() == name)
        {
            return Some((tensor.clone(), is_shared));
        }
        let makes = |node: &&NodeProto| node.output.first() == Some(&name);
        let producer = graph.node.iter().find(makes)?;
        if is_standard(producer, "Constant") {
            return Some((producer.tensor("value")?.clone(), true));
        }
        if !is_standard(producer, "Identity") {
            return None;
        }
        name.clone_from(producer.input.first()?);
    }
}

fn is_initializer(graph: &GraphProto, name: &str) -> bool {
    graph.initializer.iter().any(|tensor| tensor.name() == name)
}

fn count_uses(graph: &GraphProto, name: &str) -> usize {
    let in_nodes = graph.node.iter().flat_map(uses);
    let as_outputs = graph.output.iter().map(crate::proto::ValueInfoProto::name);
    in_nodes
        .chain(as_outputs)
        .filter(|used| *used == name)
        .count()
}

fn free_name(graph: &GraphProto, wanted: &str) -> String {
    let initializers = graph.initializer.iter().map(TensorProto::name);
    let inputs = graph.input.iter().map(crate::proto::ValueInfoProto::name);
    let made = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .map(String::as_str);
    let taken: HashSet<&str> = initializers.chain(inputs).chain(made).collect();
    let numbered = (2..).map(|number| format!("{wanted}_{number}"));
    std::iter::once(wanted.to_owned())
        .chain(numbered)
        .find(|name| !taken.contains(name.as_str()))
        .expect("there is always a higher number")
}

/// Takes off the outputs with new running statistics, which a node only has in the form for training. Where something
/// uses them it gets the statistics as they are.
fn drop_training_outputs(graph: &mut GraphProto, at: usize) {
    let node = &mut graph.node[at];
    node.attribute
        .retain(|attribute| attribute.name() != "training_mode" || attribute.i() == 0);
    let dropped = node.output.split_off(1.min(node.output.len()));
    let statistics = node.input.iter().skip(3).cloned();
    let pairs: Vec<(String, String)> = dropped.into_iter().zip(statistics).collect();
    for (output, statistic) in pairs {
        if !output.is_empty() && count_uses(graph, &output) > 0 {
            let identity = NodeProto {
                input: vec![statistic],
                output: vec![output],
                op_type: Some("Identity".to_owned()),
                ..NodeProto::default()
            };
            graph.node.insert(at + 1, identity);
        }
    }
}
