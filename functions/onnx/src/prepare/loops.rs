//! Loops with a constant number of turns, written out turn by turn.
//!
//! What decides over another turn, the count and the condition, has to follow from constants alone: it is evaluated here.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::constants;
use super::names::{Names, identity};
use crate::operators::{self, Call};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::{Tensor, Values};

/// The most turns that are written out: a sequence of more steps makes a graph that nothing runs well.
const MOST_TURNS: i64 = 4096;
/// Constants beyond this many elements decide over no turn.
const MOST_ELEMENTS: usize = 4096;

/// What is constant, by its name.
type Known = HashMap<String, Rc<Tensor>>;

/// Writes out every loop of a graph whose turns can be counted; others stay, and are refused where a gradient meets them.
pub(super) fn unroll(graph: &mut GraphProto) {
    if !graph.node.iter().any(is_loop) {
        return;
    }
    let mut known = Known::new();
    for initializer in &graph.initializer {
        know_initializer(initializer, &mut known);
    }
    let mut names = Names::of(graph);
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        if is_loop(&node)
            && let Some(written) = turns(&node, &mut names, &known)
        {
            for constant in &written.initializers {
                know_initializer(constant, &mut known);
            }
            graph.initializer.extend(written.initializers);
            nodes.extend(written.nodes);
            continue;
        }
        know_outputs(&node, &mut known);
        nodes.push(node);
    }
    graph.node = nodes;
}

pub(super) fn is_loop(node: &NodeProto) -> bool {
    matches!(node.domain(), "" | "ai.onnx") && node.op_type() == "Loop"
}

/// What a loop becomes.
struct Written {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl Written {
    /// Takes a body's initializers out of it, once for all turns. The names under which they stand now are given back.
    ///
    /// Where two bodies use one name, the second's initializer becomes a `Constant` node, which does not train: its trained
    /// values would not find their way back.
    fn hoist(
        &mut self,
        body: &mut GraphProto,
        names: &mut Names,
        known: &mut Known,
    ) -> BTreeMap<String, String> {
        let mut outer = BTreeMap::new();
        for mut initializer in std::mem::take(&mut body.initializer) {
            let name = names.free(initializer.name());
            outer.insert(initializer.name().to_owned(), name.clone());
            initializer.name = Some(name.clone());
            know_initializer(&initializer, known);
            if outer.contains_key(&name) {
                self.initializers.push(initializer);
            } else {
                let mut constant = made("Constant", &[], &name);
                let value = AttributeProto::from_tensor("value", initializer);
                constant.attribute.push(value);
                self.nodes.push(constant);
            }
        }
        outer
    }
}

/// A loop's turns one behind the other; nothing where their number does not follow from constants.
fn turns(node: &NodeProto, names: &mut Names, known: &Known) -> Option<Written> {
    let mut body = node
        .attribute
        .iter()
        .find_map(|attribute| attribute.g.clone())?;
    unroll(&mut body);
    constants::to_initializers(&mut body);
    let mut known = known.clone();
    let most = match node.input.first().filter(|name| !name.is_empty()) {
        Some(name) => known.get(name)?.as_integers()?.first().copied()?,
        None => i64::MAX,
    };
    let mut goes_on = match node.input.get(1).filter(|name| !name.is_empty()) {
        Some(name) => truth(known.get(name)?)?,
        None => true,
    };
    let mut written = Written {
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    let outer = written.hoist(&mut body, names, &mut known);
    let mut carried: Vec<String> = node.input.iter().skip(2).cloned().collect();
    let mut rows: Vec<Vec<String>> =
        vec![Vec::new(); body.output.len().checked_sub(1 + carried.len())?];
    let mut turn = 0;
    while goes_on && turn < most {
        if turn == MOST_TURNS {
            return None;
        }
        let scope = format!("{}/{turn}", node.label());
        let mut bound = outer.clone();
        let number = names.free(&format!("{scope}/turn"));
        let condition = names.free(&format!("{scope}/condition"));
        let constants = [
            TensorProto::from_i64(&number, &[], &[turn]),
            TensorProto::from_raw(&condition, crate::ElementType::Bool, &[], vec![1]),
        ];
        let inputs = [number, condition]
            .into_iter()
            .chain(carried.iter().cloned());
        bound.extend(
            body.input
                .iter()
                .map(|input| input.name().to_owned())
                .zip(inputs),
        );
        for constant in constants {
            know_initializer(&constant, &mut known);
            written.initializers.push(constant);
        }
        for copy in names.copy(&scope, &body.node, &mut bound) {
            know_outputs(&copy, &mut known);
            written.nodes.push(copy);
        }
        let result = |output: &ValueInfoProto| {
            bound
                .get(output.name())
                .cloned()
                .unwrap_or_else(|| output.name().to_owned())
        };
        let results: Vec<String> = body.output.iter().map(result).collect();
        let (next, values) = results.split_first()?;
        goes_on = truth(known.get(next)?)?;
        let (kept, scanned) = values.split_at(carried.len());
        for (rows, value) in rows.iter_mut().zip(scanned) {
            let row = names.free(&format!("{value}/row"));
            let axes = names.free(&format!("{value}/axes"));
            written
                .initializers
                .push(TensorProto::from_i64(&axes, &[1], &[0]));
            written
                .nodes
                .push(made("Unsqueeze", &[value.clone(), axes], &row));
            rows.push(row);
        }
        carried = kept.to_vec();
        turn += 1;
    }
    written.nodes.extend(results(node, &carried, &rows)?);
    Some(written)
}

/// What gives a loop's outputs: what was carried out of the last turn, and the rows of all turns. A loop without a turn has
/// no rows of which the shape could be told.
fn results(node: &NodeProto, carried: &[String], rows: &[Vec<String>]) -> Option<Vec<NodeProto>> {
    let mut nodes = Vec::new();
    let (last, scanned) = node.output.split_at(carried.len().min(node.output.len()));
    for (value, output) in carried
        .iter()
        .zip(last)
        .filter(|(_, output)| !output.is_empty())
    {
        nodes.push(identity(value, output));
    }
    for (rows, output) in rows
        .iter()
        .zip(scanned)
        .filter(|(_, output)| !output.is_empty())
    {
        if rows.is_empty() {
            return None;
        }
        let mut joined = made("Concat", rows, output);
        joined.attribute.push(AttributeProto::from_int("axis", 0));
        nodes.push(joined);
    }
    Some(nodes)
}

fn made(operator: &str, inputs: &[String], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(operator.to_owned()),
        input: inputs.to_vec(),
        output: vec![output.to_owned()],
        name: Some(output.to_owned()),
        ..NodeProto::default()
    }
}

fn truth(tensor: &Tensor) -> Option<bool> {
    match tensor.values() {
        Values::Boolean(values) => values.first().copied(),
        _ => None,
    }
}

fn know_initializer(initializer: &TensorProto, known: &mut Known) {
    let is_small = initializer
        .count()
        .is_ok_and(|count| count <= MOST_ELEMENTS);
    if let Some(tensor) = is_small.then(|| initializer.to_tensor().ok()).flatten() {
        known.insert(initializer.name().to_owned(), Rc::new(tensor));
    }
}

/// Evaluates a node whose inputs are constant; its outputs are constant then.
fn know_outputs(node: &NodeProto, known: &mut Known) {
    let Some(operator) = operators::find(node) else {
        return;
    };
    let inputs: Option<Vec<Option<Rc<Tensor>>>> = node
        .input
        .iter()
        .map(|name| match name.as_str() {
            "" => Some(None),
            name => known.get(name).map(|tensor| Some(Rc::clone(tensor))),
        })
        .collect();
    let Some(inputs) = inputs else {
        return;
    };
    let call = Call {
        node,
        inputs: inputs.iter().map(Option::as_deref).collect(),
    };
    let outputs = operator.evaluate(&call).unwrap_or_default();
    for (name, tensor) in node.output.iter().zip(outputs) {
        if tensor.count() <= MOST_ELEMENTS {
            known.insert(name.clone(), Rc::new(tensor));
        }
    }
}
