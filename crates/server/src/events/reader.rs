//! The one reader: takes what the governor has recorded and what alerts there are, and writes it
//! down once for all listeners.
//!
//! ```text
//! R1  every event since the reader was made is told once and in order, or is in a loss that is
//!     told
//! R2  an event is told of a tenant only if it is about that tenant: where nobody knows any more,
//!     since its number went to others meanwhile, it is told of nobody
//! ```
//!
//! Events name tenants by numbers that are used again. Who has a number is asked after the events
//! were read, and then the events up to that moment are read as well: if the number was registered
//! anew among them, the answer is not about earlier events.

use crate::events::board::{At, BATCH_BYTES_MAX, Batch, Frame};
use crate::events::filter::{ALERT, ALERT_NAME, LOST, place_of};
use crate::happened::{EventBody, kind_name};
use allotment::{
    AccountName, Alert, AlertChange, AlertLevel, AlertReader, Event, EventKind, EventMark,
    EventRead, Governor, TenantId,
};
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::time::SystemTime;
use utoipa::ToSchema;

/// Events that are told in one turn, after which others go on.
const TURN_EVENTS_MAX: usize = 4_096;
const NS_IN_MS: i128 = 1_000_000;

/// What was read and is not told yet.
enum Item {
    Event(Event),
    /// So many are lost, before the event of that number.
    Lost(u64, u64),
}

/// Who has a number.
#[derive(Clone)]
struct Party {
    tenant: Option<TenantId>,
    id: Option<String>,
    name: String,
}

/// See the top of this file.
pub struct Reader {
    /// What the ids of its frames begin with.
    stream: String,
    mark: EventMark,
    ahead: VecDeque<Item>,
    /// As of the events told so far.
    parties: HashMap<u32, Party>,
    alerts: AlertReader,
    alerts_lost: u64,
    /// Time of day when the governor's clock shows 0.
    clock_began_ns: i128,
}

/// An alert, as it is told.
#[derive(Serialize, ToSchema)]
pub struct AlertBody<'a> {
    kind: &'static str,
    time_ms: u64,
    about: &'static str,
    change: &'static str,
    level: &'static str,
    tenant: Option<String>,
    name: &'a str,
    value: f64,
    threshold: f64,
    unit: &'static str,
    text: String,
}

/// What was lost, as it is told.
#[derive(Serialize, ToSchema)]
pub struct LostBody {
    /// Events; none where nobody can know how many.
    pub events: Option<u64>,
    /// Alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerts: Option<u64>,
}

impl Reader {
    /// Of everything that is still kept.
    pub fn new(stream: String, governor: &Governor, alerts: AlertReader) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now_ns = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
        Self {
            stream,
            mark: EventMark::default(),
            ahead: VecDeque::new(),
            parties: HashMap::new(),
            alerts,
            alerts_lost: 0,
            clock_began_ns: now_ns - i128::from(governor.clock().now_ns()),
        }
    }

    /// What is new, in batches that begin with the number `next`; and whether there is more.
    pub fn turn(&mut self, governor: &Governor, next: u64) -> (Vec<Batch>, bool) {
        let mut writer = Writer::new(next);
        while let Some(alert) = self.alerts.try_next() {
            self.tell_alert(&mut writer, &alert);
        }
        let missed = self.alerts.lost() - self.alerts_lost;
        if missed > 0 {
            self.alerts_lost += missed;
            let at = At::Time(governor.clock().now_ns());
            self.tell_lost(&mut writer, at, LostBody { events: Some(0), alerts: Some(missed) });
        }
        self.read_until(governor, u64::MAX, TURN_EVENTS_MAX);
        let count = self.ahead.len();
        let found = self.find(governor);
        for place in 0..count {
            self.tell(&mut writer, &found, place);
        }
        self.ahead.drain(..count);
        (writer.finish(), count >= TURN_EVENTS_MAX)
    }

    fn read_until(&mut self, governor: &Governor, position: u64, ahead_max: usize) {
        let mut reader = governor.events_after(self.mark);
        while reader.position() < position && self.ahead.len() < ahead_max {
            match reader.read() {
                EventRead::Event(event) => self.ahead.push_back(Item::Event(event)),
                EventRead::Lost(count) => {
                    self.ahead.push_back(Item::Lost(count, reader.position()));
                }
                EventRead::Empty => break,
            }
        }
        self.mark = reader.mark();
    }

    /// Who has the numbers that are not known, or may have gone to others; reads on up to now.
    fn find(&mut self, governor: &Governor) -> Found {
        let is_lost = |item: &Item| matches!(item, Item::Lost(..));
        let doubtful = self.ahead.iter().any(is_lost);
        let mut found = Found::default();
        for item in &self.ahead {
            let Item::Event(event) = item else { continue };
            let known = !doubtful && !renames(event) && self.parties.contains_key(&event.account);
            if event.account != 0 && !known && !found.parties.contains_key(&event.account) {
                found.parties.insert(event.account, party(governor, event.account));
            }
        }
        let now = governor.events_after(END).position();
        self.read_until(governor, now, usize::MAX);
        for (place, item) in self.ahead.iter().enumerate() {
            match item {
                Item::Event(Event { kind: EventKind::Registered, account, .. }) => {
                    found.registered.insert(*account, place);
                }
                Item::Event(_) => {}
                // Who was registered meanwhile is not known.
                Item::Lost(..) => found.sure_from = place,
            }
        }
        found
    }

    fn tell(&mut self, writer: &mut Writer, found: &Found, place: usize) {
        let event = match self.ahead[place] {
            Item::Event(event) => event,
            Item::Lost(count, position) => {
                self.parties.clear();
                let body = LostBody { events: Some(count), alerts: None };
                return self.tell_lost(writer, At::Position(position), body);
            }
        };
        if event.kind == EventKind::Registered {
            self.parties.remove(&event.account);
        }
        let last = found.registered.get(&event.account);
        let is_sure = place >= found.sure_from && last.is_none_or(|last| *last <= place);
        if is_sure && (renames(&event) || !self.parties.contains_key(&event.account)) {
            match found.parties.get(&event.account) {
                Some(Some(party)) => _ = self.parties.insert(event.account, party.clone()),
                Some(None) => _ = self.parties.remove(&event.account),
                None => {}
            }
        }
        let party = self.parties.get(&event.account);
        let id = party.and_then(|party| party.id.as_deref());
        let name = party.map(|party| &*party.name);
        let body = EventBody::new(&event, self.unix_ms(event.time_ns), id, name);
        let tenant = party.and_then(|party| party.tenant);
        let (kind, at) = (place_of(event.kind), At::Position(event.sequence));
        let frame = Frame { number: 0, end: 0, kind, tenant, at };
        writer.frame(&self.stream, kind_name(event.kind), &body, (frame, 1));
        if event.kind == EventKind::Unregistered {
            self.parties.remove(&event.account);
        }
    }

    fn tell_lost(&self, writer: &mut Writer, at: At, body: LostBody) {
        let frame = Frame { number: 0, end: 0, kind: LOST, tenant: None, at };
        let lost = body.events.unwrap_or(0).saturating_add(body.alerts.unwrap_or(0));
        writer.frame(&self.stream, "lost", &body, (frame, lost.max(1)));
    }

    fn tell_alert(&self, writer: &mut Writer, alert: &Alert) {
        let body = AlertBody {
            kind: ALERT_NAME,
            time_ms: self.unix_ms(alert.time_ns),
            about: alert.kind.name(),
            change: match alert.raised_or_cleared {
                AlertChange::Raised => "raised",
                AlertChange::Cleared => "cleared",
            },
            level: match alert.level {
                AlertLevel::Warning => "warning",
                _ => "critical",
            },
            tenant: alert.tenant.map(|tenant| tenant.to_string()),
            name: &alert.name,
            value: alert.value,
            threshold: alert.threshold,
            unit: alert.kind.unit(),
            text: alert.to_string(),
        };
        let at = At::Time(alert.time_ns);
        let frame = Frame { number: 0, end: 0, kind: ALERT, tenant: alert.tenant, at };
        writer.frame(&self.stream, ALERT_NAME, &body, (frame, 1));
    }

    fn unix_ms(&self, clock_ns: u64) -> u64 {
        let unix_ns = self.clock_began_ns.saturating_add(clock_ns.into());
        u64::try_from(unix_ns / NS_IN_MS).unwrap_or(0)
    }
}

/// A mark that stands at the end.
pub const END: EventMark = EventMark { position: u64::MAX, lost: u64::MAX };

/// Whether somebody has the number, or is called so, from this event on.
fn renames(event: &Event) -> bool {
    matches!(event.kind, EventKind::Registered | EventKind::LimitsChanged)
}

fn party(governor: &Governor, account: u32) -> Option<Party> {
    match governor.account(account)? {
        AccountName::Tenant(handle) => {
            let config = governor.tenant_config(handle).ok()?;
            let (tenant, id) = (Some(config.id), Some(config.id.to_string()));
            Some(Party { tenant, id, name: config.name })
        }
        AccountName::Group(handle) => {
            let config = governor.group_config(handle).ok()?;
            Some(Party { tenant: None, id: None, name: config.name })
        }
        AccountName::Pool => None,
    }
}

/// Who has which number by now.
#[derive(Default)]
struct Found {
    parties: HashMap<u32, Option<Party>>,
    /// Where the last registration of a number stands among what was read.
    registered: HashMap<u32, usize>,
    /// Where the last loss stands: what is said here holds for what comes after it.
    sure_from: usize,
}

/// Writes frames into batches.
struct Writer {
    next: u64,
    first: u64,
    kinds: u64,
    frames: Vec<Frame>,
    text: Vec<u8>,
    done: Vec<Batch>,
}

impl Writer {
    fn new(next: u64) -> Self {
        let (frames, text, done) = (Vec::new(), Vec::new(), Vec::new());
        Self { next, first: next, kinds: 0, frames, text, done }
    }

    /// Adds a frame that has so many numbers.
    fn frame(
        &mut self,
        stream: &str,
        name: &str,
        body: &impl Serialize,
        (frame, numbers): (Frame, u64),
    ) {
        let before = self.text.len();
        let number = self.next + numbers - 1;
        write_frame(&mut self.text, Some((stream, number)), name, body);
        if before > 0 && self.text.len() > BATCH_BYTES_MAX {
            let after = self.text.split_off(before);
            self.end_batch();
            self.text = after;
        }
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        self.frames.push(Frame { number, end, ..frame });
        self.kinds |= 1 << frame.kind;
        self.next = number + 1;
    }

    fn end_batch(&mut self) {
        if self.frames.is_empty() {
            return;
        }
        let frames = std::mem::take(&mut self.frames);
        let end = frames.last().map_or(self.first, |last| last.number + 1);
        let text = std::mem::take(&mut self.text);
        let bytes = text.into_boxed_slice().into();
        self.done.push(Batch { first: self.first, end, kinds: self.kinds, frames, bytes });
        (self.first, self.kinds) = (end, 0);
    }

    fn finish(mut self) -> Vec<Batch> {
        self.end_batch();
        self.done
    }
}

/// An event of a stream, as the standard for server-sent events has it. Bodies are JSON, which has
/// no line ends of its own.
pub fn write_frame(to: &mut Vec<u8>, id: Option<(&str, u64)>, name: &str, body: &impl Serialize) {
    const MEMORY: &str = "text is written to memory";
    if let Some((stream, number)) = id {
        writeln!(to, "id: {stream}-{number}").expect(MEMORY);
    }
    write!(to, "event: {name}\ndata: ").expect(MEMORY);
    serde_json::to_writer(&mut *to, body).expect(MEMORY);
    to.extend_from_slice(b"\n\n");
}
