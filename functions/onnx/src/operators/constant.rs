//! `Constant`, `ConstantOfShape` and `EyeLike`.

use super::unary::same_as_input;
use super::{Call, Derivative, Family, Operator, Site};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::{NodeProto, TensorProto};
use crate::tensor::indices;
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("Constant", &Constant),
    ("ConstantOfShape", &ConstantOfShape),
    ("EyeLike", &EyeLike),
];

/// A tensor that stands in the node. It never trains.
struct Constant;

impl Operator for Constant {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let value = value_of(site.node);
        let fact = value.and_then(|value| {
            let sizes = value.sizes().ok()?;
            let shape = sizes
                .iter()
                .map(|&size| Extent::fixed(size as i64))
                .collect();
            Some(Fact::new(Some(value.element()), Some(shape)))
        });
        vec![fact.unwrap_or_default()]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let value = value_of(call.node).ok_or("its value is of a kind that is not evaluated")?;
        Ok(vec![value.to_tensor().map_err(|error| error.to_string())?])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

/// The value under whichever attribute the node has it.
fn value_of(node: &NodeProto) -> Option<TensorProto> {
    let float = || {
        Some(TensorProto::from_f32(
            "",
            &[],
            &[node.optional_float("value_float")?],
        ))
    };
    let floats = || {
        let values = node.floats("value_floats")?;
        Some(TensorProto::from_f32("", &[values.len()], values))
    };
    let int = || {
        Some(TensorProto::from_i64(
            "",
            &[],
            &[node.optional_int("value_int")?],
        ))
    };
    let ints = || {
        let values = node.ints("value_ints")?;
        Some(TensorProto::from_i64("", &[values.len()], values))
    };
    node.tensor("value")
        .cloned()
        .or_else(float)
        .or_else(floats)
        .or_else(int)
        .or_else(ints)
}

/// A tensor of a given shape with one value everywhere: float32 zero where the node names none.
struct ConstantOfShape;

impl Operator for ConstantOfShape {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let element = site
            .node
            .tensor("value")
            .map_or(ElementType::Float32, TensorProto::element);
        let shape = site.input(0).and_then(Fact::to_sizes);
        vec![Fact::new(Some(element), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let sizes = call.integers(0)?.iter().map(|&size| usize::try_from(size));
        let dims = sizes
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| "a size is negative")?;
        let value = match call.node.tensor("value") {
            Some(value) => value
                .to_tensor()
                .map_err(|error| error.to_string())?
                .values()
                .clone(),
            None => Values::Float(vec![0.0]),
        };
        if value.len() != 1 {
            return Err("its value is not one element".to_owned());
        }
        let values = value.pick(std::iter::repeat_n(0, dims.iter().product()));
        Ok(vec![Tensor::new(dims, values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

/// A matrix in the shape of another, with 1 on the k-th diagonal and 0 elsewhere, of the type that `dtype` names, else of the
/// other's type.
struct EyeLike;

impl EyeLike {
    fn named_element(node: &NodeProto) -> Option<ElementType> {
        let code = node.optional_int("dtype")?;
        Some(ElementType::from_code(code as i32))
    }
}

impl Operator for EyeLike {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let element = Self::named_element(site.node).or(site.element());
        vec![Fact {
            element,
            ..same_as_input(site)
        }]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let like = call.tensor(0)?;
        let diagonal = call.node.int("k", 0);
        let is_set = indices(like.dims()).map(|index| match index.as_slice() {
            &[row, column] => Ok(column as i64 - row as i64 == diagonal),
            _ => Err("the input is no matrix".to_owned()),
        });
        let is_set = is_set.collect::<Result<Vec<bool>, _>>()?;
        let numbers = is_set.iter().copied();
        let named = Self::named_element(call.node);
        let values = match (like.values(), named) {
            (_, Some(ElementType::Bool)) | (Values::Boolean(_), None) => Values::Boolean(is_set),
            (_, Some(element)) if element.is_integer() => {
                Values::Integer(numbers.map(i64::from).collect())
            }
            (Values::Integer(_), None) => Values::Integer(numbers.map(i64::from).collect()),
            _ => Values::Float(numbers.map(|is_set| f64::from(u8::from(is_set))).collect()),
        };
        Ok(vec![Tensor::new(like.dims().to_vec(), values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}
