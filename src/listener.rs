//! Who is told how short memory is, and when.
//!
//! ```text
//! last told = pressure in force          (once a step that tells has ended and no other goes on)
//! calls at one time <= 1
//! ```
//!
//! The first holds but for a thread that has looked `LOOKS_MAX` times in a row: it leaves the rest
//! to the next step.
//!
//! The pressure changes in bounded verbs as well, which call nobody: it is told by the next step
//! that may take long anyway, on the thread that takes it and with nothing held (I9). A step that
//! finds another thread telling leaves a note for it and goes on (`core/listener.rs`); so does one
//! that the listener itself takes.
//!
//! | told by | not by |
//! |---|---|
//! | `balance`, `balance_without_eviction` | `try_request`, `request_all` |
//! | `report_pressure`, `report_measured_process` | `grow`, `shrink`, `true_up` |
//! | `request`, `reserve`, `grow_evicting` where they evict, or are denied | `touch`, `release` |
//! | `enqueue`, `acquire` and their like that do not get a grant at once | polling a ticket |
//! | `evict_for`, `look_after`, a thread that waits | a hand-over to those who wait |

use crate::caught::caught;
use crate::core::listener::Notes;
use crate::core::pressure::Pressure;
use crate::core::sync::{AtomicU32, Mutex, Ordering, lock};
use crate::governor::Governor;
use std::sync::Arc;

/// Who is told, and what it was told last.
struct Listener {
    call: Box<dyn Fn(Pressure) + Send + Sync>,
    /// A level of [`Pressure`]. For the teller alone.
    told: AtomicU32,
}

/// Who is told, if anybody is, and who tells.
#[derive(Default)]
pub(crate) struct Listening {
    listener: Mutex<Option<Arc<Listener>>>,
    /// 1: there is a listener.
    is_set: AtomicU32,
    notes: Notes,
}

impl Listening {
    /// Sets who is told from now on; whoever was before goes with nothing held.
    fn set(&self, next: Option<Arc<Listener>>) {
        let before = {
            let mut listener = lock(&self.listener);
            // Relaxed: a hint; the mutex publishes the listener.
            self.is_set.store(u32::from(next.is_some()), Ordering::Relaxed);
            std::mem::replace(&mut *listener, next)
        };
        drop(before);
    }

    fn is_set(&self) -> bool {
        // Relaxed: as in `set`.
        self.is_set.load(Ordering::Relaxed) != 0
    }

    fn get(&self) -> Option<Arc<Listener>> {
        lock(&self.listener).clone()
    }
}

impl Governor {
    /// Sets who is told when the pressure in force ([`Governor::pressure`]) is another one than it
    /// was told last; it begins with [`Pressure::Normal`]. Replaces the one before.
    ///
    /// It is told by the next of these that ends, on the thread that calls it and with nothing
    /// held: [`Governor::balance`] and [`Governor::balance_without_eviction`],
    /// [`Governor::report_pressure`], [`Governor::report_measured_process`],
    /// [`Governor::evict_for`], [`crate::HeldTicket::look_after`]; and [`Governor::request`],
    /// [`Governor::reserve`], [`Governor::grow_evicting`], [`Governor::enqueue`] and their like if
    /// they do not get what they want at once. Never by [`Governor::try_request`],
    /// [`Governor::grow`], [`Governor::shrink`], [`Governor::release`] and [`Governor::touch`],
    /// although these may change the pressure. So a level that ends before such a step is not told.
    ///
    /// One thread tells at a time, in order. Another one that has something to tell meanwhile
    /// leaves it to that one and goes on: the last level told is the one in force. So is what the
    /// listener itself changes told after it has returned, not within it. It may call any function
    /// of the governor, set another listener, and drop what it likes. A thread looks at most 64
    /// times in a row whether there is more to tell, say because the listener changes the pressure
    /// each time; then it goes on, and the next step tells. A panic of the listener is caught, and
    /// counts as told. One that hangs keeps its thread, and nobody is told any more.
    ///
    /// Setting one takes a mutex for a moment and tells nothing by itself, not even under pressure:
    /// the next step does. Without a listener a step costs one load more, with one three
    /// read-modify-writes and that mutex. A listener that was replaced, or cleared, may be told
    /// once more by a thread that was just about to. It is dropped by the last of these, with
    /// nothing held. One that owns the governor keeps it for ever: let it have a `Weak`.
    ///
    /// ```
    /// use allotment::*;
    /// use std::sync::mpsc::channel;
    ///
    /// let governor = Governor::new(GovernorConfig::new(24 << 30))?;
    /// let (tell, told) = channel();
    /// governor.on_pressure(move |pressure| tell.send(pressure).unwrap_or_default());
    /// governor.report_pressure(Pressure::Critical);
    /// governor.report_pressure(Pressure::Critical);
    /// governor.report_pressure(Pressure::Normal);
    /// let told: Vec<Pressure> = told.try_iter().collect();
    /// assert_eq!(told, [Pressure::Critical, Pressure::Normal]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn on_pressure(&self, listener: impl Fn(Pressure) + Send + Sync + 'static) {
        let told = AtomicU32::new(Pressure::Normal as u32);
        self.listening.set(Some(Arc::new(Listener { call: Box::new(listener), told })));
    }

    /// Tells nobody any more; see [`Governor::on_pressure`] for the cost, and for when the listener
    /// is dropped. Nothing happens if there is none.
    pub fn clear_on_pressure(&self) {
        self.listening.set(None);
    }

    /// Tells the listener if the pressure is another one than it was told last. With nothing held,
    /// at the end of a step; without a listener this is one load.
    #[inline]
    pub(crate) fn tell_pressure(&self) {
        if self.listening.is_set() {
            self.tell_listener();
        }
    }

    #[cold]
    fn tell_listener(&self) {
        self.listening.notes.leave(|| {
            // Within, because also the listener's last owner may be here, and to drop it may panic.
            caught(|| self.look_and_tell());
        });
    }

    /// For the teller alone.
    fn look_and_tell(&self) {
        let Some(listener) = self.listening.get() else { return };
        let pressure = self.pressure();
        // Relaxed: one teller at a time, each of which knows what those before have written.
        if listener.told.swap(pressure as u32, Ordering::Relaxed) != pressure as u32 {
            (listener.call)(pressure);
        }
    }
}
