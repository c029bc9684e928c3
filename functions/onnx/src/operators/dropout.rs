//! `Dropout`: nothing in prediction, a random mask in training.
//!
//! # The mask
//! It is made by whole-number operators on int64 that every operator set from 13 on has, without overflow, so that every
//! runtime makes the same bits. It depends on the inputs `seed` and `step`, on the place of the node in the model, and on
//! the place of the element, and on nothing else.
//!
//! All arithmetic is modulo the prime P = 1,518,500,213. It leaves 2 when divided by 3, so that c(a, b) = (a + b)³ mod P
//! takes every value once as a runs through all numbers below P: cubing mixes, and loses nothing. P is just below √2 · 2³⁰,
//! so that (a + b)² fits 63 bits for any a, b < P.
//!
//! - key = c(c(c(c(seed mod P, 1), seed mod Q), step mod P), node), with Q the next such prime below P;
//! - row i: r = c(c(i, key), A); column j: s = c(c(j, key), B), with two constants A and B;
//! - element (i, j): c(r, s), and it is dropped where that is less than ratio · P, rounded.
//!
//! Rows are the first dimension, columns all others, where their sizes are known; else each element is a row.

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, Training};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::AttributeProto;
use crate::step::names::{SEED, STEP};
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[("Dropout", &Dropout)];

/// P and Q.
const PRIMES: [i64; 2] = [1_518_500_213, 1_518_500_183];
/// A and B: any numbers do.
const SALTS: [i64; 2] = [402_653_189, 805_306_457];
const RATIO: usize = 1;

/// y = x in prediction. In training y = x · m with m = 0 for the share `ratio` of the elements and 1 / (1 − ratio) for the
/// others, and ∂L/∂x = ∂L/∂y · m.
struct Dropout;

impl Operator for Dropout {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let kept = same_as_input(site);
        let mask = Fact::new(Some(ElementType::Bool), kept.shape.clone());
        vec![kept, mask]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?.clone();
        let all = Values::Boolean(vec![true; tensor.count()]);
        let mask = Tensor::new(tensor.dims().to_vec(), all);
        Ok(vec![tensor, mask])
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        if input == 0 {
            Derivative::Known
        } else {
            Derivative::Zero
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        backward.give(0, gradient);
    }

    fn training(&self, training: &mut Training<'_>) -> Result<bool, String> {
        let ratio = ratio(training)?;
        let (input, fact) = (training.input(0), training.input_fact(0));
        let element = fact
            .and_then(|fact| fact.element)
            .unwrap_or(ElementType::Float32);
        let key = key(training);
        let shape = fact.and_then(|fact| fact.shape.as_deref());
        let drawn = drawn(training, input, shape, &key);
        let threshold = training
            .emit
            .integer((ratio * PRIMES[0] as f64).round() as i64);
        let is_dropped = training.emit("Less", &[&drawn, &threshold]);
        if let Some(mask) = training.node.output.get(1).filter(|name| !name.is_empty()) {
            training.emit.named(mask, "Not", &[&is_dropped]);
        }
        let [zero, scale] =
            [0.0, 1.0 / (1.0 - ratio)].map(|value| training.emit.float(value, element));
        let mask = training.emit("Where", &[&is_dropped, &zero, &scale]);
        let output = &training.node.output[0];
        training.emit.named(output, "Mul", &[input, &mask]);
        Ok(true)
    }
}

/// The share of the elements that are dropped.
fn ratio(training: &Training<'_>) -> Result<f64, String> {
    let Some(fact) = training.input_fact(RATIO) else {
        return Ok(0.5);
    };
    let constant = fact.constant.as_ref().and_then(|constant| {
        let ratio = constant.as_floats()?.first().copied()?;
        (0.0..1.0).contains(&ratio).then_some(ratio)
    });
    constant.ok_or_else(|| {
        "has a ratio that is not a constant of at least 0 and less than 1: export the model with such a ratio"
            .to_owned()
    })
}

/// Emits c(a, b).
fn mix(training: &mut Training<'_>, a: &str, b: &str) -> String {
    let prime = training.emit.integer(PRIMES[0]);
    let sum = training.emit("Add", &[a, b]);
    let square = training.emit("Mul", &[&sum, &sum]);
    let square = training.emit("Mod", &[&square, &prime]);
    let cube = training.emit("Mul", &[&square, &sum]);
    training.emit("Mod", &[&cube, &prime])
}

/// Emits two tensors of numbers between 0 and 1 in the shape of another one, neither limit among them.
pub(super) fn units(
    training: &mut Training<'_>,
    like: &str,
    shape: Option<&[Extent]>,
    element: ElementType,
) -> [String; 2] {
    let key = key(training);
    [1, 2].map(|number| {
        let number = training.emit.integer(number);
        let key = mix(training, &key, &number);
        let drawn = drawn(training, like, shape, &key);
        let to = AttributeProto::from_int("to", i64::from(element.code()));
        let drawn = training.emit.node_with("Cast", &[&drawn], vec![to]);
        let [half, prime] =
            [0.5, PRIMES[0] as f64].map(|value| training.emit.float(value, element));
        let above = training.emit("Add", &[&drawn, &half]);
        training.emit("Div", &[&above, &prime])
    })
}

/// Emits the key of the node, a scalar.
fn key(training: &mut Training<'_>) -> String {
    let [prime, other] = PRIMES.map(|prime| training.emit.integer(prime));
    let one = training.emit.integer(1);
    let number = training.number as i64;
    let number = training.emit.integer(number);
    let low = training.emit("Mod", &[SEED, &prime]);
    let high = training.emit("Mod", &[SEED, &other]);
    let step = training.emit("Mod", &[STEP, &prime]);
    let key = mix(training, &low, &one);
    let key = mix(training, &key, &high);
    let key = mix(training, &key, &step);
    mix(training, &key, &number)
}

/// Emits a number below P for each element of a tensor, in its shape.
fn drawn(training: &mut Training<'_>, like: &str, shape: Option<&[Extent]>, key: &str) -> String {
    let columns = shape.and_then(|shape| {
        let (_, columns) = shape.split_first()?;
        Extent::product(columns)
            .as_fixed()
            .filter(|&count| count > 0)
    });
    let columns = training.emit.integer(columns.unwrap_or(1));
    let count = training.emit("Size", &[like]);
    let rows = training.emit("Div", &[&count, &columns]);
    let [rows, columns] = [(rows, SALTS[0]), (columns, SALTS[1])].map(|(count, salt)| {
        let [zero, one, salt] = [0, 1, salt].map(|number| training.emit.integer(number));
        let places = training.emit("Range", &[&zero, &count, &one]);
        let mixed = mix(training, &places, key);
        mix(training, &mixed, &salt)
    });
    let column = training.emit.integers(&[-1, 1]);
    let rows = training.emit("Reshape", &[&rows, &column]);
    let drawn = mix(training, &rows, &columns);
    let shape = training.emit("Shape", &[like]);
    training.emit("Reshape", &[&drawn, &shape])
}
