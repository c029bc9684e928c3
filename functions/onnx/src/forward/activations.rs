//! A sigmoid in front of the pick of its numbers, such as `sigmoid(x)[:, 0]`, goes behind it.
//!
//! It treats every number alike, so that the result is the same; and a loss that takes over the activation which a model
//! ends in finds it there.

use crate::graph::{Graph, uses};
use crate::proto::NodeProto;

/// Operators that pick some of the numbers of their first input, or put them in another order.
const PICKS: [&str; 5] = ["Gather", "GatherElements", "GatherND", "Slice", "Transpose"];
/// Operators behind or between them that leave the numbers and their order.
const VIEWS: [&str; 5] = ["Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"];

/// Moves the sigmoid of every prediction that is only picked from it.
pub(super) fn move_behind_picks(graph: &mut Graph, predictions: &[String]) {
    for prediction in predictions {
        let Some(way) = way(graph, prediction, predictions) else {
            continue;
        };
        let [sigmoid, picks @ ..] = way.as_slice() else {
            continue;
        };
        let Some(last) = picks.last().copied() else {
            continue;
        };
        // Each node gives what the one before it gave; the sigmoid takes the last one's place.
        let mut given = graph.nodes[*sigmoid].output[0].clone();
        let mut taken = graph.nodes[*sigmoid].input[0].clone();
        for &pick in picks {
            graph.declared.remove(&given);
            let node = &mut graph.nodes[pick];
            node.input[0] = taken;
            taken = std::mem::replace(&mut given, node.output[0].clone());
            node.output[0].clone_from(&taken);
        }
        let mut moved = graph.nodes.remove(*sigmoid);
        moved.input[0] = taken;
        moved.output[0] = given;
        graph.nodes.insert(last, moved);
    }
}

/// The places of the nodes from a sigmoid to a prediction, where there is a pick among them and nothing else uses what is
/// between them.
fn way(graph: &Graph, prediction: &str, predictions: &[String]) -> Option<Vec<usize>> {
    let mut way = Vec::new();
    let mut tensor = prediction;
    loop {
        let makes = |node: &NodeProto| node.output.first().is_some_and(|output| output == tensor);
        let place = graph.nodes.iter().position(makes)?;
        let node = &graph.nodes[place];
        way.push(place);
        match node.op_type() {
            "Sigmoid" => break,
            operator if PICKS.contains(&operator) || VIEWS.contains(&operator) => {}
            _ => return None,
        }
        tensor = node.input.first()?;
        let users = graph.nodes.iter().flat_map(uses);
        let is_only_passed_on = users.filter(|name| *name == tensor).count() == 1
            && !predictions.iter().any(|other| other == tensor);
        if !is_only_passed_on {
            return None;
        }
    }
    way.reverse();
    let has_pick = |place: &usize| PICKS.contains(&graph.nodes[*place].op_type());
    way.iter().any(has_pick).then_some(way)
}
