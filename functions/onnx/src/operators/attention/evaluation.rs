//! `Attention` in float64, query by query.

use super::{K, MASK, Q, V};
use crate::operators::{Call, broadcast};
use crate::{Tensor, Values};

/// A tensor of heads, whichever way its dimensions stand.
struct Heads<'a> {
    values: &'a [f64],
    batch: usize,
    count: usize,
    length: usize,
    size: usize,
    /// Whether the heads stand within the last of three dimensions.
    is_flat: bool,
}

impl<'a> Heads<'a> {
    fn of(call: &Call<'a>, input: usize, heads: &str) -> Result<Self, String> {
        let values = call.floats(input)?;
        match *call.tensor(input)?.dims() {
            [batch, count, length, size] => Ok(Self {
                values,
                batch,
                count,
                length,
                size,
                is_flat: false,
            }),
            [batch, length, width] => {
                let count = usize::try_from(call.node.int(heads, 0)).unwrap_or_default();
                let size = width
                    .checked_div(count)
                    .ok_or("the number of heads is not given")?;
                Ok(Self {
                    values,
                    batch,
                    count,
                    length,
                    size,
                    is_flat: true,
                })
            }
            _ => Err(format!(
                "input {input} has neither three nor four dimensions"
            )),
        }
    }

    fn place(&self, record: usize, head: usize, at: usize) -> usize {
        let row = if self.is_flat {
            (record * self.length + at) * self.count + head
        } else {
            (record * self.count + head) * self.length + at
        };
        row * self.size
    }

    fn at(&self, record: usize, head: usize, at: usize) -> &'a [f64] {
        &self.values[self.place(record, head, at)..][..self.size]
    }
}

pub(super) fn evaluate(call: &Call<'_>) -> Result<Vec<Tensor>, String> {
    let queries = Heads::of(call, Q, "q_num_heads")?;
    let keys = Heads::of(call, K, "kv_num_heads")?;
    let values = Heads::of(call, V, "kv_num_heads")?;
    let fits = keys.batch == queries.batch
        && values.batch == queries.batch
        && keys.size == queries.size
        && keys.length == values.length
        && keys.count == values.count
        && keys.count > 0
        && queries.count % keys.count == 0;
    if !fits {
        return Err("queries, keys and values do not fit each other".to_owned());
    }
    let root = (queries.size as f64).sqrt();
    let scale = call
        .node
        .optional_float("scale")
        .map_or(1.0 / root, f64::from);
    let cap = f64::from(call.node.float("softcap", 0.0));
    let is_causal = call.node.int("is_causal", 0) != 0;
    let all = [queries.batch, queries.count, queries.length, keys.length];
    let added = added_scores(call, &all)?;

    let mut result = Heads {
        values: &[],
        size: values.size,
        ..queries
    };
    let mut found = vec![0.0; queries.batch * queries.count * queries.length * values.size];
    let mut products = Vec::with_capacity(all.iter().product());
    for record in 0..queries.batch {
        for head in 0..queries.count {
            let shared = head / (queries.count / keys.count);
            for query in 0..queries.length {
                let own = queries.at(record, head, query);
                let start = products.len();
                for key in 0..keys.length {
                    let other = keys.at(record, shared, key);
                    let product: f64 = own.iter().zip(other).map(|(a, b)| a * b).sum();
                    products.push(scale * product);
                }
                let scores = products[start..].iter().zip(&added[start..]).enumerate();
                let scores: Vec<f64> = scores
                    .map(|(key, (&score, added))| {
                        let capped = if cap > 0.0 {
                            cap * (score / cap).tanh()
                        } else {
                            score
                        };
                        if is_causal && key > query {
                            f64::NEG_INFINITY
                        } else {
                            capped + added
                        }
                    })
                    .collect();
                let place = result.place(record, head, query);
                let sum = &mut found[place..place + values.size];
                for (key, weight) in softmax(&scores).into_iter().enumerate() {
                    let value = values.at(record, shared, key);
                    for (sum, value) in sum.iter_mut().zip(value) {
                        *sum += weight * value;
                    }
                }
            }
        }
    }
    result.values = &found;
    let dims = if result.is_flat {
        vec![result.batch, result.length, result.count * result.size]
    } else {
        vec![result.batch, result.count, result.length, result.size]
    };
    let scores = Tensor::floats(&all, products);
    let nothing = || Tensor::floats(&[0], Vec::new());
    Ok(vec![
        Tensor::floats(&dims, found),
        nothing(),
        nothing(),
        scores,
    ])
}

/// What the mask adds to every score.
fn added_scores(call: &Call<'_>, all: &[usize]) -> Result<Vec<f64>, String> {
    let Some(mask) = call.optional(MASK) else {
        return Ok(vec![0.0; all.iter().product()]);
    };
    if broadcast::shape(mask.dims(), all)? != all {
        return Err("the mask is larger than the scores".to_owned());
    }
    match broadcast::stretch(mask, all).values() {
        Values::Float(values) => Ok(values.clone()),
        Values::Boolean(values) => Ok(values
            .iter()
            .map(|&is_seen| if is_seen { 0.0 } else { f64::NEG_INFINITY })
            .collect()),
        Values::Integer(_) => Err("the mask is of whole numbers".to_owned()),
    }
}

/// Zeros where every score is left out.
fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return vec![0.0; scores.len()];
    }
    let exponentials: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.into_iter().map(|value| value / sum).collect()
}
