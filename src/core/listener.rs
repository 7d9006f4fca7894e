//! Who calls a listener when several threads have changed what it is told: one at a time.
//!
//! Whoever has changed something leaves a note. Who finds that no other note is there is the
//! teller: it looks, tells, and looks again as long as notes came meanwhile. So nobody waits for a
//! listener but the one who calls it, and what changes while it is called is told after it.
//!
//! ```text
//! T1  tellers <= 1, and one while notes > 0
//! T2  notes = 0  =>  last told = in force          (once each change was noted)
//! T3  looks of a teller <= LOOKS_MAX
//! ```
//!
//! T3 comes before T2: a teller for whom notes come again and again, because what it calls changes
//! what it tells, leaves them all and goes. So does one that unwinds. The next note tells then.

use super::sync::{AtomicU64, Ordering};

/// How often a teller looks before it goes although there are notes.
pub const LOOKS_MAX: u32 = 64;

/// Notes that something may have changed, all for one teller.
#[derive(Default)]
pub struct Notes(AtomicU64);

/// The part of the thread that tells; given up when it goes, also by unwinding.
struct Teller<'n>(&'n AtomicU64);

impl Notes {
    /// Leaves a note. If it is the only one, calls `look`, which tells what has changed, until no
    /// note came while it did; at most [`LOOKS_MAX`] times. What `look` has for itself is read and
    /// written by one thread at a time.
    ///
    /// One read-modify-write for who does not tell, and one for each look.
    pub fn leave(&self, mut look: impl FnMut()) {
        // AcqRel: Acquire pairs with the Release of the teller before, whose looks are known to
        // this one; Release pairs with the Acquire of the teller now, which sees the change.
        if self.0.fetch_add(1, Ordering::AcqRel) > 0 {
            return;
        }
        let teller = Teller(&self.0);
        let mut seen = 1;
        for _ in 0..LOOKS_MAX {
            look();
            // Release: pairs with the Acquire of the next teller. Acquire on failure: pairs with
            // the Release of who has left a note, so the next look sees the change.
            let (success, failure) = (Ordering::Release, Ordering::Acquire);
            match self.0.compare_exchange(seen, 0, success, failure) {
                // It has given up its part.
                Ok(_) => return std::mem::forget(teller),
                Err(more) => seen = more,
            }
        }
    }
}

impl Drop for Teller<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the next teller.
        self.0.store(0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn notes_left_by_a_look_are_looked_after_by_it() {
        let (notes, mut looks) = (Notes::default(), 0);
        notes.leave(|| {
            looks += 1;
            if looks < 5 {
                notes.leave(|| panic!("one teller at a time"));
            }
        });
        assert_eq!(looks, 5);
    }

    #[test]
    fn a_teller_goes_although_notes_come_again_and_again() {
        let (notes, mut looks) = (Notes::default(), 0);
        let mut leave = || {
            notes.leave(|| {
                looks += 1;
                notes.leave(|| panic!("one teller at a time"));
            });
        };
        leave();
        leave();
        assert_eq!(looks, 2 * LOOKS_MAX, "and the next one looks again");
    }

    #[test]
    fn a_teller_that_unwinds_is_followed_by_the_next_one() {
        let (notes, mut looks) = (Notes::default(), 0);
        let fails = catch_unwind(AssertUnwindSafe(|| {
            notes.leave(|| {
                notes.leave(|| panic!("one teller at a time"));
                std::panic::resume_unwind(Box::new("it fails"));
            });
        }));
        assert!(fails.is_err());
        notes.leave(|| looks += 1);
        assert_eq!(looks, 1);
    }
}
