//! Interim.
use super::word::Owner;
/// Interim.
pub struct Ghosts;
impl Ghosts {
    /// Interim.
    pub fn new(_keys_max: u32) -> Self {
        Self
    }
    /// Interim.
    #[inline]
    pub fn recall(&self, _owner: Owner, _key: u64, _clock: u32) -> u32 {
        1
    }
    /// Interim.
    pub fn tracking_bytes(&self) -> u64 {
        0
    }
    /// Interim.
    pub fn remember(&self, _owner: Owner, _key: u64, _recency: u64, _clock: u32) {}
}
