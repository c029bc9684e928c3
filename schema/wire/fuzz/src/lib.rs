//! What must hold for whatever bytes a record or a file has: a function for each format, which libFuzzer and the tests of
//! the crate call. It gives back whether it was read.
//!
//! Invariant: nothing depends on what was decoded before, so that a finding is the same when it is run alone.

mod avro;
mod image;
mod json;
mod protobuf;
mod raw;
mod record;
mod samples;
mod subject;

pub use self::avro::{avro, avro_schema};
pub use self::image::image;
pub use self::json::json;
pub use self::protobuf::{protobuf, protobuf_schema};
pub use self::raw::{raw, structure};
pub use self::record::record;
pub use self::samples::samples;

/// What one call of a target does with bytes.
pub type Target = fn(&[u8]) -> bool;

/// All targets, by the names of their seeds' folders.
pub const TARGETS: [(&str, Target); 10] = [
    ("avro", avro),
    ("avro_schema", avro_schema),
    ("image", image),
    ("json", json),
    ("protobuf", protobuf),
    ("protobuf_schema", protobuf_schema),
    ("raw", raw),
    ("record", record),
    ("samples", samples),
    ("structure", structure),
];
