//! A convolution, with the `Relu` and the `MaxPool` behind it.

use super::{Fused, Nodes, is_standard};
use crate::emitter::Emitter;
use crate::fast;
use crate::operators::convolution_block::{convolution, pool};
use crate::proto::{AttributeProto, NodeProto};

/// A convolution and what it has taken in.
pub(super) struct Convolution {
    attributes: Vec<AttributeProto>,
    output: String,
    index: Option<String>,
}

impl Convolution {
    /// The convolution that begins at a node.
    pub(super) fn at(place: usize, nodes: &Nodes<'_>, emitter: &mut Emitter) -> Option<Fused> {
        let node = &nodes.all[place];
        let attributes = is_standard(node, "Conv").then(|| convolution(node, nodes.facts))??;
        let mut block = Self {
            attributes,
            output: node.output.first()?.clone(),
            index: None,
        };
        let mut taken = Vec::new();
        if let Some(relu) = nodes.only_user(&block.output, "Relu") {
            block.with_relu(&nodes.all[relu]);
            taken.push(relu);
        }
        if let Some(user) = nodes.only_user(&block.output, "MaxPool")
            && let Some(taps) = pool(&nodes.all[user], nodes.facts)
        {
            block.with_pool(&nodes.all[user], &taps, emitter);
            taken.push(user);
        }
        Some(Fused {
            taken,
            place,
            node: block.into_node(node),
        })
    }

    fn with_relu(&mut self, relu: &NodeProto) {
        self.attributes.push(AttributeProto::from_int("relu", 1));
        self.output.clone_from(&relu.output[0]);
    }

    fn with_pool(&mut self, pool: &NodeProto, taps: &[i64], emitter: &mut Emitter) {
        self.attributes
            .push(AttributeProto::from_ints("pool", taps));
        self.output.clone_from(&pool.output[0]);
        self.index = Some(emitter.free_name(&format!("{}/index", pool.label())));
    }

    fn into_node(self, convolution: &NodeProto) -> NodeProto {
        NodeProto {
            op_type: Some(fast::CONVOLUTION.to_owned()),
            domain: Some(fast::DOMAIN.to_owned()),
            output: std::iter::once(self.output).chain(self.index).collect(),
            attribute: self.attributes,
            ..convolution.clone()
        }
    }
}
