//! The gradients of a convolution without a pool, by products with the views of an image.
//!
//! With E the gradient before the `Relu` and V the views, ∂L/∂w is the sum over images of E Vᵀ, and ∂L/∂V = wᵀ E is added up
//! where it was seen.

use std::ops::Range;

use super::convolution_gradient::{Part, add_up};
use super::instructions::{self, Task};
use super::matrix::{Matrix, Rectangle};
use super::product::{Ending, Product};
use super::scratch;
use super::window::Sizes;

/// Which elements the gradient passes on its way to what the windows made.
#[derive(Clone, Copy)]
pub(super) enum Passed<'a> {
    All,
    /// Where the output is positive.
    Positive(&'a [f32]),
}

impl Passed<'_> {
    /// For a part of the outputs.
    pub(super) fn part(self, range: Range<usize>) -> Self {
        match self {
            Self::All => Self::All,
            Self::Positive(output) => Self::Positive(&output[range]),
        }
    }
}

/// A convolution whose gradients are wanted.
pub(super) struct Views<'a> {
    sizes: &'a Sizes,
    weights: &'a [f32],
}

impl<'a> Views<'a> {
    pub(super) fn new(sizes: &'a Sizes, weights: &'a [f32]) -> Self {
        Self { sizes, weights }
    }

    pub(super) fn sum_len(&self) -> usize {
        self.weights.len()
    }

    /// Adds the gradients of some images to their sums.
    pub(super) fn add(&self, part: Part<'_>, passed: Passed<'_>) {
        let sizes = self.sizes;
        let lengths = [sizes.padded_len(), sizes.views_len(), sizes.outputs_len()];
        scratch::with(lengths, |memory| {
            instructions::run(Work(self, part, passed, memory));
        });
    }
}

/// A part, and memory for a padded image, its views and the gradient of what was made of them.
struct Work<'a, 'm>(&'a Views<'a>, Part<'a>, Passed<'a>, [&'m mut [f32]; 3]);

impl Task for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(views, mut part, passed, [padded, seen, errors]) = self;
        let sizes = views.sizes;
        for record in 0..part.image.len() / sizes.image_len() {
            let length = part.gradient.len() / (part.image.len() / sizes.image_len());
            let range = record * length..(record + 1) * length;
            let gradient = &part.gradient[range.clone()];
            views.spread(gradient, passed.part(range), errors);
            let sums = part.bias_sums.iter_mut();
            for (sum, errors) in sums.zip(errors.chunks_exact(sizes.view)) {
                add_up(errors, sum);
            }
            let image = record * sizes.image_len()..(record + 1) * sizes.image_len();
            sizes.pad(&part.image[image.clone()], padded);
            let groups = padded.chunks_exact_mut(sizes.padded_len() / sizes.groups);
            let groups = groups.zip(errors.chunks_exact(sizes.outputs * sizes.view));
            for (group, (padded, errors)) in groups.enumerate() {
                views.differentiate(group, padded, seen, errors, &mut part);
            }
            if let Some(data) = &mut part.data {
                sizes.unpad(padded, &mut data[image]);
            }
        }
    }
}

impl Views<'_> {
    /// Adds to the sums of a group's weights, and replaces its padded image by the gradient of that.
    #[inline(always)]
    fn differentiate(
        &self,
        group: usize,
        padded: &mut [f32],
        views: &mut [f32],
        errors: &[f32],
        part: &mut Part<'_>,
    ) {
        let sizes = self.sizes;
        let taps = sizes.taps();
        let errors = Matrix::new(errors, sizes.outputs, sizes.view);
        let weights = group * sizes.outputs * taps..(group + 1) * sizes.outputs * taps;
        sizes.gather(padded, views);
        let seen = Matrix::new(views, taps, sizes.view).transposed();
        let sums = &mut part.sums[weights.clone()];
        let ending = Ending {
            adds: true,
            ..Ending::PLAIN
        };
        multiply(errors, seen, sums, ending);
        if part.data.is_some() {
            let weights = Matrix::new(&self.weights[weights], sizes.outputs, taps);
            multiply(weights.transposed(), errors, views, Ending::PLAIN);
            padded.fill(0.0);
            sizes.scatter(views, padded);
        }
    }

    /// Lays the gradient of one record out as the views are, zero where nothing passes.
    #[inline(always)]
    fn spread(&self, gradient: &[f32], passed: Passed<'_>, errors: &mut [f32]) {
        let sizes = self.sizes;
        let [high, width] = sizes.pooled;
        errors.fill(0.0);
        for (channel, errors) in errors.chunks_exact_mut(sizes.view).enumerate() {
            for (place, errors) in errors.chunks_mut(sizes.row).enumerate() {
                let start = (channel * high + place) * width;
                let row = start..start + width;
                let gradient = &gradient[row.clone()];
                match passed {
                    Passed::All => errors[..width].copy_from_slice(gradient),
                    Passed::Positive(output) => {
                        let inputs = gradient.iter().zip(&output[row]);
                        for (error, (gradient, output)) in errors.iter_mut().zip(inputs) {
                            *error = if *output > 0.0 { *gradient } else { 0.0 };
                        }
                    }
                }
            }
        }
    }
}

/// A product that fills a slice.
fn multiply(left: Matrix<'_>, right: Matrix<'_>, target: &mut [f32], ending: Ending<'_>) {
    let (rows, columns) = (left.rows(), right.columns());
    Product {
        left,
        right,
        target: Rectangle::new(target, rows, columns, columns),
        ending,
    }
    .compute();
}
