//! `Loop` with a constant number of turns, written out turn by turn.
//!
//! What decides over another turn, the count and the condition, has to follow from constants alone: it is evaluated here.

use super::known::Known;
use super::names::Names;
use super::written::Written;
use crate::ElementType;
use crate::proto::{NodeProto, TensorProto};

/// The most turns that are written out: a sequence of more steps makes a graph that nothing runs well.
pub(super) const MOST_TURNS: i64 = 4096;

/// A loop's turns one behind the other; nothing where their number does not follow from constants.
pub(super) fn turns(node: &NodeProto, names: &mut Names, known: &Known<'_>) -> Option<Written> {
    let mut body = node.graph("body")?.clone();
    let mut known = known.clone();
    let given = |input: usize| node.input.get(input).filter(|name| !name.is_empty());
    let most = match given(0) {
        Some(name) => known.integer(name)?,
        None => i64::MAX,
    };
    let mut goes_on = match given(1) {
        Some(name) => known.truth(name)?,
        None => true,
    };
    let mut written = Written::default();
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
        let number = names.free(&format!("{scope}/turn"));
        let condition = names.free(&format!("{scope}/condition"));
        written.constant(TensorProto::from_i64(&number, &[], &[turn]), &mut known);
        let holds = TensorProto::from_raw(&condition, ElementType::Bool, &[], vec![1]);
        written.constant(holds, &mut known);
        let mut bound = outer.clone();
        let inputs = [number, condition].into_iter().chain(carried);
        let names_inside = body.input.iter().map(|input| input.name().to_owned());
        bound.extend(names_inside.zip(inputs));
        let results = written.turn(&scope, &body, bound, names, &mut known);
        let (next, values) = results.split_first()?;
        goes_on = known.truth(next)?;
        let (kept, scanned) = values.split_at(values.len() - rows.len());
        for (rows, value) in rows.iter_mut().zip(scanned) {
            rows.push(written.row(value, 0, names));
        }
        carried = kept.to_vec();
        turn += 1;
    }
    let (last, scanned) = node.output.split_at(carried.len().min(node.output.len()));
    written.pass_on(&carried, last);
    for (rows, output) in rows.iter().zip(scanned) {
        match (rows.is_empty(), output.is_empty()) {
            (_, true) => {}
            // A loop without a turn has no rows of which the shape could be told.
            (true, false) => return None,
            (false, false) => written.join(rows, 0, output),
        }
    }
    Some(written)
}
