//! The partition of a key, as Java clients compute it.
//!
//! Invariant: equal keys land in equal partitions whichever client wrote them,
//! so this must stay byte for byte what `org.apache.kafka.common.utils.Utils.murmur2`
//! and the default partitioner do.

/// The 32-bit murmur2 hash with Kafka's seed, as Java's signed integer.
#[must_use]
pub fn murmur2(key: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    // Java's array length is 32 bits wide; Kafka has no longer keys.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "Kafka's keys are shorter than 2 GiB"
    )]
    let length = key.len() as u32;
    let mut hash = SEED ^ length;
    let mut words = key.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        hash = hash.wrapping_mul(M);
        hash ^= k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    hash.cast_signed()
}

/// The partition that Java's default partitioner gives a key in a topic of
/// `partitions` partitions (at least one).
#[must_use]
pub fn partition_by_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_like_java() {
        let vectors: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
        }
    }

    #[test]
    fn negative_hashes_have_partitions_too() {
        // Java: Utils.toPositive(-790332482) % 7
        assert_eq!(partition_by_key(b"foobar", 7), 1_357_151_166 % 7);
        assert_eq!(partition_by_key(b"foobar", 1), 0);
    }
}
