//! Numbers that look random and are the same in each run.

/// A 64-bit linear congruential generator, of which the high half is used.
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x5eed)
    }
}

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (((self.0 >> 32) * bound as u64) >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes() {
        let mut random = Random::default();
        let mut counts = [0; 16];
        (0..16_000).for_each(|_| counts[random.below(16)] += 1);
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }
}
