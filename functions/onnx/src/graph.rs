//! A forward graph taken apart for work on it: its nodes in order, its true inputs, its initializers.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::numbers::{self, Number};
use crate::proto::{NodeProto, TensorProto, ValueInfoProto};
use crate::{ElementType, Error, Model, TensorInfo};

/// The parts of a model's graph.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// In an order in which every tensor is made before it is used.
    pub(crate) nodes: Vec<NodeProto>,
    pub(crate) initializers: Vec<TensorProto>,
    /// The inputs that are not initializers.
    pub(crate) inputs: Vec<TensorInfo>,
    /// The outputs that are tensors.
    pub(crate) outputs: Vec<TensorInfo>,
    /// The names of all outputs, sequences and maps among them.
    pub(crate) ends: Vec<String>,
    /// What the model says of outputs and inner tensors.
    pub(crate) declared: HashMap<String, TensorInfo>,
    /// The initializers that shall not train, whatever gradient reaches them.
    pub(crate) frozen: HashSet<String>,
    /// The float32 initializers that are no weights.
    numbers: HashMap<String, Number>,
    /// Whether `Constant` nodes hold what the program made, and no weights.
    pub(crate) constants_are_numbers: bool,
    /// The version of the standard operator set; 0 where the model imports none.
    pub(crate) opset: i64,
}

impl Graph {
    /// Takes a model's graph apart.
    ///
    /// # Errors
    /// Tensors that are used before they are made, or made twice.
    pub(crate) fn of(model: &Model) -> Result<Self, Error> {
        let graph = model.graph();
        let signature = model.signature();
        let declared = graph
            .value_info
            .iter()
            .chain(&graph.output)
            .filter_map(ValueInfoProto::to_info)
            .map(|info| (info.name.clone(), info))
            .collect();
        let taken_apart = Self {
            nodes: graph.node.clone(),
            initializers: graph.initializer.clone(),
            inputs: signature.inputs,
            outputs: signature.outputs,
            ends: graph
                .output
                .iter()
                .map(|output| output.name().to_owned())
                .collect(),
            declared,
            frozen: HashSet::new(),
            numbers: numbers::among(&graph.initializer, model.proto().producer_name()),
            constants_are_numbers: numbers::constants_are_numbers(
                &graph.initializer,
                model.proto().producer_name(),
            ),
            opset: model.opset().unwrap_or_default(),
        };
        taken_apart.check_order(&graph.input)?;
        Ok(taken_apart)
    }

    fn check_order(&self, inputs: &[ValueInfoProto]) -> Result<(), Error> {
        let initializers = self.initializers.iter().map(TensorProto::name);
        let inputs = inputs.iter().map(ValueInfoProto::name);
        let mut made: HashSet<&str> = initializers.chain(inputs).collect();
        for node in &self.nodes {
            let unmade = node
                .input
                .iter()
                .find(|name| !name.is_empty() && !made.contains(name.as_str()));
            if let Some(name) = unmade {
                return Err(Error::Invalid {
                    reason: format!(
                        "node '{}' uses '{name}', which nothing before it makes",
                        node.label()
                    ),
                });
            }
            for name in node.output.iter().filter(|name| !name.is_empty()) {
                if !made.insert(name) {
                    return Err(Error::Invalid {
                        reason: format!(
                            "'{name}' is made twice, the second time by node '{}'",
                            node.label()
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether an initializer trains if a gradient reaches it: it is float32, has a dimension, is a weight as far as can be
    /// told, and is not frozen.
    ///
    /// One of rank 0 is a number of the program's (a scale, an epsilon) that the exporter wrote down.
    pub(crate) fn may_train(&self, initializer: &TensorProto) -> bool {
        initializer.element() == ElementType::Float32
            && !initializer.dims.is_empty()
            && self.number(initializer).is_none()
            && !self.frozen.contains(initializer.name())
    }

    /// Why an initializer is no weight, as far as its numbers are there.
    pub(crate) fn number(&self, initializer: &TensorProto) -> Option<Number> {
        self.numbers.get(initializer.name()).copied()
    }

    /// The node that makes a tensor.
    pub(crate) fn producer(&self, tensor: &str) -> Option<&NodeProto> {
        self.nodes
            .iter()
            .find(|node| node.output.iter().any(|output| output == tensor))
    }

    /// The initializer of this name.
    pub(crate) fn initializer(&self, name: &str) -> Option<&TensorProto> {
        self.initializers
            .iter()
            .find(|tensor| tensor.name() == name)
    }

    /// In how many places a tensor is used for its values, not only for its shape.
    pub(crate) fn count_uses(&self, tensor: &str) -> usize {
        let nodes = self.nodes.iter();
        let nodes = nodes.filter(|node| !matches!(node.op_type(), "Shape" | "Size"));
        nodes
            .flat_map(|node| &node.input)
            .filter(|input| *input == tensor)
            .count()
    }

    /// Keeps what the tensors depend on and drops the rest.
    pub(crate) fn keep_ancestors_of(&mut self, tensors: &[String]) {
        let mut needed: HashSet<String> = tensors.iter().cloned().collect();
        let mut kept = Vec::with_capacity(self.nodes.len());
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.output.iter().any(|output| needed.contains(output)) {
                needed.extend(uses(&node).into_iter().map(str::to_owned));
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.initializers
            .retain(|tensor| needed.contains(tensor.name()));
        self.inputs.retain(|input| needed.contains(&input.name));
    }

    /// Gives tensors other names, everywhere and all at once.
    pub(crate) fn rename(&mut self, names: &BTreeMap<String, String>) {
        for node in &mut self.nodes {
            rename_in(node, names);
        }
        for initializer in &mut self.initializers {
            if let Some(to) = names.get(initializer.name()) {
                initializer.name = Some(to.clone());
            }
        }
        let new = |name: String| names.get(&name).cloned().unwrap_or(name);
        let declared = std::mem::take(&mut self.declared).into_iter();
        self.declared = declared.map(|(name, info)| (new(name), info)).collect();
        let frozen = std::mem::take(&mut self.frozen);
        self.frozen = frozen.into_iter().map(new).collect();
        let numbers = std::mem::take(&mut self.numbers).into_iter();
        self.numbers = numbers.map(|(name, why)| (new(name), why)).collect();
    }

    /// The names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let initializers = self.initializers.iter().map(TensorProto::name);
        let inputs = self.inputs.iter().map(|input| input.name.as_str());
        let made = self.nodes.iter().flat_map(|node| &node.output);
        initializers
            .chain(inputs)
            .chain(made.map(String::as_str).filter(|name| !name.is_empty()))
    }
}

/// Every name that a node uses: its inputs, and whatever graphs within it (branches, loop bodies) may capture.
pub(crate) fn uses(node: &NodeProto) -> Vec<&str> {
    let inputs = node.input.iter().map(String::as_str);
    let mut names: Vec<&str> = inputs.filter(|name| !name.is_empty()).collect();
    for graph in graphs_within(node) {
        names.extend(graph.output.iter().map(ValueInfoProto::name));
        names.extend(graph.node.iter().flat_map(uses));
    }
    names
}

/// The graphs that a node holds: branches, loop bodies.
pub(crate) fn graphs_within(node: &NodeProto) -> impl Iterator<Item = &crate::proto::GraphProto> {
    node.attribute
        .iter()
        .flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// Gives tensors other names in a node and in whatever graphs it holds.
pub(crate) fn rename_in(node: &mut NodeProto, names: &BTreeMap<String, String>) {
    for name in node.input.iter_mut().chain(&mut node.output) {
        if let Some(to) = names.get(name) {
            name.clone_from(to);
        }
    }
    let attributes = node.attribute.iter_mut();
    for graph in
        attributes.flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
    {
        for output in &mut graph.output {
            if let Some(to) = names.get(output.name()) {
                output.name = Some(to.clone());
            }
        }
        for inner in &mut graph.node {
            rename_in(inner, names);
        }
    }
}
