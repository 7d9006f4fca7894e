//! Tenants that wait in a circle: what the line and the accounts show at an instant.

use crate::core::account::{Obstacle, ROOT};
use crate::core::circle::{Party, circle};
use crate::core::grants::flag;
use crate::core::handle::TenantHandle;
use crate::core::word::State;
use crate::error::AccountName;
use crate::explain::Size;
use crate::governor::Governor;
use std::collections::BTreeMap;
use std::fmt;

/// Tenants that each hold memory while they wait for more, which only they hold together. Unless
/// one of them gives something back, or gives up waiting, none of them is ever served.
///
/// A suspicion at an instant: the governor does not know what a tenant would do with the answer,
/// and the line is read while it may move. Seen again a little later it is as good as certain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircularWait {
    /// The account whose bytes they wait for: the pool, or a group.
    pub account: AccountName,
    /// What people call it.
    pub account_name: String,
    /// The tenants, at least two.
    pub tenants: Vec<TenantHandle>,
    /// What people call them, in the same order.
    pub names: Vec<String>,
    /// Bytes they hold of that account beyond their guarantees.
    pub held_bytes: u64,
    /// Bytes they wait for, each for the smallest of its requests.
    pub wanted_bytes: u64,
}

/// Smallest waits of tenants by their index, and whether something else than one account is in
/// the way of any: then the tenant may be served without the others.
type Waits = BTreeMap<u32, Wait>;

#[derive(Clone, Copy)]
struct Wait {
    /// The account that is short; none: no wait, or not only there.
    account: Option<u32>,
    bytes: u64,
}

impl Governor {
    /// Tenants that hold memory while they wait for more, in a circle; none if there are none, or
    /// if a second look at once does not show the same ones.
    ///
    /// Only requests that stand in line count ([`Governor::acquire`], [`Governor::enqueue`]), and
    /// bytes that may be evicted count as free. A tenant that waits at its own limit, or for what
    /// it holds itself, is no circle: it can end that alone. Nor is one looked for across several
    /// groups that are short at once. Cost: a load while fewer than two requests wait; else steps
    /// that grow with tenants and waiters, twice, and some allocations.
    pub fn circular_wait(&self) -> Option<CircularWait> {
        if self.waiters() < 2 {
            return None;
        }
        let (account, parties) = self.look_for_circle()?;
        // The line may have moved, and figures of different instants may look like a circle.
        let again = self.look_for_circle()?;
        let who = |parties: &[Party]| parties.iter().map(|p| p.tenant).collect::<Vec<_>>();
        if account != again.0 || who(&parties) != who(&again.1) {
            return None;
        }
        let parties = again.1;
        let handle = |party: &Party| {
            let generation = self.core.accounts.generation(party.tenant);
            TenantHandle::new(self.tag, generation, party.tenant)
        };
        Some(CircularWait {
            account: self.account_name(account),
            account_name: self.name_of(account),
            tenants: parties.iter().map(handle).collect(),
            names: parties.iter().map(|party| self.name_of(party.tenant)).collect(),
            held_bytes: parties.iter().map(|party| party.held_bytes).sum(),
            wanted_bytes: parties.iter().map(|party| party.wanted_bytes).sum(),
        })
    }

    /// The circle of a tenant, if it is in one.
    pub(crate) fn circle_of(&self, tenant: TenantHandle) -> Option<CircularWait> {
        self.circular_wait().filter(|circle| circle.tenants.contains(&tenant))
    }

    fn look_for_circle(&self) -> Option<(u32, Vec<Party>)> {
        let waits = self.waits();
        let accounts = std::iter::once(ROOT).chain(self.core.accounts.groups());
        accounts
            .filter(|&account| {
                waits.values().filter(|wait| wait.account == Some(account)).count() > 1
            })
            .find_map(|account| {
                let mut parties = self.parties(account, &waits);
                let free = self.core.accounts.room(account);
                if circle(free, &mut parties).is_empty() {
                    return None;
                }
                // Only now is it worth adding up what may be evicted.
                let now_ns = self.clock().now_ns();
                for party in parties.iter_mut().filter(|party| party.wanted_bytes > 0) {
                    let evictable = self.evictable_bytes(party.tenant, now_ns);
                    party.evictable_bytes = evictable.min(party.held_bytes);
                }
                let found = circle(free, &mut parties).to_vec();
                (!found.is_empty()).then_some((account, found))
            })
    }

    /// What tenants wait for, as far as the line shows.
    fn waits(&self) -> Waits {
        let mut waits = Waits::new();
        for (tenant, generation, bytes) in self.core.waiting.wanted() {
            if self.core.accounts.generation(tenant) != generation {
                continue;
            }
            let (account, bytes) = match self.core.accounts.shortage(tenant, bytes) {
                Some(Obstacle::Full { account, asked, .. }) => (Some(account), asked),
                _ => (None, 0),
            };
            let wait = waits.entry(tenant).or_insert(Wait { account, bytes });
            if wait.account != account {
                *wait = Wait { account: None, bytes: 0 };
            }
            wait.bytes = wait.bytes.min(bytes);
        }
        waits
    }

    /// Who holds bytes of an account beyond its guarantee, or waits for some.
    fn parties(&self, account: u32, waits: &Waits) -> Vec<Party> {
        let accounts = &self.core.accounts;
        let party = |tenant: u32| {
            let wait = waits.get(&tenant).filter(|wait| wait.account == Some(account));
            Party {
                tenant,
                // The guarantee stays paid for whatever is given back.
                held_bytes: accounts.used(tenant).saturating_sub(accounts.guarantee(tenant)),
                evictable_bytes: 0,
                wanted_bytes: wait.map_or(0, |wait| wait.bytes),
            }
        };
        let below = self.core.tenants_below(account).map(party);
        below.filter(|party| party.held_bytes > 0 || party.wanted_bytes > 0).collect()
    }

    /// Bytes of a tenant that may be evicted, or are going already.
    fn evictable_bytes(&self, tenant: u32, now_ns: u64) -> u64 {
        let grants = &self.core.grants;
        let going = [State::Evicting, State::Deferred];
        let may_go = |slot: u32| {
            let fields = grants.fields(slot);
            let kept = fields.flags & (flag::PINNED | flag::FIXED | flag::UNCOMMITTED) != 0;
            let kept = kept || fields.keep_until_ns > now_ns;
            !kept || going.contains(&grants.word(slot).state())
        };
        let slots = self.slots_of(tenant).map(|(slot, _)| slot).filter(|&slot| may_go(slot));
        slots.map(|slot| grants.word(slot).bytes()).sum()
    }
}

impl fmt::Display for CircularWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (names, account) = (self.names.join(", "), &self.account_name);
        let (held, wanted) = (Size(self.held_bytes), Size(self.wanted_bytes));
        write!(
            f,
            "{names} wait in a circle: they hold {held} of {account} and wait for {wanted} more, \
             which only they hold; one of them has to give something back or stop waiting"
        )
    }
}
