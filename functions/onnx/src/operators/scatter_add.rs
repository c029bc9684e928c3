//! Rows of a tensor added into another, at places that are given: the gradient of whatever looks elements up.

use super::Backward;
use crate::proto::AttributeProto;

/// Emits zeros of a shape with rows added in at indices: `indices[…, k]` name places along the first k dimensions, `rows` has
/// the indices' other dimensions and then the shape's. Places that occur several times get the sum.
///
/// `ScatterND` adds from operator set 16 on. Before, a table of zeros and ones says which row goes where, and a product sums.
pub(super) fn emit(
    backward: &mut Backward<'_>,
    shape: &str,
    indices: &str,
    rows: &str,
    k: usize,
) -> String {
    if backward.emit.opset >= 16 {
        let zeros = backward.filled(shape, 0.0);
        let add = vec![AttributeProto::from_string("reduction", "add")];
        return backward
            .emit
            .node_with("ScatterND", &[&zeros, indices, rows], add);
    }
    let last = || vec![AttributeProto::from_int("axis", -1)];
    let zero = backward.emit.integer(0);
    let head = (0..k as i64).collect::<Vec<_>>();
    let head = backward.emit.integers(&head);
    let head = backward.node("Gather", &[shape, &head]);
    let is_negative = backward.node("Greater", &[&zero, indices]);
    let from_end = backward.node("Add", &[indices, &head]);
    let indices = backward.node("Where", &[&is_negative, &from_end, indices]);

    // The place along the first k dimensions taken as one.
    let (mut place, mut count) = (String::new(), String::new());
    for axis in 0..k {
        let axis = backward.emit.integer(axis as i64);
        let size = backward.node("Gather", &[&head, &axis]);
        let at = backward
            .emit
            .node_with("Gather", &[&indices, &axis], last());
        if place.is_empty() {
            (place, count) = (at, size);
        } else {
            let before = backward.node("Mul", &[&place, &size]);
            place = backward.node("Add", &[&before, &at]);
            count = backward.node("Mul", &[&count, &size]);
        }
    }
    let flat = backward.emit.integers(&[-1]);
    let place = backward.node("Reshape", &[&place, &flat]);
    let off_on = backward.emit.floats(&[0.0, 1.0]);
    let table = backward
        .emit
        .node_with("OneHot", &[&place, &count, &off_on], last());
    let number = backward.node("Shape", &[&place]);
    let first = vec![AttributeProto::from_int("axis", 0)];
    let matrix = backward.emit.node_with("Concat", &[&number, &flat], first);
    let rows = backward.node("Reshape", &[rows, &matrix]);
    let table = backward.transpose(&table, &[1, 0]);
    let sums = backward.node("MatMul", &[&table, &rows]);
    backward.node("Reshape", &[&sums, shape])
}
