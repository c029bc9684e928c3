//! A forward model made ready for training: its prediction found, the rest dropped, facts and the gradient's way known.

use std::collections::BTreeMap;

use crate::differentiate::{Plan, may_train};
use crate::facts::Facts;
use crate::graph::Graph;
use crate::{ElementType, Error, Model, TensorInfo};

/// The oldest operator set whose operators mean what they mean here.
const OLDEST_OPSET: i64 = 13;

/// What a prediction depends on.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) graph: Graph,
    pub(crate) facts: Facts,
    /// The name of the tensor that is the prediction. A node makes it, and it is float32.
    pub(crate) prediction: String,
}

impl Forward {
    /// Finds the prediction: the tensor of that name, else the only float32 output.
    pub(crate) fn of(model: &Model, prediction: Option<&str>) -> Result<Self, Error> {
        check_opset(model)?;
        let graph = Graph::of(&model.clone().into_inference_form())?;
        let prediction = match prediction {
            Some(name) => name.to_owned(),
            None => only_float_output(&graph)?,
        };
        if graph.producer(&prediction).is_none() {
            return Err(Error::request(format!(
                "'{prediction}' cannot be the prediction: no node of the model makes a tensor of that name"
            )));
        }
        let forward = Self::from_graph(graph, prediction);
        match forward.facts.get(&forward.prediction).element {
            None | Some(ElementType::Float32) => Ok(forward),
            Some(element) => Err(Error::request(format!(
                "'{}' cannot be the prediction: it is {element}, and float32 is needed",
                forward.prediction
            ))),
        }
    }

    fn from_graph(mut graph: Graph, prediction: String) -> Self {
        graph.keep_ancestors_of(&prediction);
        let facts = Facts::of(&graph, &may_train);
        Self {
            graph,
            facts,
            prediction,
        }
    }

    /// The same with other names for some tensors.
    pub(crate) fn renamed(self, names: &BTreeMap<String, String>) -> Self {
        let mut graph = self.graph;
        graph.rename(names);
        let prediction = names
            .get(&self.prediction)
            .unwrap_or(&self.prediction)
            .clone();
        Self::from_graph(graph, prediction)
    }

    /// The way of a gradient back from a tensor.
    pub(crate) fn plan(&self, target: &str) -> Plan {
        Plan::new(&self.graph, &self.facts, target)
    }

    /// What is known of the prediction.
    pub(crate) fn prediction_info(&self) -> TensorInfo {
        TensorInfo {
            element: ElementType::Float32,
            ..self.facts.get(&self.prediction).to_info(&self.prediction)
        }
    }
}

fn check_opset(model: &Model) -> Result<(), Error> {
    match model.opset() {
        Some(version) if version >= OLDEST_OPSET => Ok(()),
        Some(version) => Err(Error::request(format!(
            "the model is written in operator set {version}, and training needs {OLDEST_OPSET} or later: export it again, \
             or convert it with onnx.version_converter"
        ))),
        None => Err(Error::request(
            "the model imports no standard operator set, so nothing in it can be trained",
        )),
    }
}

fn only_float_output(graph: &Graph) -> Result<String, Error> {
    let outputs = graph.outputs.iter();
    let floats: Vec<&str> = outputs
        .filter(|output| output.element == ElementType::Float32)
        .map(|output| output.name.as_str())
        .collect();
    match floats.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Error::request(
            "the model has no float32 output: name the inner tensor that is the prediction",
        )),
        several => Err(Error::request(format!(
            "the model has {} float32 outputs: say which of them is the prediction: {}",
            several.len(),
            several.join(", ")
        ))),
    }
}
