//! Functions of the caller's: called with its user_data, and let go once.
//!
//! ```text
//! drop_fn(user_data) is called once for each callback that was taken, never for one that was
//! refused, and after the last call of the callback has returned
//! ```

use crate::guard::let_go;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[expect(clippy::disallowed_types, reason = "no part of the core's models")]
type Flag = std::sync::atomic::AtomicBool;

/// Lets user_data go: called once, when nobody will call the callback any more, on the thread that
/// replaced it, that ended what it was set for, or on which its last call has returned. May be
/// NULL. Must not throw or jump.
pub type allot_drop_fn = Option<unsafe extern "C-unwind" fn(user_data: *mut c_void)>;

/// What a callback is called with, and how that is let go.
pub(crate) struct UserData {
    pub(crate) pointer: *mut c_void,
    drop_fn: allot_drop_fn,
    taken: Flag,
}

// SAFETY: the contract says that callbacks and drop_fn are called from any thread.
unsafe impl Send for UserData {}
// SAFETY: the contract says that callbacks are called by several threads at once.
unsafe impl Sync for UserData {}

impl UserData {
    /// What a caller hands over, to be let go once it was taken.
    pub(crate) fn new(pointer: *mut c_void, drop_fn: allot_drop_fn) -> Arc<Self> {
        Arc::new(Self { pointer, drop_fn, taken: Flag::new(false) })
    }

    /// Runs what takes it; what was refused stays the caller's. The caller of this keeps a share
    /// until that is certain, so that nobody lets it go before.
    pub(crate) fn hand_over<T, E>(
        self: &Arc<Self>,
        take: impl FnOnce(Arc<Self>) -> Result<T, E>,
    ) -> Result<T, E> {
        let taken = take(self.clone())?;
        // Release: pairs with the Acquire in `drop`, on the thread that drops the last share.
        self.taken.store(true, Ordering::Release);
        Ok(taken)
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        // Acquire: pairs with the Release in `hand_over`.
        if let (Some(drop_fn), true) = (self.drop_fn, self.taken.load(Ordering::Acquire)) {
            // SAFETY: the caller vouches for the function, and it is called once.
            let ended = catch_unwind(AssertUnwindSafe(|| unsafe { drop_fn(self.pointer) }));
            ended.unwrap_or_else(let_go);
        }
    }
}
