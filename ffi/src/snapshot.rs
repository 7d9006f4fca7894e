//! Everything at once: an object to look at, which nobody else changes.

use crate::governor::allot_governor;
use crate::guard::{Answer, call, call_alone};
use crate::pointer::{Buffer, out, out_optional, out_struct, reference};
use crate::status::{ALLOT_NONE, ALLOT_OK, allot_status};
use crate::usage::{allot_pool, allot_usage};
use allotment::TenantSnapshot;
use std::ffi::c_char;

/// What there was when it was taken: the pool and all tenants, in the order of their slots. Opaque;
/// any number of threads may look at one at once.
pub struct allot_snapshot {
    pool: allot_pool,
    tenants: Vec<TenantSnapshot>,
}

/// Reads everything in one pass.
///
/// Owns: the caller the snapshot, to be given back by allot_snapshot_free; it does not need the
/// governor any more. Threads: any. Blocks: on the administrative mutex; allocates. Returns:
/// ALLOT_OK and *out_snapshot. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_snapshot_take(
    governor: *mut allot_governor,
    out_snapshot: *mut *mut allot_snapshot,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let out_snapshot = out(out_snapshot)?;
            let taken = governor.inner.snapshot();
            let pool = allot_pool::of(&taken, governor.inner.waiters());
            let snapshot = Box::new(allot_snapshot { pool, tenants: taken.tenants });
            out_snapshot.write(Box::into_raw(snapshot));
            Ok(ALLOT_OK)
        })
    }
}

/// Gives a snapshot back. NULL does nothing.
///
/// Owns: takes the snapshot. Threads: any, once nobody looks at it. Blocks: no. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_snapshot_free(snapshot: *mut allot_snapshot) {
    if !snapshot.is_null() && snapshot.is_aligned() {
        call_alone(|| {
            // SAFETY: it was answered by `allot_snapshot_take`, and the caller gives it up.
            drop(unsafe { Box::from_raw(snapshot) });
            Ok(ALLOT_OK)
        });
    }
}

/// The whole, as it was.
///
/// Threads: any. Blocks: no. Returns: ALLOT_OK and *out_pool. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_snapshot_pool(
    snapshot: *const allot_snapshot,
    out_pool: *mut allot_pool,
) -> allot_status {
    call_alone(|| {
        // SAFETY: the contract of the header.
        let snapshot = unsafe { reference(snapshot) }?;
        // SAFETY: the contract of the header.
        let out_pool = unsafe { out_struct(out_pool) }?;
        out_pool.write(&snapshot.pool);
        Ok(ALLOT_OK)
    })
}

/// The tenant at a place, from 0 to one less than tenants of allot_snapshot_pool.
///
/// Threads: any. Blocks: no. Returns: ALLOT_OK and *out_usage; ALLOT_NONE behind the last.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_snapshot_tenant(
    snapshot: *const allot_snapshot,
    place: u64,
    out_usage: *mut allot_usage,
) -> allot_status {
    call_alone(|| {
        // SAFETY: the contract of the header.
        let snapshot = unsafe { reference(snapshot) }?;
        // SAFETY: the contract of the header.
        let out_usage = unsafe { out_struct(out_usage) }?;
        let Some(tenant) = snapshot.tenant(place) else { return Ok(ALLOT_NONE) };
        out_usage.write(&tenant.into());
        Ok(ALLOT_OK)
    })
}

/// What people call the tenant at a place: at most buffer_size bytes with a NUL, and in *out_length
/// how long the name is without it.
///
/// Owns: the caller the buffer. Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_TRUNCATED;
/// ALLOT_NONE behind the last. buffer may be NULL with size 0, out_length may be NULL. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_snapshot_tenant_name(
    snapshot: *const allot_snapshot,
    place: u64,
    buffer: *mut c_char,
    buffer_size: u64,
    out_length: *mut u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe { name(snapshot, place, (buffer, buffer_size), out_length, |tenant| &tenant.name) }
}

/// What people call the group of the tenant at a place; nothing if it is directly below the pool.
///
/// Owns: the caller the buffer. Threads: any. Blocks: no. Returns: as allot_snapshot_tenant_name.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_snapshot_group_name(
    snapshot: *const allot_snapshot,
    place: u64,
    buffer: *mut c_char,
    buffer_size: u64,
    out_length: *mut u64,
) -> allot_status {
    let group: Name = |tenant| tenant.group.as_deref().unwrap_or("");
    // SAFETY: the contract of the header.
    unsafe { name(snapshot, place, (buffer, buffer_size), out_length, group) }
}

type Name = for<'a> fn(&'a TenantSnapshot) -> &'a str;

unsafe fn name(
    snapshot: *const allot_snapshot,
    place: u64,
    (buffer, buffer_size): (*mut c_char, u64),
    out_length: *mut u64,
    name: Name,
) -> allot_status {
    call_alone(|| -> Answer {
        // SAFETY: the contract of the header.
        let snapshot = unsafe { reference(snapshot) }?;
        // SAFETY: the contract of the header.
        let buffer = unsafe { Buffer::new(buffer, buffer_size) }?;
        // SAFETY: the contract of the header.
        let out_length = unsafe { out_optional(out_length) }?;
        let Some(tenant) = snapshot.tenant(place) else { return Ok(ALLOT_NONE) };
        Ok(buffer.write(name(tenant), out_length))
    })
}

impl allot_snapshot {
    fn tenant(&self, place: u64) -> Option<&TenantSnapshot> {
        self.tenants.get(usize::try_from(place).ok()?)
    }
}
