//! Models whose weights stand in files beside them, made self-contained.

use std::io::Write;
use std::path::Path;

use crate::Error;

/// Reads the model at `path` with the data files beside it, and writes it as one self-contained file. Gives its size.
///
/// Weights are streamed; a model without external data comes out as it is.
///
/// # Errors
/// [`Error::ExternalFile`] where a data file is missing, too short, or outside the model's folder; [`Error::TooLarge`]
/// where the result would exceed the format's 2 GiB; else as [`Model::decode`](crate::Model::decode).
pub fn embed(_path: &Path, _output: impl Write) -> Result<u64, Error> {
    Err(Error::request("embedding follows"))
}
