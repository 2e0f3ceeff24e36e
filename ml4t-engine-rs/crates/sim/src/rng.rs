//! Counter-based random draws: every draw is a pure function of where it is needed.
//!
//! A generator with a state would make the draws of one model depend on how often another model, or another
//! thread, drew before it. Here the 128-bit counter names the occasion (model, order, attempt) and the key is
//! the run's seed, so adding a plugin, reordering instruments or splitting a sweep over threads moves nothing.
//!
//! The block function is Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
//! 1, 2, 3", SC 2011, section 3.4; checked against the known-answer vectors that the authors publish with
//! Random123.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
/// The golden ratio and the square root of 3 less 1, as 32-bit fractions.
const KEY_STEPS: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Philox4x32 with ten rounds: 128 random bits for a counter and a key.
#[must_use]
pub const fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    let mut round = 0;
    while round < ROUNDS {
        let (high0, low0) = wide_product(MULTIPLIERS[0], c0);
        let (high1, low1) = wide_product(MULTIPLIERS[1], c2);
        (c0, c1, c2, c3) = (high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0);
        k0 = k0.wrapping_add(KEY_STEPS[0]);
        k1 = k1.wrapping_add(KEY_STEPS[1]);
        round += 1;
    }
    [c0, c1, c2, c3]
}

/// High and low half of the 64-bit product.
const fn wide_product(a: u32, b: u32) -> (u32, u32) {
    split(a as u64 * b as u64)
}

/// High and low half.
#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
const fn split(x: u64) -> (u32, u32) {
    ((x >> 32) as u32, x as u32)
}

/// The occasion of a draw within a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occasion {
    /// Index of the model in the plan, below 2^31.
    pub model: u32,
    /// The order that asks.
    pub order: u64,
    /// How often this model has been asked for this order before.
    pub attempt: u32,
}

impl Occasion {
    /// The 53 bits of the first of the draws.
    #[must_use]
    pub fn first_bits(self, seed: u64) -> u64 {
        let [high, low, ..] = self.block(seed, 0);
        top_bits(high, low)
    }

    /// Four independent uniform draws in [0, 1), each a multiple of 2^-53.
    ///
    /// # Panics
    /// When `model` is 2^31 or more: the bit above tells the two Philox blocks of one occasion apart.
    #[must_use]
    pub fn uniforms(self, seed: u64) -> [f64; 4] {
        let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (self.block(seed, 0), self.block(seed, 1));
        [unit_interval(a0, a1), unit_interval(a2, a3), unit_interval(b0, b1), unit_interval(b2, b3)]
    }

    fn block(self, seed: u64, index: u32) -> [u32; 4] {
        assert!(self.model < 1 << 31, "model index {} does not fit the random counter (below 2^31)", self.model);
        let (seed_high, seed_low) = split(seed);
        let (order_high, order_low) = split(self.order);
        philox4x32_10([order_low, order_high, self.model << 1 | index, self.attempt], [seed_low, seed_high])
    }
}

/// The upper 53 bits of `high:low` as a fraction; 1 is never reached.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact in f64")]
fn unit_interval(high: u32, low: u32) -> f64 {
    const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
    top_bits(high, low) as f64 * STEP
}

const fn top_bits(high: u32, low: u32) -> u64 {
    ((high as u64) << 32 | low as u64) >> 11
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Occasion = Occasion { model: 3, order: 17, attempt: 0 };

    /// `kat_vectors` of Random123, lines `philox4x32 10`.
    #[test]
    fn philox_gives_the_published_answers() {
        let cases = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32_10(counter, key), expected, "counter {counter:08x?}");
        }
    }

    #[test]
    fn draws_lie_in_the_unit_interval_at_both_ends() {
        assert_eq!(unit_interval(0, 0).to_bits(), 0.0_f64.to_bits());
        let top = unit_interval(u32::MAX, u32::MAX);
        assert!(top < 1.0 && 1.0 - top < 2.0e-16, "{top}");
    }

    #[test]
    fn every_part_of_the_occasion_and_of_the_seed_changes_all_draws() {
        let base = HERE.uniforms(42);
        let others = [
            HERE.uniforms(43),
            HERE.uniforms(42 + (1 << 40)),
            Occasion { model: 4, ..HERE }.uniforms(42),
            Occasion { order: 18, ..HERE }.uniforms(42),
            Occasion { order: 17 + (1 << 40), ..HERE }.uniforms(42),
            Occasion { attempt: 1, ..HERE }.uniforms(42),
        ];
        assert_eq!(base.map(f64::to_bits), HERE.uniforms(42).map(f64::to_bits));
        for other in others {
            for (a, b) in base.iter().zip(other) {
                assert_ne!(a.to_bits(), b.to_bits());
            }
        }
    }

    /// 40,000 draws from one seed: mean within 5 standard errors of 1/2, variance of 1/12, neighbours uncorrelated.
    #[test]
    fn draws_of_consecutive_orders_are_uniform_and_uncorrelated() {
        let draws: Vec<f64> =
            (0..10_000).flat_map(|order| Occasion { order, ..HERE }.uniforms(7)).map(|u| u - 0.5).collect();
        let n = 40_000.0;
        let mean = draws.iter().sum::<f64>() / n;
        let variance = draws.iter().map(|u| u * u).sum::<f64>() / n;
        let neighbours = draws.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / n * 12.0;
        assert!(mean.abs() < 5.0 * (1.0 / 12.0 / n).sqrt(), "mean {mean}");
        assert!((variance - 1.0 / 12.0).abs() < 5.0 * (1.0 / 180.0 / n).sqrt(), "variance {variance}");
        assert!(neighbours.abs() < 5.0 / n.sqrt(), "correlation {neighbours}");
    }

    #[test]
    #[should_panic(expected = "model index 2147483648 does not fit")]
    fn a_model_index_that_would_collide_with_the_block_bit_is_refused() {
        let _ = Occasion { model: 1 << 31, ..HERE }.uniforms(0);
    }
}
