//! Convolutions.

use millrace_onnx::proto::AttributeProto;

use super::{Case, images};
use crate::support::noise;

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto::from_ints(name, values)
}

fn group(count: i64) -> AttributeProto {
    AttributeProto::from_int("group", count)
}

fn auto_pad(how: &str) -> AttributeProto {
    AttributeProto::from_string("auto_pad", how)
}

/// A form of an operator: what is special, channels and sizes of the tensor, dimensions of the weights, attributes.
type Form<'a> = (&'a str, &'a [usize], &'a [usize], Vec<AttributeProto>);

/// The tensor, the weights and a bias all train.
fn case(operator: &str, opset: i64, (name, input, weights, attributes): Form<'_>) -> Case {
    let transposed = operator == "ConvTranspose";
    let groups = attributes
        .iter()
        .find(|attribute| attribute.name() == "group")
        .map_or(1, |attribute| usize::try_from(attribute.i()).unwrap());
    let outputs = if transposed {
        weights[1] * groups
    } else {
        weights[0]
    };
    let mut draft = images(input)
        .weights("w", weights, &noise(weights.iter().product(), 5))
        .weights("b", &[outputs], &noise(outputs, 6))
        .node_with(operator, &["h", "w", "b"], "y", attributes)
        .result("y");
    draft.opset = opset;
    let dims = [&[2], input].concat();
    Case::new(
        &format!("{operator}, {name}, operator set {opset}"),
        draft,
        &[("x", &dims)],
    )
}

fn forward() -> Vec<Form<'static>> {
    vec![
        ("plain", &[2, 5, 6], &[3, 2, 3, 3], vec![]),
        (
            "padded",
            &[2, 4, 5],
            &[3, 2, 3, 3],
            vec![ints("pads", &[1, 1, 1, 1])],
        ),
        (
            "padded unevenly, with elements left over",
            &[2, 6, 6],
            &[2, 2, 2, 3],
            vec![ints("pads", &[0, 1, 1, 0]), ints("strides", &[3, 2])],
        ),
        ("one tap", &[3, 3, 2], &[2, 3, 1, 1], vec![]),
        (
            "one tap and a stride",
            &[3, 4, 5],
            &[2, 3, 1, 1],
            vec![ints("strides", &[2, 2])],
        ),
        (
            "dilated with a stride",
            &[2, 7, 6],
            &[2, 2, 3, 2],
            vec![
                ints("dilations", &[2, 3]),
                ints("strides", &[2, 1]),
                ints("pads", &[1, 0, 1, 0]),
            ],
        ),
        ("two groups", &[4, 4, 4], &[6, 2, 3, 3], vec![group(2)]),
        (
            "depthwise",
            &[3, 4, 5],
            &[3, 1, 3, 3],
            vec![group(3), ints("pads", &[1, 1, 1, 1])],
        ),
        (
            "depthwise with a multiplier",
            &[2, 4, 4],
            &[4, 1, 2, 2],
            vec![group(2), ints("strides", &[2, 2])],
        ),
        (
            "SAME_UPPER",
            &[1, 5, 6],
            &[2, 1, 3, 2],
            vec![auto_pad("SAME_UPPER"), ints("strides", &[2, 1])],
        ),
        (
            "SAME_LOWER",
            &[1, 5, 6],
            &[2, 1, 2, 4],
            vec![auto_pad("SAME_LOWER"), ints("strides", &[1, 3])],
        ),
        (
            "VALID",
            &[1, 5, 6],
            &[2, 1, 3, 3],
            vec![auto_pad("VALID"), ints("strides", &[2, 2])],
        ),
        (
            "many taps",
            &[2, 8, 9],
            &[2, 2, 6, 6],
            vec![ints("pads", &[2, 1, 2, 1]), ints("strides", &[2, 3])],
        ),
        (
            "many taps in groups, dilated",
            &[4, 14, 7],
            &[2, 2, 6, 6],
            vec![
                group(2),
                ints("dilations", &[2, 1]),
                ints("pads", &[0, 0, 1, 1]),
            ],
        ),
        (
            "in one dimension",
            &[2, 9],
            &[3, 2, 3],
            vec![
                ints("strides", &[2]),
                ints("pads", &[2, 1]),
                ints("dilations", &[2]),
            ],
        ),
        (
            "in three dimensions",
            &[2, 3, 4, 3],
            &[2, 2, 2, 3, 2],
            vec![
                ints("strides", &[1, 2, 1]),
                ints("pads", &[0, 1, 1, 1, 0, 0]),
            ],
        ),
    ]
}

fn transposed() -> Vec<Form<'static>> {
    vec![
        ("plain", &[2, 3, 3], &[2, 3, 3, 2], vec![]),
        (
            "stride and padding",
            &[2, 3, 4],
            &[2, 2, 3, 3],
            vec![ints("strides", &[2, 2]), ints("pads", &[1, 0, 1, 1])],
        ),
        (
            "output_padding",
            &[2, 3, 3],
            &[2, 2, 3, 3],
            vec![
                ints("strides", &[2, 3]),
                ints("pads", &[1, 1, 1, 1]),
                ints("output_padding", &[1, 2]),
            ],
        ),
        (
            "dilated, in groups",
            &[4, 3, 3],
            &[4, 1, 2, 3],
            vec![
                group(2),
                ints("dilations", &[2, 1]),
                ints("strides", &[1, 2]),
            ],
        ),
        (
            "output_shape",
            &[2, 3, 3],
            &[2, 2, 3, 3],
            vec![ints("strides", &[3, 2]), ints("output_shape", &[8, 6])],
        ),
        (
            "SAME_UPPER",
            &[1, 3, 4],
            &[1, 2, 3, 4],
            vec![auto_pad("SAME_UPPER"), ints("strides", &[2, 1])],
        ),
        (
            "SAME_LOWER",
            &[1, 3, 4],
            &[1, 2, 4, 3],
            vec![auto_pad("SAME_LOWER"), ints("strides", &[1, 2])],
        ),
        (
            "many taps",
            &[2, 3, 2],
            &[2, 2, 6, 6],
            vec![ints("strides", &[2, 1]), ints("pads", &[1, 2, 0, 1])],
        ),
        (
            "in one dimension",
            &[2, 5],
            &[2, 3, 4],
            vec![ints("strides", &[2]), ints("pads", &[1, 1])],
        ),
        (
            "in three dimensions",
            &[2, 2, 3, 2],
            &[2, 2, 2, 2, 3],
            vec![
                ints("strides", &[2, 1, 2]),
                ints("pads", &[0, 1, 0, 1, 0, 1]),
            ],
        ),
    ]
}

pub fn cases() -> Vec<Case> {
    let forward = [13, 22].into_iter().flat_map(|opset| {
        forward()
            .into_iter()
            .map(move |form| case("Conv", opset, form))
    });
    let transposed = [13, 22].into_iter().flat_map(|opset| {
        transposed()
            .into_iter()
            .map(move |form| case("ConvTranspose", opset, form))
    });
    forward
        .chain(transposed)
        .chain([computed_weights()])
        .collect()
}

/// Weights that another node makes, and no bias.
fn computed_weights() -> Case {
    let turn = vec![AttributeProto::from_ints("perm", &[3, 2, 0, 1])];
    let draft = images(&[2, 4, 4])
        .weights("w", &[3, 3, 2, 2], &noise(36, 5))
        .node_with("Transpose", &["w"], "turned", turn)
        .node("Conv", &["h", "turned"], "y")
        .result("y");
    Case::new("Conv, weights turned", draft, &[("x", &[2, 2, 4, 4])])
}
