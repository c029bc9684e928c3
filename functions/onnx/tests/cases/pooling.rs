//! Pools.

use millrace_onnx::proto::AttributeProto;

use super::{Case, images};

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto::from_ints(name, values)
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto::from_int(name, value)
}

fn same(how: &str) -> AttributeProto {
    AttributeProto::from_string("auto_pad", how)
}

fn case(
    operator: &str,
    name: &str,
    opset: i64,
    input: &[usize],
    attributes: Vec<AttributeProto>,
) -> Case {
    let mut draft = images(input)
        .node_with(operator, &["h"], "y", attributes)
        .result("y");
    draft.opset = opset;
    let dims = [&[2], input].concat();
    Case::new(
        &format!("{operator}, {name}, operator set {opset}"),
        draft,
        &[("x", &dims)],
    )
}

/// Windows that all three operators know in operator set 13.
fn windows() -> Vec<(&'static str, &'static [usize], Vec<AttributeProto>)> {
    let kernel = |taps: &[i64]| ints("kernel_shape", taps);
    vec![
        (
            "side by side",
            &[2, 4, 6],
            vec![kernel(&[2, 3]), ints("strides", &[2, 3])],
        ),
        ("the whole channel", &[2, 3, 4], vec![kernel(&[3, 4])]),
        (
            "overlapping",
            &[2, 5, 5],
            vec![kernel(&[3, 2]), ints("strides", &[2, 1])],
        ),
        (
            "padded, with elements left over",
            &[2, 6, 5],
            vec![
                kernel(&[2, 3]),
                ints("strides", &[3, 2]),
                ints("pads", &[1, 1, 0, 1]),
            ],
        ),
        (
            "SAME_UPPER",
            &[1, 5, 4],
            vec![
                kernel(&[3, 2]),
                ints("strides", &[2, 1]),
                same("SAME_UPPER"),
            ],
        ),
        (
            "SAME_LOWER",
            &[1, 5, 4],
            vec![
                kernel(&[2, 2]),
                ints("strides", &[2, 1]),
                same("SAME_LOWER"),
            ],
        ),
        (
            "VALID",
            &[1, 5, 5],
            vec![kernel(&[2, 2]), ints("strides", &[2, 2]), same("VALID")],
        ),
        (
            "in one dimension",
            &[2, 7],
            vec![kernel(&[3]), ints("strides", &[2]), ints("pads", &[1, 0])],
        ),
        (
            "in three dimensions",
            &[1, 3, 4, 2],
            vec![kernel(&[2, 3, 2]), ints("strides", &[1, 1, 2])],
        ),
    ]
}

/// Rounding up, dilation and both, with the operator set from which an operator knows them.
fn rounding() -> Vec<(&'static str, &'static [usize], Vec<AttributeProto>)> {
    let kernel = |taps: &[i64]| ints("kernel_shape", taps);
    vec![
        (
            "rounding up",
            &[1, 6, 5],
            vec![
                kernel(&[3, 2]),
                ints("strides", &[2, 2]),
                int("ceil_mode", 1),
            ],
        ),
        (
            "rounding up behind padding",
            &[1, 5, 6],
            vec![
                kernel(&[3, 3]),
                ints("strides", &[2, 2]),
                ints("pads", &[1, 1, 1, 0]),
                int("ceil_mode", 1),
            ],
        ),
        (
            "a window that would begin in the padding",
            &[1, 5],
            vec![
                kernel(&[2]),
                ints("strides", &[3]),
                ints("pads", &[0, 1]),
                int("ceil_mode", 1),
            ],
        ),
        (
            "dilated",
            &[1, 6, 5],
            vec![kernel(&[3, 2]), ints("dilations", &[2, 3])],
        ),
        (
            "dilated, rounding up",
            &[1, 7, 6],
            vec![
                kernel(&[2, 2]),
                ints("strides", &[2, 3]),
                ints("dilations", &[2, 1]),
                ints("pads", &[1, 0, 1, 1]),
                int("ceil_mode", 1),
            ],
        ),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for operator in ["MaxPool", "AveragePool", "LpPool"] {
        for (name, input, attributes) in windows() {
            for opset in [13, 22] {
                cases.push(case(operator, name, opset, input, attributes.clone()));
            }
        }
        for (name, input, attributes) in rounding() {
            cases.push(case(operator, name, 22, input, attributes));
        }
    }
    for (name, input, mut attributes) in windows().into_iter().chain(rounding()) {
        attributes.push(int("count_include_pad", 1));
        let name = format!("{name}, counting the padding");
        cases.push(case("AveragePool", &name, 22, input, attributes));
    }
    for power in [1, 3] {
        for (name, input, mut attributes) in windows() {
            attributes.push(int("p", power));
            let name = format!("{name}, p = {power}");
            cases.push(case("LpPool", &name, 18, input, attributes));
        }
        let name = format!("p = {power}");
        let attributes = vec![int("p", power)];
        cases.push(case("GlobalLpPool", &name, 21, &[2, 3, 2], attributes));
    }
    for operator in ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"] {
        for input in [&[2, 4][..], &[2, 3, 2], &[1, 2, 3, 2]] {
            let name = format!("{} dimensions", input.len() - 1);
            cases.push(case(operator, &name, 13, input, vec![]));
        }
    }
    cases
}
