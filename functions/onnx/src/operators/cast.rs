//! `Identity`, `Cast` and `CastLike`.

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("Cast", &Cast),
    ("CastLike", &CastLike),
    ("Identity", &Identity),
];

/// y = x; ∂L/∂x = ∂L/∂y.
struct Identity;

impl Operator for Identity {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![Fact {
            sizes: site.input(0).and_then(|fact| fact.sizes.clone()),
            ..same_as_input(site)
        }]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        Ok(vec![call.tensor(0)?.clone()])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        backward.give(0, gradient);
    }
}

/// y = x as another type; between floating-point types ∂L/∂x = ∂L/∂y as x's type, else nothing passes.
struct Cast;

impl Operator for Cast {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![converted(site, Some(target(site.node)))]
    }

    /// Rounding to narrower floating-point types is not imitated; whole numbers keep their low bits, as in C.
    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let target = target(call.node);
        let values = match tensor.values() {
            values if target.is_float() => Values::Float(to_floats(values)),
            values if target == ElementType::Bool => Values::Boolean(to_booleans(values)),
            values if target.is_integer() => Values::Integer(
                to_integers(values)
                    .into_iter()
                    .map(|value| narrow(value, target))
                    .collect(),
            ),
            _ => return Err(format!("casts to {target} are not evaluated")),
        };
        Ok(vec![Tensor::new(tensor.dims().to_vec(), values)])
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        passage(target(site.node))
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        give_as_input_type(backward);
    }
}

/// y = x as the type of a second tensor, whose values do not matter; otherwise as `Cast`.
struct CastLike;

impl CastLike {
    fn target(site: &Site<'_>) -> Option<ElementType> {
        site.input(1)?.element
    }
}

impl Operator for CastLike {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![converted(site, Self::target(site))]
    }

    /// Narrower types are not imitated, since tensors here do not know their width.
    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, like) = (call.tensor(0)?, call.tensor(1)?);
        let values = match like.values() {
            Values::Float(_) => Values::Float(to_floats(tensor.values())),
            Values::Integer(_) => Values::Integer(to_integers(tensor.values())),
            Values::Boolean(_) => Values::Boolean(to_booleans(tensor.values())),
        };
        Ok(vec![Tensor::new(tensor.dims().to_vec(), values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        match Self::target(site) {
            Some(target) if input == 0 => passage(target),
            None if input == 0 => Derivative::missing("casts to a type that is not known"),
            _ => Derivative::Zero,
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        give_as_input_type(backward);
    }
}

fn converted(site: &Site<'_>, target: Option<ElementType>) -> Fact {
    let sizes = site.input(0).and_then(|fact| fact.sizes.clone());
    Fact {
        element: target,
        sizes: sizes.filter(|_| target.is_some_and(ElementType::is_integer)),
        ..same_as_input(site)
    }
}

/// Whether a gradient passes a cast to this type.
fn passage(target: ElementType) -> Derivative {
    match target {
        ElementType::Float32 | ElementType::Float64 => Derivative::Known,
        target if target.is_float() => Derivative::Missing {
            reason: format!("rounds to {target}, in which gradients are too coarse to train"),
            help: "export the model in float32".to_owned(),
        },
        _ => Derivative::Zero,
    }
}

fn give_as_input_type(backward: &mut Backward<'_>) {
    let gradient = backward.gradient();
    let source = backward
        .input_fact(0)
        .element
        .unwrap_or(ElementType::Float32);
    let to = vec![AttributeProto::from_int("to", i64::from(source.code()))];
    let gradient = backward.emit.node_with("Cast", &[&gradient], to);
    backward.give(0, gradient);
}

fn target(node: &NodeProto) -> ElementType {
    ElementType::from_code(node.int("to", 0) as i32)
}

fn to_floats(values: &Values) -> Vec<f64> {
    match values {
        Values::Float(values) => values.clone(),
        Values::Integer(values) => values.iter().map(|&value| value as f64).collect(),
        Values::Boolean(values) => values
            .iter()
            .map(|&value| f64::from(u8::from(value)))
            .collect(),
    }
}

fn to_integers(values: &Values) -> Vec<i64> {
    match values {
        Values::Float(values) => values.iter().map(|&value| value as i64).collect(),
        Values::Integer(values) => values.clone(),
        Values::Boolean(values) => values.iter().copied().map(i64::from).collect(),
    }
}

fn to_booleans(values: &Values) -> Vec<bool> {
    let values = to_floats(values).into_iter();
    values.map(|value| value != 0.0).collect()
}

fn narrow(value: i64, target: ElementType) -> i64 {
    match target {
        ElementType::Int8 => i64::from(value as i8),
        ElementType::Int16 => i64::from(value as i16),
        ElementType::Int32 => i64::from(value as i32),
        ElementType::Uint8 => i64::from(value as u8),
        ElementType::Uint16 => i64::from(value as u16),
        ElementType::Uint32 => i64::from(value as u32),
        _ => value,
    }
}
