//! Comparisons: `Equal`, `Greater`, `GreaterOrEqual`, `Less`, `LessOrEqual`, and `NonZero`. No gradient passes them.

use super::{Call, Derivative, Family, Operator, Site, broadcast};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::tensor::indices;
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("Equal", &EQUAL),
    ("Greater", &GREATER),
    ("GreaterOrEqual", &GREATER_OR_EQUAL),
    ("Less", &LESS),
    ("LessOrEqual", &LESS_OR_EQUAL),
    ("NonZero", &NonZero),
];

/// A comparison of two tensors.
struct Comparison {
    floats: fn(f64, f64) -> bool,
    integers: fn(i64, i64) -> bool,
}

static EQUAL: Comparison = Comparison {
    #[expect(clippy::float_cmp, reason = "the operator compares exactly")]
    floats: |a, b| a == b,
    integers: |a, b| a == b,
};

static GREATER: Comparison = Comparison {
    floats: |a, b| a > b,
    integers: |a, b| a > b,
};

static GREATER_OR_EQUAL: Comparison = Comparison {
    floats: |a, b| a >= b,
    integers: |a, b| a >= b,
};

static LESS: Comparison = Comparison {
    floats: |a, b| a < b,
    integers: |a, b| a < b,
};

static LESS_OR_EQUAL: Comparison = Comparison {
    floats: |a, b| a <= b,
    integers: |a, b| a <= b,
};

impl Operator for Comparison {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![broadcast::fact(site, Some(ElementType::Bool), unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (dims, left, right) = broadcast::pair(call)?;
        let values: Vec<bool> = match (left.values(), right.values()) {
            (Values::Float(left), Values::Float(right)) => left
                .iter()
                .zip(right)
                .map(|(a, b)| (self.floats)(*a, *b))
                .collect(),
            (Values::Integer(left), Values::Integer(right)) => left
                .iter()
                .zip(right)
                .map(|(a, b)| (self.integers)(*a, *b))
                .collect(),
            (Values::Boolean(left), Values::Boolean(right)) => left
                .iter()
                .zip(right)
                .map(|(a, b)| (self.integers)(i64::from(*a), i64::from(*b)))
                .collect(),
            _ => return Err("only values of one kind are compared".to_owned()),
        };
        Ok(vec![Tensor::new(dims, Values::Boolean(values))])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

/// The indices of elements that are not zero, one row a dimension.
struct NonZero;

impl Operator for NonZero {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let rank = site.shape(0).map(|shape| Extent::fixed(shape.len() as i64));
        let shape = rank.map(|rank| vec![rank, unknowns.next()]);
        vec![Fact::new(Some(ElementType::Int64), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let is_set: Vec<bool> = match tensor.values() {
            Values::Float(values) => values.iter().map(|&value| value != 0.0).collect(),
            Values::Integer(values) => values.iter().map(|&value| value != 0).collect(),
            Values::Boolean(values) => values.clone(),
        };
        let found: Vec<Vec<usize>> = indices(tensor.dims())
            .zip(is_set)
            .filter_map(|(index, is_set)| is_set.then_some(index))
            .collect();
        let rows =
            (0..tensor.rank()).flat_map(|axis| found.iter().map(move |index| index[axis] as i64));
        Ok(vec![Tensor::integers(
            &[tensor.rank(), found.len()],
            rows.collect(),
        )])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}
