//! Numbers to calculate with: the same ones in every run.

/// A sequence of numbers that look random (`SplitMix64`).
pub(crate) struct Numbers {
    state: u64,
}

impl Numbers {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// So many numbers in [0, 1).
    pub(crate) fn floats(&mut self, count: usize) -> Vec<f32> {
        (0..count)
            // The upper 24 bits: as many as float32 holds exactly.
            .map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32)
            .collect()
    }

    /// So many numbers from 0 to `limit` − 1.
    pub(crate) fn below(&mut self, limit: u32, count: usize) -> Vec<i64> {
        (0..count)
            .map(|_| (self.next() % u64::from(limit)).cast_signed())
            .collect()
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
