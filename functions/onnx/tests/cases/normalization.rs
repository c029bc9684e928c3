//! Normalizations, and batch normalization by the statistics of the batch.

use millrace_onnx::proto::AttributeProto;

use super::{Case, hidden, images};
use crate::support::{Draft, noise};

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto::from_int(name, value)
}

fn case(name: &str, opset: i64, record: &[usize], mut draft: Draft) -> Case {
    draft.opset = opset;
    let dims = [&[3], record].concat();
    let name = format!("{name}, operator set {opset}");
    Case::new(&name, draft.result("y"), &[("x", &dims)])
}

/// [`images`] with a scale and a bias of the given dimensions.
fn affine(record: &[usize], dims: &[usize]) -> Draft {
    let count = dims.iter().product();
    images(record)
        .weights("scale", dims, &noise(count, 7))
        .weights("bias", dims, &noise(count, 8))
}

fn layer(record: &[usize], dims: &[usize], attributes: Vec<AttributeProto>) -> Draft {
    affine(record, dims).node_with(
        "LayerNormalization",
        &["h", "scale", "bias"],
        "y",
        attributes,
    )
}

fn groups(opset: i64, scales: usize, record: &[usize]) -> Case {
    let attributes = vec![
        int("num_groups", 2),
        AttributeProto::from_float("epsilon", 0.01),
    ];
    let draft = affine(record, &[scales]).node_with(
        "GroupNormalization",
        &["h", "scale", "bias"],
        "y",
        attributes,
    );
    case("GroupNormalization", opset, record, draft)
}

fn batches(opset: i64, record: &[usize]) -> Case {
    let channels = record[0];
    let draft = affine(record, &[channels])
        .weights("mean", &[channels], &noise(channels, 9))
        .weights("variance", &[channels], &vec![0.5; channels])
        .node_with(
            "BatchNormalization",
            &["h", "scale", "bias", "mean", "variance"],
            "y",
            vec![AttributeProto::from_float("momentum", 0.75)],
        );
    case("BatchNormalization in training", opset, record, draft)
}

/// A batch of rows. A factor of each column before it would change nothing, so the columns are mixed.
fn rows() -> Case {
    let mut draft = hidden()
        .weights("scale", &[3], &noise(3, 7))
        .weights("bias", &[3], &noise(3, 8))
        .weights("mean", &[3], &noise(3, 9))
        .weights("variance", &[3], &[0.5; 3])
        .node(
            "BatchNormalization",
            &["h", "scale", "bias", "mean", "variance"],
            "y",
        )
        .result("y");
    draft.opset = 13;
    Case::new(
        "BatchNormalization of rows in training",
        draft,
        &[("x", &[6, 4])],
    )
}

pub fn cases() -> Vec<Case> {
    let rms = |dims: &[usize], attributes| {
        affine(&[4, 3], dims).node_with("RMSNormalization", &["h", "scale"], "y", attributes)
    };
    let instance = |record: &[usize]| {
        affine(record, &record[..1]).node("InstanceNormalization", &["h", "scale", "bias"], "y")
    };
    let plain = images(&[4, 3]).weights("scale", &[3], &noise(3, 7)).node(
        "LayerNormalization",
        &["h", "scale"],
        "y",
    );
    vec![
        case(
            "LayerNormalization",
            17,
            &[4, 3],
            layer(&[4, 3], &[3], vec![]),
        ),
        case(
            "LayerNormalization of two dimensions",
            21,
            &[4, 3],
            layer(&[4, 3], &[4, 3], vec![int("axis", 1)]),
        ),
        case(
            "LayerNormalization with a scale that is broadcast",
            21,
            &[4, 3],
            layer(
                &[4, 3],
                &[3],
                vec![int("axis", -2), AttributeProto::from_float("epsilon", 0.1)],
            ),
        ),
        case("LayerNormalization without bias", 17, &[4, 3], plain),
        case("RMSNormalization", 23, &[4, 3], rms(&[3], vec![])),
        case(
            "RMSNormalization of two dimensions",
            23,
            &[4, 3],
            rms(&[4, 3], vec![int("axis", 1)]),
        ),
        case("InstanceNormalization", 13, &[2, 4], instance(&[2, 4])),
        case(
            "InstanceNormalization",
            22,
            &[2, 3, 2],
            instance(&[2, 3, 2]),
        ),
        groups(18, 2, &[4, 3]),
        groups(18, 2, &[4, 3, 2]),
        groups(21, 4, &[4, 3]),
        groups(21, 4, &[4, 3, 2]),
        rows(),
        batches(14, &[2, 3, 2]),
        batches(21, &[2, 3]),
    ]
}
