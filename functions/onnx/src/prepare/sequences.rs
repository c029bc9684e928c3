//! Sequences of tensors that are made only to be taken apart again, in terms of tensors: PyTorch's older exporter writes cuts
//! into uneven parts so.

use std::collections::HashMap;

use super::known::Known;
use super::names::{Names, identity};
use super::written::{Written, made};
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// Whether a node makes or takes a sequence.
pub(super) fn is_of_sequences(node: &NodeProto) -> bool {
    matches!(node.domain(), "" | "ai.onnx")
        && matches!(
            node.op_type(),
            "ConcatFromSequence" | "SequenceAt" | "SequenceConstruct" | "SplitToSequence"
        )
}

/// The nodes before, by the sequences that they make.
pub(super) type Makers = HashMap<String, NodeProto>;

/// Writes a node that takes tensors out of a sequence; nothing where what it takes does not follow from constants.
pub(super) fn taken(
    node: &NodeProto,
    makers: &Makers,
    names: &mut Names,
    known: &Known<'_>,
) -> Option<Written> {
    let maker = makers.get(node.input.first()?)?;
    let output = node.output.first()?;
    let mut writer = Writer {
        scope: node.label(),
        names,
        written: Written::default(),
    };
    match (node.op_type(), maker.op_type()) {
        ("SequenceAt", "SequenceConstruct") => {
            let at = place(known.integer(node.input.get(1)?)?, maker.input.len())?;
            writer
                .written
                .nodes
                .push(identity(&maker.input[at], output));
        }
        ("SequenceAt", _) => {
            let at = known.integer(node.input.get(1)?)?;
            let [start, end] = bounds(maker, at, known)?;
            let axis = maker.int("axis", 0);
            let has_sizes = maker.input.get(1).is_some_and(|name| !name.is_empty());
            let keeps = has_sizes || maker.int("keepdims", 1) != 0;
            let numbers = [start, end, axis].map(|number| writer.list(number));
            let inputs = [&maker.input[..1], &numbers].concat();
            if keeps {
                writer.written.nodes.push(made("Slice", &inputs, output));
            } else {
                let part = writer.names.free(&format!("{}/part", node.label()));
                writer.written.nodes.push(made("Slice", &inputs, &part));
                let squeezed = [part, numbers[2].clone()];
                writer
                    .written
                    .nodes
                    .push(made("Squeeze", &squeezed, output));
            }
        }
        ("ConcatFromSequence", "SequenceConstruct") => {
            let axis = node.int("axis", 0);
            let mut parts = maker.input.clone();
            if node.int("new_axis", 0) != 0 {
                for part in &mut parts {
                    *part = writer.written.row(part, axis, writer.names);
                }
            }
            writer.written.join(&parts, axis, output);
        }
        _ => return None,
    }
    Some(writer.written)
}

struct Writer<'a> {
    scope: &'a str,
    names: &'a mut Names,
    written: Written,
}

impl Writer<'_> {
    fn list(&mut self, number: i64) -> String {
        let name = self.names.free(&format!("{}/number", self.scope));
        let tensor = TensorProto::from_i64(&name, &[1], &[number]);
        let mut constant = made("Constant", &[], &name);
        constant
            .attribute
            .push(AttributeProto::from_tensor("value", tensor));
        self.written.nodes.push(constant);
        name
    }
}

fn place(at: i64, count: usize) -> Option<usize> {
    crate::operators::resolve_axis(at, count)
}

/// Where a part of a tensor that `SplitToSequence` cuts begins and ends.
fn bounds(maker: &NodeProto, at: i64, known: &Known<'_>) -> Option<[i64; 2]> {
    let axis = maker.int("axis", 0);
    let size = || known.size(&maker.input[0], axis);
    let Some(sizes) = maker.input.get(1).filter(|name| !name.is_empty()) else {
        let at = if at < 0 { at + size()? } else { at };
        return Some([at, at + 1]);
    };
    let sizes = known.get(sizes)?;
    match (sizes.rank(), sizes.as_integers()?) {
        (0, &[each]) => {
            let at = if at < 0 {
                at + (size()? + each - 1) / each
            } else {
                at
            };
            Some([at * each, (at + 1) * each])
        }
        (_, all) => {
            let at = place(at, all.len())?;
            let start: i64 = all[..at].iter().sum();
            Some([start, start + all[at]])
        }
    }
}
