//! Room for records: a count of the places in a ring that nobody has claimed.
//!
//! Whoever will have to record something takes room for it first, and is refused if there is none;
//! whoever has read a record for good gives its room back. So a ring of that capacity never
//! overwrites what has not been read.
//!
//! ```text
//! C1  free + promised + unread = capacity
//!     promised: taken for records that are still to come: of requests at work, of the end of every
//!               live grant, of whoever waits
//!     unread:   pushed, and not given back by the reader
//! ```
//!
//! Room is taken by an exchange and never by subtracting first and adding back: a request that
//! needs more than there is must not make a smaller one fail.

use super::sync::{AtomicU64, Ordering};
use crossbeam_utils::CachePadded;

/// Exchanges that one taker attempts while others take or give.
pub const TAKE_TURNS_MAX: u32 = 64;

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// So much is free, which is less than was wanted.
    Exhausted {
        /// Records that had room.
        free: u64,
    },
    /// The bound of steps ran out because others took or gave room again and again.
    Contended,
}

/// How many records have room.
pub struct Credits {
    free: CachePadded<AtomicU64>,
}

impl Credits {
    /// Room for so many records.
    pub fn new(capacity: u64) -> Self {
        Self { free: CachePadded::new(AtomicU64::new(capacity)) }
    }

    /// Takes room for so many records, all or none. At most [`TAKE_TURNS_MAX`] exchanges.
    #[inline]
    pub fn take(&self, records: u64) -> Result<(), NoRoom> {
        // Relaxed: the exchange below decides.
        let mut free = self.free.load(Ordering::Relaxed);
        for _ in 0..TAKE_TURNS_MAX {
            let Some(rest) = free.checked_sub(records) else {
                return Err(NoRoom::Exhausted { free });
            };
            // Acquire: pairs with the Release in `give`: what is pushed into this room comes after
            // the record that was read from it. Relaxed on failure: only the count is used.
            let (success, failure) = (Ordering::Acquire, Ordering::Relaxed);
            match self.free.compare_exchange(free, rest, success, failure) {
                Ok(_) => return Ok(()),
                Err(now) => free = now,
            }
        }
        Err(NoRoom::Contended)
    }

    /// Gives room back.
    #[inline]
    pub fn give(&self, records: u64) {
        // Release: pairs with the Acquire in `take`.
        self.free.fetch_add(records, Ordering::Release);
    }

    /// Records that have room now, as of a moment ago.
    pub fn free(&self) -> u64 {
        // Relaxed: a figure for people.
        self.free.load(Ordering::Relaxed)
    }
}
