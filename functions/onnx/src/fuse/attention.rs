//! Attention as it is written out: a softmax of products, multiplied by values, with the nodes around it that move numbers about.

use super::view::{View, contiguous, order_of_record, record_sizes};
use super::{Fused, Nodes, is_standard};
use crate::ElementType;
use crate::emitter::Emitter;
use crate::fast;
use crate::operators::resolve_axis;
use crate::proto::{AttributeProto, NodeProto};

/// Records, heads, rows and columns.
const RANK: usize = 4;
/// Q, K and V.
const OPERANDS: usize = 3;

/// What one node of the fast lowering takes in.
pub(super) struct Attention {
    taken: Vec<usize>,
    operands: Vec<View>,
    scale: f32,
}

impl Attention {
    /// The attention around a softmax; nothing where this is another one.
    pub(super) fn around(index: usize, nodes: &Nodes<'_>, emitter: &mut Emitter) -> Option<Fused> {
        let softmax = &nodes.all[index];
        if !is_standard(softmax, "Softmax")
            || resolve_axis(softmax.int("axis", -1), RANK) != Some(RANK - 1)
        {
            return None;
        }
        let shares = softmax.output.first()?;
        let scores = softmax.input.first()?.as_str();
        let (mask, scores, mut taken) = masked(scores, nodes).unwrap_or((None, scores, Vec::new()));
        let (scale, scores, scales) = scaled(scores, nodes);
        taken.extend(scales);
        let maker = nodes.only_maker(scores)?;
        let place = nodes.only_user(shares, "MatMul")?;
        let (first, second) = (&nodes.all[maker], &nodes.all[place]);
        if !is_standard(first, "MatMul") || second.input.first() != Some(shares) {
            return None;
        }
        taken.extend([index, maker, place]);
        let operands = [&first.input[0], &first.input[1], &second.input[1]];
        let mut attention = Self {
            operands: views(operands, nodes)?,
            taken,
            scale,
        };
        let mut attribute = attention.attributes()?;
        if let Some(mask) = mask {
            attribute.push(attention.layout_of_mask(mask, nodes)?);
        }
        let (output, layout) = attention.output(second, nodes)?;
        let inputs = attention.operands.iter().map(|view| view.source.clone());
        let mut input: Vec<String> = inputs.collect();
        if attention.is_packed() {
            input.truncate(1);
        }
        if let Some(mask) = mask {
            // What it is added to stands in front of it, also where that is nothing.
            input.resize(OPERANDS, String::new());
            input.push(mask.to_owned());
        }
        let kept = emitter.free_name(&format!("{}/shares", softmax.label()));
        Some(Fused {
            taken: attention.taken,
            place,
            node: NodeProto {
                op_type: Some(fast::ATTENTION.to_owned()),
                domain: Some(fast::DOMAIN.to_owned()),
                input,
                output: vec![output, kept],
                attribute: attribute.into_iter().chain(layout).collect(),
                ..softmax.clone()
            },
        })
    }

    /// Whether Q, K and V are parts of one tensor.
    fn is_packed(&self) -> bool {
        self.operands.iter().all(|view| view.part.is_some())
    }

    /// The sizes, and where Q, K and V lie.
    fn attributes(&mut self) -> Option<Vec<AttributeProto>> {
        let sizes: Vec<[i64; OPERANDS]> = self
            .operands
            .iter()
            .map(|view| {
                <[i64; 3]>::try_from(view.dims.iter().map(|dim| dim.size).collect::<Vec<_>>()).ok()
            })
            .collect::<Option<_>>()?;
        let &[[heads, queries, inner], of_keys, of_values] = sizes.as_slice() else {
            return None;
        };
        let [_, _, keys] = of_keys;
        let [_, _, width] = of_values;
        if of_keys != [heads, inner, keys] || of_values != [heads, keys, width] {
            return None;
        }
        let mut attributes = vec![
            AttributeProto::from_ints("sizes", &[heads, queries, keys, inner, width]),
            AttributeProto::from_float("scale", self.scale),
        ];
        for (view, name) in self.operands.iter_mut().zip(["queries", "keys", "values"]) {
            // A matrix lies row by row or column by column.
            let [_, row, column] = view.dims.as_slice() else {
                return None;
            };
            if row.stride != 1 && column.stride != 1 {
                return None;
            }
            let strides = view.dims.iter().map(|dim| dim.stride);
            let layout: Vec<i64> = std::iter::once(view.offset).chain(strides).collect();
            attributes.push(AttributeProto::from_ints(name, &layout));
            self.taken.append(&mut view.taken);
        }
        Some(attributes)
    }

    /// How far the numbers of a mask for records, heads, queries and keys are from one another: not at all where all have the
    /// same.
    fn layout_of_mask(&self, mask: &str, nodes: &Nodes<'_>) -> Option<AttributeProto> {
        let view = self.operands.first()?;
        let [heads, queries, _] = view.dims.as_slice() else {
            return None;
        };
        let keys = self.operands.get(1)?.dims.last()?;
        let shape = nodes.facts.get(mask).shape.as_deref()?;
        let sizes = [heads.size, queries.size, keys.size];
        let mut strides = [0; RANK];
        let mut stride = 1;
        // The last dimensions are those of the scores.
        for (axis, extent) in (0..RANK).rev().zip(shape.iter().rev()) {
            let is_whole = match axis {
                0 => *extent == view.records,
                _ => extent.as_fixed() == Some(sizes[axis - 1]),
            };
            if is_whole {
                strides[axis] = stride;
                stride *= sizes.get(axis.wrapping_sub(1)).copied().unwrap_or(1);
            } else if extent.as_fixed() != Some(1) {
                return None;
            }
        }
        let fits =
            shape.len() <= RANK && nodes.facts.get(mask).element == Some(ElementType::Float32);
        fits.then(|| AttributeProto::from_ints("mask", &strides))
    }

    /// What comes out behind the nodes that move the result about, and how that lies.
    fn output(
        &mut self,
        product: &NodeProto,
        nodes: &Nodes<'_>,
    ) -> Option<(String, [AttributeProto; 2])> {
        let records = &self.operands.first()?.records;
        let mut output = product.output.first()?;
        let mut shape = record_sizes(output, records, nodes)?;
        let mut strides: Vec<i64> = contiguous(&shape).iter().map(|dim| dim.stride).collect();
        if let Some(user) = nodes.only_user(output, "Transpose")
            && let Some(order) = order_of_record(&nodes.all[user], shape.len())
            // A row of a head stays one.
            && order.last() == Some(&(shape.len() - 1))
        {
            let sizes: Vec<i64> = order.iter().map(|&axis| shape[axis]).collect();
            for (&axis, dim) in order.iter().zip(contiguous(&sizes)) {
                strides[axis] = dim.stride;
            }
            output = nodes.all[user].output.first()?;
            shape = sizes;
            self.taken.push(user);
        }
        if let Some(user) = nodes.only_user(output, "Reshape")
            && let Some(sizes) = record_sizes(nodes.all[user].output.first()?, records, nodes)
        {
            output = nodes.all[user].output.first()?;
            shape = sizes;
            self.taken.push(user);
        }
        let layout: Vec<i64> = std::iter::once(0).chain(strides).collect();
        let attributes = [
            AttributeProto::from_ints("output", &layout),
            AttributeProto::from_ints("shape", &shape),
        ];
        Some((output.clone(), attributes))
    }
}

/// Where Q, K and V lie: all three in what a `Split` takes apart, or each in a tensor of its own.
fn views(operands: [&String; OPERANDS], nodes: &Nodes<'_>) -> Option<Vec<View>> {
    let of = |passes_split: bool| {
        let views = operands.iter();
        views
            .map(|tensor| View::of(tensor, nodes, passes_split))
            .collect::<Option<Vec<View>>>()
    };
    let is_one = |views: &Vec<View>| {
        let parts: Option<Vec<(usize, usize)>> = views.iter().map(|view| view.part).collect();
        let Some(mut parts) = parts else { return false };
        parts.sort_unstable();
        let (split, _) = parts[0];
        let count = nodes.all[split].output.len();
        count == OPERANDS && parts.into_iter().eq((0..count).map(|part| (split, part)))
    };
    let views = of(true).filter(is_one).or_else(|| of(false))?;
    let is_float =
        |view: &View| nodes.facts.get(&view.source).element == Some(ElementType::Float32);
    let first = views.first()?.records.clone();
    let is_taken =
        |view: &View| view.dims.len() == RANK - 1 && view.records == first && is_float(view);
    views.iter().all(is_taken).then_some(views)
}

/// What is added to the scores and does not train, the scores, and the node that adds.
fn masked<'a>(
    scores: &'a str,
    nodes: &Nodes<'a>,
) -> Option<(Option<&'a str>, &'a str, Vec<usize>)> {
    let maker = nodes.only_maker(scores)?;
    let node = &nodes.all[maker];
    let [left, right] = node.input.as_slice() else {
        return None;
    };
    let is_mask = |tensor: &str| !nodes.trains.contains(tensor);
    let (mask, scores) = match (is_mask(left), is_mask(right)) {
        _ if !is_standard(node, "Add") => return None,
        (false, true) => (right, left),
        (true, false) => (left, right),
        _ => return None,
    };
    Some((Some(mask), scores, vec![maker]))
}

/// What the scores are multiplied by, the tensor that is, and the node that does it.
fn scaled<'a>(scores: &'a str, nodes: &Nodes<'a>) -> (f32, &'a str, Vec<usize>) {
    let plain = (1.0, scores, Vec::new());
    let Some(maker) = nodes.only_maker(scores) else {
        return plain;
    };
    // A number without dimensions never trains.
    let number = |tensor: &str| -> Option<f64> {
        let constant = nodes.facts.get(tensor).constant.as_ref()?;
        let is_number = constant.dims().is_empty();
        constant.as_floats()?.first().copied().filter(|_| is_number)
    };
    let node = &nodes.all[maker];
    let [left, right] = node.input.as_slice() else {
        return plain;
    };
    let (factor, scores) = match (number(left), number(right)) {
        (None, Some(factor)) if is_standard(node, "Mul") => (factor, left),
        (Some(factor), None) if is_standard(node, "Mul") => (factor, right),
        (None, Some(divisor)) if is_standard(node, "Div") => (1.0 / divisor, left),
        _ => return plain,
    };
    (factor as f32, scores, vec![maker])
}
