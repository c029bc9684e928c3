//! Puts nodes of a forward graph together into nodes of the fast lowering.

use std::collections::HashMap;

use crate::emitter::Emitter;
use crate::facts::Facts;
use crate::fast;
use crate::forward::Forward;
use crate::graph::uses;
use crate::operators::convolution_block::{convolution, pool};
use crate::operators::recurrent::block::block;
use crate::proto::{AttributeProto, NodeProto};

/// Replaces each convolution, with the `Relu` and the `MaxPool` behind it that nothing else sees, by one node, and each
/// recurrent layer by one that keeps what its gradients need.
///
/// Tensors keep their names and facts. Losses are computed from `targets`, which stay tensors of their own.
pub(crate) fn fuse(forward: &mut Forward, targets: &[&str], emitter: &mut Emitter) {
    let users = users(&forward.graph.nodes);
    let only_user = |tensor: &str, operator: &str| {
        let mut predictions = forward.predictions.iter();
        let is_seen = targets.contains(&tensor) || predictions.any(|name| name == tensor);
        match users.get(tensor).map(Vec::as_slice) {
            Some(&[user]) if !is_seen => {
                let node = &forward.graph.nodes[user];
                is_standard(node, operator).then_some(user)
            }
            _ => None,
        }
    };
    let mut nodes: Vec<Option<NodeProto>> = forward.graph.nodes.iter().cloned().map(Some).collect();
    for (index, node) in forward.graph.nodes.iter().enumerate() {
        if let Some(layer) = block(node, &forward.facts, emitter) {
            nodes[index] = Some(layer);
            continue;
        }
        let Some(mut block) = Block::new(node, &forward.facts) else {
            continue;
        };
        if let Some(relu) = only_user(&block.output, "Relu") {
            block.with_relu(&forward.graph.nodes[relu]);
            nodes[relu] = None;
        }
        if let Some(user) = only_user(&block.output, "MaxPool") {
            let node = &forward.graph.nodes[user];
            if let Some(taps) = pool(node, &forward.facts) {
                block.with_pool(node, &taps, emitter);
                nodes[user] = None;
            }
        }
        nodes[index] = Some(block.into_node(node));
    }
    forward.graph.nodes = nodes.into_iter().flatten().collect();
}

/// By each tensor, the nodes that use it.
fn users(nodes: &[NodeProto]) -> HashMap<&str, Vec<usize>> {
    let mut users: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in uses(node) {
            users.entry(name).or_default().push(index);
        }
    }
    users
}

fn is_standard(node: &NodeProto, operator: &str) -> bool {
    node.op_type() == operator && matches!(node.domain(), "" | "ai.onnx")
}

/// A convolution and what it has taken in.
struct Block {
    attributes: Vec<AttributeProto>,
    output: String,
    index: Option<String>,
}

impl Block {
    fn new(node: &NodeProto, facts: &Facts) -> Option<Self> {
        let attributes = is_standard(node, "Conv").then(|| convolution(node, facts))??;
        Some(Self {
            attributes,
            output: node.output.first()?.clone(),
            index: None,
        })
    }

    fn with_relu(&mut self, relu: &NodeProto) {
        self.attributes.push(AttributeProto::from_int("relu", 1));
        self.output.clone_from(&relu.output[0]);
    }

    fn with_pool(&mut self, pool: &NodeProto, taps: &[i64], emitter: &mut Emitter) {
        self.attributes
            .push(AttributeProto::from_ints("pool", taps));
        self.output.clone_from(&pool.output[0]);
        self.index = Some(emitter.free_name(&format!("{}/index", pool.label())));
    }

    fn into_node(self, convolution: &NodeProto) -> NodeProto {
        NodeProto {
            op_type: Some(fast::CONVOLUTION.to_owned()),
            domain: Some(fast::DOMAIN.to_owned()),
            output: std::iter::once(self.output).chain(self.index).collect(),
            attribute: self.attributes,
            ..convolution.clone()
        }
    }
}
