//! The thread that tells of tickets: it looks at each place it is told of, and calls who is to be
//! told. The first one that wants to be told starts it; it ends with the governor.
//!
//! Whoever frees memory wakes those who get it. It only puts their places here, so that no call
//! that releases runs a function of the caller's.

use crate::guard::{Fault, let_go};
use crate::status::ALLOT_ERROR_THREAD;
use crate::ticket::{Place, lock};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Places to be looked at, shared by the governor, its places and the thread.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

/// At most one entry for each place and note: places are few, and a note is left once.
#[derive(Default)]
struct Queue {
    places: VecDeque<Arc<Place>>,
    thread: Option<JoinHandle<()>>,
    stopped: bool,
}

impl Line {
    /// Starts the thread, if it does not run yet.
    pub(crate) fn start(&self) -> Result<(), Fault> {
        let mut queue = lock(&self.0.queue);
        if queue.thread.is_none() && !queue.stopped {
            let line = self.clone();
            let thread = std::thread::Builder::new().name("allot-tickets".to_string());
            let thread = thread.spawn(move || line.run());
            queue.thread = Some(thread.map_err(|error| {
                let message = format!("a thread to tell of tickets cannot be started: {error}");
                Fault::Told(ALLOT_ERROR_THREAD, message.into())
            })?);
        }
        Ok(())
    }

    /// Has a place looked at.
    pub(crate) fn push(&self, place: Arc<Place>) {
        let mut queue = lock(&self.0.queue);
        if !queue.stopped {
            queue.places.push_back(place);
            self.0.changed.notify_one();
        }
    }

    /// Ends the thread, and waits for what it is just telling, unless that is what stops it.
    pub(crate) fn stop(&self) {
        let mut queue = lock(&self.0.queue);
        queue.stopped = true;
        let places = std::mem::take(&mut queue.places);
        let thread = queue.thread.take();
        drop(queue);
        self.0.changed.notify_one();
        drop(places);
        let own = std::thread::current().id();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != own) {
            // It cannot have panicked: functions are called with panics caught.
            let _ = thread.join();
        }
    }

    fn next(&self) -> Option<Arc<Place>> {
        let queue = lock(&self.0.queue);
        let idle = |queue: &mut Queue| queue.places.is_empty() && !queue.stopped;
        let waited = self.0.changed.wait_while(queue, idle);
        waited.unwrap_or_else(PoisonError::into_inner).places.pop_front()
    }

    fn run(&self) {
        while let Some(place) = self.next() {
            let told = catch_unwind(AssertUnwindSafe(|| tell(&place)));
            told.unwrap_or_else(let_go);
        }
    }
}

fn tell(place: &Arc<Place>) {
    place.look(false);
    let Some(notice) = place.take_notice() else { return };
    // A governor that is ending has no tickets any more.
    let Some(governor) = notice.governor.upgrade() else { return };
    let pointer = Arc::as_ptr(&governor).cast_mut();
    // SAFETY: the caller vouches for the function; what it is given is valid during the call.
    unsafe { (notice.function)(pointer, place.ticket, notice.user_data.pointer) };
}
