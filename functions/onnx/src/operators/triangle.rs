//! `Trilu`: the upper or lower triangle of matrices.

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::tensor::indices;
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[("Trilu", &Trilu)];

/// y = x on and above the k-th diagonal, or, with `upper` 0, on and below it, else 0; ∂L/∂x is the same triangle of ∂L/∂y.
struct Trilu;

impl Operator for Trilu {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let diagonal = match call.optional(1) {
            None => 0,
            Some(_) => match call.integers(1)? {
                &[diagonal] => diagonal,
                _ => return Err("the diagonal is not one number".to_owned()),
            },
        };
        let is_upper = call.node.int("upper", 1) != 0;
        let keeps = |index: Vec<usize>| match index.as_slice() {
            [.., row, column] => {
                let distance = *column as i64 - *row as i64;
                Ok(if is_upper {
                    distance >= diagonal
                } else {
                    distance <= diagonal
                })
            }
            _ => Err("the input is no matrix".to_owned()),
        };
        let keeps = indices(tensor.dims()).map(keeps);
        let keeps = keeps.collect::<Result<Vec<bool>, _>>()?;
        let values = match tensor.values() {
            Values::Float(values) => Values::Float(kept(values, &keeps)),
            Values::Integer(values) => Values::Integer(kept(values, &keeps)),
            Values::Boolean(values) => Values::Boolean(kept(values, &keeps)),
        };
        Ok(vec![Tensor::new(tensor.dims().to_vec(), values)])
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
        let node = backward.node;
        let mut inputs = vec![gradient.as_str()];
        inputs.extend(node.input.iter().skip(1).map(String::as_str));
        let options = node.attribute.clone();
        let found = backward.emit.node_with("Trilu", &inputs, options);
        backward.give(0, found);
    }
}

fn kept<T: Copy + Default>(values: &[T], keeps: &[bool]) -> Vec<T> {
    let values = values.iter().zip(keeps);
    values
        .map(|(&value, &keeps)| if keeps { value } else { T::default() })
        .collect()
}
