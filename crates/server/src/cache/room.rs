//! Room for caches: with a `limit` in `[cache]`, all grants of the type `cache` together hold no
//! more. The governor knows limits of tenants and groups, and none of a type; so whoever asks for
//! a grant of a cache, or for more in one, takes its room here before it asks the governor.
//!
//! ```text
//! R1  taken_bytes = the sum of all `Room`s; each belongs to a request that is not answered yet, or
//!     stands in the book of leases beside the lease that it is of
//! R2  whoever takes room leaves taken_bytes <= the limit, as it is then
//! R3  the first in line does not fit, whenever the counts are unlocked
//! ```
//!
//! Room goes back when a `Room` is dropped, wherever that is: a request is refused, its connection
//! breaks, a lease ends in one way or another. So nobody who ends a lease has to think of those
//! who wait, and none of them can be forgotten: R3 is made true by whoever changes the counts. Room
//! is taken in the name of the first in line, and belongs to it before it wakes.
//!
//! It is counted also where there is no limit, so that one can be set while the server runs. One
//! below what is held revokes nothing.

use super::line::{Before, Line, Place, Waiter};
use allotment::{Priority, TenantId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// How to reach whoever waits.
#[derive(Debug)]
struct Reached {
    room: oneshot::Sender<Room>,
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Counts {
    limit_bytes: Option<u64>,
    taken_bytes: u64,
    line: Line<Reached>,
}

/// Room that is taken, and who waits for some.
#[derive(Debug, Default)]
pub struct Rooms(Mutex<Counts>);

/// What somebody sees who comes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The limit; none: there is room for everybody.
    pub limit_bytes: Option<u64>,
    /// Room that others have.
    pub taken_bytes: u64,
    /// Who waits and goes first.
    pub before: Before,
}

impl Counts {
    fn fits(&self, bytes: u64) -> bool {
        let limit_bytes = self.limit_bytes.unwrap_or(u64::MAX);
        self.taken_bytes.checked_add(bytes).is_some_and(|all| all <= limit_bytes)
    }

    /// Of one who comes now.
    fn sight(&self, priority: Priority) -> Sight {
        self.sight_behind(self.line.before(priority))
    }

    fn sight_behind(&self, before: Before) -> Sight {
        Sight { limit_bytes: self.limit_bytes, taken_bytes: self.taken_bytes, before }
    }
}

impl Rooms {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the counts, and then serves whoever fits: the only way to change them.
    fn change<T>(self: &Arc<Self>, change: impl FnOnce(&mut Counts) -> T) -> T {
        let mut returned = Vec::new();
        let mut counts = self.counts();
        let first = counts.line.first().map(|(place, _)| place);
        let answer = change(&mut counts);
        loop {
            let Counts { limit_bytes, taken_bytes, line } = &mut *counts;
            let left_bytes = limit_bytes.unwrap_or(u64::MAX).saturating_sub(*taken_bytes);
            let Some(served) = line.serve(|first| first.bytes <= left_bytes) else { break };
            *taken_bytes += served.bytes;
            let room = Room { rooms: self.clone(), bytes: served.bytes };
            // Who is in line listens: it leaves the line before it stops.
            returned.extend(served.how.room.send(room).err());
        }
        let now_first = counts.line.first().filter(|(place, _)| Some(*place) != first);
        if let Some((_, waiter)) = now_first {
            waiter.how.news.notify_one();
        }
        drop(counts);
        // With nothing held: they go back.
        drop(returned);
        answer
    }

    /// Sets the limit, and serves or turns away those for whom it makes a difference.
    pub fn set_limit(self: &Arc<Self>, limit_bytes: Option<u64>) {
        let turned_away = self.change(|counts| {
            counts.limit_bytes = limit_bytes;
            counts.line.leave_above(limit_bytes.unwrap_or(u64::MAX))
        });
        drop(turned_away);
    }

    /// What the first in line is short of, if it asks for so many bytes.
    pub fn short_bytes(&self, bytes: u64) -> u64 {
        let counts = self.counts();
        let all = counts.taken_bytes.saturating_add(bytes);
        all.saturating_sub(counts.limit_bytes.unwrap_or(u64::MAX))
    }

    /// What somebody of this priority sees now.
    pub fn sight(&self, priority: Priority) -> Sight {
        self.counts().sight(priority)
    }

    /// Takes room, unless there is too little, or somebody waits who goes first.
    ///
    /// # Errors
    ///
    /// What there is.
    pub fn take(self: &Arc<Self>, bytes: u64, priority: Priority) -> Result<Room, Sight> {
        let mut counts = self.counts();
        let sight = counts.sight(priority);
        if sight.before.requests > 0 || !counts.fits(bytes) {
            return Err(sight);
        }
        counts.taken_bytes += bytes;
        Ok(Room { rooms: self.clone(), bytes })
    }

    /// A place in line, or room at once.
    ///
    /// # Errors
    ///
    /// Too many are there: what there is.
    pub fn enter(
        self: &Arc<Self>,
        tenant: TenantId,
        bytes: u64,
        priority: Priority,
    ) -> Result<Turn, Sight> {
        let (room, comes) = oneshot::channel();
        let news = Arc::new(Notify::new());
        let waiter = Waiter { tenant, bytes, how: Reached { room, news: news.clone() } };
        let place = self.change(|counts| {
            let place = counts.line.enter(waiter, priority);
            place.ok_or_else(|| counts.sight(priority))
        })?;
        Ok(Turn { rooms: self.clone(), place, comes, news })
    }

    /// Has all who wait for a tenant look whether they still may.
    pub fn tell(&self, tenant: TenantId) {
        self.counts().line.of(tenant).for_each(|waiter| waiter.how.news.notify_one());
    }

    /// How many wait.
    pub fn waiters(&self) -> u64 {
        self.counts().line.len() as u64
    }

    /// How many wait for a tenant.
    pub fn waiters_of(&self, tenant: TenantId) -> u64 {
        self.counts().line.len_of(tenant) as u64
    }
}

/// Room that somebody has. It goes back when it is dropped.
#[derive(Debug)]
pub struct Room {
    rooms: Arc<Rooms>,
    bytes: u64,
}

impl Room {
    /// More of the same.
    pub fn add(&mut self, mut more: Self) {
        self.bytes += std::mem::take(&mut more.bytes);
    }

    /// Gives a part of it back.
    pub fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.rooms.change(|counts| counts.taken_bytes -= bytes);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

/// What comes to whoever waits.
#[derive(Debug)]
pub enum Next {
    /// Its room.
    Room(Room),
    /// It asks for more than the limit, which has changed.
    Never,
    /// It is the first, or its tenant may not ask any more: it had better look.
    News,
    /// Its time is over.
    Over,
}

/// A place in line. Whoever drops it gives it up, and the room that may have come meanwhile.
#[derive(Debug)]
pub struct Turn {
    rooms: Arc<Rooms>,
    place: Place,
    comes: oneshot::Receiver<Room>,
    news: Arc<Notify>,
}

impl Turn {
    /// Whether what comes free next is for this one.
    pub fn is_first(&self) -> bool {
        self.rooms.counts().line.first().is_some_and(|(place, _)| place == self.place)
    }

    /// Waits, but not beyond a time.
    pub async fn next(&mut self, until: Instant) -> Next {
        tokio::select! {
            biased;
            room = &mut self.comes => room.map_or(Next::Never, Next::Room),
            () = self.news.notified() => Next::News,
            () = tokio::time::sleep_until(until) => Next::Over,
        }
    }

    /// Gives the place up, unless its room has come.
    ///
    /// # Errors
    ///
    /// What there is.
    pub fn leave(mut self) -> Result<Room, Sight> {
        let sight = self.rooms.change(|counts| {
            let before = counts.line.before_place(self.place);
            counts.line.leave(self.place);
            counts.sight_behind(before)
        });
        self.comes.try_recv().map_err(|_| sight)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.rooms.change(|counts| counts.line.leave(self.place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Priority::{High, Low, Normal};
    use std::thread;
    use std::time::Duration;

    const A: TenantId = TenantId::from_u128(1);

    fn rooms(limit_bytes: u64) -> Arc<Rooms> {
        let rooms = Arc::<Rooms>::default();
        rooms.set_limit(Some(limit_bytes));
        rooms
    }

    fn taken(rooms: &Rooms) -> u64 {
        rooms.counts().taken_bytes
    }

    /// What has come by now.
    fn come(turn: &mut Turn) -> Option<Room> {
        turn.comes.try_recv().ok()
    }

    #[test]
    fn room_is_taken_up_to_the_limit_and_goes_back_by_itself() {
        let rooms = rooms(10);
        let mut room = rooms.take(6, Normal).unwrap();
        let sight = rooms.take(5, Normal).unwrap_err();
        assert_eq!((sight.limit_bytes, sight.taken_bytes), (Some(10), 6));
        room.add(rooms.take(4, Normal).unwrap());
        room.give_back(3);
        assert_eq!(taken(&rooms), 7);
        drop(room);
        assert_eq!(taken(&rooms), 0);
        rooms.set_limit(None);
        let all = rooms.take(u64::MAX, Normal).unwrap();
        assert!(rooms.take(1, Normal).is_err(), "more than can be counted");
        drop(all);
    }

    #[test]
    fn whoever_waits_is_served_by_whatever_gives_room() {
        let rooms = rooms(10);
        let mut held = rooms.take(10, Normal).unwrap();
        let mut turn = rooms.enter(A, 4, Normal).unwrap();
        held.give_back(3);
        assert!(come(&mut turn).is_none());
        held.give_back(1);
        let room = come(&mut turn).expect("a part that was given back");
        let mut turn = rooms.enter(A, 6, Normal).unwrap();
        drop(held);
        let other = come(&mut turn).expect("what was dropped");
        let mut turn = rooms.enter(A, 1, Normal).unwrap();
        rooms.set_limit(Some(11));
        let third = come(&mut turn).expect("a higher limit");
        let mut turn = rooms.enter(A, 100, Normal).unwrap();
        rooms.set_limit(None);
        assert!(come(&mut turn).is_some(), "no limit");
        drop((room, other, third, turn));
        assert_eq!((taken(&rooms), rooms.waiters()), (0, 0));
    }

    #[test]
    fn nobody_goes_before_those_who_wait_but_a_higher_priority() {
        let rooms = rooms(10);
        let held = rooms.take(8, Normal).unwrap();
        let mut large = rooms.enter(A, 5, Normal).unwrap();
        let mut small = rooms.enter(A, 1, Normal).unwrap();
        assert!(large.is_first() && !small.is_first());
        for priority in [Low, Normal] {
            let before = rooms.take(1, priority).unwrap_err().before;
            assert_eq!(before, Before { requests: 2, bytes: 6 });
        }
        let above = rooms.take(1, High).unwrap();
        assert!(come(&mut small).is_none());
        drop((held, above));
        assert!(come(&mut large).is_some() && come(&mut small).is_some());
    }

    #[test]
    fn who_gives_up_makes_way_and_gives_back_what_has_come() {
        let rooms = rooms(10);
        let held = rooms.take(8, Normal).unwrap();
        let large = rooms.enter(A, 5, Normal).unwrap();
        let mut small = rooms.enter(A, 2, Normal).unwrap();
        let last = rooms.enter(A, 1, Normal).unwrap();
        assert_eq!(last.leave().unwrap_err().before, Before { requests: 2, bytes: 7 });
        assert_eq!(large.leave().unwrap_err().before, Before::default());
        let room = come(&mut small).expect("nobody is before it any more");
        let turn = rooms.enter(A, 3, Normal).unwrap();
        drop((held, turn));
        assert_eq!(taken(&rooms), 2, "it had come, and nobody took it");
        let turn = rooms.enter(A, 3, Normal).unwrap();
        drop((turn.leave().expect("it had come"), room));
        assert_eq!((taken(&rooms), rooms.waiters()), (0, 0));
    }

    #[test]
    fn who_asks_for_more_than_a_new_limit_is_turned_away_and_others_are_served() {
        let rooms = rooms(10);
        let _held = rooms.take(2, Normal).unwrap();
        let mut large = rooms.enter(A, 9, Normal).unwrap();
        let mut small = rooms.enter(A, 1, Normal).unwrap();
        rooms.set_limit(Some(5));
        assert!(large.comes.try_recv().is_err());
        assert!(come(&mut small).is_some());
        assert_eq!(rooms.waiters(), 0);
    }

    #[tokio::test]
    async fn whoever_becomes_the_first_is_told() {
        let rooms = rooms(10);
        let _held = rooms.take(10, Normal).unwrap();
        let first = rooms.enter(A, 5, Normal).unwrap();
        let mut second = rooms.enter(A, 5, Normal).unwrap();
        let soon = || Instant::now() + Duration::from_millis(10);
        assert!(matches!(second.next(soon()).await, Next::Over));
        drop(first);
        assert!(matches!(second.next(soon()).await, Next::News));
        rooms.tell(A);
        assert!(matches!(second.next(soon()).await, Next::News));
        rooms.set_limit(Some(4));
        assert!(matches!(second.next(soon()).await, Next::Never));
    }

    #[test]
    fn nobody_is_forgotten_whoever_comes_and_goes_at_the_same_time() {
        const LIMIT: u64 = 10;
        let rooms = rooms(LIMIT);
        thread::scope(|scope| {
            for thread in 0..4u64 {
                let rooms = &rooms;
                scope.spawn(move || {
                    let mut runtime = tokio::runtime::Builder::new_current_thread();
                    let runtime = runtime.enable_time().build().unwrap();
                    for round in 0..200 {
                        let bytes = 1 + (thread + round) % LIMIT;
                        let tenant = TenantId::from_u128(u128::from(thread));
                        let mut turn = rooms.enter(tenant, bytes, Normal).unwrap();
                        // Some give up at once, maybe just as their room comes.
                        if round % 7 == 0 {
                            drop(turn);
                            continue;
                        }
                        let until = Instant::now() + Duration::from_secs(60);
                        let room = loop {
                            match runtime.block_on(turn.next(until)) {
                                Next::Room(room) => break room,
                                Next::News => {}
                                other => panic!("{other:?}"),
                            }
                        };
                        assert!(taken(rooms) <= LIMIT);
                        drop(room);
                    }
                });
            }
        });
        assert_eq!((taken(&rooms), rooms.waiters()), (0, 0));
    }
}
