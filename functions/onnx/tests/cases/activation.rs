//! Activation functions.

use millrace_onnx::{Dim, ElementType};

use super::Case;
use crate::support::{Draft, batch, noise};

pub fn cases() -> Vec<Case> {
    ["Relu", "Sigmoid", "Tanh"]
        .into_iter()
        .map(|operator| {
            Case::new(
                operator,
                hidden().node(operator, &["h"], "y").result("y"),
                &[("x", &[3, 4])],
            )
        })
        .collect()
}

/// x[batch, 4] times w[4, 3]: the tensor `h`.
fn hidden() -> Draft {
    Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(4)])
        .weights("w", &[4, 3], &noise(12, 1))
        .node("MatMul", &["x", "w"], "h")
}
