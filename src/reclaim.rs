//! How owners are asked to free their grants: by a callback, or by polling.
//!
//! The governor marks the grant as being evicted and asks with nothing held, so a handler may call
//! any function of the governor. A handler that panics counts as busy. A tenant without a handler
//! is asked through [`Governor::next_victim`]: its victims count as being freed until they are
//! released or declined.

use crate::config::AllocationType;
use crate::core::events::EventKind;
use crate::core::evict::{Owners, ReclaimAnswer};
use crate::core::grants;
use crate::core::handle::{GrantId, TenantHandle};
use crate::core::sync::{Mutex, lock};
use crate::core::word::{SlotWord, State};
use crate::error::Error;
use crate::governor::{Governor, refusal};
use arc_swap::{ArcSwap, Guard};
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Victims that wait to be polled; further ones are left alone until some were taken.
const POLLED_MAX: usize = 65_536;

/// A grant that was chosen to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim {
    /// The grant.
    pub grant: GrantId,
    /// Who holds it.
    pub tenant: TenantHandle,
    /// What it was requested for.
    pub allocation_type: AllocationType,
    /// Bytes it holds.
    pub bytes: u64,
    /// The number the caller gave it.
    pub cookie: u64,
    /// The name of its content.
    pub key: u64,
}

type Handler = Arc<dyn Fn(&Victim) -> ReclaimAnswer + Send + Sync>;

/// The handlers, replaced whole when one changes, so that an eviction reads them without a lock.
#[derive(Clone, Default)]
struct Handlers {
    any: Option<Handler>,
    of: HashMap<TenantHandle, Handler>,
}

/// Handlers and the victims that wait to be polled.
#[derive(Default)]
pub(crate) struct Reclaim {
    handlers: ArcSwap<Handlers>,
    polled: Mutex<VecDeque<(GrantId, TenantHandle)>>,
}

impl Governor {
    /// Sets the handler that is asked for victims of tenants without a handler of their own.
    /// It runs on the thread that is short of memory (or balances), with nothing held.
    pub fn on_reclaim(&self, handler: impl Fn(&Victim) -> ReclaimAnswer + Send + Sync + 'static) {
        let handler: Handler = Arc::new(handler);
        self.reclaim.handlers.rcu(|now| {
            let mut next = Handlers::clone(now);
            next.any = Some(handler.clone());
            next
        });
    }

    /// Sets the handler that is asked for victims of one tenant.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the tenant is not registered.
    pub fn on_tenant_reclaim(
        &self,
        tenant: TenantHandle,
        handler: impl Fn(&Victim) -> ReclaimAnswer + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.check_registered(tenant)?;
        let handler: Handler = Arc::new(handler);
        self.reclaim.handlers.rcu(|now| {
            let mut next = Handlers::clone(now);
            next.of.insert(tenant, handler.clone());
            next
        });
        Ok(())
    }

    pub(crate) fn forget_handler(&self, tenant: TenantHandle) {
        if self.reclaim.handlers.load().of.contains_key(&tenant) {
            self.reclaim.handlers.rcu(|now| {
                let mut next = Handlers::clone(now);
                next.of.remove(&tenant);
                next
            });
        }
    }

    /// The next victim of a tenant without a handler. Its owner frees the memory and calls
    /// [`Governor::release`], or keeps it and calls [`Governor::decline`].
    pub fn next_victim(&self) -> Option<Victim> {
        loop {
            let (grant, tenant) = lock(&self.reclaim.polled).pop_front()?;
            if let Some(word) = self.waiting(grant) {
                let slot = grant.index();
                let owner = self.core.grants.owner(slot);
                let fields = self.core.grants.fields(slot);
                return Some(Victim {
                    grant,
                    tenant,
                    allocation_type: AllocationType::ALL[usize::from(owner.allocation_type())],
                    bytes: word.bytes(),
                    cookie: fields.cookie,
                    key: fields.key,
                });
            }
        }
    }

    /// Keeps a victim that was polled or deferred: it is live again, and left alone for a while.
    ///
    /// # Errors
    ///
    /// [`Error::StaleGrant`] if it has ended or nobody is waiting for it.
    pub fn decline(&self, tenant: TenantHandle, grant: GrantId) -> Result<(), Error> {
        let owner = self.owner(tenant, grant)?;
        let now_ns = self.clock().now_ns();
        let keep_until_ns = now_ns.saturating_add(self.config.busy_cooldown_ns.max(1));
        self.core
            .decline(grant.index(), grant.generation(), owner, keep_until_ns)
            .map_err(|refused| refusal(refused, grant))
    }

    /// Whether enough victims wait to be polled; those that have ended meanwhile do not count.
    fn polled_is_full(&self) -> bool {
        let mut polled = lock(&self.reclaim.polled);
        if polled.len() >= POLLED_MAX {
            polled.retain(|&(grant, _)| self.waiting(grant).is_some());
        }
        polled.len() >= POLLED_MAX
    }

    /// The word of a grant that waits for its owner.
    fn waiting(&self, grant: GrantId) -> Option<SlotWord> {
        let slot = grant.index();
        let word = self.core.grants.word(slot);
        let same = self.core.grants.generation(slot) == grant.generation();
        (same && word.state() == State::Deferred).then_some(word)
    }

    fn victim(&self, victim: &grants::Victim) -> Victim {
        let kind = usize::from(victim.owner.allocation_type());
        Victim {
            grant: GrantId::new(self.tag, victim.generation, victim.slot),
            tenant: self.tenant_handle(victim.owner),
            allocation_type: AllocationType::ALL[kind],
            bytes: victim.bytes,
            cookie: victim.fields.cookie,
            key: victim.fields.key,
        }
    }
}

/// The owners as they can be asked for the victims of one shortage: by the handlers there were
/// when it began.
pub(crate) struct Asking<'g> {
    governor: &'g Governor,
    handlers: Guard<Arc<Handlers>>,
}

impl Governor {
    /// The owners of grants, to be asked for victims.
    pub(crate) fn asking(&self) -> Asking<'_> {
        Asking { governor: self, handlers: self.reclaim.handlers.load() }
    }
}

impl Owners for Asking<'_> {
    fn reclaim(&self, victim: &grants::Victim) -> Option<ReclaimAnswer> {
        let (owner, place) = (victim.owner, (victim.slot, victim.generation));
        let (governor, handlers) = (self.governor, &self.handlers);
        let victim = governor.victim(victim);
        let Some(handler) = handlers.of.get(&victim.tenant).or(handlers.any.as_ref()) else {
            return governor.polled_is_full().then_some(ReclaimAnswer::Busy);
        };
        // A handler that panics has not freed anything it could vouch for.
        let asked = catch_unwind(AssertUnwindSafe(|| handler(&victim)));
        let answer = asked.unwrap_or(ReclaimAnswer::Busy);
        if answer == ReclaimAnswer::Freed {
            governor.note(EventKind::Evicted, owner, place, victim.bytes);
        }
        Some(answer)
    }

    fn hand_out(&self, victim: &grants::Victim) {
        let victim = self.governor.victim(victim);
        lock(&self.governor.reclaim.polled).push_back((victim.grant, victim.tenant));
    }
}
