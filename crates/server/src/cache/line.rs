//! Those who wait for room for a cache, in the order in which they get it.
//!
//! ```text
//! L1  a higher priority first; of one priority the tenants in turn, and each one's as they came
//! L2  <= OF_TENANT_MAX of one tenant, <= LINE_MAX of all
//! ```
//!
//! In turn means: a request of a tenant comes after as many of another one as that tenant has in
//! line before it, so that who asks for much does not keep out who asks for little.

use allotment::{Priority, TenantId};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Most of one tenant.
const OF_TENANT_MAX: usize = 64;
/// Most of all tenants.
const LINE_MAX: usize = 1_024;

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    rank: Reverse<Priority>,
    turn: u64,
    number: u64,
}

/// One who waits.
#[derive(Debug)]
pub struct Waiter<W> {
    /// Who asks.
    pub tenant: TenantId,
    /// What for.
    pub bytes: u64,
    /// How to reach it.
    pub how: W,
}

/// Those who wait before somebody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// How many.
    pub requests: u64,
    /// What they ask for together.
    pub bytes: u64,
}

impl Before {
    fn of<'w, W: 'w>(waiters: impl Iterator<Item = (&'w Place, &'w Waiter<W>)>) -> Self {
        waiters.fold(Self::default(), |sum, (_, waiter)| Self {
            requests: sum.requests + 1,
            bytes: sum.bytes.saturating_add(waiter.bytes),
        })
    }
}

/// All who wait.
#[derive(Debug)]
pub struct Line<W> {
    waiters: BTreeMap<Place, Waiter<W>>,
    /// Of each priority, the turn of the one who was served last.
    turns: [u64; Priority::ALL.len()],
    number: u64,
}

impl<W> Default for Line<W> {
    fn default() -> Self {
        Self { waiters: BTreeMap::new(), turns: Default::default(), number: 0 }
    }
}

impl<W> Line<W> {
    /// The place of another one; none: too many are there.
    pub fn enter(&mut self, waiter: Waiter<W>, priority: Priority) -> Option<Place> {
        if self.waiters.len() >= LINE_MAX || self.len_of(waiter.tenant) >= OF_TENANT_MAX {
            return None;
        }
        let rank = Reverse(priority);
        let own = self.waiters.iter().rev();
        let mut own = own.filter(|(place, of)| place.rank == rank && of.tenant == waiter.tenant);
        let last = own.next().map_or(0, |(place, _)| place.turn);
        let turn = last.max(self.turns[priority as usize]) + 1;
        self.number += 1;
        let place = Place { rank, turn, number: self.number };
        self.waiters.insert(place, waiter);
        Some(place)
    }

    /// Takes out the first, if it is to be served.
    pub fn serve(&mut self, is_served: impl FnOnce(&Waiter<W>) -> bool) -> Option<Waiter<W>> {
        let first = self.waiters.first_entry()?;
        if !is_served(first.get()) {
            return None;
        }
        let (place, waiter) = first.remove_entry();
        self.turns[place.rank.0 as usize] = place.turn;
        Some(waiter)
    }

    /// Takes out whoever gives up, if it is still there.
    pub fn leave(&mut self, place: Place) -> Option<Waiter<W>> {
        self.waiters.remove(&place)
    }

    /// Takes out all who ask for more than so many bytes.
    pub fn leave_above(&mut self, bytes: u64) -> Vec<Waiter<W>> {
        let above = self.waiters.extract_if(.., |_, waiter| waiter.bytes > bytes);
        above.map(|(_, waiter)| waiter).collect()
    }

    /// Who gets the next room.
    pub fn first(&self) -> Option<(Place, &Waiter<W>)> {
        self.waiters.first_key_value().map(|(place, waiter)| (*place, waiter))
    }

    /// Those who go before whoever comes now.
    pub fn before(&self, priority: Priority) -> Before {
        Before::of(self.waiters.iter().take_while(|(place, _)| place.rank.0 >= priority))
    }

    /// Those who go before whoever has a place.
    pub fn before_place(&self, place: Place) -> Before {
        Before::of(self.waiters.range(..place))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.waiters.len()
    }

    /// How many of a tenant.
    pub fn len_of(&self, tenant: TenantId) -> usize {
        self.of(tenant).count()
    }

    /// Those of a tenant.
    pub fn of(&self, tenant: TenantId) -> impl Iterator<Item = &Waiter<W>> {
        self.waiters.values().filter(move |waiter| waiter.tenant == tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::{High, Normal};

    const A: TenantId = TenantId::from_u128(1);
    const B: TenantId = TenantId::from_u128(2);

    fn enter(line: &mut Line<&'static str>, tenant: TenantId, rank: Priority, how: &'static str) {
        line.enter(Waiter { tenant, bytes: 1, how }, rank).unwrap();
    }

    fn next(line: &mut Line<&'static str>) -> &'static str {
        line.serve(|_| true).map_or("", |waiter| waiter.how)
    }

    #[test]
    fn tenants_are_served_in_turn_and_a_higher_priority_before_all() {
        let mut line = Line::default();
        for how in ["a1", "a2", "a3"] {
            enter(&mut line, A, Normal, how);
        }
        enter(&mut line, B, Normal, "b1");
        enter(&mut line, B, Normal, "b2");
        let (first, _) = line.first().unwrap();
        assert_eq!(line.before_place(first), Before::default());
        assert_eq!([(); 2].map(|()| next(&mut line)), ["a1", "b1"]);
        // Who comes again has its turn after those who wait already.
        enter(&mut line, A, High, "high");
        enter(&mut line, B, Normal, "b3");
        assert_eq!(line.before(High), Before { requests: 1, bytes: 1 });
        assert_eq!(line.before(Normal), Before { requests: 5, bytes: 5 });
        assert_eq!([(); 6].map(|()| next(&mut line)), ["high", "a2", "b2", "a3", "b3", ""]);
    }

    #[test]
    fn who_comes_again_and_again_does_not_keep_others_out() {
        let mut line = Line::default();
        enter(&mut line, A, Normal, "a");
        enter(&mut line, B, Normal, "b1");
        enter(&mut line, B, Normal, "b2");
        let mut served = Vec::new();
        for _ in 0..4 {
            served.push(next(&mut line));
            if served.last() == Some(&"a") {
                enter(&mut line, A, Normal, "a");
            }
        }
        assert_eq!(served, ["a", "b1", "b2", "a"]);
    }

    #[test]
    fn it_has_an_end_for_each_tenant_and_for_all() {
        let mut line = Line::default();
        let waiter = |tenant| Waiter { tenant, bytes: 1, how: "" };
        let mine: Vec<Place> =
            (0..OF_TENANT_MAX).map(|_| line.enter(waiter(A), Normal).unwrap()).collect();
        assert_eq!(line.enter(waiter(A), High), None, "of one tenant");
        line.leave(mine[7]).unwrap();
        assert!(line.leave(mine[7]).is_none());
        line.enter(waiter(A), Normal).unwrap();
        let others = (2..).map(TenantId::from_u128).take(LINE_MAX - OF_TENANT_MAX);
        others.for_each(|tenant| _ = line.enter(waiter(tenant), Normal).unwrap());
        assert_eq!((line.enter(waiter(B), Normal), line.len()), (None, LINE_MAX), "of all");
    }

    #[test]
    fn who_can_never_be_served_leaves() {
        let mut line = Line::default();
        for bytes in [5, 50, 7] {
            line.enter(Waiter { tenant: A, bytes, how: "" }, Normal).unwrap();
        }
        let left = line.leave_above(9);
        assert_eq!(left.iter().map(|waiter| waiter.bytes).collect::<Vec<_>>(), [50]);
        assert_eq!((line.len(), line.first().map(|(_, first)| first.bytes)), (2, Some(5)));
    }
}
