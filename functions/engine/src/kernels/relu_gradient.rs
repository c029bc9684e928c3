//! `ReluGradient`: the gradient passes where the output is positive.

use millrace_onnx::fast;
use ort::operator::ComputeContext;
use ort::value::TensorElementType::Float32;

use super::instructions::{self, Task};
use super::operator::{Definition, Port, check_lengths, input, plain, tensor};
use super::parallel::{PART, for_each};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::RELU_GRADIENT,
    inputs: &[Port::Required(Float32), Port::Required(Float32)],
    outputs: &[Port::Required(Float32)],
    create: |_| Ok(plain(compute)),
};

fn compute(context: &ComputeContext) -> ort::Result<()> {
    let (gradient, output) = (input(context, 0)?, input(context, 1)?);
    let (shape, gradient) = tensor::<f32>(&gradient)?;
    let (_, output) = tensor::<f32>(&output)?;
    check_lengths(gradient.len(), &[output.len()])?;
    let Some(mut found) = context.output(0, shape.to_vec())? else {
        return Ok(());
    };
    let (_, found) = found.try_extract_tensor_mut::<f32>()?;
    let parts = found.chunks_mut(PART);
    let parts = parts.zip(gradient.chunks(PART)).zip(output.chunks(PART));
    let parts = parts.map(|((found, gradient), output)| Part {
        found,
        gradient,
        output,
    });
    for_each(context, parts.collect(), instructions::run)
}

struct Part<'a> {
    found: &'a mut [f32],
    gradient: &'a [f32],
    output: &'a [f32],
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let inputs = self.gradient.iter().zip(self.output);
        for (found, (&gradient, &output)) in self.found.iter_mut().zip(inputs) {
            *found = if output > 0.0 { gradient } else { 0.0 };
        }
    }
}
