//! Golden samples of versions: the object and the input.

use async_graphql::{InputObject, SimpleObject};
use millrace_wire::samples::{Expected, Tolerance};

use super::Long;
use crate::app::samples::NewSamples;

/// Inputs with the outputs that a version has to give: when it is made, and on each machine before it takes traffic there.
#[derive(SimpleObject)]
pub struct Samples {
    /// SHA-256 of the npz file.
    digest: String,
    /// Bytes of the file.
    size: Long,
    /// Where the API serves the file.
    uri: String,
    /// How many samples there are.
    count: Long,
    /// How far from an expected number an answer may lie, as a share of that number.
    relative_tolerance: f64,
    /// How far it may lie on top of that.
    absolute_tolerance: f64,
}

impl From<Expected> for Samples {
    fn from(expected: Expected) -> Self {
        Self {
            uri: format!("/artifacts/{}", expected.digest),
            digest: expected.digest,
            size: expected.size.into(),
            count: expected.count.into(),
            relative_tolerance: expected.tolerance.relative,
            absolute_tolerance: expected.tolerance.absolute,
        }
    }
}

/// Samples that a new version has to answer: |actual − expected| ≤ absoluteTolerance + relativeTolerance × |expected|.
#[derive(InputObject)]
pub struct SamplesInput {
    /// The SHA-256 of an npz file that was uploaded by `PUT /artifacts/{sha256}`: arrays named as the model's inputs and
    /// outputs, with the samples along their first dimension.
    artifact: String,
    /// How far from an expected number an answer may lie, as a share of that number.
    #[graphql(default_with = "Tolerance::default().relative")]
    relative_tolerance: f64,
    /// How far it may lie on top of that, which counts near zero.
    #[graphql(default_with = "Tolerance::default().absolute")]
    absolute_tolerance: f64,
}

impl From<SamplesInput> for NewSamples {
    fn from(input: SamplesInput) -> Self {
        Self {
            digest: input.artifact,
            tolerance: Tolerance {
                relative: input.relative_tolerance,
                absolute: input.absolute_tolerance,
            },
        }
    }
}
