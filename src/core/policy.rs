//! Who goes first within one queue (interim).
/// Candidates looked at for one victim.
pub const WINDOW: u32 = 64;
/// Candidates remembered.
pub const POOL: usize = 12;
/// The order in which the grants of one queue go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Policy {
    /// Least recently touched first.
    Lru = 0,
    /// Least often touched first.
    Lfu = 1,
    /// Soonest to expire first.
    Ttl = 2,
    /// Largest first.
    Size = 3,
    /// Least value per byte first.
    #[default]
    Hybrid = 4,
}
impl Policy {
    /// The policy with this number.
    pub fn from_u8(n: u8) -> Option<Self> {
        [Self::Lru, Self::Lfu, Self::Ttl, Self::Size, Self::Hybrid].get(n as usize).copied()
    }
    /// The number of the policy.
    pub fn as_u8(self) -> u8 {
        self as u8
    }
    /// Worth of a candidate.
    pub fn worth(self, c: &Candidate, clock: u32, _now_ns: u64) -> Worth {
        let touched = (c.recency.0 >> 32) as u32;
        Worth(u64::MAX - u64::from(clock.wrapping_sub(touched)))
    }
}
/// `touched:32 | cost:12 | frequency:20`.
#[derive(Clone, Copy, Debug)]
pub struct Recency(pub u64);
impl Recency {
    /// Of a new grant.
    pub fn new(clock: u32, _cost: u32, frequency: u32) -> Self {
        Self((u64::from(clock) << 32) | u64::from(frequency))
    }
    /// After a touch.
    #[inline]
    pub fn touched(self, clock: u32) -> Self {
        Self((u64::from(clock) << 32) | ((self.0 & 0xffff_ffff) + 1))
    }
}
/// What a policy sees.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Bytes.
    pub bytes: u64,
    /// Recency.
    pub recency: Recency,
    /// Expiry.
    pub expires_ns: u64,
}
/// Less goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worth(pub u64);
