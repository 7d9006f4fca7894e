//! How often each verb was called, and what came of it.

use allotment::{Denial, DenialReason, Refusal};

use super::verb::Verb;

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It did, or said, what it is for.
    Done,
    /// There was nothing to do or to say: no victim, no answer yet, no such name.
    Nothing,
    /// Refused as misuse: what was named had gone, or ended, or makes no sense.
    Misuse,
    Denied(DenialReason),
}

/// Reasons of a denial, by their numbers; the first is 1.
pub(super) const REASONS: [DenialReason; 10] = [
    DenialReason::TenantLimit,
    DenialReason::GroupLimit,
    DenialReason::Capacity,
    DenialReason::GrantCount,
    DenialReason::RateLimit,
    DenialReason::SlotsExhausted,
    DenialReason::Contended,
    DenialReason::WaitedTooLong,
    DenialReason::WaitersExhausted,
    DenialReason::AuditFull,
];

/// Outcomes that are not denials.
const PLAIN: usize = 3;

impl Outcome {
    pub fn of<T, E: Into<Refusal>>(answer: Result<T, E>) -> Self {
        match answer.map_err(Into::into) {
            Ok(_) => Self::Done,
            Err(Refusal::Denied(Denial { reason, .. })) => Self::Denied(reason),
            Err(Refusal::Misuse(_)) => Self::Misuse,
        }
    }

    pub fn some<T>(answer: Option<T>) -> Self {
        if answer.is_some() { Self::Done } else { Self::Nothing }
    }

    fn number(self) -> usize {
        match self {
            Self::Done => 0,
            Self::Nothing => 1,
            Self::Misuse => 2,
            Self::Denied(reason) => PLAIN - 1 + usize::from(reason.code()),
        }
    }
}

/// Counts of one thread, or of all.
#[derive(Clone, Debug)]
pub(super) struct Tally([[u64; PLAIN + REASONS.len()]; Verb::ALL.len()]);

impl Tally {
    pub fn new() -> Self {
        Self([[0; PLAIN + REASONS.len()]; Verb::ALL.len()])
    }

    #[inline]
    pub fn count(&mut self, verb: Verb, outcome: Outcome) {
        self.0[verb as usize][outcome.number()] += 1;
    }

    pub fn add(&mut self, other: &Self) {
        let pairs = self.0.iter_mut().flatten().zip(other.0.iter().flatten());
        pairs.for_each(|(sum, count)| *sum += count);
    }

    /// Calls of a verb with one outcome.
    pub fn of(&self, verb: Verb, outcome: Outcome) -> u64 {
        self.0[verb as usize][outcome.number()]
    }

    /// Calls of a verb.
    pub fn calls(&self, verb: Verb) -> u64 {
        self.0[verb as usize].iter().sum()
    }

    /// Calls of a verb that were denied.
    pub fn denied(&self, verb: Verb) -> u64 {
        self.0[verb as usize][PLAIN..].iter().sum()
    }

    /// Calls of all verbs.
    pub fn all(&self) -> u64 {
        self.0.iter().flatten().sum()
    }

    pub fn share(&self, verb: Verb) -> f64 {
        self.calls(verb) as f64 / self.all().max(1) as f64
    }

    /// The verb called least.
    pub fn rarest(&self) -> Verb {
        let by_calls = Verb::ALL.into_iter().min_by_key(|&verb| self.calls(verb));
        by_calls.unwrap_or(Verb::TryRequest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_cells_of_their_own_and_add_up() {
        let mut one = Tally::new();
        let denied = REASONS.map(Outcome::Denied);
        let all = [Outcome::Done, Outcome::Nothing, Outcome::Misuse].into_iter().chain(denied);
        all.clone().for_each(|outcome| one.count(Verb::Grow, outcome));
        one.count(Verb::Grow, Outcome::Done);
        let mut sum = one.clone();
        sum.add(&one);
        for outcome in all {
            let times = if outcome == Outcome::Done { 4 } else { 2 };
            assert_eq!(sum.of(Verb::Grow, outcome), times, "{outcome:?}");
        }
        assert_eq!((sum.calls(Verb::Grow), sum.denied(Verb::Grow), sum.all()), (28, 20, 28));
        assert_eq!(sum.share(Verb::Grow), 1.0);
        assert_ne!(sum.rarest(), Verb::Grow);
    }
}
