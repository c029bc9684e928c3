//! Whether things fit each other: a model and a record format.

use millrace_wire::record::RecordFormat;
use millrace_wire::signature::{Dimension, Signature};

use super::{Code, Error, Result};

/// Checks that a model can be fed with records of a format: one float32 input whose first
/// dimension is the batch, and as many elements behind it as a record has.
///
/// # Errors
/// `INCOMPATIBLE`, naming both shapes.
pub fn check(signature: &Signature, format: &RecordFormat) -> Result<()> {
    let [input] = signature.inputs.as_slice() else {
        return Err(incompatible(format!(
            "the model has {} inputs, records of this datasource fill one",
            signature.inputs.len()
        )));
    };
    let record = shape_text(format.shape());
    let model = format!("{} {}", input.element_type, input.shape_text());
    if input.element_type != "float32" {
        return Err(incompatible(format!(
            "the model's input {} is {model}; records are decoded to float32 {record}",
            input.name
        )));
    }
    let Some((batch, rest)) = input.shape.split_first() else {
        return Err(incompatible(format!(
            "the model's input {} is {model}, without a batch dimension; records have the shape {record}",
            input.name
        )));
    };
    if let Dimension::Fixed(size) = batch {
        return Err(incompatible(format!(
            "the model's input {} is {model}: it takes exactly {size} records at once; export it with a dynamic batch dimension",
            input.name
        )));
    }
    let fixed: Option<Vec<i64>> = rest
        .iter()
        .map(|dimension| match dimension {
            Dimension::Fixed(size) => Some(*size),
            Dimension::Symbolic(_) | Dimension::Unknown(()) => None,
        })
        .collect();
    let fits = match fixed {
        // The order of elements is the same, so [64] and [1, 8, 8] hold the same record.
        Some(sizes) => usize::try_from(sizes.iter().product::<i64>()) == Ok(format.elements()),
        None => rest.len() == format.shape().len(),
    };
    if fits {
        return Ok(());
    }
    Err(incompatible(format!(
        "the model's input {} is {model}, but a record has the shape {record}",
        input.name
    )))
}

fn incompatible(message: String) -> Error {
    Error::new(Code::Incompatible, message)
}

fn shape_text(shape: &[u32]) -> String {
    let sizes: Vec<String> = shape.iter().map(u32::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_wire::record::{ByteOrder, Dtype, RawArray};
    use serde_json::json;

    use super::*;

    fn signature(shape: &serde_json::Value) -> Signature {
        let input = json!({"name": "x", "type": "float32", "shape": shape});
        serde_json::from_value(json!({"inputs": [input], "outputs": []})).unwrap()
    }

    fn format(shape: &[u32]) -> RecordFormat {
        RecordFormat::Raw(RawArray {
            dtype: Dtype::Uint8,
            shape: shape.to_vec(),
            byte_order: ByteOrder::Little,
        })
    }

    #[test]
    fn shapes_must_fit() {
        check(&signature(&json!(["n", 64])), &format(&[64])).unwrap();
        check(&signature(&json!([null, 1, 8, 8])), &format(&[64])).unwrap();
        check(&signature(&json!([null, null, 4])), &format(&[3, 4])).unwrap();
        let error = check(&signature(&json!(["n", 64])), &format(&[63])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model's input x is float32 [n, 64], but a record has the shape [63]"
        );
        assert!(check(&signature(&json!([32, 64])), &format(&[64])).is_err());
        assert!(check(&signature(&json!([])), &format(&[1])).is_err());
    }
}
