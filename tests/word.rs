//! The packed words of the hot path against their fields, one by one.

use allotment::internals::word::{
    Above, BYTES_MAX, CONFIG_VERSIONS, GRANT_BYTES_MAX, Pass, SlotWord, State, UsedWord,
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
        since in 0..2 * CONFIG_VERSIONS,
    ) {
        let pass = Pass::new(word, limit, any_level);
        // Whatever else has changed in the word: use, trims, releases.
        let version = word.config_version() << BYTES_MAX.count_ones();
        let mask = u64::from(CONFIG_VERSIONS - 1) << BYTES_MAX.count_ones();
        let then = configured(UsedWord(later & !mask | version), since);
        let same = since.is_multiple_of(CONFIG_VERSIONS);
        let expected = same && used <= limit && (any_level || level == 0);
        prop_assert_eq!(pass.admits(then, used, level), expected);
        prop_assert!(!pass.is_unguaranteed(then));
        let bare = pass.without_guarantee();
        prop_assert_eq!(bare.admits(then, used, level), expected);
        prop_assert_eq!(bare.is_unguaranteed(then), same);
    }

    #[test]
    fn no_bytes_pass_a_limit_of_none(word in any::<u64>(), used in 1..=BYTES_MAX) {
        prop_assert!(!Pass::new(UsedWord(word), 0, true).admits(UsedWord(word), used, 0));
        // Of an account that nobody registered.
        prop_assert!(!Pass(0).admits(UsedWord(0), used, 0));
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
