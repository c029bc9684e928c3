//! `Scan` over tensors of a constant length, written out turn by turn.

use super::known::Known;
use super::loops::MOST_TURNS;
use super::names::Names;
use super::written::{Written, made};
use crate::operators::resolve_axis;
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// A scan's turns one behind the other; nothing where the length is not known.
pub(super) fn turns(node: &NodeProto, names: &mut Names, known: &Known<'_>) -> Option<Written> {
    let mut body = node.graph("body")?.clone();
    let mut known = known.clone();
    let count = usize::try_from(node.int("num_scan_inputs", 0)).ok()?;
    let states = node.input.len().checked_sub(count)?;
    let collected = node.output.len().checked_sub(states)?;
    if body.input.len() != node.input.len() || body.output.len() != node.output.len() {
        return None;
    }
    let list = |name: &str, count: usize| node.ints(name).map_or(vec![0; count], <[_]>::to_vec);
    let (in_axes, out_axes) = (
        list("scan_input_axes", count),
        list("scan_output_axes", collected),
    );
    let (ins_backwards, outs_backwards) = (
        list("scan_input_directions", count),
        list("scan_output_directions", collected),
    );
    let scanned: Vec<(&String, i64)> = node.input[states..].iter().zip(in_axes).collect();
    let (first, axis) = scanned.first()?;
    let length = known.size(first, *axis)?;
    if !(1..=MOST_TURNS).contains(&length) {
        return None;
    }

    let mut written = Written::default();
    let outer = written.hoist(&mut body, names, &mut known);
    let mut carried: Vec<String> = node.input[..states].to_vec();
    let mut rows: Vec<Vec<String>> = vec![Vec::new(); collected];
    for turn in 0..length {
        let scope = format!("{}/{turn}", node.label());
        let mut inputs = carried;
        for ((tensor, axis), backwards) in scanned.iter().zip(&ins_backwards) {
            let at = if *backwards == 0 {
                turn
            } else {
                length - 1 - turn
            };
            let axis = resolve_axis(*axis, known.rank(tensor)?)?;
            let place = names.free(&format!("{scope}/place"));
            written.constant(TensorProto::from_i64(&place, &[], &[at]), &mut known);
            let element = names.free(&format!("{scope}/{tensor}"));
            let mut gather = made("Gather", &[(*tensor).clone(), place], &element);
            gather
                .attribute
                .push(AttributeProto::from_int("axis", axis as i64));
            written.nodes.push(gather);
            inputs.push(element);
        }
        let mut bound = outer.clone();
        let names_inside = body.input.iter().map(|input| input.name().to_owned());
        bound.extend(names_inside.zip(inputs));
        let mut results = written.turn(&scope, &body, bound, names, &mut known);
        let values = results.split_off(states);
        for ((rows, value), axis) in rows.iter_mut().zip(&values).zip(&out_axes) {
            rows.push(written.row(value, *axis, names));
        }
        carried = results;
    }
    written.pass_on(&carried, &node.output[..states]);
    let outputs = node.output[states..].iter().zip(out_axes);
    for ((output, axis), (mut rows, backwards)) in outputs.zip(rows.into_iter().zip(outs_backwards))
    {
        if backwards != 0 {
            rows.reverse();
        }
        if !output.is_empty() {
            written.join(&rows, axis, output);
        }
    }
    Some(written)
}
