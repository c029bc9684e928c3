//! `Product` of the fast lowering: a product of matrices together with the bias and the `Relu` behind it.
//!
//! It takes the place of nodes of a forward graph, whose facts stay; nothing is inferred of it and nothing evaluated.

use super::linear::MatMul;
use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::extent::Unknowns;
use crate::facts::{Fact, Facts};
use crate::fast;
use crate::proto::{AttributeProto, NodeProto};
use crate::{ElementType, Tensor};

pub(super) const OPERATORS: Family = &[(fast::PRODUCT, &Product)];

/// A `MatMul` or a `Gemm` as a `Product`: the inputs, a bias among them, and the attributes. Nothing where it stays what it is.
pub(crate) fn product(
    node: &NodeProto,
    facts: &Facts,
) -> Option<(Vec<String>, Vec<AttributeProto>)> {
    let [left, right] = [node.input.first()?, node.input.get(1)?];
    let is_known = [left, right].into_iter().all(|tensor| {
        let fact = facts.get(tensor);
        fact.element == Some(ElementType::Float32) && fact.rank().is_some_and(|rank| rank >= 2)
    });
    if !is_known {
        return None;
    }
    let mut inputs = vec![left.clone(), right.clone()];
    match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", "MatMul") => Some((inputs, Vec::new())),
        ("" | "ai.onnx", "Gemm") => {
            if let Some(bias) = node.input.get(2).filter(|bias| !bias.is_empty()) {
                #[expect(clippy::float_cmp, reason = "a factor of 1 changes nothing")]
                let is_whole = node.float("beta", 1.0) == 1.0;
                if !is_whole || !is_bias(node, bias, facts) {
                    return None;
                }
                inputs.push(bias.clone());
            }
            let is_used = |attribute: &&AttributeProto| attribute.name() != "beta";
            Some((
                inputs,
                node.attribute.iter().filter(is_used).cloned().collect(),
            ))
        }
        _ => None,
    }
}

/// Whether a product can take in a tensor as its bias: a number for each of its columns.
pub(crate) fn is_bias(product: &NodeProto, tensor: &str, facts: &Facts) -> bool {
    let columns = facts.get(&product.output[0]).size_along(-1);
    let fact = facts.get(tensor);
    fact.rank() == Some(1)
        && columns.is_some()
        && fact.size_along(0) == columns
        && fact.element == Some(ElementType::Float32)
}

/// Whether a product has but one right matrix, so that a bias and a `Relu` go back with it.
pub(crate) fn has_one_right(node: &NodeProto, facts: &Facts) -> bool {
    facts.get(&node.input[1]).rank() == Some(2)
}

/// [`fast::PRODUCT`]; its gradients are one node, [`fast::PRODUCT_GRADIENT`], or where there is a stack of right matrices each
/// a product.
struct Product;

impl Product {
    /// ∂L/∂A = α G Bᵀ and ∂L/∂B = α Aᵀ G, summed over what was broadcast. Stacks are never given transposed.
    fn backward_stack(backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let (a, b) = (backward.input(0), backward.input(1));
        let ranks = [0, 1].map(|input| backward.input_fact(input).rank().unwrap_or_default());
        let transposed = |name| vec![AttributeProto::from_int(name, 1)];
        for input in 0..2 {
            if !backward.wants(input) {
                continue;
            }
            let (inputs, attribute) = match input {
                0 => ([gradient.as_str(), b], transposed("transB")),
                _ => ([a, gradient.as_str()], transposed("transA")),
            };
            let product = backward.emit.fast(fast::PRODUCT, &inputs, attribute);
            let found = MatMul::fit(backward, &product, input, ranks);
            backward.give(input, found);
        }
    }
}

impl Operator for Product {
    fn infer(&self, _: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        Vec::new()
    }

    fn evaluate(&self, _: &Call<'_>) -> Result<Vec<Tensor>, String> {
        Err("only an engine that has the operator computes it".to_owned())
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let node = backward.node;
        if backward.input_fact(1).rank() != Some(2) {
            return Self::backward_stack(backward);
        }
        let gradient = backward.gradient();
        let mut inputs = vec![gradient.as_str(), backward.input(0), backward.input(1)];
        if node.int("relu", 0) != 0 {
            inputs.push(backward.output());
        }
        let outputs = [(0, "left"), (1, "right"), (2, "bias")]
            .map(|(input, name)| backward.give_named(input, name));
        let attributes = node.attribute.clone();
        let operator = fast::PRODUCT_GRADIENT;
        backward
            .emit
            .fast_named(&outputs, operator, &inputs, attributes);
    }
}
