//! New names for the tensors of a body that is put into a graph.

use std::collections::{BTreeMap, HashSet};

use crate::graph::rename_in;
use crate::proto::{GraphProto, NodeProto, TensorProto, ValueInfoProto};

/// Names that are given out once.
#[derive(Debug)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// Begins with the names of a graph.
    pub(super) fn of(graph: &GraphProto) -> Self {
        let inputs = graph.input.iter().map(ValueInfoProto::name);
        let initializers = graph.initializer.iter().map(TensorProto::name);
        let made = graph.node.iter().flat_map(|node| &node.output);
        let all = inputs.chain(initializers).chain(made.map(String::as_str));
        Self(all.map(str::to_owned).collect())
    }

    /// The wanted name, or that with a number.
    pub(super) fn free(&mut self, wanted: &str) -> String {
        let numbered = (2..).map(|number| format!("{wanted}_{number}"));
        let name = std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(|name| !self.0.contains(name))
            .expect("there is always a higher number");
        self.0.insert(name.clone());
        name
    }

    /// Copies a body's nodes. `bound` says what the names from outside stand for; all that the nodes make gets new names,
    /// which are added to it.
    pub(super) fn copy(
        &mut self,
        scope: &str,
        nodes: &[NodeProto],
        bound: &mut BTreeMap<String, String>,
    ) -> Vec<NodeProto> {
        for output in nodes.iter().flat_map(|node| &node.output) {
            if !output.is_empty() {
                let name = self.free(&format!("{scope}/{output}"));
                bound.insert(output.clone(), name);
            }
        }
        let copies = nodes.iter().map(|node| {
            let mut node = node.clone();
            node.name = Some(format!("{scope}/{}", node.label()));
            rename_in(&mut node, bound);
            node
        });
        copies.collect()
    }
}

/// A node that passes a tensor on under another name.
pub(super) fn identity(input: &str, output: &str) -> NodeProto {
    NodeProto {
        op_type: Some("Identity".to_owned()),
        input: vec![input.to_owned()],
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}
