//! `Sgd`: p − lr · g.

use millrace_onnx::fast;
use ort::operator::ComputeContext;
use ort::value::TensorElementType::Float32;

use super::instructions::{self, Task};
use super::operator::{Definition, Port, check_lengths, input, plain, scalar, tensor};
use super::parallel::{PART, for_each};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::SGD,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
    ],
    outputs: &[Port::Required(Float32)],
    create: |_| Ok(plain(compute)),
};

fn compute(context: &ComputeContext) -> ort::Result<()> {
    let [parameter, gradient, rate] = [input(context, 0)?, input(context, 1)?, input(context, 2)?];
    let (shape, parameter) = tensor::<f32>(&parameter)?;
    let (_, gradient) = tensor::<f32>(&gradient)?;
    let rate = scalar(&rate)?;
    check_lengths(parameter.len(), &[gradient.len()])?;
    let Some(mut next) = context.output(0, shape.to_vec())? else {
        return Ok(());
    };
    let (_, next) = next.try_extract_tensor_mut::<f32>()?;
    let parts = next.chunks_mut(PART);
    let parts = parts.zip(parameter.chunks(PART)).zip(gradient.chunks(PART));
    let parts = parts.map(|((next, parameter), gradient)| Part {
        next,
        parameter,
        gradient,
        rate,
    });
    for_each(context, parts.collect(), instructions::run)
}

struct Part<'a> {
    next: &'a mut [f32],
    parameter: &'a [f32],
    gradient: &'a [f32],
    rate: f32,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let inputs = self.parameter.iter().zip(self.gradient);
        for (next, (parameter, gradient)) in self.next.iter_mut().zip(inputs) {
            *next = parameter - self.rate * gradient;
        }
    }
}
