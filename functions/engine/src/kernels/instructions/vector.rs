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
    __m256, __m512, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
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

    /// self · factor + sum
    fn multiply_add(self, factor: Self, sum: Self) -> Self;
}

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
