//! What a tenant used, second by second and minute by minute, in fixed memory.
//!
//! ```text
//! seconds   60 slots of 1 s       the last minute
//! minutes   60 slots of 1 min     the last hour
//!
//! H1  a slot is shown only while it is one of the last 60: its number stands in it
//! H2  memory of a history is the same from its first moment to its last
//! H3  histories in use <= histories_max
//! ```
//!
//! Each look of the monitor writes into the slots of its own time: bytes in use as the most that
//! any look of that second or minute saw; requests, denials and evicted bytes as what happened
//! since the look before. A second in which the monitor did not look has no slot: gaps are gaps,
//! nothing is carried over or made up. With a monitor that looks every ten seconds the minute has
//! six points, and their counts still add up.

/// Slots of a ring.
const SLOTS: u64 = 60;
/// A second in ns.
pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// A minute in ns.
pub(super) const MINUTE_NS: u64 = 60 * SECOND_NS;
/// How long a tenant may be idle until its history is forgotten: all of the long ring.
pub(super) const IDLE_NS_MAX: u64 = SLOTS * MINUTE_NS;

/// What one look of the monitor saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    pub used_bytes: u64,
    /// Since the look before.
    pub requests: u64,
    pub denied: u64,
    pub evicted_bytes: u64,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    /// Which second or minute it is of, plus one; 0: none.
    number: u32,
    requests: u32,
    denied: u32,
    used_bytes: u64,
    evicted_bytes: u64,
}

struct Ring {
    slots: [Slot; SLOTS as usize],
    width_ns: u64,
}

impl Ring {
    fn new(width_ns: u64) -> Self {
        Self { slots: [Slot::default(); SLOTS as usize], width_ns }
    }

    fn number(&self, now_ns: u64) -> u64 {
        now_ns / self.width_ns
    }

    fn note(&mut self, now_ns: u64, look: &Look) {
        let number = self.number(now_ns);
        let mark = number as u32 + 1;
        let slot = &mut self.slots[(number % SLOTS) as usize];
        if slot.number != mark {
            *slot = Slot { number: mark, ..Slot::default() };
        }
        slot.used_bytes = slot.used_bytes.max(look.used_bytes);
        slot.requests = slot.requests.saturating_add(clamped(look.requests));
        slot.denied = slot.denied.saturating_add(clamped(look.denied));
        slot.evicted_bytes = slot.evicted_bytes.saturating_add(look.evicted_bytes);
    }

    fn read(&self, now_ns: u64) -> Vec<HistoryPoint> {
        let now = self.number(now_ns);
        let numbers = now.saturating_sub(SLOTS - 1)..=now;
        numbers
            .filter_map(|number| {
                let slot = &self.slots[(number % SLOTS) as usize];
                (slot.number == number as u32 + 1).then(|| HistoryPoint {
                    time_ns: number * self.width_ns,
                    used_bytes: slot.used_bytes,
                    requests: slot.requests,
                    denied: slot.denied,
                    evicted_bytes: slot.evicted_bytes,
                })
            })
            .collect()
    }
}

fn clamped(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The last minute and the last hour of one tenant, or of the pool.
pub(super) struct History {
    seconds: Ring,
    minutes: Ring,
}

impl History {
    /// An empty one. About 4 KiB, and never more.
    pub(super) fn new() -> Self {
        Self { seconds: Ring::new(SECOND_NS), minutes: Ring::new(MINUTE_NS) }
    }

    /// Enters what a look saw.
    pub(super) fn note(&mut self, now_ns: u64, look: &Look) {
        self.seconds.note(now_ns, look);
        self.minutes.note(now_ns, look);
    }

    /// What is known at a time.
    pub(super) fn read(&self, now_ns: u64) -> UsageHistory {
        UsageHistory { seconds: self.seconds.read(now_ns), minutes: self.minutes.read(now_ns) }
    }
}

/// What was used in the last minute and the last hour, oldest first. Seconds and minutes in which
/// the monitor did not look are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageHistory {
    /// At most 60 points of one second.
    pub seconds: Vec<HistoryPoint>,
    /// At most 60 points of one minute.
    pub minutes: Vec<HistoryPoint>,
}

/// One second, or one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryPoint {
    /// When it began, in ns of the governor's clock.
    pub time_ns: u64,
    /// Most bytes in live allocations at a look of the monitor.
    pub used_bytes: u64,
    /// Requests since the look before.
    pub requests: u32,
    /// Denials since the look before.
    pub denied: u32,
    /// Bytes evicted since the look before.
    pub evicted_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn used(used_bytes: u64) -> Look {
        Look { used_bytes, requests: 1, ..Look::default() }
    }

    #[test]
    fn memory_is_fixed() {
        assert!(size_of::<History>() <= 4_096, "{}", size_of::<History>());
        assert!(!std::mem::needs_drop::<History>(), "nothing behind a pointer");
    }

    #[test]
    fn irregular_looks_agree_with_a_map_of_all() {
        let mut history = History::new();
        let mut naive: [BTreeMap<u64, (u64, u32)>; 2] = Default::default();
        let mut now = 0;
        for step in 0..5_000u64 {
            now += match step % 11 {
                0 => 7 * SECOND_NS,
                1..8 => SECOND_NS / 3,
                _ => 0,
            };
            now += if step % 997 == 0 { 3 * MINUTE_NS } else { 0 };
            let bytes = step * 7_919 % 1_000;
            history.note(now, &used(bytes));
            for (points, width) in naive.iter_mut().zip([SECOND_NS, MINUTE_NS]) {
                let point = points.entry(now / width).or_default();
                *point = (point.0.max(bytes), point.1 + 1);
            }
            let seen = history.read(now);
            for (points, (all, width)) in
                [seen.seconds, seen.minutes].iter().zip(naive.iter().zip([SECOND_NS, MINUTE_NS]))
            {
                let oldest = (now / width).saturating_sub(59);
                let expected = all.range(oldest..);
                let points = points.iter().map(|p| (p.time_ns / width, (p.used_bytes, p.requests)));
                assert!(points.eq(expected.map(|(&at, &point)| (at, point))), "at {now}");
            }
        }
    }

    #[test]
    fn a_long_pause_leaves_nothing_old() {
        let mut history = History::new();
        history.note(0, &used(5));
        assert_eq!(history.read(59 * SECOND_NS).seconds.len(), 1);
        assert_eq!(history.read(60 * SECOND_NS).seconds.len(), 0);
        assert_eq!(history.read(59 * MINUTE_NS).minutes.len(), 1);
        assert_eq!(history.read(IDLE_NS_MAX), UsageHistory::default());
    }
}
