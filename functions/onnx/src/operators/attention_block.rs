//! `Attention` of the fast lowering: two products and the softmax between them, head by head.
//!
//! It takes the place of nodes of a forward graph, whose facts stay; nothing is inferred of it and nothing evaluated.

use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::Tensor;
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::fast;

pub(super) const OPERATORS: Family = &[(fast::ATTENTION, &Attention)];

/// Q, K and V, which may be one tensor. What follows them is a mask.
const OPERANDS: usize = 3;

/// [`fast::ATTENTION`]; its gradients are a node too, [`fast::ATTENTION_GRADIENT`].
struct Attention;

impl Operator for Attention {
    fn infer(&self, _: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        Vec::new()
    }

    fn evaluate(&self, _: &Call<'_>) -> Result<Vec<Tensor>, String> {
        Err("only an engine that has the operator computes it".to_owned())
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let node = backward.node;
        let gradient = backward.gradient();
        // The shares have the mask in them.
        let operands = node.input.iter().take(OPERANDS);
        let operands = operands.filter(|name| !name.is_empty());
        let given = [&gradient, &node.output[1]].into_iter().chain(operands);
        let inputs: Vec<&str> = given.map(String::as_str).collect();
        let outputs = [(0, "queries"), (1, "keys"), (2, "values")]
            .map(|(input, name)| backward.give_named(input, name));
        let attributes = node.attribute.clone();
        let operator = fast::ATTENTION_GRADIENT;
        backward
            .emit
            .fast_named(&outputs, operator, &inputs, attributes);
    }
}
