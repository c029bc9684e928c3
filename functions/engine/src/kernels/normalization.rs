//! `Normalization`: rows of x, or of x + d, with mean 0 and variance 1, times γ, plus β.
//!
//! With s = x + d, and means over the row: y = γ (s − mean s) / √(variance + ε) + β. Without `centre` no mean is taken off.

use millrace_onnx::fast;
use ort::operator::{BoxedKernel, ComputeContext, KernelContext};
use ort::value::TensorElementType::Float32;
use ort::{Error, Result};

use super::instructions::{self, Task};
use super::lanes::{dot, sum};
use super::operator::{Definition, Port, check_lengths, input, missing, tensor};
use super::parallel::{PART, for_each};
use super::scratch;

pub(super) const OPERATOR: Definition = Definition {
    name: fast::NORMALIZATION,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
    ],
    outputs: &[Port::Required(Float32), Port::Optional(Float32)],
    create: |node| {
        let form = Form::of(node);
        Ok(Box::new(move |context: &ComputeContext| compute(context, form)) as BoxedKernel<'_>)
    },
};

/// What the attributes say.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub(super) epsilon: f32,
    /// Whether the mean is taken off.
    pub(super) centres: bool,
}

impl Form {
    pub(super) fn of(node: &KernelContext<'_>) -> Self {
        Self {
            epsilon: node.get::<f32>("epsilon").unwrap_or(1e-5),
            centres: node.get::<i64>("centre").unwrap_or(1) != 0,
        }
    }
}

fn compute(context: &ComputeContext, form: Form) -> Result<()> {
    let [data, scale] = [input(context, 0)?, input(context, 1)?];
    let (bias, other) = (context.input(2)?, context.input(3)?);
    let (shape, data) = tensor::<f32>(&data)?;
    let (scale_shape, scale) = tensor::<f32>(&scale)?;
    let bias = bias.as_ref().map(tensor::<f32>).transpose()?;
    let other = other.as_ref().map(tensor::<f32>).transpose()?;
    let size = scale.len();
    if size == 0 || data.len() % size != 0 {
        return Err(Error::new(format!(
            "expected rows as long as their scale, got {shape:?} and {scale_shape:?}"
        )));
    }
    if let Some((_, bias)) = bias {
        check_lengths(size, &[bias.len()])?;
    }
    let mut found = context.output(0, shape.to_vec())?.ok_or_else(missing)?;
    let (_, found) = found.try_extract_tensor_mut::<f32>()?;
    let mut sums = match other {
        Some((_, other)) => {
            check_lengths(data.len(), &[other.len()])?;
            Some(context.output(1, shape.to_vec())?.ok_or_else(missing)?)
        }
        None => None,
    };
    let sums = match &mut sums {
        Some(sums) => sums.try_extract_tensor_mut::<f32>()?.1,
        None => &mut [],
    };
    let length = (PART / 2 / size).max(1) * size;
    let mut others = other.map(|(_, other)| other.chunks(length));
    let mut sums = sums.chunks_mut(length);
    let parts = data.chunks(length).zip(found.chunks_mut(length));
    let parts = parts.map(|(data, found)| Part {
        data,
        other: others.as_mut().and_then(Iterator::next),
        scale,
        bias: bias.map(|(_, bias)| bias),
        found,
        sums: sums.next().unwrap_or_default(),
        form,
    });
    for_each(context, parts.collect(), |part| {
        scratch::with([size], |[memory]| instructions::run(Work(part, memory)));
    })
}

/// Some rows.
struct Part<'a> {
    data: &'a [f32],
    /// d, and where x + d goes.
    other: Option<&'a [f32]>,
    sums: &'a mut [f32],
    scale: &'a [f32],
    bias: Option<&'a [f32]>,
    found: &'a mut [f32],
    form: Form,
}

/// A part, and memory for a row without its mean.
struct Work<'a, 'm>(Part<'a>, &'m mut [f32]);

impl Task for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(part, centred) = self;
        let size = part.scale.len();
        #[expect(clippy::cast_precision_loss, reason = "a row is far below 2^24")]
        let share = 1.0 / size as f32;
        let data = match part.other {
            Some(other) => {
                let given = part.data.iter().zip(other);
                for (sum, (value, other)) in part.sums.iter_mut().zip(given) {
                    *sum = value + other;
                }
                &*part.sums
            }
            None => part.data,
        };
        let rows = data.chunks_exact(size);
        for (data, found) in rows.zip(part.found.chunks_exact_mut(size)) {
            let centre = if part.form.centres {
                sum(data) * share
            } else {
                0.0
            };
            for (centred, value) in centred.iter_mut().zip(data) {
                *centred = value - centre;
            }
            let variance = dot(centred, centred) * share;
            let factor = 1.0 / (variance + part.form.epsilon).sqrt();
            let values = centred.iter().zip(part.scale);
            for (found, (centred, scale)) in found.iter_mut().zip(values) {
                *found = centred * factor * scale;
            }
            if let Some(bias) = part.bias {
                for (found, bias) in found.iter_mut().zip(bias) {
                    *found += bias;
                }
            }
        }
    }
}
