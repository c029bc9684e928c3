//! `Adam`: both means and the parameter in one pass, where standard operators take ten.
//!
//! The corrections of the means are taken out of the tensors: with c = √(1 − β₂ᵗ) the step is
//! lr · c / (1 − β₁ᵗ) · m / (√v + ε c), which is the same number.

use millrace_onnx::fast;
use ort::Error;
use ort::operator::ComputeContext;
use ort::value::TensorElementType::{Float32, Float64, Int64};

use super::instructions::{self, Task};
use super::operator::{Definition, Port, check_lengths, input, plain, scalar, tensor};
use super::parallel::{PART, for_each};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::ADAM,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Int64),
        Port::Required(Float64),
    ],
    outputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
    ],
    create: |_| Ok(plain(compute)),
};

fn compute(context: &ComputeContext) -> ort::Result<()> {
    let [parameter, gradient] = [input(context, 0)?, input(context, 1)?];
    let [mean, square] = [input(context, 2)?, input(context, 3)?];
    let (shape, parameter) = tensor::<f32>(&parameter)?;
    let (_, gradient) = tensor::<f32>(&gradient)?;
    let (_, mean) = tensor::<f32>(&mean)?;
    let (_, square) = tensor::<f32>(&square)?;
    let factors = Factors::new(
        scalar(&input(context, 4)?)?,
        scalar(&input(context, 5)?)?,
        tensor(&input(context, 6)?)?.1,
    )?;
    check_lengths(parameter.len(), &[gradient.len(), mean.len(), square.len()])?;
    let [next, next_mean, next_square] =
        [0, 1, 2].map(|index| context.output(index, shape.to_vec()));
    let (Some(mut next), Some(mut next_mean), Some(mut next_square)) =
        (next?, next_mean?, next_square?)
    else {
        return Err(Error::new("all three outputs are needed"));
    };
    let (_, next) = next.try_extract_tensor_mut::<f32>()?;
    let (_, next_mean) = next_mean.try_extract_tensor_mut::<f32>()?;
    let (_, next_square) = next_square.try_extract_tensor_mut::<f32>()?;

    let means = next_mean.chunks_mut(PART).zip(mean.chunks(PART));
    let squares = next_square.chunks_mut(PART).zip(square.chunks(PART));
    let parameters = next.chunks_mut(PART).zip(parameter.chunks(PART));
    let parts = parameters
        .zip(gradient.chunks(PART))
        .zip(means)
        .zip(squares)
        .map(|(((parameter, gradient), mean), square)| Part {
            parameter,
            gradient,
            mean,
            square,
            factors,
        });
    for_each(context, parts.collect(), instructions::run)
}

/// What all elements share.
#[derive(Clone, Copy)]
struct Factors {
    keep_mean: f32,
    take_mean: f32,
    keep_square: f32,
    take_square: f32,
    /// The corrected rate.
    rate: f32,
    /// The corrected ε.
    floor: f32,
    /// What weight decay leaves of a parameter.
    keep: f32,
}

impl Factors {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "the tensors are float32, and nobody makes 2^52 steps"
    )]
    fn new(rate: f32, step: i64, constants: &[f64]) -> ort::Result<Self> {
        let &[beta1, beta2, epsilon, decay] = constants else {
            return Err(Error::new("expected the four constants of Adam"));
        };
        let rate = f64::from(rate);
        let root = (1.0 - beta2.powf(step as f64)).sqrt();
        Ok(Self {
            keep_mean: beta1 as f32,
            take_mean: (1.0 - beta1) as f32,
            keep_square: beta2 as f32,
            take_square: (1.0 - beta2) as f32,
            rate: (rate * root / (1.0 - beta1.powf(step as f64))) as f32,
            floor: (epsilon * root) as f32,
            keep: (1.0 - rate * decay) as f32,
        })
    }
}

struct Part<'a> {
    parameter: (&'a mut [f32], &'a [f32]),
    gradient: &'a [f32],
    mean: (&'a mut [f32], &'a [f32]),
    square: (&'a mut [f32], &'a [f32]),
    factors: Factors,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let factors = self.factors;
        let inputs = pairs(self.parameter)
            .zip(self.gradient)
            .zip(pairs(self.mean).zip(pairs(self.square)));
        for (((next, parameter), gradient), ((next_mean, mean), (next_square, square))) in inputs {
            let mean = factors.keep_mean * mean + factors.take_mean * gradient;
            let square = factors.keep_square * square + factors.take_square * (gradient * gradient);
            *next_mean = mean;
            *next_square = square;
            *next =
                factors.keep * parameter - factors.rate * mean / (square.sqrt() + factors.floor);
        }
    }
}

/// The next values, each with the one before.
#[inline(always)]
fn pairs<'a>(
    (next, now): (&'a mut [f32], &'a [f32]),
) -> impl Iterator<Item = (&'a mut f32, &'a f32)> {
    next.iter_mut().zip(now)
}
