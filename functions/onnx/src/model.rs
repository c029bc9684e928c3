//! A model in memory: decoded, encoded, asked for its signature, given trained values.
//!
//! Encoding is deterministic: equal models give equal bytes, and nothing in them depends on the time or the machine.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

use crate::proto::{GraphProto, ModelProto, OperatorSetIdProto, TensorProto};
use crate::{ElementType, Error, Signature, prepare};

/// An ONNX model that has a graph and at least one operator set.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    proto: ModelProto,
}

impl Model {
    /// Reads a model from the bytes of its file. The weights share these bytes.
    ///
    /// # Errors
    /// [`Error::NotOnnx`] where the bytes are not a model, or end too early.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        let proto = ModelProto::decode(bytes.into()).map_err(|error| Error::NotOnnx {
            reason: error.to_string(),
        })?;
        Self::from_proto(proto)
    }

    /// Takes a model from its message.
    ///
    /// # Errors
    /// [`Error::NotOnnx`] without a graph, [`Error::CutShort`] without an operator set.
    pub fn from_proto(proto: ModelProto) -> Result<Self, Error> {
        if proto.graph.is_none() {
            return Err(Error::NotOnnx {
                reason: "it has no graph".to_owned(),
            });
        }
        if proto.opset_import.is_empty() {
            return Err(Error::CutShort {
                reason: "it names no operator set, which files have behind the graph".to_owned(),
            });
        }
        Ok(Self { proto })
    }

    /// The bytes of the model's file.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    /// The model as the format has it.
    #[must_use]
    pub fn proto(&self) -> &ModelProto {
        &self.proto
    }

    pub(crate) fn into_proto(self) -> ModelProto {
        self.proto
    }

    /// The main graph.
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "both constructors refuse a model without a graph"
    )]
    pub fn graph(&self) -> &GraphProto {
        self.proto
            .graph
            .as_ref()
            .expect("a model is only made with a graph")
    }

    /// What the model takes and gives.
    #[must_use]
    pub fn signature(&self) -> Signature {
        Signature::of(self.graph())
    }

    /// The version of the standard operator set that the model is written in; nothing where it imports none.
    #[must_use]
    pub fn opset(&self) -> Option<i64> {
        opset_of(&self.proto.opset_import)
    }

    /// The same model in the form in which it predicts; see [`crate::inference`].
    pub(crate) fn into_inference_form(mut self) -> Result<Self, Error> {
        crate::inference::to_inference_form(&mut self.proto)?;
        Ok(self)
    }

    /// The same model with other values in some of its float32 initializers, and of the `Constant` nodes that train like them.
    ///
    /// All else stays as it is, to the byte, where the model has the form in which it predicts. Else it is brought into
    /// that form: batch normalization by running statistics, each of them an initializer that nothing else uses (functions
    /// that hold some are put in the places where they are called), and dropout that passes everything.
    ///
    /// # Errors
    /// A name that is not a float32 initializer of the model, or a number of values that does not fit it.
    pub fn with_parameters(&self, values: &BTreeMap<String, Vec<f32>>) -> Result<Self, Error> {
        let mut proto = self.clone().into_inference_form()?.into_proto();
        let mut missing: Vec<&String> = values.keys().collect();
        if let Some(graph) = &mut proto.graph {
            prepare::for_each_constant(graph, &mut |name, tensor| match values.get(name) {
                Some(values) if missing.iter().any(|missing| *missing == name) => {
                    missing.retain(|missing| *missing != name);
                    replace(name, tensor, values)
                }
                _ => Ok(()),
            })?;
        }
        match missing.first() {
            None => Ok(Self { proto }),
            Some(name) => Err(Error::request(format!(
                "the model has no initializer '{name}' to put trained values in"
            ))),
        }
    }

    /// The same model, in the form in which it predicts, with an initializer of its name for everything that trains: for
    /// programs that only know how to read and write initializers. `Constant` nodes become initializers, and scikit-learn's
    /// linear models, whose coefficients are attributes, become standard operators.
    ///
    /// # Errors
    /// As [`Model::with_parameters`].
    pub fn with_initializers(&self) -> Result<Self, Error> {
        let mut proto = self.clone().into_inference_form()?.into_proto();
        prepare::write_initializers(&mut proto);
        Ok(Self { proto })
    }
}

/// The version of the standard operator set among those that a model imports.
pub(crate) fn opset_of(imports: &[OperatorSetIdProto]) -> Option<i64> {
    imports
        .iter()
        .find(|import| matches!(import.domain(), "" | "ai.onnx"))
        .map(OperatorSetIdProto::version)
}

fn replace(name: &str, initializer: &mut TensorProto, values: &[f32]) -> Result<(), Error> {
    let count = initializer.count()?;
    let element = initializer.element();
    if element != ElementType::Float32 || values.len() != count {
        return Err(Error::Tensor {
            tensor: name.to_owned(),
            reason: format!(
                "is {element} with {count} elements and cannot take {} float32 values",
                values.len()
            ),
        });
    }
    if initializer.raw_data.is_some() {
        initializer.raw_data = Some(
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        );
    } else {
        initializer.float_data = values.to_vec();
    }
    Ok(())
}
