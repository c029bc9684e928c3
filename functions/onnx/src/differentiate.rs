//! Reverse-mode differentiation of a graph, node by node, into nodes.
//!
//! A [`Plan`] says which tensors a gradient passes, before anything is emitted; [`emit`] then walks the graph backwards
//! along the plan. What stands in the way is found by the plan, never halfway.

mod cuts;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::emitter::Emitter;
use crate::facts::{Fact, Facts};
use crate::graph::{Graph, graphs_within, uses};
use crate::numbers::Number;
use crate::open::{self, OpenDimension};
use crate::operators::{self, Backward, Derivative, Operator, Site};
use crate::proto::{NodeProto, TensorProto};
use crate::{ElementType, Obstacle};

/// The way of the gradient from one tensor back to the parameters.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The initializers that train, in the model's order.
    pub(crate) parameters: Vec<String>,
    /// The floating-point initializers that do not, and why.
    pub(crate) constants: Vec<(String, String)>,
    /// The operators that it passes.
    pub(crate) passed: BTreeSet<String>,
    /// The nodes that the gradient would have to pass and cannot.
    pub(crate) obstacles: Vec<Obstacle>,
    /// The tensors that get a gradient.
    live: HashSet<String>,
}

impl Plan {
    /// Finds the way back from the targets.
    pub(crate) fn new(graph: &Graph, facts: &Facts, targets: &[&str]) -> Self {
        let mut plan = Self {
            parameters: Vec::new(),
            constants: Vec::new(),
            passed: BTreeSet::new(),
            obstacles: Vec::new(),
            live: targets.iter().copied().map(str::to_owned).collect(),
        };
        let reached = reached(graph, facts);
        let open = open::dimensions(&graph.inputs);
        for node in graph.nodes.iter().rev() {
            if node.output.iter().any(|output| plan.live.contains(output)) {
                plan.visit(node, facts, &reached, &open);
            }
        }
        plan.obstacles.reverse();
        plan.sort_initializers(graph, facts);
        plan
    }

    fn visit(
        &mut self,
        node: &NodeProto,
        facts: &Facts,
        reached: &HashSet<String>,
        open: &[OpenDimension],
    ) {
        // An obstacle is passed all the same, so that all are told at once, and the parameters behind it as well.
        let mut found = None;
        let side = self.undifferentiated(node);
        for Passage {
            name, derivative, ..
        } in passages(node, facts)
        {
            if !reached.contains(name) || derivative == Derivative::Zero {
                continue;
            }
            let derivative = side.clone().unwrap_or(derivative);
            self.live.insert(name.to_owned());
            let operator = node.op_type().to_owned();
            let (reason, help) = match derivative {
                Derivative::Missing { reason, help } => (reason, Some(help)),
                Derivative::AwaitsSizes(reason) => (reason, None),
                Derivative::Known | Derivative::Zero => {
                    self.passed.insert(operator);
                    continue;
                }
            };
            found = Some(Obstacle {
                node: label(node),
                operator,
                reason,
                awaits_sizes: help.is_none() && !open.is_empty(),
                help: help.unwrap_or_else(|| open::help(open)),
            });
        }
        self.obstacles.extend(found);
    }

    /// What stands in the way where the gradient comes to a node by an output that its derivative leaves out.
    fn undifferentiated(&self, node: &NodeProto) -> Option<Derivative> {
        let operator = operators::find(node)?;
        let mut outputs = node.output.iter().enumerate();
        let (_, output) = outputs.find(|(index, output)| {
            self.live.contains(*output) && !operator.differentiates(*index)
        })?;
        let reason =
            format!("has no derivative of its output '{output}', on which the prediction depends");
        Some(Derivative::missing(&reason))
    }

    fn sort_initializers(&mut self, graph: &Graph, facts: &Facts) {
        let mut cuts = Vec::new();
        for initializer in &graph.initializers {
            let name = initializer.name();
            if graph.may_train(initializer) && self.live.contains(name) {
                self.parameters.push(name.to_owned());
            } else if graph.may_train(initializer) {
                let found = cuts::of(graph, facts, name);
                self.constants.push((name.to_owned(), why_cut_off(&found)));
                cuts.extend(found);
            } else if initializer.element().is_float() {
                self.constants
                    .push((name.to_owned(), why_constant(graph, initializer)));
            }
        }
        if graph.constants_are_numbers {
            self.constants.extend(held(graph));
        }
        if self.parameters.is_empty() && self.obstacles.is_empty() {
            for cut in cuts {
                if !self.obstacles.contains(&cut) {
                    self.obstacles.push(cut);
                }
            }
        }
    }
}

/// What would help a model of other numbers.
pub(crate) const IN_FLOAT32: &str =
    "export the model in float32 (PyTorch: `model.float()` before; Keras: the policy \"float32\")";

/// The tensors of numbers in `Constant` nodes, which do not train beside initializers.
fn held(graph: &Graph) -> impl Iterator<Item = (String, String)> {
    let nodes = graph
        .nodes
        .iter()
        .filter(|node| node.op_type() == "Constant");
    nodes.filter_map(|node| {
        let tensor = node.tensor("value")?;
        let trains_elsewhere =
            tensor.element() == ElementType::Float32 && !tensor.dims.is_empty();
        let why = "it is a `Constant` node, and the model's weights are initializers: PyTorch's exporters write what a program \
                   holds beside its parameters so";
        trains_elsewhere.then(|| (node.output[0].clone(), why.to_owned()))
    })
}

fn why_cut_off(cuts: &[Obstacle]) -> String {
    match cuts.first() {
        Some(Obstacle {
            node,
            operator,
            reason,
            ..
        }) => {
            format!("no gradient of the prediction reaches it: node '{node}' ({operator}) {reason}")
        }
        None => "no gradient of the prediction reaches it".to_owned(),
    }
}

fn label(node: &NodeProto) -> String {
    node.label().to_owned()
}

fn why_constant(graph: &Graph, initializer: &TensorProto) -> String {
    match initializer.element() {
        _ if graph.frozen.contains(initializer.name()) => "it is frozen on request".to_owned(),
        ElementType::Float32 if holds_nan(initializer) => {
            "it holds NaN, as a training leaves it that has diverged: export the model from before that".to_owned()
        }
        ElementType::Float32 => match graph.number(initializer) {
            Some(Number::NotFinite) => "it holds numbers that are not finite, as masks do",
            Some(Number::Mask) => "it holds zeros and large negative numbers, as masks do",
            Some(Number::Program) => "it is made by the program, as its name and its numbers show",
            None => "it is a single number without dimensions, which exporters make of constants in the program",
        }
        .to_owned(),
        element if element.is_float() => {
            format!("it is {element}, and only float32 trains: {IN_FLOAT32}")
        }
        element => format!("it is {element}, and only float32 trains"),
    }
}

fn holds_nan(initializer: &TensorProto) -> bool {
    let values = initializer.to_f32().unwrap_or_default();
    values.into_iter().any(f32::is_nan)
}

/// The tensors that change when what may train changes.
pub(crate) fn reached(graph: &Graph, facts: &Facts) -> HashSet<String> {
    let initializers = graph.initializers.iter();
    let candidates = initializers.filter(|tensor| graph.may_train(tensor));
    let mut reached: HashSet<String> = candidates.map(|tensor| tensor.name().to_owned()).collect();
    let inner = graph.nodes.iter().flat_map(inner_parameters);
    reached.extend(inner.map(str::to_owned));
    for node in &graph.nodes {
        // Running statistics follow the batches, and not a gradient. Each is an initializer that nothing else uses.
        let statistics = operators::find(node).map(Operator::statistics);
        for (input, _) in statistics.unwrap_or_default() {
            if let Some(name) = node.input.get(*input) {
                reached.remove(name);
            }
        }
    }
    for node in &graph.nodes {
        let passes = passages(node, facts).iter().any(|passage| {
            reached.contains(passage.name) && passage.derivative != Derivative::Zero
        });
        if passes {
            let outputs = node.output.iter();
            reached.extend(
                outputs
                    .filter(|output| facts.get(output).is_float())
                    .cloned(),
            );
        }
    }
    reached
}

/// A tensor that a node uses, and whether a gradient passes to it.
struct Passage<'a> {
    /// Which input it is. Tensors that graphs within the node use have numbers behind those of its inputs.
    input: usize,
    name: &'a str,
    derivative: Derivative,
}

fn passages<'a>(node: &'a NodeProto, facts: &Facts) -> Vec<Passage<'a>> {
    let Some(operator) = operators::find(node) else {
        let missing = unknown(node);
        let used = uses(node).into_iter().enumerate();
        let passage = |(input, name)| Passage {
            input,
            name,
            derivative: missing.clone(),
        };
        return used.map(passage).collect();
    };
    let given = node
        .input
        .iter()
        .take_while(|name| !name.is_empty())
        .count();
    let least = operator.least_inputs();
    let inputs: Vec<&Fact> = node.input.iter().map(|name| facts.get(name)).collect();
    let site = Site {
        node,
        inputs: &inputs,
    };
    let named = node
        .input
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty());
    named
        .map(|(index, name)| {
            let derivative = if given < least {
                Derivative::Missing {
                    reason: format!("has {given} inputs and needs {least}"),
                    help: "check the model with onnx.checker".to_owned(),
                }
            } else {
                operator.derivative(&site, index)
            };
            Passage {
                input: index,
                name,
                derivative,
            }
        })
        .collect()
}

/// What would train if the graphs within a node were part of the graph around it.
fn inner_parameters(node: &NodeProto) -> Vec<&str> {
    let trains =
        |tensor: &TensorProto| tensor.element() == ElementType::Float32 && !tensor.dims.is_empty();
    let mut names = Vec::new();
    for graph in graphs_within(node) {
        let initializers = graph.initializer.iter();
        let initializers = initializers.filter(|tensor| trains(tensor));
        names.extend(initializers.map(TensorProto::name));
        for inner in &graph.node {
            let is_constant = inner.op_type() == "Constant";
            if is_constant && inner.tensor("value").is_some_and(trains) {
                names.extend(inner.output.iter().map(String::as_str));
            }
            names.extend(inner_parameters(inner));
        }
    }
    names
}

fn unknown(node: &NodeProto) -> Derivative {
    match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", "If" | "Loop" | "Scan") => Derivative::AwaitsSizes(
            "is control flow whose shape is not constant: its condition or number of turns depends on what the model is given, \
             such as the number of records (PyTorch writes an EmbeddingBag so: an Embedding and its sum or mean over the axis train)"
                .to_owned(),
        ),
        ("" | "ai.onnx", "GridSample" | "AffineGrid") => Derivative::Missing {
            reason: "looks an image up at places that are computed, which has no derivative here".to_owned(),
            help: "where the places are always the same, write it as Resize, Slice and Pad; else name a tensor in front of it as \
                   the prediction"
                .to_owned(),
        },
        ("" | "ai.onnx", _) => Derivative::missing("has no derivative here"),
        ("aten" | "org.pytorch.aten", "embedding_bag" | "ATen") => Derivative::Missing {
            reason: "is an operator of PyTorch's own, which nothing else runs (an EmbeddingBag, or what has no ONNX operator)"
                .to_owned(),
            help: "write it as an Embedding and its sum or mean over the axis, and export the model anew".to_owned(),
        },
        (domain, _) => Derivative::missing(&format!(
            "is of the domain '{domain}' and has no derivative here"
        )),
    }
}

/// Emits the gradients of all parameters, given the gradients of the targets, by the names of the parameters.
pub(crate) fn emit(
    graph: &Graph,
    facts: &Facts,
    plan: &Plan,
    emitter: &mut Emitter,
    targets: Vec<(String, String)>,
) -> BTreeMap<String, String> {
    let mut gradients = BTreeMap::new();
    for (target, gradient) in targets {
        add(emitter, &mut gradients, target, gradient);
    }
    for node in graph.nodes.iter().rev() {
        let outputs: Vec<Option<String>> = node
            .output
            .iter()
            .map(|output| gradients.get(output).cloned())
            .collect();
        let wanted: Vec<bool> = node
            .input
            .iter()
            .map(|input| plan.live.contains(input))
            .collect();
        if outputs.iter().all(Option::is_none) || !wanted.contains(&true) {
            continue;
        }
        let Some(operator) = operators::find(node) else {
            continue;
        };
        emitter.enter(format!("gradient/{}", node.label()));
        let mut backward = Backward::new(node, emitter, facts, outputs, wanted);
        operator.backward(&mut backward);
        for (input, gradient) in backward.into_found() {
            add(emitter, &mut gradients, node.input[input].clone(), gradient);
        }
    }
    gradients.retain(|name, _| plan.parameters.contains(name));
    gradients
}

/// Where a tensor is used more than once, its gradients add up.
fn add(
    emitter: &mut Emitter,
    gradients: &mut BTreeMap<String, String>,
    tensor: String,
    gradient: String,
) {
    let sum = match gradients.get(&tensor) {
        Some(other) => emitter.node("Add", &[other, &gradient]),
        None => gradient,
    };
    gradients.insert(tensor, sum);
}
