//! Reverse-mode differentiation of a graph, node by node, into nodes.
//!
//! A [`Plan`] says which tensors a gradient passes, before anything is emitted; [`emit`] then walks the graph backwards
//! along the plan. What stands in the way is found by the plan, never halfway.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::emitter::Emitter;
use crate::facts::{Fact, Facts};
use crate::graph::{Graph, uses};
use crate::operators::{self, Backward, Derivative, Site};
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
        for node in graph.nodes.iter().rev() {
            if node.output.iter().any(|output| plan.live.contains(output)) {
                plan.visit(node, facts, &reached);
            }
        }
        plan.obstacles.reverse();
        plan.sort_initializers(graph);
        plan
    }

    fn visit(&mut self, node: &NodeProto, facts: &Facts, reached: &HashSet<String>) {
        // An obstacle is passed all the same, so that all are told at once, and the parameters behind it as well.
        let mut found = None;
        for (name, derivative) in derivatives(node, facts) {
            if !reached.contains(name) || derivative == Derivative::Zero {
                continue;
            }
            self.live.insert(name.to_owned());
            let operator = node.op_type().to_owned();
            if let Derivative::Missing { reason, help } = derivative {
                found = Some(Obstacle {
                    node: node.label().to_owned(),
                    operator,
                    reason,
                    help,
                });
            } else {
                self.passed.insert(operator);
            }
        }
        self.obstacles.extend(found);
    }

    fn sort_initializers(&mut self, graph: &Graph) {
        for initializer in &graph.initializers {
            let name = initializer.name();
            if graph.may_train(initializer) && self.live.contains(name) {
                self.parameters.push(name.to_owned());
            } else if initializer.element().is_float() {
                self.constants
                    .push((name.to_owned(), why_constant(graph, initializer)));
            }
        }
    }
}

fn why_constant(graph: &Graph, initializer: &TensorProto) -> String {
    match initializer.element() {
        _ if graph.frozen.contains(initializer.name()) => "it is frozen on request".to_owned(),
        ElementType::Float32 if initializer.dims.is_empty() => {
            "it is a single number without dimensions, which exporters make of constants in the program".to_owned()
        }
        ElementType::Float32 => "no gradient of the prediction reaches it".to_owned(),
        element => format!("it is {element}, and only float32 trains"),
    }
}

/// The tensors that change when what may train changes.
fn reached(graph: &Graph, facts: &Facts) -> HashSet<String> {
    let initializers = graph.initializers.iter();
    let candidates = initializers.filter(|tensor| graph.may_train(tensor));
    let mut reached: HashSet<String> = candidates.map(|tensor| tensor.name().to_owned()).collect();
    for node in &graph.nodes {
        let passes = derivatives(node, facts)
            .iter()
            .any(|(name, derivative)| reached.contains(*name) && *derivative != Derivative::Zero);
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

/// What a node uses, each with whether a gradient passes to it.
fn derivatives<'a>(node: &'a NodeProto, facts: &Facts) -> Vec<(&'a str, Derivative)> {
    let Some(operator) = operators::find(node) else {
        let missing = unknown(node);
        return uses(node)
            .into_iter()
            .map(|name| (name, missing.clone()))
            .collect();
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
            (name.as_str(), derivative)
        })
        .collect()
}

fn unknown(node: &NodeProto) -> Derivative {
    match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", "If" | "Loop" | "Scan") => Derivative::Missing {
            reason: "is control flow, which has no derivative here".to_owned(),
            help: "export the model with its branches and loops unrolled".to_owned(),
        },
        ("" | "ai.onnx", _) => Derivative::missing("has no derivative here"),
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
