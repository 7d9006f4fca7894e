//! Why idle claim goes back at once: an account is above its limit, or somebody waits for bytes.
//!
//! ```text
//! word = 4 x waiters + 2 x unsettled + excess
//!
//! S1  a waiter is counted before it looks for bytes, and a thread that takes bytes out of use, or
//!     buys claim, looks here after that: so the one finds the bytes or the other the waiter; the
//!     same of excess, and of who collects what is idle then
//! ```
//!
//! In plenty the word is 0 and its line is in every cache: a release pays one load for it.

use super::sync::{AtomicU32, Ordering, fence, load_in_order};
use crossbeam_utils::CachePadded;

const EXCESS: u32 = 1;
const UNSETTLED: u32 = 2;
const WAITER: u32 = 4;

/// Whether there is excess, and how many wait.
#[derive(Default)]
pub struct Scarcity(CachePadded<AtomicU32>);

impl Scarcity {
    /// Says whether some group, or the pool, may be above its limit: set by the administrator that
    /// lowers one, until the balancer finds that none is. What was out of use before there was any
    /// is seen after this, as in [`Scarcity::enter`].
    pub fn set_excess(&self, excess: bool) {
        if excess {
            // SeqCst: pairs with the SeqCst in `word`, by way of the fence.
            self.0.fetch_or(EXCESS, Ordering::SeqCst);
            // SeqCst: as in `enter`.
            fence(Ordering::SeqCst);
        } else {
            // AcqRel: pairs with the Acquire half of `word`.
            let order = Ordering::AcqRel;
            self.0.fetch_and(!EXCESS, order);
        }
    }

    /// Counts a waiter. What was in use before and is no more is seen after this (S1). The first
    /// says in the same step that claim may be idle: the second, which does not, may look before
    /// the first goes on.
    pub fn enter(&self) {
        // Relaxed: the exchange below decides.
        let mut before = self.0.load(Ordering::Relaxed);
        loop {
            let unsettled = if before < WAITER { UNSETTLED } else { 0 };
            let next = (before | unsettled) + WAITER;
            // SeqCst: pairs with the SeqCst in `word`, by way of the fence, and with the AcqRel in
            // `settle`. Relaxed on failure: tried again.
            let (success, failure) = (Ordering::SeqCst, Ordering::Relaxed);
            match self.0.compare_exchange(before, next, success, failure) {
                Ok(_) => break,
                Err(newer) => before = newer,
            }
        }
        // SeqCst: pairs with the SeqCst exchanges and subtractions of `account.rs`: either they
        // come before this fence and their bytes are seen, or `word` is read after it.
        fence(Ordering::SeqCst);
    }

    /// Says that claim went up, or was left idle, that nobody has offered to those who wait.
    pub fn unsettle(&self) {
        // AcqRel: pairs with the AcqRel in `settle`, and the Acquire half of `word`.
        self.0.fetch_or(UNSETTLED, Ordering::AcqRel);
    }

    /// Takes the word of [`Scarcity::unsettle`] back, before idle claim is collected.
    pub fn settle(&self) -> bool {
        // AcqRel: pairs with the AcqRel in `unsettle`, and the SeqCst in `enter`: what was left
        // idle before is seen.
        self.0.fetch_and(!UNSETTLED, Ordering::AcqRel) & UNSETTLED != 0
    }

    /// Whether there is claim that was not offered.
    #[inline]
    pub fn is_unsettled(&self) -> bool {
        self.word() & UNSETTLED != 0
    }

    /// A waiter is decided.
    pub fn leave(&self) {
        // AcqRel: pairs with the Acquire in `word`.
        self.0.fetch_sub(WAITER, Ordering::AcqRel);
    }

    #[inline]
    fn word(&self) -> u32 {
        // SeqCst: pairs with the SeqCst in `enter` and `set_excess` (S1).
        load_in_order(&self.0)
    }

    /// Whether there may be excess.
    #[inline]
    pub fn has_excess(&self) -> bool {
        self.word() & EXCESS != 0
    }

    /// Whether somebody waits.
    #[inline]
    pub fn is_waited(&self) -> bool {
        self.word() >= WAITER
    }

    /// Whether idle claim goes back at once.
    #[inline]
    pub fn any(&self) -> bool {
        self.word() & !UNSETTLED != 0
    }

    /// How many wait.
    pub fn waiters(&self) -> u32 {
        self.word() / WAITER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_who_waits_unsettles() {
        let scarcity = Scarcity::default();
        let enter = || {
            scarcity.enter();
            scarcity.settle()
        };
        assert_eq!([(); 3].map(|()| enter()), [true, false, false]);
        (0..3).for_each(|_| scarcity.leave());
        scarcity.set_excess(true);
        assert!(enter() && scarcity.has_excess(), "nobody waited, though there is excess");
        scarcity.unsettle();
        scarcity.enter();
        assert!(scarcity.settle(), "what was said before is kept");
    }

    #[test]
    fn each_part_of_the_word_is_told_by_itself() {
        let scarcity = Scarcity::default();
        let told = || {
            let (excess, unsettled) = (scarcity.has_excess(), scarcity.is_unsettled());
            (excess, unsettled, scarcity.is_waited(), scarcity.any(), scarcity.waiters())
        };
        assert_eq!(told(), (false, false, false, false, 0));
        scarcity.set_excess(true);
        assert_eq!(told(), (true, false, false, true, 0));
        (0..2).for_each(|_| scarcity.enter());
        assert_eq!(told(), (true, true, true, true, 2));
        assert!(scarcity.settle());
        assert_eq!(told(), (true, false, true, true, 2));
        scarcity.unsettle();
        assert_eq!(told(), (true, true, true, true, 2));
        scarcity.set_excess(false);
        scarcity.leave();
        assert_eq!(told(), (false, true, true, true, 1));
        assert!(scarcity.settle() && !scarcity.settle());
        scarcity.leave();
        assert_eq!(told(), (false, false, false, false, 0));
        scarcity.unsettle();
        assert_eq!(told(), (false, true, false, false, 0), "nobody is there to have it");
    }
}
