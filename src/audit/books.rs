//! What the writer of a log knows by itself, so that every segment can begin with it: who is
//! configured how, and what each account holds by the records so far.
//!
//! ```text
//! K1  balance(account, type) = sum of granted and grown - sum of shrunk and ended, of the records
//! K2  at rest, and if no event was lost: sum over types = what the account uses
//! K3  a preamble whose balances are not K2 ends with a gap of no events
//! ```

use super::body::Body;
use super::configured::{CLOSED_TOPIC, Configured, STATED_TOPIC};
use super::text::TextPart;
use crate::config::{AllocationType, GovernorConfig};
use crate::core::events::{Event, EventKind};
use std::collections::BTreeMap;

const TYPES: usize = AllocationType::ALL.len();

/// What an account holds of one type.
#[derive(Clone, Copy, Default)]
struct Balance {
    bytes: u64,
    grants: u64,
}

/// A registered account, or one that was and holds something still.
struct Known {
    configured: Configured,
    is_closed: bool,
}

/// See the top of this file.
pub(super) struct Books {
    governor: GovernorConfig,
    /// By account: groups and tenants.
    known: BTreeMap<u32, Known>,
    balances: Vec<[Balance; TYPES]>,
    is_exact: bool,
}

impl Books {
    pub(super) fn new(governor: GovernorConfig) -> Self {
        Self { governor, known: BTreeMap::new(), balances: Vec::new(), is_exact: true }
    }

    /// The governor as it is configured now.
    pub(super) fn governor(&self) -> Configured {
        Configured::Governor(self.governor.clone())
    }

    /// Somebody is configured so from now on.
    pub(super) fn configured(&mut self, configured: Configured) {
        self.known.insert(configured.account(), Known { configured, is_closed: false });
    }

    /// Books an event.
    #[inline]
    pub(super) fn add(&mut self, event: &Event) {
        let Event { kind, bytes, account, .. } = *event;
        match kind {
            EventKind::Granted => self.change(event, |b| (b.bytes + bytes, b.grants + 1)),
            EventKind::Grown => self.change(event, |b| (b.bytes + bytes, b.grants)),
            EventKind::Shrunk => self.change(event, |b| (b.bytes.saturating_sub(bytes), b.grants)),
            EventKind::Released | EventKind::Evicted | EventKind::ReservationExpired => {
                let less = |b: Balance| (b.bytes.saturating_sub(bytes), b.grants.saturating_sub(1));
                self.change(event, less);
            }
            EventKind::CapacityChanged => self.governor.capacity_bytes = bytes,
            EventKind::Unregistered => {
                if let Some(known) = self.known.get_mut(&account) {
                    known.is_closed = true;
                }
            }
            _ => {}
        }
    }

    /// Takes an event out of the balances again, the last one first.
    pub(super) fn take_back(&mut self, event: &Event) {
        let bytes = event.bytes;
        match event.kind {
            EventKind::Granted => {
                let less = |b: Balance| (b.bytes.saturating_sub(bytes), b.grants.saturating_sub(1));
                self.change(event, less);
            }
            EventKind::Grown => self.change(event, |b| (b.bytes.saturating_sub(bytes), b.grants)),
            EventKind::Shrunk => self.change(event, |b| (b.bytes + bytes, b.grants)),
            EventKind::Released | EventKind::Evicted | EventKind::ReservationExpired => {
                self.change(event, |b| (b.bytes + bytes, b.grants + 1));
            }
            _ => {}
        }
    }

    /// Events were lost that may have moved bytes, or happened before the first that was booked.
    pub(super) fn lose(&mut self) {
        self.is_exact = false;
    }

    /// K2: whether no event of bytes was lost.
    pub(super) fn is_exact(&self) -> bool {
        self.is_exact
    }

    #[inline]
    fn change(&mut self, event: &Event, to: impl FnOnce(Balance) -> (u64, u64)) {
        let (account, kind) = (event.account as usize, usize::from(event.allocation_type) % TYPES);
        if account >= self.balances.len() {
            self.balances.resize(account + 1, Default::default());
        }
        let balance = &mut self.balances[account][kind];
        let (bytes, grants) = to(*balance);
        *balance = Balance { bytes, grants };
    }

    /// The records with which a segment begins: who is configured how, and who holds what.
    pub(super) fn preamble(&mut self, clock_ns: u64) -> Vec<Body> {
        let balances = &self.balances;
        let holds = |account: u32| {
            let of = balances.get(account as usize);
            of.is_some_and(|types| types.iter().any(|balance| balance.bytes > 0))
        };
        self.known.retain(|&account, known| !known.is_closed || holds(account));
        let text = |configured: &Configured, topic| {
            let text = configured.text();
            TextPart::cut(topic, 0, &text).map(Body::from).collect::<Vec<_>>()
        };
        let mut bodies = text(&self.governor(), STATED_TOPIC);
        for known in self.known.values() {
            let topic = if known.is_closed { CLOSED_TOPIC } else { STATED_TOPIC };
            bodies.extend(text(&known.configured, topic));
        }
        for (account, types) in (0..).zip(balances) {
            for (allocation_type, &Balance { bytes, grants }) in (0..).zip(types) {
                if bytes > 0 || grants > 0 {
                    bodies.push(Body::Balance {
                        clock_ns,
                        account,
                        allocation_type,
                        bytes,
                        grants,
                    });
                }
            }
        }
        if !self.is_exact {
            // For those who have only what follows.
            bodies.push(Body::Gap { clock_ns, first: 0, count: 0 });
        }
        bodies
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{TenantConfig, TenantId};
    use crate::core::handle::TenantHandle;

    #[test]
    fn a_segment_begins_with_who_is_there_and_what_they_hold() {
        let mut books = Books::new(GovernorConfig::new(100));
        for account in [7, 8, 9] {
            let config = TenantConfig::new(TenantId::from_u128(1), "t");
            books.configured(Configured::Tenant(TenantHandle::new(1, 1, account), config));
        }
        let event = |kind, account, bytes| Event { account, bytes, ..Event::new(kind, 5) };
        books.add(&event(EventKind::Granted, 7, 30));
        books.add(&event(EventKind::Granted, 8, 5));
        books.add(&event(EventKind::Grown, 8, 2));
        books.add(&event(EventKind::Evicted, 7, 30));
        books.add(&event(EventKind::Unregistered, 7, 0));
        books.add(&event(EventKind::Unregistered, 8, 7));
        books.add(&event(EventKind::CapacityChanged, 0, 50));
        let bodies = books.preamble(6);
        let mut texts = super::super::text::Texts::default();
        let mut told = Vec::new();
        for body in &bodies {
            match body {
                Body::Text(part) => {
                    let whole = texts.push(part);
                    told.extend(whole.map(|(topic, _, text)| (topic, Configured::parse(&text))));
                }
                other => assert_eq!(
                    *other,
                    Body::Balance {
                        clock_ns: 6,
                        account: 8,
                        allocation_type: 0,
                        bytes: 7,
                        grants: 1
                    }
                ),
            }
        }
        let told: Vec<_> = told.into_iter().map(|(topic, c)| (topic, c.unwrap())).collect();
        let Configured::Governor(governor) = &told[0].1 else { panic!() };
        assert_eq!(governor.capacity_bytes, 50);
        let accounts: Vec<_> = told[1..].iter().map(|(t, c)| (*t, c.account())).collect();
        assert_eq!(accounts, [(CLOSED_TOPIC, 8), (STATED_TOPIC, 9)], "7 is gone");
        assert!(matches!(bodies.last(), Some(Body::Balance { .. })));
    }
    #[test]
    fn balances_after_a_loss_are_marked() {
        let mut books = Books::new(GovernorConfig::new(100));
        let is_marked = |bodies: Vec<Body>| {
            matches!(bodies.last(), Some(Body::Gap { first: 0, count: 0, clock_ns: 6 }))
        };
        assert!(!is_marked(books.preamble(6)));
        books.lose();
        assert!(is_marked(books.preamble(6)), "K3");
    }
}
