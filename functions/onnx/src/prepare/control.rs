//! Control flow whose shape is constant: branches that are always chosen, put in place, and loops with a constant number of
//! turns, written out; sequences that are taken apart again. What is not constant stays, and is refused where a gradient
//! meets it.

use std::collections::HashSet;

use super::known::Known;
use super::names::Names;
use super::sequences::{self, Makers, is_of_sequences};
use super::written::Written;
use super::{branches, loops, scans};
use crate::facts::Facts;
use crate::graph::uses;
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};

/// Whether a node holds graphs and decides which of them run, and how often.
pub(super) fn is_control_flow(node: &NodeProto) -> bool {
    matches!(node.domain(), "" | "ai.onnx") && matches!(node.op_type(), "If" | "Loop" | "Scan")
}

/// Whether a node may be written out by other nodes.
pub(super) fn is_wrapped(node: &NodeProto) -> bool {
    is_control_flow(node) || is_of_sequences(node)
}

/// Replaces all control flow of a graph whose shape follows from what is constant, and says whether there was any. What was
/// in bodies may be control flow in its turn.
pub(super) fn write_out(graph: &mut GraphProto, facts: &Facts) -> bool {
    let mut known = Known::new(facts);
    let mut names = Names::of(graph);
    let mut nodes = Vec::with_capacity(graph.node.len());
    let mut is_changed = false;
    let mut makers = Makers::new();
    for node in std::mem::take(&mut graph.node) {
        let is_sequence = is_of_sequences(&node);
        let found = if is_sequence {
            sequences::taken(&node, &makers, &mut names, &known)
        } else {
            written(&node, &mut names, &known)
        };
        if let Some(written) = found {
            for constant in &written.initializers {
                known.add(constant);
            }
            graph.initializer.extend(written.initializers);
            nodes.extend(written.nodes);
            is_changed = true;
            continue;
        }
        if let Some(output) = node.output.first().filter(|_| is_sequence) {
            makers.insert(output.clone(), node.clone());
        }
        nodes.push(node);
    }
    graph.node = nodes;
    drop_unused_sequences(graph);
    is_changed
}

fn written(node: &NodeProto, names: &mut Names, known: &Known<'_>) -> Option<Written> {
    match node.op_type() {
        _ if !is_control_flow(node) => None,
        "If" => branches::chosen(node, names, known),
        "Loop" => loops::turns(node, names, known),
        _ => scans::turns(node, names, known),
    }
}

/// Takes out what makes sequences that nothing takes any more.
fn drop_unused_sequences(graph: &mut GraphProto) {
    let outputs = graph.output.iter().map(ValueInfoProto::name);
    let used = graph.node.iter().flat_map(uses).chain(outputs);
    let used: HashSet<String> = used.map(str::to_owned).collect();
    graph.node.retain(|node| {
        !is_of_sequences(node) || node.output.iter().any(|name| used.contains(name))
    });
}
