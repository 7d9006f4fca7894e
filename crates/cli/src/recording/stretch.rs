//! Which part of a log is looked at: a sitting, a stretch of time, or all of it.

/// A sitting, counted from 1, and times of day in nanoseconds since 1970; none: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// The only sitting.
    pub sitting: Option<u64>,
    /// What came before is known, but not run.
    pub since_ns: Option<i128>,
    /// What comes from here on is not looked at.
    pub until_ns: Option<i128>,
}

impl Stretch {
    /// Whether a time of day has come to the stretch.
    pub fn has_begun(&self, unix_ns: i128) -> bool {
        self.since_ns.is_none_or(|since_ns| unix_ns >= since_ns)
    }

    /// Whether a time of day is beyond it.
    pub fn is_over(&self, unix_ns: i128) -> bool {
        self.until_ns.is_some_and(|until_ns| unix_ns >= until_ns)
    }
}
