//! What a node with a body becomes: the body's nodes, once or turn by turn, and its initializers.

use std::collections::BTreeMap;

use super::constants;
use super::known::Known;
use super::names::{Names, identity};
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Nodes and initializers that take a node's place.
#[derive(Default)]
pub(super) struct Written {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) initializers: Vec<TensorProto>,
}

impl Written {
    /// Takes a body's initializers out of it, once for all turns. The names under which they stand now are given back.
    ///
    /// Where two bodies use one name, the second's initializer becomes a `Constant` node, which does not train: its trained
    /// values would not find their way back.
    pub(super) fn hoist(
        &mut self,
        body: &mut GraphProto,
        names: &mut Names,
        known: &mut Known<'_>,
    ) -> BTreeMap<String, String> {
        constants::to_initializers(body);
        let mut outer = BTreeMap::new();
        for mut initializer in std::mem::take(&mut body.initializer) {
            let name = names.free(initializer.name());
            let keeps_name = initializer.name() == name;
            outer.insert(initializer.name().to_owned(), name.clone());
            initializer.name = Some(name.clone());
            known.add(&initializer);
            if keeps_name {
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

    /// Writes a body's nodes once. `bound` says what the names of its inputs stand for; what its outputs are called now is
    /// given back.
    pub(super) fn turn(
        &mut self,
        scope: &str,
        body: &GraphProto,
        mut bound: BTreeMap<String, String>,
        names: &mut Names,
        known: &mut Known<'_>,
    ) -> Vec<String> {
        for copy in names.copy(scope, &body.node, &mut bound) {
            known.follow(&copy);
            self.nodes.push(copy);
        }
        let outputs = body.output.iter();
        let result = |name: &str| bound.get(name).cloned().unwrap_or_else(|| name.to_owned());
        outputs.map(|output| result(output.name())).collect()
    }

    /// A constant that stands for nothing in the model.
    pub(super) fn constant(&mut self, tensor: TensorProto, known: &mut Known<'_>) {
        known.add(&tensor);
        self.initializers.push(tensor);
    }

    /// A tensor with a new axis of size 1.
    pub(super) fn row(&mut self, value: &str, axis: i64, names: &mut Names) -> String {
        let row = names.free(&format!("{value}/row"));
        let axes = names.free(&format!("{value}/axes"));
        self.initializers
            .push(TensorProto::from_i64(&axes, &[1], &[axis]));
        self.nodes
            .push(made("Unsqueeze", &[value.to_owned(), axes], &row));
        row
    }

    /// Passes values on under the names of a node's outputs.
    pub(super) fn pass_on(&mut self, values: &[String], outputs: &[String]) {
        let outputs = values.iter().zip(outputs);
        let named = outputs.filter(|(_, output)| !output.is_empty());
        self.nodes
            .extend(named.map(|(value, output)| identity(value, output)));
    }

    /// Joins the rows of all turns under the name of an output.
    pub(super) fn join(&mut self, rows: &[String], axis: i64, output: &str) {
        let mut joined = made("Concat", rows, output);
        joined
            .attribute
            .push(AttributeProto::from_int("axis", axis));
        self.nodes.push(joined);
    }
}

pub(super) fn made(operator: &str, inputs: &[String], output: &str) -> NodeProto {
    NodeProto::new(operator, inputs, output, Vec::new())
}
