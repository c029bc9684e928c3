//! Where the numbers of a tensor lie in the one that it is made of by moving numbers about: `Reshape`, `Transpose` and `Split`.

use super::{Nodes, is_standard};
use crate::extent::Extent;
use crate::operators::resolve_axis;
use crate::proto::NodeProto;

/// A tensor whose records are those of another one, each with its numbers at certain places.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct View {
    /// The tensor that has the numbers.
    pub(super) source: String,
    /// How many records there are.
    pub(super) records: Extent,
    /// The place of a record's first number.
    pub(super) offset: i64,
    /// The dimensions behind the records', and how far the numbers along each are from one another.
    pub(super) dims: Vec<Dimension>,
    /// The nodes between, which make nothing that anybody else uses.
    pub(super) taken: Vec<usize>,
    /// The `Split` among these that makes the tensor, and which of its outputs it is.
    pub(super) part: Option<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Dimension {
    pub(super) size: i64,
    pub(super) stride: i64,
}

impl View {
    /// Follows a tensor back. A `Split` is passed only where `passes_split` says so.
    pub(super) fn of(tensor: &str, nodes: &Nodes<'_>, passes_split: bool) -> Option<Self> {
        let mut way = Vec::new();
        let mut part = None;
        let mut source = tensor;
        while let Some(maker) = nodes.only_maker(source) {
            let node = &nodes.all[maker];
            let is_split = is_standard(node, "Split");
            if is_split && passes_split && part.is_none() {
                let number = node.output.iter().position(|output| output == source)?;
                part = Some((maker, number));
            } else if !is_standard(node, "Reshape") && !is_standard(node, "Transpose") {
                break;
            }
            way.push((maker, source));
            source = node.input.first()?;
        }
        let mut view = Self::whole(source, nodes)?;
        for (maker, made) in way.into_iter().rev() {
            view.pass(&nodes.all[maker], made, nodes)?;
            view.taken.push(maker);
        }
        view.part = part;
        Some(view)
    }

    /// A tensor as it lies.
    pub(super) fn whole(tensor: &str, nodes: &Nodes<'_>) -> Option<Self> {
        let records = nodes.facts.get(tensor).shape.as_deref()?.first()?.clone();
        let sizes = record_sizes(tensor, &records, nodes)?;
        Some(Self {
            source: tensor.to_owned(),
            records,
            offset: 0,
            dims: contiguous(&sizes),
            taken: Vec::new(),
            part: None,
        })
    }

    /// The same numbers behind a node.
    fn pass(&mut self, node: &NodeProto, made: &str, nodes: &Nodes<'_>) -> Option<()> {
        let sizes = record_sizes(made, &self.records, nodes)?;
        match node.op_type() {
            "Transpose" => self.dims = reordered(node, &self.dims)?,
            "Split" => self.cut(node, made, nodes)?,
            _ => self.dims = regrouped(&self.dims, &sizes)?,
        }
        let is_as_known = self.dims.iter().map(|dim| dim.size).eq(sizes);
        is_as_known.then_some(())
    }

    fn cut(&mut self, node: &NodeProto, made: &str, nodes: &Nodes<'_>) -> Option<()> {
        let rank = self.dims.len() + 1;
        let axis = resolve_axis(node.int("axis", 0), rank)?.checked_sub(1)?;
        for output in &node.output {
            let size = *record_sizes(output, &self.records, nodes)?.get(axis)?;
            if output == made {
                self.dims[axis].size = size;
                return Some(());
            }
            self.offset += size * self.dims[axis].stride;
        }
        None
    }
}

/// The sizes of a tensor behind its first dimension, which is that of the records.
pub(super) fn record_sizes(tensor: &str, records: &Extent, nodes: &Nodes<'_>) -> Option<Vec<i64>> {
    let shape = nodes.facts.get(tensor).shape.as_deref()?;
    let (first, sizes) = shape.split_first()?;
    let sizes = || sizes.iter().map(Extent::as_fixed).collect();
    (first == records).then(sizes)?
}

/// The dimensions behind a `Transpose`.
fn reordered(transpose: &NodeProto, dims: &[Dimension]) -> Option<Vec<Dimension>> {
    let order = order_of_record(transpose, dims.len())?;
    Some(order.into_iter().map(|axis| dims[axis]).collect())
}

/// In which order a `Transpose` puts the dimensions behind the records'.
pub(super) fn order_of_record(transpose: &NodeProto, rank: usize) -> Option<Vec<usize>> {
    let (&first, others) = transpose.ints("perm")?.split_first()?;
    if first != 0 || others.len() != rank {
        return None;
    }
    let others = others.iter();
    others
        .map(|&axis| usize::try_from(axis).ok()?.checked_sub(1))
        .collect()
}

/// A record that lies row by row.
pub(super) fn contiguous(sizes: &[i64]) -> Vec<Dimension> {
    let mut stride = 1;
    let mut dims: Vec<Dimension> = Vec::with_capacity(sizes.len());
    for &size in sizes.iter().rev() {
        dims.push(Dimension { size, stride });
        stride *= size;
    }
    dims.reverse();
    dims
}

/// The same numbers in the same order under other dimensions, where each of the old ones becomes one or several.
fn regrouped(dims: &[Dimension], sizes: &[i64]) -> Option<Vec<Dimension>> {
    let merged = merged(dims);
    let mut found = Vec::with_capacity(sizes.len());
    let mut sizes = sizes.iter().copied();
    for dim in merged {
        let mut left = dim.size;
        while left > 1 {
            let size = sizes.next()?;
            if size <= 0 || left % size != 0 {
                return None;
            }
            left /= size;
            let stride = dim.stride * left;
            found.push(Dimension { size, stride });
        }
    }
    for size in sizes {
        found.push(Dimension { size, stride: 1 });
    }
    let count = |dims: &[Dimension]| dims.iter().map(|dim| dim.size).product::<i64>();
    (count(&found) == count(dims)).then_some(found)
}

/// Dimensions of which the first goes on where the second ends are one.
fn merged(dims: &[Dimension]) -> Vec<Dimension> {
    let mut merged: Vec<Dimension> = Vec::with_capacity(dims.len());
    for &dim in dims.iter().filter(|dim| dim.size != 1) {
        match merged.last_mut() {
            Some(last) if last.stride == dim.stride * dim.size => {
                last.size *= dim.size;
                last.stride = dim.stride;
            }
            _ => merged.push(dim),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::{Dimension, contiguous, regrouped};

    #[test]
    fn heads_are_taken_apart_and_put_together() {
        let third = [
            Dimension {
                size: 32,
                stride: 192,
            },
            Dimension {
                size: 64,
                stride: 1,
            },
        ];
        let heads = regrouped(&third, &[32, 4, 16]).unwrap();
        let strides: Vec<i64> = heads.iter().map(|dim| dim.stride).collect();
        assert_eq!(strides, [192, 16, 1]);
        assert_eq!(regrouped(&heads, &[32, 64]).unwrap(), third);
        // What lies apart is not one dimension.
        assert_eq!(regrouped(&third, &[32 * 64]), None);
        assert_eq!(
            regrouped(&contiguous(&[4, 6]), &[3, 8]).unwrap(),
            contiguous(&[3, 8])
        );
        assert_eq!(regrouped(&contiguous(&[4, 6]), &[5, 5]), None);
    }
}
