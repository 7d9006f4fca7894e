//! Asking for memory.

use crate::denial::{allot_denial, refused};
use crate::governor::{ALLOT_FOREVER, ALLOT_UNKNOWN, allot_governor};
use crate::grant::allot_grant;
use crate::guard::{Answer, Fault, at_once, call, call_held, call_with_callbacks};
use crate::pointer::{Out, OutStruct, Versioned, look, out, out_struct_optional, read, read_all};
use crate::status::{ALLOT_ERROR_CONFIG, ALLOT_ERROR_ENUM, ALLOT_OK, allot_status};
use crate::tenant::allot_tenant;
use allotment::{AllocationType, Grant, GrantId, Refusal, Request, Reservation, TenantHandle};
use std::time::Duration;

/// What memory is taken for. Decides who goes first when memory is short.
pub type allot_allocation_type = u32;

/// Weights: persistent, not evicted unless marked evictable.
pub const ALLOT_MODEL_LOAD: allot_allocation_type = 0;
/// A running request.
pub const ALLOT_INFERENCE: allot_allocation_type = 1;
/// Results and KV blocks that can be rebuilt.
pub const ALLOT_CACHE: allot_allocation_type = 2;
/// Work nobody waits for.
pub const ALLOT_BACKGROUND: allot_allocation_type = 3;

/// A loaded model may be evicted. Other types always may.
pub const ALLOT_REQUEST_EVICTABLE: u32 = 1;
/// The grant is pinned from the start: never evicted until it is unpinned.
pub const ALLOT_REQUEST_PINNED: u32 = 2;

/// Most requests in one allot_request_all.
pub const ALLOT_BATCH_MAX: u64 = 64;

/// What is asked for. Begin with ALLOT_REQUEST_SPEC_INIT, and set tenant, allocation_type and
/// bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_request_spec {
    /// sizeof(allot_request_spec).
    pub struct_size: u32,
    /// What the memory is taken for.
    pub allocation_type: allot_allocation_type,
    /// Who asks.
    pub tenant: allot_tenant,
    /// How much, 1 byte to 16 TiB less one byte.
    pub bytes: u64,
    /// Names the content, so that its frequency is remembered when it is evicted and comes back; 0:
    /// no name.
    pub key: u64,
    /// A number of the caller's own, handed back with the victim when the grant is evicted.
    pub cookie: u64,
    /// For how long the content is good, in ns; an expired grant goes before all others.
    /// ALLOT_FOREVER: it does not expire.
    pub ttl_ns: u64,
    /// What it costs to rebuild the content, in any unit the tenant uses for all its requests; 0
    /// counts as 1.
    pub cost: u32,
    /// ALLOT_REQUEST_EVICTABLE, ALLOT_REQUEST_PINNED, both or 0.
    pub flags: u32,
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_request_spec {
    const SIZE_MIN: usize = 56;
}

impl Default for allot_request_spec {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            allocation_type: ALLOT_MODEL_LOAD,
            tenant: 0,
            bytes: 0,
            key: 0,
            cookie: 0,
            ttl_ns: ALLOT_FOREVER,
            cost: 1,
            flags: 0,
        }
    }
}

impl allot_request_spec {
    #[inline(always)]
    pub(crate) fn checked(&self) -> Result<Request, Fault> {
        let kind = AllocationType::ALL.get(self.allocation_type as usize);
        let known = ALLOT_REQUEST_EVICTABLE | ALLOT_REQUEST_PINNED;
        let (Some(&kind), 0) = (kind, self.flags & !known) else {
            return Err(ALLOT_ERROR_ENUM.into());
        };
        let request = Request::new(TenantHandle::from_u64(self.tenant), kind, self.bytes)
            .key(self.key)
            .cookie(self.cookie)
            .cost(self.cost)
            .evictable(self.flags & ALLOT_REQUEST_EVICTABLE != 0)
            .pinned(self.flags & ALLOT_REQUEST_PINNED != 0);
        Ok(match self.ttl_ns {
            ALLOT_FOREVER => request,
            ttl_ns => request.ttl(Duration::from_nanos(ttl_ns)),
        })
    }
}

/// The usual answer, straight through: bytes of which there is nothing more to say are there. One
/// for each verb, so that it is compiled into it.
///
/// # Safety
///
/// As the header says.
#[inline(always)]
unsafe fn granted_at_once<const MAY_EVICT: bool>(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    out_grant: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> Option<allot_status> {
    // SAFETY: as the caller says.
    unsafe {
        at_once(governor, |governor| {
            let spec = look(request)?;
            let out_grant = out(out_grant).ok()?;
            out_struct_optional(out_denial).ok()?;
            let plain = spec.key | spec.cookie | u64::from(spec.flags) == 0;
            let kind = AllocationType::ALL.get(spec.allocation_type as usize)?;
            if !plain || spec.ttl_ns != ALLOT_FOREVER {
                return None;
            }
            let tenant = TenantHandle::from_u64(spec.tenant);
            let request = Request::new(tenant, *kind, spec.bytes).cost(spec.cost);
            out_grant.write(governor.inner.grant_at_once(&request)?.get());
            Some(ALLOT_OK)
        })
    }
}

/// Writes the answer to a request.
#[inline(always)]
pub(crate) fn answer(
    answer: Result<GrantId, Refusal>,
    out_grant: Out<allot_grant>,
    out_denial: Option<OutStruct<allot_denial>>,
) -> Answer {
    match answer {
        Ok(grant) => {
            out_grant.write(grant.as_u64());
            Ok(ALLOT_OK)
        }
        Err(refusal) => refused(refusal, out_denial),
    }
}

/// Asks for memory: looks and answers, evicts nothing. Goes before requests that wait if it fits
/// while they do not.
///
/// Owns: the caller the grant, to be given back by allot_grant_release. Threads: any. Blocks: no;
/// no lock, no allocation, no system call, bounded steps. Returns: ALLOT_OK and *out_grant;
/// ALLOT_DENIED and *out_denial, which may be NULL; ALLOT_ERROR_GONE, ALLOT_ERROR_FOREIGN for the
/// tenant; ALLOT_ERROR_ZERO_BYTES; ALLOT_ERROR_TOO_LARGE; ALLOT_ERROR_ENUM. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_try_request(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    out_grant: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        match granted_at_once::<false>(governor, request, out_grant, out_denial) {
            Some(status) => status,
            None => try_request_in_full(governor, request, out_grant, out_denial),
        }
    }
}

#[inline(never)]
unsafe fn try_request_in_full(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    out_grant: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let request = read(request)?.checked()?;
            let out_grant = out(out_grant)?;
            let out_denial = out_struct_optional(out_denial)?;
            let granted = governor.inner.try_request(&request);
            answer(granted.map(Grant::into_id), out_grant, out_denial)
        })
    }
}

/// Asks for memory, and evicts what may go when it is short: the tenant's own grants at its own
/// limit, those of others below it when the pool or a group is short.
///
/// Owns: the caller the grant, to be given back by allot_grant_release. Threads: any. Blocks: as
/// long as reclaim callbacks take, which it calls with nothing held; if the memory is there it is
/// allot_try_request. Returns: as allot_try_request. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_request(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    out_grant: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        match granted_at_once::<true>(governor, request, out_grant, out_denial) {
            Some(status) => status,
            None => request_in_full(governor, request, out_grant, out_denial),
        }
    }
}

#[inline(never)]
unsafe fn request_in_full(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    out_grant: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_with_callbacks(governor, |governor| {
            let request = read(request)?.checked()?;
            let out_grant = out(out_grant)?;
            let out_denial = out_struct_optional(out_denial)?;
            let granted = governor.inner.request(&request);
            answer(granted.map(Grant::into_id), out_grant, out_denial)
        })
    }
}

/// Asks for several grants, of one or several tenants: all of them or none. Evicts nothing.
///
/// requests points to count structs one after the other, all of the struct_size of the first;
/// out_grants has room for count grants. Of no requests all are granted.
///
/// Owns: the caller the grants. Threads: any. Blocks: no; allocates. Returns: ALLOT_OK and
/// out_grants; ALLOT_DENIED and *out_denial for the first that was refused; ALLOT_ERROR_CONFIG for
/// more than ALLOT_BATCH_MAX; errors as for allot_try_request. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_request_all(
    governor: *mut allot_governor,
    requests: *const allot_request_spec,
    count: u64,
    out_grants: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            if count > ALLOT_BATCH_MAX {
                let message = format!("{count} in one batch; at most {ALLOT_BATCH_MAX}: split it");
                return Err(Fault::Told(ALLOT_ERROR_CONFIG, message.into()));
            }
            let requests: Vec<Request> = read_all(requests, count as usize)?
                .iter()
                .map(allot_request_spec::checked)
                .collect::<Result<_, _>>()?;
            if count > 0 {
                out(out_grants)?;
            }
            let out_denial = out_struct_optional(out_denial)?;
            match governor.inner.request_all(&requests) {
                Ok(grants) => {
                    for (place, grant) in grants.into_iter().enumerate() {
                        out_grants.add(place).write(grant.into_id().as_u64());
                    }
                    Ok(ALLOT_OK)
                }
                Err(refusal) => refused(refusal, out_denial),
            }
        })
    }
}

/// Sets bytes aside for up to ttl_ns for a grant that is still being prepared: counted, never
/// evicted, and given back unless allot_grant_commit is called in time. Evicts like allot_request.
///
/// Owns: the caller the grant to be; allot_grant_release gives it back early. Threads: any. Blocks:
/// as allot_request. Returns: as allot_request. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_reserve(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    ttl_ns: u64,
    out_grant: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_with_callbacks(governor, |governor| {
            let request = read(request)?.checked()?;
            let out_grant = out(out_grant)?;
            let out_denial = out_struct_optional(out_denial)?;
            let reserved = governor.inner.reserve(&request, Duration::from_nanos(ttl_ns));
            answer(reserved.map(Reservation::into_id), out_grant, out_denial)
        })
    }
}

/// Asks for memory, and where waiting can help waits for up to wait_ns_max for its turn: first in
/// first out within the tenant, and fair between tenants by weight.
///
/// Owns: the caller the grant. Threads: any. Blocks: for up to wait_ns_max by the governor's clock,
/// and as long as reclaim callbacks take. Returns: as allot_request, with
/// ALLOT_REASON_WAITED_TOO_LONG and ALLOT_REASON_WAITERS_EXHAUSTED; ALLOT_ERROR_GONE if the tenant
/// was unregistered meanwhile. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_acquire(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    wait_ns_max: u64,
    out_grant: *mut allot_grant,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            let request = read(request)?.checked()?;
            let out_grant = out(out_grant)?;
            let out_denial = out_struct_optional(out_denial)?;
            let acquired = governor.inner.acquire(&request, Duration::from_nanos(wait_ns_max));
            answer(acquired.map(Grant::into_id), out_grant, out_denial)
        })
    }
}

/// The most bytes, at most those asked for, that the request could be granted now, counting what
/// would be evicted for it. Changes nothing. How much tenants of equal priority would give up
/// depends on how much is asked for; where whole grants may not go it is an upper bound.
///
/// Threads: any. Blocks: on the administrative mutex; allocates; steps grow with tenants and
/// grants. Returns: ALLOT_OK and *out_bytes; errors as for allot_try_request. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_attainable(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    out_bytes: *mut u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let request = read(request)?.checked()?;
            let out_bytes = out(out_bytes)?;
            out_bytes.write(governor.inner.attainable(&request)?);
            Ok(ALLOT_OK)
        })
    }
}

/// How long the request would wait if it were queued now, in ns, by the rate at which waiters were
/// served lately; ALLOT_UNKNOWN if that is not known, and wherever waiting cannot help. Changes
/// nothing.
///
/// Threads: any. Blocks: as allot_attainable. Returns: ALLOT_OK and *out_wait_ns; errors as for
/// allot_try_request. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_estimate_wait(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    out_wait_ns: *mut u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let request = read(request)?.checked()?;
            let out_wait_ns = out(out_wait_ns)?;
            // Says what is wrong with a request, which an estimate does not.
            governor.inner.attainable(&request)?;
            out_wait_ns.write(ns_of(governor.inner.estimated_wait(&request)));
            Ok(ALLOT_OK)
        })
    }
}

pub(crate) fn ns_of(time: Option<Duration>) -> u64 {
    time.map_or(ALLOT_UNKNOWN, |time| u64::try_from(time.as_nanos()).unwrap_or(ALLOT_UNKNOWN))
}
