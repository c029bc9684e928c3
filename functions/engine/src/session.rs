//! A model that is ready to run.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use ort::logging::LogLevel;
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{DynValue, Outlet, TensorElementType, ValueType};

use crate::flush::FlushToZero;
use crate::kernels;
use crate::library::environment;
use crate::{Element, Error, Texts, View};

/// How a session calculates.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Threads that share one operator's work. The results don't depend on it.
    pub threads: usize,
    /// Takes denormal numbers for zero: much faster where they are frequent, as
    /// in long trainings, but no longer what the model's other users calculate.
    pub flush_to_zero: bool,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            flush_to_zero: false,
        }
    }
}

/// An input or an output of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// The type of its elements; `None` for what is no tensor of numbers.
    pub element: Option<Element>,
    /// Whether it is a tensor of texts.
    pub is_text: bool,
    /// The length of each dimension, `None` where it is free.
    pub shape: Vec<Option<usize>>,
}

impl Slot {
    fn of(outlet: &Outlet) -> Self {
        let (element, shape) = match outlet.dtype() {
            ValueType::Tensor { ty, shape, .. } => (
                Element::from_ort(*ty),
                shape
                    .iter()
                    .map(|&length| usize::try_from(length).ok())
                    .collect(),
            ),
            _ => (None, Vec::new()),
        };
        Self {
            name: outlet.name().to_owned(),
            element,
            is_text: matches!(
                outlet.dtype(),
                ValueType::Tensor {
                    ty: TensorElementType::String,
                    ..
                }
            ),
            shape,
        }
    }
}

/// Held while a session is made: ONNX Runtime looks whether it knows the domain of our operators and then enters it, and
/// two sessions that do so at once make one of them fail.
static MAKING: Mutex<()> = Mutex::new(());

/// A model loaded into ONNX Runtime. It may use the operators of the fast lowering.
pub struct Session {
    inner: ort::session::Session,
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    flush_to_zero: bool,
}

impl Session {
    /// Loads the model that `bytes` hold.
    ///
    /// # Errors
    /// [`Error::Model`] with ONNX Runtime's own words, or [`Error::NotLoaded`].
    pub fn from_bytes(bytes: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        let environment = environment()?;
        let build = || -> ort::Result<ort::session::Session> {
            let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
            let mut builder = ort::session::Session::builder(&environment)?
                .with_log_level(LogLevel::Warning)?
                .with_intra_threads(options.threads)?
                .with_operators(kernels::domain()?)?;
            if options.flush_to_zero {
                builder = builder.with_flush_to_zero()?;
            }
            builder.commit_from_memory(bytes)
        };
        let inner = build().map_err(|error| Error::Model(error.to_string()))?;
        Ok(Self {
            inputs: inner.inputs().iter().map(Slot::of).collect(),
            outputs: inner.outputs().iter().map(Slot::of).collect(),
            inner,
            flush_to_zero: options.flush_to_zero,
        })
    }

    /// What the model takes.
    #[must_use]
    pub fn inputs(&self) -> &[Slot] {
        &self.inputs
    }

    /// What the model gives.
    #[must_use]
    pub fn outputs(&self) -> &[Slot] {
        &self.outputs
    }

    /// Runs the model on inputs that stay where they lie.
    ///
    /// # Errors
    /// [`Error::Input`] where an input contradicts itself, [`Error::Run`] where
    /// the model fails or its inputs don't fit it.
    pub fn run(&mut self, inputs: &[(&str, View<'_>)]) -> Result<Outputs<'_>, Error> {
        self.run_with(inputs, &[])
    }

    /// Runs the model on inputs of numbers that stay where they lie, and on inputs of texts, which are copied.
    ///
    /// # Errors
    /// As [`Session::run`]; [`Error::Input`] for a text with a zero byte, too.
    pub fn run_with(
        &mut self,
        inputs: &[(&str, View<'_>)],
        texts: &[(&str, Texts<'_>)],
    ) -> Result<Outputs<'_>, Error> {
        let mut feed = Feed::with_capacity(inputs.len() + texts.len());
        for (name, view) in inputs {
            feed.push(((*name).into(), view.to_input(name)?));
        }
        for (name, texts) in texts {
            feed.push(((*name).into(), texts.to_input(name)?));
        }
        Ok(Outputs(self.run_values(feed)?))
    }

    pub(crate) fn run_values(&mut self, feed: Feed<'_>) -> Result<SessionOutputs<'_>, Error> {
        let _flush = self.flush_to_zero.then(FlushToZero::enable);
        self.inner
            .run(feed)
            .map_err(|error| Error::Run(error.to_string()))
    }
}

/// Values under the names of the inputs that they are for.
pub(crate) type Feed<'a> = Vec<(Cow<'a, str>, SessionInputValue<'a>)>;

/// What a run gave.
pub struct Outputs<'a>(pub(crate) SessionOutputs<'a>);

impl Outputs<'_> {
    /// The output `name`, where it lies.
    ///
    /// # Errors
    /// [`Error::Output`] where there is none of this name, or where it is no
    /// tensor of numbers.
    pub fn get(&self, name: &str) -> Result<View<'_>, Error> {
        View::from_value(name, self.value(name)?)
    }

    /// The output `name` as texts, with its shape.
    ///
    /// # Errors
    /// [`Error::Output`] where there is none of this name, or where it is no
    /// tensor of texts.
    pub fn texts(&self, name: &str) -> Result<(Vec<usize>, Vec<String>), Error> {
        let (shape, texts) =
            self.value(name)?
                .try_extract_strings()
                .map_err(|error| Error::Output {
                    name: name.to_owned(),
                    reason: error.to_string(),
                })?;
        let shape = shape
            .iter()
            .map(|&length| usize::try_from(length).unwrap_or_default())
            .collect();
        Ok((shape, texts))
    }

    fn value(&self, name: &str) -> Result<&DynValue, Error> {
        self.0.get(name).ok_or_else(|| Error::Output {
            name: name.to_owned(),
            reason: "the model has no output of this name".to_owned(),
        })
    }
}
