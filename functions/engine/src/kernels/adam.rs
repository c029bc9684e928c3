//! `Adam`: both means and the parameter in one pass, where standard operators take ten, and all parameters in one node: of
//! small ones, most of a node's time would pass around it.
//!
//! The corrections of the means are taken out of the tensors: with c = √(1 − β₂ᵗ) the step is
//! lr · c / (1 − β₁ᵗ) · m / (√v + ε c), which is the same number.

use millrace_onnx::fast;
use ort::Error;
use ort::operator::ComputeContext;
use ort::value::TensorElementType::{Float32, Float64, Int64};

use super::instructions::{self, Task};
use super::operator::{Definition, Port, check_lengths, input, missing, plain, scalar, tensor};
use super::parallel::{PART, for_each};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::ADAM,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Int64),
        Port::Required(Float64),
        Port::Several(Float32),
    ],
    outputs: &[Port::Several(Float32)],
    create: |_| Ok(plain(compute)),
};

/// The number of the first parameter among the inputs.
const FIRST: usize = 3;
/// Tensors of a parameter among the inputs: p, g, m, v.
const GIVEN: usize = 4;
/// And among the outputs: p, m, v.
const MADE: usize = 3;
/// What the constants begin with: β₁, β₂, ε. Then comes the λ of each parameter.
const CONSTANTS: usize = 3;

fn compute(context: &ComputeContext) -> ort::Result<()> {
    let count = (context.num_inputs()? - FIRST) / GIVEN;
    let constants = input(context, 2)?;
    let (_, constants) = tensor::<f64>(&constants)?;
    let Some((&shared, decays)) = constants
        .split_first_chunk::<CONSTANTS>()
        .filter(|(_, decays)| decays.len() == count)
    else {
        return Err(Error::new("expected the constants of Adam"));
    };
    let rate = scalar(&input(context, 0)?)?;
    let step = scalar(&input(context, 1)?)?;
    let inputs = (FIRST..FIRST + count * GIVEN).map(|index| input(context, index));
    let inputs = inputs.collect::<ort::Result<Vec<_>>>()?;
    let mut outputs = Vec::with_capacity(count * MADE);
    for (number, given) in inputs.chunks_exact(GIVEN).enumerate() {
        let (shape, parameter) = tensor::<f32>(&given[0])?;
        for other in &given[1..] {
            check_lengths(parameter.len(), &[tensor::<f32>(other)?.1.len()])?;
        }
        for made in 0..MADE {
            let output = context.output(number * MADE + made, shape.to_vec())?;
            outputs.push(output.ok_or_else(missing)?);
        }
    }
    let mut parts = Parts::default();
    let tensors = inputs.chunks_exact(GIVEN);
    let tensors = tensors.zip(outputs.chunks_exact_mut(MADE));
    for ((given, made), &decay) in tensors.zip(decays) {
        let factors = Factors::new(rate, step, shared, decay);
        let [next, next_mean, next_square] = made else {
            return Err(missing());
        };
        let mut whole = Some(Part {
            parameter: (
                next.try_extract_tensor_mut::<f32>()?.1,
                tensor::<f32>(&given[0])?.1,
            ),
            gradient: tensor::<f32>(&given[1])?.1,
            mean: (
                next_mean.try_extract_tensor_mut::<f32>()?.1,
                tensor::<f32>(&given[2])?.1,
            ),
            square: (
                next_square.try_extract_tensor_mut::<f32>()?.1,
                tensor::<f32>(&given[3])?.1,
            ),
            factors,
        });
        while let Some(part) = whole {
            let (part, rest) = part.split(parts.room());
            parts.add(part);
            whole = rest;
        }
    }
    for_each(context, parts.0, |part| {
        for piece in part.pieces {
            instructions::run(piece);
        }
    })
}

/// Work for threads: pieces of parameters, of the same number of elements in all but the last part.
#[derive(Default)]
struct Parts<'a>(Vec<Pieces<'a>>);

#[derive(Default)]
struct Pieces<'a> {
    pieces: Vec<Part<'a>>,
    elements: usize,
}

impl<'a> Parts<'a> {
    /// How many elements the next piece may have.
    fn room(&mut self) -> usize {
        if self.0.last().is_none_or(|last| last.elements >= PART) {
            self.0.push(Pieces::default());
        }
        PART - self.0.last().map_or(0, |last| last.elements)
    }

    /// Adds a piece that is not larger than the room for it.
    fn add(&mut self, piece: Part<'a>) {
        if let Some(last) = self.0.last_mut() {
            last.elements += piece.gradient.len();
            last.pieces.push(piece);
        }
    }
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
    fn new(rate: f32, step: i64, [beta1, beta2, epsilon]: [f64; CONSTANTS], decay: f64) -> Self {
        let rate = f64::from(rate);
        let root = (1.0 - beta2.powf(step as f64)).sqrt();
        Self {
            keep_mean: beta1 as f32,
            take_mean: (1.0 - beta1) as f32,
            keep_square: beta2 as f32,
            take_square: (1.0 - beta2) as f32,
            rate: (rate * root / (1.0 - beta1.powf(step as f64))) as f32,
            floor: (epsilon * root) as f32,
            keep: (1.0 - rate * decay) as f32,
        }
    }
}

struct Part<'a> {
    parameter: Pair<'a>,
    gradient: &'a [f32],
    mean: Pair<'a>,
    square: Pair<'a>,
    factors: Factors,
}

/// The next values and those before.
type Pair<'a> = (&'a mut [f32], &'a [f32]);

impl<'a> Part<'a> {
    /// The first elements, and the others if there are any.
    fn split(self, count: usize) -> (Self, Option<Self>) {
        if self.gradient.len() <= count {
            return (self, None);
        }
        let (gradient, other_gradient) = self.gradient.split_at(count);
        let split = |(next, now): Pair<'a>| {
            let (next, other_next) = next.split_at_mut(count);
            let (now, other_now) = now.split_at(count);
            ((next, now), (other_next, other_now))
        };
        let (parameter, other_parameter) = split(self.parameter);
        let (mean, other_mean) = split(self.mean);
        let (square, other_square) = split(self.square);
        let others = Self {
            parameter: other_parameter,
            gradient: other_gradient,
            mean: other_mean,
            square: other_square,
            factors: self.factors,
        };
        let first = Self {
            parameter,
            gradient,
            mean,
            square,
            factors: self.factors,
        };
        (first, Some(others))
    }
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
