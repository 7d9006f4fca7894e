//! The one door to atomics: nothing else in `core` names `std::sync::atomic` or `loom`.
//!
//! Three worlds share one interface: the machine's atomics; loom's (`--cfg allot_loom`), which let
//! a model try every interleaving; and counted ones (`--cfg allot_steps`), which add up the
//! accesses of the calling thread so that a test can hold an operation to its bound of steps, and
//! let a test's scheduler choose before each of them which thread goes on.

pub use std::sync::atomic::Ordering;

#[cfg(allot_loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
#[cfg(allot_loom)]
pub use loom::sync::{Mutex, MutexGuard};

// Type aliases, not re-exports: clippy's disallowed_types sees through a re-export.
#[cfg(not(any(allot_loom, allot_steps)))]
mod machine {
    #![expect(clippy::disallowed_types, reason = "the one door to the machine's atomics")]
    /// The machine's.
    pub type AtomicU32 = std::sync::atomic::AtomicU32;
    /// The machine's.
    pub type AtomicU64 = std::sync::atomic::AtomicU64;
}
#[cfg(not(any(allot_loom, allot_steps)))]
pub use machine::{AtomicU32, AtomicU64};

#[cfg(not(allot_loom))]
pub use std::sync::{Mutex, MutexGuard, atomic::fence};

#[cfg(all(allot_steps, not(allot_loom)))]
pub use counted::{AtomicU32, AtomicU64, Steps, before_access, count_steps};

/// A load that comes after every SeqCst write of this thread before it. Loom treats SeqCst accesses
/// as if they were AcqRel, so there a fence says the same.
#[inline(always)]
pub fn load_in_order(word: &AtomicU32) -> u32 {
    #[cfg(allot_loom)]
    // SeqCst: pairs with the fence, or the SeqCst write, of the other thread.
    fence(Ordering::SeqCst);
    // SeqCst: pairs with the SeqCst writes of the other thread.
    word.load(Ordering::SeqCst)
}

/// Tells the processor (or loom's scheduler) that this thread waits for another one.
pub fn pause() {
    #[cfg(allot_loom)]
    loom::thread::yield_now();
    #[cfg(not(allot_loom))]
    std::hint::spin_loop();
}

/// Asks the processor to fetch the cache line of `value` before it is needed. Changes nothing.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(allot_loom)))]
    // SAFETY: a prefetch never faults and has no effect but on the cache.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(all(target_arch = "aarch64", not(allot_loom)))]
    // SAFETY: a prefetch never faults and has no effect but on the cache.
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{0}]",
            in(reg) value,
            options(nostack, readonly, preserves_flags)
        );
    }
    #[cfg(any(allot_loom, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = value;
}

/// The same for a value that is to be written: no other core needs to be asked for it then.
#[inline(always)]
pub fn prefetch_to_write<T>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(allot_loom)))]
    // SAFETY: a prefetch never faults and has no effect but on the cache.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_ET0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(all(target_arch = "aarch64", not(allot_loom)))]
    // SAFETY: a prefetch never faults and has no effect but on the cache.
    unsafe {
        std::arch::asm!(
            "prfm pstl1keep, [{0}]",
            in(reg) value,
            options(nostack, readonly, preserves_flags)
        );
    }
    #[cfg(any(allot_loom, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = value;
}

/// Locks, ignoring poison: a panic of another thread while it changed a configuration leaves the
/// tables consistent, because every change becomes visible by one store.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    #[cfg(all(allot_steps, not(allot_loom)))]
    counted::wait_for(mutex);
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(all(allot_steps, not(allot_loom)))]
mod counted {
    use super::{Mutex, Ordering};
    use std::cell::Cell;
    use std::sync::{OnceLock, TryLockError};

    /// Atomic accesses of one thread.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Steps {
        /// Plain loads and stores.
        pub accesses: u64,
        /// Read-modify-writes, failed exchanges included.
        pub read_modify_writes: u64,
    }

    thread_local! {
        static STEPS: Cell<Steps> = const {
            Cell::new(Steps { accesses: 0, read_modify_writes: 0 })
        };
    }

    static BEFORE_ACCESS: OnceLock<fn()> = OnceLock::new();

    /// Calls `hook` before every access of every thread from now on. A scheduler that runs all
    /// threads of a test in turns lets another one go on there.
    pub fn before_access(hook: fn()) {
        BEFORE_ACCESS.get_or_init(|| hook);
    }

    fn schedule() {
        if let Some(hook) = BEFORE_ACCESS.get() {
            hook();
        }
    }

    /// Lets others go on before the mutex is taken, and while one of them holds it: with threads
    /// that take turns, to block would be for ever.
    pub(super) fn wait_for<T>(mutex: &Mutex<T>) {
        while BEFORE_ACCESS.get().is_some() {
            schedule();
            if !matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)) {
                return;
            }
        }
    }

    fn access() {
        schedule();
        STEPS.with(|s| s.set(Steps { accesses: s.get().accesses + 1, ..s.get() }));
    }

    fn read_modify_write() {
        schedule();
        let one_more = |s: Steps| Steps { read_modify_writes: s.read_modify_writes + 1, ..s };
        STEPS.with(|s| s.set(one_more(s.get())));
    }

    /// Runs `f` and says how many atomic accesses it made on this thread.
    pub fn count_steps<T>(f: impl FnOnce() -> T) -> (T, Steps) {
        STEPS.with(|s| s.set(Steps::default()));
        let result = f();
        (result, STEPS.with(Cell::get))
    }

    macro_rules! counted {
        ($name:ident, $value:ty) => {
            /// Counts every access of the calling thread.
            #[repr(transparent)]
            #[derive(Debug, Default)]
            pub struct $name(std::sync::atomic::$name);

            #[expect(missing_docs, reason = "the interface of the standard type")]
            impl $name {
                pub const fn new(value: $value) -> Self {
                    Self(std::sync::atomic::$name::new(value))
                }
                pub fn load(&self, order: Ordering) -> $value {
                    access();
                    self.0.load(order)
                }
                pub fn store(&self, value: $value, order: Ordering) {
                    access();
                    self.0.store(value, order);
                }
                pub fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    read_modify_write();
                    self.0.compare_exchange(current, new, success, failure)
                }
                pub fn swap(&self, value: $value, order: Ordering) -> $value {
                    read_modify_write();
                    self.0.swap(value, order)
                }
                pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    read_modify_write();
                    self.0.fetch_add(value, order)
                }
                pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    read_modify_write();
                    self.0.fetch_sub(value, order)
                }
                pub fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                    read_modify_write();
                    self.0.fetch_or(value, order)
                }
                pub fn fetch_and(&self, value: $value, order: Ordering) -> $value {
                    read_modify_write();
                    self.0.fetch_and(value, order)
                }
                pub fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                    read_modify_write();
                    self.0.fetch_max(value, order)
                }
            }
        };
    }

    #[expect(clippy::disallowed_types, reason = "the counted form wraps the machine's")]
    mod types {
        use super::*;
        counted!(AtomicU32, u32);
        counted!(AtomicU64, u64);
    }
    pub use types::{AtomicU32, AtomicU64};
}
