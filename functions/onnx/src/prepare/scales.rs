//! `Resize` by scales that miss a whole size by a rounding: tf2onnx writes 5/6 as 0.8333333, and 6 · 0.8333333 < 5.
//!
//! ONNX Runtime rounds the product where it computes, and does not where it infers shapes. The two sizes are at odds as soon
//! as something of a known shape meets the result, such as labels, so that a step would not load. A scale that is larger by
//! the least that a float32 can be gives one size in both ways.

use crate::ElementType;
use crate::facts::Facts;
use crate::graph::Graph;
use crate::operators::resolve_axis;
use crate::proto::TensorProto;

const SCALES: usize = 2;

/// Raises such scales of a graph where they are. Whether there were any is given back.
pub(crate) fn settle(graph: &mut Graph, facts: &Facts) -> bool {
    let mut raised: Vec<(String, Vec<f32>)> = Vec::new();
    for node in graph.nodes.iter().filter(|node| node.op_type() == "Resize") {
        let name = node.input.get(SCALES).filter(|name| !name.is_empty());
        let scales = name.and_then(|name| graph.initializer(name));
        let sizes = node.input.first().map(|input| facts.get(input));
        let (Some(scales), Some(fact)) = (scales, sizes) else {
            continue;
        };
        let (Ok(mut values), Some(rank)) = (scales.to_f32(), fact.rank()) else {
            continue;
        };
        let before = values.clone();
        let axes = node.ints("axes").map_or_else(
            || (0..rank).collect(),
            |axes| -> Vec<usize> {
                axes.iter()
                    .filter_map(|&axis| resolve_axis(axis, rank))
                    .collect()
            },
        );
        for (axis, scale) in axes.into_iter().zip(&mut values) {
            if let Some(size) = fact.size_along(axis as i64) {
                *scale = settled(*scale, size);
            }
        }
        if values != before {
            raised.push((scales.name().to_owned(), values));
        }
    }
    for (name, values) in &raised {
        for initializer in &mut graph.initializers {
            if initializer.name() == name && initializer.element() == ElementType::Float32 {
                *initializer = TensorProto::from_f32(name, &[values.len()], values);
            }
        }
    }
    !raised.is_empty()
}

/// The least scale from this one on by which a size becomes the same number whether the product is rounded or not.
fn settled(scale: f32, size: i64) -> f32 {
    let rounded = (size as f32 * scale).floor();
    let exact = |scale: f32| (size as f64 * f64::from(scale)).floor();
    if scale.is_finite() && scale > 0.0 && exact(scale) < f64::from(rounded) {
        scale.next_up()
    } else {
        scale
    }
}

#[cfg(test)]
mod tests {
    use super::settled;

    #[test]
    fn a_scale_is_raised_where_the_product_is_rounded_up() {
        for (from, to) in [(6_u8, 5_u8), (6, 7), (3, 1), (10, 7), (49, 50)] {
            let scale = f32::from(to) / f32::from(from);
            let found = settled(scale, i64::from(from));
            assert!([scale, scale.next_up()].contains(&found));
            let sizes = [
                f64::from(from) * f64::from(found),
                f64::from(f32::from(from) * found),
            ];
            assert_eq!(sizes.map(|size| size as u8), [to, to], "from {from}");
        }
        let unchanged = settled(2.0, 6);
        assert!([2.0].contains(&unchanged));
    }
}
