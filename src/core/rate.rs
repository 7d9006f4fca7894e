//! Interim.
use super::sync::AtomicU64;
/// Interim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Interval.
    pub interval_ns: u64,
    /// Tolerance.
    pub tolerance_ns: u64,
}
/// Interim.
pub struct Rate(AtomicU64);
impl Rate {
    /// Interim.
    pub fn empty() -> Self {
        Self(AtomicU64::new(0))
    }
    /// Interim.
    pub fn try_pass(&self, _l: RateLimit, _now_ns: u64) -> Result<(), u64> {
        let _ = &self.0;
        Ok(())
    }
}
