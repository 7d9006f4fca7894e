//! The slots against a plain map: random lives of grants on one thread, every answer compared.

use allotment::internals::grants::{
    Ended, Fields, Grants, Held, NoSegment, Refused, SLOTS, Settled, Victim, flag,
};
use allotment::internals::word::{GRANT_BYTES_MAX, Owner, State};
use proptest::prelude::*;
use std::collections::BTreeMap;

const SEGMENTS: u32 = 3;

fn owner(number: u32) -> Owner {
    Owner::new(number, 1, 2)
}

/// What a slot is, as simple as can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Slot {
    state: Option<Life>,
    generation: u32,
    bytes: u64,
    fields: Fields,
    /// How the last grant ended.
    evicted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Reserved,
    Live,
    Held,
    Evicting,
    /// Released by its owner while it was being evicted.
    Gone,
    Deferred(u32),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Reserve(u32, u32),
    Unreserve(u32),
    Publish(u32, u64, u32),
    /// Release of a generation this far from the slot's, by this owner.
    Release(u32, u32, u32),
    Resize(u32, u32, u64),
    SetFlags(u32, u32, u32),
    /// Holds a grant until the next step on any held slot.
    Hold(u32),
    LetGo(u32),
    Evict(u32, u64),
    Settle(u32, u8),
    Decline(u32, u32),
    Take(u32),
    Retire(u32),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let slot = || 0..SEGMENTS * SLOTS;
    // Few slots, so that they meet; now and then any.
    let slot = move || prop_oneof![6 => 0..3u32, 1 => slot()];
    let back = || prop_oneof![6 => Just(0u32), 1 => 1..3u32];
    let who = || prop_oneof![8 => Just(1u32), 1 => 2..4u32];
    prop_oneof![
        6 => (slot(), who()).prop_map(|(s, o)| Reserve(s, o)),
        1 => slot().prop_map(Unreserve),
        6 => (slot(), 1..GRANT_BYTES_MAX, 0..16u32).prop_map(|(s, b, f)| Publish(s, b, f)),
        4 => (slot(), back(), who()).prop_map(|(s, b, o)| Release(s, b, o)),
        2 => (slot(), back(), 1..GRANT_BYTES_MAX).prop_map(|(s, b, n)| Resize(s, b, n)),
        2 => (slot(), back(), 0..16u32).prop_map(|(s, b, f)| SetFlags(s, b, f)),
        1 => slot().prop_map(Hold),
        2 => slot().prop_map(LetGo),
        4 => (slot(), 0..9u64).prop_map(|(s, n)| Evict(s, n)),
        4 => (slot(), 0..3u8).prop_map(|(s, a)| Settle(s, a)),
        2 => (slot(), back()).prop_map(|(s, b)| Decline(s, b)),
        1 => who().prop_map(Take),
        1 => (0..SEGMENTS).prop_map(Retire),
    ]
}

struct Oracle {
    grants: Grants,
    slots: BTreeMap<u32, Slot>,
    owners: [Option<u32>; SEGMENTS as usize],
    held: BTreeMap<u32, Held>,
    victims: BTreeMap<u32, Victim>,
    /// Grants published in each segment since it came to its owner.
    granted: [u64; SEGMENTS as usize],
}

impl Oracle {
    fn new() -> Self {
        let grants = Grants::new(SEGMENTS);
        let mut oracle = Self {
            grants,
            slots: BTreeMap::new(),
            owners: [None; SEGMENTS as usize],
            held: BTreeMap::new(),
            victims: BTreeMap::new(),
            granted: [0; SEGMENTS as usize],
        };
        oracle.take(1);
        oracle
    }

    fn slot(&mut self, slot: u32) -> &mut Slot {
        self.slots.entry(slot).or_default()
    }

    fn owner_of(&self, slot: u32) -> Option<u32> {
        self.owners[(slot / SLOTS) as usize]
    }

    /// A generation that many before the slot's, and whether it is the slot's own.
    fn id(&mut self, slot: u32, back: u32) -> (u32, bool) {
        let generation = self.slot(slot).generation;
        (generation.saturating_sub(back), back == 0 || generation == 0)
    }

    fn take(&mut self, who: u32) {
        let free = (0..SEGMENTS).any(|s| self.owners[s as usize].is_none());
        match self.grants.take_segment(owner(who)) {
            Ok(index) => {
                assert_eq!(self.owners[index as usize], None, "a segment that was free");
                let kept = self.grants.keep_segment(index);
                assert_eq!(kept, index * SLOTS);
                self.owners[index as usize] = Some(who);
                self.granted[index as usize] = 0;
                self.slot(kept).state = Some(Life::Reserved);
            }
            Err(none) => {
                assert_eq!(none, NoSegment::Exhausted, "nothing is on its way");
                assert!(!free);
            }
        }
    }

    fn retire(&mut self, index: u32) {
        let Some(_) = self.owners[index as usize] else { return };
        let slots = index * SLOTS..(index + 1) * SLOTS;
        let free = slots.clone().all(|slot| self.slot(slot).state.is_none());
        let retired = self.grants.retire_segment(index);
        assert_eq!(retired, free.then_some(self.granted[index as usize]));
        if free {
            self.grants.recycle_segment(index);
            self.owners[index as usize] = None;
        }
    }

    fn reserve(&mut self, slot: u32, who: u32) {
        let expected = self.owner_of(slot) == Some(who) && self.slot(slot).state.is_none();
        assert_eq!(self.grants.reserve(slot, owner(who)), expected);
        if expected {
            self.slot(slot).state = Some(Life::Reserved);
        }
    }

    fn publish(&mut self, slot: u32, bytes: u64, flags: u32) {
        if self.slot(slot).state != Some(Life::Reserved) {
            return;
        }
        let fields = Fields { key: bytes, cookie: u64::from(slot), flags, ..Fields::default() };
        let generation = self.grants.publish(slot, bytes, 7, &fields);
        self.granted[(slot / SLOTS) as usize] += 1;
        let expected = self.slot(slot).generation + 1;
        assert_eq!(generation, expected);
        let state = Some(Life::Live);
        *self.slot(slot) = Slot { state, generation, bytes, fields, evicted: false };
    }

    /// How holding this grant must be refused, if it must.
    fn refusal(&mut self, slot: u32, same: bool, who: u32, to_end: bool) -> Option<Refused> {
        let owned = self.owner_of(slot) == Some(who);
        let at = *self.slot(slot);
        if !same || !owned {
            return Some(Refused::Stale);
        }
        match at.state {
            Some(Life::Live) => None,
            Some(Life::Evicting | Life::Deferred(_)) if to_end => None,
            Some(Life::Evicting | Life::Deferred(_)) => Some(Refused::Evicted),
            Some(Life::Held) => Some(Refused::Busy),
            None if at.evicted => Some(Refused::Evicted),
            None | Some(Life::Reserved | Life::Gone) => Some(Refused::Stale),
        }
    }

    fn hold(&mut self, slot: u32, back: u32, who: u32, to_end: bool) -> Option<Held> {
        let (generation, same) = self.id(slot, back);
        let refused = self.refusal(slot, same, who, to_end);
        let held = match to_end {
            true => self.grants.hold_to_end(slot, generation, owner(who)),
            false => self.grants.hold(slot, generation, owner(who)),
        };
        assert_eq!(held.err(), refused);
        held.ok()
    }

    fn release(&mut self, slot: u32, back: u32, who: u32) {
        let Some(held) = self.hold(slot, back, who, true) else { return };
        let at = self.slot(slot);
        assert_eq!(held.word.bytes(), at.bytes);
        let (expected, left) = match at.state {
            Some(Life::Evicting) => (Ended::WhileEvicting, Some(Life::Gone)),
            Some(Life::Deferred(evictor)) => (Ended::Deferred { evictor }, None),
            _ => (Ended::Free, None),
        };
        at.state = left;
        assert_eq!(self.grants.end(held), expected);
    }

    fn resize(&mut self, slot: u32, back: u32, bytes: u64) {
        if let Some(held) = self.hold(slot, back, 1, false) {
            self.grants.let_go(held, bytes);
            self.slot(slot).bytes = bytes;
        }
    }

    fn set_flags(&mut self, slot: u32, back: u32, flags: u32) {
        if let Some(held) = self.hold(slot, back, 1, false) {
            let fields = Fields { flags, ..self.grants.fields(slot) };
            self.grants.let_go_with(held, &fields);
            self.slot(slot).fields = fields;
        }
    }

    fn hold_on(&mut self, slot: u32) {
        if let Some(held) = self.hold(slot, 0, 1, false) {
            self.held.insert(slot, held);
            self.slot(slot).state = Some(Life::Held);
        }
    }

    fn let_go(&mut self, slot: u32) {
        if let Some(held) = self.held.remove(&slot) {
            self.grants.let_go(held, held.word.bytes());
            self.slot(slot).state = Some(Life::Live);
        }
    }

    fn evict(&mut self, slot: u32, now_ns: u64) {
        let at = *self.slot(slot);
        let may_go = at.fields.is_evictable(now_ns);
        let word = self.grants.word(slot);
        assert_eq!(word.state() == State::Live, at.state == Some(Life::Live));
        let mut asked = false;
        let claimed = self.grants.claim_victim(slot, word, |victim| {
            asked = true;
            assert_eq!((victim.generation, victim.bytes), (at.generation, at.bytes));
            assert_eq!(victim.fields, at.fields);
            victim.fields.is_evictable(now_ns)
        });
        assert_eq!(asked, at.state == Some(Life::Live));
        assert_eq!(claimed.is_some(), asked && may_go);
        if let Some(victim) = claimed {
            assert_eq!(Some(victim.owner), self.owner_of(slot).map(owner));
            self.victims.insert(slot, victim);
            self.slot(slot).state = Some(Life::Evicting);
        }
    }

    fn settle(&mut self, slot: u32, answer: u8) {
        let Some(victim) = self.victims.remove(&slot) else { return };
        let gone = self.slot(slot).state == Some(Life::Gone);
        let settled = match answer {
            0 => self.grants.settle_freed(&victim),
            1 => self.grants.settle_busy(&victim, 5),
            _ => self.grants.settle_deferred(&victim, 40 + slot),
        };
        let at = self.slot(slot);
        let expected = match answer {
            _ if gone => Settled::ReleasedByOwner,
            0 => Settled::Ended,
            _ => Settled::Kept,
        };
        assert_eq!(settled, expected);
        at.state = match answer {
            _ if gone => None,
            0 => None,
            1 => Some(Life::Live),
            _ => Some(Life::Deferred(40 + slot)),
        };
        at.evicted = settled == Settled::Ended;
        if settled == Settled::Kept && answer == 1 {
            at.fields.keep_until_ns = at.fields.keep_until_ns.max(5);
        }
    }

    fn decline(&mut self, slot: u32, back: u32) {
        let Some(held) = self.hold(slot, back, 1, true) else { return };
        let expected = match self.slot(slot).state {
            Some(Life::Deferred(evictor)) => Ok(evictor),
            Some(Life::Evicting) => Err(Refused::Busy),
            _ => Err(Refused::Stale),
        };
        assert_eq!(self.grants.keep_deferred(held, 6), expected);
        if expected.is_ok() {
            let at = self.slot(slot);
            at.state = Some(Life::Live);
            at.fields.keep_until_ns = at.fields.keep_until_ns.max(6);
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Reserve(slot, who) => self.reserve(slot, who),
            Step::Unreserve(slot) if self.slot(slot).state == Some(Life::Reserved) => {
                self.grants.unreserve(slot);
                self.slot(slot).state = None;
            }
            Step::Unreserve(_) => {}
            Step::Publish(slot, bytes, flags) => self.publish(slot, bytes, flags),
            Step::Release(slot, back, who) => self.release(slot, back, who),
            Step::Resize(slot, back, bytes) => self.resize(slot, back, bytes),
            Step::SetFlags(slot, back, flags) => self.set_flags(slot, back, flags),
            Step::Hold(slot) => self.hold_on(slot),
            Step::LetGo(slot) => self.let_go(slot),
            Step::Evict(slot, now_ns) => self.evict(slot, now_ns),
            Step::Settle(slot, answer) => self.settle(slot, answer),
            Step::Decline(slot, back) => self.decline(slot, back),
            Step::Take(who) => self.take(who),
            Step::Retire(index) => self.retire(index),
        }
    }

    fn check(&mut self) {
        for slot in 0..SEGMENTS * SLOTS {
            let (word, owner_of) = (self.grants.word(slot), self.owner_of(slot));
            let at = *self.slot(slot);
            let owner_now = owner_of.map_or(Owner::NOBODY, owner);
            assert_eq!(self.grants.owner(slot), owner_now);
            assert_eq!(self.grants.generation(slot), at.generation);
            let live = at.state == Some(Life::Live);
            assert_eq!(self.grants.is_live(slot, at.generation, owner_now), live);
            if live {
                assert_eq!((word.bytes(), self.grants.fields(slot)), (at.bytes, at.fields));
                assert!(word.special() || !at.fields.special(), "a scan would miss the fields");
            }
            let taken = [Life::Live, Life::Evicting, Life::Deferred(40 + slot)];
            let taken = at.state.is_some_and(|life| taken.contains(&life));
            assert_eq!(self.grants.taken_by(slot), taken.then_some(at.generation));
        }
        for index in 0..SEGMENTS {
            if self.owners[index as usize].is_some() {
                let granted = self.grants.segment(index).granted();
                assert_eq!(granted, self.granted[index as usize]);
            }
        }
    }
}

proptest! {
    #[test]
    fn agree_with_a_plain_map(steps in prop::collection::vec(step(), 0..120)) {
        let mut oracle = Oracle::new();
        for step in steps {
            oracle.run(step);
            oracle.check();
        }
    }

    #[test]
    fn an_expired_or_pinned_grant_is_judged_by_its_fields(
        flags in 0..16u32, expires_ns in 0..4u64, keep_until_ns in 0..4u64, now_ns in 0..4u64,
    ) {
        let fields = Fields { flags, expires_ns, keep_until_ns, ..Fields::default() };
        let expired = expires_ns > 0 && expires_ns <= now_ns;
        let held = flags & (flag::PINNED | flag::FIXED) != 0 || keep_until_ns > now_ns;
        let evictable = if flags & flag::UNCOMMITTED != 0 { expired } else { !held };
        assert_eq!(fields.is_evictable(now_ns), evictable);
        // What the word does not call special may go whenever it is looked at.
        assert!(fields.special() || fields.is_evictable(now_ns));
    }
}

/// The word of a slot has a few bits of the generation only: the rest is compared while it is held.
#[test]
fn a_hold_at_once_is_of_one_grant_and_one_owner() {
    let grants = Grants::new(1);
    let slot = grants.keep_segment(grants.take_segment(owner(1)).unwrap());
    let generation = grants.publish(slot, 5, 0, &Fields::default());
    let hold = |generation, owner| grants.slot(slot).hold_live(generation, owner);
    for bit in 0..u32::BITS {
        assert!(hold(generation ^ 1 << bit, owner(1)).is_none(), "bit {bit}");
        assert!(grants.is_live(slot, generation, owner(1)), "it was let go");
    }
    assert!(hold(generation, owner(2)).is_none());
    let word = hold(generation, owner(1)).expect("it is live");
    assert!(hold(generation, owner(1)).is_none(), "it is held");
    grants.slot(slot).let_go(word.plus(2));
    assert_eq!(grants.word(slot).bytes(), 7);
}

/// What is said of a grant is kept as it was said, and nothing of the grant before it; a scan for
/// victims looks at it only if it says more than whose content it is.
#[test]
fn every_field_of_a_grant_is_kept() {
    let grants = Grants::new(1);
    let slot = grants.keep_segment(grants.take_segment(owner(1)).unwrap());
    for said in 0..1 << 5 {
        let some = |number| if said & 1 << number != 0 { 6 } else { 0 };
        let fields = Fields {
            key: some(0),
            cookie: some(1),
            expires_ns: some(2),
            keep_until_ns: some(3),
            flags: if some(4) > 0 { flag::PINNED } else { 0 },
        };
        let generation = grants.publish(slot, 5, 0, &fields);
        assert_eq!(grants.fields(slot), fields);
        assert_eq!(grants.word(slot).special(), said >> 2 != 0, "{fields:?}");
        let held = grants.hold(slot, generation, owner(1)).unwrap();
        let other = Fields { cookie: fields.key, key: fields.cookie, ..fields };
        grants.let_go_with(held, &other);
        assert_eq!(grants.fields(slot), other);
        assert_eq!(grants.word(slot).special(), said >> 2 != 0, "{other:?}");
        let end = |generation| {
            let held = grants.hold_to_end(slot, generation, owner(1)).unwrap();
            assert_eq!(grants.end(held), Ended::Free);
            assert!(grants.reserve(slot, owner(1)));
        };
        end(generation);
        grants.slot(slot).publish_plain(generation + 1, 5, 0);
        assert_eq!(grants.fields(slot), Fields::default(), "after {other:?}");
        end(generation + 1);
    }
}

#[test]
fn there_are_as_many_slots_as_the_segments_have() {
    let grants = Grants::new(SEGMENTS);
    for (slot, is_there) in [(0, true), (SEGMENTS * SLOTS - 1, true), (SEGMENTS * SLOTS, false)] {
        assert_eq!(grants.contains(slot), is_there, "slot {slot}");
        assert_eq!(grants.find(slot).is_some(), is_there, "slot {slot}");
    }
}

#[test]
fn the_recency_of_a_grant_is_that_of_its_last_use() {
    let grants = Grants::new(1);
    let slot = grants.keep_segment(grants.take_segment(owner(1)).unwrap());
    grants.publish(slot, 5, 7, &Fields::default());
    assert_eq!((grants.recency(slot), grants.slot(slot).recency()), (7, 7));
    grants.set_recency(slot, 9);
    assert_eq!((grants.recency(slot), grants.slot(slot).recency()), (9, 9));
}

/// One bit for each slot: the others stay as they were.
#[test]
fn what_is_listed_is_remembered_slot_by_slot() {
    let grants = Grants::new(1);
    let segment = grants.segment(grants.take_segment(owner(1)).unwrap());
    for (lane, listed, all) in [
        (3, true, 1 << 3),
        (31, true, 1 << 3 | 1 << 31),
        (3, true, 1 << 3 | 1 << 31),
        (4, false, 1 << 3 | 1 << 31),
        (3, false, 1 << 31),
        (0, true, 1 << 31 | 1),
    ] {
        segment.set_listed(lane, listed);
        assert_eq!(segment.listed(), all, "after {lane} {listed}");
    }
}

/// More segments than one word has bits for; each comes back once, whatever its number is.
#[test]
fn segments_that_came_back_are_given_out_once_each() {
    const MANY: u32 = 2 * u64::BITS + 3;
    let grants = Grants::new(MANY);
    let taken = || std::iter::from_fn(|| grants.take_segment(owner(1)).ok());
    assert!(taken().eq(0..MANY));
    let back = [1, 2, 63, 64, 70, 129, 130];
    back.iter().for_each(|&index| grants.return_segment(index));
    assert!(taken().eq(back));
    assert_eq!(grants.take_segment(owner(1)), Err(NoSegment::OnTheWay), "all may come back yet");
    back.iter().rev().for_each(|&index| grants.return_segment(index));
    assert!(taken().eq(back));
}

/// A segment that stays in its queue after all offers each of its slots again.
#[test]
fn a_segment_that_is_not_unlinked_offers_its_slots_again() {
    let grants = Grants::new(SEGMENTS);
    for index in 0..SEGMENTS {
        let slot = grants.keep_segment(grants.take_segment(owner(1)).unwrap());
        grants.unreserve(slot);
        assert_eq!(grants.retire_segment(index), Some(0));
        let slots = || index * SLOTS..(index + 1) * SLOTS;
        assert!(slots().all(|slot| !grants.reserve(slot, owner(1))), "they are held");
        grants.unretire_segment(index);
        assert!(slots().all(|slot| grants.reserve(slot, owner(1))), "segment {index}");
    }
}

/// Whoever may not be evicted yet was asked, and keeps what else was said of it.
#[test]
fn a_victim_that_stays_keeps_its_flags() {
    for (flags, key) in [(0, 0), (flag::FIXED, 0), (flag::PINNED, 3), (flag::COUNTED, 3)] {
        let grants = Grants::new(1);
        let slot = grants.keep_segment(grants.take_segment(owner(1)).unwrap());
        let fields = Fields { flags, key, ..Fields::default() };
        let generation = grants.publish(slot, 5, 0, &fields);
        let claim = || grants.claim_victim(slot, grants.word(slot), |_| true).unwrap();
        assert_eq!(grants.settle_busy(&claim(), 40), Settled::Kept);
        let kept = Fields { keep_until_ns: 40, ..fields };
        assert_eq!(grants.fields(slot), kept);
        assert_eq!(grants.settle_deferred(&claim(), 1), Settled::Kept);
        let held = grants.hold_to_end(slot, generation, owner(1)).unwrap();
        assert_eq!(grants.keep_deferred(held, 50), Ok(1));
        assert_eq!(grants.fields(slot), Fields { keep_until_ns: 50, ..fields });
    }
}
