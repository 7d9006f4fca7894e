//! What every call goes through first, and how it ends: the governor is looked at, a panic becomes
//! a status, an error leaves its message.
//!
//! A governor carries a *stamp*, which is compared with that of the process; one load each and one
//! comparison tell that all is well. The least significant bits on the right:
//!
//! ```text
//! magic:40 | broken:1 | epoch:23
//! ```
//!
//! The epoch of the process grows with each fork, in the child: there the governor's is older. A
//! panic in a call sets `broken`. A governor that was freed has no magic any more; who calls it all
//! the same is told so if the memory is still there.

use crate::governor::allot_governor;
use crate::message::tell;
use crate::status::{
    ALLOT_ERROR_FORKED, ALLOT_ERROR_NOT_A_GOVERNOR, ALLOT_ERROR_PANICKED, allot_status, of_error,
};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Once};

#[expect(clippy::disallowed_types, reason = "no part of the core's models")]
pub(crate) type Stamp = std::sync::atomic::AtomicU64;

const EPOCH_BITS: u32 = 23;
const BROKEN: u64 = 1 << EPOCH_BITS;
const MAGIC_SHIFT: u32 = EPOCH_BITS + 1;
/// "allot" in ASCII.
const MAGIC: u64 = 0x61_6c_6c_6f_74;

/// The stamp of a governor that was made by this process and is well.
static NOW: Stamp = Stamp::new(MAGIC << MAGIC_SHIFT);

/// Why a call did not do what it is for.
pub(crate) enum Fault {
    /// The status says it all.
    Status(allot_status),
    /// There is more to say.
    Told(allot_status, Box<str>),
}

/// What the body of a call comes to.
pub(crate) type Answer = Result<allot_status, Fault>;

impl From<allot_status> for Fault {
    fn from(status: allot_status) -> Self {
        Self::Status(status)
    }
}

impl From<allotment::Error> for Fault {
    #[cold]
    fn from(error: allotment::Error) -> Self {
        match of_error(&error) {
            status if status < 0 => Self::Told(status, error.to_string().into()),
            answer => Self::Status(answer),
        }
    }
}

/// The stamp for a governor that is made now; from then on forks are seen.
pub(crate) fn new_stamp() -> u64 {
    watch_forks();
    // Relaxed: it changes in a child process alone, before any other thread of it exists.
    NOW.load(Ordering::Relaxed)
}

fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        #[cfg(unix)]
        {
            extern "C" fn in_child() {
                // Relaxed: the child has one thread yet.
                NOW.fetch_add(1, Ordering::Relaxed);
            }
            // SAFETY: the handler does one thing, which is safe in the child of any process.
            // Where the system has no room for it, forks are not seen; nothing else changes.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        }
    });
}

/// Runs the body of a call on a governor that is well.
///
/// # Safety
///
/// `governor` is NULL, misaligned, or a governor to which the caller has a reference.
#[inline(always)]
pub(crate) unsafe fn call(
    governor: *mut allot_governor,
    body: impl FnOnce(&allot_governor) -> Answer,
) -> allot_status {
    // SAFETY: as the caller says.
    unsafe { call_if::<false>(governor, |_| None, body) }
}

/// The same for calls that give something back: a fault of the library does not keep it.
///
/// # Safety
///
/// As [`call`].
#[inline(always)]
pub(crate) unsafe fn call_to_end(
    governor: *mut allot_governor,
    body: impl FnOnce(&allot_governor) -> Answer,
) -> allot_status {
    // SAFETY: as the caller says.
    unsafe { call_if::<true>(governor, |_| None, body) }
}

/// Runs the body of a call that may run functions of the caller's, which may give the caller's
/// reference back: until it has ended, and a panic of it was noted, the library has one of its own.
///
/// # Safety
///
/// As [`call`].
pub(crate) unsafe fn call_held(
    governor: *mut allot_governor,
    body: impl FnOnce(&allot_governor) -> Answer,
) -> allot_status {
    // SAFETY: as the caller says.
    unsafe { call_if::<false>(governor, |governor| Some(governor.hold()), body) }
}

/// Both: [`call_held`] and [`call_to_end`].
///
/// # Safety
///
/// As [`call`].
pub(crate) unsafe fn call_held_to_end(
    governor: *mut allot_governor,
    body: impl FnOnce(&allot_governor) -> Answer,
) -> allot_status {
    // SAFETY: as the caller says.
    unsafe { call_if::<true>(governor, |governor| Some(governor.hold()), body) }
}

/// As [`call_held`], for calls that are to cost nothing more while there is no function to run.
///
/// # Safety
///
/// As [`call`].
#[inline(always)]
pub(crate) unsafe fn call_with_callbacks(
    governor: *mut allot_governor,
    body: impl FnOnce(&allot_governor) -> Answer,
) -> allot_status {
    // SAFETY: as the caller says.
    unsafe { call_if::<false>(governor, allot_governor::hold_for_callbacks, body) }
}

/// The usual case of a call, straight through: all is well, and the body answers at once. None if
/// not, and then nothing has happened: the call goes on in full.
///
/// # Safety
///
/// As [`call`].
#[inline(always)]
pub(crate) unsafe fn at_once(
    governor: *mut allot_governor,
    body: impl FnOnce(&allot_governor) -> Option<allot_status>,
) -> Option<allot_status> {
    // SAFETY: as the caller says.
    let governor = unsafe { crate::pointer::reference(governor) }.ok()?;
    // Relaxed: as in `new_stamp`.
    if governor.stamp() != NOW.load(Ordering::Relaxed) {
        return None;
    }
    catch_unwind(AssertUnwindSafe(|| body(governor))).unwrap_or_else(|panic| {
        governor.mark_broken(BROKEN);
        Some(tell(of_panic(panic)))
    })
}

#[inline(always)]
unsafe fn call_if<const ALSO_BROKEN: bool>(
    governor: *mut allot_governor,
    hold: impl FnOnce(&allot_governor) -> Option<Arc<allot_governor>>,
    body: impl FnOnce(&allot_governor) -> Answer,
) -> allot_status {
    // SAFETY: as the caller says.
    let governor = match unsafe { crate::pointer::reference(governor) } {
        Ok(governor) => governor,
        Err(fault) => return tell(fault),
    };
    let stamp = governor.stamp();
    // Relaxed: as in `new_stamp`.
    if stamp != NOW.load(Ordering::Relaxed)
        && let Err(fault) = explain_stamp(stamp, ALSO_BROKEN)
    {
        return tell(fault);
    }
    let held = hold(governor);
    let status = match catch_unwind(AssertUnwindSafe(|| body(governor))) {
        Ok(Ok(status)) => status,
        Ok(Err(fault)) => tell(fault),
        Err(panic) => {
            governor.mark_broken(BROKEN);
            tell(of_panic(panic))
        }
    };
    if let Some(held) = held {
        give_back(held);
    }
    status
}

/// Gives a reference back, which may be the last: then the governor ends here, and nothing may be
/// marked any more.
pub(crate) fn give_back(reference: Arc<allot_governor>) {
    catch_unwind(AssertUnwindSafe(|| drop(reference))).unwrap_or_else(let_go);
}

/// Whether a stamp is that of a governor of this process that is well, or at least not broken.
pub(crate) fn check_stamp(stamp: u64) -> Result<(), Fault> {
    explain_stamp(stamp, false)
}

#[cold]
fn explain_stamp(stamp: u64, also_broken: bool) -> Result<(), Fault> {
    // Relaxed: as in `new_stamp`.
    let now = NOW.load(Ordering::Relaxed);
    if stamp >> MAGIC_SHIFT != MAGIC {
        return Err(ALLOT_ERROR_NOT_A_GOVERNOR.into());
    }
    if (stamp ^ now) & (BROKEN - 1) != 0 {
        return Err(ALLOT_ERROR_FORKED.into());
    }
    match stamp & BROKEN {
        0 => Ok(()),
        _ if also_broken => Ok(()),
        _ => Err(ALLOT_ERROR_PANICKED.into()),
    }
}

/// Runs the body of a call that has no governor.
pub(crate) fn call_alone(body: impl FnOnce() -> Answer) -> allot_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(status)) => status,
        Ok(Err(fault)) => tell(fault),
        Err(panic) => tell(of_panic(panic)),
    }
}

/// Drops what was thrown. That may panic again, and what is thrown then is left where it is.
pub(crate) fn let_go(panic: Box<dyn Any + Send>) {
    catch_unwind(AssertUnwindSafe(|| drop(panic))).unwrap_or_else(std::mem::forget);
}

fn of_panic(panic: Box<dyn Any + Send>) -> Fault {
    let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "no message".to_string());
    let_go(panic);
    Fault::Told(ALLOT_ERROR_PANICKED, format!("the library panicked: {text}").into())
}
