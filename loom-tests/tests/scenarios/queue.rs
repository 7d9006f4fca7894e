// Scenarios of `src/core/queue.rs`. Each is run twice: by `queue.rs` against the library, where it
// must hold, and by `queue_mutants.rs` against broken copies, where it must fail. Whoever has this
// as a module has the code under test beside it, as `super::queue` and `super::grants`.
//
// A ledger that no thread can tear knows who has which slot. Every scenario ends with its check:
// all slots that are not held can be reserved, and then "exhausted" is the answer.

use super::grants::{Fields, Grants, SLOTS};
use super::queue::{NoSlot, Queue, Sight};
use allotment::internals::word::{Owner, State};
use loom::sync::Arc;
use loom_tests::{ALL, bound, model, thread::{self, JoinHandle}};
use std::collections::BTreeMap;

/// A queue that belongs to an account of generation 1.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    First,
    Second,
}
use Whose::{First, Second};

#[derive(Default)]
struct Ledger {
    /// Slots held, and since which generation.
    held: BTreeMap<u32, u32>,
    published: [u64; 2],
    shed: [u64; 2],
}

struct World {
    grants: Grants,
    queues: [Queue; 2],
    segments: u32,
    exchanged: bool,
    ledger: std::sync::Mutex<Ledger>,
}

impl World {
    fn new(segments: u32, exchanged: bool) -> Arc<Self> {
        let queues = [Queue::empty(), Queue::empty()];
        queues.iter().for_each(|queue| queue.begin(1));
        let grants = Grants::new(segments);
        Arc::new(Self { grants, queues, segments, exchanged, ledger: Default::default() })
    }

    fn owner(whose: Whose) -> Owner {
        Owner::new(whose as u32 + 1, 1, 2)
    }

    fn request(&self, whose: Whose) -> Result<u32, NoSlot> {
        self.request_as(whose, Self::owner(whose))
    }

    fn request_as(&self, whose: Whose, owner: Owner) -> Result<u32, NoSlot> {
        let slot = self.queues[whose as usize].reserve(&self.grants, owner)?;
        self.publish(whose, slot, owner);
        Ok(slot)
    }

    fn publish(&self, whose: Whose, slot: u32, owner: Owner) {
        assert_eq!(self.grants.word(slot).state(), State::Reserved, "SHARED SLOT");
        assert_eq!(self.grants.owner(slot), owner, "another owner's slot");
        let generation = self.grants.generation(slot) + 1;
        let mut ledger = self.ledger.lock().unwrap();
        assert_eq!(ledger.held.insert(slot, generation), None, "SHARED SLOT");
        ledger.published[whose as usize] += 1;
        drop(ledger);
        assert_eq!(self.grants.publish(slot, 1, 0, &Fields::default()), generation);
    }

    /// Takes a slot of the first queue's by its number.
    fn request_slot(&self, slot: u32) -> bool {
        let owner = Self::owner(First);
        let reserved = self.grants.reserve(slot, owner);
        if reserved {
            self.publish(First, slot, owner);
        }
        reserved
    }

    /// Ends the grant in a slot of the first queue's and leaves no hint.
    fn end(&self, slot: u32) {
        let generation = self.ledger.lock().unwrap().held.remove(&slot).expect("held");
        let held = self.grants.hold_to_end(slot, generation, Self::owner(First));
        self.grants.end(held.expect("nobody else's"));
    }

    fn release(&self, slot: u32) {
        self.end(slot);
        self.queues[First as usize].note_freed(&self.grants, slot);
    }

    fn shed(&self, whose: Whose, all: bool) {
        let (granted, _) = self.queues[whose as usize].shed(&self.grants, all);
        self.ledger.lock().unwrap().shed[whose as usize] += granted;
    }

    /// Fills so many slots of the first queue and releases some, so that segments stay linked.
    fn fill_and_release(&self, filled: u32, released: &[u32]) {
        (0..filled).for_each(|_| {
            self.request(First).unwrap();
        });
        released.iter().for_each(|&slot| self.release(slot));
    }

    /// At rest: no slot is lost, none is had twice, and the chains know all that was published.
    fn check(&self) {
        for whose in [First, Second] {
            let refused = loop {
                if let Err(refused) = self.request(whose) {
                    break refused;
                }
            };
            assert_eq!(refused, NoSlot::Exhausted, "nothing moves, so the answer is certain");
        }
        let ledger = self.ledger.lock().unwrap();
        assert_eq!(ledger.held.len() as u32, self.segments * SLOTS, "LOST SLOTS");
        for (whose, queue) in [First, Second].into_iter().zip(&self.queues) {
            let chain = queue.chain(&self.grants, Self::owner(whose));
            let segments: Vec<u32> = chain.collect();
            let granted: u64 = segments.iter().map(|&s| self.grants.segment(s).granted()).sum();
            let (published, shed) = (ledger.published[whose as usize], ledger.shed[whose as usize]);
            assert_eq!(granted + shed, published, "LOST COUNT of grants published");
            assert_eq!(segments.len() as u32, queue.segments());
        }
    }
}

/// Runs a scenario, once for each way to give two roles to the thread that starts and the thread
/// that is started: loom overlooks some orders in the one and some in the other.
fn run(
    name: &str,
    bound: Option<usize>,
    segments: u32,
    scenario: impl Fn(&Arc<World>) + Send + Sync + Clone + 'static,
) {
    run_as(false, name, bound, segments, scenario.clone());
    run_as(true, name, bound, segments, scenario);
}

fn run_as(
    exchanged: bool,
    name: &str,
    bound: Option<usize>,
    segments: u32,
    scenario: impl Fn(&Arc<World>) + Send + Sync + 'static,
) {
    let roles = if exchanged { ", roles exchanged" } else { "" };
    model(&format!("queue::{name}{roles}"), bound, move || {
        let world = World::new(segments, exchanged);
        scenario(&world);
        world.check();
    });
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

/// The first two requests of a queue link a segment each, or share one; both have a slot.
pub fn two_first_requests_have_a_slot_each() {
    run("two_first_requests_have_a_slot_each", bound(3, 4), 2, |world| {
        let request = |w: &World| w.request(First);
        let (ours, theirs) = race(world, request, request);
        assert!(ours.is_ok() && theirs.is_ok(), "two segments, {ours:?} {theirs:?}");
    });
}

/// Two queues race for the last segment: one has it, the other may be told so.
pub fn the_last_segment_goes_to_one_queue() {
    run("the_last_segment_goes_to_one_queue", None, 1, |world| {
        let request = |whose| move |w: &World| w.request(whose).is_ok();
        let (ours, theirs) = race(world, request(First), request(Second));
        assert_ne!(ours, theirs);
    });
}

/// One slot is always free, but never the same one: nobody is told that there is none. Whenever a
/// searcher looks at the second slot, the free one may have moved to where it looked before.
pub fn a_free_slot_that_moves_is_not_missed() {
    run_as(false, "a_free_slot_that_moves_is_not_missed", bound(3, 3), 1, |world| {
        world.fill_and_release(2, &[]);
        world.end(1);
        let mover = |w: &World| {
            for from in [0, 1, 0] {
                w.end(from);
                if !w.request_slot(1 - from) {
                    break;
                }
            }
        };
        let (found, ()) = race(world, |w| w.request(First), mover);
        assert_ne!(found, Err(NoSlot::Exhausted), "FALSE EXHAUSTION");
    });
}

/// A segment that another queue takes and cannot link was never gone.
pub fn a_segment_on_its_way_is_not_missed() {
    run("a_segment_on_its_way_is_not_missed", None, 1, |world| {
        assert!(world.queues[Second as usize].close());
        let (found, passed) = race(world, |w| w.request(First), |w| w.request(Second));
        assert_ne!(found, Err(NoSlot::Exhausted), "FALSE EXHAUSTION");
        assert!(passed.is_err(), "a closed queue takes no segment");
        world.queues[Second as usize].begin(1);
    });
}

/// Segments are shed, and taken by another queue, while slots of them are reserved: every slot is
/// in one chain or given back, and has one holder.
pub fn shedding_takes_no_slot_from_a_request() {
    let shed_during_a_request = |world: &Arc<World>| {
        world.fill_and_release(3, &[0, 1, 2]);
        let shed_to_second = |w: &World| {
            w.shed(First, true);
            w.request(Second).ok();
        };
        let _ = race(world, |w| w.request(First), shed_to_second);
    };
    let name = "shedding_takes_no_slot_from_a_request";
    run_as(false, name, bound(2, 2), 2, shed_during_a_request);
    run_as(true, name, bound(1, 2), 2, shed_during_a_request);
}

/// The head is shed while a new head is linked before it.
pub fn shedding_the_head_loses_no_new_head() {
    run("shedding_the_head_loses_no_new_head", bound(3, 4), 3, |world| {
        world.fill_and_release(1, &[0]);
        let request_three = |w: &World| {
            for _ in 0..3 {
                w.request(First).ok();
            }
        };
        race(world, request_three, |w| w.shed(First, true));
    });
}

/// A segment is unlinked from the middle and goes to another queue while the first one is
/// searched: a slot free behind it is found, or the answer is not certain.
pub fn a_chain_that_is_cut_hides_no_slot() {
    run("a_chain_that_is_cut_hides_no_slot", bound(3, 3), 3, |world| {
        world.fill_and_release(6, &[0, 2, 3]);
        let shed_to_second = |w: &World| {
            w.shed(First, false);
            w.request(Second).ok();
        };
        let (found, ()) = race(world, |w| w.request(First), shed_to_second);
        assert_ne!(found, Err(NoSlot::Exhausted), "FALSE EXHAUSTION");
    });
}

/// Who looks for victims along a chain that is being cut claims none of another queue.
pub fn a_search_for_victims_stays_in_its_queue() {
    run("a_search_for_victims_stays_in_its_queue", bound(3, ALL), 2, |world| {
        world.fill_and_release(3, &[2]);
        let shed_to_second = |w: &World| {
            w.shed(First, true);
            w.request(Second).ok();
        };
        race(world, claim_a_victim, shed_to_second);
    });
}

fn claim_a_victim(world: &World) {
    let owner = World::owner(First);
    let sight = Sight { grants: &world.grants, owner, clock: 0, now_ns: 0, spared: None };
    let Some(pick) = world.queues[First as usize].pick(&sight) else { return };
    let claimed = world.grants.claim_victim(pick.slot, pick.word, |v| v.owner == owner);
    if let Some(victim) = claimed {
        assert!(victim.slot < 2, "a victim of another queue");
        world.grants.settle_busy(&victim, 0);
    }
}

/// A request that slept since the last tenant links nothing into the next tenant's queue.
pub fn a_late_request_does_not_reach_the_next_tenant() {
    run("a_late_request_does_not_reach_the_next_tenant", bound(4, ALL), 2, |world| {
        world.queues[Second as usize].begin(9);
        let late = |w: &World| {
            let queue = &w.queues[Second as usize];
            if let Ok(slot) = queue.reserve(&w.grants, Owner::new(1, 9, 2)) {
                w.grants.unreserve(slot);
                queue.note_freed(&w.grants, slot);
            }
        };
        let next = |w: &World| hand_over(w) && w.request(Second).is_ok();
        let (entered, ()) = race(world, next, late);
        assert!(entered || hand_over(world), "nobody is in the way any more");
    });
}

/// Gives the second queue from a tenant of generation 9 to one of generation 1.
fn hand_over(world: &World) -> bool {
    let queue = &world.queues[Second as usize];
    queue.shed(&world.grants, true);
    let closed = queue.close();
    if closed {
        queue.begin(1);
    }
    closed
}

/// Two slots are freed and two wanted, all at once, with the hints in between.
pub fn hints_lose_no_slot() {
    run("hints_lose_no_slot", bound(3, 3), 1, |world| {
        world.fill_and_release(2, &[]);
        let exchange = |slot| {
            move |w: &World| {
                w.release(slot);
                w.request(First).ok()
            }
        };
        let (ours, theirs) = race(world, exchange(0), exchange(1));
        assert!(ours.is_none() || ours != theirs, "SHARED SLOT");
    });
}

/// However requests and releases race, no more grants are counted in than the limit allows.
pub fn a_count_keeps_its_limit() {
    run("a_count_keeps_its_limit", bound(2, 3), 1, |world| {
        let queue = &world.queues[0];
        queue.set_grants_max(Some(1));
        let held = std::sync::Arc::new(std::sync::Mutex::new(0));
        let hold_one = || {
            let held = held.clone();
            move |w: &World| {
                if w.queues[0].count_in(1).is_ok() {
                    *held.lock().unwrap() += 1;
                    assert_eq!(*held.lock().unwrap(), 1, "BEYOND THE LIMIT");
                    w.queues[0].count_decided(1, true);
                    *held.lock().unwrap() -= 1;
                    w.queues[0].count_out();
                }
            }
        };
        let other = start(world, hold_one());
        race(world, hold_one(), hold_one());
        other.join().unwrap();
        assert_eq!(queue.counted(), 0, "LOST COUNT");
    });
}

/// A request that will not be granted is counted for a moment: nobody is refused for it as if the
/// limit were reached.
pub fn an_undecided_count_refuses_nobody() {
    run("an_undecided_count_refuses_nobody", None, 1, |world| {
        world.queues[0].set_grants_max(Some(2));
        let undecided = |w: &World| {
            if w.queues[0].count_in(2).is_ok() {
                w.queues[0].count_decided(2, false);
            }
        };
        let granted = |w: &World| match w.queues[0].count_in(1) {
            Ok(()) => w.queues[0].count_decided(1, true),
            Err(refused) => assert_eq!(refused, None, "FALSE REFUSAL"),
        };
        race(world, granted, undecided);
        assert!(world.queues[0].counted() <= 1);
    });
}

/// A refusal by the count is true: so many grants were held at that moment.
pub fn a_refusal_by_the_count_is_true() {
    run("a_refusal_by_the_count_is_true", None, 1, |world| {
        let queue = &world.queues[0];
        queue.set_grants_max(Some(2));
        for _ in 0..2 {
            queue.count_in(1).unwrap();
            queue.count_decided(1, true);
        }
        let come_and_go = |w: &World| {
            w.queues[0].count_out();
            if w.queues[0].count_in(1).is_ok() {
                w.queues[0].count_decided(1, false);
            }
        };
        let come = |w: &World| match w.queues[0].count_in(1) {
            Ok(()) => {
                w.queues[0].count_decided(1, true);
                1
            }
            Err(refused) => {
                assert!(matches!(refused, None | Some(2)), "{refused:?}");
                0
            }
        };
        let (came, ()) = race(world, come, come_and_go);
        assert_eq!(queue.counted(), 1 + came, "LOST COUNT");
    });
}
