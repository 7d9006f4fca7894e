//! The ledger's own record of each grant: a word of its life, beside the governor and independent
//! of it. Every grant the threads ask for has one before they ask; what the governor is told as the
//! grant's cookie is the number of its record.
//!
//! ```text
//! word    = generation:40 | life:24
//! asked -> live -> gone      an owner said that it was freed, or a release that it was evicted
//!               -> returned  a release said that its bytes went back: once at most
//! asked -> gone              it was evicted before the one who asked had read the answer
//! ```
//!
//! The owner of a record begins a new generation only when the grant before has ended, so what is
//! said of it late, by whoever else knew its cookie, changes nothing.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::count::Word;
use super::fault::Fault;

const INDEX_BITS: u32 = 24;
const ASKED: u64 = 1;
const LIVE: u64 = 2;
const GONE: u64 = 3;
const RETURNED: u64 = 4;

/// The name of a record in one of its lives: `generation:40 | index:24`, never 0.
pub(super) type Cookie = u64;

/// All records.
pub(super) struct Cells(Box<[Word]>);

fn word(cookie: Cookie, life: u64) -> u64 {
    cookie >> INDEX_BITS << INDEX_BITS | life
}

/// The place of a record.
pub(super) fn index(cookie: Cookie) -> u32 {
    (cookie & ((1 << INDEX_BITS) - 1)) as u32
}

impl Cells {
    pub fn new(count: u32) -> Self {
        assert!(count < 1 << INDEX_BITS, "{count} records have no numbers");
        Self((0..count).map(|_| Default::default()).collect())
    }

    /// Begins a new life of a record that nobody asks for now.
    #[inline]
    pub fn open(&self, index: u32) -> Cookie {
        let cell = &self.0[index as usize];
        // Relaxed: its owner alone begins lives, and others only end those that it has begun.
        let generation = (cell.load(Relaxed) >> INDEX_BITS) + 1;
        let cookie = generation << INDEX_BITS | u64::from(index);
        // Release: pairs with the AcqRel of who ends it; the governor hands the cookie on as well.
        cell.store(word(cookie, ASKED), Release);
        cookie
    }

    /// It was granted; false if it has gone by now.
    #[inline]
    pub fn publish(&self, cookie: Cookie) -> bool {
        self.step(cookie, ASKED, LIVE)
    }

    /// Its owner said that its bytes are free, or a release that it was evicted. Also late.
    pub fn gone(&self, cookie: Cookie) {
        // In this order: it may be published in between, and never the other way.
        let _ = self.step(cookie, ASKED, GONE) || self.step(cookie, LIVE, GONE);
    }

    /// A release said that its bytes went back.
    ///
    /// # Errors
    ///
    /// If one said so before.
    #[inline]
    pub fn returned(&self, cookie: Cookie) -> Result<(), Fault> {
        // AcqRel: pairs with itself; the second to say so sees the first.
        let before = self.0[index(cookie) as usize].fetch_update(AcqRel, Acquire, |now| {
            let same = now >> INDEX_BITS == cookie >> INDEX_BITS;
            (same && now != word(cookie, RETURNED)).then_some(word(cookie, RETURNED))
        });
        match before {
            Ok(_) => Ok(()),
            Err(_) => Err(Fault::new("a release that gives bytes back", 1, 2)),
        }
    }

    /// Whether nothing has ended it.
    pub fn is_live(&self, cookie: Cookie) -> bool {
        self.life(cookie) == Some(LIVE)
    }

    /// Whether it was asked for, and nothing has ended it.
    pub fn is_asked(&self, cookie: Cookie) -> bool {
        self.life(cookie) == Some(ASKED)
    }

    fn life(&self, cookie: Cookie) -> Option<u64> {
        // Acquire: pairs with the AcqRel of who changed it.
        let now = self.0[index(cookie) as usize].load(Acquire);
        (now >> INDEX_BITS == cookie >> INDEX_BITS).then_some(now & ((1 << INDEX_BITS) - 1))
    }

    #[inline]
    fn step(&self, cookie: Cookie, from: u64, to: u64) -> bool {
        let cell = &self.0[index(cookie) as usize];
        // AcqRel: who ends it and who publishes it see what the other has done.
        cell.compare_exchange(word(cookie, from), word(cookie, to), AcqRel, Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_ends_once_and_late_words_about_it_change_nothing() {
        let cells = Cells::new(2);
        let first = cells.open(1);
        assert!(cells.is_asked(first) && cells.publish(first) && cells.is_live(first));
        assert!(cells.returned(first).is_ok());
        assert!(cells.returned(first).is_err(), "twice");
        let second = cells.open(1);
        assert_eq!((index(first), index(second)), (1, 1));
        cells.gone(first);
        assert!(cells.returned(first).is_err(), "of a life that is over");
        assert!(cells.is_asked(second) && !cells.is_live(first));
        cells.gone(second);
        assert!(!cells.publish(second), "evicted before its owner knew");
        assert!(cells.returned(second).is_ok(), "freed late, and released before");
    }
}
