// Scenarios of `src/core/grants.rs`. Each is run twice: by `grants.rs` against the library, where
// it must hold, and by `grants_mutants.rs` against broken copies, where it must fail. Whoever has
// this as a module has the code under test beside it, as `super::grants`.
//
// A ledger that no thread can tear stands beside the slots: grants that began and ended, bytes in
// use, bytes on their way. Every scenario ends with its check.

use super::grants::{Ended, Fields, Grants, Held, NoSegment, Refused, SLOTS, Settled, flag};
use allotment::internals::word::{Owner, SlotWord, State};
use loom::sync::Arc;
use loom_tests::{ALL, bound, model, thread::{self, JoinHandle}};
use std::collections::BTreeMap;

/// The account that is short in these scenarios.
const SHORT: u32 = 7;
const BYTES: u64 = 3;

fn owner(number: u32) -> Owner {
    Owner::new(number, 1, 2)
}

#[derive(Default)]
struct Ledger {
    /// How often each generation of each slot began and ended.
    grants: BTreeMap<(u32, u32), (u32, u32)>,
    used: i64,
    freeing: i64,
}

struct World {
    grants: Grants,
    exchanged: bool,
    ledger: std::sync::Mutex<Ledger>,
}

/// How a release went, as its caller is told.
type Released = Result<bool, Refused>;

impl World {
    /// One segment of `owner(1)` with free slots, and `spare` fresh ones.
    fn new(spare: u32, exchanged: bool) -> Arc<Self> {
        let grants = Grants::new(1 + spare);
        let world = Self { grants, exchanged, ledger: Default::default() };
        world.open(owner(1));
        Arc::new(world)
    }

    fn open(&self, owner: Owner) -> u32 {
        let index = self.grants.take_segment(owner).expect("a segment");
        self.grants.unreserve(self.grants.keep_segment(index));
        index
    }

    fn note(&self, change: impl FnOnce(&mut Ledger)) {
        change(&mut self.ledger.lock().unwrap());
    }

    fn fields(generation: u32, flags: u32) -> Fields {
        // Names the generation twice, so that a mixture of two grants shows.
        let (key, cookie) = (u64::from(generation) + 100, u64::from(generation) + 200);
        Fields { key, cookie, flags, ..Fields::default() }
    }

    /// Fills a slot that the caller has reserved.
    fn publish(&self, slot: u32, fields: impl FnOnce(u32) -> Fields) -> u32 {
        let generation = self.grants.generation(slot) + 1;
        self.note(|l| {
            l.used += BYTES as i64;
            l.grants.entry((slot, generation)).or_default().0 += 1;
        });
        let published = self.grants.publish(slot, BYTES, 0, &fields(generation));
        assert_eq!(published, generation, "SHARED SLOT: somebody else published in it");
        generation
    }

    fn request(&self, slot: u32, owner: Owner) -> Option<u32> {
        self.grants.reserve(slot, owner).then(|| self.publish(slot, |g| Self::fields(g, 0)))
    }

    fn release(&self, slot: u32, generation: u32, owner: Owner) -> Released {
        let held = self.grants.hold_to_end(slot, generation, owner)?;
        let bytes = held.word.bytes() as i64;
        // Told from the slot, so that the end of a wrong grant shows.
        let ended = (slot, self.grants.generation(slot));
        assert_eq!(ended.1, generation, "WRONG GRANT");
        let how = self.grants.end(held);
        self.note(|l| {
            l.grants.entry(ended).or_default().1 += 1;
            l.used -= bytes;
            if let Ended::Deferred { evictor } = how {
                assert_eq!(evictor, SHORT, "freed on behalf of somebody else");
                l.freeing -= bytes;
            }
        });
        Ok(how != Ended::Free)
    }

    /// Holds a grant that is not being evicted, for a change.
    fn change(&self, slot: u32, generation: u32, f: impl FnOnce(Held)) -> Result<(), Refused> {
        let held = self.grants.hold(slot, generation, owner(1))?;
        assert_eq!(self.grants.generation(slot), generation, "WRONG GRANT held");
        f(held);
        Ok(())
    }

    fn resize(&self, slot: u32, generation: u32, by: i64) -> Result<(), Refused> {
        self.change(slot, generation, |held| {
            let bytes = held.word.bytes().checked_add_signed(by).expect("not below nothing");
            self.note(|l| l.used += by);
            self.grants.let_go(held, bytes);
        })
    }

    fn set(&self, slot: u32, generation: u32, f: impl FnOnce(&mut Fields)) -> Result<(), Refused> {
        self.change(slot, generation, |held| {
            let mut fields = self.grants.fields(slot);
            f(&mut fields);
            self.grants.let_go_with(held, &fields);
        })
    }

    /// Evicts what is in the slot if it may go at time 0; `settle` gives the owner's answer.
    fn evict(&self, slot: u32, answer: Answer) -> Option<Settled> {
        let word = self.grants.word(slot);
        let live = word.state() == State::Live;
        // Like a scan: the fields are looked at only if the word says so. A model that reads more
        // than the code does hides what other threads do meanwhile.
        let may_go = !word.special() || self.grants.fields(slot).is_evictable(0);
        if live && may_go { self.evict_seen(slot, word, answer) } else { None }
    }

    fn evict_seen(&self, slot: u32, word: SlotWord, answer: Answer) -> Option<Settled> {
        let bytes = word.bytes() as i64;
        self.note(|l| l.freeing += bytes);
        let claimed = self.grants.claim_victim(slot, word, |v| v.fields.is_evictable(0));
        let Some(victim) = claimed else {
            self.note(|l| l.freeing -= bytes);
            return None;
        };
        let generation = u64::from(victim.generation);
        let named = (victim.fields.key, victim.fields.cookie);
        assert_eq!(named, (generation + 100, generation + 200), "MIXED FIELDS");
        assert_eq!(victim.bytes as i64, bytes);
        let settled = match answer {
            Answer::Freed => self.grants.settle_freed(&victim),
            Answer::Busy => self.grants.settle_busy(&victim, 5),
            Answer::Deferred => self.grants.settle_deferred(&victim, SHORT),
        };
        self.note(|l| {
            if settled == Settled::Ended {
                l.grants.entry((slot, victim.generation)).or_default().1 += 1;
                l.used -= bytes;
            }
            if (settled, answer) != (Settled::Kept, Answer::Deferred) {
                l.freeing -= bytes;
            }
        });
        Some(settled)
    }

    fn decline(&self, slot: u32, generation: u32) -> Result<(), Refused> {
        let held = self.grants.hold_to_end(slot, generation, owner(1))?;
        assert_eq!(self.grants.keep_deferred(held, 5)?, SHORT);
        self.note(|l| l.freeing -= held.word.bytes() as i64);
        Ok(())
    }

    /// At rest: every grant ended at most once, and the words say what the ledger says.
    fn check(&self) {
        let ledger = self.ledger.lock().unwrap();
        let (mut used, mut freeing) = (0, 0);
        for slot in 0..self.grants.segments_seen() * SLOTS {
            let (word, generation) = (self.grants.word(slot), self.grants.generation(slot));
            let state = word.state();
            let rests = [State::Free, State::Live, State::Deferred, State::Reserved];
            assert!(rests.contains(&state), "slot {slot} left {state:?}");
            let holds = matches!(state, State::Live | State::Deferred);
            if holds {
                used += word.bytes() as i64;
                freeing += if state == State::Deferred { word.bytes() as i64 } else { 0 };
                assert!(word.may_be(generation), "the word is another generation's");
            }
            for (_, &(began, ended)) in ledger.grants.range((slot, 0)..(slot, generation)) {
                assert_eq!((began, ended), (1, 1), "ENDED TWICE, or never");
            }
            if let Some(&(began, ended)) = ledger.grants.get(&(slot, generation)) {
                assert_eq!((began, ended), (1, u32::from(!holds)), "ENDED TWICE, or never");
            }
        }
        assert_eq!(ledger.used, used, "LOST BYTES: in use and in grants");
        assert_eq!(ledger.freeing, freeing, "LOST BYTES: on their way");
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    Freed,
    Busy,
    Deferred,
}

/// Runs a scenario, once for each way to give two roles to the thread that starts and the thread
/// that is started: loom overlooks some orders in the one and some in the other.
fn run(
    name: &str,
    bound: Option<usize>,
    spare: u32,
    scenario: impl Fn(&Arc<World>) + Send + Sync + Clone + 'static,
) {
    for exchanged in [false, true] {
        let scenario = scenario.clone();
        let roles = if exchanged { ", roles exchanged" } else { "" };
        model(&format!("grants::{name}{roles}"), bound, move || {
            let world = World::new(spare, exchanged);
            scenario(&world);
            world.check();
        });
    }
}

/// Both at once, one of them on this thread.
fn race<A: 'static, B: 'static>(
    world: &Arc<World>,
    a: impl FnOnce(&World) -> A + 'static,
    b: impl FnOnce(&World) -> B + 'static,
) -> (A, B) {
    if world.exchanged {
        let a = start(world, a);
        let b = b(world);
        (a.join().unwrap(), b)
    } else {
        let b = start(world, b);
        (a(world), b.join().unwrap())
    }
}

fn start<T: 'static>(world: &Arc<World>, f: impl FnOnce(&World) -> T + 'static) -> JoinHandle<T> {
    let world = world.clone();
    thread::spawn(move || f(&world))
}

fn count(answers: &[bool]) -> usize {
    answers.iter().filter(|&&yes| yes).count()
}

/// A scanner that claims a victim sees the fields of that very grant, while its slot is freed and
/// filled again.
pub fn a_claimed_victim_shows_its_own_fields() {
    run("a_claimed_victim_shows_its_own_fields", None, 0, |world| {
        let first = world.request(0, owner(1)).unwrap();
        let refill = move |w: &World| {
            let _ = w.release(0, first, owner(1));
            w.request(0, owner(1));
        };
        race(world, |w| w.evict(0, Answer::Freed), refill);
    });
}

/// The same while the low bits of the generation come round: the evictor may claim another grant
/// than it saw, but then knows it for what it is.
pub fn a_word_that_came_round_shows_its_new_fields() {
    run("a_word_that_came_round_shows_its_new_fields", bound(3, ALL), 0, |world| {
        let first = world.request(0, owner(1)).unwrap();
        let refill_twice = move |w: &World| {
            for generation in [first, first + 1] {
                let _ = w.release(0, generation, owner(1));
                w.request(0, owner(1));
            }
        };
        race(world, |w| w.evict(0, Answer::Freed), refill_twice);
    });
}

/// An owner's release, a second one with the same id, and an evictor: one of them ends the grant.
pub fn a_grant_ends_exactly_once() {
    run("a_grant_ends_exactly_once", bound(1, 2), 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let release = move |w: &World| w.release(0, id, owner(1));
        let again = start(world, release);
        let (ours, evicted) = race(world, release, |w| w.evict(0, Answer::Freed));
        let again = again.join().unwrap();
        let releases = count(&[ours.is_ok(), again.is_ok()]);
        let evictions = count(&[evicted == Some(Settled::Ended)]);
        assert_eq!(releases + evictions, 1, "{ours:?} {again:?} {evicted:?}");
        assert_eq!(world.grants.word(0).state(), State::Free);
    });
}

/// Whoever comes second is told: an owner whose grant was evicted hears so, and an evictor whose
/// victim was released hears so.
pub fn who_comes_second_is_told() {
    run("who_comes_second_is_told", None, 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let release = move |w: &World| w.release(0, id, owner(1));
        let (evicted, released) = race(world, |w| w.evict(0, Answer::Freed), release);
        let expected = match evicted {
            None => Ok(false),
            Some(Settled::ReleasedByOwner) => Ok(true),
            Some(_) => Err(Refused::Evicted),
        };
        assert_eq!(released, expected, "{evicted:?}");
        assert_eq!(world.grants.word(0).state(), State::Free);
    });
}

/// The evictor's owner says *busy* while it releases: the release counts, the slot becomes free.
pub fn a_release_during_a_busy_answer_counts() {
    run("a_release_during_a_busy_answer_counts", None, 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let release = move |w: &World| w.release(0, id, owner(1));
        let (released, _) = race(world, release, |w| w.evict(0, Answer::Busy));
        assert!(released.is_ok(), "{released:?}");
        assert_eq!(world.grants.word(0).state(), State::Free, "LOST SLOT");
        assert!(world.request(0, owner(1)).is_some(), "LOST SLOT");
    });
}

/// A release with an id whose low generation bits have come round ends nothing.
pub fn a_stale_release_ends_nobody_else() {
    run("a_stale_release_ends_nobody_else", None, 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let stale = move |w: &World| w.release(0, id, owner(1));
        let (ours, (first, third)) = race(world, stale, move |w| {
            let first = w.release(0, id, owner(1));
            let Some(second) = w.request(0, owner(1)) else { return (first, None) };
            let ended = w.release(0, second, owner(1));
            assert!(matches!(ended, Ok(false) | Err(Refused::Busy)), "{ended:?}");
            (first, w.request(0, owner(1)))
        });
        assert_eq!(count(&[ours.is_ok(), first.is_ok()]), 1, "{ours:?} {first:?}");
        if let Some(third) = third {
            assert!(world.grants.is_live(0, third, owner(1)), "WRONG GRANT ended");
        }
    });
}

/// A pin by such an id pins nothing, and undoing its hold leaves the grant as it was.
pub fn a_stale_change_changes_nobody_else() {
    run("a_stale_change_changes_nobody_else", bound(4, ALL), 0, |world| {
        let first = world.request(0, owner(1)).unwrap();
        let stale = move |w: &World| w.set(0, first, |f| f.flags |= flag::PINNED);
        let (last, _) = race(world, move |w| refill(w, first), stale);
        if last > first && world.grants.word(0).state() == State::Live {
            assert_eq!(world.grants.fields(0).flags, 0, "WRONG GRANT pinned");
        }
    });
}

/// Releases a grant and fills its slot twice; answers the last generation.
fn refill(world: &World, first: u32) -> u32 {
    let _ = world.release(0, first, owner(1));
    let Some(second) = world.request(0, owner(1)) else { return first };
    let _ = world.release(0, second, owner(1));
    world.request(0, owner(1)).unwrap_or(second)
}

/// Growing, shrinking, a busy victim and a release at once: no byte is lost.
pub fn resizes_keep_the_balance() {
    run("resizes_keep_the_balance", bound(2, 3), 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let grow_and_release = move |w: &World| {
            w.resize(0, id, 5).ok();
            loop {
                // Others may hold it still each time it is looked at.
                match w.release(0, id, owner(1)) {
                    Err(Refused::Busy) => thread::yield_now(),
                    released => return released,
                }
            }
        };
        let evictor = start(world, |w| w.evict(0, Answer::Busy));
        let (_, released) = race(world, move |w| w.resize(0, id, -2), grow_and_release);
        evictor.join().unwrap();
        assert!(released.is_ok(), "{released:?}");
    });
}

/// A resize and an eviction exclude each other: the bytes taken are those the grant has at its end.
pub fn an_eviction_takes_the_last_size() {
    run("an_eviction_takes_the_last_size", None, 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let grow = move |w: &World| w.resize(0, id, 5);
        let (grown, evicted) = race(world, grow, |w| w.evict(0, Answer::Freed));
        match grown {
            Ok(()) => assert!(matches!(evicted, None | Some(Settled::Ended))),
            Err(refused) => assert_eq!(refused, Refused::Evicted),
        }
    });
}

/// Once a pin has returned Ok no evictor shows at the grant, although its word is as before: it
/// had a time to live, so it was special already.
pub fn a_pinned_grant_is_left_alone() {
    run("a_pinned_grant_is_left_alone", bound(4, 5), 0, |world| {
        assert!(world.grants.reserve(0, owner(1)));
        let id = world.publish(0, |g| Fields { expires_ns: 9, ..World::fields(g, 0) });
        let pin = move |w: &World| {
            if w.set(0, id, |f| f.flags |= flag::PINNED).is_ok() {
                let grown = w.resize(0, id, 1);
                assert!(matches!(grown, Ok(()) | Err(Refused::Busy)), "PINNED AND {grown:?}");
                let state = w.grants.word(0).state();
                assert_ne!(state, State::Evicting, "PINNED AND evicting");
            }
        };
        race(world, pin, |w| w.evict(0, Answer::Freed));
    });
}

/// The same seen by the evictor: what it claims is not pinned until it has settled.
pub fn a_claimed_victim_cannot_be_pinned() {
    run("a_claimed_victim_cannot_be_pinned", None, 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let pin = move |w: &World| w.set(0, id, |f| f.flags |= flag::PINNED);
        let (evicted, pinned) = race(world, |w| w.evict(0, Answer::Freed), pin);
        match evicted {
            Some(_) => assert_eq!(pinned, Err(Refused::Evicted), "PINNED AND evicted"),
            None => assert!(matches!(pinned, Ok(())), "{pinned:?}"),
        }
    });
}

/// A deferred victim is released by its owner, who also declines: the bytes stop being on their
/// way exactly once.
pub fn a_deferred_grant_is_settled_once() {
    run("a_deferred_grant_is_settled_once", bound(2, 2), 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let decliner = start(world, move |w| w.decline(0, id));
        let release = move |w: &World| w.release(0, id, owner(1));
        let (released, _) = race(world, release, |w| w.evict(0, Answer::Deferred));
        decliner.join().unwrap().ok();
        assert!(matches!(released, Ok(_) | Err(Refused::Busy)), "{released:?}");
    });
}

/// An owner that declines while it is still being asked is told to try again, never that nobody
/// waits: else the bytes would be on their way for ever.
pub fn a_decline_that_comes_early_is_told_so() {
    run("a_decline_that_comes_early_is_told_so", None, 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let word = world.grants.word(0);
        let defer = move |w: &World| w.evict_seen(0, word, Answer::Deferred);
        let decline = move |w: &World| (w.grants.word(0).state(), w.decline(0, id));
        let (settled, (early, declined)) = race(world, defer, decline);
        let Some(settled) = settled else { return };
        assert_eq!(settled, Settled::Kept);
        match declined {
            Ok(()) => assert_eq!(world.grants.word(0).state(), State::Live),
            Err(Refused::Stale) => assert_ne!(early, State::Evicting, "LOST decline"),
            Err(refused) => assert_eq!(refused, Refused::Busy),
        }
    });
}

/// A slot that two want goes to one of them.
pub fn two_requesters_never_share_a_slot() {
    run("two_requesters_never_share_a_slot", None, 0, |world| {
        let request = |w: &World| w.request(0, owner(1)).is_some();
        let (ours, theirs) = race(world, request, request);
        assert_eq!(count(&[ours, theirs]), 1, "SHARED SLOT");
    });
}

/// Slots freed and taken by three at once are never shared.
pub fn three_requesters_never_share_a_slot() {
    run("three_requesters_never_share_a_slot", bound(2, ALL), 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let other = start(world, |w| w.request(1, owner(1)));
        let move_over = move |w: &World| {
            w.release(0, id, owner(1)).unwrap();
            w.request(0, owner(1));
            w.request(1, owner(1));
        };
        race(world, move_over, |w| w.request(0, owner(1)));
        other.join().unwrap();
    });
}

/// One of two slots is always free. Two looks at both may see them taken, but never by the same
/// generations.
pub fn two_equal_looks_mean_taken_all_the_time() {
    run("two_equal_looks_mean_taken_all_the_time", bound(2, 2), 0, |world| {
        let first = world.request(0, owner(1)).unwrap();
        let look_twice = |w: &World| {
            let looks = [(); 2].map(|()| [0, 1].map(|slot| w.grants.taken_by(slot)));
            let taken = looks.as_flattened().iter().all(Option::is_some);
            assert!(!taken || looks[0] != looks[1], "FALSE EXHAUSTION {looks:?}");
        };
        let mover = move |w: &World| {
            let mut generation = first;
            for from in [0, 1, 0] {
                w.release(from, generation, owner(1)).expect("ours");
                generation = w.request(1 - from, owner(1)).expect("the free one");
            }
        };
        race(world, look_twice, mover);
    });
}

/// A segment is retired only while nobody has a slot of it; a failed retirement leaves no trace.
pub fn a_retired_segment_is_nobody_elses() {
    run("a_retired_segment_is_nobody_elses", None, 0, |world| {
        let retire = |w: &World| {
            let retired = w.grants.retire_segment(0).is_some();
            if retired {
                let ours = |slot| w.grants.word(slot).state() == State::Reserved;
                assert!((0..SLOTS).all(ours), "SHARED SLOT");
                w.grants.recycle_segment(0);
            }
            retired
        };
        let request = |w: &World| w.request(1, owner(1)).is_some();
        let (retired, requested) = race(world, retire, request);
        assert_ne!(retired, requested, "SHARED SLOT, or lost");
        if !retired {
            assert!(world.request(0, owner(1)).is_some(), "LOST SLOT");
        }
    });
}

/// A requester with an old owner in mind never gets, nor disturbs, a slot of the next owner.
pub fn a_late_requester_does_not_disturb_the_next_owner() {
    run("a_late_requester_does_not_disturb_the_next_owner", None, 0, |world| {
        let late = |w: &World| [0, 1].map(|slot| w.request(slot, owner(1)).is_some());
        let (moved, late) = race(world, |w| next_owner(w).is_some(), late);
        assert!(!moved || late == [false, false], "SHARED SLOT with the last owner");
        if moved {
            assert!(world.request(1, owner(2)).is_some(), "LOST SLOT");
        }
    });
}

/// Gives the first segment to another owner if it is free, with a grant in its first slot.
fn next_owner(world: &World) -> Option<u32> {
    world.grants.retire_segment(0)?;
    world.grants.recycle_segment(0);
    let index = world.grants.take_segment(owner(2)).expect("the one given back");
    assert_eq!(world.grants.keep_segment(index), 0);
    assert_eq!(world.grants.word(0).state(), State::Reserved, "NOT KEPT");
    Some(world.publish(0, |g| World::fields(g, 0)))
}

/// A release that comes late, after its segment went to the next owner, ends nothing of theirs.
pub fn a_late_release_does_not_reach_the_next_owner() {
    run("a_late_release_does_not_reach_the_next_owner", None, 0, |world| {
        let id = world.request(0, owner(1)).unwrap();
        let late = move |w: &World| w.release(0, id, owner(1)).is_ok();
        let (next, late) =
            race(world, move |w| (w.release(0, id, owner(1)).is_ok(), next_owner(w)), late);
        assert_ne!(next.0, late, "released once");
        if let Some(next) = next.1 {
            assert!(world.grants.is_live(0, next, owner(2)), "WRONG GRANT ended");
        }
    });
}

/// Two segments were given back and two owners take one each, never the same.
pub fn a_segment_goes_to_one_owner() {
    run("a_segment_goes_to_one_owner", None, 1, |world| {
        for index in [0, world.open(owner(2))] {
            assert!(world.grants.retire_segment(index).is_some());
            world.grants.recycle_segment(index);
        }
        let take = |number| move |w: &World| w.grants.take_segment(owner(number));
        let (ours, theirs) = race(world, take(3), take(4));
        let (ours, theirs) = (ours.expect("two for two"), theirs.expect("two for two"));
        assert_ne!(ours, theirs, "SHARED SEGMENT");
        assert_eq!(world.grants.owner(ours * SLOTS), owner(3));
    });
}

/// A segment that somebody takes and gives back unused was never gone.
pub fn a_segment_on_its_way_is_not_missed() {
    run("a_segment_on_its_way_is_not_missed", None, 1, |world| {
        let pass = |number| {
            move |w: &World| {
                let taken = w.grants.take_segment(owner(number));
                assert_ne!(taken, Err(NoSegment::Exhausted), "FALSE EXHAUSTION");
                if let Ok(index) = taken {
                    w.grants.return_segment(index);
                }
            }
        };
        race(world, pass(2), pass(3));
        assert!(world.grants.take_segment(owner(4)).is_ok(), "LOST SEGMENT");
    });
}

/// The last segment is retired and given back while another looks for one: exhausted at first,
/// found in the end.
pub fn a_segment_given_back_is_found() {
    run("a_segment_given_back_is_found", None, 0, |world| {
        let give_back = |w: &World| {
            assert!(w.grants.retire_segment(0).is_some());
            w.grants.recycle_segment(0);
        };
        let ((), theirs) = race(world, give_back, |w| w.grants.take_segment(owner(2)));
        let ours = world.grants.take_segment(owner(3));
        assert_eq!(count(&[ours.is_ok(), theirs.is_ok()]), 1, "LOST SEGMENT");
        if theirs.is_ok() {
            assert_eq!(ours, Err(NoSegment::OnTheWay), "it was not kept yet");
        }
    });
}
