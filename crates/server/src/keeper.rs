//! Ends the leases whose time is over, each at its time: sleeps until the next one, and is woken
//! where a new one ends sooner.

use crate::state::State;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// The longest sleep, after which it looks whether the server is still there, whether somebody who
/// is to leave can, and whether a disk that has refused something takes it by now.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Goes on until the server is gone.
pub async fn keep(state: Weak<State>, sooner: Arc<Notify>) {
    loop {
        let sleep = {
            let Some(state) = state.upgrade() else { return };
            let now_ns = state.now_ns();
            end_expired(&state, now_ns).await;
            state.sweep();
            if state.kept.is_behind() {
                // A disk may take its time; leases do not wait for it.
                let state = state.clone();
                tokio::task::spawn_blocking(move || state.kept.catch_up());
            }
            let next_ns = state.book().next_deadline_ns();
            next_ns.map_or(SLEEP_MAX, |at_ns| {
                Duration::from_nanos(at_ns.saturating_sub(now_ns)).min(SLEEP_MAX)
            })
        };
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = sooner.notified() => {}
        }
    }
}

/// Gives back what is held by nobody any more.
pub async fn end_expired(state: &State, now_ns: u64) {
    loop {
        let expired = state.book().expire(now_ns);
        let Some((id, lease)) = expired else { return };
        state.metrics.expired();
        // It may have been evicted, or its tenant unregistered, at the same moment.
        let _ = state.give_back(&id, &lease).await;
        // Many may end at one time, and others want to be served.
        tokio::task::yield_now().await;
    }
}
