//! Whether this process made a governor, or is a fork of the one that did.
//!
//! ```text
//! epoch of the process   grows with each fork, in the child, before any other code of it runs
//! ```
//!
//! The tables of a governor come along into a fork, its threads do not. So in the child every call
//! is refused, and nothing is given back: the bookkeeping is the parent's.

use std::sync::Once;
use std::sync::atomic::Ordering;

#[expect(clippy::disallowed_types, reason = "no part of the core's models")]
type Epoch = std::sync::atomic::AtomicU32;

static NOW: Epoch = Epoch::new(0);

/// The epoch of this process; from the first call on forks are seen.
pub(crate) fn epoch() -> u32 {
    watch();
    now()
}

/// The same, once it was called.
#[inline]
pub(crate) fn now() -> u32 {
    // Relaxed: it changes in a child alone, before any other thread of it exists.
    NOW.load(Ordering::Relaxed)
}

fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        #[cfg(unix)]
        {
            extern "C" fn in_child() {
                // Relaxed: the child has one thread yet.
                NOW.fetch_add(1, Ordering::Relaxed);
                crate::attach::forget_others();
            }
            // SAFETY: the handler stores to two atomics, which is safe in the child of any process.
            // Where the system has no room for it, forks are not seen; nothing else changes.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        }
    });
}
