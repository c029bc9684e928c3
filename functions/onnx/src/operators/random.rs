//! `RandomNormal`, `RandomUniform` and those like another tensor: noise within a model, as a variational autoencoder has it.
//!
//! In a step the numbers are made of `seed`, `step`, the node and the place of the element, as masks of dropout are, so that
//! a step that is done again gives the same. In evaluation each is what is to be expected of it, so that two evaluations of
//! one model can be compared. The trained model draws as it was exported.

use super::unary::same_as_input;
use super::{Call, Derivative, Family, Operator, Site, Training, dropout};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::{ElementType, Tensor};

pub(super) const OPERATORS: Family = &[
    ("RandomNormal", &Random::Normal),
    ("RandomNormalLike", &Random::Normal),
    ("RandomUniform", &Random::Uniform),
    ("RandomUniformLike", &Random::Uniform),
];

/// y = m + s · n with n from the standard normal distribution, or from low to high with equal probability, in the shape of
/// x, or in the one that is given. ∂L/∂x = 0: only the shape of x counts.
///
/// n = √(−2 ln u) · cos 2πv (Box and Muller 1958), with u, v = (c + ½) / P for two numbers c that are drawn below P.
enum Random {
    Normal,
    Uniform,
}

impl Random {
    /// The mean and the range: the standard deviation, or half of what is between the limits.
    fn of(&self, node: &NodeProto) -> (f32, f32) {
        match self {
            Self::Normal => (node.float("mean", 0.0), node.float("scale", 1.0)),
            Self::Uniform => {
                let (low, high) = (node.float("low", 0.0), node.float("high", 1.0));
                (f32::midpoint(low, high), (high - low) / 2.0)
            }
        }
    }
}

/// The same node, giving what is to be expected of it; nothing for other operators.
pub(crate) fn expected(node: &NodeProto) -> Option<NodeProto> {
    let families = matches!(node.domain(), "" | "ai.onnx").then_some(OPERATORS)?;
    let (operator, _) = families.iter().find(|(name, _)| *name == node.op_type())?;
    let limits: [(&str, f32); 2] = if operator.starts_with("RandomNormal") {
        [("mean", Random::Normal.of(node).0), ("scale", 0.0)]
    } else {
        let middle = Random::Uniform.of(node).0;
        [("low", middle), ("high", middle)]
    };
    let mut node = node.clone();
    let is_kept =
        |attribute: &AttributeProto| limits.iter().all(|(name, _)| attribute.name() != *name);
    node.attribute.retain(is_kept);
    let limits = limits.map(|(name, value)| AttributeProto::from_float(name, value));
    node.attribute.extend(limits);
    Some(node)
}

/// The shape that a node gives by itself, without a tensor that it is to be like.
fn given(node: &NodeProto) -> Option<&[i64]> {
    node.ints("shape").filter(|_| node.input.is_empty())
}

fn element(node: &NodeProto, input: Option<ElementType>) -> Option<ElementType> {
    match node.int("dtype", 0) {
        0 if node.input.is_empty() => Some(ElementType::Float32),
        0 => input,
        code => Some(ElementType::from_code(i32::try_from(code).ok()?)),
    }
}

impl Operator for Random {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        if let Some(sizes) = given(site.node) {
            let shape = sizes.iter().copied().map(Extent::fixed).collect();
            return vec![Fact::new(element(site.node, None), Some(shape))];
        }
        let like = same_as_input(site);
        vec![Fact::new(element(site.node, like.element), like.shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let dims: Vec<usize> = match given(call.node) {
            Some(sizes) => sizes.iter().map(|&size| size as usize).collect(),
            None => call.tensor(0)?.dims().to_vec(),
        };
        let (mean, _) = self.of(call.node);
        let values = vec![f64::from(mean); dims.iter().product()];
        Ok(vec![Tensor::floats(&dims, values)])
    }

    fn least_inputs(&self) -> usize {
        0
    }

    fn is_random(&self) -> bool {
        true
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }

    fn training(&self, training: &mut Training<'_>) -> Result<bool, String> {
        let (mean, range) = self.of(training.node);
        let fact = training.input_fact(0);
        let element = element(training.node, fact.and_then(|fact| fact.element));
        let element = element.unwrap_or(ElementType::Float32);
        let [first, second] = if let Some(sizes) = given(training.node) {
            let shape: Vec<Extent> = sizes.iter().copied().map(Extent::fixed).collect();
            let sizes = training.emit.integers(sizes);
            let like = training.emit("ConstantOfShape", &[&sizes]);
            dropout::units(training, &like, Some(&shape), element)
        } else {
            let shape = fact.and_then(|fact| fact.shape.as_deref());
            let like = training.input(0);
            dropout::units(training, like, shape, element)
        };
        let mut float = |value: f64| training.emit.float(value, element);
        let [mean, range] = [mean, range].map(|value| float(f64::from(value)));
        let numbers = match self {
            Self::Uniform => {
                let (one, two) = (float(1.0), float(2.0));
                let doubled = training.emit("Mul", &[&first, &two]);
                training.emit("Sub", &[&doubled, &one])
            }
            Self::Normal => {
                let (factor, turn) = (float(-2.0), float(std::f64::consts::TAU));
                let logarithm = training.emit("Log", &[&first]);
                let square = training.emit("Mul", &[&logarithm, &factor]);
                let radius = training.emit("Sqrt", &[&square]);
                let angle = training.emit("Mul", &[&second, &turn]);
                let cosine = training.emit("Cos", &[&angle]);
                training.emit("Mul", &[&radius, &cosine])
            }
        };
        let spread = training.emit("Mul", &[&numbers, &range]);
        let output = &training.node.output[0];
        training.emit.named(output, "Add", &[&spread, &mean]);
        Ok(true)
    }
}
