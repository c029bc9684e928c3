//! Padded images pixel by pixel, the channels of a pixel side by side, and the sums over a few of their patches.
//!
//! A patch is what one window sees. In this layout it is a few pieces of the image, its *runs*: the rows of the window, or
//! its taps where it is dilated across. Sums over patches have the runs one behind the other, each rounded up to whole
//! vectors; what is added up behind the end of a run means nothing. Loops over tiles are written as in [`super::tiles`].
#![allow(clippy::needless_range_loop, reason = "see there")]

use super::instructions::Vector;
use super::window::Sizes;

/// Whole vectors are as many numbers, or a part of that.
const WHOLE: usize = 16;

/// What lies where.
#[derive(Clone, Debug)]
pub(super) struct Pixels {
    /// Numbers of a pixel: at least one for each channel.
    pixel: usize,
    channels: usize,
    kernel: [usize; 2],
    /// Where the runs of a patch begin in the image.
    runs: Vec<usize>,
    run: usize,
    padded: [usize; 2],
    before: [usize; 2],
    image: [usize; 2],
}

/// Some windows: the pixels that they begin with, and the gradients of what they made.
#[derive(Clone, Copy)]
pub(super) struct Entries<'a> {
    pub(super) pixels: &'a [u32],
    pub(super) gradients: &'a [f32],
}

impl Pixels {
    /// Images whose patches are read: pixels without gaps.
    pub(super) fn tight(sizes: &Sizes) -> Self {
        Self::new(sizes, sizes.channels)
    }

    /// Images whose patches are written: a vector never reaches into another one's pixel, which would have to wait for it.
    pub(super) fn apart(sizes: &Sizes) -> Self {
        Self::new(sizes, sizes.channels.next_multiple_of(WHOLE))
    }

    fn new(sizes: &Sizes, pixel: usize) -> Self {
        let ([high, wide], [down, across]) = (sizes.kernel, sizes.dilations);
        let taps = if across == 1 { 1 } else { wide };
        let starts = (0..high * taps).map(|run| {
            let (i, j) = (run / taps, run % taps);
            (i * down * sizes.padded[1] + j * across) * pixel
        });
        Self {
            pixel,
            channels: sizes.channels,
            kernel: sizes.kernel,
            runs: starts.collect(),
            run: wide / taps * pixel,
            padded: sizes.padded,
            before: sizes.before,
            image: sizes.image,
        }
    }

    /// Numbers of an image; the last vector of the last patch may reach behind the last pixel.
    pub(super) fn len(&self) -> usize {
        self.padded[0] * self.padded[1] * self.pixel + WHOLE
    }

    /// How far apart the runs are in a sum over patches.
    fn distance(&self) -> usize {
        self.run.next_multiple_of(WHOLE)
    }

    /// Numbers of a sum over patches.
    pub(super) fn patch(&self) -> usize {
        self.runs.len() * self.distance()
    }

    /// Where the taps stand in a sum over patches, in the order of the weights.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        let [high, wide] = self.kernel;
        let taps = self.runs.len() / high;
        (0..self.channels).flat_map(move |channel| {
            (0..high * wide).map(move |tap| {
                let (run, pixel) = (tap / wide * taps, tap % wide);
                if taps == 1 {
                    run * self.distance() + pixel * self.pixel + channel
                } else {
                    (run + pixel) * self.distance() + channel
                }
            })
        })
    }

    /// Lays out an image of planes, and fills up with zeros.
    #[inline(always)]
    pub(super) fn lay(&self, planes: &[f32], pixels: &mut [f32]) {
        pixels.fill(0.0);
        let [height, width] = self.image;
        for (channel, plane) in planes.chunks_exact(height * width).enumerate() {
            for (y, row) in plane.chunks_exact(width).enumerate() {
                let pixels = &mut pixels[self.start_of_row(y) + channel..];
                for (pixel, value) in pixels.iter_mut().step_by(self.pixel).zip(row) {
                    *pixel = *value;
                }
            }
        }
    }

    /// Makes planes of an image that is laid out.
    #[inline(always)]
    pub(super) fn lift(&self, pixels: &[f32], planes: &mut [f32]) {
        let [height, width] = self.image;
        for (channel, plane) in planes.chunks_exact_mut(height * width).enumerate() {
            for (y, row) in plane.chunks_exact_mut(width).enumerate() {
                let pixels = &pixels[self.start_of_row(y) + channel..];
                for (value, pixel) in row.iter_mut().zip(pixels.iter().step_by(self.pixel)) {
                    *value = *pixel;
                }
            }
        }
    }

    fn start_of_row(&self, y: usize) -> usize {
        ((y + self.before[0]) * self.padded[1] + self.before[1]) * self.pixel
    }

    /// Adds to `sums` the patch of each entry times its gradient.
    #[inline(always)]
    pub(super) fn add_patches<V: Vector>(
        &self,
        entries: Entries<'_>,
        image: &[f32],
        sums: &mut [f32],
    ) {
        self.for_each_tile::<V>(&mut Adding {
            pixel: self.pixel,
            entries,
            image,
            sums,
        });
    }

    /// Adds a patch times the gradient of each entry to where the entry is in the image.
    #[inline(always)]
    pub(super) fn add_to_image<V: Vector>(
        &self,
        patch: &[f32],
        entries: Entries<'_>,
        image: &mut [f32],
    ) {
        self.for_each_tile::<V>(&mut Spreading {
            pixel: self.pixel,
            entries,
            image,
            patch,
        });
    }

    /// Splits a patch into tiles that fit the registers.
    #[inline(always)]
    fn for_each_tile<V: Vector>(&self, work: &mut impl Tiles) {
        let mut first = 0;
        while first < self.runs.len() {
            let mut place = Place {
                start: first * self.distance(),
                distance: self.distance(),
                at: 0,
            };
            let mut left = self.run.div_ceil(V::LANES);
            let runs = &self.runs[first..];
            let high = if let Some(&runs) = runs.first_chunk::<3>() {
                while left > 0 {
                    left -= work.some::<V, 3>(runs, place, left);
                    place.at = (self.run.div_ceil(V::LANES) - left) * V::LANES;
                }
                3
            } else {
                while left > 0 {
                    left -= work.some::<V, 1>([runs[0]], place, left);
                    place.at = (self.run.div_ceil(V::LANES) - left) * V::LANES;
                }
                1
            };
            first += high;
        }
    }
}

/// Where a tile stands in a sum over patches: as many vectors of each of some runs.
#[derive(Clone, Copy)]
struct Place {
    /// The first run.
    start: usize,
    distance: usize,
    /// How far within the runs.
    at: usize,
}

/// What is done to tiles.
trait Tiles {
    /// `SIDES` are how many entries may be at work side by side, where the sums of a tile are too few to wait for each other.
    fn tile<V: Vector, const HIGH: usize, const WIDE: usize, const SIDES: usize>(
        &mut self,
        runs: [usize; HIGH],
        place: Place,
    );

    /// Takes as many of the vectors that are left as fit the registers, and says how many.
    #[inline(always)]
    fn some<V: Vector, const HIGH: usize>(
        &mut self,
        runs: [usize; HIGH],
        place: Place,
        left: usize,
    ) -> usize {
        match left {
            6.. if V::MANY => {
                self.tile::<V, HIGH, 6, 1>(runs, place);
                6
            }
            3.. => {
                self.tile::<V, HIGH, 3, 1>(runs, place);
                3
            }
            2 => {
                self.tile::<V, HIGH, 2, 2>(runs, place);
                2
            }
            _ => {
                self.tile::<V, HIGH, 1, 4>(runs, place);
                1
            }
        }
    }
}

struct Adding<'a> {
    pixel: usize,
    entries: Entries<'a>,
    image: &'a [f32],
    sums: &'a mut [f32],
}

impl Tiles for Adding<'_> {
    #[inline(always)]
    fn tile<V: Vector, const HIGH: usize, const WIDE: usize, const SIDES: usize>(
        &mut self,
        runs: [usize; HIGH],
        place: Place,
    ) {
        let length = WIDE * V::LANES;
        let sums = &mut self.sums[place.start + place.at..];
        let mut tiles = [[[V::splat(0.0); WIDE]; HIGH]; SIDES];
        let image = &self.image[place.at..];
        let (pixels, last_pixels) = self.entries.pixels.as_chunks::<SIDES>();
        let (gradients, last_gradients) = self.entries.gradients.as_chunks::<SIDES>();
        for (pixels, gradients) in pixels.iter().zip(gradients) {
            for side in 0..SIDES {
                let image = &image[pixels[side] as usize * self.pixel..];
                let gradient = V::splat(gradients[side]);
                add::<V, HIGH, WIDE>(image, runs, gradient, &mut tiles[side]);
            }
        }
        for (&pixel, &gradient) in last_pixels.iter().zip(last_gradients) {
            let image = &image[pixel as usize * self.pixel..];
            add::<V, HIGH, WIDE>(image, runs, V::splat(gradient), &mut tiles[0]);
        }
        let one = V::splat(1.0);
        for run in 0..HIGH {
            let sums = &mut sums[run * place.distance..][..length];
            for at in 0..WIDE {
                let sums = &mut sums[at * V::LANES..];
                let mut sum = V::load(sums);
                for side in 0..SIDES {
                    sum = tiles[side][run][at].multiply_add(one, sum);
                }
                sum.store(sums);
            }
        }
    }
}

/// Adds a part of the patch that begins an image, times a gradient, to a tile.
#[inline(always)]
fn add<V: Vector, const HIGH: usize, const WIDE: usize>(
    image: &[f32],
    runs: [usize; HIGH],
    gradient: V,
    tile: &mut [[V; WIDE]; HIGH],
) {
    for run in 0..HIGH {
        let seen = &image[runs[run]..][..WIDE * V::LANES];
        for at in 0..WIDE {
            let seen = V::load(&seen[at * V::LANES..]);
            tile[run][at] = seen.multiply_add(gradient, tile[run][at]);
        }
    }
}

struct Spreading<'a> {
    pixel: usize,
    entries: Entries<'a>,
    image: &'a mut [f32],
    patch: &'a [f32],
}

impl Tiles for Spreading<'_> {
    #[inline(always)]
    fn tile<V: Vector, const HIGH: usize, const WIDE: usize, const SIDES: usize>(
        &mut self,
        runs: [usize; HIGH],
        place: Place,
    ) {
        let length = WIDE * V::LANES;
        let patch = &self.patch[place.start + place.at..];
        let mut tile = [[V::splat(0.0); WIDE]; HIGH];
        for run in 0..HIGH {
            let patch = &patch[run * place.distance..][..length];
            for at in 0..WIDE {
                tile[run][at] = V::load(&patch[at * V::LANES..]);
            }
        }
        let image = &mut self.image[place.at..];
        for (&pixel, &gradient) in self.entries.pixels.iter().zip(self.entries.gradients) {
            let image = &mut image[pixel as usize * self.pixel..];
            let gradient = V::splat(gradient);
            for run in 0..HIGH {
                let seen = &mut image[runs[run]..][..length];
                for at in 0..WIDE {
                    let seen = &mut seen[at * V::LANES..];
                    tile[run][at]
                        .multiply_add(gradient, V::load(seen))
                        .store(seen);
                }
            }
        }
    }
}
