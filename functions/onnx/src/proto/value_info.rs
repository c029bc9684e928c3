//! Descriptions of a graph's inputs and outputs, made from and read as [`TensorInfo`].

use super::tensor_shape_proto::{Dimension, dimension};
use super::{TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use crate::{Dim, ElementType, TensorInfo};

impl ValueInfoProto {
    /// The description of a tensor.
    #[must_use]
    pub fn from_info(info: &TensorInfo) -> Self {
        let shape = info.dims.as_ref().map(|dims| TensorShapeProto {
            dim: dims.iter().map(Dimension::from_dim).collect(),
        });
        let tensor = type_proto::Tensor {
            elem_type: Some(info.element.code()),
            shape,
        };
        Self {
            name: Some(info.name.clone()),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(tensor)),
                ..TypeProto::default()
            }),
            ..Self::default()
        }
    }

    /// What it says of a tensor; nothing where it describes a sequence, a map or another type.
    #[must_use]
    pub fn to_info(&self) -> Option<TensorInfo> {
        let Some(type_proto::Value::TensorType(tensor)) = self.r#type.as_ref()?.value.as_ref()
        else {
            return None;
        };
        let dims = tensor
            .shape
            .as_ref()
            .map(|shape| shape.dim.iter().map(Dimension::to_dim).collect());
        Some(TensorInfo {
            name: self.name().to_owned(),
            element: ElementType::from_code(tensor.elem_type()),
            dims,
        })
    }
}

impl Dimension {
    fn from_dim(dim: &Dim) -> Self {
        let value = match dim {
            Dim::Fixed(size) => Some(dimension::Value::DimValue(*size)),
            Dim::Symbolic(name) => Some(dimension::Value::DimParam(name.clone())),
            Dim::Unknown => None,
        };
        Self {
            value,
            ..Self::default()
        }
    }

    fn to_dim(&self) -> Dim {
        match &self.value {
            // Some exporters write -1 (and 0) for "any size".
            Some(dimension::Value::DimValue(size)) if *size > 0 => Dim::Fixed(*size),
            Some(dimension::Value::DimParam(name)) if !name.is_empty() => {
                Dim::Symbolic(name.clone())
            }
            _ => Dim::Unknown,
        }
    }
}
