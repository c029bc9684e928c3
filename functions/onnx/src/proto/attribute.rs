//! Attributes of nodes: reading them with their defaults, and making them.

use super::attribute_proto::AttributeType;
use super::{AttributeProto, GraphProto, NodeProto, TensorProto};

impl NodeProto {
    fn attribute_named(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute
            .iter()
            .find(|attribute| attribute.name() == name)
    }

    /// The integer attribute `name`, or `default` where the node leaves it out.
    #[must_use]
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute_named(name)
            .map_or(default, AttributeProto::i)
    }

    /// The integer attribute `name`, where the node has it.
    #[must_use]
    pub fn optional_int(&self, name: &str) -> Option<i64> {
        self.attribute_named(name).map(AttributeProto::i)
    }

    /// The float attribute `name`, or `default` where the node leaves it out.
    #[must_use]
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute_named(name)
            .map_or(default, AttributeProto::f)
    }

    /// The float attribute `name`, where the node has it.
    #[must_use]
    pub fn optional_float(&self, name: &str) -> Option<f32> {
        self.attribute_named(name).map(AttributeProto::f)
    }

    /// The list of integers `name`, where the node has it.
    #[must_use]
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute_named(name)
            .map(|attribute| attribute.ints.as_slice())
    }

    /// The list of floats `name`, where the node has it.
    #[must_use]
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        self.attribute_named(name)
            .map(|attribute| attribute.floats.as_slice())
    }

    /// The text attribute `name`, where the node has it and it is valid UTF-8.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.attribute_named(name)?.s()).ok()
    }

    /// The list of texts `name`, where the node has it and they are valid UTF-8.
    #[must_use]
    pub fn strings(&self, name: &str) -> Option<Vec<&str>> {
        let texts = self.attribute_named(name)?.strings.iter();
        texts.map(|text| std::str::from_utf8(text).ok()).collect()
    }

    /// The tensor attribute `name`, where the node has it.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute_named(name)
            .and_then(|attribute| attribute.t.as_ref())
    }

    /// The graph attribute `name`, where the node has it.
    #[must_use]
    pub fn graph(&self, name: &str) -> Option<&GraphProto> {
        self.attribute_named(name)
            .and_then(|attribute| attribute.g.as_ref())
    }

    /// The node's name, or, where it has none, its first output's: something a person can find in the model.
    #[must_use]
    pub fn label(&self) -> &str {
        match self.name() {
            "" => self
                .output
                .iter()
                .map(String::as_str)
                .find(|name| !name.is_empty())
                .unwrap_or("(unnamed)"),
            name => name,
        }
    }
}

impl AttributeProto {
    fn of(name: &str, kind: AttributeType) -> Self {
        Self {
            name: Some(name.to_owned()),
            r#type: Some(kind.into()),
            ..Self::default()
        }
    }

    /// An integer attribute.
    #[must_use]
    pub fn from_int(name: &str, value: i64) -> Self {
        Self {
            i: Some(value),
            ..Self::of(name, AttributeType::Int)
        }
    }

    /// An attribute that is a list of integers.
    #[must_use]
    pub fn from_ints(name: &str, values: &[i64]) -> Self {
        Self {
            ints: values.to_vec(),
            ..Self::of(name, AttributeType::Ints)
        }
    }

    /// A float attribute.
    #[must_use]
    pub fn from_float(name: &str, value: f32) -> Self {
        Self {
            f: Some(value),
            ..Self::of(name, AttributeType::Float)
        }
    }

    /// An attribute that is a list of floats.
    #[must_use]
    pub fn from_floats(name: &str, values: &[f32]) -> Self {
        Self {
            floats: values.to_vec(),
            ..Self::of(name, AttributeType::Floats)
        }
    }

    /// A text attribute.
    #[must_use]
    pub fn from_string(name: &str, value: &str) -> Self {
        Self {
            s: Some(value.to_owned().into()),
            ..Self::of(name, AttributeType::String)
        }
    }

    /// An attribute that is a list of texts.
    #[must_use]
    pub fn from_strings(name: &str, values: &[&str]) -> Self {
        let texts = values.iter();
        Self {
            strings: texts.map(|text| text.as_bytes().to_vec()).collect(),
            ..Self::of(name, AttributeType::Strings)
        }
    }

    /// A graph attribute.
    #[must_use]
    pub fn from_graph(name: &str, value: GraphProto) -> Self {
        Self {
            g: Some(value),
            ..Self::of(name, AttributeType::Graph)
        }
    }

    /// A tensor attribute.
    #[must_use]
    pub fn from_tensor(name: &str, value: TensorProto) -> Self {
        Self {
            t: Some(value),
            ..Self::of(name, AttributeType::Tensor)
        }
    }
}
