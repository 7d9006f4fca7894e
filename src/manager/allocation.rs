//! Requests, one by one and in batches, and their answers. Releases and growth: `change.rs`.

use super::config::MIB;
use super::error::MemoryError;
use super::queue::Again;
use super::record::{Key, Record, Shut};
use super::statistics::{Count, Timing};
use super::tenant::Tenant;
use super::{MultiTenantMemoryManager, lock};
use crate::config::{AllocationType, TenantId};
use crate::error::{AccountName, Denial, Error, Refusal};
use crate::request::Request;
use std::sync::Arc;

/// Most MiB of one allocation: what 44 bits of bytes hold.
const ALLOCATION_MB_MAX: u64 = ((1 << 44) - 1) / MIB;

/// What a tenant asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryAllocationRequest {
    /// Who asks.
    pub tenant_id: TenantId,
    /// How much, in MiB: 1 to 16777215.
    pub requested_memory_mb: u64,
    /// What for, in the tenant's own words: a model, a task. Need not be unique.
    pub model_name: String,
    /// What kind of use: decides who goes first when memory is short.
    pub allocation_type: AllocationType,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryAllocationResponse {
    /// The memory may be used until the allocation is released, or evicted.
    Granted {
        /// Names the allocation in later calls.
        allocation_id: String,
    },
    /// Not now, or not at all.
    Denied {
        /// One sentence: the limit, the shortfall, the largest holders, and what to do.
        reason: String,
        /// What this tenant could get now, in whole MiB, counting what would be evicted for it.
        available_memory_mb: u64,
    },
    /// Later: others hold what it needs, and it has its place in the queue. The same request
    /// (tenant, model, type and size) goes on from there: it is granted once its bytes came free,
    /// and they are kept for it meanwhile.
    ///
    /// Two tasks that ask for the same share one place: one of them is granted, and the other is
    /// a new request then. Give them different model names, or use
    /// [`acquire_allocation`](crate::MultiTenantMemoryManager::acquire_allocation), each call of
    /// which has a place of its own.
    ///
    /// Bytes that were assigned to a place lie idle until they are fetched, and others wait for
    /// them meanwhile: ask when this says, or rather earlier, or prefer `acquire_allocation`, which
    /// fetches them at once.
    Queued {
        /// After how many seconds to ask again, at least 1: the estimate of the wait; where nothing
        /// is known, what is left of the longest wait. The place is kept for
        /// [`queue_keep`](crate::ManagerOptions::queue_keep) beyond that, then it lapses.
        estimated_wait_time_secs: u64,
    },
}

/// The answer to a batch: all or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryBatchResponse {
    /// All were granted.
    Granted {
        /// Their ids, in the order of the requests.
        allocation_ids: Vec<String>,
    },
    /// None was granted.
    Denied {
        /// One sentence: the limit, the shortfall, the largest holders, and what to do.
        reason: String,
        /// What the tenant that was refused could get now, in whole MiB.
        available_memory_mb: u64,
    },
}

/// A request whose tenant was found.
#[derive(Clone)]
pub(super) struct Wanted {
    pub tenant: Arc<Tenant>,
    pub bytes: u64,
    pub model: String,
    pub kind: AllocationType,
}

impl Wanted {
    pub(super) fn request(&self) -> Request {
        Request::new(self.tenant.handle, self.kind, self.bytes)
    }

    pub(super) fn record(&self) -> Record {
        Record::new(self.model.clone(), self.kind)
    }

    /// Whether the denial is about this tenant's own account.
    fn is_named_by(&self, denial: &Denial) -> bool {
        denial.account == AccountName::Tenant(self.tenant.handle)
    }
}

/// The negative answer, in words.
pub(super) struct No {
    pub reason: String,
    pub available_bytes: u64,
    /// The governor's own, where it was the governor that refused.
    pub denial: Option<Box<Denial>>,
}

impl No {
    /// One that is not the governor's.
    pub fn new(reason: String, available_bytes: u64) -> Self {
        Self { reason, available_bytes, denial: None }
    }
}

/// Why nothing was granted.
pub(super) enum Refused {
    Denied(No),
    Misuse(MemoryError),
}

/// The answer to a request that was not refused.
pub(super) enum Given {
    Granted(Key),
    Queued { secs: u64 },
}

pub(super) type Answer = Result<MemoryAllocationResponse, MemoryError>;

/// The answer to one request, from the id of what was granted.
pub(super) fn answer(granted: Result<Key, Refused>) -> Answer {
    answer_given(granted.map(Given::Granted))
}

fn answer_given(given: Result<Given, Refused>) -> Answer {
    match given {
        Ok(Given::Granted(key)) => {
            Ok(MemoryAllocationResponse::Granted { allocation_id: key.to_string() })
        }
        Ok(Given::Queued { secs }) => {
            Ok(MemoryAllocationResponse::Queued { estimated_wait_time_secs: secs })
        }
        Err(Refused::Misuse(error)) => Err(error),
        Err(Refused::Denied(No { reason, available_bytes, .. })) => {
            let available_memory_mb = available_bytes / MIB;
            Ok(MemoryAllocationResponse::Denied { reason, available_memory_mb })
        }
    }
}

fn batch_answer(granted: Result<Vec<Key>, Refused>) -> Result<MemoryBatchResponse, MemoryError> {
    match granted {
        Ok(keys) => {
            let allocation_ids = keys.iter().map(Key::to_string).collect();
            Ok(MemoryBatchResponse::Granted { allocation_ids })
        }
        Err(Refused::Misuse(error)) => Err(error),
        Err(Refused::Denied(No { reason, available_bytes, .. })) => {
            let available_memory_mb = available_bytes / MIB;
            Ok(MemoryBatchResponse::Denied { reason, available_memory_mb })
        }
    }
}

impl MultiTenantMemoryManager {
    /// Requests memory. When it is short, what may go is evicted first: of the tenant itself at
    /// its own limit, of others when the pool is short. A denial says why and what to do.
    ///
    /// Where the pool or a group is short, and others could give back what is missing, the request
    /// is queued: asked again, it is granted in its turn, and denied when it has waited for too
    /// long. To await that instead: [`Self::acquire_allocation`]. At its own limit a tenant is
    /// denied, and nobody is queued while only observing.
    ///
    /// The owner of what is to go is asked first ([`Self::on_evict`]), and the calling thread is
    /// blocked meanwhile although this is `async`: for up to
    /// [`ManagerOptions::reclaim_timeout`](crate::ManagerOptions::reclaim_timeout) for each
    /// allocation that is asked for. On a runtime that is a thread of the executor's: let owners
    /// answer at once, or [`Deferred`](crate::ReclaimAnswer::Deferred), or request on a thread of
    /// your own. The same holds for [`Self::acquire_allocation`] and [`Self::grow_allocation`].
    ///
    /// A denial costs more than a grant: it adds up what could be evicted, over all tenants and
    /// their allocations. A tenant that asks in vain again and again is slowed down with
    /// [`Self::set_request_rate`], whose denials are cheap.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownTenant`], [`MemoryError::ZeroAmount`], [`MemoryError::TooLarge`].
    pub async fn request_allocation(&self, request: MemoryAllocationRequest) -> Answer {
        let wanted = self.wanted(request);
        answer_given(wanted.and_then(|wanted| self.request(&wanted)))
    }

    /// [`Self::request_allocation`], exact in bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::request_allocation`].
    pub async fn request_allocation_bytes(
        &self,
        tenant_id: TenantId,
        bytes: u64,
        model_name: &str,
        allocation_type: AllocationType,
    ) -> Answer {
        let model = model_name.to_string();
        let wanted = self.wanted_bytes(tenant_id, bytes, model, allocation_type);
        answer_given(wanted.and_then(|wanted| self.request(&wanted)))
    }

    /// Requests several allocations, at most 64, possibly of several tenants: all are granted, or
    /// none, at once. Evicts nothing, and is never queued. No requests at all are granted: no ids.
    ///
    /// # Errors
    ///
    /// As [`Self::request_allocation`] for any of them; [`MemoryError::Config`] for too many.
    pub async fn request_allocations(
        &self,
        requests: Vec<MemoryAllocationRequest>,
    ) -> Result<MemoryBatchResponse, MemoryError> {
        let wanted: Result<Vec<Wanted>, Refused> =
            requests.into_iter().map(|request| self.wanted(request)).collect();
        batch_answer(wanted.and_then(|wanted| self.request_all(&wanted)))
    }

    pub(super) fn wanted(&self, request: MemoryAllocationRequest) -> Result<Wanted, Refused> {
        let bytes = amount_bytes(request.requested_memory_mb).map_err(Refused::Misuse)?;
        let MemoryAllocationRequest { tenant_id, model_name, allocation_type, .. } = request;
        self.wanted_bytes(tenant_id, bytes, model_name, allocation_type)
    }

    /// Finds the tenant. A manager whose configuration was refused has none, and says so.
    pub(super) fn wanted_bytes(
        &self,
        tenant_id: TenantId,
        bytes: u64,
        model: String,
        kind: AllocationType,
    ) -> Result<Wanted, Refused> {
        if let Some(fault) = &self.inner.fault {
            let reason = format!("nothing is granted: the configuration was refused, {fault}");
            return Err(Refused::Denied(No::new(reason, 0)));
        }
        let tenant = self.tenant(tenant_id).map_err(Refused::Misuse)?;
        Ok(Wanted { tenant, bytes, model, kind })
    }

    fn request(&self, wanted: &Wanted) -> Result<Given, Refused> {
        let timing = self.inner.begin(&wanted.tenant);
        let answer = self.decide(wanted);
        self.inner.finish_given(&wanted.tenant, &timing, &answer);
        answer
    }

    fn decide(&self, wanted: &Wanted) -> Result<Given, Refused> {
        if self.is_observe_only() {
            self.check_open(wanted)?;
            return self.request_observed(wanted).map(Given::Granted);
        }
        match self.ask_again(wanted)? {
            Again::Given(given) => Ok(given),
            Again::New { may_queue: true } => self.request_or_queue(wanted),
            Again::New { .. } => self.request_unqueued(wanted).map(Given::Granted),
        }
    }

    /// A request that is answered now.
    pub(super) fn request_unqueued(&self, wanted: &Wanted) -> Result<Key, Refused> {
        let grant = self.inner.governor.request_owned(&wanted.request());
        let grant = grant.map_err(|refusal| self.refused_by(wanted, refusal))?;
        self.keep(wanted, Key::Grant(grant.id()), wanted.record().granted(grant))
    }

    /// A request that nobody is refused and nothing is evicted for.
    pub(super) fn request_observed(&self, wanted: &Wanted) -> Result<Key, Refused> {
        let governor = &self.inner.governor;
        let (key, record) = match governor.try_request(&wanted.request()) {
            Ok(grant) => {
                let grant = grant.into_owned(governor);
                (Key::Grant(grant.id()), wanted.record().granted(grant))
            }
            Err(Refusal::Denied(denial)) => self.observe(wanted, &denial),
            Err(misuse) => return Err(self.refused_by(wanted, misuse)),
        };
        self.keep(wanted, key, record)
    }

    fn request_all(&self, wanted: &[Wanted]) -> Result<Vec<Key>, Refused> {
        let begin = |wanted: &Wanted| self.inner.begin(&wanted.tenant);
        let timings: Vec<Timing> = wanted.iter().map(begin).collect();
        let answer = self.decide_all(wanted);
        for (wanted, timing) in wanted.iter().zip(&timings) {
            self.inner.finish(&wanted.tenant, timing, &answer);
        }
        answer
    }

    fn decide_all(&self, wanted: &[Wanted]) -> Result<Vec<Key>, Refused> {
        wanted.iter().try_for_each(|wanted| self.check_open(wanted))?;
        let governor = &self.inner.governor;
        let requests: Vec<Request> = wanted.iter().map(Wanted::request).collect();
        let records: Vec<(Key, Record)> = match governor.request_all(&requests) {
            Ok(grants) => {
                let grants = grants.into_iter().map(|grant| grant.into_owned(governor));
                let records = wanted.iter().zip(grants);
                records.map(|(w, g)| (Key::Grant(g.id()), w.record().granted(g))).collect()
            }
            Err(Refusal::Misuse(error)) => {
                return Err(Refused::Misuse(misuse_of_any(error, wanted)));
            }
            Err(Refusal::Denied(denial)) => {
                let refused = wanted.iter().find(|wanted| wanted.is_named_by(&denial));
                let refused = refused.unwrap_or(&wanted[0]);
                // What was refused is the sum of what asked for the same account.
                let all = Wanted { bytes: denial.asked_bytes, ..refused.clone() };
                let no = self.denied(&all, &denial);
                if !self.is_observe_only() {
                    return Err(Refused::Denied(no));
                }
                wanted.iter().map(|wanted| self.observe_batch(wanted, &no.reason)).collect()
            }
        };
        let mut keys: Vec<Key> = Vec::with_capacity(records.len());
        for (at, (key, record)) in records.into_iter().enumerate() {
            match self.keep(&wanted[at], key, record) {
                Ok(key) => keys.push(key),
                Err(refused) => {
                    // Nobody has been told their ids.
                    wanted.iter().zip(keys).for_each(|(wanted, key)| wanted.tenant.forget(key));
                    return Err(refused);
                }
            }
        }
        Ok(keys)
    }

    /// Whether anything is granted to the tenant at all.
    pub(super) fn check_open(&self, wanted: &Wanted) -> Result<(), Refused> {
        let shut = lock(&wanted.tenant.held).shut();
        shut.map_or(Ok(()), |shut| Err(self.shut_out(wanted, shut)))
    }

    pub(super) fn shut_out(&self, wanted: &Wanted, shut: Shut) -> Refused {
        match shut {
            Shut::Gone => Refused::Misuse(MemoryError::UnknownTenant(wanted.tenant.id)),
            Shut::Hold(hold) => {
                wanted.tenant.statistics.get().note(Count::OtherCause);
                let reason = self.on_hold(&wanted.tenant, hold);
                Refused::Denied(No::new(reason, 0))
            }
        }
    }

    /// Enters what was granted. A tenant that was put on hold since it asked gets nothing.
    pub(super) fn keep(&self, wanted: &Wanted, key: Key, record: Record) -> Result<Key, Refused> {
        let mut held = lock(&wanted.tenant.held);
        if let Some(shut) = held.shut() {
            drop(held);
            drop(record);
            return Err(self.shut_out(wanted, shut));
        }
        held.records.insert(key, record);
        Ok(key)
    }

    /// The answer to a request that was refused, and does not wait.
    pub(super) fn refused_by(&self, wanted: &Wanted, refusal: Refusal) -> Refused {
        match refusal {
            Refusal::Denied(denial) => Refused::Denied(self.denied(wanted, &denial)),
            Refusal::Misuse(error) => {
                Refused::Misuse(MemoryError::of_tenant(error, wanted.tenant.id))
            }
        }
    }
}

fn misuse_of_any(error: Error, wanted: &[Wanted]) -> MemoryError {
    let gone = wanted.iter().find(|wanted| match &error {
        Error::Gone { number, .. } => wanted.tenant.handle.as_u64() == *number,
        _ => false,
    });
    match gone {
        Some(wanted) => MemoryError::UnknownTenant(wanted.tenant.id),
        None => error.into(),
    }
}

/// MiB of one allocation as bytes.
pub(super) fn amount_bytes(mb: u64) -> Result<u64, MemoryError> {
    match mb {
        0 => Err(MemoryError::ZeroAmount),
        1..=ALLOCATION_MB_MAX => Ok(mb * MIB),
        _ => Err(MemoryError::TooLarge { amount_mb: mb, max_mb: ALLOCATION_MB_MAX }),
    }
}
