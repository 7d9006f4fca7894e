//! What can be done with a grant. Every call names the tenant that holds it, so that nobody
//! returns or changes what is another's.

use crate::denial::{allot_denial, refused};
use crate::governor::allot_governor;
use crate::guard::{at_once, call, call_to_end, call_with_callbacks};
use crate::pointer::{out, out_struct_optional};
use crate::status::{ALLOT_EVICTED, ALLOT_OK, allot_status};
use crate::tenant::allot_tenant;
use allotment::{GrantId, Released, TenantHandle};
use std::time::Duration;

/// A grant of one governor, by value; never 0. Whoever has it holds its bytes until
/// allot_grant_release, or until it is evicted.
pub type allot_grant = u64;

fn named(tenant: allot_tenant, grant: allot_grant) -> (TenantHandle, GrantId) {
    (TenantHandle::from_u64(tenant), GrantId::from_u64(grant))
}

/// Gives a grant back. Exactly once: a second time is ALLOT_ERROR_STALE_GRANT and changes nothing.
/// One that was evicted has nothing to give back: it answers ALLOT_EVICTED, in the end
/// ALLOT_ERROR_STALE_GRANT as well, and need not be called.
///
/// Owns: takes the grant. Threads: any. Blocks: no; no lock, no allocation, no system call. While
/// requests wait it also hands over what came free. Returns: ALLOT_OK; ALLOT_EVICTED if it was
/// evicted meanwhile, and nothing is lost; ALLOT_ERROR_STALE_GRANT; ALLOT_ERROR_NOT_YOURS;
/// ALLOT_ERROR_FOREIGN; ALLOT_ERROR_GONE; ALLOT_ERROR_BUSY while another thread is changing it.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_release(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        at_once(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.release_at_once(tenant, grant).map(|()| ALLOT_OK)
        })
        .unwrap_or_else(|| release_in_full(governor, tenant, grant))
    }
}

#[inline(never)]
unsafe fn release_in_full(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_to_end(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            match governor.inner.release(tenant, grant)? {
                Released::Returned => Ok(ALLOT_OK),
                Released::Evicted => Ok(ALLOT_EVICTED),
            }
        })
    }
}

/// Adds bytes to a grant, without evicting.
///
/// Threads: any. Blocks: no; no lock, no allocation, no system call, bounded steps. Returns:
/// ALLOT_OK; ALLOT_DENIED and *out_denial, which may be NULL; ALLOT_EVICTED if it was evicted
/// meanwhile; errors as for allot_grant_release; ALLOT_ERROR_ZERO_BYTES; ALLOT_ERROR_TOO_LARGE.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_grow(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
    by_bytes: u64,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        at_once(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            out_struct_optional(out_denial).ok()?;
            governor.inner.grow_at_once(tenant, grant, by_bytes).map(|()| ALLOT_OK)
        })
        .unwrap_or_else(|| grow_in_full(governor, tenant, grant, by_bytes, out_denial))
    }
}

#[inline(never)]
unsafe fn grow_in_full(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
    by_bytes: u64,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let out_denial = out_struct_optional(out_denial)?;
            let (tenant, grant) = named(tenant, grant);
            let grown = governor.inner.grow(tenant, grant, by_bytes);
            grown.map_or_else(|refusal| refused(refusal, out_denial), |()| Ok(ALLOT_OK))
        })
    }
}

/// Adds bytes to a grant, and evicts like allot_request when memory is short; never the grant
/// itself.
///
/// Threads: any. Blocks: as long as reclaim callbacks take. Returns: as allot_grant_grow.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_grow_evicting(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
    by_bytes: u64,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_with_callbacks(governor, |governor| {
            let out_denial = out_struct_optional(out_denial)?;
            let (tenant, grant) = named(tenant, grant);
            let grown = governor.inner.grow_evicting(tenant, grant, by_bytes);
            grown.map_or_else(|refusal| refused(refusal, out_denial), |()| Ok(ALLOT_OK))
        })
    }
}

/// Gives back part of a grant; at least 1 byte stays.
///
/// Threads: any. Blocks: no; no lock, no allocation, no system call. Returns: ALLOT_OK;
/// ALLOT_EVICTED if it was evicted meanwhile; ALLOT_ERROR_SHRINK_TOO_MUCH; errors as for
/// allot_grant_release; ALLOT_ERROR_ZERO_BYTES. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_shrink(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
    by_bytes: u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        at_once(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.shrink_at_once(tenant, grant, by_bytes).map(|()| ALLOT_OK)
        })
        .unwrap_or_else(|| shrink_in_full(governor, tenant, grant, by_bytes))
    }
}

#[inline(never)]
unsafe fn shrink_in_full(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
    by_bytes: u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_to_end(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.shrink(tenant, grant, by_bytes)?;
            Ok(ALLOT_OK)
        })
    }
}

/// Grows or shrinks a grant to what was measured, at least 1 byte. Does not evict.
///
/// Threads: any. Blocks: no. Returns: as allot_grant_grow and allot_grant_shrink. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_true_up(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
    measured_bytes: u64,
    out_denial: *mut allot_denial,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let out_denial = out_struct_optional(out_denial)?;
            let (tenant, grant) = named(tenant, grant);
            let grown = governor.inner.true_up(tenant, grant, measured_bytes);
            grown.map_or_else(|refusal| refused(refusal, out_denial), |()| Ok(ALLOT_OK))
        })
    }
}

/// Tells the eviction queue that the content was used.
///
/// Threads: any. Blocks: no; a few plain accesses. Returns: ALLOT_OK; ALLOT_EVICTED if it was
/// evicted meanwhile; errors as for allot_grant_release. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_touch(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        at_once(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.touch_at_once(tenant, grant).map(|()| ALLOT_OK)
        })
        .unwrap_or_else(|| touch_in_full(governor, tenant, grant))
    }
}

#[inline(never)]
unsafe fn touch_in_full(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.touch(tenant, grant)?;
            Ok(ALLOT_OK)
        })
    }
}

/// Forbids eviction of a grant until allot_grant_unpin.
///
/// Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_EVICTED if it is too late; errors as for
/// allot_grant_release. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_pin(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.pin(tenant, grant)?;
            Ok(ALLOT_OK)
        })
    }
}

/// Allows eviction of a grant again.
///
/// Threads: any. Blocks: no. Returns: as allot_grant_pin. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_unpin(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.unpin(tenant, grant)?;
            Ok(ALLOT_OK)
        })
    }
}

/// Forbids eviction of a grant for so long from now on.
///
/// Threads: any. Blocks: no. Returns: as allot_grant_pin. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_keep_alive(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
    for_ns: u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.keep_alive(tenant, grant, Duration::from_nanos(for_ns))?;
            Ok(ALLOT_OK)
        })
    }
}

/// Makes a reservation a grant.
///
/// Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_ERROR_EXPIRED if its time ran out: its bytes
/// go back by allot_grant_release, or else by allot_balance; ALLOT_ERROR_NOT_RESERVED if it is a
/// grant already; errors as for allot_grant_release. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_commit(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.commit(tenant, grant)?;
            Ok(ALLOT_OK)
        })
    }
}

/// Keeps a victim that was polled or deferred: it is live again, and left alone for a while.
///
/// Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_ERROR_STALE_GRANT if it has ended or nobody
/// waits for it; errors as for allot_grant_release. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_decline(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let (tenant, grant) = named(tenant, grant);
            governor.inner.decline(tenant, grant)?;
            Ok(ALLOT_OK)
        })
    }
}

/// Bytes a grant holds now.
///
/// Threads: any. Blocks: no; a few loads. Returns: ALLOT_OK and *out_bytes; ALLOT_EVICTED if it was
/// evicted meanwhile; errors as for allot_grant_release. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_grant_bytes(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    grant: allot_grant,
    out_bytes: *mut u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let out_bytes = out(out_bytes)?;
            let (tenant, grant) = named(tenant, grant);
            out_bytes.write(governor.inner.bytes_of(tenant, grant)?);
            Ok(ALLOT_OK)
        })
    }
}
