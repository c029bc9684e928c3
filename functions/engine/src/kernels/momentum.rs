//! `Momentum`: b ← μ b + g, p ← p − lr · b, in one pass.

use millrace_onnx::fast;
use ort::Error;
use ort::operator::ComputeContext;
use ort::value::TensorElementType::{Float32, Float64};

use super::instructions::{self, Task};
use super::operator::{Definition, Port, check_lengths, input, plain, scalar, tensor};
use super::parallel::{PART, for_each};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::MOMENTUM,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float64),
    ],
    outputs: &[Port::Required(Float32), Port::Required(Float32)],
    create: |_| Ok(plain(compute)),
};

fn compute(context: &ComputeContext) -> ort::Result<()> {
    let [parameter, gradient, sum] = [input(context, 0)?, input(context, 1)?, input(context, 2)?];
    let [rate, momentum] = [input(context, 3)?, input(context, 4)?];
    let (shape, parameter) = tensor::<f32>(&parameter)?;
    let (_, gradient) = tensor::<f32>(&gradient)?;
    let (_, sum) = tensor::<f32>(&sum)?;
    let rate = scalar(&rate)?;
    #[expect(clippy::cast_possible_truncation, reason = "the sum is float32")]
    let momentum = scalar::<f64>(&momentum)? as f32;
    check_lengths(parameter.len(), &[gradient.len(), sum.len()])?;
    let next = context.output(0, shape.to_vec())?;
    let next_sum = context.output(1, shape.to_vec())?;
    let (Some(mut next), Some(mut next_sum)) = (next, next_sum) else {
        return Err(Error::new("both outputs are needed"));
    };
    let (_, next) = next.try_extract_tensor_mut::<f32>()?;
    let (_, next_sum) = next_sum.try_extract_tensor_mut::<f32>()?;
    let outputs = next.chunks_mut(PART).zip(next_sum.chunks_mut(PART));
    let inputs = parameter.chunks(PART).zip(gradient.chunks(PART));
    let parts = outputs.zip(inputs).zip(sum.chunks(PART));
    let parts = parts.map(|(((next, next_sum), (parameter, gradient)), sum)| Part {
        next,
        next_sum,
        parameter,
        gradient,
        sum,
        rate,
        momentum,
    });
    for_each(context, parts.collect(), instructions::run)
}

struct Part<'a> {
    next: &'a mut [f32],
    next_sum: &'a mut [f32],
    parameter: &'a [f32],
    gradient: &'a [f32],
    sum: &'a [f32],
    rate: f32,
    momentum: f32,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let inputs = self.parameter.iter().zip(self.gradient).zip(self.sum);
        let outputs = self.next.iter_mut().zip(self.next_sum);
        for ((next, next_sum), ((parameter, gradient), sum)) in outputs.zip(inputs) {
            let sum = self.momentum * sum + gradient;
            *next_sum = sum;
            *next = parameter - self.rate * sum;
        }
    }
}
