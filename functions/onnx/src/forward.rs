//! A forward model made ready for training: its predictions found, the rest dropped, facts and the gradient's way known.

mod activations;
mod sigmoids;
mod tails;

use std::collections::BTreeMap;

use crate::differentiate::IN_FLOAT32;
use crate::differentiate::Plan;
use crate::facts::Facts;
use crate::glob::Glob;
use crate::graph::Graph;
use crate::prepare::{OLDEST_OPSET, prepared, settle};
use crate::proto::TensorProto;
use crate::{ElementType, Error, Model, TensorInfo};

/// What the predictions depend on.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) graph: Graph,
    pub(crate) facts: Facts,
    /// The names of the tensors that are predictions, each once. A node makes each, and it is float32.
    pub(crate) predictions: Vec<String>,
}

impl Forward {
    /// Finds each prediction: the tensor of that name, else the only float32 output. What the patterns name is frozen.
    pub(crate) fn of(
        model: &Model,
        predictions: &[Option<&str>],
        frozen: &[String],
    ) -> Result<Self, Error> {
        let model = prepared(model.clone().into_inference_form()?)?;
        check_opset(&model)?;
        let mut graph = Graph::of(&model)?;
        freeze(&mut graph, frozen)?;
        let mut found: Vec<String> = Vec::with_capacity(predictions.len());
        for prediction in predictions {
            let prediction = find_prediction(&graph, *prediction)?;
            if found.contains(&prediction) {
                return Err(Error::request(format!(
                    "'{prediction}' is named as the prediction twice: give it one loss"
                )));
            }
            found.push(prediction);
        }
        let forward = Self::from_graph(graph, found);
        for prediction in &forward.predictions {
            match forward.facts.get(prediction).element {
                None | Some(ElementType::Float32) => {}
                Some(element) => {
                    let help = if element.is_float() {
                        format!(": {IN_FLOAT32}")
                    } else {
                        String::new()
                    };
                    return Err(Error::request(format!(
                        "'{prediction}' cannot be the prediction: it is {element}, and float32 is needed{help}"
                    )));
                }
            }
        }
        Ok(forward)
    }

    fn from_graph(mut graph: Graph, predictions: Vec<String>) -> Self {
        graph.keep_ancestors_of(&predictions);
        if sigmoids::put_together(&mut graph) {
            graph.keep_ancestors_of(&predictions);
        }
        activations::move_behind_picks(&mut graph, &predictions);
        let mut facts = Facts::of(&graph);
        if settle(&mut graph, &facts) {
            facts = Facts::of(&graph);
        }
        Self {
            graph,
            facts,
            predictions,
        }
    }

    /// The same with other names for some tensors.
    pub(crate) fn renamed(self, names: &BTreeMap<String, String>) -> Self {
        let mut graph = self.graph;
        graph.rename(names);
        let predictions = self.predictions.into_iter();
        let predictions = predictions.map(|name| names.get(&name).cloned().unwrap_or(name));
        Self::from_graph(graph, predictions.collect())
    }

    /// The way of a gradient back from some tensors.
    pub(crate) fn plan(&self, targets: &[&str]) -> Plan {
        Plan::new(&self.graph, &self.facts, targets)
    }

    /// What is known of a prediction.
    pub(crate) fn prediction_info(&self, prediction: &str) -> TensorInfo {
        TensorInfo {
            element: ElementType::Float32,
            ..self.facts.get(prediction).to_info(prediction)
        }
    }
}

fn find_prediction(graph: &Graph, name: Option<&str>) -> Result<String, Error> {
    let prediction = match name {
        Some(name) => name.to_owned(),
        None => only_prediction(graph)?,
    };
    match graph.producer(&prediction) {
        Some(_) => Ok(prediction),
        None => Err(Error::request(format!(
            "'{prediction}' cannot be the prediction: no node of the model makes a tensor of that name"
        ))),
    }
}

/// Each pattern has to name something: a frozen layer that trains because of a typing error would show only in the result.
fn freeze(graph: &mut Graph, patterns: &[String]) -> Result<(), Error> {
    for pattern in patterns {
        let glob = Glob::new(pattern);
        let initializers = graph.initializers.iter();
        let candidates: Vec<&str> = initializers
            .filter(|initializer| initializer.element() == ElementType::Float32)
            .map(TensorProto::name)
            .collect();
        let named: Vec<String> = candidates
            .iter()
            .filter(|name| glob.matches(name))
            .map(|name| (*name).to_owned())
            .collect();
        if named.is_empty() {
            return Err(Error::request(format!(
                "'{pattern}' shall be frozen, and none of the model's initializers has such a name; there are {}",
                shown(&candidates)
            )));
        }
        graph.frozen.extend(named);
    }
    Ok(())
}

fn shown(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    match names.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names[..SHOWN].join(", ")),
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

/// The only float32 output that is no tail of another tensor; without one, the only float32 tensor that tails such as `ArgMax` and `ZipMap` end in.
fn only_prediction(graph: &Graph) -> Result<String, Error> {
    let outputs = graph.outputs.iter();
    let floats: Vec<&str> = outputs
        .filter(|output| output.element == ElementType::Float32)
        .map(|output| output.name.as_str())
        .collect();
    let found = match floats.len() {
        0 => tails::candidates(graph),
        1 => floats,
        _ => tails::without_tails(graph, floats),
    };
    match found.as_slice() {
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
