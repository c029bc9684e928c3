//! A training's step graph, run again and again.
//!
//! Parameters and optimizer state stay values of ONNX Runtime: each output of a
//! step is moved into the input that it is for in the next one, without a copy.
//! No value is ever an input and an output of the same run, because nothing
//! would order the update of a weight after the last read of it.

use millrace_onnx::StepGraph;
use ort::value::DynValue;

use crate::session::Feed;
use crate::{Data, Error, Outputs, Session, SessionOptions, Tensor, View};

/// Something that a step hands on to the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    /// The step graph's input that takes it.
    pub input: String,
    /// The step graph's output that gives it anew.
    pub output: String,
    /// What the first step takes.
    pub initial: Tensor,
}

impl Carried {
    /// All that the steps of a graph hand on: parameters and running statistics as the model has them, state of zeros.
    #[must_use]
    pub fn all(graph: &StepGraph) -> Vec<Self> {
        let tensors = graph.parameters.iter().chain(&graph.statistics);
        let tensors = tensors.map(|parameter| Self {
            input: parameter.name.clone(),
            output: parameter.output(),
            initial: Tensor {
                shape: parameter.dims.clone(),
                data: Data::F32(parameter.initial.clone()),
            },
        });
        let slots = graph.slots.iter().map(|slot| Self {
            input: slot.name.clone(),
            output: slot.output(),
            initial: Tensor {
                shape: slot.dims.clone(),
                data: Data::F32(vec![0.0; slot.dims.iter().product()]),
            },
        });
        tensors.chain(slots).collect()
    }
}

/// A step graph with what it carries.
pub struct StepSession {
    session: Session,
    carried: Vec<Slot>,
}

struct Slot {
    input: String,
    output: String,
    value: DynValue,
}

impl StepSession {
    /// Loads the step graph that `bytes` hold; denormal numbers are taken for zero.
    ///
    /// # Errors
    /// [`Error::Model`], or [`Error::Input`] for a carried tensor whose shape
    /// has not as many elements as it holds.
    pub fn from_bytes(bytes: &[u8], threads: usize, carried: &[Carried]) -> Result<Self, Error> {
        let options = SessionOptions {
            threads,
            flush_to_zero: true,
        };
        let session = Session::from_bytes(bytes, &options)?;
        let carried = carried
            .iter()
            .map(|carried| {
                Ok(Slot {
                    input: carried.input.clone(),
                    output: carried.output.clone(),
                    value: to_value(&carried.input, &carried.initial.view())?,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { session, carried })
    }

    /// Runs one step on the inputs that change from step to step, and carries on
    /// what it made. A step that fails changes nothing.
    ///
    /// # Errors
    /// [`Error::Input`], [`Error::Run`], or [`Error::Output`] where the graph
    /// does not give what is carried.
    pub fn step(&mut self, inputs: &[(&str, View<'_>)]) -> Result<Outputs<'_>, Error> {
        let mut feed = Feed::with_capacity(inputs.len() + self.carried.len());
        for (name, view) in inputs {
            feed.push(((*name).into(), view.to_input(name)?));
        }
        for slot in &self.carried {
            feed.push((slot.input.as_str().into(), (&slot.value).into()));
        }
        let mut outputs = self.session.run_values(feed)?;
        if let Some(missing) = self
            .carried
            .iter()
            .find(|slot| !outputs.contains_key(&slot.output))
        {
            return Err(Error::Output {
                name: missing.output.clone(),
                reason: "the step graph does not give it".to_owned(),
            });
        }
        for slot in &mut self.carried {
            if let Some(value) = outputs.remove(&slot.output) {
                slot.value = value;
            }
        }
        Ok(Outputs(outputs))
    }

    /// Runs another graph on what this one carries: on the carried tensors that
    /// it has inputs for, by name, and on `inputs`.
    ///
    /// # Errors
    /// [`Error::Input`] or [`Error::Run`].
    pub fn evaluate<'s>(
        &self,
        graph: &'s mut Session,
        inputs: &[(&str, View<'_>)],
    ) -> Result<Outputs<'s>, Error> {
        let mut feed = Feed::with_capacity(inputs.len() + self.carried.len());
        for (name, view) in inputs {
            feed.push(((*name).into(), view.to_input(name)?));
        }
        for slot in &self.carried {
            if graph.inputs().iter().any(|input| input.name == slot.input) {
                feed.push((slot.input.as_str().into(), (&slot.value).into()));
            }
        }
        Ok(Outputs(graph.run_values(feed)?))
    }

    /// Copies of all that is carried, by the inputs' names, in the order given
    /// at first.
    ///
    /// # Errors
    /// [`Error::Output`] where something is no tensor of numbers.
    pub fn export(&self) -> Result<Vec<(String, Tensor)>, Error> {
        self.carried
            .iter()
            .map(|slot| {
                let view = View::from_value(&slot.input, &slot.value)?;
                Ok((slot.input.clone(), view.to_tensor()))
            })
            .collect()
    }

    /// Replaces all that is carried by what was exported earlier.
    ///
    /// # Errors
    /// [`Error::Input`] where a carried tensor is missing or has another shape;
    /// nothing is replaced then.
    pub fn import(&mut self, tensors: &[(String, Tensor)]) -> Result<(), Error> {
        let values = self
            .carried
            .iter()
            .map(|slot| {
                let reject = |reason: &str| Error::Input {
                    name: slot.input.clone(),
                    reason: reason.to_owned(),
                };
                let (_, tensor) = tensors
                    .iter()
                    .find(|(name, _)| *name == slot.input)
                    .ok_or_else(|| reject("it is missing"))?;
                let now = View::from_value(&slot.input, &slot.value)?;
                let next = tensor.view();
                if now.shape != next.shape || now.data.element() != next.data.element() {
                    return Err(reject("its shape or its type is another one"));
                }
                to_value(&slot.input, &next)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        for (slot, value) in self.carried.iter_mut().zip(values) {
            slot.value = value;
        }
        Ok(())
    }
}

fn to_value(name: &str, view: &View<'_>) -> Result<DynValue, Error> {
    let reject = |reason: String| Error::Input {
        name: name.to_owned(),
        reason,
    };
    if view.shape.iter().product::<usize>() != view.data.len() {
        return Err(reject(format!(
            "the shape {:?} does not have {} elements",
            view.shape,
            view.data.len()
        )));
    }
    view.data
        .to_value(&view.shape)
        .map_err(|error| reject(error.to_string()))
}
