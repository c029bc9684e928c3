//! Operators on whole numbers: `Mod`, `BitShift`, `BitwiseAnd`, `BitwiseNot`, `BitwiseOr`, `BitwiseXor`.
//!
//! The evaluator holds every whole number in 64 bits: what a narrower type would cut off at the left is not cut off here.

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, broadcast};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::NodeProto;
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("BitShift", &BIT_SHIFT),
    ("BitwiseAnd", &BITWISE_AND),
    ("BitwiseNot", &BitwiseNot),
    ("BitwiseOr", &BITWISE_OR),
    ("BitwiseXor", &BITWISE_XOR),
    ("Mod", &Mod),
];

/// An operator on the bits of two numbers, which may depend on attributes.
struct Bitwise(fn(i64, i64, &NodeProto) -> i64);

static BITWISE_AND: Bitwise = Bitwise(|a, b, _| a & b);
static BITWISE_OR: Bitwise = Bitwise(|a, b, _| a | b);
static BITWISE_XOR: Bitwise = Bitwise(|a, b, _| a ^ b);

/// By 64 bits or more nothing is left.
static BIT_SHIFT: Bitwise = Bitwise(|number, distance, node| {
    let (number, distance) = (number as u64, distance as u32);
    let shifted = match node.string("direction") {
        Some("LEFT") => number.checked_shl(distance),
        _ => number.checked_shr(distance),
    };
    shifted.unwrap_or_default() as i64
});

impl Operator for Bitwise {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![broadcast::fact(site, site.element(), unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (dims, left, right) = broadcast::pair(call)?;
        let (Values::Integer(left), Values::Integer(right)) = (left.values(), right.values())
        else {
            return Err("the inputs are not whole numbers".to_owned());
        };
        let pairs = left.iter().zip(right);
        let values = pairs.map(|(&a, &b)| (self.0)(a, b, call.node)).collect();
        Ok(vec![Tensor::integers(&dims, values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

struct BitwiseNot;

impl Operator for BitwiseNot {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let values = call.integers(0)?.iter().map(|&value| !value).collect();
        Ok(vec![Tensor::integers(call.tensor(0)?.dims(), values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

/// The remainder y = a − b · q of a division: q = ⌊a / b⌋, or, with `fmod` (as for all floating-point numbers), a / b rounded
/// towards zero. Between the jumps of q: ∂L/∂a = Σ ∂L/∂y and ∂L/∂b = −Σ ∂L/∂y · q, with q = (a − y) / b.
struct Mod;

impl Operator for Mod {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![broadcast::fact(site, site.element(), unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (dims, left, right) = broadcast::pair(call)?;
        let truncates = call.node.int("fmod", 0) != 0;
        let whole = |(&a, &b): (&i64, &i64)| {
            let rest = a.checked_rem(b)?;
            let is_across = rest != 0 && (rest < 0) != (b < 0);
            Some(if is_across && !truncates {
                rest + b
            } else {
                rest
            })
        };
        let values = match (left.values(), right.values()) {
            (Values::Float(left), Values::Float(right)) => {
                Values::Float(left.iter().zip(right).map(|(a, b)| a % b).collect())
            }
            (Values::Integer(left), Values::Integer(right)) => {
                let rests = left.iter().zip(right).map(whole).collect::<Option<_>>();
                Values::Integer(rests.ok_or("a whole number is divided by zero")?)
            }
            _ => return Err("the inputs are not numbers of one kind".to_owned()),
        };
        Ok(vec![Tensor::new(dims, values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        if backward.wants(0) {
            let found = backward.unbroadcast(&gradient, 0);
            backward.give(0, found);
        }
        if backward.wants(1) {
            let taken = backward.node("Sub", &[backward.input(0), backward.output()]);
            let quotient = backward.node("Div", &[&taken, backward.input(1)]);
            let product = backward.node("Mul", &[&gradient, &quotient]);
            let negative = backward.node("Neg", &[&product]);
            let found = backward.unbroadcast(&negative, 1);
            backward.give(1, found);
        }
    }
}
