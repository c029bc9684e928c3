//! `Convolution`: the matrix of the weights times the matrix of what the windows see, an image at a time.
//!
//! The `Relu` and the pool run over an image's outputs while these are in the processor's cache.

use millrace_onnx::fast;
use ort::operator::{BoxedKernel, ComputeContext, KernelContext};
use ort::value::TensorElementType::{Float32, Uint8};

use super::instructions::{self, Task};
use super::multiply::{Matrix, Onto, multiply};
use super::operator::{Definition, Port, check_lengths, input, missing, tensor};
use super::parallel::for_each;
use super::pool::{self, Cut};
use super::scratch;
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
    let parts = image.chunks_exact(sizes.image_len().max(1)).zip(results);
    let parts = parts.map(|(image, result)| Record {
        sizes: &sizes,
        window,
        image,
        weights,
        bias,
        result,
        index: indices.next(),
    });
    let lengths = [sizes.padded_len(), sizes.views_len(), sizes.outputs_len()];
    for_each(context, parts.collect(), |record| {
        scratch::with(lengths, |memory| instructions::run(Work(record, memory)));
    })
}

/// One image with what becomes of it.
struct Record<'a> {
    sizes: &'a Sizes,
    window: &'a Window,
    image: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    result: &'a mut [f32],
    index: Option<&'a mut [u8]>,
}

/// A record, and memory for its padded image, its views and what is made of them.
struct Work<'a, 'm>(Record<'a>, [&'m mut [f32]; 3]);

impl Task for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(mut record, [padded, views, outputs]) = self;
        let sizes = record.sizes;
        sizes.pad(record.image, padded);
        let taps = sizes.taps();
        let groups = padded
            .chunks_exact(sizes.padded_len() / sizes.groups)
            .zip(record.weights.chunks_exact(sizes.outputs * taps))
            .zip(outputs.chunks_exact_mut(sizes.outputs * sizes.view));
        for ((padded, weights), outputs) in groups {
            sizes.gather(padded, views);
            multiply(
                Matrix::new(weights, sizes.outputs, taps),
                Matrix::new(views, taps, sizes.view),
                outputs,
                Onto::Nothing,
            );
        }
        record.finish(outputs);
    }
}

impl Record<'_> {
    /// Adds the bias, cuts at zero and pools.
    #[inline(always)]
    fn finish(&mut self, outputs: &[f32]) {
        let sizes = self.sizes;
        let floor = if self.window.relu {
            0.0
        } else {
            f32::NEG_INFINITY
        };
        let [high, width] = sizes.pooled;
        for (channel, outputs) in outputs.chunks_exact(sizes.view).enumerate() {
            let bias = self.bias.map_or(0.0, |bias| bias[channel]);
            let cut = Cut { bias, floor };
            for place in 0..high {
                let start = (channel * high + place) * width;
                let row = &mut self.result[start..start + width];
                if let (Some(pool), Some(index)) = (self.window.pool, &mut self.index) {
                    let seen = &outputs[place * pool[0] * sizes.row..];
                    let index = &mut index[start..start + width];
                    pool::find(seen, sizes.row, pool, cut, (row, index));
                } else {
                    let seen = &outputs[place * sizes.row..];
                    for (value, output) in row.iter_mut().zip(seen) {
                        *value = cut.apply(*output).0;
                    }
                }
            }
        }
    }
}
