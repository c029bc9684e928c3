//! A product of matrices, with the bias and the `Relu` behind it.

use super::{Fused, Nodes};
use crate::fast;
use crate::operators::product_block::{has_one_right, is_bias, product};
use crate::proto::{AttributeProto, NodeProto};

/// A product and what it has taken in.
pub(super) struct Product;

impl Product {
    /// The product that begins at a node.
    pub(super) fn at(start: usize, nodes: &Nodes<'_>) -> Option<Fused> {
        let node = &nodes.all[start];
        let (mut input, mut attribute) = product(node, nodes.facts)?;
        let mut output = node.output.first()?;
        let mut taken = vec![start];
        if has_one_right(node, nodes.facts) {
            if input.len() == 2
                && let Some(user) = nodes.only_user(output, "Add")
                && let [left, right] = nodes.all[user].input.as_slice()
            {
                let other = if left == output { right } else { left };
                if other != output && is_bias(node, other, nodes.facts) {
                    input.push(other.clone());
                    output = nodes.all[user].output.first()?;
                    taken.push(user);
                }
            }
            if let Some(user) = nodes.only_user(output, "Relu") {
                attribute.push(AttributeProto::from_int("relu", 1));
                output = nodes.all[user].output.first()?;
                taken.push(user);
            }
        }
        Some(Fused {
            // The bias may be made after the product.
            place: *taken.last()?,
            taken,
            node: NodeProto {
                op_type: Some(fast::PRODUCT.to_owned()),
                domain: Some(fast::DOMAIN.to_owned()),
                input,
                output: vec![output.clone()],
                attribute,
                ..node.clone()
            },
        })
    }
}
