//! Pools over whole channels: `GlobalAveragePool`, `GlobalLpPool`, `GlobalMaxPool`.
//!
//! In the formulas Σ goes over all of a channel of a record, and G is ∂L/∂y.

use super::pooling::{norm_gradient, norm_share, power};
use super::window::sizes;
use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::AttributeProto;
use crate::{ElementType, Tensor};

pub(super) const OPERATORS: Family = &[
    ("GlobalAveragePool", &AVERAGE),
    ("GlobalLpPool", &NORM),
    ("GlobalMaxPool", &MAXIMUM),
];

/// One number made of each channel of each record.
struct Global {
    /// The number of a channel; the second argument is the attribute `p`.
    fold: fn(&[f64], f64) -> f64,
    /// Emits the gradient of the input from that of the output, which is broadcast to it. The last argument is the number
    /// of elements of a channel.
    gradient: fn(&mut Backward<'_>, &str, i64) -> String,
}

/// y = Σ x / k with k elements; ∂L/∂x = G / k.
static AVERAGE: Global = Global {
    fold: |channel, _| channel.iter().sum::<f64>() / channel.len() as f64,
    gradient: |backward, gradient, count| {
        let count = backward.float(count as f64);
        let share = backward.node("Div", &[gradient, &count]);
        let shape = backward.node("Shape", &[backward.input(0)]);
        backward.node("Expand", &[&share, &shape])
    },
};

/// y = max x; ∂L/∂x = G / k where x = y, else 0; k elements of the channel are the maximum, nearly always 1.
static MAXIMUM: Global = Global {
    fold: |channel, _| channel.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    gradient: |backward, gradient, _| {
        let element = backward
            .input_fact(0)
            .element
            .unwrap_or(ElementType::Float32);
        let rank = backward.input_fact(0).rank().unwrap_or_default();
        let axes: Vec<i64> = (2..rank as i64).collect();
        let is_maximum = backward.node("Equal", &[backward.input(0), backward.output()]);
        let to = vec![AttributeProto::from_int("to", i64::from(element.code()))];
        let is_maximum = backward.emit.node_with("Cast", &[&is_maximum], to);
        let count = backward.emit.reduce("ReduceSum", &is_maximum, &axes, true);
        let share = backward.node("Div", &[gradient, &count]);
        backward.node("Mul", &[&is_maximum, &share])
    },
};

/// y = (Σ |x|ⁿ)^(1/n), n being the attribute `p`; ∂L/∂x = |x|ⁿ⁻¹ · sign x · G · y¹⁻ⁿ, and 0 for channels of zeros.
static NORM: Global = Global {
    fold: |channel, power| {
        let sum: f64 = channel.iter().map(|value| value.abs().powf(power)).sum();
        sum.powf(1.0 / power)
    },
    gradient: |backward, gradient, _| {
        let share = norm_share(backward, gradient);
        norm_gradient(backward, &share)
    },
};

impl Operator for Global {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).map(|shape| {
            let front = shape.iter().take(2).cloned();
            let rest = shape.iter().skip(2).map(|_| Extent::fixed(1));
            front.chain(rest).collect()
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, values) = (call.tensor(0)?, call.floats(0)?);
        let mut dims = tensor.dims().to_vec();
        let inner = dims.get_mut(2..).ok_or("its input has no channels")?;
        let count: usize = inner.iter().product();
        inner.fill(1);
        if count == 0 {
            return Err("its input has no elements".to_owned());
        }
        let power = power(call.node) as f64;
        let channels = values.chunks(count);
        let folded = channels
            .map(|channel| (self.fold)(channel, power))
            .collect();
        Ok(vec![Tensor::floats(&dims, folded)])
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        Derivative::known_if(
            site.shape(0).and_then(sizes).is_some(),
            "makes one number of channels whose sizes are not known",
        )
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let shape = backward.input_fact(0).shape.as_deref();
        let sizes = shape.and_then(sizes).unwrap_or_default();
        let found = (self.gradient)(backward, &gradient, sizes.iter().product());
        backward.give(0, found);
    }
}
