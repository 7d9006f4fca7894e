//! Who is asked for victims: a function of the caller's, or whoever polls.

use crate::callback::{UserData, allot_drop_fn};
use crate::governor::allot_governor;
use crate::grant::allot_grant;
use crate::guard::{Fault, call, call_held};
use crate::pointer::{Versioned, out_struct};
use crate::request::allot_allocation_type;
use crate::status::{ALLOT_NONE, ALLOT_OK, allot_status};
use crate::tenant::allot_tenant;
use allotment::{ReclaimAnswer, TenantHandle, Victim};
use std::ffi::c_void;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What an owner answers when its grant is chosen. Any other number counts as ALLOT_RECLAIM_BUSY.
pub type allot_reclaim_answer = u32;

/// The memory is free now; the grant has ended.
pub const ALLOT_RECLAIM_FREED: allot_reclaim_answer = 0;
/// The owner will call allot_grant_release, or allot_grant_decline: within promise_ns of the
/// configuration, or the grant counts as declined.
pub const ALLOT_RECLAIM_DEFERRED: allot_reclaim_answer = 1;
/// Not now: the grant is left alone for a while.
pub const ALLOT_RECLAIM_BUSY: allot_reclaim_answer = 2;

/// A grant that was chosen to go. Begin with ALLOT_VICTIM_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_victim {
    /// sizeof(allot_victim).
    pub struct_size: u32,
    /// What it was requested for.
    pub allocation_type: allot_allocation_type,
    /// Who holds it.
    pub tenant: allot_tenant,
    /// The grant.
    pub grant: allot_grant,
    /// Bytes it holds.
    pub bytes: u64,
    /// The number the caller gave it.
    pub cookie: u64,
    /// The name of its content.
    pub key: u64,
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_victim {
    const SIZE_MIN: usize = 48;
}

impl Default for allot_victim {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            allocation_type: 0,
            tenant: 0,
            grant: 0,
            bytes: 0,
            cookie: 0,
            key: 0,
        }
    }
}

impl From<&Victim> for allot_victim {
    fn from(victim: &Victim) -> Self {
        Self {
            allocation_type: victim.allocation_type as u32,
            tenant: victim.tenant.as_u64(),
            grant: victim.grant.as_u64(),
            bytes: victim.bytes,
            cookie: victim.cookie,
            key: victim.key,
            ..Self::default()
        }
    }
}

/// Asked for a victim: frees its memory and answers ALLOT_RECLAIM_FREED, or says what becomes of
/// it. Called with nothing held, by several threads at once, so it may call any function. The
/// victim is valid during the call; the governor as well, for longer with allot_governor_retain.
/// Must not jump; what it throws ends the process.
pub type allot_reclaim_fn = Option<
    unsafe extern "C-unwind" fn(
        governor: *mut allot_governor,
        victim: *const allot_victim,
        user_data: *mut c_void,
    ) -> allot_reclaim_answer,
>;

/// The handler for a function of the caller's. Knows the governor as long as there is one.
fn handler(
    governor: &allot_governor,
    function: allot_reclaim_fn,
    user_data: Arc<UserData>,
) -> impl Fn(&Victim) -> ReclaimAnswer + Send + Sync + 'static {
    let governor = Arc::downgrade(&governor.hold());
    move |victim| ask(&governor, function, &user_data, victim)
}

fn ask(
    governor: &Weak<allot_governor>,
    function: allot_reclaim_fn,
    user_data: &UserData,
    victim: &Victim,
) -> ReclaimAnswer {
    // A governor that is ending asks for nothing any more.
    let (Some(governor), Some(function)) = (governor.upgrade(), function) else {
        return ReclaimAnswer::Busy;
    };
    let victim = allot_victim::from(victim);
    let pointer = Arc::as_ptr(&governor).cast_mut();
    // SAFETY: the caller vouches for the function; what it is given is valid during the call.
    match unsafe { function(pointer, &raw const victim, user_data.pointer) } {
        ALLOT_RECLAIM_FREED => ReclaimAnswer::Freed,
        ALLOT_RECLAIM_DEFERRED => ReclaimAnswer::Deferred,
        _ => ReclaimAnswer::Busy,
    }
}

/// Sets who is asked for victims of tenants without a function of their own; NULL: nobody, they
/// are polled by allot_next_victim.
///
/// With timeout_ns 0 it runs on the thread that is short of memory, or balances: within
/// allot_request, allot_reserve, allot_acquire, allot_enqueue, allot_grant_grow_evicting,
/// allot_ticket_wait and allot_balance. With more it runs on a thread of the library's, and whoever
/// is short waits at most so long: without an answer in time the grant counts as busy, and one that
/// is freed later ends then.
///
/// Set it before other threads ask for memory: a call that began earlier does not expect that its
/// last reference is freed by a callback.
///
/// Owns: takes user_data if it answers ALLOT_OK, and gives it back by drop_fn. Threads: any.
/// Blocks: no. Returns: ALLOT_OK. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_on_reclaim(
    governor: *mut allot_governor,
    timeout_ns: u64,
    function: allot_reclaim_fn,
    user_data: *mut c_void,
    drop_fn: allot_drop_fn,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            governor.expect_callbacks();
            UserData::new(user_data, drop_fn).hand_over(|user_data| {
                match function {
                    None => governor.inner.clear_on_reclaim(),
                    function => governor.inner.on_reclaim_within(
                        Duration::from_nanos(timeout_ns),
                        handler(governor, function, user_data),
                    ),
                }
                Ok::<_, Fault>(ALLOT_OK)
            })
        })
    }
}

/// The same for victims of one tenant; NULL: those are asked of whom allot_on_reclaim has set.
///
/// Owns: takes user_data if it answers ALLOT_OK, and gives it back by drop_fn. Threads: any.
/// Blocks: on the administrative mutex. Returns: ALLOT_OK; ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_tenant_on_reclaim(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    timeout_ns: u64,
    function: allot_reclaim_fn,
    user_data: *mut c_void,
    drop_fn: allot_drop_fn,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            governor.expect_callbacks();
            let tenant = TenantHandle::from_u64(tenant);
            UserData::new(user_data, drop_fn).hand_over(|user_data| {
                match function {
                    None => governor.inner.clear_on_tenant_reclaim(tenant)?,
                    function => governor.inner.on_tenant_reclaim_within(
                        tenant,
                        Duration::from_nanos(timeout_ns),
                        handler(governor, function, user_data),
                    )?,
                }
                Ok::<_, Fault>(ALLOT_OK)
            })
        })
    }
}

/// The next victim of a tenant that has nobody to be asked. Its owner frees the memory and calls
/// allot_grant_release, or keeps it and calls allot_grant_decline; after promise_ns of the
/// configuration it counts as declined. Poll often.
///
/// Threads: any. Blocks: on a mutex, for moments. Returns: ALLOT_OK and *out_victim; ALLOT_NONE.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_next_victim(
    governor: *mut allot_governor,
    out_victim: *mut allot_victim,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let out_victim = out_struct(out_victim)?;
            let Some(victim) = governor.inner.next_victim() else { return Ok(ALLOT_NONE) };
            out_victim.write(&allot_victim::from(&victim));
            Ok(ALLOT_OK)
        })
    }
}
