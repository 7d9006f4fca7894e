//! From a tenant's UUID to its account's index: readers take no lock, writers come one at a time.
//!
//! Open addressing with linear probing in one of two tables. An entry is one word:
//!
//! ```text
//! 0                              empty: ends every search
//! 1 << 32                        removed: a search goes on past it, an insertion may reuse it
//! tag:32 | index + 1:32          an account; the tag is half of the hash, and gives the home cell
//! ```
//!
//! The UUID itself stands in the account. `verify` compares it, so a hit is certain whatever the
//! tag says. Removed cells pile up; when they exceed a quarter of the table the writer copies what
//! lives into the other table and moves `version` on. The table in force is `version mod 2`.
//!
//! Invariants:
//!
//! ```text
//! G1  live <= capacity <= cells / 2,  removed <= cells / 4          (between two writes)
//! G2  so at least cells / 4 are empty: every search ends
//! G3  between two versions no entry moves and no cell becomes empty
//! G4  the table not in force is written only while version stands at the other
//! ```
//!
//! Why a miss is certain: by G3 a search in the table in force passes every entry that stays. It
//! can go wrong only if that table was cleared under it, by G4 after `version` had moved on.
//! Entries are stored with Release and loaded with Acquire, so who saw any of the clearing also
//! sees the moved version, and searches again.

use super::region::{Table, Zeroed};
use super::sync::{AtomicU64, Ordering};

/// How many times a reader searches before it answers [`Lookup::Contended`]. Each further time
/// needs a rebuild, which needs that a quarter of the table was removed meanwhile.
pub const SEARCHES_MAX: u32 = 4;

const INDEX_BITS: u32 = 32;
const TAG_BITS: u32 = 32;
const _: () = assert!(INDEX_BITS + TAG_BITS == u64::BITS);

const EMPTY: u64 = 0;
const REMOVED: u64 = 1 << INDEX_BITS;

/// Largest capacity: two cells for each entry, and cells are counted in 32 bits.
pub const CAPACITY_MAX: u32 = 1 << 30;

/// The map. See the top of the file.
pub struct Registry {
    tables: [Table<Entry>; 2],
    /// Which table is in force, and how often that changed.
    version: AtomicU64,
    capacity: u32,
    seed: u64,
    /// Entries that live, and cells marked as removed in the table in force. Only writers use them.
    live: AtomicU64,
    removed: AtomicU64,
}

/// What a search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The account of this index has that UUID.
    Found(u32),
    /// At some instant during the search no account had that UUID.
    Missing,
    /// The table was rebuilt again and again during the search: nothing is known.
    Contended,
}

/// Why an insertion was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertRefused {
    /// The UUID is registered, with the account of this index.
    Duplicate(u32),
    /// As many entries live as the registry has room for.
    Full,
}

/// One cell of a table.
struct Entry(AtomicU64);

// SAFETY: an atomic is valid when zero, zero is "empty", and it needs no Drop.
unsafe impl Zeroed for Entry {
    fn empty() -> Self {
        Self(AtomicU64::new(EMPTY))
    }
}

/// Where a writer's search ended.
enum Place {
    /// The UUID is there, with this index.
    Taken(u32),
    /// It is not there, and may be put into this cell, which holds `EMPTY` or `REMOVED`.
    Free(u32),
}

impl Registry {
    /// A registry with room for `capacity` entries; `seed` decides which UUIDs collide.
    ///
    /// # Panics
    ///
    /// If `capacity` is above [`CAPACITY_MAX`].
    pub fn new(capacity: u32, seed: u64) -> Self {
        assert!(
            capacity <= CAPACITY_MAX,
            "registry capacity {capacity} is above {CAPACITY_MAX}: ask for less"
        );
        let cells = (2 * capacity as usize).next_power_of_two();
        Self {
            tables: [Table::new(cells), Table::new(cells)],
            version: AtomicU64::new(0),
            capacity,
            seed,
            live: AtomicU64::new(0),
            removed: AtomicU64::new(0),
        }
    }

    /// Searches the index of a UUID. `verify` says whether the account of an index has that UUID;
    /// it is asked about few accounts, sometimes about one that is gone or used anew.
    ///
    /// Takes no lock and ends after [`SEARCHES_MAX`] passes over a table at most. A pass loads one
    /// word per cell; in the mean 1.5 cells for a hit and 2.5 for a miss when the registry is full,
    /// and 2.5 and 8.5 when a quarter of the cells is removed besides (Knuth's linear probing).
    /// An account found may be unregistered at once: its generation, checked later, tells.
    pub fn find(&self, uuid: u128, verify: impl Fn(u32) -> bool) -> Lookup {
        let tag = self.tag(uuid);
        // Acquire: pairs with the Release in rebuild; the table in force is filled.
        let mut version = self.version.load(Ordering::Acquire);
        for _ in 0..SEARCHES_MAX {
            if let Some(index) = self.search(version, tag, &verify) {
                return Lookup::Found(index);
            }
            // Acquire: pairs with the Release in rebuild, for the next search. For this one: it
            // comes after the Acquire loads of the entries, so a clearing seen there shows here.
            let now = self.version.load(Ordering::Acquire);
            if now == version {
                return Lookup::Missing;
            }
            version = now;
        }
        Lookup::Contended
    }

    /// Adds an entry. One writer at a time: the caller holds the administrative lock, and has
    /// written the UUID into the account before.
    ///
    /// # Errors
    ///
    /// [`InsertRefused`] if the UUID is registered already, or there is no room; nothing changed.
    ///
    /// # Panics
    ///
    /// If `index` is `u32::MAX`.
    pub fn insert(
        &self,
        uuid: u128,
        index: u32,
        verify: impl Fn(u32) -> bool,
    ) -> Result<(), InsertRefused> {
        assert!(index < u32::MAX, "account index {index} has no successor: use a smaller one");
        let tag = self.tag(uuid);
        let at = match self.place(tag, &verify) {
            Place::Taken(index) => return Err(InsertRefused::Duplicate(index)),
            Place::Free(_) if self.len() == self.capacity => return Err(InsertRefused::Full),
            Place::Free(at) => at,
        };
        let table = self.in_force();
        if table[at].get() == REMOVED {
            add(&self.removed, -1);
        }
        table[at].set(entry(tag, index));
        add(&self.live, 1);
        Ok(())
    }

    /// Removes the entry of a UUID and its account, and says whether there was one. One writer at a
    /// time, as for [`Self::insert`]. The account may be used anew as soon as this has returned:
    /// who searches then does not find it by this UUID.
    ///
    /// Amortised over removals the cost is constant; one in many rebuilds the table.
    pub fn remove(&self, uuid: u128, index: u32) -> bool {
        let tag = self.tag(uuid);
        let table = self.in_force();
        let gone = entry(tag, index);
        let mut cells = probe(table, tag).map(|at| &table[at]);
        let end = cells.find(|cell| [gone, EMPTY].contains(&cell.get()));
        let Some(cell) = end.filter(|cell| cell.get() == gone) else {
            return false;
        };
        cell.set(REMOVED);
        add(&self.live, -1);
        add(&self.removed, 1);
        if self.removed() > table.capacity() / 4 {
            self.rebuild();
        }
        true
    }

    /// Copies what lives into the other table and puts that in force. Removals do it by themselves;
    /// a caller may do it at a quiet time. One writer at a time, as for [`Self::insert`].
    #[cold]
    pub fn rebuild(&self) {
        // Relaxed: only writers change it, and the caller's lock orders them.
        let version = self.version.load(Ordering::Relaxed);
        let old = self.in_force();
        let new = &self.tables[((version + 1) % 2) as usize];
        for cell in new.iter() {
            cell.set(EMPTY);
        }
        let live = old.iter().map(Entry::get).filter(|e| index_of(*e).is_some());
        for moved in live {
            let at = probe(new, tag_of(moved)).find(|at| new[*at].get() == EMPTY);
            new[at.expect("G2: half of the table is empty")].set(moved);
        }
        // Release: pairs with the Acquires in find; publishes the filled table, and is seen by who
        // sees a later clearing of the old one.
        self.version.store(version + 1, Ordering::Release);
        // Relaxed: see removed.
        self.removed.store(0, Ordering::Relaxed);
    }

    /// How many entries live.
    pub fn len(&self) -> u32 {
        // Relaxed: written by the one writer alone; for others a statistic.
        self.live.load(Ordering::Relaxed) as u32
    }

    /// Whether no entry lives.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many cells are marked as removed: what the next rebuild frees.
    pub fn removed(&self) -> u32 {
        // Relaxed: written by the one writer alone; for others a statistic.
        self.removed.load(Ordering::Relaxed) as u32
    }

    /// How often the tables were rebuilt.
    pub fn rebuilds(&self) -> u64 {
        // Relaxed: a statistic here; find has its own.
        self.version.load(Ordering::Relaxed)
    }

    /// Bytes reserved by this registry.
    pub fn tracking_bytes(&self) -> u64 {
        let cells = u64::from(self.tables[0].capacity()) + u64::from(self.tables[1].capacity());
        size_of::<Self>() as u64 + cells * size_of::<Entry>() as u64
    }

    /// One pass over the table of a version.
    #[inline]
    fn search(&self, version: u64, tag: u32, verify: impl Fn(u32) -> bool) -> Option<u32> {
        let table = &self.tables[(version % 2) as usize];
        for at in probe(table, tag) {
            match table[at].get() {
                EMPTY => return None,
                found if tag_of(found) == tag => match index_of(found) {
                    Some(index) if verify(index) => return Some(index),
                    _ => {}
                },
                _ => {}
            }
        }
        None
    }

    /// Where a UUID is, or may be put: the first removed cell on its way, else the empty one.
    fn place(&self, tag: u32, verify: impl Fn(u32) -> bool) -> Place {
        let table = self.in_force();
        let mut free = None;
        for at in probe(table, tag) {
            match table[at].get() {
                EMPTY => return Place::Free(free.unwrap_or(at)),
                REMOVED => free = free.or(Some(at)),
                found if tag_of(found) == tag => match index_of(found) {
                    Some(index) if verify(index) => return Place::Taken(index),
                    _ => {}
                },
                _ => {}
            }
        }
        unreachable!("G2: a table always has empty cells")
    }

    /// The table in force, for the writer.
    fn in_force(&self) -> &Table<Entry> {
        // Relaxed: only writers change it, and the caller's lock orders them.
        &self.tables[(self.version.load(Ordering::Relaxed) % 2) as usize]
    }

    /// Half of the hash of a UUID.
    #[inline]
    fn tag(&self, uuid: u128) -> u32 {
        let high = mix(self.seed ^ (uuid >> 64) as u64);
        (mix(high ^ uuid as u64) >> TAG_BITS) as u32
    }
}

impl Entry {
    /// What the cell holds.
    #[inline]
    fn get(&self) -> u64 {
        // Acquire: pairs with the Release in set; an account's UUID was written before its entry,
        // and a clearing was preceded by a newer version.
        self.0.load(Ordering::Acquire)
    }

    /// Writes the cell. Only for the one writer.
    fn set(&self, entry: u64) {
        // Release: pairs with the Acquire in get; publishes the account, or the moved version.
        self.0.store(entry, Ordering::Release);
    }
}

/// All cells of a table once, from the home cell of a tag.
#[inline]
fn probe(table: &Table<Entry>, tag: u32) -> impl Iterator<Item = u32> {
    let cells = table.capacity();
    (0..cells).map(move |step| tag.wrapping_add(step) & (cells - 1))
}

const fn entry(tag: u32, index: u32) -> u64 {
    (tag as u64) << INDEX_BITS | (index as u64 + 1)
}

const fn tag_of(entry: u64) -> u32 {
    (entry >> INDEX_BITS) as u32
}

/// The account of an entry; none for `EMPTY` and `REMOVED`.
const fn index_of(entry: u64) -> Option<u32> {
    (entry as u32).checked_sub(1)
}

/// Changes a number that only the one writer changes.
fn add(number: &AtomicU64, change: i64) {
    // Relaxed: the caller's lock orders writers.
    let value = number.load(Ordering::Relaxed);
    // Relaxed: as above; readers take it for a statistic.
    number.store(value.wrapping_add_signed(change), Ordering::Relaxed);
}

/// Mixes all bits of a word into all bits (the finalizer of SplitMix64; Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014).
const fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Entry: 0 }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Entry>();
    }

    #[test]
    fn words_are_mixed_as_by_split_mix_64() {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let first = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f];
        assert_eq!([0, 1, 2].map(|n| mix(STEP.wrapping_mul(n))), first);
    }

    /// Both halves of a UUID count, bit by bit.
    #[test]
    fn tags_tell_uuids_apart() {
        let registry = Registry::new(8, 0x0123_4567_89ab_cdef);
        let bits = (0..u128::BITS).map(|bit| registry.tag(1 << bit));
        let pairs = (1..u128::BITS).map(|bit| registry.tag(1 << bit | 1 << (bit - 1)));
        let tags: std::collections::HashSet<u32> = bits.chain(pairs).collect();
        assert_eq!(tags.len(), 255);
    }

    #[test]
    fn a_removed_cell_is_used_again_and_many_are_cleared_away() {
        let registry = Registry::new(64, 1);
        let uuid = u128::from;
        assert_eq!(registry.insert(7, 7, |_| false), Ok(()));
        assert!(registry.remove(7, 7));
        assert_eq!(registry.removed(), 1);
        assert_eq!(registry.insert(7, 7, |_| false), Ok(()));
        assert_eq!((registry.removed(), registry.len()), (0, 1));
        let tag = registry.tag(7);
        assert!(matches!(registry.place(tag, |_| true), Place::Taken(7)));
        assert!(matches!(registry.place(tag, |_| false), Place::Free(_)), "another of this tag");
        let most = registry.in_force().capacity() / 4;
        for n in 100..100 + most {
            assert_eq!(registry.insert(uuid(n), n, |_| false), Ok(()));
        }
        for n in 100..100 + most {
            assert!(registry.remove(uuid(n), n));
        }
        assert_eq!((registry.removed(), registry.rebuilds()), (most, 0));
        assert!(registry.remove(7, 7));
        assert_eq!((registry.removed(), registry.rebuilds()), (0, 1));
    }
}
