//! What administration ends without asking owners, by the core: also where another thread is at the
//! grant, at which these functions say that it has to be tried again.

use allotment::internals::account::{LEVELS, ROOT, Settings};
use allotment::internals::admission::{Ask, Granted};
use allotment::internals::events::{Nobody, Recorded};
use allotment::internals::evict::{Owners, ReclaimAnswer};
use allotment::internals::grants::{Fields, Refused, Victim, flag};
use allotment::internals::order::{CACHE, Goal, Order, Shortage};
use allotment::internals::word::{Owner, State};
use allotment::internals::{Core, Sizes};

const TENANT: u32 = 1;
const BYTES: u64 = 5;

fn owner() -> Owner {
    Owner::new(TENANT, 1, CACHE)
}

/// A core with one tenant and one grant.
fn one_grant() -> (Core, Granted) {
    let core = Core::new(&Sizes {
        capacity_bytes: 100,
        groups_max: 0,
        tenants_max: 1,
        grants_max: 64,
        ghost_keys_max: 0,
        quantum_bytes: 0,
        events: Recorded::default(),
        waiters_max: 0,
        patience_ns: 0,
    });
    let settings = Settings { limits: [100; LEVELS], ..Settings::default() };
    let generation = core.accounts.open(TENANT, ROOT, &settings).unwrap();
    core.begin(TENANT, 1, generation);
    let granted = core.admit(&ask(), &Nobody).unwrap();
    (core, granted)
}

fn ask() -> Ask {
    let (fields, kind) = (Fields::default(), CACHE);
    let (account, generation, bytes) = (TENANT, 1, BYTES);
    Ask { account, generation, kind, bytes, fields, cost: 1, now_ns: 0, paced: true }
}

/// What the tenant has in use, by its account and by this slot.
fn in_use(core: &Core, slot: u32) -> (u64, u64) {
    (core.accounts.used(TENANT), core.grants.word(slot).bytes())
}

/// Owners who will release what they are asked for.
struct Promising;

impl Owners for Promising {
    fn reclaim(&self, _: &Victim) -> Option<ReclaimAnswer> {
        Some(ReclaimAnswer::Deferred)
    }
    fn hand_out(&self, _: &Victim) {}
    fn note_promise(&self, _: &Victim) {}
    fn note_end(&self, _: &Victim) {}
}

/// Its owner has promised to release the grant.
fn defer(core: &Core) {
    let (account, goal, requester, types) = (ROOT, Goal::Bytes(BYTES), None, 1 << CACHE);
    let (order, victims_max, now_ns, keep_until_ns) = (Order::TypeFirst, 1, 0, 0);
    let shortage =
        Shortage { account, goal, requester, types, order, victims_max, now_ns, keep_until_ns };
    let relief = core.make_room(&shortage, &Promising);
    assert_eq!((relief.promised, relief.deferred), (1, BYTES));
}

#[test]
fn another_owners_grant_is_left_alone() {
    let (core, (slot, generation)) = one_grant();
    for other in [Owner::new(TENANT, 2, CACHE), Owner::new(TENANT, 1, CACHE + 1)] {
        assert!(core.end_by_force(slot, other, &Nobody), "there is nothing to do");
        assert_eq!(core.end_late((slot, generation), other, &Nobody), Some(false));
    }
    assert_eq!(core.end_late((slot, generation + 1), owner(), &Nobody), Some(false));
    assert_eq!(in_use(&core, slot), (BYTES, BYTES));
}

#[test]
fn who_changes_a_grant_is_not_overtaken() {
    let (core, (slot, generation)) = one_grant();
    let held = core.grants.hold(slot, generation, owner()).unwrap();
    assert!(!core.end_by_force(slot, owner(), &Nobody), "again later");
    assert_eq!(core.end_late((slot, generation), owner(), &Nobody), None, "again later");
    assert!(!core.count_existing(slot, owner()), "again later");
    core.grants.let_go(held, BYTES);
    assert_eq!(in_use(&core, slot), (BYTES, BYTES));
    assert!(core.end_by_force(slot, owner(), &Nobody));
    assert_eq!(in_use(&core, slot), (0, 0));
    assert_eq!(core.end_late((slot, generation), owner(), &Nobody), Some(false), "it has ended");
}

#[test]
fn a_slot_that_is_being_filled_is_waited_for() {
    let (core, _) = one_grant();
    let queue = &core.tenant(TENANT).queues[usize::from(CACHE)];
    let slot = queue.reserve(&core.grants, owner()).unwrap();
    assert_eq!(core.grants.word(slot).state(), State::Reserved);
    assert!(!core.end_by_force(slot, owner(), &Nobody), "a grant may be about to be there");
    assert!(!core.count_existing(slot, owner()));
    core.grants.unreserve(slot);
    assert!(core.end_by_force(slot, owner(), &Nobody) && core.count_existing(slot, owner()));
    assert_eq!((core.accounts.used(TENANT), queue.counted()), (BYTES, 0));
}

/// It may be the caller who is just being asked: it is told later that the grant was evicted.
#[test]
fn who_is_asked_for_a_grant_is_not_waited_for() {
    let (core, (slot, generation)) = one_grant();
    let word = core.grants.word(slot);
    let victim = core.grants.claim_victim(slot, word, |_| true).unwrap();
    assert_eq!(core.grants.word(slot).state(), State::Evicting);
    assert!(!core.count_existing(slot, owner()), "its evictor has read the fields");
    assert!(core.end_by_force(slot, owner(), &Nobody));
    assert_eq!(in_use(&core, slot).0, 0);
    let again = core.release(slot, generation, owner(), &Nobody);
    assert_eq!(again, Err(Refused::Stale), "until the evictor has the answer");
    core.grants.settle_freed(&victim);
    assert_eq!(core.release(slot, generation, owner(), &Nobody), Err(Refused::Evicted));
}

#[test]
fn a_promised_grant_that_was_freed_late_ends_once() {
    let (core, (slot, generation)) = one_grant();
    defer(&core);
    assert_eq!(core.grants.word(slot).state(), State::Deferred);
    assert_eq!(core.freeing(ROOT).bytes(), BYTES);
    let end = || core.end_late((slot, generation), owner(), &Nobody);
    assert_eq!((end(), end()), (Some(true), Some(false)));
    assert_eq!((in_use(&core, slot), core.freeing(ROOT).bytes()), ((0, 0), 0));
}

#[test]
fn a_promised_grant_is_counted_like_any_other() {
    let (core, (slot, _)) = one_grant();
    defer(&core);
    assert!(core.count_existing(slot, owner()) && core.count_existing(slot, owner()));
    let queue = &core.tenant(TENANT).queues[usize::from(CACHE)];
    assert_eq!((queue.counted(), core.grants.flags(slot) & flag::COUNTED), (1, flag::COUNTED));
    assert!(core.end_by_force(slot, owner(), &Nobody));
    assert_eq!((queue.counted(), in_use(&core, slot)), (0, (0, 0)));
}
