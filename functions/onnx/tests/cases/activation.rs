//! Activation functions.

use millrace_onnx::proto::AttributeProto;

use super::{Case, X, hidden};

pub fn cases() -> Vec<Case> {
    let plain = [
        ("Relu", 13),
        ("Sigmoid", 13),
        ("Tanh", 13),
        ("LeakyRelu", 13),
        ("Elu", 13),
        ("Selu", 13),
        ("Celu", 13),
        ("HardSigmoid", 13),
        ("HardSwish", 14),
        ("Softplus", 13),
        ("Softsign", 13),
        ("Mish", 18),
        ("Gelu", 20),
        ("Swish", 24),
    ];
    plain
        .into_iter()
        .map(|(operator, opset)| case(operator, operator, opset, Vec::new()))
        .chain(with_attributes())
        .chain(beyond_the_corners())
        .chain(slopes_that_train())
        .collect()
}

fn case(name: &str, operator: &str, opset: i64, attributes: Vec<AttributeProto>) -> Case {
    let draft = hidden().opset(opset);
    let draft = draft.node_with(operator, &["h"], "y", attributes);
    Case::new(name, draft.result("y"), X)
}

fn with_attributes() -> Vec<Case> {
    let parameters = [
        ("LeakyRelu", 16, vec![("alpha", 0.3)]),
        ("Elu", 13, vec![("alpha", 0.7)]),
        ("Selu", 13, vec![("alpha", 1.2), ("gamma", 0.8)]),
        ("Celu", 13, vec![("alpha", 0.6)]),
        ("HardSigmoid", 13, vec![("alpha", 0.4), ("beta", 0.3)]),
        ("ThresholdedRelu", 13, vec![("alpha", 0.1)]),
        ("Swish", 24, vec![("alpha", 1.7)]),
    ];
    let cases = parameters.into_iter().map(|(operator, opset, attributes)| {
        let attributes = attributes
            .into_iter()
            .map(|(name, value)| AttributeProto::from_float(name, value));
        case(
            &format!("{operator} with attributes"),
            operator,
            opset,
            attributes.collect(),
        )
    });
    let approximations = ["none", "tanh"].map(|approximation| {
        let attribute = AttributeProto::from_string("approximate", approximation);
        case(
            &format!("Gelu, approximation {approximation}"),
            "Gelu",
            20,
            vec![attribute],
        )
    });
    cases.chain(approximations).collect()
}

/// Values on both sides of all corners.
fn beyond_the_corners() -> Vec<Case> {
    let operators = [
        ("HardSigmoid", 13),
        ("HardSwish", 14),
        ("ThresholdedRelu", 13),
        ("Softplus", 13),
        ("Gelu", 20),
    ];
    let wide = |(operator, opset)| {
        let draft = hidden()
            .opset(opset)
            .number("six", 6.0)
            .node("Mul", &["h", "six"], "wide")
            .node(operator, &["wide"], "y");
        Case::new(&format!("{operator} of large values"), draft.result("y"), X)
    };
    operators.into_iter().map(wide).collect()
}

fn slopes_that_train() -> Vec<Case> {
    let shapes: [&[usize]; 3] = [&[3], &[1], &[1, 3]];
    let cases = shapes.into_iter().map(|shape| {
        let slopes = &[0.2, -0.3, 0.6][..shape.iter().product()];
        let draft = hidden()
            .weights("slope", shape, slopes)
            .node("PRelu", &["h", "slope"], "y");
        Case::new(&format!("PRelu, slopes {shape:?}"), draft.result("y"), X)
    });
    cases.collect()
}
