//! The queues against plain maps: which slot is found, who is picked, what is linked and shed.

use allotment::Policy;
use allotment::internals::backlog::Source;
use allotment::internals::grants::{Fields, Grants, SLOTS, flag};
use allotment::internals::past::HINTS;
use allotment::internals::policy::Recency;
use allotment::internals::queue::{NoSlot, Queue, Sight};
use allotment::internals::word::Owner;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// So few that every queue is scanned whole for a victim.
const SEGMENTS: u32 = 4;
const QUEUES: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Step {
    Request(usize, u32),
    /// Ends the grant that is the n-th of the queue's; whether the slot is noted as freed.
    Release(usize, usize, bool),
    Touch(usize, usize),
    Pick(usize, u64),
    /// Gives free segments back; all of them, or all but the first.
    Shed(usize, bool),
}

fn step() -> impl Strategy<Value = Step> {
    let queue = || 0..QUEUES;
    prop_oneof![
        8 => (queue(), 0..32u32).prop_map(|(q, f)| Step::Request(q, f)),
        6 => (queue(), 0..64usize, any::<bool>()).prop_map(|(q, n, h)| Step::Release(q, n, h)),
        2 => (queue(), 0..64usize).prop_map(|(q, n)| Step::Touch(q, n)),
        2 => (queue(), 0..3u64).prop_map(|(q, n)| Step::Pick(q, n)),
        1 => (queue(), any::<bool>()).prop_map(|(q, all)| Step::Shed(q, all)),
    ]
}

#[derive(Clone, Copy, Debug)]
struct Grant {
    generation: u32,
    touched: u32,
    fields: Fields,
}

struct Oracle {
    grants: Grants,
    queues: [Queue; QUEUES],
    live: [BTreeMap<u32, Grant>; QUEUES],
    clock: u32,
    published: [u64; QUEUES],
    shed: [u64; QUEUES],
}

fn owner(queue: usize) -> Owner {
    Owner::new(queue as u32 + 1, 1, 2)
}

impl Oracle {
    fn new() -> Self {
        let queues: [Queue; QUEUES] = std::array::from_fn(|_| Queue::empty());
        for queue in &queues {
            queue.begin(1);
            queue.set_policy(Policy::Lru);
        }
        Self {
            grants: Grants::new(SEGMENTS),
            queues,
            live: Default::default(),
            clock: 0,
            published: [0; QUEUES],
            shed: [0; QUEUES],
        }
    }

    fn chain(&self, queue: usize) -> Vec<u32> {
        self.queues[queue].chain(&self.grants, owner(queue)).collect()
    }

    fn request(&mut self, queue: usize, bits: u32) {
        let chain = self.chain(queue);
        let linked: usize = (0..QUEUES).map(|q| self.chain(q).len()).sum();
        let has_room = self.live[queue].len() < chain.len() * SLOTS as usize;
        let reserved = self.queues[queue].reserve(&self.grants, owner(queue));
        let slot = match reserved {
            Ok(slot) => slot,
            Err(none) => {
                assert_eq!(none, NoSlot::Exhausted, "nobody else is here");
                assert!(!has_room && linked as u32 == SEGMENTS);
                return;
            }
        };
        if has_room {
            assert!(chain.contains(&(slot / SLOTS)), "a segment was taken without need");
        }
        self.clock += 1;
        // Flags, a time of expiry and a time to keep, from a few bits.
        let flags = [0, flag::PINNED, flag::FIXED, flag::UNCOMMITTED][bits as usize % 4];
        let [expires_ns, keep_until_ns] = [bits / 4 % 2, bits / 8 % 4].map(u64::from);
        let fields = Fields { flags, expires_ns, keep_until_ns, ..Fields::default() };
        let recency = Recency::new(self.clock, 0, 0).0;
        let generation = self.grants.publish(slot, 1, recency, &fields);
        let grant = Grant { generation, touched: self.clock, fields };
        assert!(self.live[queue].insert(slot, grant).is_none(), "the slot is somebody's");
        self.published[queue] += 1;
    }

    fn nth(&self, queue: usize, n: usize) -> Option<u32> {
        let live = &self.live[queue];
        live.keys().nth(n % live.len().max(1)).copied()
    }

    fn release(&mut self, queue: usize, n: usize, noted: bool) {
        let Some(slot) = self.nth(queue, n) else { return };
        let grant = self.live[queue].remove(&slot).unwrap();
        let held = self.grants.hold_to_end(slot, grant.generation, owner(queue)).unwrap();
        self.grants.end(held);
        if noted {
            self.queues[queue].note_freed(&self.grants, slot);
        }
    }

    fn touch(&mut self, queue: usize, n: usize) {
        let Some(slot) = self.nth(queue, n) else { return };
        self.clock += 1;
        self.live[queue].get_mut(&slot).unwrap().touched = self.clock;
        self.grants.set_recency(slot, Recency::new(self.clock, 0, 0).0);
    }

    fn pick(&self, queue: usize, now_ns: u64) {
        let (grants, clock) = (&self.grants, self.clock);
        let sight = Sight { grants, owner: owner(queue), clock, now_ns, spared: None };
        let may_go = self.live[queue].iter().filter(|(_, g)| g.fields.is_evictable(now_ns));
        // Expired ones first, then the longest untouched; no two were touched at one time.
        let order = |g: &Grant| (!g.fields.is_expired(now_ns), g.touched);
        let mut expected: Vec<_> = may_go.map(|(&slot, g)| (order(g), slot)).collect();
        expected.sort_unstable();
        let picked = self.queues[queue].pick(&sight).map(|pick| pick.slot);
        assert_eq!(picked, expected.first().map(|&(_, slot)| slot));
        let mut all: Vec<u32> =
            self.queues[queue].candidates(&sight).iter().map(|p| p.slot).collect();
        all.sort_unstable();
        let mut slots: Vec<u32> = expected.iter().map(|&(_, slot)| slot).collect();
        slots.sort_unstable();
        assert_eq!(all, slots);
    }

    fn shed(&mut self, queue: usize, all: bool) {
        let chain = self.chain(queue);
        let used = |s: &u32| self.live[queue].range(s * SLOTS..(s + 1) * SLOTS).next().is_some();
        let first = if all { None } else { chain.first().copied() };
        let kept = |s: &&u32| used(s) || first == Some(**s);
        let expected: Vec<u32> = chain.iter().filter(kept).copied().collect();
        let (granted, left) = self.queues[queue].shed(&self.grants, all);
        self.shed[queue] += granted;
        assert_eq!(self.chain(queue), expected);
        assert_eq!(left, !expected.is_empty());
        assert_eq!(self.queues[queue].close(), expected.is_empty());
        if expected.is_empty() {
            let closed = self.queues[queue].reserve(&self.grants, owner(queue));
            assert!(closed.is_err(), "a closed queue links nothing");
            self.queues[queue].begin(1);
        }
    }

    fn check(&self) {
        for queue in 0..QUEUES {
            let chain = self.chain(queue);
            assert_eq!(chain.len() as u32, self.queues[queue].segments());
            let granted: u64 = chain.iter().map(|&s| self.grants.segment(s).granted()).sum();
            assert_eq!(granted + self.shed[queue], self.published[queue]);
            for (&slot, grant) in &self.live[queue] {
                assert!(chain.contains(&(slot / SLOTS)));
                assert!(self.grants.is_live(slot, grant.generation, owner(queue)));
            }
        }
    }
}

proptest! {
    #[test]
    fn agree_with_plain_maps(steps in prop::collection::vec(step(), 0..400)) {
        let mut oracle = Oracle::new();
        for step in steps {
            match step {
                Step::Request(queue, bits) => oracle.request(queue, bits),
                Step::Release(queue, n, noted) => oracle.release(queue, n, noted),
                Step::Touch(queue, n) => oracle.touch(queue, n),
                Step::Pick(queue, now_ns) => oracle.pick(queue, now_ns),
                Step::Shed(queue, all) => oracle.shed(queue, all),
            }
            oracle.check();
        }
    }

    /// A queue larger than the window: never a grant that may not go, never nothing if one may.
    #[test]
    fn a_large_queue_finds_the_one_that_may_go(alone in 0..2_000u32, picks in 1..5usize) {
        let (grants, queue) = (Grants::new(128), Queue::empty());
        queue.begin(1);
        queue.set_policy(Policy::Lru);
        let pinned = Fields { flags: flag::PINNED, ..Fields::default() };
        let mut slots = Vec::new();
        for n in 0..2_000 {
            let slot = queue.reserve(&grants, owner(0)).unwrap();
            let fields = if n == alone { Fields::default() } else { pinned };
            grants.publish(slot, 1, Recency::new(n, 0, 0).0, &fields);
            slots.push(slot);
        }
        let owner = owner(0);
        let sight = Sight { grants: &grants, owner, clock: 2_000, now_ns: 0, spared: None };
        for _ in 0..picks {
            let pick = queue.pick(&sight).expect("one may go");
            assert_eq!(pick.slot, slots[alone as usize]);
        }
    }

    #[test]
    fn counts_agree_with_a_number(
        steps in prop::collection::vec((0..5u8, 1..4u32), 0..100),
        max in prop::option::of(0..6u32),
    ) {
        let queue = Queue::empty();
        queue.set_grants_max(max);
        assert_eq!(queue.grants_max(), max);
        let (mut count, mut undecided) = (0u64, Vec::new());
        for (what, n) in steps {
            match what {
                0 | 1 => {
                    let after = count + u64::from(n);
                    let fits = max.is_none_or(|max| after <= u64::from(max));
                    let certain = undecided.is_empty().then_some(count);
                    assert_eq!(queue.count_in(n), if fits { Ok(()) } else { Err(certain) });
                    if fits {
                        count = after;
                        undecided.push(n);
                    }
                }
                2 | 3 => {
                    if let Some(n) = undecided.pop() {
                        queue.count_decided(n, what == 2);
                        count -= if what == 2 { 0 } else { u64::from(n) };
                    }
                }
                _ => {
                    let open: u64 = undecided.iter().copied().map(u64::from).sum();
                    if count > open {
                        queue.count_out();
                        count -= 1;
                    }
                }
            }
            assert_eq!(queue.counted(), count);
        }
    }
}

/// A queue that is emptied and filled again and again keeps its size: what is free is found before
/// a segment is taken.
#[test]
fn a_queue_does_not_grow_with_its_age() {
    let (grants, queue) = (Grants::new(64), Queue::empty());
    queue.begin(1);
    let request = |_| {
        let slot = queue.reserve(&grants, owner(0)).unwrap();
        (slot, grants.publish(slot, 1, 0, &Fields::default()))
    };
    for _ in 0..200 {
        let held: Vec<(u32, u32)> = (0..100).map(request).collect();
        for (slot, generation) in held {
            let held = grants.hold_to_end(slot, generation, owner(0)).unwrap();
            grants.end(held);
            queue.note_freed(&grants, slot);
        }
    }
    assert_eq!(queue.segments(), 100u32.div_ceil(SLOTS));
}

/// The slot freed longest ago goes first, so that the id of a grant that was evicted a moment ago
/// still says so.
#[test]
fn freed_slots_are_taken_in_the_order_in_which_they_were_freed() {
    let (grants, queue) = (Grants::new(64), Queue::empty());
    queue.begin(1);
    let reserve = || queue.reserve(&grants, owner(0)).unwrap();
    let slots: Vec<u32> = (0..3 * HINTS).map(|_| reserve()).collect();
    for freed in slots.chunks(HINTS) {
        for &slot in freed {
            grants.unreserve(slot);
            queue.note_freed(&grants, slot);
        }
        let taken: Vec<u32> = freed.iter().map(|_| reserve()).collect();
        assert_eq!(taken, freed);
    }
}

/// What its owner has released last is taken next, whose lines are near; then those before it, the
/// first of them first; and what nobody had yet comes last.
#[test]
fn released_slots_are_taken_before_others() {
    let (grants, queue) = (Grants::new(64), Queue::empty());
    queue.begin(1);
    let reserve = || queue.reserve(&grants, owner(0)).unwrap();
    let slots: Vec<u32> = (0..10).map(|_| reserve()).collect();
    let released = [7, 3, 5, 9, 0].map(|at| slots[at]);
    for slot in released {
        grants.unreserve(slot);
        queue.note_released(&grants, slot);
    }
    let [first, second, third, fourth, last] = released;
    assert_eq!([(); 5].map(|()| reserve()), [last, first, second, third, fourth]);
    assert!(!slots.contains(&reserve()));
}

/// Whoever has the first segments, the hand finds those of its own queue.
#[test]
fn a_large_queue_is_told_by_its_owner() {
    let grants = Grants::new(64);
    let queues = [(); 2].map(|()| Queue::empty());
    queues.iter().for_each(|queue| queue.begin(1));
    for (of, count) in [(1, 3 * SLOTS), (0, LARGE), (1, LARGE)] {
        for n in 0..count {
            let slot = queues[of].reserve(&grants, owner(of)).unwrap();
            grants.publish(slot, 1, Recency::new(n, 1, 1).0, &Fields::default());
        }
    }
    for (of, queue) in queues.iter().enumerate() {
        let sight =
            Sight { grants: &grants, owner: owner(of), clock: LARGE, now_ns: 0, spared: None };
        let pick = queue.pick(&sight).expect("all may go");
        assert_eq!(grants.owner(pick.slot), owner(of));
        assert_eq!(Recency(grants.recency(pick.slot)).last_touch(), 0, "the oldest");
    }
}

/// More than are scanned whole, and no more than the hand shows at once when it begins.
const LARGE: u32 = 200;

/// The n-th grant of a large queue, last touched at n: every policy has another order of them.
fn nth_of_many(n: u32) -> (u64, Recency, Fields) {
    let (bytes, frequency, expires) = (1 + n * 37 % LARGE, 1 + n * 61 % LARGE, n * 83 % LARGE);
    let fields = Fields { expires_ns: u64::from(1 + expires) << 30, ..Fields::default() };
    (bytes.into(), Recency::new(n, 1, frequency), fields)
}

/// Where a policy puts the n-th, by its name.
fn place_by(policy: Policy, n: u32) -> u64 {
    let (bytes, recency, fields) = nth_of_many(n);
    match policy {
        Policy::Lru => n.into(),
        Policy::Lfu => recency.frequency().into(),
        Policy::Ttl => fields.expires_ns,
        Policy::Size => u64::MAX - bytes,
        Policy::Hybrid => unreachable!("its order has no name"),
    }
}

/// A queue of the first owner's with [`LARGE`] grants; their slots and generations.
fn large_queue() -> (Grants, Queue, Vec<(u32, u32)>) {
    let (grants, queue) = (Grants::new(32), Queue::empty());
    queue.begin(1);
    let publish = |n| {
        let slot = queue.reserve(&grants, owner(0)).unwrap();
        let (bytes, recency, fields) = nth_of_many(n);
        (slot, grants.publish(slot, bytes, recency.0, &fields))
    };
    let held = (0..LARGE).map(publish).collect();
    (grants, queue, held)
}

/// What is known of the order by one policy is of no use to the next.
#[test]
fn a_large_queue_goes_by_its_policy_also_after_a_change() {
    let (grants, queue, held) = large_queue();
    let sight = Sight { grants: &grants, owner: owner(0), clock: LARGE, now_ns: 0, spared: None };
    let mut live: Vec<u32> = (0..LARGE).collect();
    for policy in [Policy::Size, Policy::Lfu, Policy::Ttl, Policy::Lru, Policy::Size] {
        queue.set_policy(policy);
        for turn in 0..5 {
            let first = live.iter().copied().min_by_key(|&n| place_by(policy, n)).unwrap();
            let (slot, generation) = held[first as usize];
            let picked = queue.pick(&sight).map(|pick| pick.slot);
            assert_eq!(picked, Some(slot), "{policy:?}, turn {turn}");
            grants.end(grants.hold_to_end(slot, generation, owner(0)).unwrap());
            live.retain(|&n| n != first);
        }
    }
}

#[test]
fn in_a_large_queue_what_has_expired_goes_first_whatever_the_policy() {
    for policy in [Policy::Lru, Policy::Lfu, Policy::Ttl, Policy::Size, Policy::Hybrid] {
        let (grants, queue, held) = large_queue();
        queue.set_policy(policy);
        let expired = (0..LARGE).find(|&n| nth_of_many(n).2.is_expired(1 << 30)).unwrap();
        let sight =
            Sight { grants: &grants, owner: owner(0), clock: LARGE, now_ns: 1 << 30, spared: None };
        let picked = queue.pick(&sight).map(|pick| pick.slot);
        assert_eq!(picked, Some(held[expired as usize].0), "{policy:?}");
    }
}

/// While another thread is at what is known of the order, the hand looks for itself.
#[test]
fn a_large_queue_finds_a_victim_while_its_backlog_is_held() {
    let (grants, queue, held) = large_queue();
    queue.set_policy(Policy::Lru);
    let pinned = Fields { flags: flag::PINNED, ..Fields::default() };
    let last = LARGE - 1;
    for &(slot, generation) in &held[..last as usize] {
        let held = grants.hold(slot, generation, owner(0)).unwrap();
        grants.let_go_with(held, &pinned);
    }
    let segments = queue.segments();
    let of = Source { owner: owner(0).0, segments, policy: 0, clock: LARGE, fades: false };
    let at_it = grants.backlogs.hold(&of, || true).expect("nobody is at it");
    let sight = Sight { grants: &grants, owner: owner(0), clock: LARGE, now_ns: 0, spared: None };
    let picked = queue.pick(&sight).map(|pick| pick.slot);
    assert_eq!(picked, Some(held[last as usize].0), "the only one that may go");
    assert!(at_it.is_empty(), "and nothing was put into the backlog");
}

/// The middle one of three segments goes to another queue while they are visited.
#[test]
fn a_walk_tells_whether_the_chain_was_cut() {
    let (grants, [one, two]) = (Grants::new(SEGMENTS), [Queue::empty(), Queue::empty()]);
    [&one, &two].iter().for_each(|queue| queue.begin(1));
    for _ in 0..3 * SLOTS {
        one.reserve(&grants, owner(0)).unwrap();
    }
    (SLOTS..2 * SLOTS).for_each(|slot| grants.unreserve(slot));
    let mut seen = Vec::new();
    assert!(one.walk(&grants, owner(0), |index| seen.push(index)));
    assert_eq!(std::mem::take(&mut seen), [2, 1, 0]);
    let whole = one.walk(&grants, owner(0), |index| {
        if index == 2 {
            one.shed(&grants, true);
            two.reserve(&grants, owner(1)).unwrap();
        }
        seen.push(index);
    });
    assert!(!whole, "{seen:?} was not all");
    assert!(one.walk(&grants, owner(0), |_| ()), "nothing was unlinked this time");
}
