//! Which initializers are no weights although they are float32: numbers that the program held and the exporter wrote down.
//!
//! A weight that is taken for such a number would stay as it is for ever, without a word. So each rule here names what
//! exporters do, and holds for nothing that a weight may be, at its first values either: zeros alone show nothing.

use std::collections::HashMap;

use crate::proto::TensorProto;

/// Who PyTorch's exporters, both of them, say they are.
const PYTORCH: &str = "pytorch";
/// Who scikit-learn's exporter says it is.
const SCIKIT_LEARN: &str = "skl2onnx";
/// Functions of PyTorch that make tensors of nothing, as they name what its newer exporter computes in advance.
const MAKERS: [&str; 13] = [
    "arange",
    "eye",
    "full",
    "full_like",
    "linspace",
    "new_full",
    "new_ones",
    "new_zeros",
    "ones",
    "ones_like",
    "scalar_tensor",
    "zeros",
    "zeros_like",
];
/// What a mask adds to a score that is not to count is less than this.
const MASKED: f32 = -1e3;

/// Why an initializer is no weight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Number {
    /// Numbers that are not finite.
    NotFinite,
    /// Zeros, and much less than zero: what is added to the scores of an attention.
    Mask,
    /// Made by the program.
    Program,
}

/// The float32 initializers that are no weights, by their names.
pub(crate) fn among(initializers: &[TensorProto], producer: &str) -> HashMap<String, Number> {
    let found = initializers.iter().filter_map(|tensor| {
        let values = tensor.to_f32().unwrap_or_default();
        let number = if values.iter().any(|value| !value.is_finite()) {
            Number::NotFinite
        } else if is_mask(&values) {
            Number::Mask
        } else if is_of_program(producer, tensor, &values) {
            Number::Program
        } else {
            return None;
        };
        Some((tensor.name().to_owned(), number))
    });
    found.collect()
}

fn is_of_program(producer: &str, tensor: &TensorProto, values: &[f32]) -> bool {
    match producer {
        PYTORCH => is_number(tensor.name(), &tensor.dims, values),
        SCIKIT_LEARN => is_setting(tensor.name()),
        _ => false,
    }
}

/// Whether the `Constant` nodes of a model are the program's numbers, its weights being initializers.
///
/// PyTorch's exporters write every parameter as an initializer, except for programs that were frozen before: these have none.
pub(crate) fn constants_are_numbers(initializers: &[TensorProto], producer: &str) -> bool {
    let is_weight = |tensor: &TensorProto| {
        !tensor.dims.is_empty() && tensor.element() == crate::ElementType::Float32
    };
    producer == PYTORCH && initializers.iter().any(is_weight)
}

fn is_mask(values: &[f32]) -> bool {
    let is_masked = |value: &f32| *value <= MASKED;
    // Without a zero it may be the intercept of a large quantity.
    values.contains(&0.0)
        && values.iter().any(is_masked)
        && values.iter().all(|value| *value == 0.0 || is_masked(value))
}

/// Whether scikit-learn's exporter wrote a number of its own program, the 1 of 1 − p, or what a `PowerTransformer` was fitted to:
/// its exponents and where they are 0. Other numbers of preprocessing stand in operators of its own domain.
fn is_setting(name: &str) -> bool {
    let stem = name.trim_end_matches(|character: char| character.is_ascii_digit());
    stem == "unity" || stem.ends_with("Powcst") || stem.ends_with("Mulcst")
}

/// Whether PyTorch's newer exporter made a tensor itself: `val_N` with one number throughout, other than zero, or what a
/// function has made of nothing. Under such names it also writes what it has computed of weights, which is a weight: the
/// scale of a group normalization and the slope of a `PReLU`, which begin with one number, get more dimensions by it.
fn is_number(name: &str, dims: &[i64], values: &[f32]) -> bool {
    let without_number = |name: &str| {
        let (before, number) = name.rsplit_once('_')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| before.to_owned())
    };
    let maker = without_number(name).unwrap_or_else(|| name.to_owned());
    let is_one_number = values.split_first().is_some_and(|(first, rest)| {
        *first != 0.0 && rest.iter().all(|value| value.to_bits() == first.to_bits())
    });
    (maker == "val" && dims.len() <= 1 && is_one_number) || MAKERS.contains(&maker.as_str())
}
