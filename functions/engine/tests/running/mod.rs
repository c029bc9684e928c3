//! Models run by ONNX Runtime on the tensors of the reference.

use millrace_engine::{Error, Session, SessionOptions, Slice, View};
use millrace_onnx::{ElementType, Model, Tensor, TensorInfo, Values};

use crate::support::Tensors;

/// A model that ONNX Runtime has loaded.
pub struct Program {
    session: Session,
    inputs: Vec<TensorInfo>,
}

/// Runs a model once, as [`Program::run`].
pub fn run<'a>(
    model: &Model,
    inputs: &Tensors,
    outputs: impl Iterator<Item = &'a String>,
) -> Result<Tensors, Error> {
    Program::load(model)?.run(inputs, outputs)
}

impl Program {
    pub fn load(model: &Model) -> Result<Self, Error> {
        Ok(Self {
            session: Session::from_bytes(&model.encode(), &SessionOptions::default())?,
            inputs: model.signature().inputs,
        })
    }

    /// Gives the named outputs, which are float32.
    pub fn run<'a>(
        &mut self,
        inputs: &Tensors,
        outputs: impl Iterator<Item = &'a String>,
    ) -> Result<Tensors, Error> {
        let feeds: Vec<(&str, &Tensor, Feed)> = self
            .inputs
            .iter()
            .map(|info| {
                let tensor = &inputs[&info.name];
                (info.name.as_str(), tensor, Feed::of(tensor, info.element))
            })
            .collect();
        let views: Vec<(&str, View<'_>)> = feeds
            .iter()
            .map(|(name, tensor, feed)| (*name, View::new(tensor.dims(), feed.slice())))
            .collect();
        let results = self.session.run(&views)?;
        outputs
            .map(|name| {
                let view = results.get(name)?;
                let values = match view.data {
                    Slice::F32(values) => values.iter().copied().map(f64::from).collect(),
                    other => panic!("{name} is {:?}", other.element()),
                };
                Ok((name.clone(), Tensor::floats(&view.shape, values)))
            })
            .collect()
    }
}

/// How far numbers are off, in the Euclidean norm.
pub fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| {
        values.map(|value| value * value).sum::<f64>().sqrt()
    };
    let differences = &mut found.iter().zip(expected).map(|(f, e)| f - e);
    norm(differences) / norm(&mut expected.iter().copied()).max(1e-3)
}

/// A tensor of the reference in the type that the model takes.
enum Feed {
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    Narrow(Vec<i32>),
    Booleans(Vec<bool>),
}

impl Feed {
    fn of(tensor: &Tensor, element: ElementType) -> Self {
        match (tensor.values(), element) {
            #[expect(clippy::cast_possible_truncation, reason = "the model takes float32")]
            (Values::Float(values), _) => {
                Self::Floats(values.iter().map(|&value| value as f32).collect())
            }
            #[expect(clippy::cast_possible_truncation, reason = "the model takes int32")]
            (Values::Integer(values), ElementType::Int32) => {
                Self::Narrow(values.iter().map(|&value| value as i32).collect())
            }
            (Values::Integer(values), _) => Self::Integers(values.clone()),
            (Values::Boolean(values), _) => Self::Booleans(values.clone()),
        }
    }

    fn slice(&self) -> Slice<'_> {
        match self {
            Self::Floats(values) => Slice::F32(values),
            Self::Integers(values) => Slice::I64(values),
            Self::Narrow(values) => Slice::I32(values),
            Self::Booleans(values) => Slice::Bool(values),
        }
    }
}
