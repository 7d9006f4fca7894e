//! What administration does to grants without asking their owners: reservations that ran out,
//! tenants that are unregistered by force, grants counted or freed late.
//!
//! Every step takes hold of a slot like an owner or an evictor would, so whoever races it comes
//! before or after, and the bytes leave the used word exactly once (I3). An observer is told of
//! every grant that ends here, once.
//!
//! None that was made before its account was closed is missed: a chain that was cut meanwhile is
//! no answer, but a segment keeps its owner as long as there is a grant in it.

use super::Core;
use super::bugs::{Bug, planted};
use super::events::{End, Observer};
use super::grants::{Victim, flag};
use super::queue::slots_of;
use super::tenant::TYPES;
use super::word::{Owner, State};

impl Core {
    /// Ends every grant of a closed account, also those that are pinned. Calls `wait` where another
    /// thread is at one of them for a few instructions. Where segments go to others meanwhile its
    /// steps grow with the number of all segments.
    pub fn end_all(&self, account: u32, generation: u32, observer: &dyn Observer, wait: impl Fn()) {
        for kind in 0..TYPES as u8 {
            let owner = Owner::new(account, generation, kind);
            let end = |segment| {
                for slot in slots_of(segment) {
                    while !self.end_by_force(slot, owner, observer) {
                        wait();
                    }
                }
            };
            if !self.queue(owner).walk(&self.grants, owner, end) {
                // Whoever granted before the account was closed did so in a segment that was taken
                // before, and that is its owner's until the grant has ended.
                let all = 0..self.grants.segments_seen();
                all.filter(|&index| self.grants.segment(index).owner() == owner).for_each(end);
            }
        }
        self.accounts.trim(account);
        self.offer_claim(account);
    }

    /// Ends whatever grant of `owner`'s is in the slot; false if it has to be tried again because
    /// another thread is at it for a few instructions. An owner who is just being asked for the
    /// grant is not waited for: it may be the caller.
    pub fn end_by_force(&self, slot: u32, owner: Owner, observer: &dyn Observer) -> bool {
        let word = self.grants.word(slot);
        // A segment changes hands only when its owner has no grant in it.
        if self.grants.owner(slot) != owner {
            return true;
        }
        let held = [State::Reserved, State::Tuning, State::Ending].contains(&word.state());
        if planted(Bug::ForceForgets) && held {
            return true;
        }
        match word.state() {
            State::Free | State::Gone => true,
            State::Live => {
                let claimed = self.grants.claim_victim(slot, word, |v| v.owner == owner);
                let end = |victim: &Victim| self.end_victim(victim, End::Forced, observer);
                claimed.inspect(end).is_some()
            }
            State::Evicting | State::Deferred => {
                let place = (slot, self.grants.generation(slot));
                self.end_chosen(place, owner, End::Forced, observer)
            }
            State::Reserved | State::Tuning | State::Ending => false,
        }
    }

    /// Ends this grant, whose owner has freed it after nobody waited for that any more: `true` if
    /// this was its end, `false` if it had ended; none if it has to be tried again because another
    /// thread is at it for a few instructions. If its owner is just asked for it once more, that
    /// answer changes nothing.
    pub fn end_late(
        &self,
        (slot, generation): (u32, u32),
        owner: Owner,
        observer: &dyn Observer,
    ) -> Option<bool> {
        let word = self.grants.word(slot);
        let same = self.grants.generation(slot) == generation && self.grants.owner(slot) == owner;
        match word.state() {
            _ if !same || !word.may_be(generation) => Some(false),
            State::Free | State::Gone | State::Ending | State::Reserved => Some(false),
            State::Tuning => None,
            State::Live => {
                let ours = |v: &Victim| v.owner == owner && v.generation == generation;
                let claimed = self.grants.claim_victim(slot, word, ours);
                claimed.map(|victim| {
                    self.end_victim(&victim, End::Evicted, observer);
                    true
                })
            }
            State::Evicting | State::Deferred => {
                let place = (slot, generation);
                self.end_chosen(place, owner, End::Evicted, observer).then_some(true)
            }
        }
    }

    /// Ends a grant that an evictor has chosen in its owner's place, who is told that it was
    /// evicted.
    fn end_chosen(
        &self,
        (slot, generation): (u32, u32),
        owner: Owner,
        end: End,
        observer: &dyn Observer,
    ) -> bool {
        let Ok(held) = self.grants.hold_to_end(slot, generation, owner) else { return false };
        let mut fields = self.grants.fields(slot);
        fields.flags |= flag::EVICTED;
        self.grants.let_go_with(held, &fields);
        self.end((slot, generation), owner, end, observer).is_ok()
    }

    /// Whether the slot holds this grant, and it is a reservation that was not yet committed.
    pub fn is_reserved(&self, slot: u32, generation: u32, owner: Owner) -> bool {
        let same = self.grants.generation(slot) == generation && self.grants.owner(slot) == owner;
        let ended = [State::Free, State::Reserved].contains(&self.grants.word(slot).state());
        same && !ended && self.grants.flags(slot) & flag::UNCOMMITTED != 0
    }

    /// Ends a reservation whose time to commit has run out, if that is still what the slot holds.
    pub fn end_expired(
        &self,
        (slot, generation): (u32, u32),
        owner: Owner,
        now_ns: u64,
        observer: &dyn Observer,
    ) -> bool {
        let word = self.grants.word(slot);
        let claimed = self.grants.claim_victim(slot, word, |victim| {
            let fields = &victim.fields;
            let uncommitted = fields.flags & flag::UNCOMMITTED != 0 && fields.is_expired(now_ns);
            victim.generation == generation && victim.owner == owner && uncommitted
        });
        let end = |victim: &Victim| self.end_victim(victim, End::Expired, observer);
        claimed.inspect(end).is_some()
    }

    /// Counts a grant that was made before its type was counted; false if that has to be tried
    /// again because another thread is at it.
    pub fn count_existing(&self, slot: u32, owner: Owner) -> bool {
        let word = self.grants.word(slot);
        match word.state() {
            State::Free | State::Ending | State::Gone => return true,
            State::Reserved | State::Tuning | State::Evicting => return false,
            State::Live | State::Deferred => {}
        }
        let generation = self.grants.generation(slot);
        // A deferred grant is held as if to end it: its owner may decline and keep it.
        let Ok(held) = self.grants.hold_to_end(slot, generation, owner) else { return false };
        let mut fields = self.grants.fields(slot);
        if held.word.state() == State::Evicting {
            // Its evictor has read the fields already.
            self.grants.let_go(held, held.word.bytes());
            return false;
        }
        if fields.flags & flag::COUNTED == 0 {
            fields.flags |= flag::COUNTED;
            let queue = &self.tenant(owner.account()).queues[usize::from(owner.allocation_type())];
            queue.count_late();
        }
        self.grants.let_go_with(held, &fields);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::admission::Ask;
    use super::super::events::Nobody;
    use super::super::grants::Fields;
    use super::super::tests::{ask, core};
    use super::*;

    fn with(fields: Fields) -> Ask {
        Ask { fields, ..ask(2, 5) }
    }

    #[test]
    fn only_the_grant_that_was_meant_ends_late() {
        let (core, ask) = (core(100), ask(2, 5));
        let (slot, generation) = core.admit(&ask, &Nobody).unwrap();
        for bit in 0..u32::BITS {
            let other = (slot, generation ^ 1 << bit);
            assert_eq!(core.end_late(other, ask.owner(), &Nobody), Some(false), "bit {bit}");
        }
        let place = (slot, generation);
        let stranger = Ask { account: 3, ..ask }.owner();
        assert_eq!(core.end_late(place, stranger, &Nobody), Some(false));
        assert_eq!(core.end_late(place, with(Fields::default()).owner(), &Nobody), Some(true));
        assert_eq!(core.end_late((slot, generation), ask.owner(), &Nobody), Some(false));
        assert_eq!(core.accounts.used(2), 0);
    }

    #[test]
    fn only_a_reservation_that_was_not_committed_is_reserved_and_runs_out() {
        let timed = Fields { expires_ns: 10, ..Fields::default() };
        let uncommitted = flag::UNCOMMITTED;
        for (fields, reserved) in [
            (timed, false),
            (Fields { flags: flag::PINNED, ..timed }, false),
            (Fields { flags: uncommitted, ..timed }, true),
            (Fields { flags: uncommitted | flag::PINNED, ..timed }, true),
        ] {
            let (core, ask) = (core(100), with(fields));
            let place = core.admit(&ask, &Nobody).unwrap();
            let (slot, generation) = place;
            assert_eq!(core.is_reserved(slot, generation, ask.owner()), reserved, "{fields:?}");
            assert!(!core.is_reserved(slot, generation + 1, ask.owner()));
            assert!(!core.end_expired(place, ask.owner(), 9, &Nobody), "its time is not over");
            let other = (slot, generation + 1);
            assert!(!core.end_expired(other, ask.owner(), 10, &Nobody));
            assert_eq!(core.end_expired(place, ask.owner(), 10, &Nobody), reserved);
            assert_eq!(core.accounts.used(2), if reserved { 0 } else { 5 });
        }
    }
}
