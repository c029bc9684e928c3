//! `AttentionGradient`: with G = ∂L/∂Y and P as the forward pass has left it, a record after the other, head by head:
//!
//! D = G Vᵀ, S = s · P ∘ (D − Σ P ∘ D) with sums over the keys; ∂L/∂Q = S Kᵀ, ∂L/∂K = Qᵀ S, ∂L/∂V = Pᵀ G.

use millrace_onnx::fast;
use ort::Result;
use ort::operator::{BoxedKernel, ComputeContext};
use ort::value::TensorElementType::Float32;

use super::attention::Given;
use super::heads::{Heads, OPERANDS};
use super::instructions::{self, Task};
use super::lanes::dot;
use super::matrix::{Matrix, Rectangle};
use super::operator::{Definition, Port, check_lengths, input, missing, tensor};
use super::parallel::for_each;
use super::product::{Ending, PANEL, Product};
use super::scratch;

pub(super) const OPERATOR: Definition = Definition {
    name: fast::ATTENTION_GRADIENT,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
    ],
    outputs: &[
        Port::Optional(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
    ],
    create: |node| {
        let heads = Heads::of(node)?;
        Ok(Box::new(move |context: &ComputeContext| compute(context, &heads)) as BoxedKernel<'_>)
    },
};

fn compute(context: &ComputeContext, heads: &Heads) -> Result<()> {
    let [gradient, shares] = [input(context, 0)?, input(context, 1)?];
    let (_, gradient) = tensor::<f32>(&gradient)?;
    let (_, shares) = tensor::<f32>(&shares)?;
    let inputs = [
        Some(input(context, 2)?),
        context.input(3)?,
        context.input(4)?,
    ];
    let given = Given::new(&inputs)?;
    let records = given.records;
    check_lengths(records * heads.outputs(), &[gradient.len()])?;
    check_lengths(records * heads.shares(), &[shares.len()])?;
    let is_packed = inputs[1].is_none();
    let mut outputs = Vec::with_capacity(OPERANDS);
    for (index, input) in inputs.iter().enumerate() {
        let Some(input) = input else { continue };
        outputs.push(context.output(index, tensor::<f32>(input)?.0.to_vec())?);
    }
    let mut parts = Vec::with_capacity(records);
    for (record, (gradient, shares)) in gradient
        .chunks_exact(heads.outputs().max(1))
        .zip(shares.chunks_exact(heads.shares().max(1)))
        .enumerate()
    {
        parts.push(Part {
            heads,
            given: given.of(record),
            gradient,
            shares,
            found: Vec::with_capacity(OPERANDS),
        });
    }
    for output in &mut outputs {
        let Some(output) = output else {
            for part in &mut parts {
                part.found.push(None);
            }
            continue;
        };
        let (_, values) = output.try_extract_tensor_mut::<f32>()?;
        if parts.is_empty() {
            values.fill(0.0);
            continue;
        }
        let length = values.len() / parts.len();
        for (part, values) in parts.iter_mut().zip(values.chunks_exact_mut(length.max(1))) {
            part.found.push(Some(values));
        }
    }
    if parts
        .iter()
        .any(|part| part.found.len() != if is_packed { 1 } else { OPERANDS })
    {
        return Err(missing());
    }
    let of_head = heads.queries * heads.keys;
    for_each(context, parts, |part| {
        scratch::with([of_head, PANEL], |[scores, panel]| {
            part.compute(scores, panel);
        });
    })
}

/// One record.
struct Part<'a> {
    heads: &'a Heads,
    given: [&'a [f32]; OPERANDS],
    gradient: &'a [f32],
    shares: &'a [f32],
    /// Where the gradients go: all into one tensor, or each that is wanted into one of its own.
    found: Vec<Option<&'a mut [f32]>>,
}

impl Part<'_> {
    fn compute(mut self, scores: &mut [f32], panel: &mut [f32]) {
        let heads = self.heads;
        let given = self.given;
        let (queries, keys) = (heads.queries, heads.keys);
        let [query, key, value] = heads.operands;
        for (head, shares) in self.shares.chunks_exact(queries * keys).enumerate() {
            let gradient = heads.output.matrix(self.gradient, head);
            Product {
                left: gradient,
                right: value.matrix(given[2], head).transposed(),
                target: Rectangle::new(scores, queries, keys, keys),
                ending: Ending::PLAIN,
            }
            .compute_with(panel);
            instructions::run(Scores {
                values: &mut *scores,
                shares,
                keys,
            });
            let shares = Matrix::new(shares, queries, keys).transposed();
            let scores = Matrix::new(scores, queries, keys);
            let scale = heads.scale;
            if let Some(found) = self.found_of(0) {
                let key = key.matrix(given[1], head).transposed();
                query
                    .product(scores, key, scale, found, head)
                    .compute_with(panel);
            }
            if let Some(found) = self.found_of(1) {
                let query = query.matrix(given[0], head).transposed();
                key.product(query, scores, scale, found, head)
                    .compute_with(panel);
            }
            if let Some(found) = self.found_of(2) {
                value
                    .product(shares, gradient, 1.0, found, head)
                    .compute_with(panel);
            }
        }
    }

    /// Where the gradient of an operand goes.
    fn found_of(&mut self, operand: usize) -> Option<&mut [f32]> {
        let last = self.found.len() - 1;
        self.found[operand.min(last)].as_deref_mut()
    }
}

/// D that becomes S, without the factor s.
struct Scores<'a> {
    values: &'a mut [f32],
    shares: &'a [f32],
    keys: usize,
}

impl Task for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let rows = self.values.chunks_exact_mut(self.keys);
        for (scores, shares) in rows.zip(self.shares.chunks_exact(self.keys)) {
            let sum = dot(scores, shares);
            for (score, share) in scores.iter_mut().zip(shares) {
                *score = share * (*score - sum);
            }
        }
    }
}
