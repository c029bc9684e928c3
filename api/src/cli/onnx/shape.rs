//! The option `--shape`: the shape of a record, where a model leaves sizes open.

use std::str::FromStr;

use anyhow::{Error, Result, bail};
use clap::Args;
use millrace_onnx::Signature;

#[derive(Debug, Args)]
pub(super) struct ShapeArguments {
    /// The shape of a record in an input whose dimensions behind the batch are open, as 3x224x224; INPUT= may be left out where
    /// there is one input, and the option is repeated for several
    #[arg(long = "shape", value_name = "[INPUT=]SIZES")]
    shapes: Vec<Shape>,
}

#[derive(Debug, Clone, Eq, PartialEq)]
struct Shape {
    input: Option<String>,
    sizes: Vec<usize>,
}

impl FromStr for Shape {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (input, sizes) = match text.rsplit_once('=') {
            Some((input, sizes)) => (Some(input.to_owned()), sizes),
            None => (None, text),
        };
        let numbers: Result<Vec<usize>, _> = sizes.split('x').map(str::parse).collect();
        match numbers {
            Ok(sizes) if !sizes.contains(&0) => Ok(Self { input, sizes }),
            _ => bail!("{sizes:?} is no shape: write sizes as in 3x224x224, without the batch"),
        }
    }
}

impl ShapeArguments {
    /// The shapes by the inputs of a model.
    pub(super) fn of(&self, signature: &Signature) -> Result<Vec<(String, Vec<usize>)>> {
        let input = |shape: &Shape| match (&shape.input, signature.inputs.as_slice()) {
            (Some(input), _) => Ok(input.clone()),
            (None, [only]) => Ok(only.name.clone()),
            (None, several) => {
                let names = several.iter().map(|input| input.name.as_str());
                bail!(
                    "the model has several inputs: say --shape INPUT=SIZES with one of {}",
                    names.collect::<Vec<_>>().join(", ")
                )
            }
        };
        let shapes = self.shapes.iter();
        shapes
            .map(|shape| Ok((input(shape)?, shape.sizes.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_shape_may_name_its_input_whose_name_may_hold_anything() {
        let shape = |text: &str| text.parse::<Shape>().unwrap();
        let expected = |input: Option<&str>, sizes: &[usize]| Shape {
            input: input.map(str::to_owned),
            sizes: sizes.to_vec(),
        };
        assert_eq!(shape("3x8"), expected(None, &[3, 8]));
        assert_eq!(shape("x=5"), expected(Some("x"), &[5]));
        assert_eq!(shape("a=b:0=5x6"), expected(Some("a=b:0"), &[5, 6]));
        for text in ["", "x=", "3x", "3x0", "-1", "x=3,4"] {
            let refused = text.parse::<Shape>().unwrap_err().to_string();
            assert!(refused.contains("is no shape"), "{text}: {refused}");
        }
    }
}
