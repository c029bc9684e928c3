//! The first values of weights, drawn from a seed.
//!
//! The generator is `ChaCha8`, and the mapping to floats our own, so that no release of a library changes the values that
//! a seed gives: each value takes the upper 24 bits of one 32 bit word as a multiple of 2⁻²⁴ in [0, 1).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::Activation;

/// Draws weights, one layer after the other.
pub(super) struct Initial(ChaCha8Rng);

impl Initial {
    pub(super) fn from_seed(seed: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// The weights of a dense layer, uniform in ±limit.
    ///
    /// Before a `Relu` the limit is √(6 / inputs), after He et al. 2015 ("Delving Deep into Rectifiers"), else
    /// √(6 / (inputs + outputs)), after Glorot and Bengio 2010 ("Understanding the difficulty of training deep feedforward
    /// neural networks").
    pub(super) fn weights(
        &mut self,
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> Vec<f32> {
        let fan = match activation {
            Activation::Relu => inputs,
            _ => inputs + outputs,
        };
        self.uniform(inputs * outputs, fan)
    }

    /// Uniform in ±√(6 / fan).
    pub(super) fn uniform(&mut self, count: usize, fan: usize) -> Vec<f32> {
        self.within((6.0 / fan as f64).sqrt(), count)
    }

    /// The rows of a table, uniform in ±0.05.
    pub(super) fn embedding(&mut self, count: usize) -> Vec<f32> {
        self.within(0.05, count)
    }

    /// A matrix of `rows` ≥ `columns` whose columns are orthogonal and of length 1, after Saxe et al. 2014 ("Exact solutions
    /// to the nonlinear dynamics of learning in deep linear neural networks").
    ///
    /// Columns of sums of uniform numbers, close to normally distributed ones without a logarithm that could differ between
    /// machines, are made orthogonal one after the other (Gram and Schmidt, twice over against rounding).
    pub(super) fn orthogonal(&mut self, rows: usize, columns: usize) -> Vec<f32> {
        const TERMS: usize = 12;
        let mut found: Vec<Vec<f64>> = Vec::with_capacity(columns);
        for _ in 0..columns {
            let mut column: Vec<f64> = (0..rows)
                .map(|_| (0..TERMS).map(|_| self.unit() - 0.5).sum())
                .collect();
            for _ in 0..2 {
                for earlier in &found {
                    let share: f64 = column.iter().zip(earlier).map(|(a, b)| a * b).sum();
                    for (value, earlier) in column.iter_mut().zip(earlier) {
                        *value -= share * earlier;
                    }
                }
            }
            let length = column.iter().map(|value| value * value).sum::<f64>().sqrt();
            found.push(column.into_iter().map(|value| value / length).collect());
        }
        let rows = (0..rows).flat_map(|row| found.iter().map(move |column| column[row] as f32));
        rows.collect()
    }

    fn within(&mut self, limit: f64, count: usize) -> Vec<f32> {
        (0..count)
            .map(|_| ((self.unit() * 2.0 - 1.0) * limit) as f32)
            .collect()
    }

    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32() >> 8) / f64::from(1_u32 << 24)
    }
}
