//! The packed words of the hot path against their fields, one by one.

use allotment::internals::word::{
    Above, BYTES_BITS, BYTES_MAX, CONFIG_VERSIONS, ClaimWord, CountWord, GRANT_BYTES_MAX, Head,
    OnTheWay, Owner, Pass, Purpose, QueueHead, SlotWord, State, TRIM_VERSIONS, UsedWord,
};
use proptest::prelude::*;

const STATES: [State; 8] = [
    State::Free,
    State::Reserved,
    State::Live,
    State::Evicting,
    State::Ending,
    State::Tuning,
    State::Gone,
    State::Deferred,
];

/// Byte counts, the first and the last ones among them.
fn bytes(max: u64) -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(max - 1), Just(max), 0..=max]
}

/// The word after so many configurations.
fn configured(word: UsedWord, times: u32) -> UsedWord {
    (0..times).fold(word, |word, _| word.next_config())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pass_admits_up_to_its_limit_in_its_version(
        word in any::<u64>().prop_map(UsedWord),
        later in any::<u64>(),
        limit in bytes(BYTES_MAX),
        used in bytes(BYTES_MAX),
        any_level in any::<bool>(),
        level in 0_u32..3,
        since in prop_oneof![Just(0), 0..2 * CONFIG_VERSIONS],
    ) {
        let pass = Pass::new(word, limit, any_level);
        // Whatever else has changed in the word: use, trims, releases.
        let version = word.config_version() << BYTES_MAX.count_ones();
        let mask = u64::from(CONFIG_VERSIONS - 1) << BYTES_MAX.count_ones();
        let then = configured(UsedWord(later & !mask | version), since);
        let same = since.is_multiple_of(CONFIG_VERSIONS);
        let expected = same && used <= limit && (any_level || level == 0);
        let known = (same && limit > 0).then_some(limit);
        for purpose in [Purpose::Request, Purpose::Growth] {
            let admits = |p: Pass| p.holds_at(level) && p.admits(purpose, then, used);
            for (pass, bare) in [(pass, false), (pass.without_guarantee(), true)] {
                prop_assert_eq!(admits(pass), expected);
                prop_assert_eq!(pass.is_unguaranteed(then), bare && same);
                let looks = (pass.looks_full(used), pass.limit_of(then));
                prop_assert_eq!(looks, (used > limit, known));
                // Growth is what it was, and no request is the usual one.
                let closely = pass.closely();
                prop_assert_eq!(admits(closely), expected && purpose == Purpose::Growth);
                prop_assert_eq!(closely.is_unguaranteed(then), bare && same);
                prop_assert_eq!((closely.looks_full(used), closely.limit_of(then)), (true, None));
            }
        }
    }

    #[test]
    fn no_bytes_pass_a_limit_of_none(word in any::<u64>(), used in 1..=BYTES_MAX) {
        for purpose in [Purpose::Request, Purpose::Growth] {
            let none = Pass::new(UsedWord(word), 0, true);
            prop_assert!(!none.admits(purpose, UsedWord(word), used));
            // Of an account that nobody registered.
            prop_assert!(!Pass(0).admits(purpose, UsedWord(0), used));
        }
        prop_assert!(!Pass(0).is_unguaranteed(UsedWord(0)));
    }

    #[test]
    fn above_keeps_parent_and_depth(parent in 0_u32..1 << 24, depth in 0_u32..1 << 8) {
        let above = Above::new(parent, depth);
        prop_assert_eq!((above.parent(), above.depth()), (parent, depth));
    }

    #[test]
    fn a_word_is_live_of_its_low_generation(
        state in 0_usize..8,
        special in any::<bool>(),
        generation in any::<u32>(),
        other in prop_oneof![any::<u32>(), 0_u32..4],
        bytes in bytes(GRANT_BYTES_MAX),
    ) {
        let state = STATES[state];
        let word = SlotWord::new(state, generation, bytes).with_special(special);
        for other in [generation, generation ^ 1 << 16, generation.wrapping_add(other)] {
            let live = state == State::Live && word.may_be(other);
            prop_assert_eq!(word.is_live_of(other), live);
        }
    }

    #[test]
    fn a_held_word_differs_in_its_state_alone(
        special in any::<bool>(),
        generation in any::<u32>(),
        bytes in bytes(GRANT_BYTES_MAX),
    ) {
        let live = SlotWord::new(State::Live, generation, bytes).with_special(special);
        prop_assert_eq!(live.held(), live.with_state(State::Tuning));
        prop_assert_eq!(live.held().with_state(State::Live), live);
    }
}

/// `width` bits of a word from bit `from` on.
fn field(word: u64, from: u32, width: u32) -> u64 {
    (0..width).filter(|bit| word & 1 << (from + bit) != 0).map(|bit| 1 << bit).sum()
}

const CONFIG_BITS: u32 = CONFIG_VERSIONS.trailing_zeros();
const TRIM_BITS: u32 = TRIM_VERSIONS.trailing_zeros();
const RELEASE_BITS: u32 = u64::BITS - TRIM_BITS - CONFIG_BITS - BYTES_BITS;

/// Releases, trim version, config version and use, told by their widths.
fn used_fields(word: UsedWord) -> [u64; 4] {
    [
        field(word.0, u64::BITS - RELEASE_BITS, RELEASE_BITS),
        field(word.0, BYTES_BITS + CONFIG_BITS, TRIM_BITS),
        field(word.0, BYTES_BITS, CONFIG_BITS),
        field(word.0, 0, BYTES_BITS),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_used_word_changes_in_one_field(word in any::<u64>(), bytes in bytes(BYTES_MAX)) {
        let word = UsedWord(word);
        let [releases, trim, config, used] = used_fields(word);
        prop_assert_eq!((word.releases(), word.config_version()), (releases, config));
        prop_assert_eq!(word.used(), used);
        prop_assert_eq!(used_fields(UsedWord(word.activity())), [releases, 0, 0, used]);
        let trimmed = (trim + 1) % TRIM_VERSIONS;
        prop_assert_eq!(used_fields(word.next_trim()), [releases, trimmed, config, used]);
        let configured = (config + 1) % u64::from(CONFIG_VERSIONS);
        prop_assert_eq!(used_fields(word.next_config()), [releases, trim, configured, used]);
        let more = bytes.min(BYTES_MAX - used);
        prop_assert_eq!(used_fields(word.plus(more)), [releases, trim, config, used + more]);
        let less = bytes.min(used);
        let released = UsedWord(word.0.wrapping_add(UsedWord::release(less)));
        let releases = (releases + 1) % (1 << RELEASE_BITS);
        prop_assert_eq!(used_fields(released), [releases, trim, config, used - less]);
    }

    #[test]
    fn a_claim_word_tells_bytes_marks_and_the_end(
        claim in bytes(BYTES_MAX),
        marks in bytes(32_767),
        closed in any::<bool>(),
    ) {
        let end = if closed { ClaimWord::CLOSED } else { 0 };
        let word = ClaimWord(claim + marks * ClaimWord::MARK + end);
        prop_assert_eq!((word.claim(), word.marks(), word.closed()), (claim, marks, closed));
    }

    #[test]
    fn a_head_keeps_what_it_is_made_of(
        generation in any::<u32>(),
        stamp in any::<u32>(),
        counted in 0_u8..16,
        closed in any::<bool>(),
    ) {
        let head = Head::new(generation, stamp, counted, closed);
        prop_assert_eq!((head.generation(), head.stamp()), (generation, stamp % (1 << 27)));
        prop_assert_eq!((head.counted(), head.closed()), (counted, closed));
    }

    #[test]
    fn what_is_on_the_way_never_looks_unmoved(word in any::<u64>(), bytes in bytes(BYTES_MAX)) {
        let word = OnTheWay(word);
        prop_assert_eq!(word.bytes(), field(word.0, 0, BYTES_BITS));
        let more = bytes.min(BYTES_MAX - word.bytes());
        prop_assert_eq!(word.plus(more).bytes(), word.bytes() + more);
        prop_assert_eq!(word.plus(more).0 >> BYTES_BITS, ((word.0 >> BYTES_BITS) + 1) % (1 << 16));
    }

    #[test]
    fn a_count_keeps_the_undecided_apart(count in any::<u32>(), pending in any::<u32>()) {
        let word = CountWord(u64::from(pending) * CountWord::PENDING + u64::from(count));
        prop_assert_eq!((word.count(), word.pending()), (count.into(), pending.into()));
    }

    #[test]
    fn a_queue_head_is_open_to_its_generation_alone(
        generation in prop_oneof![any::<u32>(), 0_u32..3],
        other in prop_oneof![any::<u32>(), 0_u32..3],
        first in proptest::option::of(prop_oneof![0..u32::MAX - 1, Just(u32::MAX - 2)]),
        then in proptest::option::of(0..u32::MAX - 1),
    ) {
        let head = QueueHead::new(generation, first);
        prop_assert_eq!((head.first(), head.is_closed()), (first, false));
        prop_assert_eq!(head.with_first(then), QueueHead::new(generation, then));
        let closed = head.closed();
        prop_assert_eq!((closed.first(), closed.is_closed()), (None, true));
        prop_assert_eq!(closed.with_first(then), QueueHead::new(generation, then));
        for asked in [generation, other] {
            prop_assert_eq!(head.admits(asked), asked == generation && asked != 0);
            prop_assert!(!closed.admits(asked));
        }
    }

    #[test]
    fn a_slot_word_keeps_its_fields(
        state in 0_usize..8,
        special in any::<bool>(),
        generation in any::<u32>(),
        other in prop_oneof![any::<u32>(), 0_u32..4],
        bytes in bytes(GRANT_BYTES_MAX),
        then in bytes(GRANT_BYTES_MAX),
        next in 0_usize..8,
    ) {
        let (state, next) = (STATES[state], STATES[next]);
        let word = SlotWord::new(state, generation, bytes);
        let fields = |word: SlotWord| (word.state(), word.special(), word.bytes());
        prop_assert_eq!(fields(word), (state, false, bytes));
        let word = word.with_special(special);
        prop_assert_eq!(fields(word), (state, special, bytes));
        prop_assert_eq!(word.with_special(special), word);
        prop_assert_eq!(fields(word.with_special(!special)), (state, !special, bytes));
        prop_assert_eq!(fields(word.with_state(next)), (next, special, bytes));
        prop_assert_eq!(fields(word.with_bytes(then)), (state, special, then));
        let (less, more) = (bytes.min(then), bytes.max(then));
        prop_assert_eq!(word.with_bytes(less).plus(more - less), word.with_bytes(more));
        prop_assert_eq!(word.with_bytes(more).minus(more - less), word.with_bytes(less));
        for other in [generation, generation ^ 1 << 16, generation.wrapping_add(other)] {
            let same = other % (1 << 16) == generation % (1 << 16);
            for word in [word, word.with_state(next), word.with_bytes(then)] {
                prop_assert_eq!(word.may_be(other), same);
            }
        }
    }

    #[test]
    fn an_owner_keeps_account_generation_and_type(
        account in prop_oneof![0_u32..1 << 24, Just((1 << 24) - 1), 0_u32..2],
        generation in any::<u32>(),
        kind in 0_u8..4,
        other in (prop_oneof![0_u32..1 << 24, 0_u32..2], any::<u32>()),
    ) {
        let owner = Owner::new(account, generation, kind);
        prop_assert_eq!((owner.account(), owner.generation()), (account, generation));
        prop_assert_eq!(owner.allocation_type(), kind);
        prop_assert_ne!(owner, Owner::NOBODY);
        prop_assert!(owner.is_of(account, generation));
        for (a, g) in [other, (account, other.1), (other.0, generation)] {
            prop_assert_eq!(owner.is_of(a, g), (a, g) == (account, generation));
        }
    }
}
