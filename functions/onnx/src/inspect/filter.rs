//! What of a model's file is kept: everything but the values of tensors and the notes of programs.
//!
//! The fields that are kept come out as they went in, so that they decode as a model; the messages around what is dropped
//! get shorter. Of a tensor small values stay, since shapes are made of them.

use std::io::{Read, Seek};

use prost::Message;
use prost::encoding::encode_varint;

use super::source::{Fault, Field, Source, Value};
use crate::Error;
use crate::proto::{ModelProto, TensorProto};

/// The bound on what is kept.
const MOST_BYTES: usize = 64 << 20;
/// Graphs within graphs beyond this depth are no model.
const MOST_DEPTH: usize = 60;
/// Values of tensors that are kept: a shape has a few numbers.
const MOST_VALUE_BYTES: u64 = 1 << 10;

/// The messages that are looked into; their fields' numbers are those of `onnx.proto`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    SparseTensor,
    Function,
}

/// What becomes of a field.
enum Use {
    Keep,
    Drop,
    Enter(Part),
    /// Values of a tensor.
    Values,
}

impl Part {
    fn field(self, number: u64) -> Use {
        match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Use::Enter(Self::Graph),
            (Self::Model, 25) => Use::Enter(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Use::Enter(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => {
                Use::Enter(Self::Tensor)
            }
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Use::Enter(Self::SparseTensor),
            (Self::Node, 5) | (Self::Function, 11) => Use::Enter(Self::Attribute),
            (Self::Tensor, 4 | 5 | 6 | 7 | 9 | 10 | 11) => Use::Values,
            (Self::Model, 6 | 14 | 20)
            | (Self::Graph, 10 | 14 | 16)
            | (Self::Node, 6 | 9 | 10)
            | (Self::Attribute, 13)
            | (Self::Tensor, 12 | 16)
            | (Self::Function, 8 | 14) => Use::Drop,
            _ => Use::Keep,
        }
    }
}

/// The model in a file, without the values of its tensors.
pub(super) fn structure<R: Read + Seek>(reader: R) -> Result<ModelProto, Error> {
    let source = Source::new(reader)?;
    let mut filter = Filter {
        source,
        kept: 0,
        has_version: false,
        has_graph: false,
    };
    let end = filter.source.len();
    let found = filter.message(Part::Model, end, 0);
    match found {
        Err(Fault::Refused(error)) => Err(error),
        Err(Fault::Malformed(reason) | Fault::Ended(reason)) if !filter.has_version => {
            Err(Error::NotOnnx { reason })
        }
        Err(Fault::Ended(reason)) => Err(Error::CutShort { reason }),
        Err(Fault::Malformed(reason)) => Err(Error::Invalid { reason }),
        Ok(_) if !filter.has_version => Err(Error::NotOnnx {
            reason: "it does not begin with a version of the format".to_owned(),
        }),
        Ok(_) if !filter.has_graph => Err(Error::CutShort {
            reason: "it ends before its graph".to_owned(),
        }),
        Ok(bytes) => ModelProto::decode(bytes.as_slice()).map_err(|error| Error::Invalid {
            reason: error.to_string(),
        }),
    }
}

struct Filter<R> {
    source: Source<R>,
    /// How many bytes are kept so far.
    kept: usize,
    has_version: bool,
    has_graph: bool,
}

impl<R: Read + Seek> Filter<R> {
    /// What is kept of a message that ends at `end`.
    fn message(&mut self, part: Part, end: u64, depth: usize) -> Result<Vec<u8>, Fault> {
        if depth > MOST_DEPTH {
            return Err(Fault::Malformed(format!(
                "graphs lie in graphs more than {MOST_DEPTH} deep"
            )));
        }
        let mut kept = Vec::new();
        let mut raw_bytes = None;
        while self.source.position() < end {
            let Field { number, value } = self.source.field(end)?;
            if part == Part::Model {
                self.has_version |= number == 1 && matches!(value, Value::Varint(_));
                self.has_graph |= number == 7;
            }
            match (part.field(number), value) {
                (Use::Enter(inner), Value::Bytes(length)) => {
                    let inner_end = self.source.position() + length;
                    let inner = self.message(inner, inner_end, depth + 1)?;
                    append(&mut kept, number, &inner);
                }
                (Use::Keep, Value::Bytes(length)) => self.keep(&mut kept, number, length, end)?,
                (Use::Values, Value::Bytes(length)) => {
                    if number == 9 {
                        raw_bytes = Some(length);
                    }
                    if length <= MOST_VALUE_BYTES {
                        self.keep(&mut kept, number, length, end)?;
                    } else {
                        self.source.skip(length)?;
                    }
                }
                (Use::Drop, Value::Bytes(length)) => self.source.skip(length)?,
                (Use::Keep | Use::Enter(_), value) => {
                    self.keep_number(&mut kept, number, &value)?;
                }
                (Use::Drop | Use::Values, _) => {}
            }
        }
        if part == Part::Tensor {
            check_tensor(&kept, raw_bytes)?;
        }
        Ok(kept)
    }

    fn keep(
        &mut self,
        kept: &mut Vec<u8>,
        number: u64,
        length: u64,
        end: u64,
    ) -> Result<(), Fault> {
        self.count(length)?;
        let bytes = self.source.bytes(length, end)?;
        append(kept, number, &bytes);
        Ok(())
    }

    fn keep_number(&mut self, kept: &mut Vec<u8>, number: u64, value: &Value) -> Result<(), Fault> {
        self.count(0)?;
        match value {
            Value::Varint(value) => {
                encode_varint(number << 3, kept);
                encode_varint(*value, kept);
            }
            Value::Fixed(bytes) => {
                encode_varint(number << 3 | if bytes.len() == 8 { 1 } else { 5 }, kept);
                kept.extend_from_slice(bytes);
            }
            Value::Bytes(_) => {}
        }
        Ok(())
    }

    /// Each field also takes room for itself.
    fn count(&mut self, length: u64) -> Result<(), Fault> {
        const FIELD_BYTES: usize = 16;
        self.kept = self
            .kept
            .saturating_add(length as usize)
            .saturating_add(FIELD_BYTES);
        if self.kept <= MOST_BYTES {
            return Ok(());
        }
        Err(Fault::Refused(Error::TooLarge {
            reason: format!(
                "its structure, without the weights, takes more than {} MiB",
                MOST_BYTES >> 20
            ),
        }))
    }
}

fn append(kept: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    encode_varint(number << 3 | 2, kept);
    encode_varint(bytes.len() as u64, kept);
    kept.extend_from_slice(bytes);
}

/// Holds a tensor's size against its dimensions, and refuses values in other files.
fn check_tensor(header: &[u8], raw_bytes: Option<u64>) -> Result<(), Fault> {
    let tensor =
        TensorProto::decode(header).map_err(|error| Fault::Malformed(error.to_string()))?;
    if tensor.is_external() {
        return Err(Fault::Refused(Error::ExternalData {
            tensor: tensor.name().to_owned(),
            location: tensor.external("location").unwrap_or_default().to_owned(),
        }));
    }
    let count = tensor.count().map_err(Fault::Refused)?;
    let expected = tensor
        .element()
        .bytes()
        .and_then(|bytes| bytes.checked_mul(count));
    match raw_bytes.zip(expected) {
        Some((found, expected)) if found != expected as u64 => Err(Fault::Refused(Error::Tensor {
            tensor: tensor.name().to_owned(),
            reason: format!("holds {found} bytes where its dimensions say {expected}"),
        })),
        _ => Ok(()),
    }
}
