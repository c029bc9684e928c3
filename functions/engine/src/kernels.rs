//! Kernels of our own in ONNX Runtime: the operators of the fast lowering, which `millrace_onnx::fast` defines.
//!
//! A kernel gives the same bytes on one thread and on several: what it splits is split by its size alone, and sums are added
//! in an order of their own. It takes nothing of its inputs for granted, since any model may name it.

#![allow(
    clippy::inline_always,
    reason = "only what is inlined into a function for certain instructions is compiled for them"
)]

mod adam;
mod cell;
mod convolution;
mod convolution_gradient;
mod cross_entropy;
mod descent;
mod exponential;
pub(crate) mod instructions;
mod lanes;
mod layer;
mod maxima;
mod momentum;
mod multiply;
mod normalization_gradient;
mod operator;
mod panels;
mod parallel;
mod pixels;
mod pool;
mod recurrent;
mod recurrent_gradient;
mod recurrent_weights;
mod relu_gradient;
mod scratch;
mod tiles;
mod views;
mod window;

use millrace_onnx::fast;
use ort::operator::OperatorDomain;

/// The operators, for one session.
pub(crate) fn domain() -> ort::Result<OperatorDomain> {
    OperatorDomain::new(fast::DOMAIN)?
        .add(adam::OPERATOR)?
        .add(convolution::OPERATOR)?
        .add(convolution_gradient::OPERATOR)?
        .add(cross_entropy::OPERATOR)?
        .add(descent::OPERATOR)?
        .add(momentum::OPERATOR)?
        .add(normalization_gradient::OPERATOR)?
        .add(recurrent::GRU)?
        .add(recurrent::LSTM)?
        .add(recurrent::RNN)?
        .add(recurrent_gradient::GRU)?
        .add(recurrent_gradient::LSTM)?
        .add(recurrent_gradient::RNN)?
        .add(relu_gradient::OPERATOR)
}
