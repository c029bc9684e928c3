//! Writes new nodes into a graph, under names that say where they come from and that nothing else has.

use std::collections::{BTreeMap, HashSet};

use crate::ElementType;
use crate::Lowering;
use crate::fast;
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// Collects nodes and constants.
#[derive(Debug)]
pub(crate) struct Emitter {
    pub(crate) nodes: Vec<NodeProto>,
    pub(crate) initializers: Vec<TensorProto>,
    taken: HashSet<String>,
    /// The version of the standard operator set in which the nodes are written.
    pub(crate) opset: i64,
    lowering: Lowering,
    scope: String,
    constants: BTreeMap<String, String>,
}

impl Emitter {
    /// Begins a graph of an operator set, in which the given names stand already.
    pub(crate) fn new(
        taken: impl IntoIterator<Item = String>,
        opset: i64,
        lowering: Lowering,
    ) -> Self {
        Self {
            nodes: Vec::new(),
            initializers: Vec::new(),
            taken: taken.into_iter().collect(),
            opset,
            lowering,
            scope: String::new(),
            constants: BTreeMap::new(),
        }
    }

    /// What the names of the next nodes begin with.
    pub(crate) fn enter(&mut self, scope: String) {
        self.scope = scope;
    }

    /// A node with one output, whose name is given back.
    pub(crate) fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.node_with(operator, inputs, Vec::new())
    }

    /// A node with attributes and one output, whose name is given back.
    pub(crate) fn node_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = self.free_name(&format!("{}/{operator}", self.scope));
        self.push(&name, operator, inputs, attribute);
        name
    }

    /// A node with several outputs, whose names are given back.
    pub(crate) fn several(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
        outputs: usize,
    ) -> Vec<String> {
        let first = self.node_with(operator, inputs, attribute);
        let others: Vec<String> = (1..outputs).map(|_| self.free_name(&first)).collect();
        let node = self.nodes.last_mut().expect("a node was just added");
        node.output.extend(others);
        node.output.clone()
    }

    /// A reduction such as `ReduceSum` over the given axes, not none of them.
    ///
    /// `ReduceSum` takes its axes as an input from operator set 13 on, all others from 18 on, and as an attribute before.
    pub(crate) fn reduce(
        &mut self,
        operator: &str,
        tensor: &str,
        axes: &[i64],
        keeps: bool,
    ) -> String {
        let keep = AttributeProto::from_int("keepdims", i64::from(keeps));
        if self.opset < 18 && operator != "ReduceSum" {
            let axes = AttributeProto::from_ints("axes", axes);
            return self.node_with(operator, &[tensor], vec![axes, keep]);
        }
        let axes = self.integers(axes);
        self.node_with(operator, &[tensor, &axes], vec![keep])
    }

    /// Whether nodes of the fast lowering may be written.
    pub(crate) fn is_fast(&self) -> bool {
        self.lowering == Lowering::Fast
    }

    /// A node of the fast lowering with one output, whose name is given back.
    pub(crate) fn fast(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = self.free_name(&format!("{}/{operator}", self.scope));
        self.fast_named(&[&name], operator, inputs, attribute);
        name
    }

    /// A name for one of the outputs of a node of the fast lowering.
    pub(crate) fn fast_name(&mut self, what: &str) -> String {
        self.free_name(&format!("{}/{what}", self.scope))
    }

    /// A node of the fast lowering whose outputs have these names: empty ones are not made, and the last of them left out.
    pub(crate) fn fast_named(
        &mut self,
        outputs: &[impl AsRef<str>],
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        let mut outputs: Vec<String> = outputs
            .iter()
            .map(|name| name.as_ref().to_owned())
            .collect();
        while outputs.last().is_some_and(String::is_empty) {
            outputs.pop();
        }
        let name = outputs.iter().find(|name| !name.is_empty());
        let name = name.map_or("", String::as_str);
        self.push(name, operator, inputs, attribute);
        if let Some(node) = self.nodes.last_mut() {
            node.domain = Some(fast::DOMAIN.to_owned());
            node.output = outputs;
        }
    }

    /// The tensors one behind the other along an axis; one alone is itself.
    pub(crate) fn concat(&mut self, tensors: &[&str], axis: i64) -> String {
        match tensors {
            [only] => (*only).to_owned(),
            several => {
                let along = vec![AttributeProto::from_int("axis", axis)];
                self.node_with("Concat", several, along)
            }
        }
    }

    /// Equal parts of a tensor along an axis; one alone is the tensor itself.
    pub(crate) fn split(&mut self, tensor: &str, axis: i64, parts: usize) -> Vec<String> {
        if parts == 1 {
            return vec![tensor.to_owned()];
        }
        let mut attribute = vec![AttributeProto::from_int("axis", axis)];
        // Before operator set 18 the number of outputs says it.
        if self.opset >= 18 {
            attribute.push(AttributeProto::from_int("num_outputs", parts as i64));
        }
        self.several("Split", &[tensor], attribute, parts)
    }

    /// Parts of a tensor along an axis, of the given sizes.
    pub(crate) fn split_into(&mut self, tensor: &str, axis: i64, sizes: &[i64]) -> Vec<String> {
        let attribute = vec![AttributeProto::from_int("axis", axis)];
        let parts = self.integers(sizes);
        self.several("Split", &[tensor, &parts], attribute, sizes.len())
    }

    /// A node whose output has a name that is given.
    pub(crate) fn named(&mut self, output: &str, operator: &str, inputs: &[&str]) {
        self.push(output, operator, inputs, Vec::new());
    }

    /// As [`Emitter::named`], with attributes.
    pub(crate) fn named_with(
        &mut self,
        output: &str,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        self.push(output, operator, inputs, attribute);
    }

    /// A list of whole numbers, such as axes or a shape.
    pub(crate) fn integers(&mut self, values: &[i64]) -> String {
        self.constant(&format!("integers{values:?}"), |name| {
            TensorProto::from_i64(name, &[values.len()], values)
        })
    }

    /// One whole number, of rank 0.
    pub(crate) fn integer(&mut self, value: i64) -> String {
        self.constant(&format!("integer({value})"), |name| {
            TensorProto::from_i64(name, &[], &[value])
        })
    }

    /// One number of the given floating-point type, of rank 0.
    pub(crate) fn float(&mut self, value: f64, element: ElementType) -> String {
        self.constant(&format!("{element}({value})"), |name| match element {
            ElementType::Float64 => TensorProto::from_f64(name, &[], &[value]),
            _ => TensorProto::from_f32(name, &[], &[value as f32]),
        })
    }

    /// A matrix of the given floating-point type, row by row.
    pub(crate) fn matrix(
        &mut self,
        dims: [usize; 2],
        values: &[f64],
        element: ElementType,
    ) -> String {
        let name = self.free_name(&format!("constant/{element}{dims:?}"));
        let matrix = if element == ElementType::Float64 {
            TensorProto::from_f64(&name, &dims, values)
        } else {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            TensorProto::from_f32(&name, &dims, &values)
        };
        self.initializers.push(matrix);
        name
    }

    /// A list of float32 numbers.
    pub(crate) fn floats(&mut self, values: &[f32]) -> String {
        self.constant(&format!("float32{values:?}"), |name| {
            TensorProto::from_f32(name, &[values.len()], values)
        })
    }

    /// A list of float64 numbers.
    pub(crate) fn doubles(&mut self, values: &[f64]) -> String {
        self.constant(&format!("float64{values:?}"), |name| {
            TensorProto::from_f64(name, &[values.len()], values)
        })
    }

    /// A constant that `key` says all of: equal ones are made once.
    pub(crate) fn constant(&mut self, key: &str, make: impl FnOnce(&str) -> TensorProto) -> String {
        if let Some(name) = self.constants.get(key) {
            return name.clone();
        }
        let name = self.free_name(&format!("constant/{key}"));
        self.initializers.push(make(&name));
        self.constants.insert(key.to_owned(), name.clone());
        name
    }

    fn push(
        &mut self,
        output: &str,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        self.nodes
            .push(NodeProto::new(operator, inputs, output, attribute));
    }

    /// A name that nothing has, this one if it is free.
    pub(crate) fn free_name(&mut self, wanted: &str) -> String {
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let name = std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(|name| !self.taken.contains(name))
            .expect("there is always a higher number");
        self.taken.insert(name.clone());
        name
    }
}
