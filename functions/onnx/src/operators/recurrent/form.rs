//! What a recurrent node says of itself: directions, activations, and what is refused.

use super::activation::{self, Activation};
use super::{Cell, PEEPHOLES};
use crate::proto::NodeProto;

/// One way through the steps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Direction {
    /// Whether it begins at the last step.
    pub(super) is_reverse: bool,
    pub(super) activations: Vec<Activation>,
}

/// The form of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Form {
    pub(super) directions: Vec<Direction>,
}

impl Form {
    /// Reads a node; an error completes "node 'x' (Operator) …".
    pub(super) fn of(node: &NodeProto, cell: &dyn Cell) -> Result<Self, String> {
        if node.optional_float("clip").is_some_and(|clip| clip > 0.0) {
            return Err("clips the sums in its gates".to_owned());
        }
        if node.int("input_forget", 0) != 0 {
            return Err("couples its input gate to its forget gate".to_owned());
        }
        if node
            .input
            .get(PEEPHOLES)
            .is_some_and(|name| !name.is_empty())
        {
            return Err("has peephole connections".to_owned());
        }
        let ways: &[bool] = match node.string("direction") {
            None | Some("forward") => &[false],
            Some("reverse") => &[true],
            Some("bidirectional") => &[false, true],
            Some(other) => return Err(format!("has the unknown direction '{other}'")),
        };
        let own = cell.activations();
        let defaults = own.repeat(ways.len());
        let activations = activation::of(node, &defaults)?;
        if activations.len() != defaults.len() {
            return Err(format!(
                "names {} activations and needs {}",
                activations.len(),
                defaults.len()
            ));
        }
        let directions =
            ways.iter()
                .zip(activations.chunks(own.len()))
                .map(|(&is_reverse, activations)| Direction {
                    is_reverse,
                    activations: activations.to_vec(),
                });
        Ok(Self {
            directions: directions.collect(),
        })
    }

    pub(super) fn is_batch_first(node: &NodeProto) -> bool {
        node.int("layout", 0) != 0
    }

    /// Which dimension of X counts the steps.
    pub(super) fn steps_axis(node: &NodeProto) -> usize {
        usize::from(Self::is_batch_first(node))
    }
}
