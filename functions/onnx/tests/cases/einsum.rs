//! `Einsum`.

use millrace_onnx::proto::AttributeProto;
use millrace_onnx::{Dim, ElementType};

use super::Case;
use crate::support::{Draft, batch, noise};

/// Equations, the shape of x behind the batch, and the shapes of the weights.
type Form = (&'static str, &'static [usize], &'static [&'static [usize]]);

const FORMS: [Form; 22] = [
    ("bi,ij->bj", &[3], &[&[3, 2]]),
    ("bi,ij", &[3], &[&[3, 2]]),
    ("bi , ij -> jb", &[3], &[&[3, 2]]),
    ("bi,i->b", &[3], &[&[3]]),
    ("bi,bi->", &[3], &[&[1, 3]]),
    ("bi,j->bij", &[3], &[&[2]]),
    ("abc,cde->abde", &[4, 3], &[&[3, 2, 2]]),
    ("abcd,cde->abe", &[2, 2, 3], &[&[2, 3, 2]]),
    ("BTnh,BSnh->BnTS", &[3, 2, 2], &[&[1, 4, 2, 2]]),
    ("...i,ij->...j", &[4, 3], &[&[3, 2]]),
    ("...ij,...jk->...ik", &[4, 3], &[&[1, 3, 2]]),
    ("...i,...i", &[4, 3], &[&[1, 4, 3]]),
    ("bi,ij,jk->bk", &[3], &[&[3, 2], &[2, 4]]),
    // An index that only one input has is summed by itself.
    ("bi,jk->bj", &[3], &[&[2, 3]]),
    ("bij,bi->bj", &[3, 2], &[&[1, 3]]),
    ("bi,bj->bij", &[3], &[&[1, 1]]),
    // Diagonals.
    ("bii->bi", &[3, 3], &[]),
    ("bii->b", &[3, 3], &[]),
    ("biji,j->bi", &[2, 3, 2], &[&[3]]),
    ("bi,iij->bj", &[3], &[&[3, 3, 2]]),
    ("b,iji->b", &[], &[&[2, 3, 2]]),
    ("biii,jj->bj", &[2, 2, 2], &[&[3, 3]]),
];

pub fn cases() -> Vec<Case> {
    FORMS.into_iter().map(case).chain([alone()]).collect()
}

fn scaled(features: &[usize]) -> Draft {
    let sizes = features.iter().map(|&size| i64::try_from(size).unwrap());
    let dims: Vec<Dim> = std::iter::once(batch())
        .chain(sizes.map(Dim::Fixed))
        .collect();
    Draft::new()
        .opset(13)
        .input("x", ElementType::Float32, &dims)
        .weights("scale", &[1], &[0.5])
        .node("Mul", &["x", "scale"], "scaled")
}

fn case((equation, features, weights): Form) -> Case {
    let mut draft = scaled(features);
    let names: Vec<String> = (0..weights.len()).map(|at| format!("w{at}")).collect();
    for (at, (name, dims)) in names.iter().zip(weights).enumerate() {
        draft = draft.weights(name, dims, &noise(dims.iter().product(), 3 + at as u64));
    }
    let inputs: Vec<&str> = std::iter::once("scaled")
        .chain(names.iter().map(String::as_str))
        .collect();
    let attributes = vec![AttributeProto::from_string("equation", equation)];
    let draft = draft.node_with("Einsum", &inputs, "y", attributes);
    let dims = [&[3], features].concat();
    Case::new(
        &format!("Einsum {equation}"),
        draft.result("y"),
        &[("x", &dims)],
    )
}

fn alone() -> Case {
    let attributes = vec![AttributeProto::from_string("equation", "bij->jb")];
    let draft = scaled(&[4, 3]).node_with("Einsum", &["scaled"], "y", attributes);
    Case::new(
        "Einsum of one input",
        draft.result("y"),
        &[("x", &[3, 4, 3])],
    )
}
