//! Who waits in a circle: holds memory, and waits for more that only the others of the set hold.
//!
//! Found by reduction, as of resources with one kind of unit (Holt 1972; Coffman, Elphick and
//! Shoshani 1971):
//!
//! ```text
//! within reach = free + all that parties hold which do not wait
//!                     + what may be evicted of those which do
//! repeat         a party whose smallest wait fits into what is within reach is assumed to be
//!                served, to finish, and to give back all it holds
//! what remains   waits for bytes that only those hold who remain
//! ```
//!
//! What is within reach only grows, so that going through the waits from the smallest to the
//! largest finds the same set as any order. It errs on one side: a party that does not wait is
//! taken to give back what it holds in the end, however long that takes.

/// One that holds bytes, waits for some, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Who it is, for the caller.
    pub tenant: u32,
    /// Bytes that others could use if it gave back all it has.
    pub held_bytes: u64,
    /// Bytes of those that may be evicted.
    pub evictable_bytes: u64,
    /// Bytes of its smallest outstanding wait; 0: it does not wait.
    pub wanted_bytes: u64,
}

impl Party {
    fn kept_bytes(&self) -> u64 {
        self.held_bytes.saturating_sub(self.evictable_bytes)
    }

    fn within_reach(&self) -> u64 {
        if self.wanted_bytes == 0 { self.held_bytes } else { self.held_bytes - self.kept_bytes() }
    }
}

/// The parties that wait in a circle, with so many bytes free: none, or at least two, which each
/// hold something. Changes the order of `parties`. Steps: those of sorting them.
pub fn circle(free_bytes: u64, parties: &mut [Party]) -> &[Party] {
    let reach = parties.iter().map(Party::within_reach);
    let mut reach = reach.fold(free_bytes, u64::saturating_add);
    parties.sort_unstable_by_key(|party| (party.wanted_bytes, party.tenant));
    let served = parties.iter().take_while(|party| {
        let fits = party.wanted_bytes <= reach;
        if fits && party.wanted_bytes > 0 {
            reach = reach.saturating_add(party.kept_bytes());
        }
        fits
    });
    let first = served.count();
    let rest = &mut parties[first..];
    // Who holds nothing is held up by the circle, and no part of it.
    rest.sort_unstable_by_key(|party| (party.kept_bytes() == 0, party.tenant));
    let holding = rest.iter().take_while(|party| party.kept_bytes() > 0).count();
    if holding < 2 { &[] } else { &rest[..holding] }
}
