//! `Convolution`: the matrix of the weights times the matrix of what the windows see, an image at a time.
//!
//! The `Relu` and the pool run over a few channels of the outputs while these are in the processor's cache.

use millrace_onnx::fast;
use ort::operator::{BoxedKernel, ComputeContext, KernelContext};
use ort::value::TensorElementType::{Float32, Uint8};

use super::instructions::{Vector, VectorTask, run_on_vectors};
use super::operator::{Definition, Port, check_lengths, input, missing, tensor};
use super::parallel::for_each;
use super::pool::{self, Cut};
use super::scratch;
use super::tiles::{self, BLOCK, SLACK};
use super::window::{Sizes, Window};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::CONVOLUTION,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Optional(Float32),
    ],
    outputs: &[Port::Required(Float32), Port::Optional(Uint8)],
    create,
};

fn create(node: &KernelContext<'_>) -> ort::Result<BoxedKernel<'static>> {
    let window = Window::of(node)?;
    Ok(Box::new(move |context: &ComputeContext| {
        compute(context, &window)
    }))
}

fn compute(context: &ComputeContext, window: &Window) -> ort::Result<()> {
    let (image, weights) = (input(context, 0)?, input(context, 1)?);
    let (shape, image) = tensor::<f32>(&image)?;
    let (weight_shape, weights) = tensor::<f32>(&weights)?;
    let bias = context.input(2)?;
    let bias = bias.as_ref().map(tensor::<f32>).transpose()?;
    let bias = bias.map(|(_, bias)| bias);
    let sizes = Sizes::new(window, shape, weight_shape)?;
    let channels = sizes.groups * sizes.outputs;
    check_lengths(channels, bias.map(<[f32]>::len).as_slice())?;

    let shape = sizes.result_shape(shape.len());
    let mut result = context.output(0, shape.clone())?.ok_or_else(missing)?;
    let (_, result) = result.try_extract_tensor_mut::<f32>()?;
    let mut index = match window.pool {
        Some(_) => Some(context.output(1, shape)?.ok_or_else(missing)?),
        None => None,
    };
    let index = match &mut index {
        Some(index) => index.try_extract_tensor_mut::<u8>()?.1,
        None => &mut [],
    };

    let length = channels * sizes.pooled[0] * sizes.pooled[1];
    let results = result.chunks_exact_mut(length.max(1));
    let mut indices = index.chunks_exact_mut(length.max(1));
    let taps = sizes.taps();
    let groups = weights.chunks_exact(sizes.outputs * taps);
    let filters = Filters {
        sizes: &sizes,
        window,
        weights: &groups
            .map(|weights| tiles::pack(weights, taps))
            .collect::<Vec<_>>(),
        starts: &sizes.view_starts(),
        bias,
    };
    let parts = image.chunks_exact(sizes.image_len().max(1)).zip(results);
    let parts = parts.map(|(image, result)| Record {
        image,
        result,
        index: indices.next(),
    });
    let views = if sizes.is_one_piece() {
        0
    } else {
        sizes.views_len() + SLACK
    };
    let outputs = BLOCK * filters.row();
    let lengths = [sizes.padded_len() + SLACK, views, outputs];
    for_each(context, parts.collect(), |record| {
        scratch::with(lengths, |memory| {
            run_on_vectors(Work(filters, record, memory));
        });
    })
}

/// What is done to every image.
#[derive(Clone, Copy)]
struct Filters<'a> {
    sizes: &'a Sizes,
    window: &'a Window,
    /// Those of each group, as tiles need them.
    weights: &'a [Vec<f32>],
    starts: &'a [usize],
    bias: Option<&'a [f32]>,
}

/// One image with what becomes of it.
struct Record<'a> {
    image: &'a [f32],
    result: &'a mut [f32],
    index: Option<&'a mut [u8]>,
}

/// A record, and memory for its padded image, its views and what is made of them in a block of channels.
struct Work<'a, 'm>(Filters<'a>, Record<'a>, [&'m mut [f32]; 3]);

impl VectorTask for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self(filters, mut record, [padded, views, outputs]) = self;
        let sizes = filters.sizes;
        sizes.pad(record.image, &mut padded[..sizes.padded_len()]);
        for (group, weights) in filters.weights.iter().enumerate() {
            let length = sizes.padded_len() / sizes.groups;
            let mut seen = &padded[group * length..];
            if !sizes.is_one_piece() {
                sizes.gather(&seen[..length], &mut views[..sizes.views_len()]);
                seen = views;
            }
            let blocks = weights.chunks_exact(BLOCK * sizes.taps());
            for (block, weights) in blocks.enumerate() {
                tiles::multiply::<V>(weights, filters.starts, seen, sizes.view, outputs);
                let first = block * BLOCK;
                for channel in first..sizes.outputs.min(first + BLOCK) {
                    let outputs = &outputs[(channel - first) * filters.row()..];
                    filters.finish(group * sizes.outputs + channel, outputs, &mut record);
                }
            }
        }
    }
}

impl Filters<'_> {
    /// How far apart the channels of a block's outputs are.
    fn row(&self) -> usize {
        self.sizes.view.next_multiple_of(SLACK)
    }

    /// Adds the bias to one channel, cuts at zero and pools. There may be more behind the channel's outputs.
    #[inline(always)]
    fn finish(&self, channel: usize, outputs: &[f32], record: &mut Record<'_>) {
        let sizes = self.sizes;
        let floor = if self.window.relu {
            0.0
        } else {
            f32::NEG_INFINITY
        };
        let bias = self.bias.map_or(0.0, |bias| bias[channel]);
        let cut = Cut { bias, floor };
        let [high, width] = sizes.pooled;
        for place in 0..high {
            let start = (channel * high + place) * width;
            if let (Some(pool), Some(index)) = (self.window.pool, &mut record.index) {
                // What is written behind a row is written over by the next one.
                let found = (&mut record.result[start..], &mut index[start..]);
                let seen = &outputs[place * pool[0] * sizes.row..];
                pool::find(seen, sizes.row, pool, cut, width, found);
            } else {
                let row = &mut record.result[start..start + width];
                let seen = &outputs[place * sizes.row..];
                for (value, output) in row.iter_mut().zip(seen) {
                    *value = cut.apply(*output).0;
                }
            }
        }
    }
}
