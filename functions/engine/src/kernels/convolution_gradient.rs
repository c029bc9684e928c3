//! `ConvolutionGradient`: what the windows see, and the gradient of what they made of it, an image at a time.
//!
//! With E the gradient before `Relu` and pool and V the views, ∂L/∂w is the sum over images of E Vᵀ, and ∂L/∂V = wᵀ E is added
//! up where it was seen. Images are split into a fixed number of parts, each with sums of its own, which are added in order:
//! so the result does not depend on threads.

use millrace_onnx::fast;
use ort::operator::{BoxedKernel, ComputeContext, KernelContext};
use ort::value::TensorElementType::{Float32, Uint8};

use super::instructions::{self, Task};
use super::multiply::{Matrix, Onto, multiply};
use super::operator::{Definition, Port, check_lengths, input, missing, tensor};
use super::parallel::for_each;
use super::pool;
use super::scratch;
use super::window::{Sizes, Window};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::CONVOLUTION_GRADIENT,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Optional(Float32),
        Port::Optional(Uint8),
    ],
    outputs: &[
        Port::Required(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
    ],
    create,
};

/// How many parts the images are split into: as many threads can be at work.
const PARTS: usize = 16;

fn create(node: &KernelContext<'_>) -> ort::Result<BoxedKernel<'static>> {
    let window = Window::of(node)?;
    Ok(Box::new(move |context: &ComputeContext| {
        compute(context, &window)
    }))
}

fn compute(context: &ComputeContext, window: &Window) -> ort::Result<()> {
    let [gradient, image, weights] = [input(context, 0)?, input(context, 1)?, input(context, 2)?];
    let (_, gradient) = tensor::<f32>(&gradient)?;
    let (shape, image) = tensor::<f32>(&image)?;
    let (weight_shape, weights) = tensor::<f32>(&weights)?;
    let output = context.input(3)?;
    let index = context.input(4)?;
    let output = output.as_ref().map(tensor::<f32>).transpose()?;
    let index = index.as_ref().map(tensor::<u8>).transpose()?;
    let sizes = Sizes::new(window, shape, weight_shape)?;
    let channels = sizes.groups * sizes.outputs;
    let length = (channels * sizes.pooled[0] * sizes.pooled[1]).max(1);
    check_lengths(sizes.records * length, &[gradient.len()])?;
    let passed = match (window.pool, window.relu) {
        (Some(_), _) => Passed::Maxima(index.ok_or_else(missing)?.1),
        (None, true) => Passed::Positive(output.ok_or_else(missing)?.1),
        (None, false) => Passed::All,
    };
    passed.check(gradient.len())?;

    let mut found = context
        .output(0, weight_shape.to_vec())?
        .ok_or_else(missing)?;
    let (_, found) = found.try_extract_tensor_mut::<f32>()?;
    let count = i64::try_from(channels).unwrap_or_default();
    let mut bias = context.output(1, vec![count])?;
    let mut data = context.output(2, shape.to_vec())?;
    let mut data = match &mut data {
        Some(data) => Some(data.try_extract_tensor_mut::<f32>()?.1),
        None => None,
    };

    let images = sizes.records.div_ceil(PARTS).max(1);
    let parts = sizes.records.div_ceil(images).max(1);
    let mut sums = vec![0.0; parts * (weights.len() + channels)];
    let mut data = data
        .as_mut()
        .map(|data| data.chunks_mut(images * sizes.image_len()));
    let parts: Vec<_> = sums
        .chunks_exact_mut(weights.len() + channels)
        .enumerate()
        .map(|(number, sums)| {
            let range = |each: usize| number * images * each..;
            let count = images.min(sizes.records - number * images);
            let (sums, bias_sums) = sums.split_at_mut(weights.len());
            Part {
                sizes: &sizes,
                window,
                gradient: &gradient[range(length)][..count * length],
                passed: passed.part(number * images * length, count * length),
                image: &image[range(sizes.image_len())][..count * sizes.image_len()],
                weights,
                sums,
                bias_sums,
                data: data.as_mut().and_then(Iterator::next),
            }
        })
        .collect();
    let lengths = [sizes.padded_len(), sizes.views_len(), sizes.outputs_len()];
    for_each(context, parts, |part| {
        scratch::with(lengths, |memory| instructions::run(Work(part, memory)));
    })?;

    let (first, rest) = sums.split_at_mut(weights.len() + channels);
    for more in rest.chunks_exact(weights.len() + channels) {
        instructions::run(Add(first, more));
    }
    let (sums, bias_sums) = first.split_at(weights.len());
    found.copy_from_slice(sums);
    if let Some(bias) = &mut bias {
        bias.try_extract_tensor_mut::<f32>()?
            .1
            .copy_from_slice(bias_sums);
    }
    Ok(())
}

/// Adds the second to the first.
struct Add<'a>(&'a mut [f32], &'a [f32]);

impl Task for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (sum, more) in self.0.iter_mut().zip(self.1) {
            *sum += more;
        }
    }
}

/// Which elements the gradient passes on its way to what the windows made.
#[derive(Clone, Copy)]
enum Passed<'a> {
    All,
    /// Where the output is positive.
    Positive(&'a [f32]),
    /// To the element of each of the pool's windows that has this index.
    Maxima(&'a [u8]),
}

impl Passed<'_> {
    fn check(self, length: usize) -> ort::Result<()> {
        match self {
            Self::All => Ok(()),
            Self::Positive(output) => check_lengths(length, &[output.len()]),
            Self::Maxima(index) => check_lengths(length, &[index.len()]),
        }
    }

    fn part(self, start: usize, length: usize) -> Self {
        match self {
            Self::All => Self::All,
            Self::Positive(output) => Self::Positive(&output[start..][..length]),
            Self::Maxima(index) => Self::Maxima(&index[start..][..length]),
        }
    }
}

/// Some images with their gradients.
struct Part<'a> {
    sizes: &'a Sizes,
    window: &'a Window,
    gradient: &'a [f32],
    passed: Passed<'a>,
    image: &'a [f32],
    weights: &'a [f32],
    sums: &'a mut [f32],
    bias_sums: &'a mut [f32],
    data: Option<&'a mut [f32]>,
}

/// A part, and memory for a padded image, its views and the gradient of what was made of them.
struct Work<'a, 'm>(Part<'a>, [&'m mut [f32]; 3]);

impl Task for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(mut part, [padded, views, errors]) = self;
        let sizes = part.sizes;
        for record in 0..part.image.len() / sizes.image_len() {
            part.spread(record, errors);
            for (sum, errors) in part
                .bias_sums
                .iter_mut()
                .zip(errors.chunks_exact(sizes.view))
            {
                *sum += total(errors);
            }
            let image = record * sizes.image_len()..(record + 1) * sizes.image_len();
            sizes.pad(&part.image[image.clone()], padded);
            let groups = padded.chunks_exact_mut(sizes.padded_len() / sizes.groups);
            let groups = groups.zip(errors.chunks_exact(sizes.outputs * sizes.view));
            for (group, (padded, errors)) in groups.enumerate() {
                part.differentiate(group, padded, views, errors);
            }
            if let Some(data) = &mut part.data {
                sizes.unpad(padded, &mut data[image]);
            }
        }
    }
}

impl Part<'_> {
    /// Adds to the sums of a group's weights, and replaces its padded image by the gradient of that.
    #[inline(always)]
    fn differentiate(
        &mut self,
        group: usize,
        padded: &mut [f32],
        views: &mut [f32],
        errors: &[f32],
    ) {
        let sizes = self.sizes;
        let taps = sizes.taps();
        let errors = Matrix::new(errors, sizes.outputs, sizes.view);
        let weights = group * sizes.outputs * taps..(group + 1) * sizes.outputs * taps;
        sizes.gather(padded, views);
        let seen = Matrix::new(views, taps, sizes.view).transposed();
        multiply(errors, seen, &mut self.sums[weights.clone()], Onto::Sum);
        if self.data.is_some() {
            let weights = Matrix::new(&self.weights[weights], sizes.outputs, taps);
            multiply(weights.transposed(), errors, views, Onto::Nothing);
            padded.fill(0.0);
            sizes.scatter(views, padded);
        }
    }

    /// Lays the gradient of one record out as the views are, zero where nothing passes.
    #[inline(always)]
    fn spread(&self, record: usize, errors: &mut [f32]) {
        let sizes = self.sizes;
        let [high, width] = sizes.pooled;
        let pool = self.window.pool.unwrap_or([1, 1]);
        let mut start = record * sizes.groups * sizes.outputs * high * width;
        errors.fill(0.0);
        for errors in errors.chunks_exact_mut(sizes.view) {
            for place in 0..high {
                let errors = &mut errors[place * pool[0] * sizes.row..];
                let row = start..start + width;
                start += width;
                let gradient = &self.gradient[row.clone()];
                match self.passed {
                    Passed::All => errors[..width].copy_from_slice(gradient),
                    Passed::Positive(output) => {
                        let inputs = gradient.iter().zip(&output[row]);
                        for (error, (gradient, output)) in errors.iter_mut().zip(inputs) {
                            *error = if *output > 0.0 { *gradient } else { 0.0 };
                        }
                    }
                    Passed::Maxima(index) => {
                        pool::spread((gradient, &index[row]), pool, errors, sizes.row);
                    }
                }
            }
        }
    }
}

/// The sum of many numbers, in sixteen sums side by side.
#[inline(always)]
fn total(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}
