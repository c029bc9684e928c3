//! `Pow`.

use super::{Backward, Call, Derivative, Family, Operator, Site, broadcast};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::AttributeProto;
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[("Pow", &Pow)];

/// y = aᵇ, of a's type; with G = ∂L/∂y: ∂L/∂a = Σ G · b · aᵇ⁻¹, and 0 where b is 0; ∂L/∂b = Σ G · y · ln a, and 0 where a is
/// not positive. Σ is the sum over the dimensions along which an input was broadcast.
struct Pow;

impl Pow {
    /// The derivative by the base.
    fn slope(backward: &mut Backward<'_>) -> String {
        let base = backward.input(0);
        match Self::constant_exponent(backward) {
            Some(2.0) => backward.node("Add", &[base, base]),
            Some(exponent) => {
                let lowered = backward.float(exponent - 1.0);
                let power = backward.node("Pow", &[base, &lowered]);
                let factor = backward.float(exponent);
                backward.node("Mul", &[&power, &factor])
            }
            None => {
                let exponent = Self::exponent(backward);
                let (zero, one) = (backward.float(0.0), backward.float(1.0));
                let lowered = backward.node("Sub", &[&exponent, &one]);
                let power = backward.node("Pow", &[base, &lowered]);
                let slope = backward.node("Mul", &[&exponent, &power]);
                let is_flat = backward.node("Equal", &[&exponent, &zero]);
                backward.node("Where", &[&is_flat, &zero, &slope])
            }
        }
    }

    /// The exponent where it is one number, known and not 0.
    fn constant_exponent(backward: &Backward<'_>) -> Option<f64> {
        let constant = backward.input_fact(1).constant.as_ref()?;
        let exponent = match constant.values() {
            Values::Float(values) => *values.first()?,
            Values::Integer(values) => *values.first()? as f64,
            Values::Boolean(_) => return None,
        };
        (constant.count() == 1 && exponent != 0.0).then_some(exponent)
    }

    /// The exponent in the base's type.
    fn exponent(backward: &mut Backward<'_>) -> String {
        let [base, exponent] = Self::elements(backward);
        if base == exponent {
            return backward.input(1).to_owned();
        }
        cast(backward, backward.input(1), base)
    }

    fn elements(backward: &Backward<'_>) -> [ElementType; 2] {
        [0, 1].map(|input| {
            let element = backward.input_fact(input).element;
            element.unwrap_or(ElementType::Float32)
        })
    }

    fn give_to_exponent(backward: &mut Backward<'_>, gradient: &str) {
        let zero = backward.float(0.0);
        let is_positive = backward.node("Greater", &[backward.input(0), &zero]);
        let logarithm = backward.node("Log", &[backward.input(0)]);
        let slope = backward.node("Mul", &[backward.output(), &logarithm]);
        let slope = backward.node("Where", &[&is_positive, &slope, &zero]);
        let product = backward.node("Mul", &[gradient, &slope]);
        let mut found = backward.unbroadcast(&product, 1);
        let [base, exponent] = Self::elements(backward);
        if base != exponent {
            found = cast(backward, &found, exponent);
        }
        backward.give(1, found);
    }
}

fn cast(backward: &mut Backward<'_>, tensor: &str, to: ElementType) -> String {
    let to = vec![AttributeProto::from_int("to", i64::from(to.code()))];
    backward.emit.node_with("Cast", &[tensor], to)
}

impl Operator for Pow {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![broadcast::fact(site, site.element(), unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (dims, base, exponent) = broadcast::pair(call)?;
        let exponents: Vec<f64> = match exponent.values() {
            Values::Float(values) => values.clone(),
            Values::Integer(values) => values.iter().map(|&value| value as f64).collect(),
            Values::Boolean(_) => return Err("the exponent is boolean".to_owned()),
        };
        let values = match base.values() {
            Values::Float(values) => {
                let pairs = values.iter().zip(exponents);
                Values::Float(pairs.map(|(base, exponent)| base.powf(exponent)).collect())
            }
            Values::Integer(values) => {
                let pairs = values.iter().zip(exponents);
                let powers = pairs.map(|(&base, exponent)| (base as f64).powf(exponent) as i64);
                Values::Integer(powers.collect())
            }
            Values::Boolean(_) => return Err("the base is boolean".to_owned()),
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
            let slope = Self::slope(backward);
            let product = backward.node("Mul", &[&gradient, &slope]);
            let found = backward.unbroadcast(&product, 0);
            backward.give(0, found);
        }
        if backward.wants(1) {
            Self::give_to_exponent(backward, &gradient);
        }
    }
}
