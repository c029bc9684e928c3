//! The signature of a model version: names, element types and shapes of its inputs and outputs.

use serde::{Deserialize, Serialize};

/// Inputs and outputs of a model, in the order of its graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// What the model takes.
    pub inputs: Vec<Tensor>,
    /// What it gives.
    pub outputs: Vec<Tensor>,
    /// The names of what it takes or gives that is no tensor, as scikit-learn's maps; nothing where these were not kept yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Vec<String>>,
}

/// One input or output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tensor {
    /// Its name in the graph.
    pub name: String,
    /// The element type by its numpy name (`float32`, `int64`, `string`, …); ONNX's own notation
    /// for what is not a tensor (`seq(map(int64,float32))`).
    #[serde(rename = "type")]
    pub element_type: String,
    /// One entry a dimension.
    pub shape: Vec<Dimension>,
}

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dimension {
    /// Known.
    Fixed(i64),
    /// Free, by a name that ties equal dimensions together.
    Symbolic(String),
    /// Free and unnamed.
    Unknown(()),
}

impl Tensor {
    /// The shape as people write it: `[batch, 64]`.
    #[must_use]
    pub fn shape_text(&self) -> String {
        let dimensions: Vec<String> = self
            .shape
            .iter()
            .map(|dimension| match dimension {
                Dimension::Fixed(size) => size.to_string(),
                Dimension::Symbolic(name) => name.clone(),
                Dimension::Unknown(()) => "?".to_owned(),
            })
            .collect();
        format!("[{}]", dimensions.join(", "))
    }

    /// The number of elements of one row, that is of everything behind the first dimension;
    /// `None` where a dimension behind the first is free.
    #[must_use]
    pub fn row_elements(&self) -> Option<usize> {
        self.shape
            .iter()
            .skip(1)
            .try_fold(1_usize, |product, dimension| match dimension {
                Dimension::Fixed(size) => product.checked_mul(usize::try_from(*size).ok()?),
                Dimension::Symbolic(_) | Dimension::Unknown(()) => None,
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn shapes_are_plain_json() {
        let text = r#"{"name":"x","type":"float32","shape":["batch",null,64]}"#;
        let tensor: Tensor = serde_json::from_str(text).unwrap();
        assert_eq!(tensor.shape_text(), "[batch, ?, 64]");
        assert_eq!(tensor.row_elements(), None);
        assert_eq!(serde_json::to_string(&tensor).unwrap(), text);
    }
}
