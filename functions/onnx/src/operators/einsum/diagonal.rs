//! Diagonals: labels that stand more than once in one input of an `Einsum`.

use crate::ElementType;
use crate::extent::Extent;
use crate::operators::Backward;
use crate::proto::AttributeProto;

/// The axes at which each label stands first.
pub(super) fn first(labels: &[char]) -> Vec<usize> {
    let is_first = |axis: &usize| !labels[..*axis].contains(&labels[*axis]);
    (0..labels.len()).filter(is_first).collect()
}

/// All other axes, each with the one at which its label stands first.
pub(super) fn repeated(labels: &[char]) -> Vec<(usize, usize)> {
    let of = |axis: usize| {
        let first = labels[..axis]
            .iter()
            .position(|label| *label == labels[axis])?;
        Some((axis, first))
    };
    (0..labels.len()).filter_map(of).collect()
}

/// Emits a tensor with the repeated axes, in their order, put into one of `rank` dimensions that lacks them: its elements stand
/// where the axes have equal places, with zeros beside them. All sizes of these axes are known.
pub(super) fn unfold(
    backward: &mut Backward<'_>,
    mut tensor: String,
    repeated: &[(usize, usize)],
    shape: &[Extent],
    mut rank: usize,
) -> String {
    for &(axis, first) in repeated {
        let added = backward.emit.integers(&[axis as i64]);
        tensor = backward.node("Unsqueeze", &[&tensor, &added]);
        rank += 1;
        let size = shape[axis].as_fixed().unwrap_or(1);
        let places: Vec<i64> = (0..size).collect();
        let places = backward.emit.integers(&places);
        let [along, across] = [axis, first].map(|axis| {
            let mut column = vec![1; rank];
            column[axis] = size;
            let column = backward.emit.integers(&column);
            backward.node("Reshape", &[&places, &column])
        });
        let is_on = backward.node("Equal", &[&along, &across]);
        let element = backward.output_fact().element;
        let element = element.unwrap_or(ElementType::Float32);
        let to = AttributeProto::from_int("to", i64::from(element.code()));
        let is_on = backward.emit.node_with("Cast", &[&is_on], vec![to]);
        tensor = backward.node("Mul", &[&tensor, &is_on]);
    }
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_stands_three_times_is_repeated_twice() {
        let labels: Vec<char> = "ijiki".chars().collect();
        assert_eq!(first(&labels), [0, 1, 3]);
        assert_eq!(repeated(&labels), [(2, 0), (4, 0)]);
    }
}
