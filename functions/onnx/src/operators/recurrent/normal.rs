//! The form in which recurrent nodes train: steps first, and with the output Y, from which the gradient starts.

use super::{Form, INITIAL_C, INITIAL_H, X, has_output};
use crate::emitter::Emitter;
use crate::proto::{AttributeProto, NodeProto};

/// Writes a node in this form, with what turns its inputs and outputs; false where it has it already.
pub(super) fn expand(node: &NodeProto, emit: &mut Emitter) -> bool {
    let is_batch_first = Form::is_batch_first(node);
    if has_output(node, 0) && !is_batch_first {
        return false;
    }
    let mut standard = node.clone();
    if is_batch_first {
        standard
            .attribute
            .retain(|attribute| attribute.name() != "layout");
        for input in [X, INITIAL_H, INITIAL_C] {
            if let Some(name) = standard
                .input
                .get_mut(input)
                .filter(|name| !name.is_empty())
            {
                *name = emit.node_with("Transpose", &[name], order(&[1, 0, 2]));
            }
        }
        for name in standard.output.iter_mut().filter(|name| !name.is_empty()) {
            *name = emit.free_name(name);
        }
    }
    if !has_output(&standard, 0) {
        let name = emit.free_name(&format!("{}/Y", node.label()));
        standard.output[0] = name;
    }
    let inner = standard.output.clone();
    emit.nodes.push(standard);
    if is_batch_first {
        for (at, name) in node.output.iter().enumerate() {
            if !name.is_empty() {
                let order = order(if at == 0 { &[2, 0, 1, 3] } else { &[1, 0, 2] });
                emit.named_with(name, "Transpose", &[&inner[at]], order);
            }
        }
    }
    true
}

fn order(order: &[i64]) -> Vec<AttributeProto> {
    vec![AttributeProto::from_ints("perm", order)]
}
