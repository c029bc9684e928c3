//! `BatchNormalization`: channels brought to mean 0 and variance 1, then scaled and shifted.
//!
//! The channels are dimension 1. Here the operator always has its form for prediction; see [`crate::inference`].

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, Training};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::step::names::updated;
use crate::{ElementType, Tensor};

pub(super) const OPERATORS: Family = &[("BatchNormalization", &BatchNormalization)];

const SCALE: usize = 1;
const BIAS: usize = 2;
const MEAN: usize = 3;
const VARIANCE: usize = 4;

/// y = γ (x − μ) / σ + β with σ = √(variance + ε), for each channel.
///
/// By statistics that are given, with G = ∂L/∂y and Σ over all dimensions but the channels: ∂L/∂x = G γ / σ,
/// ∂L/∂γ = Σ G (x − μ) / σ, ∂L/∂β = Σ G. Running statistics do not train; where something computes them,
/// ∂L/∂μ = −Σ G γ / σ and ∂L/∂variance = −½ Σ G (x − μ) γ / σ³.
///
/// In training μ is the mean of the batch, and the variance the mean of (x − μ)², not corrected for the number of records.
/// They are written out, and differentiated as such: ∂L/∂x = (γ / σ) (G − mean G − x̂ · mean (G x̂)) with x̂ = (x − μ) / σ.
/// The running statistics follow by r ← m r + (1 − m) s, where m is the attribute `momentum`.
struct BatchNormalization;

impl BatchNormalization {
    /// All dimensions but the channels.
    fn axes(rank: usize) -> Vec<i64> {
        (0..rank as i64).filter(|&axis| axis != 1).collect()
    }

    /// The shape in which one number a channel is broadcast over a tensor.
    fn column(rank: usize) -> Vec<i64> {
        (0..rank)
            .map(|axis| if axis == 1 { -1 } else { 1 })
            .collect()
    }

    fn epsilon(node: &crate::proto::NodeProto) -> f64 {
        f64::from(node.float("epsilon", 1e-5))
    }
}

impl Operator for BatchNormalization {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, values) = (call.tensor(0)?, call.floats(0)?);
        let channels = *tensor.dims().get(1).ok_or("its input has no channels")?;
        let inner: usize = tensor.dims()[2..].iter().product();
        let mut per_channel = Vec::new();
        for input in [SCALE, BIAS, MEAN, VARIANCE] {
            let values = call.floats(input)?;
            if values.len() != channels {
                return Err(format!(
                    "input {input} has {} numbers for {channels} channels",
                    values.len()
                ));
            }
            per_channel.push(values);
        }
        let epsilon = Self::epsilon(call.node);
        let normalized = values.iter().enumerate().map(|(at, value)| {
            let channel = at / inner % channels;
            let [scale, bias, mean, variance] = [0, 1, 2, 3].map(|of| per_channel[of][channel]);
            (value - mean) / (variance + epsilon).sqrt() * scale + bias
        });
        let normalized = normalized.collect();
        Ok(vec![Tensor::floats(tensor.dims(), normalized)])
    }

    fn least_inputs(&self) -> usize {
        5
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        Derivative::known_if(
            site.shape(0).is_some_and(|shape| shape.len() >= 2),
            "normalizes a tensor whose number of dimensions is not known",
        )
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let rank = backward.input_fact(0).rank().unwrap_or_default();
        let axes = Self::axes(rank);
        let column = backward.emit.integers(&Self::column(rank));
        let epsilon = Self::epsilon(backward.node);
        let epsilon = backward.float(epsilon);
        let shifted = backward.node("Add", &[backward.input(VARIANCE), &epsilon]);
        let deviation = backward.node("Sqrt", &[&shifted]);
        if backward.wants(0) {
            let factor = backward.node("Div", &[backward.input(SCALE), &deviation]);
            let factor = backward.node("Reshape", &[&factor, &column]);
            let found = backward.node("Mul", &[&gradient, &factor]);
            backward.give(0, found);
        }
        let of_scale = [SCALE, VARIANCE]
            .iter()
            .any(|&input| backward.wants(input))
            .then(|| {
                let mean = backward.node("Reshape", &[backward.input(MEAN), &column]);
                let centred = backward.node("Sub", &[backward.input(0), &mean]);
                let product = backward.node("Mul", &[&gradient, &centred]);
                let sum = backward.emit.reduce("ReduceSum", &product, &axes, false);
                backward.node("Div", &[&sum, &deviation])
            });
        if let Some(of_scale) = &of_scale {
            if backward.wants(SCALE) {
                backward.give(SCALE, of_scale.clone());
            }
            if backward.wants(VARIANCE) {
                let half = backward.float(-0.5);
                let scaled = backward.node("Mul", &[of_scale, backward.input(SCALE)]);
                let halved = backward.node("Mul", &[&scaled, &half]);
                let found = backward.node("Div", &[&halved, &shifted]);
                backward.give(VARIANCE, found);
            }
        }
        if backward.wants(BIAS) {
            let found = backward.emit.reduce("ReduceSum", &gradient, &axes, false);
            backward.give(BIAS, found);
        }
        if backward.wants(MEAN) {
            let sum = backward.emit.reduce("ReduceSum", &gradient, &axes, false);
            let scaled = backward.node("Mul", &[&sum, backward.input(SCALE)]);
            let ratio = backward.node("Div", &[&scaled, &deviation]);
            let found = backward.node("Neg", &[&ratio]);
            backward.give(MEAN, found);
        }
    }

    fn statistics(&self) -> &'static [(usize, &'static str)] {
        &[(MEAN, "running_mean"), (VARIANCE, "running_variance")]
    }

    fn training(&self, training: &mut Training<'_>) -> Result<bool, String> {
        if !training.updates(MEAN) {
            return Ok(false);
        }
        let fact = training.input_fact(0);
        let Some(rank) = fact.and_then(Fact::rank).filter(|&rank| rank >= 2) else {
            return Err(
                "normalizes a tensor whose number of dimensions is not known: \
                        export the model with fixed shapes (only the batch needs to be dynamic)"
                    .to_owned(),
            );
        };
        let element = fact.and_then(|fact| fact.element);
        let element = element.unwrap_or(ElementType::Float32);
        let axes = Self::axes(rank);
        let column = training.emit.integers(&Self::column(rank));
        let epsilon = training.emit.float(Self::epsilon(training.node), element);

        let mean = training
            .emit
            .reduce("ReduceMean", training.input(0), &axes, true);
        let centred = training.emit("Sub", &[training.input(0), &mean]);
        let squares = training.emit("Mul", &[&centred, &centred]);
        let variance = training.emit.reduce("ReduceMean", &squares, &axes, true);
        let shifted = training.emit("Add", &[&variance, &epsilon]);
        let deviation = training.emit("Sqrt", &[&shifted]);
        let scale = training.emit("Reshape", &[training.input(SCALE), &column]);
        let factor = training.emit("Div", &[&scale, &deviation]);
        let scaled = training.emit("Mul", &[&centred, &factor]);
        let bias = training.emit("Reshape", &[training.input(BIAS), &column]);
        training
            .emit
            .named(&training.node.output[0], "Add", &[&scaled, &bias]);

        let momentum = f64::from(training.node.float("momentum", 0.9));
        for (input, statistic) in [(MEAN, mean), (VARIANCE, variance)] {
            let running = training.input(input);
            let list = training.emit.integers(&[-1]);
            let row = training.emit("Reshape", &[&statistic, &list]);
            let weights =
                [momentum, 1.0 - momentum].map(|weight| training.emit.float(weight, element));
            let kept = training.emit("Mul", &[running, &weights[0]]);
            let added = training.emit("Mul", &[&row, &weights[1]]);
            training
                .emit
                .named(&updated(running), "Add", &[&kept, &added]);
        }
        Ok(true)
    }
}
