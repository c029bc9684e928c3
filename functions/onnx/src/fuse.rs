//! Puts nodes of a forward graph together into nodes of the fast lowering.

mod attention;
mod convolution;
mod normalization;
mod product;
mod view;

use std::collections::{HashMap, HashSet};

use self::attention::Attention;
use self::convolution::Convolution;
use self::normalization::Normalization;
use self::product::Product;
use crate::differentiate;
use crate::emitter::Emitter;
use crate::facts::Facts;
use crate::forward::Forward;
use crate::graph::uses;
use crate::operators::recurrent::block::block;
use crate::proto::NodeProto;

/// Replaces each convolution, with the `Relu` and the `MaxPool` behind it that nothing else sees, by one node; each attention that
/// is written out, each normalization of rows with the sum in front of it, and each product of matrices with the bias and the `Relu` behind it, too; and each recurrent layer by one
/// that keeps what its gradients need.
///
/// Tensors keep their names and facts. Losses are computed from `targets`, which stay tensors of their own.
pub(crate) fn fuse(forward: &mut Forward, targets: &[&str], emitter: &mut Emitter) {
    let before = Nodes::of(forward, targets);
    let mut found: Vec<Fused> = Vec::new();
    let mut inside: HashSet<usize> = HashSet::new();
    for (index, node) in before.all.iter().enumerate() {
        let fused = if let Some(layer) = block(node, before.facts, emitter) {
            Fused::alone(index, layer)
        } else if let Some(convolution) = Convolution::at(index, &before, emitter) {
            convolution
        } else if let Some(attention) = Attention::around(index, &before, emitter) {
            attention
        } else if let Some(normalization) = Normalization::at(index, &before) {
            normalization
        } else {
            continue;
        };
        inside.extend(&fused.taken);
        found.push(fused);
    }
    for index in 0..before.all.len() {
        if !inside.contains(&index)
            && let Some(product) = Product::at(index, &before)
        {
            found.push(product);
        }
    }
    let mut nodes: Vec<Option<NodeProto>> = before.all.iter().cloned().map(Some).collect();
    for fused in found {
        for taken in fused.taken {
            nodes[taken] = None;
        }
        nodes[fused.place] = Some(fused.node);
    }
    let nodes: Vec<NodeProto> = nodes.into_iter().flatten().collect();
    // Sizes that only nodes needed which are gone: ONNX Runtime would warn of them in each training.
    let still_used: HashSet<&str> = nodes.iter().flat_map(uses).collect();
    let users = before.users.keys().copied();
    let unused: HashSet<String> = users
        .filter(|name| !still_used.contains(name) && !before.seen.contains(name))
        .map(str::to_owned)
        .collect();
    let initializers = &mut forward.graph.initializers;
    initializers.retain(|initializer| !unused.contains(initializer.name()));
    forward.graph.nodes = nodes;
}

/// A node that takes the place of others.
struct Fused {
    /// The nodes that it takes in.
    taken: Vec<usize>,
    /// Where in the order of the nodes all that it needs is there, and nothing needs it yet.
    place: usize,
    node: NodeProto,
}

impl Fused {
    fn alone(place: usize, node: NodeProto) -> Self {
        Self {
            taken: Vec::new(),
            place,
            node,
        }
    }
}

/// The nodes of a graph, and who makes and uses each tensor.
struct Nodes<'a> {
    all: &'a [NodeProto],
    facts: &'a Facts,
    users: HashMap<&'a str, Vec<usize>>,
    makers: HashMap<&'a str, usize>,
    /// Tensors that something outside the graph sees.
    seen: HashSet<&'a str>,
    /// Tensors that depend on what trains.
    trains: HashSet<String>,
}

impl<'a> Nodes<'a> {
    fn of(forward: &'a Forward, targets: &[&'a str]) -> Self {
        let all = forward.graph.nodes.as_slice();
        let mut users: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut makers = HashMap::new();
        for (index, node) in all.iter().enumerate() {
            for name in uses(node) {
                users.entry(name).or_default().push(index);
            }
            makers.extend(node.output.iter().map(|name| (name.as_str(), index)));
        }
        let predictions = forward.predictions.iter().map(String::as_str);
        Self {
            all,
            facts: &forward.facts,
            users,
            makers,
            seen: predictions.chain(targets.iter().copied()).collect(),
            trains: differentiate::reached(&forward.graph, &forward.facts),
        }
    }

    /// The only node that uses a tensor, where it is of that operator and nothing outside sees the tensor.
    fn only_user(&self, tensor: &str, operator: &str) -> Option<usize> {
        match self.users.get(tensor).map(Vec::as_slice) {
            Some(&[user]) if !self.seen.contains(tensor) => {
                is_standard(&self.all[user], operator).then_some(user)
            }
            _ => None,
        }
    }

    /// The node that makes a tensor for one other node alone.
    fn only_maker(&self, tensor: &str) -> Option<usize> {
        let is_alone = self.users.get(tensor).is_some_and(|users| users.len() == 1)
            && !self.seen.contains(tensor);
        self.makers.get(tensor).copied().filter(|_| is_alone)
    }
}

fn is_standard(node: &NodeProto, operator: &str) -> bool {
    node.op_type() == operator && matches!(node.domain(), "" | "ai.onnx")
}
