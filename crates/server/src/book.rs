//! The book of leases: who holds which grant, until when, and under which epoch. No clock and no
//! memory: times come in as nanoseconds, and who ends a lease here gives its memory back.
//!
//! ```text
//! B1  whoever is answered that a lease has ended by them gives its memory back, and nobody else
//! B2  epochs only rise: a new lease, and one that is taken over, has a greater one than any before
//! B3  a change made under an epoch has come to its end before the lease is taken over
//! B4  `deadlines` = the (deadline, name) of every lease in `live`
//! B5  `whose` = the tenant and id of every lease, alive or remembered
//! B6  `rooms` = the room of every lease in `live` that has some under the limit of caches
//! ```
//!
//! A lease is kept under its tenant and its id together. Who may act for some tenants looks under
//! each of them, so that another's lease is missed just as one that never was: in no more time, and
//! in no less.
//!
//! A lease that has ended is remembered for a while, so that a holder that comes back late is told
//! what became of it.

use crate::cache::Room;
use allotment::TenantId;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Bound;

/// Leases remembered after their end, at most.
const ENDED_MAX: usize = 16_384;

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its holder gave it back.
    Released,
    /// Its holder did not renew it in time.
    Expired,
    /// Its memory was needed elsewhere.
    Evicted,
    /// An operator ended it, or its tenant is gone.
    Revoked,
}

impl End {
    /// In answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::Revoked => "revoked",
        }
    }
}

/// What to do when the memory of a lease is needed elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnEvict {
    /// The holder is asked, and releases it.
    #[default]
    Ask,
    /// It ends at once: the holder keeps nothing there that must be freed first.
    AtOnce,
}

/// Why the memory of a lease is wanted elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The governor has chosen it: somebody is short, memory is, or its tenant is drained.
    Needed,
    /// An operator of caches has asked for it.
    Operator,
    /// Caches have no room together for another one.
    Limit,
}

impl Cause {
    /// In metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Needed => "needed",
            Self::Operator => "operator",
            Self::Limit => "limit",
        }
    }
}

/// One lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose grant it is.
    pub tenant: TenantId,
    /// The number that every change of it has to name.
    pub epoch: u64,
    /// How long it lasts after it was begun, renewed or taken over.
    pub lease_ns: u64,
    /// When it ends unless it is renewed.
    pub deadline_ns: u64,
    /// What to do when its memory is needed.
    pub on_evict: OnEvict,
    /// By when its holder should release it.
    pub wanted_by_ns: Option<u64>,
    /// Why, if it is wanted.
    pub cause: Cause,
    /// When its content was used last, as far as its holder has said.
    pub used_ns: u64,
    /// How often, its beginning included.
    pub uses: u32,
    /// Whether its holder has been told.
    told: bool,
    /// Whether a change of it is under way.
    changing: bool,
}

/// Why a call about a lease changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotHeld {
    /// There is none of this id, or it is another tenant's.
    Unknown,
    /// The call names an epoch that is not in force.
    Stale,
    /// It has ended.
    Ended(End),
    /// Another change of it is under way.
    Changing,
}

/// Who calls: the tenants it may act for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acting<'a> {
    /// Any.
    Anybody,
    /// These.
    Among(&'a [TenantId]),
}

impl Acting<'_> {
    fn may(self, tenant: TenantId) -> bool {
        match self {
            Self::Anybody => true,
            Self::Among(tenants) => tenants.contains(&tenant),
        }
    }
}

/// What a lease is kept under.
pub type Name = (TenantId, String);
/// Where a lease stands among those that end.
pub type Place = (u64, Name);

/// What is to become of a lease whose memory is needed elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Its holder will be told, at its next renewal at the latest.
    Asked,
    /// It has ended by this call: its memory is free.
    Ended,
    /// It had ended before: its memory is free, or about to be.
    Free,
    /// It is not in the book: its grant is just being answered.
    Unknown,
}

/// All leases.
#[derive(Debug)]
pub struct Book {
    live: HashMap<Name, Lease>,
    deadlines: BTreeSet<Place>,
    ended: HashMap<Name, End>,
    ended_order: VecDeque<Name>,
    whose: HashMap<String, TenantId>,
    rooms: HashMap<Name, Room>,
    epoch: u64,
}

impl Book {
    /// An empty book whose epochs begin above `epoch`.
    pub fn new(epoch: u64) -> Self {
        Self {
            live: HashMap::new(),
            deadlines: BTreeSet::new(),
            ended: HashMap::new(),
            ended_order: VecDeque::new(),
            whose: HashMap::new(),
            rooms: HashMap::new(),
            epoch,
        }
    }

    /// Leases that have not ended.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Begins a lease; `id` was never in the book before.
    pub fn begin(
        &mut self,
        id: String,
        tenant: TenantId,
        lease_ns: u64,
        on_evict: OnEvict,
        now_ns: u64,
    ) -> Lease {
        self.epoch += 1;
        let deadline_ns = now_ns.saturating_add(lease_ns);
        let epoch = self.epoch;
        let lease = Lease {
            tenant,
            epoch,
            lease_ns,
            deadline_ns,
            on_evict,
            wanted_by_ns: None,
            cause: Cause::Needed,
            used_ns: now_ns,
            uses: 1,
            told: false,
            changing: false,
        };
        self.whose.insert(id.clone(), tenant);
        self.deadlines.insert((deadline_ns, (tenant, id.clone())));
        self.live.insert((tenant, id), lease.clone());
        lease
    }

    /// A lease has room under the limit of caches, or more of it. It goes back with the lease; at
    /// once if that has ended meanwhile.
    pub fn has_room(&mut self, id: &str, room: Room) {
        let Some(tenant) = self.whose.get(id) else { return };
        let name = (*tenant, id.to_string());
        match self.rooms.get_mut(&name) {
            Some(held) => held.add(room),
            None if self.live.contains_key(&name) => _ = self.rooms.insert(name, room),
            None => {}
        }
    }

    /// A lease has given back so many bytes.
    pub fn has_shrunk(&mut self, id: &str, bytes: u64) {
        let Some(tenant) = self.whose.get(id) else { return };
        if let Some(room) = self.rooms.get_mut(&(*tenant, id.to_string())) {
            room.give_back(bytes);
        }
    }

    /// What is kept under that id for one of the tenants of whoever asks.
    fn find(&self, id: &str, who: Acting) -> Result<Name, NotHeld> {
        let of_id;
        let tenants = match who {
            Acting::Among(tenants) => tenants,
            Acting::Anybody => {
                of_id = self.whose.get(id).copied();
                of_id.as_slice()
            }
        };
        for tenant in tenants {
            let name = (*tenant, id.to_string());
            if self.live.contains_key(&name) {
                return Ok(name);
            }
            if let Some(how) = self.ended.get(&name) {
                return Err(NotHeld::Ended(*how));
            }
        }
        Err(NotHeld::Unknown)
    }

    fn held(&self, id: &str, who: Acting, epoch: Option<u64>) -> Result<Name, NotHeld> {
        let name = self.find(id, who)?;
        match epoch.is_some_and(|epoch| epoch != self.live[&name].epoch) {
            true => Err(NotHeld::Stale),
            false => Ok(name),
        }
    }

    /// The lease, if it is there for whoever asks; with an epoch, if that is in force.
    ///
    /// # Errors
    ///
    /// Why it is not. Whoever may not act for its tenant learns nothing of it.
    pub fn look(&self, id: &str, who: Acting, epoch: Option<u64>) -> Result<&Lease, NotHeld> {
        Ok(&self.live[&self.held(id, who, epoch)?])
    }

    /// Ids and leases of whoever asks.
    pub fn of(&self, who: Acting) -> Vec<(String, Lease)> {
        let mine = self.live.iter().filter(|((tenant, _), _)| who.may(*tenant));
        mine.map(|((_, id), lease)| (id.clone(), lease.clone())).collect()
    }

    /// At most so many leases with their ids, in the order in which they end, after a place in that
    /// order; one that is put off meanwhile comes again.
    pub fn page(&self, after: Option<&Place>, max: usize) -> Vec<(Place, Lease)> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let page = self.deadlines.range((begin, Bound::Unbounded)).take(max);
        let lease = |place: &Place| Some((place.clone(), self.live.get(&place.1)?.clone()));
        page.filter_map(lease).collect()
    }

    /// The content of a lease was used.
    pub fn touched(&mut self, id: &str, now_ns: u64) {
        if let Some(lease) = self.any_mut(id) {
            (lease.used_ns, lease.uses) = (now_ns, lease.uses.saturating_add(1));
        }
    }

    /// Makes a lease last for its whole time again.
    ///
    /// # Errors
    ///
    /// As [`Book::look`].
    pub fn renew(
        &mut self,
        id: &str,
        who: Acting,
        epoch: u64,
        now_ns: u64,
    ) -> Result<Lease, NotHeld> {
        let name = self.held(id, who, Some(epoch))?;
        let asked = &self.live[&name];
        // Who has been told, and did not release it in time, is not asked any more: others are.
        let over = asked.told && asked.wanted_by_ns.is_some_and(|by_ns| by_ns <= now_ns);
        let lease = self.put_off(name, now_ns, None);
        lease.told = lease.wanted_by_ns.is_some();
        if over {
            (lease.wanted_by_ns, lease.told) = (None, false);
        }
        Ok(lease.clone())
    }

    /// Gives a lease to another holder of the same tenant: whoever had it before is refused from
    /// now on.
    ///
    /// # Errors
    ///
    /// As [`Book::look`].
    pub fn take_over(&mut self, id: &str, who: Acting, now_ns: u64) -> Result<Lease, NotHeld> {
        let name = self.held(id, who, None)?;
        if self.live[&name].changing {
            return Err(NotHeld::Changing);
        }
        self.epoch += 1;
        let epoch = self.epoch;
        Ok(self.put_off(name, now_ns, Some(epoch)).clone())
    }

    /// Begins a change of a lease's memory; [`Book::changed`] ends it.
    ///
    /// # Errors
    ///
    /// As [`Book::look`], and that another one is under way.
    pub fn change(&mut self, id: &str, who: Acting, epoch: u64) -> Result<Lease, NotHeld> {
        let name = self.held(id, who, Some(epoch))?;
        let lease = self.live.get_mut(&name).expect("looked up above");
        if lease.changing {
            return Err(NotHeld::Changing);
        }
        lease.changing = true;
        Ok(lease.clone())
    }

    /// A change has come to its end; the lease may have, too.
    pub fn changed(&mut self, id: &str) {
        if let Some(lease) = self.any_mut(id) {
            lease.changing = false;
        }
    }

    fn any_mut(&mut self, id: &str) -> Option<&mut Lease> {
        let tenant = *self.whose.get(id)?;
        self.live.get_mut(&(tenant, id.to_string()))
    }

    fn put_off(&mut self, name: Name, now_ns: u64, epoch: Option<u64>) -> &mut Lease {
        let lease = self.live.get_mut(&name).expect("looked up by the caller");
        self.deadlines.remove(&(lease.deadline_ns, name.clone()));
        lease.deadline_ns = now_ns.saturating_add(lease.lease_ns);
        lease.epoch = epoch.unwrap_or(lease.epoch);
        self.deadlines.insert((lease.deadline_ns, name));
        lease
    }

    /// Ends a lease; the caller gives its memory back.
    ///
    /// # Errors
    ///
    /// As [`Book::look`].
    pub fn end(
        &mut self,
        id: &str,
        who: Acting,
        epoch: Option<u64>,
        how: End,
    ) -> Result<Lease, NotHeld> {
        let name = self.held(id, who, epoch)?;
        Ok(self.strike(name, how))
    }

    fn strike(&mut self, name: Name, how: End) -> Lease {
        let lease = self.live.remove(&name).expect("looked up by the caller");
        self.deadlines.remove(&(lease.deadline_ns, name.clone()));
        self.rooms.remove(&name);
        self.ended.insert(name.clone(), how);
        self.ended_order.push_back(name);
        if self.ended_order.len() > ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
            self.whose.remove(&oldest.1);
        }
        lease
    }

    /// Ends a lease whose time is over, if there is one; the caller gives its memory back.
    pub fn expire(&mut self, now_ns: u64) -> Option<(String, Lease)> {
        let (deadline_ns, name) = self.deadlines.first()?;
        if *deadline_ns > now_ns {
            return None;
        }
        let name = name.clone();
        let lease = self.strike(name.clone(), End::Expired);
        Some((name.1, lease))
    }

    /// When the next lease ends unless it is renewed.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline_ns, _)| *deadline_ns)
    }

    /// The memory of a lease is needed elsewhere, by `by_ns` if its holder has to be asked; who was
    /// asked before keeps that time while it is ahead. One that ends by this call has its memory
    /// taken by the caller.
    pub fn want(&mut self, id: &str, cause: Cause, now_ns: u64, by_ns: u64) -> Wanted {
        let Some(tenant) = self.whose.get(id).copied() else { return Wanted::Unknown };
        let name = (tenant, id.to_string());
        let Some(lease) = self.live.get_mut(&name) else { return Wanted::Free };
        match lease.on_evict {
            OnEvict::Ask => {
                let ahead = lease.wanted_by_ns.filter(|earlier_ns| *earlier_ns > now_ns);
                lease.told &= ahead.is_some();
                lease.wanted_by_ns = Some(ahead.unwrap_or(by_ns));
                if ahead.is_none() {
                    lease.cause = cause;
                }
                Wanted::Asked
            }
            OnEvict::AtOnce => {
                self.strike(name, End::Evicted);
                Wanted::Ended
            }
        }
    }

    /// Whether all that the top of this file says holds.
    pub fn holds(&self) -> bool {
        let of_live = self.live.iter().map(|(name, lease)| (lease.deadline_ns, name.clone()));
        let names = self.live.keys().chain(self.ended.keys());
        let mut whose = names.map(|(tenant, id)| (id, tenant));
        let epochs = self.live.values().map(|lease| lease.epoch).collect::<BTreeSet<_>>();
        of_live.collect::<BTreeSet<_>>() == self.deadlines
            && epochs.len() == self.live.len()
            && epochs.last().is_none_or(|last| *last <= self.epoch)
            && self.ended.len() == self.ended_order.len()
            && self.live.len() + self.ended.len() == self.whose.len()
            && self.rooms.keys().all(|name| self.live.contains_key(name))
            && whose.all(|(id, tenant)| self.whose.get(id) == Some(tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: TenantId = TenantId::from_u128(1);
    const OTHER: TenantId = TenantId::from_u128(2);

    fn book() -> Book {
        Book::new(100)
    }

    fn begin(book: &mut Book, id: &str, lease_ns: u64) -> Lease {
        book.begin(id.to_string(), MINE, lease_ns, OnEvict::Ask, 1_000)
    }

    #[test]
    fn a_lease_ends_once() {
        let mut book = book();
        let lease = begin(&mut book, "a", 10);
        assert_eq!((lease.epoch, lease.deadline_ns), (101, 1_010));
        assert_eq!(book.end("a", Acting::Anybody, Some(101), End::Released), Ok(lease));
        let again = book.end("a", Acting::Anybody, Some(101), End::Released);
        assert_eq!(again, Err(NotHeld::Ended(End::Released)));
        assert_eq!(book.expire(u64::MAX), None);
        assert!(book.holds());
    }

    #[test]
    fn who_does_not_renew_in_time_has_lost_it() {
        let mut book = book();
        let (a, b) = (begin(&mut book, "a", 10), begin(&mut book, "b", 20));
        assert_eq!(book.expire(1_009), None);
        assert_eq!(book.renew("a", Acting::Anybody, a.epoch, 1_009).unwrap().deadline_ns, 1_019);
        assert_eq!(book.next_deadline_ns(), Some(1_019));
        assert_eq!(book.expire(1_019).map(|(id, _)| id), Some("a".to_string()));
        let late = book.renew("a", Acting::Anybody, a.epoch, 1_019);
        assert_eq!(late, Err(NotHeld::Ended(End::Expired)));
        assert_eq!(book.look("b", Acting::Anybody, None), Ok(&b));
        assert!(book.holds());
    }

    #[test]
    fn whoever_takes_over_shuts_out_whoever_had_it() {
        let mut book = book();
        let before = begin(&mut book, "a", 10);
        let after = book.take_over("a", Acting::Among(&[MINE]), 1_005).unwrap();
        assert!(after.epoch > before.epoch);
        assert_eq!(
            book.renew("a", Acting::Among(&[MINE]), before.epoch, 1_006),
            Err(NotHeld::Stale)
        );
        let release = book.end("a", Acting::Among(&[MINE]), Some(before.epoch), End::Released);
        assert_eq!(release, Err(NotHeld::Stale));
        assert_eq!(
            book.end("a", Acting::Among(&[MINE]), Some(after.epoch), End::Released),
            Ok(after)
        );
        let next = begin(&mut book, "b", 10);
        assert!(next.epoch > before.epoch + 1);
        assert!(book.holds());
    }

    #[test]
    fn the_room_of_a_lease_goes_back_however_it_ends() {
        use crate::cache::Rooms;
        use allotment::Priority::Normal;
        use std::sync::Arc;
        let rooms = Arc::<Rooms>::default();
        let taken_bytes = || rooms.sight(Normal).taken_bytes;
        let mut book = book();
        for (id, how) in [("a", OnEvict::Ask), ("b", OnEvict::AtOnce), ("c", OnEvict::Ask)] {
            book.begin(id.to_string(), MINE, 10, how, 1_000);
            book.has_room(id, rooms.take(5, Normal).unwrap());
        }
        book.has_room("a", rooms.take(4, Normal).unwrap());
        book.has_shrunk("a", 2);
        assert_eq!((taken_bytes(), book.holds()), (7 + 5 + 5, true));
        book.end("a", Acting::Anybody, None, End::Released).unwrap();
        assert_eq!(book.want("b", Cause::Needed, 1_000, 2_000), Wanted::Ended);
        assert_eq!(taken_bytes(), 5);
        book.expire(1_010).unwrap();
        // More for one that has ended meanwhile, or was never there.
        for id in ["a", "nobody"] {
            book.has_room(id, rooms.take(3, Normal).unwrap());
            book.has_shrunk(id, 1);
        }
        assert_eq!((taken_bytes(), book.holds()), (0, true));
    }

    #[test]
    fn a_change_is_over_before_a_lease_is_taken_over() {
        let mut book = book();
        let lease = begin(&mut book, "a", 10);
        assert_eq!(book.change("a", Acting::Anybody, 7), Err(NotHeld::Stale));
        book.change("a", Acting::Anybody, lease.epoch).unwrap();
        let again = book.change("a", Acting::Anybody, lease.epoch);
        assert_eq!(again, Err(NotHeld::Changing));
        assert_eq!(book.take_over("a", Acting::Anybody, 1_001), Err(NotHeld::Changing));
        book.changed("a");
        let epoch = book.take_over("a", Acting::Anybody, 1_001).unwrap().epoch;
        assert_eq!(book.change("a", Acting::Anybody, lease.epoch), Err(NotHeld::Stale));
        book.change("a", Acting::Anybody, epoch).unwrap();
        book.end("a", Acting::Anybody, Some(epoch), End::Released).unwrap();
        book.changed("a");
        assert!(book.holds());
    }

    #[test]
    fn what_is_anothers_looks_like_nothing() {
        let mut book = book();
        let lease = begin(&mut book, "a", 10);
        for id in ["a", "none"] {
            let who = Acting::Among(&[OTHER]);
            assert_eq!(book.look(id, who, None), Err(NotHeld::Unknown));
            assert_eq!(book.renew(id, who, lease.epoch, 0), Err(NotHeld::Unknown));
            assert_eq!(book.take_over(id, who, 0), Err(NotHeld::Unknown));
            assert_eq!(book.end(id, who, None, End::Released), Err(NotHeld::Unknown));
        }
        assert_eq!(book.of(Acting::Among(&[OTHER])), []);
        assert_eq!(book.of(Acting::Among(&[MINE])), [("a".to_string(), lease)]);
        book.expire(u64::MAX);
        assert_eq!(book.look("a", Acting::Among(&[OTHER]), None), Err(NotHeld::Unknown));
    }

    #[test]
    fn who_is_asked_keeps_it_and_who_is_not_loses_it() {
        let mut book = book();
        begin(&mut book, "asked", 10);
        book.begin("gone".to_string(), MINE, 10, OnEvict::AtOnce, 1_000);
        let want = |book: &mut Book, id, now_ns| book.want(id, Cause::Needed, now_ns, now_ns + 5);
        let by_operator = book.want("asked", Cause::Operator, 1_000, 1_005);
        assert_eq!((by_operator, want(&mut book, "asked", 1_004)), (Wanted::Asked, Wanted::Asked));
        let asked = book.look("asked", Acting::Anybody, None).unwrap();
        // It is the first who wants it, while that is ahead.
        assert_eq!((asked.wanted_by_ns, asked.cause), (Some(1_005), Cause::Operator));
        let epoch = asked.epoch;
        let renewed = |book: &mut Book, now| book.renew("asked", Acting::Anybody, epoch, now);
        assert_eq!(renewed(&mut book, 1_004).unwrap().wanted_by_ns, Some(1_005));
        assert_eq!(renewed(&mut book, 1_005).unwrap().wanted_by_ns, None);
        assert_eq!(want(&mut book, "asked", 1_006), Wanted::Asked);
        assert_eq!(book.look("asked", Acting::Anybody, None).unwrap().cause, Cause::Needed);
        // Also one that comes too late is told, once.
        assert_eq!(renewed(&mut book, 1_012).unwrap().wanted_by_ns, Some(1_011));
        assert_eq!(renewed(&mut book, 1_013).unwrap().wanted_by_ns, None);
        assert_eq!(want(&mut book, "gone", 1_000), Wanted::Ended);
        assert_eq!(want(&mut book, "gone", 1_000), Wanted::Free);
        assert_eq!(want(&mut book, "none", 1_000), Wanted::Unknown);
        let gone = book.look("gone", Acting::Anybody, None);
        assert_eq!(gone, Err(NotHeld::Ended(End::Evicted)));
        assert!(book.holds());
    }

    #[test]
    fn so_many_ends_are_remembered() {
        let mut book = book();
        for number in 0..ENDED_MAX + 2 {
            begin(&mut book, &number.to_string(), 10);
            book.end(&number.to_string(), Acting::Anybody, None, End::Released).unwrap();
        }
        assert_eq!(book.look("1", Acting::Anybody, None), Err(NotHeld::Unknown));
        assert_eq!(book.look("2", Acting::Anybody, None), Err(NotHeld::Ended(End::Released)));
        assert!(book.holds() && book.is_empty());
    }
}
