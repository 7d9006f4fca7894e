//! What is done with an allocation that is held: release, shrink, grow, touch, pin.

use super::allocation::{Answer, Refused, Wanted, amount_bytes, answer};
use super::error::{MemoryError, amount_to_release};
use super::record::{Key, Record};
use super::{MultiTenantMemoryManager, lock};
use crate::GrantId;
use crate::config::TenantId;
use crate::error::{Error, Refusal};
use crate::grant::Released;

impl MultiTenantMemoryManager {
    /// Gives memory back: all of an allocation ends it, a part of it shrinks it.
    ///
    /// Answers [`Released::Evicted`] for an allocation that was evicted or revoked meanwhile: its
    /// memory is counted as free already, and nothing is lost. That is told once, for all of it,
    /// whatever part the call names; it is remembered for the last 4096 of a tenant. A later call
    /// answers [`MemoryError::UnknownAllocation`]: who releases in parts stops at the first
    /// [`Released::Evicted`].
    ///
    /// # Errors
    ///
    /// [`MemoryError::WrongAmount`] for more than it holds, [`MemoryError::UnknownAllocation`],
    /// [`MemoryError::ForeignAllocation`], [`MemoryError::UnknownTenant`],
    /// [`MemoryError::ZeroAmount`]; [`MemoryError::AllocationEnded`] for a part of an allocation
    /// that is just being evicted, or whose owner answered
    /// [`ReclaimAnswer::Deferred`](crate::ReclaimAnswer::Deferred): it is released whole.
    pub async fn release_allocation(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
        amount_mb: u64,
    ) -> Result<Released, MemoryError> {
        self.release_bytes(tenant_id, allocation_id, Some(amount_to_release(amount_mb)))
    }

    /// [`Self::release_allocation`], exact in bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::release_allocation`].
    pub async fn release_allocation_bytes(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
        amount_bytes: u64,
    ) -> Result<Released, MemoryError> {
        self.release_bytes(tenant_id, allocation_id, Some(amount_bytes))
    }

    /// Gives all of an allocation back, however much that is.
    ///
    /// # Errors
    ///
    /// As [`Self::release_allocation`], but for amounts.
    pub async fn release_allocation_whole(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
    ) -> Result<Released, MemoryError> {
        self.release_bytes(tenant_id, allocation_id, None)
    }

    /// Adds memory to an allocation, evicting like a request. Granted answers the same id. Growth
    /// is granted or denied, never queued: who holds memory while it waits for more can stand in
    /// its own way.
    ///
    /// # Errors
    ///
    /// As [`Self::request_allocation`], and [`MemoryError::UnknownAllocation`],
    /// [`MemoryError::ForeignAllocation`], [`MemoryError::AllocationEnded`].
    pub async fn grow_allocation(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
        additional_mb: u64,
    ) -> Answer {
        self.grow_bytes(tenant_id, allocation_id, amount_bytes(additional_mb)?)
    }

    /// [`Self::grow_allocation`], exact in bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::grow_allocation`].
    pub async fn grow_allocation_bytes(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
        additional_bytes: u64,
    ) -> Answer {
        self.grow_bytes(tenant_id, allocation_id, additional_bytes)
    }

    /// Says that the content was used: it is evicted later.
    ///
    /// # Errors
    ///
    /// [`MemoryError::UnknownAllocation`], [`MemoryError::ForeignAllocation`],
    /// [`MemoryError::AllocationEnded`], [`MemoryError::UnknownTenant`].
    pub async fn touch_allocation(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
    ) -> Result<(), MemoryError> {
        self.with_record(tenant_id, allocation_id, |record| match &record.grant {
            Some(grant) => grant.touch(),
            None => Ok(()),
        })
    }

    /// Forbids eviction of an allocation, or allows it again.
    ///
    /// # Errors
    ///
    /// As [`Self::touch_allocation`].
    pub async fn pin_allocation(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
        pinned: bool,
    ) -> Result<(), MemoryError> {
        self.with_record(tenant_id, allocation_id, |record| {
            if let Some(grant) = &record.grant {
                if pinned { grant.pin()? } else { grant.unpin()? }
            }
            record.pinned = pinned;
            Ok(())
        })
    }

    /// What is kept of an allocation, changed by `change` without waiting.
    pub(super) fn with_record(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
        mut change: impl FnMut(&mut Record) -> Result<(), Error>,
    ) -> Result<(), MemoryError> {
        let tenant = self.tenant(tenant_id)?;
        loop {
            let key = Key::parse(allocation_id);
            let done = {
                let mut held = lock(&tenant.held);
                key.and_then(|key| held.records.get_mut(&key)).map(&mut change)
            };
            match done {
                None => return Err(self.missing(&tenant, allocation_id)),
                // Another thread is at it for a few instructions.
                Some(Err(Error::Busy(_))) => std::thread::yield_now(),
                Some(answer) => {
                    let misuse = |e| MemoryError::of_allocation(e, allocation_id, tenant_id);
                    return answer.map_err(misuse);
                }
            }
        }
    }

    /// No amount: all there is.
    fn release_bytes(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
        amount: Option<u64>,
    ) -> Result<Released, MemoryError> {
        if amount == Some(0) {
            return Err(MemoryError::ZeroAmount);
        }
        let tenant = self.tenant(tenant_id)?;
        let Some(key) = Key::parse(allocation_id) else {
            return Err(self.missing(&tenant, allocation_id));
        };
        loop {
            let mut held = lock(&tenant.held);
            let Some(record) = held.records.get_mut(&key) else {
                if held.take_ended(key).is_some() {
                    return Ok(Released::Evicted);
                }
                drop(held);
                return Err(self.missing(&tenant, allocation_id));
            };
            let bytes = record.bytes();
            let amount = amount.unwrap_or(bytes);
            if amount > bytes {
                return Err(MemoryError::WrongAmount {
                    allocation_id: allocation_id.to_string(),
                    held_bytes: bytes,
                    amount_bytes: amount,
                });
            }
            if amount == bytes {
                let record = held.records.remove(&key);
                drop(held);
                return Ok(record.map_or(Released::Returned, end));
            }
            match shrink(record, amount) {
                Ok(()) => return Ok(Released::Returned),
                // Another thread is at it for a few instructions.
                Err(Error::Busy(_)) => {
                    drop(held);
                    std::thread::yield_now();
                }
                Err(e) => return Err(MemoryError::of_allocation(e, allocation_id, tenant_id)),
            }
        }
    }

    fn grow_bytes(&self, tenant_id: TenantId, allocation_id: &str, by: u64) -> Answer {
        answer(self.grow(tenant_id, allocation_id, by))
    }

    pub(super) fn grow(
        &self,
        tenant_id: TenantId,
        allocation_id: &str,
        by: u64,
    ) -> Result<Key, Refused> {
        if by == 0 {
            return Err(Refused::Misuse(MemoryError::ZeroAmount));
        }
        let tenant = self.tenant(tenant_id).map_err(Refused::Misuse)?;
        let growing = Key::parse(allocation_id).and_then(|key| {
            let held = lock(&tenant.held);
            let record = held.records.get(&key)?;
            let (model, kind) = (record.model.clone(), record.kind);
            let grant = record.grant.as_ref().map(|grant| grant.id());
            Some((key, grant, Wanted { tenant: tenant.clone(), bytes: by, model, kind }))
        });
        let Some((key, grant, wanted)) = growing else {
            return Err(Refused::Misuse(self.missing(&tenant, allocation_id)));
        };
        let misuse = |error| MemoryError::of_allocation(error, allocation_id, tenant_id);
        let timing = self.inner.begin(&tenant);
        let grown = self.check_open(&wanted).and_then(|()| match grant {
            None => self.grow_observed(&wanted, key),
            Some(grant) => match self.grow_grant(&wanted, grant) {
                Ok(()) => self.keep_growth(&wanted, key),
                Err(Refusal::Misuse(error)) => Err(Refused::Misuse(misuse(error))),
                Err(Refusal::Denied(denial)) if self.is_observe_only() => {
                    self.observe_growth(&wanted, key, &denial)
                }
                Err(denied) => Err(self.refused_by(&wanted, denied)),
            },
        });
        self.inner.finish(&tenant, &timing, &grown);
        grown
    }

    fn grow_grant(&self, wanted: &Wanted, grant: GrantId) -> Result<(), Refusal> {
        let (governor, tenant) = (&self.inner.governor, wanted.tenant.handle);
        loop {
            let answer = match self.is_observe_only() {
                true => governor.grow(tenant, grant, wanted.bytes),
                false => governor.grow_evicting(tenant, grant, wanted.bytes),
            };
            match answer {
                // Another thread is at it for a few instructions.
                Err(Refusal::Misuse(Error::Busy(_))) => std::thread::yield_now(),
                other => return other,
            }
        }
    }

    /// A tenant that was put on hold since its allocation grew gives the growth back, unless the
    /// allocation is being evicted: then it is told the truth, which is that it has grown.
    fn keep_growth(&self, wanted: &Wanted, key: Key) -> Result<Key, Refused> {
        loop {
            let held = lock(&wanted.tenant.held);
            let Some(shut) = held.shut() else { return Ok(key) };
            let grant = held.records.get(&key).and_then(|record| record.grant.as_ref());
            let given_back = grant.map_or(Ok(()), |grant| grant.shrink(wanted.bytes));
            drop(held);
            match given_back {
                Ok(()) => return Err(self.shut_out(wanted, shut)),
                Err(Error::Busy(_)) => std::thread::yield_now(),
                Err(_) => return Ok(key),
            }
        }
    }
}

/// Gives a part back: what was observed beyond the budget first. The record keeps at least a byte.
fn shrink(record: &mut Record, amount: u64) -> Result<(), Error> {
    let observed = amount.min(record.observed_bytes);
    if let (Some(grant), true) = (&record.grant, amount > observed) {
        grant.shrink(amount - observed)?;
    }
    record.observed_bytes -= observed;
    Ok(())
}

/// Returns all that a record holds.
pub(super) fn end(record: Record) -> Released {
    match record.grant.map(|grant| grant.release()) {
        None | Some(Ok(Released::Returned)) => Released::Returned,
        // Ended by force with its tenant, or evicted.
        Some(Ok(Released::Evicted) | Err(_)) => Released::Evicted,
    }
}
