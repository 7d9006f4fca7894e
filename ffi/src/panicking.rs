//! Functions that panic, for the tests of what becomes of a panic; not in the header.

use crate::governor::{allot_governor, allot_governor_free};
use crate::guard::{call, call_held};
use crate::pressure::allot_pressure_level;
use crate::reclaim::{allot_reclaim_answer, allot_victim};
use crate::status::allot_status;
use std::ffi::c_void;

/// A call that panics within the library.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_test_panic(governor: *mut allot_governor) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe { call(governor, |_| panic!("as the test wishes")) }
}

/// A call that panics once its last reference was given back within it, as a callback may.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_test_panic_at_the_end(
    governor: *mut allot_governor,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            allot_governor_free(std::ptr::from_ref(governor).cast_mut());
            panic!("as the test wishes")
        })
    }
}

/// A reclaim callback that panics.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn allot_test_panicking_reclaim(
    _: *mut allot_governor,
    _: *const allot_victim,
    _: *mut c_void,
) -> allot_reclaim_answer {
    panic!("as the test wishes")
}

/// A pressure callback that panics.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn allot_test_panicking_pressure(
    _: *mut allot_governor,
    _: allot_pressure_level,
    _: *mut c_void,
) {
    panic!("as the test wishes")
}

/// A ticket callback that panics.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn allot_test_panicking_ticket(
    _: *mut allot_governor,
    _: u64,
    _: *mut c_void,
) {
    panic!("as the test wishes")
}

/// A drop function that panics.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn allot_test_panicking_drop(_: *mut c_void) {
    panic!("as the test wishes")
}
