//! The gradients of a convolution behind a pool, to which only one element of each of the pool's windows gives any.
//!
//! With E the gradient before `Relu` and pool and X(p) the patch that a window at p sees: ∂L/∂w[o] = Σ over p of E[o, p] · X(p),
//! and ∂L/∂X(p) = Σ over o of E[o, p] · w[o], added up where it was seen. Both leave out the zeros of E, three of four elements
//! behind a pool of 2×2: so they take a quarter of what the products of whole matrices take.

use std::ops::Range;

use super::convolution_gradient::{Part, add_up};
use super::instructions::{Vector, VectorTask, run_on_vectors};
use super::pixels::{Entries, Pixels};
use super::scratch;
use super::window::Sizes;

/// Numbers of an image that the first cache of most processors holds; of larger ones a band is taken at a time.
const BAND: usize = 8 * 1024;
/// A band has at least so many windows, since each has its own way into the registers and out of them.
const LEAST_WINDOWS: usize = 32;

/// A convolution whose gradients are wanted.
pub(super) struct Maxima<'a> {
    sizes: &'a Sizes,
    /// How images lie whose patches are read.
    read: Pixels,
    /// How the gradients of images lie, and the weights as patches of these; where they are wanted.
    written: Option<(Pixels, Vec<f32>)>,
    /// The pixel at which each of the pool's windows begins, row by row.
    corners: Vec<u32>,
    /// How many elements a window has: an index that is not smaller says that none of them is on.
    elements: u8,
    /// How far behind the first each element of a window is, by its index.
    steps: [u32; 256],
    /// How many windows a band has.
    band: usize,
}

impl<'a> Maxima<'a> {
    /// With the weights where the gradients of images are wanted.
    pub(super) fn new(sizes: &'a Sizes, pool: [usize; 2], weights: Option<&[f32]>) -> Self {
        let read = Pixels::tight(sizes);
        let [rows, width] = sizes.pooled;
        let mut steps = [0; 256];
        let found = sizes.steps(pool);
        for (step, found) in steps.iter_mut().zip(&found) {
            *step = *found;
        }
        let bands = (read.len() / BAND).clamp(1, (rows * width / LEAST_WINDOWS).max(1));
        Self {
            written: weights.map(|weights| {
                let pixels = Pixels::apart(sizes);
                let places: Vec<usize> = pixels.places().collect();
                let filters = weights.chunks_exact(sizes.taps());
                let mut patches = vec![0.0; filters.len() * pixels.patch()];
                for (patch, filter) in patches.chunks_exact_mut(pixels.patch()).zip(filters) {
                    for (place, weight) in places.iter().zip(filter) {
                        patch[*place] = *weight;
                    }
                }
                (pixels, patches)
            }),
            read,
            corners: sizes.corners(pool),
            elements: u8::try_from(found.len()).unwrap_or(u8::MAX),
            steps,
            band: rows.div_ceil(bands) * width,
            sizes,
        }
    }

    /// How many sums there are: a patch for each output channel.
    pub(super) fn sum_len(&self) -> usize {
        self.sizes.groups * self.sizes.outputs * self.read.patch()
    }

    /// Brings the sums in the order of the weights.
    pub(super) fn lay_out(&self, sums: &[f32], found: &mut [f32]) {
        let places: Vec<usize> = self.read.places().collect();
        let filters = found.chunks_exact_mut(self.sizes.taps());
        for (filter, sums) in filters.zip(sums.chunks_exact(self.read.patch())) {
            for (weight, place) in filter.iter_mut().zip(&places) {
                *weight = sums[*place];
            }
        }
    }

    /// Adds the gradients of some images to their sums.
    pub(super) fn add(&self, part: Part<'_>, index: &[u8]) {
        let written = self.written.as_ref().map_or(0, |(pixels, _)| pixels.len());
        scratch::with([self.read.len(), written], |memory| {
            run_on_vectors(Work(self, part, index, memory));
        });
    }
}

/// A part with the indices of its maxima, and memory for an image and for the gradient of one.
struct Work<'a, 'm>(&'a Maxima<'a>, Part<'a>, &'a [u8], [&'m mut [f32]; 2]);

impl VectorTask for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self(maxima, mut part, index, [image, gradient]) = self;
        let sizes = maxima.sizes;
        let planes = sizes.image_len() / sizes.groups;
        let (patch, outputs) = (maxima.read.patch(), sizes.outputs);
        let windows = maxima.corners.len();
        let mut found = Found::new(outputs, maxima.band);
        for group in 0..part.image.len() / planes {
            let of_group = group * outputs * windows..(group + 1) * outputs * windows;
            let (errors, index) = (&part.gradient[of_group.clone()], &index[of_group]);
            let first = group % sizes.groups * outputs;
            let sums = &mut part.sums[first * patch..][..outputs * patch];
            let bias_sums = &mut part.bias_sums[first..][..outputs];
            let image_of_group = group * planes..(group + 1) * planes;
            maxima.read.lay(&part.image[image_of_group.clone()], image);
            gradient.fill(0.0);
            for start in (0..windows).step_by(maxima.band) {
                let band = start..windows.min(start + maxima.band);
                let channels = errors
                    .chunks_exact(windows)
                    .zip(index.chunks_exact(windows));
                for (output, (errors, index)) in channels.enumerate() {
                    maxima.find(&band, (errors, index), found.of_mut(output, band.len()));
                    add_up(
                        found.of(output, band.len()).gradients,
                        &mut bias_sums[output],
                    );
                }
                for (output, sums) in sums.chunks_exact_mut(patch).enumerate() {
                    let entries = found.of(output, band.len());
                    maxima.read.add_patches::<V>(entries, image, sums);
                }
                if let Some((pixels, patches)) = &maxima.written {
                    let patches = patches[first * pixels.patch()..].chunks_exact(pixels.patch());
                    for (output, patch) in patches.take(outputs).enumerate() {
                        let entries = found.of(output, band.len());
                        pixels.add_to_image::<V>(patch, entries, gradient);
                    }
                }
            }
            if let (Some((pixels, _)), Some(data)) = (&maxima.written, &mut part.data) {
                pixels.lift(gradient, &mut data[image_of_group]);
            }
        }
    }
}

impl Maxima<'_> {
    /// Finds the pixels and the gradients of one channel's maxima in a band; those that are not on have a gradient of 0.
    #[inline(always)]
    fn find(
        &self,
        band: &Range<usize>,
        (errors, index): (&[f32], &[u8]),
        (pixels, gradients): (&mut [u32], &mut [f32]),
    ) {
        let (errors, index) = (&errors[band.clone()], &index[band.clone()]);
        let corners = &self.corners[band.clone()];
        for ((pixel, corner), index) in pixels.iter_mut().zip(corners).zip(index) {
            *pixel = corner + self.steps[usize::from(*index)];
        }
        for ((gradient, error), index) in gradients.iter_mut().zip(errors).zip(index) {
            *gradient = if *index < self.elements { *error } else { 0.0 };
        }
    }
}

/// Memory for the maxima of a band, channel by channel.
struct Found {
    pixels: Vec<u32>,
    gradients: Vec<f32>,
}

impl Found {
    fn new(channels: usize, windows: usize) -> Self {
        Self {
            pixels: vec![0; channels * windows],
            gradients: vec![0.0; channels * windows],
        }
    }

    fn of(&self, channel: usize, windows: usize) -> Entries<'_> {
        let range = channel * windows..(channel + 1) * windows;
        Entries {
            pixels: &self.pixels[range.clone()],
            gradients: &self.gradients[range],
        }
    }

    fn of_mut(&mut self, channel: usize, windows: usize) -> (&mut [u32], &mut [f32]) {
        let range = channel * windows..(channel + 1) * windows;
        (&mut self.pixels[range.clone()], &mut self.gradients[range])
    }
}

#[cfg(test)]
mod tests {
    use super::super::convolution_gradient::Part;
    use super::super::instructions::{VECTORS, run_on};
    use super::super::window::{Sizes, Window};
    use super::{Maxima, Work};

    fn numbers(count: usize, factor: usize) -> Vec<f32> {
        (0..count)
            .map(|at| f32::from(u8::try_from(at * factor % 19).unwrap_or_default()) - 9.0)
            .collect()
    }

    /// Channels, sizes of the image and of a filter, strides, dilations, padding.
    type Form = (usize, [usize; 2], [usize; 2], [usize; 2], [usize; 2], usize);

    /// The last one is large enough for bands.
    const FORMS: [Form; 5] = [
        (1, [28, 27], [3, 3], [1, 1], [1, 1], 1),
        (16, [6, 7], [3, 3], [1, 1], [1, 1], 1),
        (33, [7, 6], [5, 2], [1, 1], [1, 1], 0),
        (5, [12, 11], [2, 3], [2, 1], [1, 2], 2),
        (8, [50, 52], [3, 1], [1, 1], [1, 1], 0),
    ];

    #[test]
    fn gradients_are_those_of_the_definition() {
        let (records, outputs) = (2, 3);
        for (channels, [height, width], [high, wide], strides, dilations, pad) in FORMS {
            let window = Window::pooled(strides, dilations, pad);
            let shape = |sizes: [usize; 4]| sizes.map(|size| i64::try_from(size).unwrap_or(0));
            let sizes = Sizes::new(
                &window,
                &shape([records, channels, height, width]),
                &shape([outputs, channels, high, wide]),
            );
            let sizes = sizes.expect("the sizes fit each other");
            let [rows, columns] = sizes.pooled;
            let windows = rows * columns;
            let image = numbers(records * channels * height * width, 37);
            let weights = numbers(outputs * sizes.taps(), 23);
            let gradient = numbers(records * outputs * windows, 41);
            // An index of 4 says that nothing is on.
            let index: Vec<u8> = (0u8..5).cycle().take(gradient.len()).collect();

            let mut expected = vec![0.0; weights.len()];
            let mut expected_data = vec![0.0; image.len()];
            let mut expected_bias = vec![0.0; outputs];
            for (at, (&gradient, &index)) in gradient.iter().zip(&index).enumerate() {
                if index == 4 {
                    continue;
                }
                let (record, output, window) =
                    (at / windows / outputs, at / windows % outputs, at % windows);
                let y = window / columns * 2 + usize::from(index / 2);
                let x = window % columns * 2 + usize::from(index % 2);
                expected_bias[output] += gradient;
                for tap in 0..sizes.taps() {
                    let (channel, i, j) = (tap / (high * wide), tap / wide % high, tap % wide);
                    let y = y * strides[0] + i * dilations[0];
                    let x = x * strides[1] + j * dilations[1];
                    if !(pad..height + pad).contains(&y) || !(pad..width + pad).contains(&x) {
                        continue;
                    }
                    let plane = (record * channels + channel) * height;
                    let seen = (plane + y - pad) * width + x - pad;
                    let weight = output * sizes.taps() + tap;
                    expected[weight] += gradient * image[seen];
                    expected_data[seen] += gradient * weights[weight];
                }
            }

            let maxima = Maxima::new(&sizes, [2, 2], Some(&weights));
            let (apart, _) = maxima.written.as_ref().expect("the weights are given");
            let mut memory = [maxima.read.len(), apart.len()].map(|length| vec![0.0; length]);
            for vectors in VECTORS {
                let mut sums = vec![0.0; maxima.sum_len()];
                let mut bias_sums = vec![[0.0; 16]; outputs];
                let mut data = vec![f32::NAN; image.len()];
                let part = Part {
                    gradient: &gradient,
                    image: &image,
                    sums: &mut sums,
                    bias_sums: &mut bias_sums,
                    data: Some(&mut data),
                };
                let memory = memory.each_mut().map(Vec::as_mut_slice);
                if run_on(vectors, Work(&maxima, part, &index, memory)).is_none() {
                    continue;
                }
                let mut found = vec![f32::NAN; weights.len()];
                maxima.lay_out(&sums, &mut found);
                let bias: Vec<f32> = bias_sums.iter().map(|sums| sums.iter().sum()).collect();
                let close = |found: &[f32], expected: &[f32]| {
                    let mut pairs = found.iter().zip(expected);
                    pairs.all(|(found, expected)| (found - expected).abs() < 1e-2)
                };
                assert!(close(&found, &expected), "weights, {vectors}, {sizes:?}");
                assert!(close(&data, &expected_data), "image, {vectors}, {sizes:?}");
                assert!(close(&bias, &expected_bias), "bias, {vectors}, {sizes:?}");
            }
        }
    }
}
