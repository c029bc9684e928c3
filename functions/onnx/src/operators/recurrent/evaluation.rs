//! Recurrent layers in float64, sequence by sequence and step by step.

use super::activation::Activation;
use super::{B, Cell, Form, INITIAL_C, INITIAL_H, LENGTHS, R, W, X};
use crate::Tensor;
use crate::operators::Call;

/// The weights of one direction.
pub(super) struct Weights<'a> {
    pub(super) units: usize,
    pub(super) activations: &'a [Activation],
    /// Whether a `GRU` applies its reset gate behind the product.
    pub(super) resets_product: bool,
    features: usize,
    input: &'a [f64],
    hidden: &'a [f64],
    biases: Option<&'a [f64]>,
    gates: usize,
}

impl Weights<'_> {
    /// W x and its bias, for all gates.
    pub(super) fn of_input(&self, x: &[f64]) -> Vec<f64> {
        let rows = 0..self.gates * self.units;
        rows.map(|row| {
            let weights = &self.input[row * self.features..][..self.features];
            dot(weights, x) + self.biases.map_or(0.0, |biases| biases[row])
        })
        .collect()
    }

    /// R h and its bias, for the gates from `first` on.
    pub(super) fn of_hidden(&self, h: &[f64], first: usize) -> Vec<f64> {
        let all = self.gates * self.units;
        let rows = first * self.units..all;
        rows.map(|row| {
            let weights = &self.hidden[row * self.units..][..self.units];
            dot(weights, h) + self.biases.map_or(0.0, |biases| biases[all + row])
        })
        .collect()
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// Sizes of a call, and where things stand in its tensors.
struct Sizes {
    steps: usize,
    batch: usize,
    directions: usize,
    units: usize,
    is_batch_first: bool,
}

impl Sizes {
    fn row_of_x(&self, step: usize, sequence: usize) -> usize {
        if self.is_batch_first {
            sequence * self.steps + step
        } else {
            step * self.batch + sequence
        }
    }

    fn row_of_y(&self, step: usize, direction: usize, sequence: usize) -> usize {
        if self.is_batch_first {
            (sequence * self.steps + step) * self.directions + direction
        } else {
            (step * self.directions + direction) * self.batch + sequence
        }
    }

    fn row_of_state(&self, direction: usize, sequence: usize) -> usize {
        if self.is_batch_first {
            sequence * self.directions + direction
        } else {
            direction * self.batch + sequence
        }
    }

    fn dims_of_y(&self) -> [usize; 4] {
        if self.is_batch_first {
            [self.batch, self.steps, self.directions, self.units]
        } else {
            [self.steps, self.directions, self.batch, self.units]
        }
    }

    fn dims_of_state(&self) -> [usize; 3] {
        if self.is_batch_first {
            [self.batch, self.directions, self.units]
        } else {
            [self.directions, self.batch, self.units]
        }
    }
}

pub(super) fn evaluate(cell: &dyn Cell, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
    let form = Form::of(call.node, cell)?;
    let (x, features, sizes) = measure(&form, cell, call)?;
    let lengths = lengths(call, &sizes)?;
    let count_of_state = sizes.directions * sizes.batch * sizes.units;
    let mut y = vec![0.0; sizes.steps * count_of_state];
    let mut last = [vec![0.0; count_of_state], vec![0.0; count_of_state]];
    for (at, direction) in form.directions.iter().enumerate() {
        let rows = cell.gates() * sizes.units;
        let weights = Weights {
            units: sizes.units,
            activations: &direction.activations,
            resets_product: call.node.int("linear_before_reset", 0) != 0,
            features,
            input: part(call.floats(W)?, at, rows * features)?,
            hidden: part(call.floats(R)?, at, rows * sizes.units)?,
            biases: match call.optional(B) {
                Some(_) => Some(part(call.floats(B)?, at, 2 * rows)?),
                None => None,
            },
            gates: cell.gates(),
        };
        for (sequence, &length) in lengths.iter().enumerate() {
            let row = sizes.row_of_state(at, sequence);
            let mut states = [
                initial(call, INITIAL_H, row, sizes.units)?,
                initial(call, INITIAL_C, row, sizes.units)?,
            ];
            for done in 0..length {
                let step = if direction.is_reverse {
                    length - 1 - done
                } else {
                    done
                };
                let x = part(x, sizes.row_of_x(step, sequence), features)?;
                cell.step(&weights, x, &mut states);
                let row = sizes.row_of_y(step, at, sequence);
                y[row * sizes.units..][..sizes.units].copy_from_slice(&states[0]);
            }
            if length > 0 {
                for (last, state) in last.iter_mut().zip(&states) {
                    last[row * sizes.units..][..sizes.units].copy_from_slice(state);
                }
            }
        }
    }
    let [h, c] = last.map(|last| Tensor::floats(&sizes.dims_of_state(), last));
    Ok(vec![Tensor::floats(&sizes.dims_of_y(), y), h, c])
}

fn measure<'a>(
    form: &Form,
    cell: &dyn Cell,
    call: &Call<'a>,
) -> Result<(&'a [f64], usize, Sizes), String> {
    let &[first, second, features] = call.tensor(X)?.dims() else {
        return Err("X has not three dimensions".to_owned());
    };
    let &[directions, rows, units] = call.tensor(R)?.dims() else {
        return Err("R has not three dimensions".to_owned());
    };
    let fits = directions == form.directions.len()
        && rows == cell.gates() * units
        && call.tensor(W)?.dims() == [directions, rows, features];
    if !fits {
        return Err("X, W and R do not fit each other".to_owned());
    }
    let is_batch_first = Form::is_batch_first(call.node);
    let [steps, batch] = if is_batch_first {
        [second, first]
    } else {
        [first, second]
    };
    let sizes = Sizes {
        steps,
        batch,
        directions,
        units,
        is_batch_first,
    };
    Ok((call.floats(X)?, features, sizes))
}

fn lengths(call: &Call<'_>, sizes: &Sizes) -> Result<Vec<usize>, String> {
    if call.optional(LENGTHS).is_none() {
        return Ok(vec![sizes.steps; sizes.batch]);
    }
    let lengths = call.integers(LENGTHS)?.iter();
    let lengths = lengths
        .map(|&length| {
            usize::try_from(length)
                .ok()
                .filter(|&length| length <= sizes.steps)
        })
        .collect::<Option<Vec<_>>>()
        .ok_or("a sequence's length is not between 0 and the number of steps")?;
    if lengths.len() == sizes.batch {
        Ok(lengths)
    } else {
        Err("there are not as many lengths as sequences".to_owned())
    }
}

fn initial(call: &Call<'_>, input: usize, row: usize, units: usize) -> Result<Vec<f64>, String> {
    match call.optional(input) {
        Some(_) => Ok(part(call.floats(input)?, row, units)?.to_vec()),
        None => Ok(vec![0.0; units]),
    }
}

fn part(values: &[f64], at: usize, size: usize) -> Result<&[f64], String> {
    values
        .get(at * size..(at + 1) * size)
        .ok_or_else(|| "an input is smaller than the others say".to_owned())
}
