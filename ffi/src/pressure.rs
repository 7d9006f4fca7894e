//! Pressure, what is measured, and the balancer's step.

use crate::callback::{UserData, allot_drop_fn};
use crate::governor::{ALLOT_UNKNOWN, allot_governor, flag};
use crate::guard::{Fault, call, call_held};
use crate::pointer::{Versioned, out, out_struct_optional};
use crate::status::{ALLOT_ERROR_ENUM, ALLOT_OK, allot_status};
use crate::tenant::allot_tenant;
use allotment::{BalanceReport, Pressure, TenantHandle};
use std::ffi::c_void;
use std::sync::Arc;

/// How short memory is.
pub type allot_pressure_level = u32;

/// There is enough.
pub const ALLOT_PRESSURE_NORMAL: allot_pressure_level = 0;
/// Background work and caches give way; bursts end.
pub const ALLOT_PRESSURE_HIGH: allot_pressure_level = 1;
/// Everything above its fair share gives way.
pub const ALLOT_PRESSURE_CRITICAL: allot_pressure_level = 2;

/// Told that the pressure in force is another one now. Called with nothing held, by one thread at a
/// time, so it may call any function. The governor is valid during the call. Must not jump; what it
/// throws ends the process.
pub type allot_pressure_fn = Option<
    unsafe extern "C-unwind" fn(
        governor: *mut allot_governor,
        level: allot_pressure_level,
        user_data: *mut c_void,
    ),
>;

/// Sets who is told when the pressure in force is another one than it was told last, at first
/// ALLOT_PRESSURE_NORMAL; NULL: nobody. Runs within allot_report_pressure,
/// allot_report_measured_process, allot_balance, and calls that evict, on the thread that calls
/// them; never within allot_try_request, allot_grant_grow and allot_grant_release. How full the
/// pool is, is looked at by allot_balance: without it nobody is told of that.
///
/// Owns: takes user_data if it answers ALLOT_OK, and gives it back by drop_fn. Threads: any.
/// Blocks: no. Returns: ALLOT_OK. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_on_pressure(
    governor: *mut allot_governor,
    function: allot_pressure_fn,
    user_data: *mut c_void,
    drop_fn: allot_drop_fn,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            governor.expect_callbacks();
            UserData::new(user_data, drop_fn).hand_over(|user_data| {
                let Some(function) = function else {
                    governor.inner.clear_on_pressure();
                    return Ok::<_, Fault>(ALLOT_OK);
                };
                let told = Arc::downgrade(&governor.hold());
                governor.inner.on_pressure(move |level| {
                    let Some(governor) = told.upgrade() else { return };
                    let pointer = Arc::as_ptr(&governor).cast_mut();
                    // The caller vouches for the function; what it is given is valid meanwhile.
                    function(pointer, level as u32, user_data.pointer);
                });
                Ok(ALLOT_OK)
            })
        })
    }
}

/// Reports how short the machine is: of what the operating system tells. It can only raise the
/// pressure that the pool's own fill makes.
///
/// Threads: any. Blocks: as long as a pressure callback takes. Returns: ALLOT_OK; ALLOT_ERROR_ENUM.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_report_pressure(
    governor: *mut allot_governor,
    level: allot_pressure_level,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            let level = Pressure::ALL.get(level as usize);
            let level = *level.ok_or(Fault::from(ALLOT_ERROR_ENUM))?;
            governor.inner.report_pressure(level);
            Ok(ALLOT_OK)
        })
    }
}

/// The pressure in force.
///
/// Threads: any. Blocks: no. Returns: ALLOT_OK and *out_level. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_pressure(
    governor: *mut allot_governor,
    out_level: *mut allot_pressure_level,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            out(out_level)?.write(governor.inner.pressure() as u32);
            Ok(ALLOT_OK)
        })
    }
}

/// Reports what a tenant really holds, in bytes, however it was measured; ALLOT_UNKNOWN: it is not
/// measured any more. What it holds beyond its grants counts as pressure from the next step of the
/// balancer on. No limit is measured by it.
///
/// Threads: any. Blocks: on mutexes, for moments. Returns: ALLOT_OK; ALLOT_ERROR_GONE;
/// ALLOT_ERROR_FOREIGN. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_report_measured(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    bytes: u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let tenant = TenantHandle::from_u64(tenant);
            governor.inner.report_measured(tenant, known(bytes))?;
            Ok(ALLOT_OK)
        })
    }
}

/// Reports what the process as a whole really holds, in bytes; ALLOT_UNKNOWN: it is not measured
/// any more. For processes that hold little beside what is granted here: all of it counts against
/// the capacity, at once.
///
/// Threads: any. Blocks: on a mutex, and as long as a pressure callback takes. Returns: ALLOT_OK.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_report_measured_process(
    governor: *mut allot_governor,
    bytes: u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            governor.inner.report_measured_process(known(bytes));
            Ok(ALLOT_OK)
        })
    }
}

fn known(bytes: u64) -> Option<u64> {
    (bytes != ALLOT_UNKNOWN).then_some(bytes)
}

/// What a step of the balancer saw and did. Begin with ALLOT_BALANCE_REPORT_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_balance_report {
    /// sizeof(allot_balance_report).
    pub struct_size: u32,
    /// Pressure before anything was freed.
    pub pressure: allot_pressure_level,
    /// Bytes in live grants before anything was freed.
    pub live_bytes: u64,
    /// Bytes that are free now.
    pub freed_bytes: u64,
    /// Bytes whose owners promised to free them.
    pub deferred_bytes: u64,
    /// Grants that ended.
    pub evicted_grants: u32,
    /// Reservations that were given back because nobody committed them.
    pub reservations_expired: u32,
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_balance_report {
    const SIZE_MIN: usize = 40;
}

impl Default for allot_balance_report {
    fn default() -> Self {
        Self::from(&BalanceReport::default())
    }
}

impl From<&BalanceReport> for allot_balance_report {
    fn from(report: &BalanceReport) -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            pressure: report.pressure as u32,
            live_bytes: report.live_bytes,
            freed_bytes: report.freed_bytes,
            deferred_bytes: report.deferred_bytes,
            evicted_grants: report.evicted_grants,
            reservations_expired: report.reservations_expired,
        }
    }
}

/// One step of the balancer; call it every second or so, from one thread or several. Gives back
/// what has run out, evaluates pressure and fair shares, and, with evicts 1, frees memory while it
/// is short; with evicts 0 it evicts nothing.
///
/// Threads: any. Blocks: as long as callbacks take; steps grow with the number of tenants. Returns:
/// ALLOT_OK and *out_report, which may be NULL; ALLOT_ERROR_ENUM. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_balance(
    governor: *mut allot_governor,
    evicts: u32,
    out_report: *mut allot_balance_report,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            let out_report = out_struct_optional(out_report)?;
            let report = match flag(evicts)? {
                true => governor.inner.balance(),
                false => governor.inner.balance_without_eviction(),
            };
            if let Some(out_report) = out_report {
                out_report.write(&(&report).into());
            }
            Ok(ALLOT_OK)
        })
    }
}
