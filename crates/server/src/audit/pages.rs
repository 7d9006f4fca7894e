//! A page of the audit log: read from the segment before the one where it begins, so that names and
//! times of day are known.

use super::PageBody;
use crate::happened::{EventBody, kind_name};
use crate::words::words;
use allotment::TenantId;
use allotment::audit::{AuditError, Body, Configured, Entry, Reader, TRIED_TOPIC, Texts};
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// The log's own kinds of records.
pub const OWN_KINDS: [&str; 10] = [
    "opened",
    "checkpoint",
    "seal",
    "gap",
    "refused",
    "balance",
    "configured",
    "retired",
    "recovered",
    "unknown",
];
/// Kinds that only those get who name them.
const QUIET: [&str; 3] = ["checkpoint", "balance", "configured"];
/// Records that are looked at for one page.
const LOOKED_AT_MAX: u64 = 500_000;
/// Places of damage that are told on one page.
const DAMAGE_MAX: usize = 10;
/// Bytes of a text that are told; longer ones are in no log of a server.
const TEXT_BYTES_MAX: usize = 4_096;
const NS_IN_MS: i128 = 1_000_000;

/// Which records.
pub struct Wanted {
    /// Those after this one.
    pub after: u64,
    /// Of a tenant or group of that name,
    pub tenant: Option<String>,
    /// or of that id.
    pub id: Option<TenantId>,
    /// Of these kinds; none: of all that are not quiet.
    pub kinds: Option<Vec<&'static str>>,
    /// At most so many.
    pub limit: usize,
}

/// A record of the log.
#[derive(Serialize, ToSchema)]
pub struct RecordBody<'a> {
    sequence: u64,
    #[serde(flatten)]
    says: Says<'a>,
}

fn own_kinds() -> RefOr<Schema> {
    words(OWN_KINDS)
}

/// What a record says: which of both, its kind tells.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Says<'a> {
    /// An event of the governor.
    Event(EventBody<'a>),
    /// A record of the log's own.
    Own(OwnBody<'a>),
}

/// What the log says of itself.
#[derive(Serialize, ToSchema)]
pub struct OwnBody<'a> {
    #[schema(schema_with = own_kinds)]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// Of a gap: events; of refusals: requests; of a balance: grants.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Who has a number, and what time it is, by the records so far.
#[derive(Default)]
struct Known {
    parties: HashMap<u32, (Option<String>, String)>,
    texts: Texts,
    /// Time of day when the governor's clock shows 0.
    clock_began_ns: i128,
}

/// Reads a page. Blocks; bounded by two segments and [`LOOKED_AT_MAX`] records.
pub fn read(folder: &Path, wanted: &Wanted) -> Result<PageBody, AuditError> {
    let mut reader = Reader::open_before(folder, None, wanted.after)?;
    let mut known = Known::default();
    let mut page =
        PageBody { records: Vec::new(), next_after: wanted.after, end: false, damage: Vec::new() };
    let mut looked_at = 0;
    while page.records.len() < wanted.limit && looked_at < LOOKED_AT_MAX {
        let entry = match reader.next() {
            None => {
                page.end = true;
                break;
            }
            Some(Err(AuditError::Damaged(finding))) => {
                if page.damage.len() < DAMAGE_MAX {
                    page.damage.push(finding.to_string());
                }
                continue;
            }
            Some(entry) => entry?,
        };
        let told = known.take(&entry.record.body());
        if entry.record.sequence <= wanted.after {
            continue;
        }
        looked_at += 1;
        page.next_after = entry.record.sequence;
        page.records.extend(known.record(&entry, told, wanted));
    }
    Ok(page)
}

/// A text that is whole, and the account that it is about.
type Told = Option<(String, Option<u32>)>;

impl Known {
    /// Learns from a record.
    fn take(&mut self, body: &Body) -> Told {
        if let Body::Opened { .. } = body {
            // Another governor: its numbers are of others.
            self.parties.clear();
        }
        match *body {
            Body::Opened { clock_ns, unix_ns }
            | Body::Checkpoint { clock_ns, unix_ns, .. }
            | Body::Seal { clock_ns, unix_ns, .. } => {
                self.clock_began_ns = i128::from(unix_ns) - i128::from(clock_ns);
                None
            }
            Body::Text(part) => {
                let (topic, _, text) = self.texts.push(&part)?;
                let configured = Configured::parse(&text);
                let account = configured.as_ref().map(Configured::account);
                if topic != TRIED_TOPIC
                    && let Some(configured) = &configured
                {
                    self.learn(configured);
                }
                Some((text, account))
            }
            _ => None,
        }
    }

    fn learn(&mut self, configured: &Configured) {
        let party = match configured {
            Configured::Tenant(_, config) => (Some(config.id.to_string()), config.name.clone()),
            Configured::Group(_, config) => (None, config.name.clone()),
            _ => return,
        };
        self.parties.insert(configured.account(), party);
    }

    /// The record as it is told, if it is wanted.
    fn record(&self, entry: &Entry, told: Told, wanted: &Wanted) -> Option<serde_json::Value> {
        let body = entry.record.body();
        let (text, of_text) = told.unzip();
        let kind = match &body {
            Body::Event(event) => kind_name(event.kind),
            Body::Text(_) if text.is_none() => return None,
            own => own_kind(own),
        };
        let account = match &body {
            Body::Event(event) => Some(event.account),
            Body::Balance { account, .. } => Some(*account),
            _ => of_text.flatten(),
        };
        let party = account.and_then(|account| self.parties.get(&account));
        let (id, name) = match party {
            Some((id, name)) => (id.as_deref(), Some(&**name)),
            None => (None, None),
        };
        if !wanted.is(kind, id, name) {
            return None;
        }
        let says = match &body {
            Body::Event(event) => {
                Says::Event(EventBody::new(event, self.unix_ms(event.time_ns), id, name))
            }
            own => Says::Own(self.own(own, kind, (id, name), text)),
        };
        let record = RecordBody { sequence: entry.record.sequence, says };
        Some(serde_json::to_value(record).expect("numbers and text are JSON"))
    }

    fn own<'a>(
        &self,
        body: &Body,
        kind: &'static str,
        (tenant, name): (Option<&'a str>, Option<&'a str>),
        text: Option<String>,
    ) -> OwnBody<'a> {
        let (clock_ns, count, bytes) = match *body {
            Body::Gap { clock_ns, count, .. } => (Some(clock_ns), Some(count), None),
            Body::Refused { to_ns, requests, bytes, .. } => {
                (Some(to_ns), Some(requests), Some(bytes))
            }
            Body::Balance { clock_ns, bytes, grants, .. } => {
                (Some(clock_ns), Some(grants), Some(bytes))
            }
            Body::Opened { clock_ns, .. }
            | Body::Checkpoint { clock_ns, .. }
            | Body::Seal { clock_ns, .. }
            | Body::Retired { clock_ns, .. }
            | Body::Recovered { clock_ns, .. } => (Some(clock_ns), None, None),
            _ => (None, None, None),
        };
        let text = match body {
            Body::Opened { .. } => {
                Some("a server begins: grants of one before it are gone".to_string())
            }
            _ => text.map(|mut text| {
                text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
                text
            }),
        };
        let time_ms = clock_ns.map(|clock_ns| self.unix_ms(clock_ns));
        OwnBody { kind, time_ms, tenant, name, count, bytes, text }
    }

    fn unix_ms(&self, clock_ns: u64) -> u64 {
        u64::try_from((self.clock_began_ns + i128::from(clock_ns)) / NS_IN_MS).unwrap_or(0)
    }
}

fn own_kind(body: &Body) -> &'static str {
    match body {
        Body::Opened { .. } => "opened",
        Body::Checkpoint { .. } => "checkpoint",
        Body::Seal { .. } => "seal",
        Body::Gap { .. } => "gap",
        Body::Refused { .. } => "refused",
        Body::Balance { .. } => "balance",
        Body::Text(_) => "configured",
        Body::Retired { .. } => "retired",
        Body::Recovered { .. } => "recovered",
        _ => "unknown",
    }
}

impl Wanted {
    fn is(&self, kind: &'static str, id: Option<&str>, name: Option<&str>) -> bool {
        let of_kind = match &self.kinds {
            Some(kinds) => kinds.contains(&kind),
            None => !QUIET.contains(&kind),
        };
        let of_tenant = match (&self.tenant, self.id) {
            (None, _) => true,
            (Some(_), Some(wanted)) if id == Some(&*wanted.to_string()) => true,
            (Some(wanted), _) => name == Some(wanted),
        };
        of_kind && of_tenant
    }
}
