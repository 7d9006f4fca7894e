//! Everything the dashboard shows, as it changes: `GET /v1/watch`, a stream of server-sent events.
//!
//! ```text
//! snapshot     everything, first of all, and again for who fell behind
//! change       every second: what has changed since the one before
//! ```
//!
//! | I want to see | open |
//! |---|---|
//! | the route, and who is told | here |
//! | what is told, and what has changed | `view.rs` |
//!
//! A change is looked up and written down once for all watchers, and only while there are some. Who
//! reads more slowly than changes come gets a snapshot instead of what it has missed.

mod view;

pub use view::{AdviceBody, Calendar, HistoryBody};

use crate::events::write_frame;
use crate::problem::Problem;
use crate::state::State;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use view::{Board, Numbers, View};

/// Watchers at one time.
const WATCHERS_MAX: usize = 64;
/// Changes that wait for a watcher that is slow.
const BEHIND_MAX: usize = 4;
/// Between two looks.
const TURN: Duration = Duration::from_secs(1);
/// After how many seconds to come again where there are too many.
const RETRY_AFTER_SECS: u64 = 5;

/// All that watchers share.
pub struct Watch {
    /// This run of the server: leases of another one are gone.
    boot: String,
    inner: Mutex<Inner>,
}

struct Inner {
    /// What was told so far; none while nobody watches.
    board: Option<Board>,
    numbers: Numbers,
    watchers: usize,
    writing: bool,
    /// None once the server ends.
    changes: Option<broadcast::Sender<Bytes>>,
}

impl Default for Watch {
    fn default() -> Self {
        let inner = Inner {
            board: None,
            numbers: Numbers::default(),
            watchers: 0,
            writing: false,
            changes: Some(broadcast::Sender::new(BEHIND_MAX)),
        };
        let boot = uuid::Uuid::new_v4().simple().to_string();
        Self { boot, inner: Mutex::new(inner) }
    }
}

impl Inner {
    /// What was told so far; a new look if nobody has watched.
    fn board(&mut self, state: &State) -> &Board {
        let numbers = &mut self.numbers;
        self.board.get_or_insert_with(|| Board::new(View::new(state, numbers), &state.recent))
    }
}

impl Watch {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.inner().watchers
    }

    /// The end of all streams, those to come included.
    pub fn end(&self) {
        self.inner().changes = None;
    }

    fn snapshot(&self, board: &Board, state: &State) -> Bytes {
        let mut text = Vec::new();
        write_frame(&mut text, None, "snapshot", &board.snapshot(state, &self.boot));
        text.into()
    }

    fn join(state: &Arc<State>) -> Result<Watcher, Problem> {
        let watch = &state.watch;
        let mut inner = watch.inner();
        let Some(changes) = inner.changes.as_ref().map(broadcast::Sender::subscribe) else {
            return Err(refusal("ending", "the server ends", "the server is told to end"));
        };
        if inner.watchers >= WATCHERS_MAX {
            let detail = format!("{WATCHERS_MAX} watch already; close a dashboard and come again");
            return Err(refusal("too-many-listeners", "too many watch", &detail));
        }
        let first = watch.snapshot(inner.board(state), state);
        inner.watchers += 1;
        if !std::mem::replace(&mut inner.writing, true) {
            tokio::spawn(write(Arc::downgrade(state)));
        }
        drop(inner);
        Ok(Watcher { state: state.clone(), changes, first: Some(first) })
    }

    /// Takes a look and tells what has changed; whether anybody watches.
    fn turn(&self, state: &State) -> bool {
        let mut inner = self.inner();
        let Inner { board, numbers, watchers, changes, writing } = &mut *inner;
        let (Some(board), Some(changes), true) = (board, changes, *watchers > 0) else {
            *writing = false;
            inner.board = None;
            return false;
        };
        let text = board.turn(View::new(state, numbers), &state.recent, |change| {
            let mut text = Vec::new();
            write_frame(&mut text, None, "change", change);
            text
        });
        // Nobody may be left to read it.
        let _ = changes.send(text.into());
        true
    }
}

fn refusal(kind: &'static str, title: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, detail).retry_after(RETRY_AFTER_SECS)
}

/// Writes until nobody watches.
async fn write(state: Weak<State>) {
    loop {
        tokio::time::sleep(TURN).await;
        let Some(state) = state.upgrade() else { return };
        if !state.watch.turn(&state) {
            return;
        }
    }
}

/// One stream, until it is dropped.
struct Watcher {
    state: Arc<State>,
    changes: broadcast::Receiver<Bytes>,
    first: Option<Bytes>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.state.watch.inner().watchers -= 1;
    }
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        match self.changes.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Closed) => None,
            Err(RecvError::Lagged(_)) => {
                let mut inner = self.state.watch.inner();
                self.changes = inner.changes.as_ref()?.subscribe();
                Some(self.state.watch.snapshot(inner.board(&self.state), &self.state))
            }
        }
    }
}

/// `GET /v1/watch`.
pub async fn watch(Shared(state): Shared<Arc<State>>) -> Result<Response, Problem> {
    let watcher = Watch::join(&state)?;
    let stream = futures_util::stream::unfold(watcher, async |mut watcher| {
        let bytes = watcher.next().await?;
        Some((Ok::<_, Infallible>(bytes), watcher))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // A proxy in between is not to collect it.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
