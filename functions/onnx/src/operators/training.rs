//! What an operator sees when its form for training is written: a node, and the emitter that takes the nodes in its place.

use crate::emitter::Emitter;
use crate::facts::{Fact, Facts};
use crate::proto::NodeProto;

/// A node on its way into the form in which it trains.
pub(crate) struct Training<'a> {
    pub(crate) node: &'a NodeProto,
    /// Its place among the nodes of the model that the prediction depends on.
    pub(super) number: usize,
    pub(super) emit: &'a mut Emitter,
    facts: &'a Facts,
    statistics: &'a [String],
}

impl<'a> Training<'a> {
    pub(crate) fn new(
        node: &'a NodeProto,
        number: usize,
        emit: &'a mut Emitter,
        facts: &'a Facts,
        statistics: &'a [String],
    ) -> Self {
        Self {
            node,
            number,
            emit,
            facts,
            statistics,
        }
    }

    pub(super) fn input(&self, index: usize) -> &'a str {
        &self.node.input[index]
    }

    /// What is known of an input; nothing where it is left out.
    pub(super) fn input_fact(&self, index: usize) -> Option<&'a Fact> {
        let name = self.node.input.get(index)?;
        (!name.is_empty()).then(|| self.facts.get(name))
    }

    /// What is known of all inputs.
    pub(super) fn inputs(&self) -> Vec<&'a Fact> {
        let names = self.node.input.iter();
        names.map(|name| self.facts.get(name)).collect()
    }

    /// Whether an input is a running statistic that the step updates.
    pub(super) fn updates(&self, input: usize) -> bool {
        let name = self.node.input.get(input);
        name.is_some_and(|name| self.statistics.contains(name))
    }

    pub(super) fn emit(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.emit.node(operator, inputs)
    }
}
