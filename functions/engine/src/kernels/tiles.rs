//! Products of a convolution's weights with what its windows see, without copies of that: each row of the right matrix is a
//! piece of the padded image, and pieces overlap.
//!
//! The sums of a tile, some output channels by some places, stay in registers: the loops over them have constants for bounds
//! and go by index, which the compiler unrolls before it looks for what can live in registers.
#![allow(clippy::needless_range_loop, reason = "as said above")]

use super::instructions::Vector;

/// Output channels whose weights lie side by side.
pub(super) const BLOCK: usize = 8;
const HALF: usize = BLOCK / 2;
/// A tile may read and write so many numbers behind the last place.
pub(super) const SLACK: usize = 16;

/// Lays out weights `[outputs, taps]`: blocks of output channels, the last one filled up with zeros; in a block tap by tap.
pub(super) fn pack(weights: &[f32], taps: usize) -> Vec<f32> {
    let outputs = weights.len() / taps;
    let mut packed = vec![0.0; outputs.next_multiple_of(BLOCK) * taps];
    for (output, weights) in weights.chunks_exact(taps).enumerate() {
        let block = &mut packed[output / BLOCK * BLOCK * taps..];
        let places = block.iter_mut().skip(output % BLOCK).step_by(BLOCK);
        for (place, weight) in places.zip(weights) {
            *place = *weight;
        }
    }
    packed
}

/// y[o, p] = Σ over k of w[o, k] · x[starts[k] + p], for one block of output channels o and all places p.
///
/// `outputs` has a row for each channel of the block; what stands in it behind the last place is not said.
///
/// # Panics
/// Where the rows do not have [`SLACK`] more numbers than places, rounded down to whole vectors, or the image ends before that.
#[inline(always)]
pub(super) fn multiply<V: Vector>(
    weights: &[f32],
    starts: &[usize],
    image: &[f32],
    places: usize,
    outputs: &mut [f32],
) {
    let row = outputs.len() / BLOCK;
    if V::MANY {
        channels::<V, 0, BLOCK>(weights, starts, image, places, outputs, row);
    } else {
        let (first, second) = outputs.split_at_mut(outputs.len() / 2);
        channels::<V, 0, HALF>(weights, starts, image, places, first, row);
        channels::<V, HALF, HALF>(weights, starts, image, places, second, row);
    }
}

/// Some channels of a block, from the channel `FIRST` on.
#[inline(always)]
fn channels<V: Vector, const FIRST: usize, const HIGH: usize>(
    weights: &[f32],
    starts: &[usize],
    image: &[f32],
    places: usize,
    outputs: &mut [f32],
    row: usize,
) {
    let mut left = places.div_ceil(V::LANES);
    let mut at = 0;
    while left > 0 {
        let (image, outputs) = (&image[at..], &mut outputs[at..]);
        // Four are better two and two than three and one.
        let wide = if left == 3 || left > 4 {
            3
        } else {
            left.min(2)
        };
        match wide {
            3 => tile::<V, FIRST, HIGH, 3>(weights, starts, image, outputs, row),
            2 => tile::<V, FIRST, HIGH, 2>(weights, starts, image, outputs, row),
            _ => tile::<V, FIRST, HIGH, 1>(weights, starts, image, outputs, row),
        }
        left -= wide;
        at += wide * V::LANES;
    }
}

#[inline(always)]
fn tile<V: Vector, const FIRST: usize, const HIGH: usize, const WIDE: usize>(
    weights: &[f32],
    starts: &[usize],
    image: &[f32],
    outputs: &mut [f32],
    row: usize,
) {
    let mut sums = [[V::splat(0.0); WIDE]; HIGH];
    for (weights, &start) in weights.as_chunks::<BLOCK>().0.iter().zip(starts) {
        let seen = &image[start..][..WIDE * V::LANES];
        let mut row = [V::splat(0.0); WIDE];
        for at in 0..WIDE {
            row[at] = V::load(&seen[at * V::LANES..]);
        }
        for channel in 0..HIGH {
            let weight = V::splat(weights[FIRST + channel]);
            for at in 0..WIDE {
                sums[channel][at] = row[at].multiply_add(weight, sums[channel][at]);
            }
        }
    }
    for channel in 0..HIGH {
        let outputs = &mut outputs[channel * row..][..WIDE * V::LANES];
        for at in 0..WIDE {
            sums[channel][at].store(&mut outputs[at * V::LANES..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::instructions::{VECTORS, Vector, VectorTask, run_on};
    use super::{BLOCK, SLACK, multiply, pack};

    struct Product<'a>(&'a [f32], &'a [usize], &'a [f32], usize, &'a mut [f32]);

    impl VectorTask for Product<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            multiply::<V>(self.0, self.1, self.2, self.3, self.4);
        }
    }

    fn numbers(count: usize) -> Vec<f32> {
        (0..count)
            .map(|at| f32::from(u8::try_from(at * 37 % 19).unwrap_or_default()) - 9.0)
            .collect()
    }

    /// From one vector of places to several tiles, the last one filled in part.
    #[test]
    fn products_are_those_of_the_definition() {
        let starts = [0, 3, 1, 40, 7];
        let outputs = BLOCK + 3;
        let weights = numbers(outputs * starts.len());
        let packed = pack(&weights, starts.len());
        for places in [1, 16, 30, 61, 70, 100] {
            let image = numbers(40 + places + SLACK);
            let row = places.next_multiple_of(SLACK);
            let blocks = packed.chunks(BLOCK * starts.len()).enumerate();
            for ((block, packed), vectors) in
                blocks.flat_map(|block| VECTORS.map(|name| (block, name)))
            {
                let mut found = vec![f32::NAN; BLOCK * row];
                let product = Product(packed, &starts, &image, places, &mut found);
                if run_on(vectors, product).is_none() {
                    continue;
                }
                for output in block * BLOCK..outputs.min((block + 1) * BLOCK) {
                    for place in 0..places {
                        let weights = &weights[output * starts.len()..][..starts.len()];
                        let products = weights.iter().zip(starts);
                        let expected: f32 =
                            products.map(|(w, start)| w * image[start + place]).sum();
                        let found = found[output % BLOCK * row + place];
                        assert!((found - expected).abs() < 1e-3, "{vectors}");
                    }
                }
            }
        }
    }
}
