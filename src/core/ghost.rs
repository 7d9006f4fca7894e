//! Ghosts: how often evicted content was used, kept for a while after it is gone.
//!
//! A flat table of words in sets of one cache line. A set keeps its ghosts in the order in which
//! they were evicted, newest first: the newest pushes the others on, and the oldest falls out. So
//! tenants share the table without comparing their clocks.
//!
//! ```text
//! ghosts remembered of any keys                  <= capacity = CELLS x sets
//! cells of a set that are in use                 at most one for each tag
//! recall after remember, fewer than CELLS        what was remembered
//!   other keys of the set remembered since
//! ```
//!
//! Cost: 8 bytes for each ghost. Recalling and remembering touch one line: at most 8 loads and 8
//! stores, no read-modify-write. Races lose or double a ghost, which costs one wrong guess. Two
//! keys of one set are taken for each other once in 65,536 pairs.

use super::region::{Table, Zeroed};
use super::sync::{AtomicU64, Ordering};
use super::word::Owner;

/// Ghosts in a set.
pub const CELLS: usize = if cfg!(allot_loom) { 2 } else { 8 };

/// `clock:32 | frequency:16 | tag:16`: 0 is empty, since no tag is 0.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Cell(u64);

impl Cell {
    const EMPTY: Self = Self(0);

    fn new(tag: u16, frequency: u32, clock: u32) -> Self {
        let frequency = frequency.min(u16::MAX.into());
        Self(u64::from(clock) << 32 | u64::from(frequency) << 16 | u64::from(tag))
    }

    fn tag(self) -> u16 {
        self.0 as u16
    }

    fn frequency(self) -> u32 {
        (self.0 >> 16) as u16 as u32
    }

    fn clock(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

#[repr(C, align(64))]
struct Set([AtomicU64; CELLS]);

// SAFETY: atomics only; all zero is a set without ghosts.
unsafe impl Zeroed for Set {
    fn empty() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

/// What is remembered of evicted content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ghost {
    /// How often it was used, up to 65,535.
    pub frequency: u32,
    /// Operations of its tenant since it was evicted.
    pub absent: u32,
}

/// The ghosts of all tenants.
pub struct Ghosts {
    sets: Table<Set>,
}

impl Ghosts {
    /// A table for at least `keys_max` ghosts; with 0, nothing is remembered.
    pub fn new(keys_max: u32) -> Self {
        Self { sets: Table::new(keys_max.div_ceil(CELLS as u32) as usize) }
    }

    /// Most ghosts at once.
    pub fn capacity(&self) -> u64 {
        u64::from(self.sets.capacity()) * CELLS as u64
    }

    /// Bytes of the table.
    pub fn tracking_bytes(&self) -> u64 {
        self.capacity() * size_of::<AtomicU64>() as u64
    }

    /// Remembers that content of this key was evicted at `clock` of its tenant after it was used
    /// `frequency` times. Key 0 stands for no key. Steps: at most 8 loads and 8 stores.
    pub fn remember(&self, owner: Owner, key: u64, frequency: u32, clock: u32) {
        let Some((set, tag)) = self.place(owner, key) else { return };
        let mut pushed = Some(Cell::new(tag, frequency, clock));
        for cell in &set.0 {
            // Relaxed: ghosts are advice; a racing change of the set loses or doubles one.
            let order = Ordering::Relaxed;
            let here = Cell(cell.load(order));
            if let Some(newer) = pushed {
                cell.store(newer.0, order);
                pushed = (here != Cell::EMPTY && here.tag() != tag).then_some(here);
            } else if here.tag() == tag {
                cell.store(Cell::EMPTY.0, order);
            }
        }
    }

    /// Takes out what is remembered of this key, which is in use again. `clock` is the present of
    /// its tenant. Steps: at most 8 loads and a store.
    #[inline]
    pub fn recall(&self, owner: Owner, key: u64, clock: u32) -> Option<Ghost> {
        let (set, tag) = self.place(owner, key)?;
        // Relaxed: as in `remember`.
        let order = Ordering::Relaxed;
        let mut cells = set.0.iter().map(|cell| (cell, Cell(cell.load(order))));
        let (cell, found) = cells.find(|(_, found)| found.tag() == tag)?;
        cell.store(Cell::EMPTY.0, order);
        let absent = clock.wrapping_sub(found.clock());
        Some(Ghost { frequency: found.frequency(), absent })
    }

    /// Asks for the line of a key, which will be remembered or recalled.
    #[inline]
    pub fn prefetch(&self, owner: Owner, key: u64) {
        if let Some((set, _)) = self.place(owner, key) {
            super::sync::prefetch(set);
        }
    }

    /// The set and the tag of a key.
    #[inline]
    fn place(&self, owner: Owner, key: u64) -> Option<(&Set, u16)> {
        if key == 0 {
            return None;
        }
        let hash = spread(key ^ spread(owner.0));
        let set = (u64::from(hash as u32) * u64::from(self.sets.capacity())) >> 32;
        Some((self.sets.get(set as u32)?, ((hash >> 48) as u16).max(1)))
    }
}

/// Spreads a number over all bits: the finaliser of MurmurHash3, one to one.
fn spread(x: u64) -> u64 {
    let x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Set: 0 }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Set>();
    }

    const OWNER: Owner = Owner(7);

    #[test]
    fn remembers_once() {
        let ghosts = Ghosts::new(64);
        ghosts.remember(OWNER, 5, 9, 100);
        assert_eq!(ghosts.recall(OWNER, 5, 130), Some(Ghost { frequency: 9, absent: 30 }));
        assert_eq!(ghosts.recall(OWNER, 5, 131), None);
    }

    #[test]
    fn the_clock_may_wrap_and_the_frequency_saturates() {
        let ghosts = Ghosts::new(8);
        ghosts.remember(OWNER, 5, u32::MAX, u32::MAX);
        assert_eq!(ghosts.recall(OWNER, 5, 4), Some(Ghost { frequency: 65_535, absent: 5 }));
    }

    #[test]
    fn owners_do_not_share_ghosts() {
        let ghosts = Ghosts::new(64);
        ghosts.remember(OWNER, 5, 9, 100);
        assert_eq!(ghosts.recall(Owner(8), 5, 130), None);
    }

    #[test]
    fn the_oldest_falls_out_of_a_full_set() {
        let ghosts = Ghosts::new(1);
        assert_eq!(ghosts.capacity(), CELLS as u64);
        for key in 1..=9 {
            ghosts.remember(OWNER, key, key as u32, 0);
        }
        assert_eq!(ghosts.recall(OWNER, 1, 0), None);
        let known = (2..=9).filter(|&key| ghosts.recall(OWNER, key, 0).is_some()).count();
        assert_eq!(known, CELLS);
    }

    #[test]
    fn no_key_and_no_table_remember_nothing() {
        let (none, some) = (Ghosts::new(0), Ghosts::new(8));
        none.remember(OWNER, 5, 9, 100);
        some.remember(OWNER, 0, 9, 100);
        assert_eq!((none.recall(OWNER, 5, 101), some.recall(OWNER, 0, 101)), (None, None));
        assert_eq!((none.tracking_bytes(), some.tracking_bytes()), (0, 64));
    }

    /// What the algorithm's reference says of these.
    #[test]
    fn numbers_are_spread_as_by_murmur_hash_3() {
        for (number, spreads_to) in [
            (0, 0),
            (1, 0xb456_bcfc_34c2_cb2c),
            (2, 0x3abf_2a20_6506_83e7),
            (u64::MAX, 0x64b5_720b_4b82_5f21),
        ] {
            assert_eq!(spread(number), spreads_to);
        }
    }
}
