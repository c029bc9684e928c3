//! Models whose shapes are computed while they run, as exporters write it, with a symbolic batch and perhaps a symbolic time.

use millrace_onnx::proto::{AttributeProto, TensorProto};
use millrace_onnx::{Dim, ElementType};

use super::Case;
use crate::support::{Draft, batch, noise};

pub fn cases() -> Vec<Case> {
    let x: &[(&str, &[usize])] = &[("x", &[3, 2, 8])];
    let mut cases = Vec::new();
    for opset in [13, 17, 21] {
        for (form, time) in [
            ("fixed", Dim::Fixed(2)),
            ("symbolic", Dim::Symbolic("time".to_owned())),
        ] {
            let name = format!("attention by shape arithmetic, {form} time, opset {opset}");
            cases.push(Case::new(
                &name,
                attention(time).opset(opset).result("y"),
                x,
            ));
        }
    }
    cases.push(Case::new(
        "Expand by a shape with −1",
        expanded().result("y"),
        x,
    ));
    cases.push(Case::new(
        "Reshape to half of a size",
        halves().result("y"),
        x,
    ));
    cases
}

fn number(mut draft: Draft, name: &str, value: i64) -> Draft {
    let tensor = TensorProto::from_i64(name, &[], &[value]);
    draft.graph.initializer.push(tensor);
    draft
}

fn along(axis: i64) -> Vec<AttributeProto> {
    vec![AttributeProto::from_int("axis", axis)]
}

fn input(time: Dim) -> Draft {
    let draft = Draft::new()
        .input("x", ElementType::Float32, &[batch(), time, Dim::Fixed(8)])
        .integers("front", &[0])
        .node("Shape", &["x"], "shape");
    let draft = number(number(number(draft, "zero", 0), "one", 1), "two", 2);
    let draft = ["zero", "one", "two"]
        .into_iter()
        .fold(draft, |draft, axis| {
            draft.node("Gather", &["shape", axis], &format!("size {axis}"))
        });
    number(number(draft, "heads", 4), "width", 8)
}

/// Self-attention with four heads, whose `view(b, t, h, c // h)` is written out in sizes.
pub fn attention(time: Dim) -> Draft {
    let turn = |order: &[i64]| vec![AttributeProto::from_ints("perm", order)];
    let mut draft = input(time)
        .node("Div", &["size two", "heads"], "head width")
        .node("Mul", &["heads", "head width"], "all heads")
        .node("Unsqueeze", &["size zero", "front"], "b")
        .node("Unsqueeze", &["size one", "front"], "t")
        .node("Unsqueeze", &["heads", "front"], "h")
        .node("Unsqueeze", &["head width", "front"], "d")
        .node("Unsqueeze", &["all heads", "front"], "hd")
        .node_with("Concat", &["b", "t", "h", "d"], "split", along(0))
        .node_with("Concat", &["b", "t", "hd"], "joined", along(0))
        .node_with(
            "Cast",
            &["head width"],
            "wide",
            vec![AttributeProto::from_int("to", 1)],
        )
        .node("Sqrt", &["wide"], "root");
    for (name, seed) in [("query", 1), ("key", 2), ("value", 3)] {
        let order: &[i64] = if name == "key" {
            &[0, 2, 3, 1]
        } else {
            &[0, 2, 1, 3]
        };
        draft = draft
            .weights(&format!("w {name}"), &[8, 8], &noise(64, seed))
            .node(
                "MatMul",
                &["x", &format!("w {name}")],
                &format!("{name} flat"),
            )
            .node(
                "Reshape",
                &[&format!("{name} flat"), "split"],
                &format!("{name} split"),
            )
            .node_with("Transpose", &[&format!("{name} split")], name, turn(order));
    }
    draft
        .node("MatMul", &["query", "key"], "scores")
        .node("Div", &["scores", "root"], "scaled")
        .node_with("Softmax", &["scaled"], "weights", along(-1))
        .node("MatMul", &["weights", "value"], "mixed")
        .node_with("Transpose", &["mixed"], "turned", turn(&[0, 2, 1, 3]))
        .node("Reshape", &["turned", "joined"], "y")
}

/// A weight expanded as `expand(b, -1, -1)` is written: −1 stands for the tensor's own size.
pub fn expanded() -> Draft {
    input(Dim::Fixed(2))
        .weights("token", &[1, 1, 8], &noise(8, 4))
        .integers("own", &[1, 1, 8])
        .integers("rest", &[-1, -1])
        .node("Unsqueeze", &["size zero", "front"], "b")
        .node_with("Concat", &["b", "rest"], "asked", along(0))
        .integers("minus", &[-1, -1, -1])
        .node("Equal", &["asked", "minus"], "is own")
        .node("Where", &["is own", "own", "asked"], "wide")
        .node("Expand", &["token", "wide"], "tokens")
        .node_with("Concat", &["tokens", "x"], "y", along(1))
}

/// Two halves of the last dimension, cut at a size that is computed, and joined the other way round.
pub fn halves() -> Draft {
    input(Dim::Symbolic("time".to_owned()))
        .weights("w", &[8, 8], &noise(64, 5))
        .node("MatMul", &["x", "w"], "flat")
        .node("Div", &["size two", "two"], "half")
        .node("Unsqueeze", &["half", "front"], "middle")
        .node("Unsqueeze", &["size two", "front"], "end")
        .integers("last", &[2])
        .node("Slice", &["flat", "middle", "end", "last"], "second")
        .node("Slice", &["flat", "front", "middle", "last"], "first")
        .node_with("Concat", &["second", "first"], "turned", along(2))
        .node("Mul", &["size one", "two"], "rows")
        .node("Unsqueeze", &["rows", "front"], "long")
        .node("Unsqueeze", &["size zero", "front"], "b")
        .node_with("Concat", &["b", "long", "middle"], "shape of y", along(0))
        .node("Reshape", &["turned", "shape of y"], "y")
}
