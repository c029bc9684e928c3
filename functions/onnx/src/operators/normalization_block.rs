//! `Normalization` of the fast lowering: a normalization of rows together with the sum in front of it.
//!
//! It takes the place of nodes of a forward graph, whose facts stay; nothing is inferred of it and nothing evaluated.

use super::backward::fixed_shape;
use super::{Backward, Call, Derivative, Family, Operator, Site, resolve_axis};
use crate::extent::Unknowns;
use crate::facts::{Fact, Facts};
use crate::fast;
use crate::proto::{AttributeProto, NodeProto};
use crate::{ElementType, Tensor};

pub(super) const OPERATORS: Family = &[(fast::NORMALIZATION, &Normalization)];

const X: usize = 0;
const SCALE: usize = 1;
const BIAS: usize = 2;
const ADDEND: usize = 3;

/// The attributes that a `LayerNormalization` or an `RMSNormalization` has as a `Normalization`; nothing where it stays what it
/// is: γ and β have to have the shape of a row.
pub(crate) fn normalization(node: &NodeProto, facts: &Facts) -> Option<Vec<AttributeProto>> {
    let centres = match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", "LayerNormalization") => true,
        ("" | "ai.onnx", "RMSNormalization") => false,
        _ => return None,
    };
    let fact = facts.get(node.input.first()?);
    let shape = fact.shape.as_deref()?;
    let axis = resolve_axis(node.int("axis", -1), shape.len())?;
    let row = fixed_shape(&shape[axis..])?;
    let is_row = |tensor: &String| {
        let shape = facts.get(tensor).shape.as_deref();
        tensor.is_empty() || shape.and_then(fixed_shape).as_ref() == Some(&row)
    };
    let has_one_output = node.output.iter().skip(1).all(String::is_empty);
    let is_taken = fact.element == Some(ElementType::Float32)
        && has_one_output
        && node.input.len() > SCALE
        && node.input[SCALE..].iter().all(is_row);
    is_taken.then(|| {
        vec![
            AttributeProto::from_float("epsilon", node.float("epsilon", 1e-5)),
            AttributeProto::from_int("centre", i64::from(centres)),
        ]
    })
}

/// [`fast::NORMALIZATION`]; its gradients are a node too, [`fast::NORMALIZATION_GRADIENT`]. Both summands have that of the sum.
struct Normalization;

impl Operator for Normalization {
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
        let summands = [X, ADDEND]
            .into_iter()
            .filter(|&input| backward.wants(input));
        let summands: Vec<usize> = summands.collect();
        let of_sum = backward.gradient_of(1);
        let mut found = of_sum.clone().unwrap_or_default();
        if let Some(gradient) = backward.gradient_of(0) {
            let sum = node.output.get(1).unwrap_or(&node.input[X]);
            let of_sum = of_sum.filter(|_| !summands.is_empty());
            let mut inputs = vec![&*gradient, sum, backward.input(SCALE)];
            inputs.extend(of_sum.as_deref());
            if !summands.is_empty() {
                found = backward.emit.fast_name("data");
            }
            let outputs = [
                found.clone(),
                backward.give_named(SCALE, "scale"),
                backward.give_named(BIAS, "bias"),
            ];
            let attributes = node.attribute.clone();
            let operator = fast::NORMALIZATION_GRADIENT;
            backward
                .emit
                .fast_named(&outputs, operator, &inputs, attributes);
        }
        for input in summands {
            backward.give(input, found.clone());
        }
    }
}
