//! Nodes that give the same for small changes of what they get: no gradient goes on behind them.
//!
//! Nothing is wrong where parameters have another way to the prediction; where they have none it is told who cut them off.

use std::collections::HashSet;

use super::{label, passages};
use crate::Obstacle;
use crate::facts::Facts;
use crate::graph::Graph;
use crate::operators::{self, Derivative};
use crate::proto::NodeProto;

/// The nodes that cut an initializer off from all that the graph makes, in their order; none where only its shape is used.
pub(super) fn of(graph: &Graph, facts: &Facts, initializer: &str) -> Vec<Obstacle> {
    let mut behind = HashSet::from([initializer]);
    let mut cuts = Vec::new();
    for node in &graph.nodes {
        if !node.input.iter().any(|name| behind.contains(name.as_str())) {
            continue;
        }
        let passages = passages(node, facts);
        let mut met = passages
            .iter()
            .filter(|passage| behind.contains(passage.name));
        if met
            .clone()
            .any(|passage| passage.derivative != Derivative::Zero)
        {
            behind.extend(node.output.iter().map(String::as_str));
        } else if met.any(|passage| depends_on(node, passage.input)) {
            cuts.push(obstacle(node));
        }
    }
    cuts
}

/// Whether a node's outputs depend on the values of an input through which no gradient passes.
fn depends_on(node: &NodeProto, input: usize) -> bool {
    let Some(operator) = operators::find(node) else {
        return false;
    };
    let is_statistic = operator.statistics().iter().any(|(at, _)| *at == input);
    let is_like = node.op_type() == "CastLike" && input == 1;
    let is_shape = matches!(node.op_type(), "EyeLike" | "Shape" | "Size");
    !(is_shape || is_like || is_statistic || operator.is_setting(input))
}

fn obstacle(node: &NodeProto) -> Obstacle {
    Obstacle {
        node: label(node),
        operator: node.op_type().to_owned(),
        reason: "gives the same for small changes of its input, so that no gradient gets past it to the parameters"
            .to_owned(),
        help: "name a tensor in front of it as the prediction, or export the model without it".to_owned(),
        awaits_sizes: false,
    }
}
