//! Convolutions with what often stands behind them, and in forms that make matrices of different shapes.

use millrace_onnx::proto::AttributeProto;

use super::{Case, images};
use crate::support::noise;

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto::from_ints(name, values)
}

/// What is special, the tensor of a record, the weights, the attributes, and what stands behind: operators, and the pool's
/// windows.
type Form<'a> = (
    &'a str,
    &'a [usize],
    &'a [usize],
    Vec<AttributeProto>,
    &'a [&'a str],
    &'a [i64],
);

pub fn cases() -> Vec<Case> {
    let same = || ints("pads", &[1, 1, 1, 1]);
    let relu_and_pool = &["Relu", "MaxPool"];
    let forms: Vec<Form<'_>> = vec![
        ("padded", &[3, 6, 5], &[8, 3, 3, 3], vec![same()], &[], &[]),
        (
            "with a ReLU",
            &[3, 6, 5],
            &[5, 3, 3, 3],
            vec![same()],
            &["Relu"],
            &[],
        ),
        (
            "with a ReLU and a pool",
            &[2, 6, 8],
            &[4, 2, 3, 3],
            vec![same()],
            relu_and_pool,
            &[2, 2],
        ),
        (
            "with a pool that leaves elements over",
            &[2, 7, 5],
            &[4, 2, 3, 3],
            vec![same()],
            relu_and_pool,
            &[2, 2],
        ),
        (
            "with a pool of other windows",
            &[1, 8, 9],
            &[4, 1, 3, 3],
            vec![],
            &["MaxPool"],
            &[3, 2],
        ),
        (
            "grouped, dilated and with a stride, with a ReLU and a pool",
            &[4, 11, 10],
            &[8, 2, 2, 3],
            vec![
                AttributeProto::from_int("group", 2),
                ints("dilations", &[2, 1]),
                ints("strides", &[1, 2]),
                ints("pads", &[0, 2, 1, 1]),
            ],
            relu_and_pool,
            &[2, 2],
        ),
        (
            "with a stride, with a ReLU",
            &[2, 7, 6],
            &[4, 2, 3, 3],
            vec![ints("strides", &[2, 2])],
            &["Relu"],
            &[],
        ),
        (
            "of many channels, with a ReLU and a pool",
            &[20, 4, 5],
            &[11, 20, 3, 3],
            vec![same()],
            relu_and_pool,
            &[2, 2],
        ),
        (
            "with large windows, with a ReLU and a pool",
            &[3, 7, 6],
            &[5, 3, 5, 4],
            vec![],
            relu_and_pool,
            &[2, 2],
        ),
        (
            "dilated across, with a ReLU and a pool",
            &[18, 4, 6],
            &[4, 18, 2, 2],
            vec![ints("dilations", &[1, 2])],
            relu_and_pool,
            &[2, 2],
        ),
        (
            "in one dimension, with a ReLU and a pool",
            &[3, 9],
            &[4, 3, 3],
            vec![ints("pads", &[1, 1])],
            relu_and_pool,
            &[2],
        ),
    ];
    forms.into_iter().map(case).collect()
}

fn case((name, record, weights, attributes, behind, windows): Form<'_>) -> Case {
    let mut draft = images(record)
        .weights("w", weights, &noise(weights.iter().product(), 5))
        .weights("b", &weights[..1], &noise(weights[0], 6))
        .node_with("Conv", &["h", "w", "b"], "made", attributes);
    let mut last = "made";
    for operator in behind {
        let attributes = match *operator {
            "MaxPool" => vec![ints("kernel_shape", windows), ints("strides", windows)],
            _ => vec![],
        };
        draft = draft.node_with(operator, &[last], operator, attributes);
        last = operator;
    }
    // Whoever looks behind the block sees it as one.
    let draft = draft.node("Neg", &[last], "y").result("y");
    let dims = [&[3], record].concat();
    Case::new(&format!("Conv block, {name}"), draft, &[("x", &dims)])
}
