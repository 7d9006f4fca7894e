//! What a tenant holds, by allocation id, and what became of what it no longer holds.
//!
//! ```text
//! R1  an id is in `records`, or among the ended, or unknown: never two of them
//! R2  ended <= ENDED_MAX: the oldest are forgotten, and then unknown
//! R3  a record enters only while the tenant is registered and not on hold
//! ```

use super::emergency::TenantHold;
use super::observe::ObservedLog;
use super::queue::Places;
use crate::GrantId;
use crate::config::AllocationType;
use crate::grant::OwnedGrant;
use std::collections::{HashMap, VecDeque};
use std::fmt;

/// Allocations of a tenant whose end by eviction or revocation is remembered.
const ENDED_MAX: usize = 4_096;
const OBSERVED: &str = "observed-";

/// An allocation id, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    /// The governor's grant of this id holds the bytes.
    Grant(GrantId),
    /// Nothing was granted; see `observe.rs`.
    Observed(u64),
}

impl Key {
    /// The key of an id, if it is one that was ever written by [`fmt::Display`].
    pub(super) fn parse(allocation_id: &str) -> Option<Self> {
        let key = match allocation_id.strip_prefix(OBSERVED) {
            Some(number) => Self::Observed(number.parse().ok()?),
            None => Self::Grant(GrantId::from_u64(u64::from_str_radix(allocation_id, 16).ok()?)),
        };
        (key.to_string() == allocation_id).then_some(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grant(id) => write!(f, "{id}"),
            Self::Observed(number) => write!(f, "{OBSERVED}{number}"),
        }
    }
}

/// One live allocation.
pub(super) struct Record {
    pub model: String,
    pub kind: AllocationType,
    /// What the governor granted; nothing, if the allocation is only observed.
    pub grant: Option<OwnedGrant>,
    /// Bytes beyond the budget that were granted while only observing.
    pub observed_bytes: u64,
    pub pinned: bool,
    /// Its owner is being asked to free it, or was and has not answered yet; nobody else asks
    /// meanwhile.
    pub asking: bool,
}

impl Record {
    pub(super) fn new(model: String, kind: AllocationType) -> Self {
        Self { model, kind, grant: None, observed_bytes: 0, pinned: false, asking: false }
    }

    pub(super) fn granted(self, grant: OwnedGrant) -> Self {
        Self { grant: Some(grant), ..self }
    }

    pub(super) fn observed(self, bytes: u64) -> Self {
        Self { observed_bytes: bytes, ..self }
    }

    /// Bytes of the governor's budget.
    pub(super) fn granted_bytes(&self) -> u64 {
        self.grant.as_ref().map_or(0, OwnedGrant::bytes)
    }

    /// M2.
    pub(super) fn bytes(&self) -> u64 {
        self.granted_bytes().saturating_add(self.observed_bytes)
    }
}

/// How an allocation ended without its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Evicted,
    Revoked,
}

impl End {
    pub(super) fn name(self) -> &'static str {
        ["evicted", "revoked"][self as usize]
    }
}

/// Why a record is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shut {
    Hold(TenantHold),
    Gone,
}

/// Everything that is kept of a tenant, behind its mutex.
#[derive(Default)]
pub(super) struct Held {
    pub name: String,
    pub hold: TenantHold,
    /// Unregistered: nothing enters any more.
    pub gone: bool,
    pub observed: ObservedLog,
    pub records: HashMap<Key, Record>,
    pub places: Places,
    ended: HashMap<Key, End>,
    /// Oldest first; some may have been asked for by their owner since.
    ended_order: VecDeque<Key>,
}

impl Held {
    pub(super) fn new(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    /// R3.
    pub(super) fn shut(&self) -> Option<Shut> {
        match self.hold {
            _ if self.gone => Some(Shut::Gone),
            TenantHold::None => None,
            hold => Some(Shut::Hold(hold)),
        }
    }

    /// Bytes of all records.
    pub(super) fn bytes(&self) -> u64 {
        self.records.values().fold(0, |sum, record| sum.saturating_add(record.bytes()))
    }

    /// The owner of an allocation has answered: it may be asked for again, if it is still there.
    pub(super) fn note_answered(&mut self, key: Key) {
        if let Some(record) = self.records.get_mut(&key) {
            record.asking = false;
        }
    }

    /// Ends an allocation without its owner, who learns at the next call.
    pub(super) fn end(&mut self, key: Key, how: End) -> Option<Record> {
        let record = self.records.remove(&key)?;
        if self.ended_order.len() == ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
        self.ended_order.push_back(key);
        self.ended.insert(key, how);
        Some(record)
    }

    /// How an allocation ended without its owner.
    pub(super) fn ended(&self, key: Key) -> Option<End> {
        self.ended.get(&key).copied()
    }

    /// The same, told once.
    pub(super) fn take_ended(&mut self, key: Key) -> Option<End> {
        self.ended.remove(&key)
    }
}
