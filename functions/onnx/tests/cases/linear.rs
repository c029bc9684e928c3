//! `MatMul` and `Gemm`.

use millrace_onnx::proto::AttributeProto;
use millrace_onnx::{Dim, ElementType};

use super::{Case, X};
use crate::support::{Draft, batch, noise};

pub fn cases() -> Vec<Case> {
    let gemms = [[0, 0], [0, 1], [1, 0], [1, 1]]
        .into_iter()
        .flat_map(|transposes| {
            let biases: [Option<&[usize]>; 4] = [Some(&[3]), Some(&[1]), Some(&[1, 3]), None];
            biases.map(|bias| gemm(transposes, bias))
        });
    let turned = [0, 1].map(gemm_from_the_left);
    gemms.chain(turned).chain(matmuls()).collect()
}

/// x[batch, …] in float32.
fn input(features: &[usize]) -> Draft {
    let sizes = features.iter().map(|&size| i64::try_from(size).unwrap());
    let dims: Vec<Dim> = std::iter::once(batch())
        .chain(sizes.map(Dim::Fixed))
        .collect();
    Draft::new().input("x", ElementType::Float32, &dims)
}

fn transposes([a, b]: [i64; 2]) -> Vec<AttributeProto> {
    vec![
        AttributeProto::from_int("transA", a),
        AttributeProto::from_int("transB", b),
    ]
}

fn gemm(turns: [i64; 2], bias: Option<&[usize]>) -> Case {
    let weights = if turns[1] == 1 { [3, 4] } else { [4, 3] };
    let mut draft = input(&[4])
        .weights("first", &[4, 4], &noise(16, 2))
        .weights("w", &weights, &noise(12, 3))
        .node("MatMul", &["x", "first"], "a");
    let mut left = "a";
    if turns[0] == 1 {
        draft = draft.node("Transpose", &["a"], "turned");
        left = "turned";
    }
    let mut inputs = vec![left, "w"];
    if let Some(shape) = bias {
        draft = draft.weights("b", shape, &noise(shape.iter().product(), 4));
        inputs.push("b");
    }
    let mut attributes = transposes(turns);
    attributes.push(AttributeProto::from_float("alpha", 0.75));
    attributes.push(AttributeProto::from_float("beta", 1.25));
    let draft = draft.node_with("Gemm", &inputs, "y", attributes);
    let name = format!("Gemm, transposed {turns:?}, bias {bias:?}");
    Case::new(&name, draft.result("y"), X)
}

fn gemm_from_the_left(transpose: i64) -> Case {
    let weights = if transpose == 1 { [4, 3] } else { [3, 4] };
    let draft = input(&[4])
        .weights("w", &weights, &noise(12, 3))
        .node_with("Gemm", &["w", "x"], "turned", transposes([transpose, 1]))
        .node("Transpose", &["turned"], "y");
    let name = format!("Gemm, weights on the left, transposed {transpose}");
    Case::new(&name, draft.result("y"), X)
}

/// Stacks and vectors: the features behind the batch, and the weights on the right or the left.
fn matmuls() -> Vec<Case> {
    let right: [(&[usize], &[usize]); 6] = [
        (&[4], &[4, 2]),
        (&[5, 4], &[4, 2]),
        (&[2, 5, 4], &[4, 2]),
        (&[2, 5, 4], &[2, 4, 3]),
        (&[2, 5, 4], &[1, 4, 3]),
        (&[5, 4], &[4]),
    ];
    let left: [(&[usize], &[usize]); 4] = [
        (&[4, 3], &[2, 4]),
        (&[2, 4, 3], &[1, 5, 4]),
        (&[2, 4, 3], &[2, 5, 4]),
        (&[4, 3], &[4]),
    ];
    let right = right.map(|(features, weights)| matmul(features, weights, ["scaled", "w"]));
    let left = left.map(|(features, weights)| matmul(features, weights, ["w", "scaled"]));
    right.into_iter().chain(left).collect()
}

fn matmul(features: &[usize], weights: &[usize], inputs: [&str; 2]) -> Case {
    let draft = input(features)
        .weights("w", weights, &noise(weights.iter().product(), 8))
        .weights("scale", &[1], &[0.5])
        .node("Mul", &["x", "scale"], "scaled")
        .node("MatMul", &inputs, "y");
    let name = format!("MatMul of {inputs:?}, scaled [batch, {features:?}], w {weights:?}");
    Case::new(
        &name,
        draft.result("y"),
        &[("x", &[&[3], features].concat())],
    )
}
