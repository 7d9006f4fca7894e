//! What administration does to grants without asking their owners: reservations that ran out,
//! tenants that are unregistered by force, grants counted late.
//!
//! Every step takes hold of a slot like an owner or an evictor would, so whoever races it comes
//! before or after, and the bytes leave the used word exactly once (I3).

use super::Core;
use super::grants::{Settled, flag};
use super::word::{Owner, State};

impl Core {
    /// Ends whatever grant of `owner`'s is in the slot; false if it has to be tried again because
    /// another thread is at it.
    pub fn end_by_force(&self, slot: u32, owner: Owner) -> bool {
        let word = self.grants.word(slot);
        match word.state() {
            State::Free => true,
            State::Live => match self.grants.claim_victim(slot, word) {
                Some(victim) if victim.owner == owner => {
                    self.end_victim(&victim);
                    true
                }
                Some(victim) => {
                    self.grants.settle_busy(&victim, 0);
                    true
                }
                None => false,
            },
            State::Deferred => {
                let generation = self.grants.generation(slot);
                self.release(slot, generation, owner).is_ok()
            }
            _ => false,
        }
    }

    /// Ends a reservation whose time to commit has run out, if that is still what the slot holds.
    pub fn end_expired(&self, slot: u32, generation: u32, owner: Owner, now_ns: u64) -> bool {
        let word = self.grants.word(slot);
        if !self.grants.is_live(slot, generation, owner) {
            return false;
        }
        let Some(victim) = self.grants.claim_victim(slot, word) else { return false };
        let fields = &victim.fields;
        let uncommitted = fields.flags & flag::UNCOMMITTED != 0 && fields.is_expired(now_ns);
        if victim.generation == generation && victim.owner == owner && uncommitted {
            self.end_victim(&victim);
            return true;
        }
        if self.grants.settle_busy(&victim, 0) == Settled::ReleasedByOwner {
            self.slot_is_free(&victim);
        }
        false
    }

    /// Counts a grant that was made before its type was counted; false if that has to be tried
    /// again because another thread is at it.
    pub fn count_existing(&self, slot: u32, owner: Owner) -> bool {
        let word = self.grants.word(slot);
        match word.state() {
            State::Free | State::Deferred | State::Ending | State::Gone => return true,
            State::Reserved | State::Tuning | State::Evicting => return false,
            State::Live => {}
        }
        let generation = self.grants.generation(slot);
        let Ok(held) = self.grants.hold(slot, generation, owner) else { return false };
        let mut fields = self.grants.fields(slot);
        if fields.flags & flag::COUNTED == 0 {
            fields.flags |= flag::COUNTED;
            let queue = &self.tenant(owner.account()).queues[usize::from(owner.allocation_type())];
            queue.count_late();
        }
        self.grants.let_go_with(held, &fields);
        true
    }
}
