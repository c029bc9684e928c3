//! What an inference writes of its model's outputs, and what it hands on instead.

use async_graphql::{Enum, SimpleObject};
use millrace_entity::inference as rows;
use millrace_wire::function;
use millrace_wire::prediction::{Choice, Form};

/// How predictions are written.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "rows::OutputFormat")]
pub enum OutputFormat {
    /// Model, version, source and named outputs.
    Json,
    /// A list of values, as Kafka-ML's consumers expect.
    KafkaMl,
    /// An Avro record with model, version, source and named outputs. Its schema is registered as the output topic's.
    Avro,
    /// The bytes of the outputs, one behind another, the least significant byte of a number first.
    Raw,
}

/// What becomes of an output with numbers that are NaN or infinite.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "function::NotFinite")]
pub enum NotFinite {
    /// It is written like any other; JSON has `null` for such numbers.
    Pass,
    /// Its record goes to the dead letters with the error `not-finite`.
    DeadLetter,
}

/// How an output of a model is written.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputForm {
    /// All its elements, nested by its shape; by the names of its classes, where it has such.
    Raw,
    /// The class with the highest score, with that score; null where it is below the threshold.
    Argmax,
    /// The classes with the highest scores, the best one first.
    TopK,
}

/// An output of the model that is written, and how.
#[derive(SimpleObject)]
pub struct OutputChoice {
    /// The output's name.
    name: String,
    /// How it is written.
    form: OutputForm,
    /// How many classes, of `TOP_K`.
    k: Option<u32>,
    /// The names of its classes, where they were given.
    classes: Vec<String>,
    /// Classes with a lower score are left out.
    threshold: Option<f64>,
}

impl From<Choice> for OutputChoice {
    fn from(choice: Choice) -> Self {
        let (form, k) = match choice.form {
            Form::Raw => (OutputForm::Raw, None),
            Form::Argmax => (OutputForm::Argmax, None),
            Form::TopK(k) => (OutputForm::TopK, Some(k)),
        };
        Self {
            name: choice.name,
            form,
            k,
            classes: choice.classes,
            threshold: choice.threshold,
        }
    }
}

/// An early exit: records of which the model is not sure go on to the next model as they came.
#[derive(SimpleObject)]
pub struct HandOn {
    /// Where they go.
    topic: String,
    /// The output whose highest number says how sure the model is.
    output: String,
    /// Below this number it is not sure.
    below: f64,
}

impl From<function::HandOn> for HandOn {
    fn from(hand_on: function::HandOn) -> Self {
        Self {
            topic: hand_on.topic,
            output: hand_on.output,
            below: hand_on.below,
        }
    }
}
