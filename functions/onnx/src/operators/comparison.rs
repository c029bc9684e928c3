//! Comparisons and choices: `Equal`, `Greater`, `Where`, `NonZero`. No gradient passes a comparison.

use super::{Call, Derivative, Family, Operator, Site, broadcast};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::tensor::indices;
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("Equal", &EQUAL),
    ("Greater", &GREATER),
    ("NonZero", &NonZero),
    ("Where", &Where),
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
            _ => return Err("only numbers of one kind are compared".to_owned()),
        };
        Ok(vec![Tensor::new(dims, Values::Boolean(values))])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

/// y = a where the condition holds, else b.
struct Where;

impl Operator for Where {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let shape = (|| {
            let inner = broadcast::extents(site.shape(1)?, site.shape(2)?, unknowns);
            Some(broadcast::extents(site.shape(0)?, &inner, unknowns))
        })();
        vec![Fact::new(
            site.input(1).and_then(|fact| fact.element),
            shape,
        )]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (condition, yes, no) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
        let inner = broadcast::shape(yes.dims(), no.dims())?;
        let wide = broadcast::shape(condition.dims(), &inner)?;
        let condition = broadcast::stretch(condition, &wide);
        let Values::Boolean(condition) = condition.values() else {
            return Err("the condition is not boolean".to_owned());
        };
        let (yes, no) = (
            broadcast::stretch(yes, &wide),
            broadcast::stretch(no, &wide),
        );
        let values = match (yes.values(), no.values()) {
            (Values::Float(yes), Values::Float(no)) => Values::Float(choose(condition, yes, no)),
            (Values::Integer(yes), Values::Integer(no)) => {
                Values::Integer(choose(condition, yes, no))
            }
            (Values::Boolean(yes), Values::Boolean(no)) => {
                Values::Boolean(choose(condition, yes, no))
            }
            _ => return Err("the two choices are of different kinds".to_owned()),
        };
        Ok(vec![Tensor::new(wide, values)])
    }
}

fn choose<T: Copy>(condition: &[bool], yes: &[T], no: &[T]) -> Vec<T> {
    let choices = yes.iter().zip(no);
    condition
        .iter()
        .zip(choices)
        .map(|(&holds, (&yes, &no))| if holds { yes } else { no })
        .collect()
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
