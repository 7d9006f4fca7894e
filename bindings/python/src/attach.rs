//! How threads of the governor get to the interpreter, and that none does once it ends.
//!
//! ```text
//! inside : 31 | closed : 1       inside: threads that attach now, or have
//! closed and inside = 0          from then on no thread attaches by this door
//! ```
//!
//! A thread that asks for the interpreter while that ends is unwound, or hangs for ever. So the
//! last thing that Python does before it ends is to close this door, and to wait for whoever is
//! inside.
//! Nobody may hold a lock of the governor here: who has the interpreter may be waiting for it.

use crate::fork;
use pyo3::prelude::*;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_types, reason = "no part of the core's models")]
type Door = std::sync::atomic::AtomicU32;

const CLOSED: u32 = 1;
const ONE: u32 = 2;
/// How long the end waits for a callback that hangs.
const LEAVE_MAX: Duration = Duration::from_secs(2);

static DOOR: Door = Door::new(0);

/// A thread that is inside.
struct Pass {
    epoch: u32,
}

impl Pass {
    fn enter() -> Option<Self> {
        // Acquire, Release: what is done inside stays between entering and leaving.
        let before = DOOR.fetch_add(ONE, Ordering::AcqRel);
        let pass = Self { epoch: fork::now() };
        (before & CLOSED == 0).then_some(pass)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        // Of a fork in between the count has been forgotten.
        if self.epoch == fork::now() {
            // Release: as in `enter`.
            DOOR.fetch_sub(ONE, Ordering::Release);
        }
    }
}

/// Runs `body` with the interpreter, unless that ends or has ended. An exception that is on its way
/// stays: an object that goes because of it may bring a thread here.
pub(crate) fn attached<R>(body: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let _pass = Pass::enter()?;
    Python::try_attach(|py| {
        let pending = PyErr::take(py);
        let answer = body(py);
        if let Some(pending) = pending {
            pending.restore(py);
        }
        answer
    })
}

/// Whether the interpreter ends.
pub(crate) fn is_closed() -> bool {
    // Acquire: pairs with the Release in `close`.
    DOOR.load(Ordering::Acquire) & CLOSED != 0
}

/// Lets nobody in any more, and waits for those who are inside, for a moment.
pub(crate) fn close(py: Python<'_>) {
    // Release: pairs with the Acquire in `is_closed` and `enter`.
    if DOOR.fetch_or(CLOSED, Ordering::AcqRel) < ONE {
        return;
    }
    let begin = Instant::now();
    py.detach(|| {
        // Acquire: pairs with the Release of who leaves.
        while DOOR.load(Ordering::Acquire) >= ONE && begin.elapsed() < LEAVE_MAX {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// In the child of a fork: those who were inside are threads of the parent.
pub(crate) fn forget_others() {
    // Relaxed: the child has one thread yet.
    DOOR.fetch_and(CLOSED, Ordering::Relaxed);
}
