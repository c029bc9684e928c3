//! Vectors of float32 as the processor's registers hold them.
//!
//! The types name instructions that a processor may lack: only [`super`] sees them, and hands them on once it has found that
//! this processor has what they need. The portable one is what every other architecture uses.
#![allow(
    unsafe_code,
    reason = "the instructions can't be used without, and only the one who chooses a type can know that the processor has them"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_permute2f128_ps,
    _mm256_set1_ps, _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_max_ps, _mm512_set1_ps, _mm512_storeu_ps,
};

/// A vector of numbers.
pub(in crate::kernels) trait Vector: Copy {
    /// How many numbers it holds: 8 or 16.
    const LANES: usize;
    /// Whether there are 32 registers for vectors, not 16.
    const MANY: bool;

    /// One number in each lane.
    fn splat(value: f32) -> Self;

    /// The first numbers of a slice.
    ///
    /// # Panics
    /// Where it has fewer.
    fn load(values: &[f32]) -> Self;

    /// Writes to the start of a slice.
    ///
    /// # Panics
    /// Where it is shorter.
    fn store(self, values: &mut [f32]);

    /// Numbers in memory.
    ///
    /// # Safety
    /// As many can be read there as there are lanes.
    unsafe fn read(place: *const f32) -> Self;

    /// Writes to memory.
    ///
    /// # Safety
    /// As many can be written there as there are lanes.
    unsafe fn write(self, place: *mut f32);

    /// self · factor + sum
    fn multiply_add(self, factor: Self, sum: Self) -> Self;

    /// 0 for a negative number, and the number else.
    fn positive(self) -> Self;

    /// Copies [`BLOCK`] rows of as many numbers, and writes them as columns. The strides say how far rows are from each other.
    ///
    /// # Safety
    /// All of them can be read, and written.
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for row in 0..BLOCK {
            for column in 0..BLOCK {
                // SAFETY: the caller knows both places.
                unsafe {
                    *to.add(column * to_stride + row) = *from.add(row * from_stride + column);
                }
            }
        }
    }
}

/// Rows and columns that are transposed at a time.
pub(in crate::kernels) const BLOCK: usize = 8;

const TOO_SHORT: &str = "the slice is as long as the vector";

/// AVX-512.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Wide(__m512);

#[cfg(target_arch = "x86_64")]
impl Vector for Wide {
    const LANES: usize = 16;
    const MANY: bool = true;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: whoever chose the type knows that the processor has AVX-512.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        let values = values.first_chunk::<16>().expect(TOO_SHORT);
        // SAFETY: as above, and 16 numbers can be read.
        Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, values: &mut [f32]) {
        let values = values.first_chunk_mut::<16>().expect(TOO_SHORT);
        // SAFETY: as above, and 16 numbers can be written.
        unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self.0) };
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, sum.0) })
    }

    #[inline(always)]
    unsafe fn read(place: *const f32) -> Self {
        // SAFETY: whoever chose the type knows the processor, and the caller the memory.
        Self(unsafe { _mm512_loadu_ps(place) })
    }

    #[inline(always)]
    unsafe fn write(self, place: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_ps(place, self.0) };
    }

    #[inline(always)]
    fn positive(self) -> Self {
        // SAFETY: as above. Of 0 and no number, the second is given.
        Self(unsafe { _mm512_max_ps(_mm512_set1_ps(0.0), self.0) })
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: whoever chose the type knows that the processor has AVX, and the caller knows both places.
        unsafe { transpose_by_halves(from, from_stride, to, to_stride) };
    }
}

/// AVX2 with multiplication and addition in one.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Narrow(__m256);

#[cfg(target_arch = "x86_64")]
impl Vector for Narrow {
    const LANES: usize = 8;
    const MANY: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: whoever chose the type knows that the processor has AVX2 and FMA.
        Self(unsafe { _mm256_set1_ps(value) })
    }

    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        let values = values.first_chunk::<8>().expect(TOO_SHORT);
        // SAFETY: as above, and 8 numbers can be read.
        Self(unsafe { _mm256_loadu_ps(values.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, values: &mut [f32]) {
        let values = values.first_chunk_mut::<8>().expect(TOO_SHORT);
        // SAFETY: as above, and 8 numbers can be written.
        unsafe { _mm256_storeu_ps(values.as_mut_ptr(), self.0) };
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, sum: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, sum.0) })
    }

    #[inline(always)]
    unsafe fn read(place: *const f32) -> Self {
        // SAFETY: whoever chose the type knows the processor, and the caller the memory.
        Self(unsafe { _mm256_loadu_ps(place) })
    }

    #[inline(always)]
    unsafe fn write(self, place: *mut f32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_ps(place, self.0) };
    }

    #[inline(always)]
    fn positive(self) -> Self {
        // SAFETY: as above. Of 0 and no number, the second is given.
        Self(unsafe { _mm256_max_ps(_mm256_set1_ps(0.0), self.0) })
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: whoever chose the type knows that the processor has AVX, and the caller knows both places.
        unsafe { transpose_by_halves(from, from_stride, to, to_stride) };
    }
}

/// A block is transposed within pairs of rows, then within fours, and then by halves of rows.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_by_halves(
    from: *const f32,
    from_stride: usize,
    to: *mut f32,
    to_stride: usize,
) {
    // SAFETY: the caller knows that the processor has AVX, and both places.
    unsafe {
        let above = transpose_fours(from, from_stride);
        let below = transpose_fours(from.add(4 * from_stride), from_stride);
        for column in 0..4 {
            let (above, below) = (above[column], below[column]);
            let first = _mm256_permute2f128_ps::<0x20>(above, below);
            let second = _mm256_permute2f128_ps::<0x31>(above, below);
            _mm256_storeu_ps(to.add(column * to_stride), first);
            _mm256_storeu_ps(to.add((column + 4) * to_stride), second);
        }
    }
}

/// Four rows as columns: those of their first halves lie beside those of their second ones.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_fours(from: *const f32, stride: usize) -> [__m256; 4] {
    // SAFETY: the caller knows that the processor has AVX, and that the rows can be read.
    unsafe {
        let first = _mm256_loadu_ps(from);
        let second = _mm256_loadu_ps(from.add(stride));
        let third = _mm256_loadu_ps(from.add(2 * stride));
        let fourth = _mm256_loadu_ps(from.add(3 * stride));
        let low = _mm256_unpacklo_ps(first, second);
        let high = _mm256_unpackhi_ps(first, second);
        let low_behind = _mm256_unpacklo_ps(third, fourth);
        let high_behind = _mm256_unpackhi_ps(third, fourth);
        [
            _mm256_shuffle_ps::<0b01_00_01_00>(low, low_behind),
            _mm256_shuffle_ps::<0b11_10_11_10>(low, low_behind),
            _mm256_shuffle_ps::<0b01_00_01_00>(high, high_behind),
            _mm256_shuffle_ps::<0b11_10_11_10>(high, high_behind),
        ]
    }
}

/// Eight numbers side by side, for the compiler to make vectors of.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 8]);

impl Vector for Portable {
    const LANES: usize = 8;
    const MANY: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    fn load(values: &[f32]) -> Self {
        Self(*values.first_chunk().expect(TOO_SHORT))
    }

    #[inline(always)]
    fn store(self, values: &mut [f32]) {
        *values.first_chunk_mut().expect(TOO_SHORT) = self.0;
    }

    #[inline(always)]
    fn multiply_add(self, factor: Self, sum: Self) -> Self {
        let mut found = sum.0;
        for ((found, value), factor) in found.iter_mut().zip(self.0).zip(factor.0) {
            *found += value * factor;
        }
        Self(found)
    }

    #[inline(always)]
    unsafe fn read(place: *const f32) -> Self {
        // SAFETY: the caller knows that eight numbers can be read.
        Self(unsafe { place.cast::<[f32; 8]>().read() })
    }

    #[inline(always)]
    unsafe fn write(self, place: *mut f32) {
        // SAFETY: the caller knows that eight numbers can be written; an array of numbers lies as they do.
        unsafe { place.cast::<[f32; 8]>().write(self.0) };
    }

    #[inline(always)]
    fn positive(self) -> Self {
        Self(self.0.map(|value| if value < 0.0 { 0.0 } else { value }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{VECTORS, VectorTask, run_on};
    use super::Vector;

    /// 2 x + 1 of as many numbers as fill vectors.
    struct Double<'a>(&'a mut [f32]);

    impl VectorTask for Double<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Vector>(self) {
            for values in self.0.chunks_exact_mut(V::LANES) {
                V::load(values)
                    .multiply_add(V::splat(2.0), V::splat(1.0))
                    .store(values);
            }
        }
    }

    #[test]
    fn vectors_hold_numbers_side_by_side() {
        for vectors in VECTORS {
            let mut found: Vec<f32> = (0u8..48).map(f32::from).collect();
            let expected: Vec<f32> = found.iter().map(|value| 2.0 * value + 1.0).collect();
            if run_on(vectors, Double(&mut found)).is_some() {
                assert_eq!(found, expected, "{vectors}");
            }
        }
    }
}
