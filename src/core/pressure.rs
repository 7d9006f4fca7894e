//! Pressure levels: the worse of the pool's own fill and what the machine reports.
//!
//! ```text
//! fill = bytes of live grants / capacity      (claims do not count: an idle machine is at Normal)
//! a level begins at its threshold and ends `hysteresis` points below it
//! ```

/// How short memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Pressure {
    /// Plenty: burst limits apply.
    #[default]
    Normal = 0,
    /// Short: limits apply, the balancer evicts background work and caches.
    High = 1,
    /// Nearly out: fair shares apply, the balancer evicts by priority.
    Critical = 2,
}

impl Pressure {
    /// All levels, lowest first.
    pub const ALL: [Self; 3] = [Self::Normal, Self::High, Self::Critical];

    /// The level's name in lower case.
    pub fn name(self) -> &'static str {
        ["normal", "high", "critical"][self as usize]
    }
}

/// Percent of capacity at which each level begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// A warning event, no level.
    pub warning_percent: u8,
    /// High begins.
    pub high_percent: u8,
    /// Critical begins.
    pub critical_percent: u8,
    /// Points below a threshold at which its level ends.
    pub hysteresis_percent: u8,
}

/// The state of the pool's pressure between evaluations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    /// The level the fill stands for.
    pub level: Pressure,
    /// Whether the warning threshold was passed.
    pub warned: bool,
}

impl Fill {
    /// The state after `live` of `capacity` bytes were seen in grants.
    pub fn next(self, thresholds: &Thresholds, live: u64, capacity: u64) -> Self {
        let hysteresis = thresholds.hysteresis_percent;
        let reached = |percent: u8, held: bool| {
            let bound = if held { percent - hysteresis } else { percent };
            u128::from(live) * 100 >= u128::from(capacity) * u128::from(bound)
        };
        let critical = reached(thresholds.critical_percent, self.level == Pressure::Critical);
        let high = reached(thresholds.high_percent, self.level >= Pressure::High);
        let level = match (critical, high) {
            (true, _) => Pressure::Critical,
            (false, true) => Pressure::High,
            (false, false) => Pressure::Normal,
        };
        Self { level, warned: reached(thresholds.warning_percent, self.warned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: Thresholds = Thresholds {
        warning_percent: 80,
        high_percent: 90,
        critical_percent: 95,
        hysteresis_percent: 5,
    };

    #[test]
    fn a_level_begins_at_its_threshold_and_ends_below_it() {
        let mut fill = Fill::default();
        let mut at = |live| {
            fill = fill.next(&DEFAULTS, live, 100);
            (fill.level, fill.warned)
        };
        assert_eq!(at(79), (Pressure::Normal, false));
        assert_eq!(at(80), (Pressure::Normal, true));
        assert_eq!(at(90), (Pressure::High, true));
        assert_eq!(at(86), (Pressure::High, true));
        assert_eq!(at(95), (Pressure::Critical, true));
        assert_eq!(at(90), (Pressure::Critical, true));
        assert_eq!(at(89), (Pressure::High, true));
        assert_eq!(at(84), (Pressure::Normal, true));
        assert_eq!(at(74), (Pressure::Normal, false));
    }

    #[test]
    fn the_largest_figures_do_not_overflow() {
        let max = crate::core::word::BYTES_MAX;
        assert_eq!(Fill::default().next(&DEFAULTS, max, max).level, Pressure::Critical);
    }
}
