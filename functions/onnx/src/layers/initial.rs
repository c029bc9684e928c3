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
        let limit = (6.0 / fan as f64).sqrt();
        (0..inputs * outputs)
            .map(|_| ((self.unit() * 2.0 - 1.0) * limit) as f32)
            .collect()
    }

    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32() >> 8) / f64::from(1_u32 << 24)
    }
}
