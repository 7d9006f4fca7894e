//! Pressure levels: the worse of the pool's own fill and what the machine reports.
//!
//! ```text
//! fill = bytes of live grants / capacity      (claims do not count: an idle machine is at Normal)
//! a level begins at its threshold and ends `hysteresis` points below it
//! ```

/// Bytes in live grants, as closely as a look tells while others are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// At least so many.
    pub least: u64,
    /// At most so many.
    pub most: u64,
}

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

/// `warned:1 | machine:2 | fill:2 | level:2`: what is known of pressure, and the level in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Gauge(pub u32);

const LEVEL_BITS: u32 = 2;
const LEVEL: u32 = (1 << LEVEL_BITS) - 1;

impl Gauge {
    fn new(fill: Pressure, machine: Pressure, warned: bool) -> Self {
        let level = fill.max(machine) as u32;
        let both = (machine as u32) << LEVEL_BITS | fill as u32;
        Self((u32::from(warned) << (2 * LEVEL_BITS) | both) << LEVEL_BITS | level)
    }

    #[inline]
    fn field(self, number: u32) -> Pressure {
        match self.0 >> (number * LEVEL_BITS) & LEVEL {
            0 => Pressure::Normal,
            1 => Pressure::High,
            _ => Pressure::Critical,
        }
    }

    /// The level in force: the worse of fill and machine.
    #[inline]
    pub fn level(self) -> Pressure {
        self.field(0)
    }

    /// The bits of the level in force: 0 at the lowest.
    #[inline]
    pub fn level_bits(self) -> u32 {
        self.0 & LEVEL
    }

    /// What the fill stands for.
    pub fn fill(self) -> Pressure {
        self.field(1)
    }

    /// What the machine last reported.
    pub fn machine(self) -> Pressure {
        self.field(2)
    }

    /// Whether the warning threshold was passed.
    pub fn is_warned(self) -> bool {
        self.0 >> (3 * LEVEL_BITS) & 1 != 0
    }

    /// After the machine reported a level.
    pub fn reported(self, machine: Pressure) -> Self {
        Self::new(self.fill(), machine, self.is_warned())
    }

    /// After `live` of `capacity` bytes were seen in grants.
    pub fn filled(self, thresholds: &Thresholds, live: u64, capacity: u64) -> Self {
        let hysteresis = thresholds.hysteresis_percent;
        let reached = |percent: u8, held: bool| {
            let bound = if held { percent - hysteresis } else { percent };
            u128::from(live) * 100 >= u128::from(capacity) * u128::from(bound)
        };
        let critical = reached(thresholds.critical_percent, self.fill() == Pressure::Critical);
        let high = reached(thresholds.high_percent, self.fill() >= Pressure::High);
        let fill = match (critical, high) {
            (true, _) => Pressure::Critical,
            (false, true) => Pressure::High,
            (false, false) => Pressure::Normal,
        };
        let warned = reached(thresholds.warning_percent, self.is_warned());
        Self::new(fill, self.machine(), warned)
    }

    /// The same where they are known less closely: only what is certain changes anything.
    pub fn filled_within(self, thresholds: &Thresholds, live: Live, capacity: u64) -> Self {
        let least = self.filled(thresholds, live.least, capacity);
        let most = self.filled(thresholds, live.most, capacity);
        let fill = self.fill().clamp(least.fill(), most.fill());
        let warned = self.is_warned().clamp(least.is_warned(), most.is_warned());
        Self::new(fill, self.machine(), warned)
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
    fn a_level_is_called_by_its_name_in_lower_case() {
        for level in Pressure::ALL {
            assert_eq!(level.name(), format!("{level:?}").to_lowercase());
        }
        assert!(Pressure::ALL.is_sorted());
    }

    #[test]
    fn a_level_begins_at_its_threshold_and_ends_below_it() {
        let mut gauge = Gauge::default();
        let mut at = |live| {
            gauge = gauge.filled(&DEFAULTS, live, 100);
            (gauge.level(), gauge.is_warned())
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
    fn a_level_begins_and_ends_where_that_is_certain() {
        let mut gauge = Gauge::default();
        let mut within = |least, most| {
            gauge = gauge.filled_within(&DEFAULTS, Live { least, most }, 100);
            (gauge.level(), gauge.is_warned())
        };
        assert_eq!(within(0, 100), (Pressure::Normal, false));
        assert_eq!(within(79, 100), (Pressure::Normal, false));
        assert_eq!(within(80, 100), (Pressure::Normal, true));
        assert_eq!(within(92, 100), (Pressure::High, true));
        assert_eq!(within(95, 100), (Pressure::Critical, true));
        assert_eq!(within(0, 100), (Pressure::Critical, true));
        assert_eq!(within(0, 90), (Pressure::Critical, true));
        assert_eq!(within(0, 89), (Pressure::High, true));
        assert_eq!(within(0, 84), (Pressure::Normal, true));
        assert_eq!(within(0, 74), (Pressure::Normal, false));
    }

    #[test]
    fn the_largest_figures_do_not_overflow() {
        let max = crate::core::word::BYTES_MAX;
        let full = Gauge::default().filled(&DEFAULTS, max, max);
        assert_eq!(full.level(), Pressure::Critical);
    }

    #[test]
    fn the_level_is_the_worse_of_fill_and_machine() {
        let calm = Gauge::default();
        for machine in Pressure::ALL {
            for live in [0, 92, 99] {
                let gauge = calm.reported(machine).filled(&DEFAULTS, live, 100);
                let fill = calm.filled(&DEFAULTS, live, 100).level();
                assert_eq!((gauge.machine(), gauge.fill()), (machine, fill));
                assert_eq!(gauge.level(), machine.max(fill));
                assert_eq!(gauge, calm.filled(&DEFAULTS, live, 100).reported(machine));
            }
        }
    }
}
