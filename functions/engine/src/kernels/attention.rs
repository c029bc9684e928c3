//! `Attention`: Y = P V with P = softmax(s · Q K + M), a record after the other, head by head.
//!
//! A head's matrices are small: they stay in the processor's cache from the first product to the last, and are read from where
//! they lie in the tensors.

use millrace_onnx::fast;
use ort::operator::{BoxedKernel, ComputeContext};
use ort::value::TensorElementType::Float32;
use ort::value::ValueRef;
use ort::{Error, Result};

use super::exponential::exp;
use super::heads::{Heads, OPERANDS};
use super::instructions::{self, Task};
use super::lanes::{largest, sum};
use super::matrix::{Matrix, Rectangle};
use super::operator::{Definition, Port, input, missing, tensor};
use super::parallel::for_each;
use super::product::{Ending, PANEL, Product};
use super::scratch;

pub(super) const OPERATOR: Definition = Definition {
    name: fast::ATTENTION,
    inputs: &[
        Port::Required(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
    ],
    outputs: &[Port::Required(Float32), Port::Required(Float32)],
    create: |node| {
        let heads = Heads::of(node)?;
        Ok(Box::new(move |context: &ComputeContext| compute(context, &heads)) as BoxedKernel<'_>)
    },
};

fn compute(context: &ComputeContext, heads: &Heads) -> Result<()> {
    let inputs = [
        Some(input(context, 0)?),
        context.input(1)?,
        context.input(2)?,
    ];
    let given = Given::new(&inputs)?;
    let records = given.records;
    let mut found = context
        .output(0, Heads::shape(records, &heads.shape))?
        .ok_or_else(missing)?;
    let mut shares = context
        .output(1, heads.shape_of_shares(records))?
        .ok_or_else(missing)?;
    let (_, found) = found.try_extract_tensor_mut::<f32>()?;
    let (_, shares) = shares.try_extract_tensor_mut::<f32>()?;
    if found.is_empty() || shares.is_empty() {
        found.fill(0.0);
        return Ok(());
    }
    let mask = context.input(OPERANDS)?;
    let mask = match &mask {
        None => None,
        Some(mask) => Some(Mask::new(tensor::<f32>(mask)?.1, heads, records)?),
    };
    let found = found.chunks_exact_mut(heads.outputs());
    let shares = shares.chunks_exact_mut(heads.shares());
    let parts = found.zip(shares).enumerate();
    let parts = parts.map(|(record, (found, shares))| Part {
        heads,
        given: given.of(record),
        mask: mask.map(|mask| mask.of(record)),
        found,
        shares,
    });
    for_each(context, parts.collect(), |part| {
        scratch::with([PANEL], |[panel]| part.attend(panel));
    })
}

/// Q, K and V: in three tensors, or all in one.
pub(super) struct Given<'a> {
    pub(super) records: usize,
    tensors: [&'a [f32]; OPERANDS],
}

impl<'a> Given<'a> {
    pub(super) fn new(inputs: &'a [Option<ValueRef<'_>>; OPERANDS]) -> Result<Self> {
        let first = inputs[0].as_ref().ok_or_else(missing)?;
        let (shape, first) = tensor::<f32>(first)?;
        let records = shape.first().and_then(|&size| usize::try_from(size).ok());
        let records = records.ok_or_else(|| Error::new("an attention has records"))?;
        let mut tensors = [first; OPERANDS];
        for (tensor_of, input) in tensors.iter_mut().zip(inputs) {
            if let Some(input) = input {
                let (shape, values) = tensor::<f32>(input)?;
                if shape.first() != i64::try_from(records).ok().as_ref() {
                    return Err(Error::new("queries, keys and values are of other records"));
                }
                *tensor_of = values;
            }
        }
        Ok(Self { records, tensors })
    }

    /// Those of a record.
    pub(super) fn of(&self, record: usize) -> [&'a [f32]; OPERANDS] {
        self.tensors.map(|tensor| {
            let length = tensor.len() / self.records;
            &tensor[record * length..][..length]
        })
    }
}

/// One record.
struct Part<'a> {
    heads: &'a Heads,
    given: [&'a [f32]; OPERANDS],
    mask: Option<Mask<'a>>,
    found: &'a mut [f32],
    shares: &'a mut [f32],
}

impl Part<'_> {
    fn attend(self, panel: &mut [f32]) {
        let Self {
            heads,
            given,
            mask,
            found,
            shares,
        } = self;
        let (queries, keys) = (heads.queries, heads.keys);
        let [query, key, value] = heads.operands;
        for (head, shares) in shares.chunks_exact_mut(queries * keys).enumerate() {
            Product {
                left: query.matrix(given[0], head),
                right: key.matrix(given[1], head),
                target: Rectangle::new(shares, queries, keys, keys),
                ending: Ending {
                    factor: heads.scale,
                    ..Ending::PLAIN
                },
            }
            .compute_with(panel);
            if let Some(mask) = mask {
                mask.add(head, shares, keys);
            }
            instructions::run(Softmax { shares, keys });
            let shares = Matrix::new(shares, queries, keys);
            let value = value.matrix(given[2], head);
            heads
                .output
                .product(shares, value, 1.0, found, head)
                .compute_with(panel);
        }
    }
}

/// What is added to the scores: to those of all records, or of one.
#[derive(Clone, Copy)]
struct Mask<'a> {
    values: &'a [f32],
    /// How far its numbers for records, heads, queries and keys are from one another.
    strides: [usize; 4],
}

impl<'a> Mask<'a> {
    fn new(values: &'a [f32], heads: &Heads, records: usize) -> Result<Self> {
        let strides = heads.mask.ok_or_else(missing)?;
        let sizes = [records, heads.count, heads.queries, heads.keys];
        let last = strides
            .iter()
            .zip(sizes)
            .map(|(stride, size)| stride * size.saturating_sub(1));
        if values.len() != last.sum::<usize>() + 1 {
            return Err(Error::new("the mask of an attention is of another size"));
        }
        Ok(Self { values, strides })
    }

    /// That of a record.
    fn of(self, record: usize) -> Self {
        Self {
            values: &self.values[record * self.strides[0]..],
            ..self
        }
    }

    /// Adds it to the rows of a head's scores.
    fn add(&self, head: usize, scores: &mut [f32], keys: usize) {
        let [_, of_head, of_query, of_key] = self.strides;
        for (query, row) in scores.chunks_exact_mut(keys).enumerate() {
            let values = &self.values[head * of_head + query * of_query..];
            if of_key == 0 {
                for score in row {
                    *score += values[0];
                }
            } else {
                for (score, value) in row.iter_mut().zip(values) {
                    *score += value;
                }
            }
        }
    }
}

/// Rows of scores that become shares of 1.
struct Softmax<'a> {
    shares: &'a mut [f32],
    keys: usize,
}

impl Task for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for row in self.shares.chunks_exact_mut(self.keys) {
            let largest = largest(row);
            for value in row.iter_mut() {
                *value = exp(*value - largest);
            }
            let share = 1.0 / sum(row);
            for value in row.iter_mut() {
                *value *= share;
            }
        }
    }
}
