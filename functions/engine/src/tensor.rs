//! Tensors as plain Rust data: a shape, and elements in row-major order.
//!
//! [`Tensor`] owns its elements, [`View`] borrows them. The element types are
//! those that ONNX Runtime and Rust share; there is one list of them, below.

use ort::session::SessionInputValue;
use ort::value::{DynValue, TensorElementType, TensorRef, ValueType};

use crate::Error;

macro_rules! elements {
    ($($(#[$doc:meta])* $name:ident($type:ty) = $ort:ident,)+) => {
        /// The type of a tensor's elements.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Element {
            $($(#[$doc])* $name,)+
        }

        /// Elements that a tensor owns.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Data {
            $($(#[$doc])* $name(Vec<$type>),)+
        }

        /// Elements that somebody else owns.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Slice<'a> {
            $($(#[$doc])* $name(&'a [$type]),)+
        }

        impl Element {
            pub(crate) fn from_ort(found: TensorElementType) -> Option<Self> {
                match found {
                    $(TensorElementType::$ort => Some(Self::$name),)+
                    _ => None,
                }
            }
        }

        impl Data {
            /// The same elements, borrowed.
            #[must_use]
            pub fn as_slice(&self) -> Slice<'_> {
                match self {
                    $(Self::$name(data) => Slice::$name(data),)+
                }
            }
        }

        impl<'a> Slice<'a> {
            /// The type of the elements.
            #[must_use]
            pub fn element(&self) -> Element {
                match self {
                    $(Self::$name(_) => Element::$name,)+
                }
            }

            /// How many elements there are.
            #[must_use]
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$name(data) => data.len(),)+
                }
            }

            /// Whether there is none.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            fn to_data(self) -> Data {
                match self {
                    $(Self::$name(data) => Data::$name(data.to_vec()),)+
                }
            }

            fn to_input(self, shape: &[usize]) -> ort::Result<SessionInputValue<'a>> {
                match self {
                    $(Self::$name(data) => Ok(TensorRef::from_array_view((shape.to_vec(), data))?.into()),)+
                }
            }

            /// Copies the elements into memory of ONNX Runtime's own, which it aligns as its
            /// kernels like it: how a sum is rounded may depend on that.
            pub(crate) fn to_value(self, shape: &[usize]) -> ort::Result<DynValue> {
                let allocator = ort::memory::Allocator::default();
                match self {
                    $(Self::$name(data) => {
                        let mut value = ort::value::Tensor::<$type>::new(&allocator, shape)?;
                        value.extract_tensor_mut().1.copy_from_slice(data);
                        Ok(value.into_dyn())
                    })+
                }
            }
        }

        fn extract(value: &DynValue, element: Element) -> ort::Result<Slice<'_>> {
            match element {
                $(Element::$name => Ok(Slice::$name(value.try_extract_tensor::<$type>()?.1)),)+
            }
        }
    };
}

elements! {
    /// 32-bit floating point.
    F32(f32) = Float32,
    /// 64-bit floating point.
    F64(f64) = Float64,
    /// 8-bit signed integers.
    I8(i8) = Int8,
    /// 16-bit signed integers.
    I16(i16) = Int16,
    /// 32-bit signed integers.
    I32(i32) = Int32,
    /// 64-bit signed integers.
    I64(i64) = Int64,
    /// 8-bit unsigned integers.
    U8(u8) = Uint8,
    /// 16-bit unsigned integers.
    U16(u16) = Uint16,
    /// 32-bit unsigned integers.
    U32(u32) = Uint32,
    /// 64-bit unsigned integers.
    U64(u64) = Uint64,
    /// Truth values.
    Bool(bool) = Bool,
}

/// A tensor that owns its elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The length of each dimension; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub data: Data,
}

impl Tensor {
    /// The same tensor, borrowed.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            shape: self.shape.clone(),
            data: self.data.as_slice(),
        }
    }
}

/// A tensor whose elements somebody else owns.
#[derive(Debug, Clone, PartialEq)]
pub struct View<'a> {
    /// The length of each dimension; empty for a scalar.
    pub shape: Vec<usize>,
    /// The elements in row-major order.
    pub data: Slice<'a>,
}

impl<'a> View<'a> {
    /// A view of `data` as `shape`, which must have as many elements.
    #[must_use]
    pub fn new(shape: impl Into<Vec<usize>>, data: Slice<'a>) -> Self {
        Self {
            shape: shape.into(),
            data,
        }
    }

    /// A copy that owns its elements.
    #[must_use]
    pub fn to_tensor(&self) -> Tensor {
        Tensor {
            shape: self.shape.clone(),
            data: self.data.to_data(),
        }
    }

    /// The elements as 32-bit floating point, where they are.
    #[must_use]
    pub fn as_f32(&self) -> Option<&'a [f32]> {
        match self.data {
            Slice::F32(data) => Some(data),
            _ => None,
        }
    }

    /// The elements as 64-bit integers, where they are.
    #[must_use]
    pub fn as_i64(&self) -> Option<&'a [i64]> {
        match self.data {
            Slice::I64(data) => Some(data),
            _ => None,
        }
    }

    /// Hands the elements to ONNX Runtime where they lie.
    pub(crate) fn to_input(&self, name: &str) -> Result<SessionInputValue<'a>, Error> {
        self.data
            .to_input(&self.shape)
            .map_err(|error| Error::Input {
                name: name.to_owned(),
                reason: error.to_string(),
            })
    }

    /// Reads a value of ONNX Runtime where it lies.
    pub(crate) fn from_value(name: &str, value: &'a DynValue) -> Result<Self, Error> {
        let reject = |reason: String| Error::Output {
            name: name.to_owned(),
            reason,
        };
        let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
            return Err(reject(format!(
                "it is a {}, and only tensors are understood",
                value.dtype()
            )));
        };
        let element = Element::from_ort(*ty)
            .ok_or_else(|| reject(format!("elements of type {ty} are not understood")))?;
        let data = extract(value, element).map_err(|error| reject(error.to_string()))?;
        let shape = shape
            .iter()
            .map(|&length| usize::try_from(length).unwrap_or_default())
            .collect();
        Ok(Self { shape, data })
    }
}

/// A tensor of texts that somebody else owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts<'a> {
    /// The length of each dimension; empty for a scalar.
    pub shape: Vec<usize>,
    /// The texts in row-major order.
    pub texts: Vec<&'a str>,
}

impl Texts<'_> {
    /// Copies the texts into ONNX Runtime, whose texts end at their zero bytes.
    pub(crate) fn to_input(&self, name: &str) -> Result<SessionInputValue<'static>, Error> {
        // ort takes no texts that are borrowed for a while.
        let texts: Vec<String> = self.texts.iter().map(|text| (*text).to_owned()).collect();
        let value = ort::value::Tensor::from_string_array((self.shape.clone(), texts.as_slice()));
        let value = value.map_err(|error| Error::Input {
            name: name.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(value.into())
    }
}
