//! Kernels of our own in ONNX Runtime: the operators of the fast lowering, which `millrace_onnx::fast` defines.
//!
//! A kernel gives the same bytes on one thread and on several: what it splits is split by its size alone, and sums are added
//! in an order of their own. It takes nothing of its inputs for granted, since any model may name it.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined into a function for certain instructions is compiled for them"
)]

mod adam;
mod attention;
mod attention_gradient;
mod bytes;
mod cell;
mod convolution;
mod convolution_gradient;
mod cross_entropy;
mod descent;
mod exponential;
mod heads;
pub(crate) mod instructions;
mod lanes;
mod layer;
mod matrix;
mod matrix_product;
mod maxima;
mod momentum;
mod normalization;
mod normalization_gradient;
mod operator;
mod panels;
mod parallel;
mod pixels;
mod pool;
mod product;
mod product_gradient;
mod product_tiles;
mod recurrent;
mod recurrent_gradient;
mod recurrent_weights;
mod relu_gradient;
mod scratch;
mod stack;
mod tiles;
mod views;
mod window;

pub use bytes::widen;
use millrace_onnx::fast;
use operator::Definition;
use ort::operator::OperatorDomain;

/// All of them.
const OPERATORS: [&Definition; 19] = [
    &adam::OPERATOR,
    &attention::OPERATOR,
    &attention_gradient::OPERATOR,
    &convolution::OPERATOR,
    &convolution_gradient::OPERATOR,
    &cross_entropy::OPERATOR,
    &descent::OPERATOR,
    &matrix_product::OPERATOR,
    &momentum::OPERATOR,
    &normalization::OPERATOR,
    &normalization_gradient::OPERATOR,
    &product_gradient::OPERATOR,
    &recurrent::GRU,
    &recurrent::LSTM,
    &recurrent::RNN,
    &recurrent_gradient::GRU,
    &recurrent_gradient::LSTM,
    &recurrent_gradient::RNN,
    &relu_gradient::OPERATOR,
];

/// The operators, for one session.
pub(crate) fn domain() -> ort::Result<OperatorDomain> {
    let domain = OperatorDomain::new(fast::DOMAIN)?;
    OPERATORS
        .into_iter()
        .try_fold(domain, |domain, operator| domain.add(*operator))
}

/// What they are called.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    OPERATORS.into_iter().map(|operator| operator.name)
}
