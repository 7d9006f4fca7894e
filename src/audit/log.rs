//! The thread that writes down what a governor does: from its ring of events into a [`Journal`].
//!
//! ```text
//! governor -> ring of events -> this thread -> journal -> segments
//!      ^          room <- given back once written
//! ```
//!
//! A1  every event of the governor since the log began is in it once and in order, or is counted
//!     in a [`Body::Gap`]
//! A2  fail closed: there is no gap of a grant, a growth, an end, or a registration; requests that
//!     were refused for want of room are summed up in [`Body::Refused`]
//! A3  the text of a configuration stands before the event that puts it in force, or before the gap
//!     in which that event is lost
//! A4  a log that is begun where another of the same governor has ended, in good order or not, goes
//!     on with the first event that is in no log (`rest.rs`)
//!
//! Under load this thread tells the time of the records: every [`CHUNK`] events it looks at
//! the clock for everybody, so that who makes records need not. It stops telling before it does
//! anything that may take long. A time that was told is so late as those events take, some
//! microseconds, or as this thread is kept from running. Where calls are recorded, everybody looks
//! at the clock.
//!
//! While the journal cannot write (the disk is full), this thread stops reading the ring and tries
//! again: then memory goes on and events are lost and counted, or requests are refused and nothing
//! is lost, as [`AuditMode`] says. The error is in [`AuditLog::status`].

use super::body::Body;
use super::books::Books;
use super::configured::{CONFIGURED_TOPIC, Configured, NOTED_TOPIC, STATED_TOPIC, TRIED_TOPIC};
use super::error::AuditError;
use super::head::Head;
use super::journal::Journal;
use super::key::Key;
use super::options::{JournalOptions, Moment};
use super::record::RECORD_WORDS;
use super::rest::{Item, Rest};
use super::text::{TEXT_BYTES_MAX, TextPart};
use crate::config::AuditMode;
use crate::core::events::{Event, EventKind};
use crate::core::ring::{Cursor, Read, Record};
use crate::core::sync::{self, Ordering};
use crate::details::{Detail, Details};
use crate::governor::Governor;
use crate::os::Clock;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Events taken from the ring between two flushes.
const BATCH_MAX: usize = 4_096;
/// Events between two looks at what was lost, and at the clock for everybody.
const CHUNK: usize = 64;
/// So many events that wait are a load.
const LOAD: u64 = 2_048;
/// How long the thread sleeps when there is nothing to do: it doubles from the first to the second.
const IDLE: [Duration; 2] = [Duration::from_micros(100), Duration::from_millis(5)];
/// What is told of a thread that is no more.
const PANICKED: AuditError = AuditError::NotAudited { problem: "its log's writer panicked" };
/// Notes that wait to be written.
const NOTES_MAX: usize = 64;
/// What a note begins with: no configuration does.
const NOTED: &str = "noted";
/// How long it sleeps after an error before it tries again.
const RETRY: Duration = Duration::from_millis(50);

/// How far a log has come, and what was lost or refused.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AuditStatus {
    /// What happens while it has no room.
    pub mode: AuditMode,
    /// Records written so far, those of earlier sittings included.
    pub records: u64,
    /// Events lost so far, each counted in a gap of the log.
    pub events_lost: u64,
    /// Requests refused so far because their records had no room.
    pub requests_refused: u64,
    /// Events that are recorded and not yet written.
    pub events_waiting: u64,
    /// The last checkpoint.
    pub head: Option<Head>,
    /// What is in the way; none while everything is written.
    pub error: Option<String>,
    /// Times that writing failed so far.
    pub errors: u64,
}

/// What the thread and its owner tell each other.
#[derive(Default)]
struct Talk {
    status: AuditStatus,
    /// The number of the next event that will be read, and whether all before it is written.
    next_event: u64,
    /// What is to be noted, and how much was so far.
    notes: Vec<String>,
    noted: u64,
    /// Flush, and sign, at the next turn.
    wants_checkpoint: bool,
    stop: bool,
    /// The thread has panicked.
    panicked: bool,
    last_error: Option<Arc<AuditError>>,
}

struct Shared {
    governor: Arc<Governor>,
    talk: Mutex<Talk>,
    told: Condvar,
}

/// A log that is being written, by a thread of its own, until it is closed.
///
/// Keeps its governor alive. Dropping it closes it; [`AuditLog::close`] says how that went.
///
/// ```
/// use allotment::audit::{AuditLog, JournalOptions, Key, verify};
/// use allotment::*;
/// use std::sync::Arc;
///
/// # let place = std::env::temp_dir().join(format!("allotment-log-{}", std::process::id()));
/// # std::fs::remove_dir_all(&place).ok();
/// # std::fs::create_dir_all(&place)?;
/// let config = GovernorConfig { audit: AuditMode::FailClosed, ..GovernorConfig::new(8 << 30) };
/// let governor = Arc::new(Governor::new(config)?);
/// let key = Key::generate(&place.join("audit.key"))?;
/// let folder = place.join("audit");
/// let log = AuditLog::start(&governor, &folder, &key, JournalOptions::default())?;
///
/// let chat = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "chat"))?;
/// drop(governor.request(&Request::new(chat, AllocationType::Inference, 2 << 30))?);
/// let head = log.close()?;
/// assert!(verify(&folder, &key, Some(&head))?.sealed);
/// # std::fs::remove_dir_all(&place)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct AuditLog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Head, AuditError>>>,
}

impl AuditLog {
    /// Begins to write down what `governor` does, from its first event on as far as they are still
    /// in its ring; what is not is a gap. A log that is in the folder is continued.
    ///
    /// # Errors
    ///
    /// [`AuditError::NotAudited`] if the governor records nothing for a log
    /// ([`crate::GovernorConfig::audit`]), or has one already; and as [`Journal::open`].
    pub fn start(
        governor: &Arc<Governor>,
        folder: &Path,
        key: &Key,
        options: JournalOptions,
    ) -> Result<Self, AuditError> {
        let mode = governor.config.audit;
        if mode == AuditMode::Off {
            let problem = "it was created without: set `audit` in its configuration";
            return Err(AuditError::NotAudited { problem });
        }
        // AcqRel: only whether somebody was faster counts.
        if governor.is_audited.swap(1, Ordering::AcqRel) != 0 {
            let problem = "it has a log already: close that one first";
            return Err(AuditError::NotAudited { problem });
        }
        let began = Self::begin(governor, folder, key, options);
        if began.is_err() {
            // Release: as above.
            governor.is_audited.store(0, Ordering::Release);
        }
        began
    }

    fn begin(
        governor: &Arc<Governor>,
        folder: &Path,
        key: &Key,
        options: JournalOptions,
    ) -> Result<Self, AuditError> {
        let journal = Journal::open(folder, key, options, Moment::now(governor.clock().now_ns()))?;
        let mut talk = Talk::default();
        talk.status.mode = governor.config.audit;
        let (talk, told) = (Mutex::new(talk), Condvar::new());
        let shared = Arc::new(Shared { governor: governor.clone(), talk, told });
        let thread = std::thread::Builder::new().name("allotment-audit".to_string());
        // What the last log has left is taken only once there is somebody to write it.
        let (give, taken) = std::sync::mpsc::sync_channel::<Scribe>(1);
        let spawned = thread.spawn(move || match taken.recv() {
            Ok(scribe) => scribe.run(),
            Err(_) => Err(AuditError::NotAudited { problem: "its writer was not begun" }),
        });
        let failed = super::error::failed("start a thread for", folder);
        let thread = Some(spawned.map_err(failed)?);
        // Cannot fail: its receiver waits for it.
        let given = give.send(Scribe::new(shared.clone(), journal));
        debug_assert!(given.is_ok());
        Ok(Self { shared, thread })
    }

    /// How far it has come. Takes a mutex for a moment.
    pub fn status(&self) -> AuditStatus {
        let pushed = self.shared.governor.core.events.pushed();
        let talk = lock(&self.shared.talk);
        let events_waiting = pushed.saturating_sub(talk.next_event);
        AuditStatus { events_waiting, ..talk.status.clone() }
    }

    /// Waits until every event that is recorded by now is written, and safe from the end of this
    /// process. Blocks.
    ///
    /// # Errors
    ///
    /// What is in the way of it: [`AuditError::Writer`]. The thread goes on trying.
    pub fn flush(&self) -> Result<(), AuditError> {
        let goal = self.shared.governor.core.events.pushed();
        self.wait_until(|talk| talk.next_event >= goal)
    }

    /// The same, and signs a checkpoint; answers the head, to be kept elsewhere.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::flush`].
    pub fn checkpoint(&self) -> Result<Head, AuditError> {
        self.flush()?;
        lock(&self.shared.talk).wants_checkpoint = true;
        self.wait_until(|talk| !talk.wants_checkpoint)?;
        let head = lock(&self.shared.talk).status.head;
        head.ok_or(AuditError::NotAudited { problem: "its log has no checkpoint: call again" })
    }

    /// Writes down what the program that has the governor says of itself, as what it is configured
    /// to do beside it. It stands after every event that was recorded before the call, or soon
    /// after; [`AuditLog::flush`] does not wait for it. What is longer than a text may be is cut.
    ///
    /// # Errors
    ///
    /// [`AuditError::NotAudited`]: 64 notes are not written yet.
    pub fn note(&self, text: &str) -> Result<(), AuditError> {
        let mut talk = lock(&self.shared.talk);
        if talk.notes.len() >= NOTES_MAX {
            let problem =
                "64 notes wait already: see what is in the way of the log, then try again";
            return Err(AuditError::NotAudited { problem });
        }
        let room = TEXT_BYTES_MAX - NOTED.len() - 1;
        let end = text.floor_char_boundary(room);
        talk.notes.push(format!("{NOTED}\n{}", &text[..end]));
        drop(talk);
        self.wake();
        Ok(())
    }

    fn wait_until(&self, done: impl Fn(&Talk) -> bool) -> Result<(), AuditError> {
        let mut talk = lock(&self.shared.talk);
        let errors = talk.status.errors;
        loop {
            if done(&talk) {
                return Ok(());
            }
            if talk.status.errors > errors
                && let Some(error) = &talk.last_error
            {
                return Err(AuditError::Writer(error.clone()));
            }
            if talk.panicked {
                return Err(PANICKED);
            }
            self.wake();
            let waited = self.shared.told.wait_timeout(talk, IDLE[1]);
            talk = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Writes down what is recorded by now, seals the log and ends the thread. The governor goes on
    /// recording: with [`AuditMode::FailClosed`] it refuses requests once its ring is full, until a
    /// log is started again.
    ///
    /// # Errors
    ///
    /// What was in the way; the log is not sealed then, and what it had not written the next one
    /// writes that is started for this governor.
    pub fn close(mut self) -> Result<Head, AuditError> {
        self.stop().unwrap_or(Err(AuditError::NotAudited { problem: "its log is closed" }))
    }

    fn stop(&mut self) -> Option<Result<Head, AuditError>> {
        lock(&self.shared.talk).stop = true;
        self.wake();
        let closed = self.thread.take()?.join();
        // Release: pairs with the AcqRel in `start`; the next log reads on where this one ended.
        self.shared.governor.is_audited.store(0, Ordering::Release);
        Some(closed.unwrap_or(Err(PANICKED)))
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        // Who wants to know how it went calls `close`.
        let _ = self.stop();
    }
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").field("status", &self.status()).finish()
    }
}

/// What a panic left behind is whole: every change is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's own.
struct Scribe {
    shared: Arc<Shared>,
    journal: Journal,
    cursor: Cursor,
    books: Books,
    items: VecDeque<Item>,
    /// Texts of events that are appended and perhaps not written.
    texts: VecDeque<(u8, u64, String)>,
    /// Events appended whose room is given back once they are written.
    room: u64,
    status: AuditStatus,
    /// Requests refused since the first that is not in the log yet, and when that was.
    refused_since_ns: u64,
}

impl Scribe {
    fn new(shared: Arc<Shared>, journal: Journal) -> Self {
        let governor = &shared.governor;
        let status = AuditStatus { mode: governor.config.audit, ..AuditStatus::default() };
        let refused_since_ns = governor.clock().now_ns();
        let (rest, governor) = (sync::lock(&governor.audit_rest).take(), governor.clone());
        let (books, texts) = (Books::new(governor.config.clone()), VecDeque::new());
        let mut scribe = Self {
            shared,
            journal,
            cursor: Cursor::at(rest.as_ref().map_or(0, |rest| rest.next)),
            books,
            items: VecDeque::new(),
            texts,
            room: 0,
            status,
            refused_since_ns,
        };
        match rest {
            Some(rest) if rest.books.is_exact() => scribe.go_on(rest, refused_since_ns),
            Some(mut rest) => {
                scribe.state_beginning();
                scribe.room = rest.room;
                scribe.items.append(&mut rest.items);
            }
            None => scribe.state_beginning(),
        }
        scribe
    }

    /// Begins as a segment does, by what the last log has left.
    fn go_on(&mut self, mut rest: Rest, now_ns: u64) {
        let preamble = rest.books.preamble(now_ns);
        self.items.extend(preamble.iter().map(|body| Item::Words(body.encode())));
        rest.books_after();
        self.items.append(&mut rest.items);
        (self.books, self.room) = (rest.books, rest.room);
    }

    /// Says how the governor is configured, and who stood registered before the first event that
    /// is still to be read.
    fn state_beginning(&mut self) {
        let governor = self.shared.governor.clone();
        let events = &governor.core.events;
        let text = self.books.governor().text();
        self.items.push_back(Item::Text(CONFIGURED_TOPIC, 0, text));
        let is_whole = self.cursor.next() == 0 && events.pushed() <= u64::from(events.capacity());
        if is_whole {
            return;
        }
        self.books.lose();
        for configured in governor.all_details().into_iter().map(Configured::from) {
            self.items.push_back(Item::Text(STATED_TOPIC, 0, configured.text()));
            self.books.configured(configured);
        }
    }

    /// Until it is told to stop. Whatever happens, nobody is told the time any more then, and the
    /// next log finds what this one has left.
    fn run(mut self) -> Result<Head, AuditError> {
        let worked = catch_unwind(AssertUnwindSafe(|| self.work()));
        self.tell_time(0);
        self.shared.governor.core.events.keep_nothing();
        match worked {
            Ok(Ok(())) => self.close(),
            Ok(Err(error)) => {
                self.leave();
                Err(error)
            }
            Err(_) => {
                lock(&self.shared.talk).panicked = true;
                self.shared.told.notify_all();
                self.leave();
                Err(PANICKED)
            }
        }
    }

    fn work(&mut self) -> Result<(), AuditError> {
        self.keep();
        let mut idle = IDLE[0];
        // The number of the event before which the log ends, once that is known.
        let mut end = None;
        loop {
            let (stop, wants_checkpoint) = {
                let talk = lock(&self.shared.talk);
                (talk.stop, talk.wants_checkpoint)
            };
            if stop && end.is_none() {
                end = Some(self.shared.governor.core.events.pushed());
            }
            let turn = self.turn(wants_checkpoint);
            let is_idle = matches!(turn, Ok(false));
            let failed = turn.is_err();
            let error = turn.err().map(Arc::new);
            self.tell(error.clone(), wants_checkpoint);
            match error {
                Some(error) if end.is_some() => return Err(AuditError::Writer(error)),
                None if end.is_some_and(|end| self.cursor.next() >= end) => return Ok(()),
                _ => {}
            }
            idle = if is_idle { (idle * 2).min(IDLE[1]) } else { IDLE[0] };
            if failed {
                std::thread::park_timeout(RETRY);
            } else if is_idle {
                std::thread::park_timeout(idle);
            }
        }
    }

    /// Everything is written.
    fn close(self) -> Result<Head, AuditError> {
        let now = Moment::now(self.shared.governor.clock().now_ns());
        let rest = Rest::new(self.books, Vec::new(), self.texts, self.items, self.cursor.next());
        *sync::lock(&self.shared.governor.audit_rest) = Some(rest);
        self.journal.seal(now).map_err(|failed| failed.error)
    }

    /// Something is not written: the next log does that.
    fn leave(self) {
        let governor = &self.shared.governor;
        let unwritten = self.journal.give_up();
        let rest = Rest::new(self.books, unwritten, self.texts, self.items, self.cursor.next());
        governor.core.events.give_room(self.room.saturating_sub(rest.room));
        *sync::lock(&governor.audit_rest) = Some(rest);
    }

    /// Takes what there is, and writes it; says whether there was anything.
    fn turn(&mut self, wants_checkpoint: bool) -> Result<bool, AuditError> {
        let any = self.take_events()? | self.take_notes();
        self.append_items()?;
        self.take_counts()?;
        self.write()?;
        let now = Moment::now(self.shared.governor.clock().now_ns());
        match wants_checkpoint {
            true => drop(self.journal.checkpoint(now)?),
            false => self.journal.checkpoint_if_due(now)?,
        }
        if self.journal.is_full() {
            let preamble = self.books.preamble(now.clock_ns);
            self.journal.rotate(now, preamble)?;
        }
        Ok(any)
    }

    /// Up to a batch of events, from the ring into the journal. What is lost meanwhile is known
    /// before any record that follows it: its gap comes before the chunk in which that may be.
    fn take_events(&mut self) -> Result<bool, AuditError> {
        let governor = self.shared.governor.clone();
        let mut any = !self.items.is_empty();
        let tells = self.is_loaded();
        for _ in 0..BATCH_MAX / CHUNK {
            self.append_items()?;
            if tells {
                self.tell_time(governor.clock().now_ns());
            }
            let count = self.take_chunk();
            self.take_losses();
            self.keep();
            any |= count > 0;
            if count < CHUNK {
                break;
            }
        }
        self.append_items()?;
        Ok(any)
    }

    /// So many events from the ring; fewer if there are no more.
    fn take_chunk(&mut self) -> usize {
        let governor = self.shared.governor.clone();
        for count in 0..CHUNK {
            match governor.core.events.read_words(&mut self.cursor) {
                Read::Empty => return count,
                Read::Event(Record { sequence, words }) => self.take(sequence, words),
                Read::Lost(count) => self.skip(count),
            }
        }
        CHUNK
    }

    /// What was not recorded, before the events of which some came later.
    fn take_losses(&mut self) {
        let lost = self.shared.governor.core.events.take_lost();
        if lost > 0 {
            // Not later than what it stands before: for a reader the clock never goes back.
            let first = self.items.iter().find_map(|item| match item {
                Item::Words(words) => Some(words[0]),
                Item::Text(..) => None,
            });
            let clock_ns = first.unwrap_or_else(|| self.shared.governor.clock().now_ns());
            let gap = self.gap(clock_ns, self.cursor.next(), lost);
            self.items.push_front(gap);
        }
    }

    /// Says how far the ring is read.
    fn keep(&self) {
        if self.status.mode == AuditMode::DropAndCount {
            self.shared.governor.core.events.keep_after(self.cursor.next());
        }
    }

    /// Whether so much waits that everybody is told the time. A clock that is moved by hand is as
    /// quick to read, and calls are to be made again at their exact times.
    fn is_loaded(&self) -> bool {
        let governor = &self.shared.governor;
        let waiting = governor.core.events.pushed().saturating_sub(self.cursor.next());
        let is_slow = matches!(governor.clock(), Clock::Monotonic(_));
        is_slow && !governor.config.audit_calls && waiting > LOAD
    }

    /// Tells everybody the time; 0: to look at the clock.
    fn tell_time(&self, now_ns: u64) {
        // Relaxed: a time; nothing else is read on its account.
        self.shared.governor.told_ns.store(now_ns, Ordering::Relaxed);
    }

    #[inline]
    fn take(&mut self, sequence: u64, words: [u64; RECORD_WORDS]) {
        self.room += 1;
        if let Some(event) = Event::decode(sequence, &words) {
            use EventKind::{LimitsChanged, Registered, Tried};
            let carries = matches!(event.kind, Registered | LimitsChanged | Tried);
            if carries && event.detail != 0 {
                self.append_details(|details| details.take_up_to(event.detail));
            }
            self.books.add(&event);
        }
        self.items.push_back(Item::Words(words));
    }

    fn take_notes(&mut self) -> bool {
        let mut talk = lock(&self.shared.talk);
        let notes = std::mem::take(&mut talk.notes);
        let any = !notes.is_empty();
        for text in notes {
            talk.noted += 1;
            self.items.push_back(Item::Text(NOTED_TOPIC, talk.noted, text));
        }
        any
    }

    /// The configuration of an event, or those of events that may be lost.
    #[cold]
    fn append_details(&mut self, take: impl FnOnce(&Details) -> Vec<(u64, Detail)>) {
        for (number, detail) in take(&self.shared.governor.details) {
            let is_tried = matches!(detail, Detail::Tried(_));
            let topic = if is_tried { TRIED_TOPIC } else { CONFIGURED_TOPIC };
            let configured = Configured::from(detail);
            self.items.push_back(Item::Text(topic, number, configured.text()));
            if !is_tried {
                self.books.configured(configured);
            }
        }
    }

    /// Some events are overwritten already. Those that are next would be within a moment, and to
    /// read them would only be in the way of who writes: so half of the ring is left out.
    #[cold]
    fn skip(&mut self, count: u64) {
        let governor = self.shared.governor.clone();
        let events = &governor.core.events;
        let first = self.cursor.next() - count;
        let middle = events.pushed().saturating_sub(u64::from(events.capacity() / 2));
        self.cursor = Cursor::at(self.cursor.next().max(middle));
        let next = self.cursor.next();
        self.append_details(|details| details.take_before(next));
        // See `take_losses`: the time of the next one, if it is still there.
        let mut ahead = self.cursor;
        let clock_ns = match events.read_words(&mut ahead) {
            Read::Event(Record { words, .. }) => words[0],
            _ => governor.clock().now_ns(),
        };
        let gap = self.gap(clock_ns, first, next - first);
        self.items.push_back(gap);
    }

    fn gap(&mut self, clock_ns: u64, first: u64, count: u64) -> Item {
        self.status.events_lost += count;
        if self.status.mode != AuditMode::FailClosed {
            self.books.lose();
        }
        Item::Words(Body::Gap { clock_ns, first, count }.encode())
    }

    /// What was only counted: events that were lost, and requests that were refused.
    fn take_counts(&mut self) -> Result<(), AuditError> {
        let governor = self.shared.governor.clone();
        let events = &governor.core.events;
        let now_ns = governor.clock().now_ns();
        self.take_losses();
        let [requests, bytes] = events.take_refused();
        if requests > 0 {
            self.status.requests_refused += requests;
            let from_ns = self.refused_since_ns;
            let body = Body::Refused { from_ns, to_ns: now_ns, requests, bytes };
            self.items.push_back(Item::Words(body.encode()));
        }
        self.refused_since_ns = now_ns;
        self.append_items()
    }

    /// Into the journal's buffer, which is written whenever it is full or a checkpoint is due.
    #[inline]
    fn append_items(&mut self) -> Result<(), AuditError> {
        while let Some(item) = self.items.pop_front() {
            let clock_ns = if let Item::Words(words) = &item { words[0] } else { 0 };
            if let Err(error) = self.append(&item) {
                self.items.push_front(item);
                return Err(error);
            }
            if self.journal.is_checkpoint_due(Moment { clock_ns, unix_ns: 0 }) {
                self.tell_time(0);
                self.journal.checkpoint_if_due(Moment::now(clock_ns))?;
                self.give_room_back();
            }
        }
        Ok(())
    }

    #[inline]
    fn append(&mut self, item: &Item) -> Result<(), AuditError> {
        let needed = match item {
            Item::Words(_) => 1,
            Item::Text(_, _, text) => TextPart::cut(0, 0, text).count() as u64,
        };
        if self.journal.room() < needed {
            self.tell_time(0);
            self.journal.flush()?;
        }
        match item {
            Item::Words(words) => self.journal.append(words)?,
            Item::Text(topic, id, text) => {
                let last = self.journal.append_text(*topic, *id, text)?;
                self.texts.push_back((*topic, *id, text.clone()));
                last
            }
        };
        Ok(())
    }

    fn write(&mut self) -> Result<(), AuditError> {
        self.tell_time(0);
        self.journal.flush()?;
        self.texts.clear();
        self.give_room_back();
        Ok(())
    }

    /// The records of so many events are safe: others may have their room.
    fn give_room_back(&mut self) {
        let waiting = self.items.iter().filter(|item| matches!(item, Item::Words(_))).count();
        let written = self.room.saturating_sub(waiting as u64);
        self.shared.governor.core.events.give_room(written);
        self.room -= written;
    }

    /// Tells the owner how it went.
    fn tell(&mut self, error: Option<Arc<AuditError>>, signed: bool) {
        let is_written = error.is_none() && self.items.is_empty();
        self.status.records = self.journal.flushed();
        self.status.head = self.journal.head();
        self.status.error = error.as_ref().map(ToString::to_string);
        self.status.errors += u64::from(error.is_some());
        let mut talk = lock(&self.shared.talk);
        talk.status = self.status.clone();
        if is_written {
            talk.next_event = self.cursor.next();
            talk.wants_checkpoint &= !signed;
        }
        if error.is_some() {
            talk.last_error = error;
        }
        drop(talk);
        self.shared.told.notify_all();
    }
}
