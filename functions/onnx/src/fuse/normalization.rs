//! A normalization of rows, with the sum in front of it.

use super::{Fused, Nodes, is_standard};
use crate::fast;
use crate::operators::normalization_block::normalization;
use crate::proto::NodeProto;

/// A normalization and what it has taken in.
pub(super) struct Normalization;

impl Normalization {
    /// The normalization that a node is.
    pub(super) fn at(index: usize, nodes: &Nodes<'_>) -> Option<Fused> {
        let node = &nodes.all[index];
        let attribute = normalization(node, nodes.facts)?;
        let mut input = node.input.clone();
        let mut output = vec![node.output.first()?.clone()];
        let (mut taken, mut place) = (vec![index], index);
        if let Some(sum) = summed(index, nodes) {
            let [one, other] = nodes.all[sum].input.as_slice() else {
                return None;
            };
            input.resize(3, String::new());
            output.push(std::mem::replace(&mut input[0], one.clone()));
            input.push(other.clone());
            taken.push(sum);
            // Others use the sum too, and may stand before the normalization.
            place = sum;
        }
        Some(Fused {
            taken,
            place,
            node: NodeProto {
                op_type: Some(fast::NORMALIZATION.to_owned()),
                domain: Some(fast::DOMAIN.to_owned()),
                input,
                output,
                attribute,
                ..node.clone()
            },
        })
    }
}

/// The `Add` of two tensors of one shape that makes what is normalized, where no other normalization takes it.
fn summed(index: usize, nodes: &Nodes<'_>) -> Option<usize> {
    let node = &nodes.all[index];
    let tensor = node.input[0].as_str();
    let sum = *nodes.makers.get(tensor)?;
    let shape = |tensor: &str| nodes.facts.get(tensor).shape.as_deref();
    let whole = shape(tensor)?;
    let is_taken = is_standard(&nodes.all[sum], "Add")
        && nodes.all[sum].input.iter().all(|summand| shape(summand) == Some(whole))
        // What scales the rows is there before anything is computed.
        && node.input[1..].iter().all(|tensor| !nodes.makers.contains_key(tensor.as_str()));
    let mut users = nodes.users.get(tensor)?.iter();
    let first = users.find(|&&user| normalization(&nodes.all[user], nodes.facts).is_some());
    (is_taken && first == Some(&index)).then_some(sum)
}
