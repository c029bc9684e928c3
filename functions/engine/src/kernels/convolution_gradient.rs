//! `ConvolutionGradient`: how images are split, and their gradients of the weights added up.
//!
//! Images are split into a fixed number of parts, each with sums of its own, which are added in order: so the result does not
//! depend on threads. What is done with an image is that of [`super::maxima`] where there is a pool, else of [`super::views`].

use std::ops::Range;

use millrace_onnx::fast;
use ort::operator::{BoxedKernel, ComputeContext, KernelContext};
use ort::value::TensorElementType::{Float32, Uint8};

use super::instructions::{self, Task};
use super::maxima::Maxima;
use super::operator::{Definition, Port, check_lengths, input, missing, tensor};
use super::parallel::for_each;
use super::scratch;
use super::views::{Passed, Views};
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
/// With weights so many that the sums of all parts would be more, there are fewer parts.
const MOST_SUMS: usize = 4 << 20;
const LEAST_PARTS: usize = 4;
/// As many sums side by side take in numbers without waiting for each other.
const LANES: usize = 16;

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
    let index = index.map(|(_, index)| index);
    let output = output.map(|(_, output)| output);
    let lengths = [index.map(<[u8]>::len), output.map(<[f32]>::len)];
    let lengths: Vec<usize> = lengths.into_iter().flatten().collect();
    check_lengths(gradient.len(), &lengths)?;

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

    let way = match window.pool {
        Some(pool) => {
            let weights = data.is_some().then_some(weights);
            Way::Maxima(
                Box::new(Maxima::new(&sizes, pool, weights)),
                index.ok_or_else(missing)?,
            )
        }
        None if window.relu => Way::Views(
            Views::new(&sizes, weights),
            Passed::Positive(output.ok_or_else(missing)?),
        ),
        None => Way::Views(Views::new(&sizes, weights), Passed::All),
    };
    let sum_len = way.sum_len() + channels * LANES;
    let most = (MOST_SUMS / sum_len).clamp(LEAST_PARTS, PARTS);
    let images = sizes.records.div_ceil(most).max(1);
    let parts = sizes.records.div_ceil(images).max(1);
    scratch::with([parts * sum_len], |[sums]| {
        sums.fill(0.0);
        let mut data = data
            .as_mut()
            .map(|data| data.chunks_mut(images * sizes.image_len()));
        let sums_of_parts = sums.chunks_exact_mut(sum_len).enumerate();
        let parts = sums_of_parts.map(|(number, sums)| {
            let records = number * images..sizes.records.min((number + 1) * images);
            let range = |each: usize| records.start * each..records.end * each;
            let (sums, bias_sums) = sums.split_at_mut(way.sum_len());
            let part = Part {
                gradient: &gradient[range(length)],
                image: &image[range(sizes.image_len())],
                sums,
                bias_sums: bias_sums.as_chunks_mut().0,
                data: data.as_mut().and_then(Iterator::next),
            };
            (part, range(length))
        });
        for_each(context, parts.collect(), |(part, range)| {
            way.add(part, range);
        })?;
        let (first, rest) = sums.split_at_mut(sum_len);
        for more in rest.chunks_exact(sum_len) {
            instructions::run(Add(first, more));
        }
        let (sums, bias_sums) = first.split_at(way.sum_len());
        way.lay_out(sums, found);
        if let Some(bias) = &mut bias {
            let (_, bias) = bias.try_extract_tensor_mut::<f32>()?;
            let sums = bias_sums.as_chunks::<LANES>().0;
            for (bias, sums) in bias.iter_mut().zip(sums) {
                *bias = sums.iter().sum();
            }
        }
        Ok(())
    })
}

/// Some images with their gradients, and what is found of them.
pub(super) struct Part<'a> {
    /// ∂L/∂y
    pub(super) gradient: &'a [f32],
    pub(super) image: &'a [f32],
    /// ∂L/∂w, in an order of the way's own.
    pub(super) sums: &'a mut [f32],
    /// ∂L/∂b, each as some sums to be added up.
    pub(super) bias_sums: &'a mut [[f32; LANES]],
    /// ∂L/∂x, where it is wanted.
    pub(super) data: Option<&'a mut [f32]>,
}

/// How the gradients of an image are found.
enum Way<'a> {
    Maxima(Box<Maxima<'a>>, &'a [u8]),
    Views(Views<'a>, Passed<'a>),
}

impl Way<'_> {
    /// How many sums there are for the weights.
    fn sum_len(&self) -> usize {
        match self {
            Self::Maxima(maxima, _) => maxima.sum_len(),
            Self::Views(views, _) => views.sum_len(),
        }
    }

    /// Adds what is found of some images, which made `range` of the outputs.
    fn add(&self, part: Part<'_>, range: Range<usize>) {
        match self {
            Self::Maxima(maxima, index) => maxima.add(part, &index[range]),
            Self::Views(views, passed) => views.add(part, passed.part(range)),
        }
    }

    /// Brings the sums in the order of the weights.
    fn lay_out(&self, sums: &[f32], found: &mut [f32]) {
        match self {
            Self::Maxima(maxima, _) => maxima.lay_out(sums, found),
            Self::Views(..) => found.copy_from_slice(sums),
        }
    }
}

/// Adds numbers to sums side by side.
#[inline(always)]
pub(super) fn add_up(values: &[f32], sums: &mut [f32; LANES]) {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut found = *sums;
    for chunk in chunks {
        for (sum, value) in found.iter_mut().zip(chunk) {
            *sum += value;
        }
    }
    for (sum, value) in found.iter_mut().zip(rest) {
        *sum += value;
    }
    *sums = found;
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
