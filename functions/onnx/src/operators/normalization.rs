//! Normalization of records by themselves: `LayerNormalization`, `RMSNormalization`, `GroupNormalization`,
//! `InstanceNormalization`.
//!
//! All bring some elements of a record, a slice, to variance 1, most of them to mean 0 as well. With r = 1 / √(variance + ε)
//! and x̂ = (x − mean) r, y = γ x̂ + β. With G = ∂L/∂y and H = G γ, means over the slice:
//! ∂L/∂x = r (H − mean H − x̂ · mean (H x̂)), ∂L/∂γ = Σ G x̂, ∂L/∂β = Σ G. Where no mean is taken off,
//! ∂L/∂x = r (H − x̂ · mean (H x̂)).

use super::backward::fixed_shape;
use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of, broadcast, resolve_axis};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::fast;
use crate::proto::{AttributeProto, NodeProto};

pub(super) const OPERATORS: Family = &[
    ("GroupNormalization", &GROUP),
    ("InstanceNormalization", &INSTANCE),
    ("LayerNormalization", &LAYER),
    ("RMSNormalization", &ROOT_MEAN_SQUARE),
];

const SCALE: usize = 1;
const BIAS: usize = 2;

/// Slices that end with the record: all dimensions from `axis` on. γ and β are broadcast to the tensor.
struct Trailing {
    /// Whether the mean is taken off.
    centres: bool,
}

/// Each record by the mean and the variance of all dimensions from `axis` on; the mean and r may be further outputs.
static LAYER: Trailing = Trailing { centres: true };

/// Each record by the mean of its squares from `axis` on (in place of the variance): x̂ = x / √(mean x² + ε), no bias.
static ROOT_MEAN_SQUARE: Trailing = Trailing { centres: false };

/// Slices of several channels of a record. γ and β have a number for each channel, or for each slice.
struct Channels {
    slices: fn(&NodeProto, i64) -> i64,
}

/// `num_groups` slices; γ and β have a number for each group up to operator set 20, for each channel from 21 on.
static GROUP: Channels = Channels {
    slices: |node, _| node.int("num_groups", 1).max(1),
};

/// A slice for each channel.
static INSTANCE: Channels = Channels {
    slices: |_, channels| channels,
};

fn epsilon(node: &NodeProto) -> f64 {
    f64::from(node.float("epsilon", 1e-5))
}

/// x̂ of slices of `size` elements, the mean of each and its r.
fn normalize(
    values: &[f64],
    size: usize,
    epsilon: f64,
    centres: bool,
) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (mut all, mut means, mut factors) = (Vec::new(), Vec::new(), Vec::new());
    for slice in values.chunks(size.max(1)) {
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / size as f64;
        let centre = if centres {
            mean(&mut slice.iter().copied())
        } else {
            0.0
        };
        let variance = mean(
            &mut slice
                .iter()
                .map(|value| (value - centre) * (value - centre)),
        );
        let factor = 1.0 / (variance + epsilon).sqrt();
        all.extend(slice.iter().map(|value| (value - centre) * factor));
        means.push(centre);
        factors.push(factor);
    }
    (all, means, factors)
}

/// Emits x̂ and r of a tensor, along the axes of its slices.
fn emit_normalized(
    backward: &mut Backward<'_>,
    tensor: &str,
    axes: &[i64],
    centres: bool,
) -> [String; 2] {
    let epsilon = epsilon(backward.node);
    let epsilon = backward.float(epsilon);
    let centred = if centres {
        let mean = backward.emit.reduce("ReduceMean", tensor, axes, true);
        backward.node("Sub", &[tensor, &mean])
    } else {
        tensor.to_owned()
    };
    let squares = backward.node("Mul", &[&centred, &centred]);
    let variance = backward.emit.reduce("ReduceMean", &squares, axes, true);
    let variance = backward.node("Add", &[&variance, &epsilon]);
    let deviation = backward.node("Sqrt", &[&variance]);
    let factor = backward.node("Reciprocal", &[&deviation]);
    let normalized = backward.node("Mul", &[&centred, &factor]);
    [normalized, factor]
}

/// Emits ∂L/∂x from H.
fn emit_gradient(
    backward: &mut Backward<'_>,
    scaled: &str,
    [normalized, factor]: &[String; 2],
    axes: &[i64],
    centres: bool,
) -> String {
    let product = backward.node("Mul", &[scaled, normalized]);
    let mean = backward.emit.reduce("ReduceMean", &product, axes, true);
    let along = backward.node("Mul", &[normalized, &mean]);
    let mut rest = backward.node("Sub", &[scaled, &along]);
    if centres {
        // The mean of x̂ is 0, so that of `along` is too.
        let mean = backward.emit.reduce("ReduceMean", scaled, axes, true);
        rest = backward.node("Sub", &[&rest, &mean]);
    }
    backward.node("Mul", &[&rest, factor])
}

impl Trailing {
    fn axes(node: &NodeProto, rank: usize) -> Option<Vec<i64>> {
        let first = resolve_axis(node.int("axis", -1), rank)?;
        Some((first as i64..rank as i64).collect())
    }
}

impl Trailing {
    /// All gradients in one node.
    fn backward_fast(&self, backward: &mut Backward<'_>, gradient: &str) {
        let inputs = [gradient, backward.input(0), backward.input(SCALE)];
        let attributes = vec![
            AttributeProto::from_float("epsilon", epsilon(backward.node) as f32),
            AttributeProto::from_int("centre", i64::from(self.centres)),
        ];
        let outputs = [(0, "data"), (SCALE, "scale"), (BIAS, "bias")]
            .map(|(input, name)| backward.give_named(input, name));
        let operator = fast::NORMALIZATION_GRADIENT;
        backward
            .emit
            .fast_named(&outputs, operator, &inputs, attributes);
    }
}

/// Whether γ has exactly the shape of what is normalized at a time, the last dimensions.
fn scales_rows(backward: &Backward<'_>, dimensions: usize) -> bool {
    let shape = |input: usize| backward.input_fact(input).shape.as_deref();
    let Some((whole, scale)) = shape(0).zip(shape(SCALE)) else {
        return false;
    };
    let row = &whole[whole.len() - dimensions..];
    fixed_shape(scale).is_some_and(|scale| fixed_shape(row) == Some(scale))
}

impl Operator for Trailing {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let normalized = same_as_input(site);
        let statistic = || {
            let mut shape = site.shape(0)?.to_vec();
            let axes = Self::axes(site.node, shape.len())?;
            for axis in axes {
                shape[axis as usize] = Extent::fixed(1);
            }
            Some(shape)
        };
        // The statistics have the type that they are computed in, which need not be the input's.
        let statistic = Fact::new(None, statistic());
        vec![normalized, statistic.clone(), statistic]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, values) = (call.tensor(0)?, call.floats(0)?);
        let dims = tensor.dims();
        let axis = axis_of(call.node.int("axis", -1), dims.len())?;
        let size = dims[axis..].iter().product();
        let (normalized, means, factors) =
            normalize(values, size, epsilon(call.node), self.centres);
        let scale = broadcast::stretch(call.tensor(SCALE)?, dims);
        let scale = scale.as_floats().ok_or("its scale is not floating-point")?;
        let bias = call
            .optional(BIAS)
            .map(|bias| broadcast::stretch(bias, dims));
        let bias = bias.as_ref().and_then(Tensor::as_floats);
        let places = normalized.iter().zip(scale).enumerate();
        let scaled = places
            .map(|(at, (value, scale))| value * scale + bias.map_or(0.0, |bias| bias[at]))
            .collect();
        let mut reduced = dims.to_vec();
        reduced[axis..].fill(1);
        Ok(vec![
            Tensor::floats(dims, scaled),
            Tensor::floats(&reduced, means),
            Tensor::floats(&reduced, factors),
        ])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        let axes = site
            .shape(0)
            .and_then(|shape| Self::axes(site.node, shape.len()));
        Derivative::known_if(
            axes.is_some(),
            "normalizes a tensor whose number of dimensions is not known",
        )
    }

    /// Not of the mean and r, which programs seldom use.
    fn differentiates(&self, output: usize) -> bool {
        output == 0
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let rank = backward.input_fact(0).rank().unwrap_or_default();
        let axes = Self::axes(backward.node, rank).unwrap_or_default();
        if backward.is_fast() && scales_rows(backward, axes.len()) {
            return self.backward_fast(backward, &gradient);
        }
        if backward.wants(0) || backward.wants(SCALE) {
            let tensor = backward.input(0);
            let normalized = emit_normalized(backward, tensor, &axes, self.centres);
            if backward.wants(0) {
                let scaled = backward.node("Mul", &[&gradient, backward.input(SCALE)]);
                let found = emit_gradient(backward, &scaled, &normalized, &axes, self.centres);
                backward.give(0, found);
            }
            if backward.wants(SCALE) {
                let product = backward.node("Mul", &[&gradient, &normalized[0]]);
                let found = backward.unbroadcast(&product, SCALE);
                backward.give(SCALE, found);
            }
        }
        if backward.wants(BIAS) {
            let found = backward.unbroadcast(&gradient, BIAS);
            backward.give(BIAS, found);
        }
    }
}

impl Channels {
    /// The number of channels and of slices, and whether γ and β have a number for each channel.
    fn layout(&self, node: &NodeProto, channels: i64, scales: i64) -> Option<(i64, bool)> {
        let slices = (self.slices)(node, channels);
        let per_channel = scales == channels;
        let fits = channels % slices == 0 && (per_channel || scales == slices);
        fits.then_some((slices, per_channel))
    }

    fn known_layout(&self, site: &Site<'_>) -> Option<(i64, bool)> {
        let channels = site.shape(0)?.get(1)?.as_fixed()?;
        let scales = site.shape(SCALE)?.first()?.as_fixed()?;
        self.layout(site.node, channels, scales)
    }
}

impl Operator for Channels {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, values) = (call.tensor(0)?, call.floats(0)?);
        let (scale, bias) = (call.floats(SCALE)?, call.floats(BIAS)?);
        let channels = *tensor.dims().get(1).ok_or("its input has no channels")?;
        let (slices, per_channel) = self
            .layout(call.node, channels as i64, scale.len() as i64)
            .filter(|_| bias.len() == scale.len())
            .ok_or_else(|| format!("its scale and bias do not fit {channels} channels"))?;
        let inner: usize = tensor.dims()[2..].iter().product();
        let size = channels / slices as usize * inner;
        let (normalized, _, _) = normalize(values, size, epsilon(call.node), true);
        let span = if per_channel { inner } else { size };
        let places = normalized.iter().enumerate();
        let scaled = places
            .map(|(at, value)| {
                let of = at / span % scale.len();
                value * scale[of] + bias[of]
            })
            .collect();
        Ok(vec![Tensor::floats(tensor.dims(), scaled)])
    }

    fn least_inputs(&self) -> usize {
        3
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        Derivative::known_if(
            self.known_layout(site).is_some(),
            "normalizes channels whose number is not known, or does not fit its scale",
        )
    }

    /// All is done on `[batch, slices, channels of a slice, elements of a channel]`.
    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let sizes = [0, SCALE].map(|input| {
            let shape = backward.input_fact(input).shape.as_ref();
            let size = shape.and_then(|shape| shape.get(1 - input)?.as_fixed());
            size.unwrap_or_default()
        });
        let [channels, scales] = sizes;
        let (slices, per_channel) = self
            .layout(backward.node, channels, scales)
            .expect("the derivative is known only where the layout is");
        let inside = channels / slices;
        let shape = backward.emit.integers(&[0, slices, inside, -1]);
        let gradient = backward.node("Reshape", &[&gradient, &shape]);
        // Over all dimensions along which one number of γ and β is broadcast.
        let over: &[i64] = if per_channel { &[0, 3] } else { &[0, 2, 3] };
        if backward.wants(0) || backward.wants(SCALE) {
            let axes = [2, 3];
            let tensor = backward.node("Reshape", &[backward.input(0), &shape]);
            let normalized = emit_normalized(backward, &tensor, &axes, true);
            if backward.wants(0) {
                let inside = if per_channel { inside } else { 1 };
                let column = backward.emit.integers(&[slices, inside, 1]);
                let scale = backward.node("Reshape", &[backward.input(SCALE), &column]);
                let scaled = backward.node("Mul", &[&gradient, &scale]);
                let found = emit_gradient(backward, &scaled, &normalized, &axes, true);
                let found = backward.reshape_to_input(&found, 0);
                backward.give(0, found);
            }
            if backward.wants(SCALE) {
                let product = backward.node("Mul", &[&gradient, &normalized[0]]);
                let sum = backward.emit.reduce("ReduceSum", &product, over, false);
                let found = backward.reshape_to_input(&sum, SCALE);
                backward.give(SCALE, found);
            }
        }
        if backward.wants(BIAS) {
            let sum = backward.emit.reduce("ReduceSum", &gradient, over, false);
            let found = backward.reshape_to_input(&sum, BIAS);
            backward.give(BIAS, found);
        }
    }
}
