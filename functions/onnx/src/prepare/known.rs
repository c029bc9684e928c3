//! What is constant while bodies are written out: by the facts on the graph around them, and by what has been written.

use std::collections::HashMap;
use std::rc::Rc;

use crate::facts::Facts;
use crate::operators::{self, Call};
use crate::proto::{NodeProto, TensorProto};
use crate::{Tensor, Values};

/// Constants beyond this many elements decide over nothing.
const MOST_ELEMENTS: usize = 4096;

/// Constant tensors, by their names.
#[derive(Clone)]
pub(super) struct Known<'a> {
    facts: &'a Facts,
    own: HashMap<String, Rc<Tensor>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(facts: &'a Facts) -> Self {
        Self {
            facts,
            own: HashMap::new(),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Rc<Tensor>> {
        let around = || self.facts.get(name).constant.as_ref();
        self.own.get(name).or_else(around)
    }

    /// The only element of a whole number.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_integers()?.first().copied()
    }

    /// The only element of a truth value.
    pub(super) fn truth(&self, name: &str) -> Option<bool> {
        match self.get(name)?.values() {
            Values::Boolean(values) => values.first().copied(),
            _ => None,
        }
    }

    /// The size of a tensor of the graph around along an axis.
    pub(super) fn size(&self, name: &str, axis: i64) -> Option<i64> {
        self.facts.get(name).size_along(axis)
    }

    /// How many dimensions a tensor of the graph around has.
    pub(super) fn rank(&self, name: &str) -> Option<usize> {
        self.facts.get(name).rank()
    }

    pub(super) fn add(&mut self, initializer: &TensorProto) {
        let is_small = initializer
            .count()
            .is_ok_and(|count| count <= MOST_ELEMENTS);
        if let Some(tensor) = is_small.then(|| initializer.to_tensor().ok()).flatten() {
            self.own
                .insert(initializer.name().to_owned(), Rc::new(tensor));
        }
    }

    /// Evaluates a node whose inputs are constant; its outputs are constant then.
    pub(super) fn follow(&mut self, node: &NodeProto) {
        let Some(operator) = operators::find(node).filter(|operator| !operator.is_random()) else {
            return;
        };
        let inputs: Option<Vec<Option<Rc<Tensor>>>> = node
            .input
            .iter()
            .map(|name| match name.as_str() {
                "" => Some(None),
                name => self.get(name).map(|tensor| Some(Rc::clone(tensor))),
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
                self.own.insert(name.clone(), Rc::new(tensor));
            }
        }
    }
}
