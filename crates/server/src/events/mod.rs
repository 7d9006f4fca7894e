//! What happens, as it happens: `GET /v1/events`, a stream of server-sent events.
//!
//! ```text
//! governor's ring -> one reader -> board (the last 2 MiB of text) -> each listener, at its pace
//! ```
//!
//! | I want to see | open |
//! |---|---|
//! | the route, and how a listener is paced | here |
//! | who reads from the governor, and what is told | `reader.rs` |
//! | what is kept for listeners | `board.rs` |
//! | kinds and tenants that are chosen | `filter.rs` |
//!
//! The reader works only while somebody listens. Nothing here is shared with requests for memory:
//! they write to the governor's ring, which waits for nobody, and what is read too late is lost and
//! told. Listeners share the machine with requests, so all of them together are bounded: each is
//! woken at most once in [`PAUSE_EACH`] times their number, for at most [`BATCH_BYTES_MAX`] bytes.

mod board;
mod filter;
mod reader;

pub use crate::happened::EventBody;
pub use reader::{AlertBody, LostBody};

use crate::problem::Problem;
use crate::reach::Reach;
use crate::state::State;
use crate::words::Query;
use allotment::Governor;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use board::{BATCH_BYTES_MAX, Batch, Board, Next};
use bytes::Bytes;
use filter::{Filter, Kinds};
use reader::Reader;

pub use reader::{END, write_frame};
use serde::Deserialize;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Events that the governor keeps for the reader, 64 bytes each.
pub const EVENTS_MAX: u32 = 16_384;
/// Listeners at one time, unless set otherwise.
const LISTENERS_MAX: usize = 1_024;
/// Between two turns of the reader, while somebody listens.
const TURN: Duration = Duration::from_millis(10);
/// Between two turns of a listener, for each that there is.
const PAUSE_EACH: Duration = Duration::from_millis(1);
/// Between two signs of life, where nothing else is said.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Longest stream of a token with scopes: whoever comes again shows that it still has one.
const TOKEN_AGAIN: Duration = Duration::from_secs(3_600);
/// After what time a client that was cut off comes again.
const RETRY_MS: u64 = 2_000;
/// After how many seconds to come again where there are too many listeners.
const RETRY_AFTER_SECS: u64 = 5;
const LAST_EVENT_ID: &str = "last-event-id";

/// What is to be heard.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    tenant: Option<String>,
    kind: Option<String>,
}

/// All that listeners share.
pub struct Events {
    /// What the ids of this server's frames begin with: no other server's do.
    stream: String,
    inner: Mutex<Inner>,
    told: watch::Sender<Told>,
}

struct Inner {
    board: Board,
    listeners: usize,
    listeners_max: usize,
    /// The reader while nobody listens; before the first one does there is none.
    reader: Option<Reader>,
    reading: bool,
}

/// What all listeners are told at once.
#[derive(Clone, Copy, Default)]
struct Told {
    /// The number after the last frame.
    next: u64,
    ended: bool,
}

/// Where a client that comes again has stopped.
enum Last {
    /// After the frame of that number.
    Frame(u64),
    /// In what another server told.
    OtherServer,
}

impl Events {
    /// A stream that nobody listens to.
    pub fn new() -> Arc<Self> {
        let inner = Inner {
            board: Board::default(),
            listeners: 0,
            listeners_max: LISTENERS_MAX,
            reader: None,
            reading: false,
        };
        let stream = uuid::Uuid::new_v4().simple().to_string()[..12].to_string();
        Arc::new(Self { stream, inner: Mutex::new(inner), told: watch::Sender::default() })
    }

    /// Bounds how many may listen at one time from now on.
    pub fn set_listeners_max(&self, listeners: usize) {
        self.inner().listeners_max = listeners;
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.inner().listeners
    }

    /// The end of all streams, those to come included.
    pub fn end(&self) {
        self.told.send_modify(|told| told.ended = true);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last(&self, headers: &HeaderMap) -> Result<Option<Last>, Problem> {
        let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
        let parts = value.to_str().ok().and_then(|text| text.split_once('-'));
        let number = parts.and_then(|(stream, number)| Some((stream, number.parse().ok()?)));
        match number {
            Some((stream, number)) if stream == self.stream => Ok(Some(Last::Frame(number))),
            Some((stream, _)) if stream.len() == self.stream.len() => Ok(Some(Last::OtherServer)),
            _ => {
                let detail = "Last-Event-ID: send back the `id` of the last event as it came, or \
                              leave it out to begin with what happens from now on";
                Err(Problem::invalid(detail))
            }
        }
    }

    fn listen(
        self: &Arc<Self>,
        state: &Arc<State>,
        mut filter: Filter,
        last: Option<Last>,
    ) -> Result<Listener, Problem> {
        let mut inner = self.inner();
        let told = self.told.subscribe();
        if told.borrow().ended {
            return Err(refusal("ending", "the server ends", "the server is told to end"));
        }
        if inner.listeners >= inner.listeners_max {
            let max = inner.listeners_max;
            let detail = format!("{max} listen already; come again, or have one of them leave");
            return Err(refusal("too-many-listeners", "too many listen", &detail));
        }
        let (first, cursor) = first(&inner.board, last.as_ref());
        if last.is_some() {
            (filter.from_position, filter.from_ns) = (0, 0);
        }
        inner.listeners += 1;
        if !inner.reading {
            inner.reading = true;
            let reader = inner.reader.take().unwrap_or_else(|| {
                let governor = state.manager.governor();
                Reader::new(self.stream.clone(), governor, state.manager.alerts())
            });
            tokio::spawn(read(self.clone(), Arc::downgrade(state), reader));
        }
        let now = Instant::now();
        Ok(Listener {
            events: self.clone(),
            told,
            filter,
            cursor,
            ready: VecDeque::from([first]),
            given_bytes: 0,
            not_before: now,
            heartbeat_at: now + HEARTBEAT,
            ends_at: None,
            over: false,
        })
    }

    /// Adds what the reader has written, and tells the listeners; whether there are any.
    fn add(&self, batches: Vec<Batch>) -> bool {
        let mut inner = self.inner();
        let new = !batches.is_empty();
        batches.into_iter().for_each(|batch| inner.board.add(batch));
        let (next, listeners) = (inner.board.next(), inner.listeners);
        drop(inner);
        if new {
            self.told.send_modify(|told| told.next = next);
        }
        listeners > 0
    }

    fn next(&self) -> u64 {
        self.inner().board.next()
    }

    /// Lays the reader aside if nobody listens; gives it back if somebody does.
    fn pause(&self, reader: Reader) -> Option<Reader> {
        let mut inner = self.inner();
        if inner.listeners > 0 && !self.told.borrow().ended {
            return Some(reader);
        }
        (inner.reader, inner.reading) = (Some(reader), false);
        None
    }
}

/// What is said first, and where a listener begins.
fn first(board: &Board, last: Option<&Last>) -> (Bytes, u64) {
    let mut text = format!("retry: {RETRY_MS}\n\n").into_bytes();
    let (cursor, lost) = match last {
        None => (board.next(), None),
        Some(Last::Frame(number)) => {
            let wanted = number.saturating_add(1).min(board.next());
            let gone = board.oldest().saturating_sub(wanted);
            (wanted + gone, (gone > 0).then_some(Some(gone)))
        }
        // What is not known is how much; what this server still has follows.
        Some(Last::OtherServer) => (board.oldest(), Some(None)),
    };
    if let Some(events) = lost {
        write_frame(&mut text, None, "lost", &LostBody { events, alerts: None });
    }
    (text.into(), cursor)
}

fn refusal(kind: &'static str, title: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, title, detail).retry_after(RETRY_AFTER_SECS)
}

/// Reads until nobody listens.
async fn read(events: Arc<Events>, state: Weak<State>, mut reader: Reader) {
    loop {
        let more = {
            let Some(state) = state.upgrade() else { return };
            let (batches, more) = reader.turn(state.manager.governor(), events.next());
            events.add(batches) && more
        };
        if more {
            tokio::task::yield_now().await;
            continue;
        }
        match events.pause(reader) {
            Some(back) => reader = back,
            None => return,
        }
        tokio::time::sleep(TURN).await;
    }
}

/// One stream, until it is dropped.
struct Listener {
    events: Arc<Events>,
    told: watch::Receiver<Told>,
    filter: Filter,
    cursor: u64,
    /// Given next, one after the other.
    ready: VecDeque<Bytes>,
    /// In this turn.
    given_bytes: usize,
    /// Its next turn.
    not_before: Instant,
    heartbeat_at: Instant,
    ends_at: Option<Instant>,
    over: bool,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.events.inner().listeners -= 1;
    }
}

impl Listener {
    /// What is said next; none once the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                self.heartbeat_at = Instant::now() + HEARTBEAT;
                return Some(bytes);
            }
            if self.over {
                return None;
            }
            let is_late = self.ends_at.is_some_and(|at| at <= Instant::now());
            if self.told.borrow_and_update().ended || is_late {
                self.over = true;
                return Some(Bytes::from_static(b"event: end\ndata: {}\n\n"));
            }
            if self.not_before > Instant::now() {
                let ended = self.told.wait_for(|told| told.ended);
                tokio::select! {
                    () = tokio::time::sleep_until(self.not_before) => {}
                    _ = ended => {}
                }
                continue;
            }
            if self.take() {
                continue;
            }
            tokio::select! {
                _ = self.told.changed() => {}
                () = tokio::time::sleep_until(self.heartbeat_at) => {
                    self.ready.push_back(Bytes::from_static(b":\n\n"));
                }
            }
        }
    }

    /// Takes what stands next; whether something has to be done before it may wait for more.
    fn take(&mut self) -> bool {
        let (lost, from, next, listeners) = {
            let inner = self.events.inner();
            let (mut from, mut next) = (self.cursor, inner.board.take(&mut self.cursor));
            let mut lost = None;
            // With what comes after it: until its next turn that may be lost as well, and again.
            if let Next::Lost(count) = next {
                (lost, from) = (Some(self.lost(count)), self.cursor);
                next = inner.board.take(&mut self.cursor);
            }
            (lost, from, next, inner.listeners)
        };
        self.ready.extend(lost);
        let turn_is_over = match next {
            Next::Nothing if self.given_bytes == 0 => return false,
            Next::Nothing => true,
            Next::Lost(_) => unreachable!("one who has lost something stands at what is kept"),
            Next::Batch(batch) => {
                // What is passed over is a turn as well.
                self.given_bytes += self.choose(&batch, from).max(1);
                self.given_bytes >= BATCH_BYTES_MAX
            }
        };
        if turn_is_over {
            self.given_bytes = 0;
            let listeners = u32::try_from(listeners).unwrap_or(u32::MAX);
            self.not_before = Instant::now() + PAUSE_EACH.saturating_mul(listeners);
        }
        true
    }

    fn lost(&self, count: u64) -> Bytes {
        let mut text = Vec::new();
        let body = LostBody { events: Some(count), alerts: None };
        let last = self.cursor.saturating_sub(1);
        write_frame(&mut text, Some((&self.events.stream, last)), "lost", &body);
        text.into()
    }

    /// Gives what it wants of a batch, from a frame on; bytes given.
    fn choose(&mut self, batch: &Batch, from: u64) -> usize {
        if from <= batch.first && self.filter.wants_all(batch) {
            self.ready.push_back(batch.bytes.clone());
            return batch.bytes.len();
        }
        if self.filter.wants_nothing(batch) {
            return 0;
        }
        let passed = batch.place_of(from);
        let mut text = Vec::new();
        for (index, frame) in batch.frames.iter().enumerate().skip(passed) {
            if self.filter.wants(frame) {
                text.extend_from_slice(&batch.text(index));
            }
        }
        let bytes = text.len();
        if bytes > 0 {
            self.ready.push_back(text.into());
        }
        bytes
    }
}

fn here(governor: &Governor) -> (u64, u64) {
    (governor.events_after(END).position(), governor.clock().now_ns())
}

/// `GET /v1/events`.
pub async fn listen(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenants = match (&wanted.tenant, &reach) {
        (Some(text), _) => Some(vec![reach.tenant(&state, text)?]),
        (None, Reach::All) => None,
        (None, Reach::These(tenants)) => Some(tenants.clone()),
    };
    let kinds = wanted.kind.as_deref().map_or(Ok(Kinds::ALL), Kinds::parse)?;
    let (from_position, from_ns) = here(state.manager.governor());
    let filter = Filter { kinds, tenants, from_position, from_ns };
    let last = state.events.last(&headers)?;
    let mut listener = state.events.listen(&state, filter, last)?;
    if reach != Reach::All {
        listener.ends_at = Some(Instant::now() + TOKEN_AGAIN);
    }
    let stream = futures_util::stream::unfold(listener, async |mut listener| {
        let bytes = listener.next().await?;
        Some((Ok::<_, Infallible>(bytes), listener))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // A proxy in between is not to collect it.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
