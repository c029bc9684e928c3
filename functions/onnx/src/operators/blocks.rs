//! Elements in another order: `DepthToSpace`, `SpaceToDepth`, `ReverseSequence`.

use super::unary::same_as_input;
use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::tensor::{indices, strides};

pub(super) const OPERATORS: Family = &[
    ("DepthToSpace", &DepthToSpace),
    ("ReverseSequence", &ReverseSequence),
    ("SpaceToDepth", &SpaceToDepth),
];

fn block(node: &NodeProto) -> i64 {
    node.int("blocksize", 1).max(1)
}

/// Whether the channels count first by themselves and then by the place in the block (CRD) rather than the other way round.
fn is_channel_first(node: &NodeProto) -> bool {
    node.string("mode") == Some("CRD")
}

fn four(dims: &[usize]) -> Result<[usize; 4], String> {
    dims.try_into()
        .map_err(|_| format!("{dims:?} is not of four dimensions"))
}

/// Channels spread over blocks of pixels. ∂L/∂x is ∂L/∂y under `SpaceToDepth`, with the channels in the order of x.
struct DepthToSpace;

impl Operator for DepthToSpace {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let size = Extent::fixed(block(site.node));
        let shape = site.shape(0).and_then(|shape| {
            let [batch, depth, height, width] = shape else {
                return None;
            };
            let depth = depth.divided_by(&size.times(&size));
            let depth = depth.unwrap_or_else(|| unknowns.next());
            Some(vec![
                batch.clone(),
                depth,
                height.times(&size),
                width.times(&size),
            ])
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let [batch, depth, height, width] = four(tensor.dims())?;
        let block = block(call.node) as usize;
        let channels = depth / (block * block);
        if channels * block * block != depth {
            return Err(format!("{depth} channels make no blocks of {block}"));
        }
        let dims = vec![batch, channels, height * block, width * block];
        let own = strides(tensor.dims());
        let positions = indices(&dims).map(|index| {
            let (row, column) = (index[2] % block, index[3] % block);
            let channel = if is_channel_first(call.node) {
                (index[1] * block + row) * block + column
            } else {
                (row * block + column) * channels + index[1]
            };
            let place = [index[0], channel, index[2] / block, index[3] / block];
            place.iter().zip(&own).map(|(at, stride)| at * stride).sum()
        });
        let values = tensor.values().pick(positions);
        Ok(vec![Tensor::new(dims, values)])
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        let has_depth = site
            .input(0)
            .is_some_and(|fact| fact.size_along(1).is_some());
        Derivative::known_if(
            has_depth || !is_channel_first(site.node),
            "spreads a number of channels that is not known before it runs",
        )
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let size = block(backward.node);
        let blocks = vec![AttributeProto::from_int("blocksize", size)];
        let mut found = backward
            .emit
            .node_with("SpaceToDepth", &[&gradient], blocks);
        let depth = backward.input_fact(0).size_along(1);
        if let Some(depth) = depth.filter(|_| is_channel_first(backward.node)) {
            let places = size * size;
            let channels = depth / places;
            let order = (0..depth).map(|at| at % places * channels + at / places);
            let order: Vec<i64> = order.collect();
            let order = backward.emit.integers(&order);
            let along = vec![AttributeProto::from_int("axis", 1)];
            found = backward.emit.node_with("Gather", &[&found, &order], along);
        }
        backward.give(0, found);
    }
}

/// Blocks of pixels taken as channels; ∂L/∂x is ∂L/∂y under `DepthToSpace`.
struct SpaceToDepth;

impl Operator for SpaceToDepth {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let size = Extent::fixed(block(site.node));
        let shape = site.shape(0).and_then(|shape| {
            let [batch, depth, height, width] = shape else {
                return None;
            };
            let depth = depth.times(&size.times(&size));
            let [height, width] = [height, width]
                .map(|extent| extent.divided_by(&size).unwrap_or_else(|| unknowns.next()));
            Some(vec![batch.clone(), depth, height, width])
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let [batch, channels, height, width] = four(tensor.dims())?;
        let block = block(call.node) as usize;
        if height % block != 0 || width % block != 0 {
            return Err(format!(
                "{height} × {width} pixels make no blocks of {block}"
            ));
        }
        let dims = vec![
            batch,
            channels * block * block,
            height / block,
            width / block,
        ];
        let own = strides(tensor.dims());
        let positions = indices(&dims).map(|index| {
            let (place, channel) = (index[1] / channels, index[1] % channels);
            let row = index[2] * block + place / block;
            let column = index[3] * block + place % block;
            let place = [index[0], channel, row, column];
            place.iter().zip(&own).map(|(at, stride)| at * stride).sum()
        });
        let values = tensor.values().pick(positions);
        Ok(vec![Tensor::new(dims, values)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let blocks = vec![AttributeProto::from_int("blocksize", block(backward.node))];
        let found = backward
            .emit
            .node_with("DepthToSpace", &[&gradient], blocks);
        backward.give(0, found);
    }
}

/// The first elements of each sequence in reverse order, as many as its length says; ∂L/∂x is ∂L/∂y reversed in the same way.
struct ReverseSequence;

impl Operator for ReverseSequence {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (tensor, lengths) = (call.tensor(0)?, call.integers(1)?);
        let batch = axis_of(call.node.int("batch_axis", 1), tensor.rank())?;
        let time = axis_of(call.node.int("time_axis", 0), tensor.rank())?;
        let (steps, sequences) = (tensor.dims()[time], tensor.dims()[batch]);
        let is_length = |&length: &i64| (0..=steps as i64).contains(&length);
        if lengths.len() != sequences || !lengths.iter().all(is_length) {
            return Err(format!(
                "lengths {lengths:?} do not fit {:?}",
                tensor.dims()
            ));
        }
        let own = strides(tensor.dims());
        let positions = indices(tensor.dims()).map(|mut index| {
            let length = lengths[index[batch]] as usize;
            if index[time] < length {
                index[time] = length - 1 - index[time];
            }
            index.iter().zip(&own).map(|(at, stride)| at * stride).sum()
        });
        let values = tensor.values().pick(positions);
        Ok(vec![Tensor::new(tensor.dims().to_vec(), values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        if input == 0 {
            Derivative::Known
        } else {
            Derivative::Zero
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let inputs = [gradient.as_str(), backward.input(1)];
        let attributes = backward.node.attribute.clone();
        let found = backward
            .emit
            .node_with("ReverseSequence", &inputs, attributes);
        backward.give(0, found);
    }
}
