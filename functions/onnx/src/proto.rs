//! The ONNX format as Rust types, generated from the vendored `onnx.proto`, with helpers to read and make its messages.
//!
//! The generated types know every field of the format's release, so a model that is decoded and encoded again keeps its
//! content; fields of later releases are lost.

mod attribute;
mod node;
mod tensor;
mod value_info;

pub use self::generated::*;

#[expect(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated code is documented by the ONNX specification"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
}
