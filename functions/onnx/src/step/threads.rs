//! Whether a step gives the same bytes on any number of threads.
//!
//! ONNX Runtime cuts long sums by the share of each thread, in products of matrices, convolutions and reductions, and some of
//! its functions round the last numbers of a share differently. The operators here do neither.

use crate::fast;
use crate::proto::NodeProto;

/// Numbers are moved, compared, or computed by an operation that rounds correctly.
const EXACT: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "BitShift",
    "BitwiseAnd",
    "BitwiseNot",
    "BitwiseOr",
    "BitwiseXor",
    "Cast",
    "CastLike",
    "Ceil",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "DepthToSpace",
    "Div",
    "Equal",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "Greater",
    "GreaterOrEqual",
    "Identity",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Max",
    "MaxPool",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "NonZero",
    "Not",
    "OneHot",
    "Or",
    "PRelu",
    "Pad",
    "Range",
    "Reciprocal",
    "Relu",
    "Reshape",
    "Shape",
    "Sign",
    "Size",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "ThresholdedRelu",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
];

/// Functions and sums that were found to be the same (a test of the engine holds them).
const FOUND: &[&str] = &[
    "Atan",
    "Celu",
    "Cos",
    "CumSum",
    "Elu",
    "Erf",
    "Exp",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LayerNormalization",
    "LogSoftmax",
    "Pow",
    "Selu",
    "Sigmoid",
    "Sin",
    "Softmax",
    "Softsign",
    "Tanh",
];

/// Whether a node gives the same bytes on any number of threads, as far as is known.
pub(super) fn is_same(node: &NodeProto) -> bool {
    let operator = node.op_type();
    match node.domain() {
        "" | "ai.onnx" => EXACT.contains(&operator) || FOUND.contains(&operator),
        domain => domain == fast::DOMAIN,
    }
}
