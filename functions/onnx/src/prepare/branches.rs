//! `If` by a condition that is constant: the branch that is always chosen.

use super::constants;
use super::known::Known;
use super::names::Names;
use super::written::Written;
use crate::proto::NodeProto;

/// The nodes of the branch; nothing where the condition is not constant.
pub(super) fn chosen(node: &NodeProto, names: &mut Names, known: &Known<'_>) -> Option<Written> {
    let mut branches = ("then_branch", "else_branch");
    if !known.truth(node.input.first()?)? {
        branches = (branches.1, branches.0);
    }
    let mut body = node.graph(branches.0)?.clone();
    let mut known = known.clone();
    // Trained values go back by name, which therefore must not be the name of something in the other branch.
    if let Some(mut other) = node.graph(branches.1).cloned() {
        let mut reserve = |name: &str, _: &mut _| {
            names.free(name);
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(()) = constants::for_each(&mut other, &mut reserve);
    }
    let mut written = Written::default();
    let bound = written.hoist(&mut body, names, &mut known);
    let results = written.turn(node.label(), &body, bound, names, &mut known);
    written.pass_on(&results, &node.output);
    Some(written)
}
