//! `NormalizationGradient`: the gradients of a normalization over the last dimensions, a row at a time.
//!
//! With x̂ = (x − mean x) r, r = 1 / √(variance + ε) and H = G γ, means over the row: ∂L/∂x = r (H − mean H − x̂ · mean (H x̂)),
//! ∂L/∂γ = Σ G x̂, ∂L/∂β = Σ G, sums over the rows. Without `centre` no mean is taken off, of x as of H. A gradient that x has
//! from elsewhere is added to its own.

use millrace_onnx::fast;
use ort::operator::{BoxedKernel, ComputeContext};
use ort::value::TensorElementType::Float32;
use ort::{Error, Result};

use super::instructions::{self, Task};
use super::lanes::{dot, sum};
use super::normalization::Form;
use super::operator::{Definition, Port, check_lengths, input, tensor};
use super::parallel::{PART, for_each};
use super::scratch;

pub(super) const OPERATOR: Definition = Definition {
    name: fast::NORMALIZATION_GRADIENT,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Optional(Float32),
    ],
    outputs: &[
        Port::Optional(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
    ],
    create: |node| {
        let form = Form::of(node);
        Ok(Box::new(move |context: &ComputeContext| compute(context, form)) as BoxedKernel<'_>)
    },
};

fn compute(context: &ComputeContext, form: Form) -> Result<()> {
    let [gradient, data, scale] = [input(context, 0)?, input(context, 1)?, input(context, 2)?];
    let (shape, gradient) = tensor::<f32>(&gradient)?;
    let (_, data) = tensor::<f32>(&data)?;
    let (scale_shape, scale) = tensor::<f32>(&scale)?;
    let size = scale.len();
    if size == 0 || gradient.len() % size != 0 {
        return Err(Error::new(format!(
            "expected rows as long as their scale, got {shape:?} and {scale_shape:?}"
        )));
    }
    let other = context.input(3)?;
    let other = other.as_ref().map(tensor::<f32>).transpose()?;
    let other = other.map(|(_, other)| other);
    let length = gradient.len();
    check_lengths(length, &[data.len(), other.map_or(length, <[f32]>::len)])?;
    let mut found = context.output(0, shape.to_vec())?;
    let [mut of_scale, mut of_bias] = [
        context.output(1, scale_shape.to_vec())?,
        context.output(2, scale_shape.to_vec())?,
    ];
    let found: &mut [f32] = match &mut found {
        Some(found) => found.try_extract_tensor_mut::<f32>()?.1,
        None => &mut [],
    };

    let rows = (PART / size).max(1);
    let count = gradient.len().div_ceil(rows * size);
    scratch::with([count * 2 * size], |[sums]| {
        let mut found = found.chunks_mut(rows * size);
        let mut others = other.map(|other| other.chunks(rows * size));
        let parts = gradient.chunks(rows * size).zip(data.chunks(rows * size));
        let parts = parts.zip(sums.chunks_exact_mut(2 * size));
        let parts = parts.map(|((gradient, data), sums)| Part {
            gradient,
            data,
            scale,
            other: others.as_mut().and_then(Iterator::next),
            found: found.next().unwrap_or_default(),
            sums,
            form,
        });
        for_each(context, parts.collect(), |part| {
            scratch::with([size, size], |memory| {
                instructions::run(Work(part, memory));
            });
        })?;
        for (half, output) in [&mut of_scale, &mut of_bias].into_iter().enumerate() {
            let Some(output) = output else { continue };
            let (_, output) = output.try_extract_tensor_mut::<f32>()?;
            output.fill(0.0);
            for sums in sums.chunks_exact(2 * size) {
                for (total, sum) in output.iter_mut().zip(&sums[half * size..]) {
                    *total += sum;
                }
            }
        }
        Ok(())
    })
}

/// Some rows.
struct Part<'a> {
    gradient: &'a [f32],
    data: &'a [f32],
    scale: &'a [f32],
    /// What is added to the gradient of x.
    other: Option<&'a [f32]>,
    /// Empty where the gradient of x is not wanted.
    found: &'a mut [f32],
    /// Those of γ, then those of β.
    sums: &'a mut [f32],
    form: Form,
}

/// A part, and memory for x̂ and H of one row.
struct Work<'a, 'm>(Part<'a>, [&'m mut [f32]; 2]);

impl Task for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(part, [normalized, scaled]) = self;
        let size = part.scale.len();
        #[expect(clippy::cast_precision_loss, reason = "a row is far below 2^24")]
        let share = 1.0 / size as f32;
        let form = part.form;
        part.sums.fill(0.0);
        let (of_scale, of_bias) = part.sums.split_at_mut(size);
        let mut found = part.found.chunks_exact_mut(size);
        let mut others = part.other.map(|other| other.chunks_exact(size));
        let rows = part.gradient.chunks_exact(size);
        for (gradient, data) in rows.zip(part.data.chunks_exact(size)) {
            let centre = if form.centres { sum(data) * share } else { 0.0 };
            for (centred, value) in normalized.iter_mut().zip(data) {
                *centred = value - centre;
            }
            let variance = dot(normalized, normalized) * share;
            let factor = 1.0 / (variance + form.epsilon).sqrt();
            for value in normalized.iter_mut() {
                *value *= factor;
            }
            let places = of_scale.iter_mut().zip(of_bias.iter_mut());
            for ((of_scale, of_bias), (gradient, normalized)) in
                places.zip(gradient.iter().zip(normalized.iter()))
            {
                *of_scale += gradient * normalized;
                *of_bias += gradient;
            }
            let Some(found) = found.next() else { continue };
            for (scaled, (gradient, scale)) in
                scaled.iter_mut().zip(gradient.iter().zip(part.scale))
            {
                *scaled = gradient * scale;
            }
            let along = dot(scaled, normalized) * share;
            let mean = if form.centres {
                sum(scaled) * share
            } else {
                0.0
            };
            let values = scaled.iter().zip(normalized.iter());
            for (found, (scaled, normalized)) in found.iter_mut().zip(values) {
                *found = factor * (scaled - mean - normalized * along);
            }
            if let Some(other) = others.as_mut().and_then(Iterator::next) {
                for (found, other) in found.iter_mut().zip(other) {
                    *found += other;
                }
            }
        }
    }
}
