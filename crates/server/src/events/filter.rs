//! Which of the things that happen a listener wants: kinds, and a tenant.

use crate::events::board::{At, Batch, Frame};
use crate::happened;
use crate::problem::Problem;
use allotment::{EventKind, TenantId};

/// The place of alerts among kinds; those of events are their codes less one.
pub const ALERT: u8 = EventKind::ALL.len() as u8;
/// The place of losses, which are told to everybody.
pub const LOST: u8 = ALERT + 1;
/// The name of alerts.
pub const ALERT_NAME: &str = "alert";

const _: () = assert!((LOST as u32) < u64::BITS);

/// A set of kinds, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds(u64);

impl Kinds {
    /// All of them.
    pub const ALL: Self = Self(u64::MAX);

    /// Those named, with commas between them.
    ///
    /// # Errors
    ///
    /// A name that is none, with those that are.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut kinds = Self(1 << LOST);
        for name in text.split(',') {
            kinds.0 |= 1 << place(name).ok_or_else(|| unknown(name))?;
        }
        Ok(kinds)
    }

    fn has(self, kind: u8) -> bool {
        self.0 >> kind & 1 == 1
    }
}

/// The place of a kind of event.
pub fn place_of(kind: EventKind) -> u8 {
    kind.code() - 1
}

fn place(name: &str) -> Option<u8> {
    if name == ALERT_NAME {
        return Some(ALERT);
    }
    happened::kind_named(name).map(place_of)
}

fn unknown(name: &str) -> Problem {
    const SHOWN_CHARACTERS_MAX: usize = 40;
    let shown: String = name.chars().take(SHOWN_CHARACTERS_MAX).collect();
    let known = happened::kind_names().chain([ALERT_NAME]).collect::<Vec<_>>().join(", ");
    Problem::invalid(format!("kind: there is no `{}`: use {known}", shown.escape_debug()))
}

/// What a listener gets.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Of these kinds.
    pub kinds: Kinds,
    /// About these tenants; none: about anybody and the pool.
    pub tenants: Option<Vec<TenantId>>,
    /// From this event on.
    pub from_position: u64,
    /// Alerts from this time on, in ns of the governor's clock.
    pub from_ns: u64,
}

impl Filter {
    /// Whether a batch can be given as it is.
    pub fn wants_all(&self, batch: &Batch) -> bool {
        let begins = batch.frames.first().is_some_and(|frame| self.is_in_time(frame.at));
        self.kinds == Kinds::ALL && self.tenants.is_none() && begins
    }

    /// Whether nothing of a batch is to be given, as far as its kinds tell.
    pub fn wants_nothing(&self, batch: &Batch) -> bool {
        self.kinds.0 & batch.kinds == 0
    }

    /// Whether this is to be given.
    pub fn wants(&self, frame: &Frame) -> bool {
        let is_loss = frame.kind == LOST;
        let is_of = |tenants: &Vec<_>| frame.tenant.is_some_and(|tenant| tenants.contains(&tenant));
        let of_tenant = is_loss || self.tenants.as_ref().is_none_or(is_of);
        of_tenant && self.kinds.has(frame.kind) && self.is_in_time(frame.at)
    }

    fn is_in_time(&self, at: At) -> bool {
        match at {
            At::Position(position) => position >= self.from_position,
            At::Time(time_ns) => time_ns >= self.from_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_chosen_by_name_and_losses_always() {
        let some = Kinds::parse("granted,alert").unwrap();
        let chosen: Vec<u8> = (0..=LOST).filter(|kind| some.has(*kind)).collect();
        assert_eq!(chosen, [0, ALERT, LOST]);
        for wrong in ["", "granted,", "granted, denied", "lost", "x\r\nevil: 1"] {
            assert!(Kinds::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_tenants_listener_gets_what_is_about_it_and_losses() {
        let id = |number| Some(TenantId::from_u128(number)).filter(|_| number > 0);
        let tenants = id(7).map(|tenant| vec![tenant]);
        let filter = Filter { kinds: Kinds::ALL, tenants, from_position: 10, from_ns: 100 };
        let frame = |kind, tenant, at| Frame { number: 0, end: 0, kind, tenant: id(tenant), at };
        assert!(filter.wants(&frame(0, 7, At::Position(10))));
        assert!(!filter.wants(&frame(0, 7, At::Position(9))), "it was before");
        assert!(!filter.wants(&frame(0, 8, At::Position(10))));
        assert!(!filter.wants(&frame(0, 0, At::Position(10))), "the pool's");
        assert!(filter.wants(&frame(LOST, 0, At::Position(10))));
        assert!(filter.wants(&frame(ALERT, 7, At::Time(100))));
        assert!(!filter.wants(&frame(ALERT, 7, At::Time(99))));
    }
}
