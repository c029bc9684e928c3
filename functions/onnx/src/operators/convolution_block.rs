//! `Convolution` of the fast lowering: a convolution together with the `Relu` and the pool behind it.
//!
//! It takes the place of nodes of a forward graph, whose facts stay; nothing is inferred of it and nothing evaluated.

use super::window::{self, Slide, sizes};
use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::extent::Unknowns;
use crate::facts::{Fact, Facts};
use crate::fast;
use crate::proto::{AttributeProto, NodeProto};
use crate::{ElementType, Tensor};

pub(super) const OPERATORS: Family = &[(fast::CONVOLUTION, &Convolution)];

/// With fewer outputs in a group, a convolution is no matrix product worth the name, and the standard one is better.
const LEAST_OUTPUTS: i64 = 4;
/// A pool says in one byte which element of its window is the largest, and needs one value more for none.
const MOST_POOLED: i64 = 255;

/// The attributes that a `Conv` has as a `Convolution`; nothing where it stays what it is.
pub(crate) fn convolution(node: &NodeProto, facts: &Facts) -> Option<Vec<AttributeProto>> {
    let tensor = facts.get(node.input.first()?);
    let weights = facts.get(node.input.get(1)?).shape.as_deref()?;
    let group = node.int("group", 1);
    let outputs = weights.first()?.as_fixed()?;
    let taps = sizes(weights)?;
    let slides = window::over(node, &taps, &sizes(tensor.shape.as_deref()?)?)?;
    let is_taken = tensor.element == Some(ElementType::Float32)
        && (1..=2).contains(&slides.len())
        && slides
            .iter()
            .all(|slide| slide.before >= 0 && slide.behind >= 0)
        && group > 0
        && outputs / group >= LEAST_OUTPUTS;
    is_taken.then(|| {
        let mut attributes = window::attributes(&slides);
        attributes.push(AttributeProto::from_int("group", group));
        attributes
    })
}

/// The windows of a `MaxPool` that a `Convolution` can do: side by side, and without padding.
pub(crate) fn pool(node: &NodeProto, facts: &Facts) -> Option<Vec<i64>> {
    let taps = node.ints("kernel_shape")?;
    let shape = facts.get(node.input.first()?).shape.as_deref()?;
    let slides = window::over(node, taps, &sizes(shape)?)?;
    let is_side_by_side = |slide: &Slide| {
        slide.stride == slide.taps
            && slide.dilation == 1
            && slide.before == 0
            && slide.reached_behind() <= 0
    };
    let is_taken = node.output.len() == 1
        && slides.iter().all(is_side_by_side)
        && window::count(&slides, |slide| slide.taps) <= MOST_POOLED;
    is_taken.then(|| taps.to_vec())
}

/// [`fast::CONVOLUTION`]; its gradients are a node too, [`fast::CONVOLUTION_GRADIENT`].
struct Convolution;

impl Operator for Convolution {
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
        let gradient = backward.gradient();
        let index = node.output.get(1).map_or("", String::as_str);
        let is_cut = node.int("relu", 0) != 0 && index.is_empty();
        let output = if is_cut { backward.output() } else { "" };
        // The engine makes the gradient of the weights in any case.
        let weights = backward.emit.fast_name("weights");
        let outputs = [
            weights.clone(),
            backward.give_named(2, "bias"),
            backward.give_named(0, "data"),
        ];
        if backward.wants(1) {
            backward.give(1, weights);
        }
        let inputs = [
            &gradient,
            backward.input(0),
            backward.input(1),
            output,
            index,
        ];
        let attributes = node.attribute.clone();
        let operator = fast::CONVOLUTION_GRADIENT;
        backward
            .emit
            .fast_named(&outputs, operator, &inputs, attributes);
    }
}
