//! What one tenant uses, and the pool.

use crate::governor::{ALLOT_UNKNOWN, ALLOT_UNLIMITED, allot_governor};
use crate::guard::call;
use crate::pointer::{Versioned, out_struct};
use crate::pressure::allot_pressure_level;
use crate::status::{ALLOT_OK, allot_status};
use crate::tenant::{
    ALLOT_ISOLATION_SOFT, ALLOT_PRIORITY_NORMAL, allot_isolation, allot_priority, allot_tenant,
};
use allotment::{Snapshot, TenantHandle, TenantSnapshot};

/// What a tenant uses. Begin with ALLOT_USAGE_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_usage {
    /// sizeof(allot_usage).
    pub struct_size: u32,
    /// Its priority.
    pub priority: allot_priority,
    /// The tenant.
    pub tenant: allot_tenant,
    /// Its id.
    pub id: [u8; 16],
    /// Bytes in live grants.
    pub used_bytes: u64,
    /// Bytes set aside for a request of the tenant that has waited long.
    pub set_aside_bytes: u64,
    /// Bytes that were measured; ALLOT_UNKNOWN.
    pub measured_bytes: u64,
    /// Bytes of those that are in no grant.
    pub unaccounted_bytes: u64,
    /// The most bytes in use at once.
    pub peak_bytes: u64,
    /// Bytes paid for: in use, guaranteed, or idle.
    pub claimed_bytes: u64,
    /// Floor.
    pub guarantee_bytes: u64,
    /// Ceiling in force; ALLOT_UNLIMITED: the parent's.
    pub limit_bytes: u64,
    /// Fair share as of the last step of the balancer.
    pub share_bytes: u64,
    /// Requests granted so far.
    pub granted: u64,
    /// Requests denied so far.
    pub denied: u64,
    /// Grants evicted so far.
    pub evicted: u64,
    /// Bytes of those.
    pub evicted_bytes: u64,
    /// Its isolation.
    pub isolation: allot_isolation,
    /// 1: the ceiling is lower than configured, because the tenant asks for nothing while memory is
    /// short.
    pub limit_lowered: u32,
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_usage {
    const SIZE_MIN: usize = 144;
}

impl Default for allot_usage {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            priority: ALLOT_PRIORITY_NORMAL,
            tenant: 0,
            id: [0; 16],
            used_bytes: 0,
            set_aside_bytes: 0,
            measured_bytes: ALLOT_UNKNOWN,
            unaccounted_bytes: 0,
            peak_bytes: 0,
            claimed_bytes: 0,
            guarantee_bytes: 0,
            limit_bytes: ALLOT_UNLIMITED,
            share_bytes: 0,
            granted: 0,
            denied: 0,
            evicted: 0,
            evicted_bytes: 0,
            isolation: ALLOT_ISOLATION_SOFT,
            limit_lowered: 0,
        }
    }
}

impl From<&TenantSnapshot> for allot_usage {
    fn from(tenant: &TenantSnapshot) -> Self {
        Self {
            priority: tenant.priority as u32,
            tenant: tenant.tenant.as_u64(),
            id: *tenant.id.as_bytes(),
            used_bytes: tenant.used_bytes,
            set_aside_bytes: tenant.set_aside_bytes,
            measured_bytes: tenant.measured_bytes.unwrap_or(ALLOT_UNKNOWN),
            unaccounted_bytes: tenant.unaccounted_bytes,
            peak_bytes: tenant.peak_bytes,
            claimed_bytes: tenant.claimed_bytes,
            guarantee_bytes: tenant.guarantee_bytes,
            limit_bytes: tenant.limit_bytes.unwrap_or(ALLOT_UNLIMITED),
            share_bytes: tenant.share_bytes,
            granted: tenant.granted,
            denied: tenant.denied,
            evicted: tenant.evicted,
            evicted_bytes: tenant.evicted_bytes,
            isolation: tenant.isolation as u32,
            limit_lowered: tenant.limit_lowered.into(),
            ..Self::default()
        }
    }
}

/// The whole. Begin with ALLOT_POOL_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_pool {
    /// sizeof(allot_pool).
    pub struct_size: u32,
    /// Pressure in force.
    pub pressure: allot_pressure_level,
    /// Bytes to share.
    pub capacity_bytes: u64,
    /// Bytes in live grants.
    pub live_bytes: u64,
    /// Bytes claimed by tenants and groups: in use, guaranteed, or idle.
    pub claimed_bytes: u64,
    /// Bytes that were measured of the process; ALLOT_UNKNOWN.
    pub measured_bytes: u64,
    /// Bytes that were measured and are in no grant.
    pub unaccounted_bytes: u64,
    /// Fair share for each unit of weight beyond the guarantees, as of the last step of the
    /// balancer.
    pub share_bytes: u64,
    /// Frees that were not seen in what was measured, so far.
    pub shortfalls: u64,
    /// Owners that did not answer in time when they were asked for a grant, so far.
    pub reclaim_timeouts: u64,
    /// Owners that panicked when they were asked, so far.
    pub reclaim_panics: u64,
    /// Registered groups.
    pub groups: u32,
    /// Registered tenants.
    pub tenants: u32,
    /// Requests that wait.
    pub waiters: u32,
    /// 0.
    pub reserved: u32,
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_pool {
    const SIZE_MIN: usize = 96;
}

impl Default for allot_pool {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            pressure: 0,
            capacity_bytes: 0,
            live_bytes: 0,
            claimed_bytes: 0,
            measured_bytes: ALLOT_UNKNOWN,
            unaccounted_bytes: 0,
            share_bytes: 0,
            shortfalls: 0,
            reclaim_timeouts: 0,
            reclaim_panics: 0,
            groups: 0,
            tenants: 0,
            waiters: 0,
            reserved: 0,
        }
    }
}

impl allot_pool {
    pub(crate) fn of(snapshot: &Snapshot, waiters: u32) -> Self {
        Self {
            pressure: snapshot.pressure as u32,
            capacity_bytes: snapshot.capacity_bytes,
            live_bytes: snapshot.live_bytes,
            claimed_bytes: snapshot.claimed_bytes,
            measured_bytes: snapshot.measured_bytes.unwrap_or(ALLOT_UNKNOWN),
            unaccounted_bytes: snapshot.unaccounted_bytes,
            share_bytes: snapshot.share_bytes,
            shortfalls: snapshot.shortfalls,
            reclaim_timeouts: snapshot.reclaim_timeouts,
            reclaim_panics: snapshot.reclaim_panics,
            groups: snapshot.groups,
            tenants: snapshot.tenants.len() as u32,
            waiters,
            ..Self::default()
        }
    }
}

/// What a tenant uses now. At rest used_bytes is the sum of its grants; while others go on each
/// figure is exact at the instant it is read.
///
/// Threads: any. Blocks: on the administrative mutex; allocates. Returns: ALLOT_OK and *out_usage;
/// ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_tenant_usage(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    out_usage: *mut allot_usage,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let out_usage = out_struct(out_usage)?;
            let usage = governor.inner.usage(TenantHandle::from_u64(tenant))?;
            out_usage.write(&(&usage).into());
            Ok(ALLOT_OK)
        })
    }
}

/// The figures of the whole. Those of allot_snapshot_pool, without keeping the tenants.
///
/// Threads: any. Blocks: on the administrative mutex; allocates; steps grow with the number of
/// tenants. Returns: ALLOT_OK and *out_pool. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_pool_usage(
    governor: *mut allot_governor,
    out_pool: *mut allot_pool,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let out_pool = out_struct(out_pool)?;
            let snapshot = governor.inner.snapshot();
            out_pool.write(&allot_pool::of(&snapshot, governor.inner.waiters()));
            Ok(ALLOT_OK)
        })
    }
}
