//! Victims that wait to be polled, first in first out.
//!
//! ```text
//! Q1  one for each grant: as it was when it was chosen last
//! Q2  a grant that was declined is here no more once both who chose it and who declined it are
//!     done; one that has ended may be, and is left out when its turn comes
//! ```
//!
//! A victim stands here with all that is told of it, which does not change while its owner is
//! waited for. Its slot is no place to read that: it may be another grant's at any time.

use crate::core::handle::GrantId;
use crate::reclaim::Victim;
use std::collections::{BTreeMap, HashMap};

/// Victims by the order in which they were chosen.
#[derive(Default)]
pub(crate) struct Polled {
    victims: BTreeMap<u64, Victim>,
    /// The place of each grant.
    places: HashMap<GrantId, u64>,
    next: u64,
}

impl Polled {
    /// Q1.
    pub(crate) fn push(&mut self, victim: Victim) {
        self.next += 1;
        if let Some(earlier) = self.places.insert(victim.grant, self.next) {
            self.victims.remove(&earlier);
        }
        self.victims.insert(self.next, victim);
    }

    pub(crate) fn pop(&mut self) -> Option<Victim> {
        let (_, victim) = self.victims.pop_first()?;
        self.places.remove(&victim.grant);
        Some(victim)
    }

    /// The place of a grant, which no other and no later one has.
    pub(crate) fn place(&self, grant: GrantId) -> Option<u64> {
        self.places.get(&grant).copied()
    }

    /// Takes out what stands at a place, if anything still does.
    pub(crate) fn remove(&mut self, place: u64) {
        if let Some(victim) = self.victims.remove(&place) {
            self.places.remove(&victim.grant);
        }
    }

    pub(crate) fn retain(&mut self, stays: impl Fn(GrantId) -> bool) {
        self.victims.retain(|_, victim| stays(victim.grant));
        let victims = &self.victims;
        self.places.retain(|_, place| victims.contains_key(place));
    }

    pub(crate) fn len(&self) -> usize {
        self.victims.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AllocationType;
    use crate::core::handle::TenantHandle;

    fn grant(number: u32) -> GrantId {
        GrantId::new(1, 1, number)
    }

    fn victim(number: u32, bytes: u64) -> Victim {
        Victim {
            grant: grant(number),
            tenant: TenantHandle::new(1, 1, 1),
            allocation_type: AllocationType::Cache,
            bytes,
            cookie: 0,
            key: 0,
        }
    }

    #[test]
    fn victims_come_in_the_order_in_which_they_were_chosen_last() {
        let mut polled = Polled::default();
        for (number, bytes) in [(5, 1), (6, 2), (7, 3), (5, 4), (8, 5)] {
            polled.push(victim(number, bytes));
        }
        assert_eq!(polled.len(), 4);
        polled.retain(|of| of != grant(7));
        assert_eq!(polled.pop(), Some(victim(6, 2)));
        assert_eq!(polled.pop(), Some(victim(5, 4)));
        assert_eq!(polled.place(grant(5)), None);
        assert_eq!(polled.pop(), Some(victim(8, 5)));
        assert!(polled.pop().is_none() && polled.places.is_empty());
    }

    #[test]
    fn a_place_that_was_left_is_nobody_elses() {
        let mut polled = Polled::default();
        polled.push(victim(5, 1));
        let before = polled.place(grant(5)).unwrap();
        polled.push(victim(5, 2));
        polled.remove(before);
        assert_eq!(polled.len(), 1);
        let place = polled.place(grant(5)).unwrap();
        polled.remove(place);
        assert!(polled.pop().is_none() && polled.places.is_empty());
    }
}
