//! What requests have made of tenants, groups and the configuration, kept for the next start.
//!
//! ```text
//! K1  what was answered is on the disk: a change is in force, then kept, then answered
//! K2  what could not be kept is undone and refused, unless it cannot be undone (somebody has
//!     left); then the answer says so, and it is kept with the next change
//! K3  at a start the configuration comes first; what was kept goes over an entry only if that is
//!     still what it was when the request came, else the entry is newer and wins
//! K4  grants are not kept: their holders ask again
//! ```
//!
//! `kept/file.rs` has the file itself.

mod file;
mod restore;

use crate::problem::Problem;
use crate::state::State;
use allotment::{GroupConfig, RateLimit, TenantConfig, TenantId};
use allotment_config::{Group, Setup, Tenant};
use axum::http::StatusCode;
use file::KeptFile;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

pub use restore::Restored;

/// Most entries that are kept.
const ENTRIES_MAX: usize = 1 << 15;

/// Something that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Record {
    /// A tenant as a request has made it.
    Tenant(KeptTenant),
    /// A tenant of the configuration has left.
    TenantGone {
        /// Its id.
        id: Uuid,
        /// The entry of the configuration that this goes over.
        over: Option<String>,
    },
    /// A group as a request has made it.
    Group(KeptGroup),
    /// A group of the configuration has left.
    GroupGone {
        /// Its name.
        name: String,
        /// The entry of the configuration that this goes over.
        over: Option<String>,
    },
    /// The text that was put in place of the file.
    Document {
        /// It.
        text: String,
        /// The text of the file that this goes over.
        over: String,
    },
    /// The configuration is newer.
    Forget(Key),
}

/// A tenant as a request has made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptTenant {
    id: Uuid,
    name: String,
    group: Option<String>,
    guarantee_bytes: u64,
    limit_bytes: Option<u64>,
    burst_bytes: Option<u64>,
    priority: String,
    isolation: String,
    policy: String,
    grants_max: [Option<u32>; 4],
    /// Interval and tolerance, in ns.
    rate_ns: Option<(u64, u64)>,
    over: Option<String>,
}

/// A group as a request has made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptGroup {
    name: String,
    parent: Option<String>,
    guarantee_bytes: u64,
    limit_bytes: Option<u64>,
    over: Option<String>,
}

/// What a record is about: of one key the last record counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// A tenant, by its id.
    Tenant(Uuid),
    /// A group, by its name.
    Group(String),
    /// The text in place of the file.
    Document,
}

impl Record {
    fn key(&self) -> Key {
        match self {
            Self::Tenant(tenant) => Key::Tenant(tenant.id),
            Self::TenantGone { id, .. } => Key::Tenant(*id),
            Self::Group(group) => Key::Group(group.name.clone()),
            Self::GroupGone { name, .. } => Key::Group(name.clone()),
            Self::Document { .. } => Key::Document,
            Self::Forget(key) => key.clone(),
        }
    }

    /// Whether nothing has to be known of its key any more.
    fn is_nothing(&self) -> bool {
        match self {
            Self::TenantGone { over, .. } | Self::GroupGone { over, .. } => over.is_none(),
            Self::Forget(_) => true,
            _ => false,
        }
    }
}

/// The last record of each key, in the order in which they came.
#[derive(Default)]
pub struct Entries {
    places: HashMap<Key, u64>,
    records: BTreeMap<u64, Record>,
    next: u64,
}

/// How to take a record back.
struct Before(Key, Option<(u64, Record)>);

impl Entries {
    fn put(&mut self, record: Record) -> Before {
        let key = record.key();
        let before = self.places.remove(&key);
        let before = before.and_then(|at| self.records.remove(&at).map(|record| (at, record)));
        if !record.is_nothing() {
            self.places.insert(key.clone(), self.next);
            self.records.insert(self.next, record);
            self.next += 1;
        }
        Before(key, before)
    }

    fn take_back(&mut self, Before(key, before): Before) {
        if let Some(at) = self.places.remove(&key) {
            self.records.remove(&at);
        }
        if let Some((at, record)) = before {
            self.places.insert(key, at);
            self.records.insert(at, record);
        }
    }

    fn get(&self, key: &Key) -> Option<&Record> {
        self.places.get(key).and_then(|at| self.records.get(at))
    }

    fn all(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }
}

/// What is kept, and where; nothing and nowhere unless it was told where.
#[derive(Default)]
pub struct Kept(Mutex<Option<Open>>);

struct Open {
    file: KeptFile,
    entries: Entries,
}

/// Whether what was done can be undone if it cannot be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum If {
    Undoable,
    Done,
}

impl Kept {
    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, record: Record, what: If) -> Result<(), Problem> {
        let mut open = self.open();
        let Some(Open { file, entries }) = &mut *open else { return Ok(()) };
        let is_new = entries.get(&record.key()).is_none() && !record.is_nothing();
        if what == If::Undoable && is_new && entries.records.len() >= ENTRIES_MAX {
            let detail = format!(
                "the state file has {ENTRIES_MAX} entries, as many as it may: unregister what is \
                 not needed, or write it into the configuration"
            );
            let (status, title) = (StatusCode::INSUFFICIENT_STORAGE, "no more can be kept");
            return Err(Problem::new(status, "state-full", title, detail));
        }
        let before = entries.put(record.clone());
        let written = on_disk(|| file.append(&record, entries));
        written.map_err(|error| {
            if what == If::Undoable {
                entries.take_back(before);
            }
            not_kept(what, &error)
        })
    }

    /// Whether the disk lacks something that is in force, and nobody is writing.
    pub fn is_behind(&self) -> bool {
        let open = self.0.try_lock();
        open.is_ok_and(|open| open.as_ref().is_some_and(|open| open.file.is_behind()))
    }

    /// Brings the disk up to date after an error, if that is possible by now.
    pub fn catch_up(&self) {
        let mut open = self.open();
        let Some(Open { file, entries }) = &mut *open else { return };
        if file.is_behind() {
            let _ = file.rewrite(entries);
        }
    }
}

fn not_kept(what: If, error: &io::Error) -> Problem {
    let detail = match what {
        If::Undoable => format!("{error}; nothing has changed: make room, and call again"),
        If::Done => format!(
            "{error}; it is in force, but a server that starts again does not know of it yet: make \
             room, and it is kept within seconds"
        ),
    };
    let title = "the state file cannot be written";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not-kept", title, detail)
}

/// Waits for the disk without holding up the other tasks of this thread, where there are several
/// threads.
fn on_disk<T>(wait: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(wait),
        _ => wait(),
    }
}

/// What stands for an entry of a configuration, to tell later whether it is the same.
fn stamp(entry: &impl std::fmt::Debug) -> String {
    let hash = blake3::hash(format!("{entry:?}").as_bytes()).to_hex();
    hash[..16].to_string()
}

/// The entries of a configuration, found by what records have of them.
struct Stamps<'s> {
    setup: &'s Setup,
    ids: HashMap<TenantId, &'s Tenant>,
    names: HashMap<&'s str, &'s Tenant>,
    groups: HashMap<&'s str, &'s Group>,
}

impl<'s> Stamps<'s> {
    fn of(setup: &'s Setup) -> Self {
        Self {
            setup,
            ids: setup.tenants.iter().map(|tenant| (tenant.id, tenant)).collect(),
            names: setup.tenants.iter().map(|tenant| (&*tenant.name, tenant)).collect(),
            groups: setup.groups.iter().map(|group| (&*group.name, group)).collect(),
        }
    }

    /// Of the tenant of this id, else of this name.
    fn tenant(&self, id: TenantId, name: &str) -> Option<String> {
        let found = self.ids.get(&id).or_else(|| self.names.get(name))?;
        let group = found.group.map(|at| &self.setup.groups[at].name);
        Some(stamp(&(Tenant { group: None, ..(*found).clone() }, group)))
    }

    fn group(&self, name: &str) -> Option<String> {
        let found = self.groups.get(name)?;
        let parent = found.parent.map(|at| &self.setup.groups[at].name);
        Some(stamp(&(Group { parent: None, ..(*found).clone() }, parent)))
    }

    /// Of what a record is about; none: nothing, or no entry of a configuration.
    fn of_record(&self, record: &Record) -> Option<String> {
        match record {
            Record::Tenant(KeptTenant { id, name, .. }) => self.tenant(*id, name),
            Record::TenantGone { id, .. } => self.tenant(*id, ""),
            Record::Group(KeptGroup { name, .. }) | Record::GroupGone { name, .. } => {
                self.group(name)
            }
            Record::Document { .. } | Record::Forget(_) => None,
        }
    }
}

impl State {
    /// Keeps a tenant as it is now.
    ///
    /// # Errors
    ///
    /// That the disk does not take it; the caller undoes what it has done.
    pub fn keep_tenant(&self, id: TenantId) -> Result<(), Problem> {
        let governor = self.manager.governor();
        let Some(handle) = governor.find(id) else { return Ok(()) };
        let config = governor.tenant_config(handle)?;
        let group = config.parent.map(|group| governor.group_config(group)).transpose()?;
        let setup = &self.configured.effective().setup;
        let over = Stamps::of(setup).tenant(id, &config.name);
        let kept = KeptTenant::of(config, group, over);
        self.kept.put(Record::Tenant(kept), If::Undoable)
    }

    /// Keeps that a tenant has left.
    ///
    /// # Errors
    ///
    /// That the disk does not take it.
    pub fn keep_tenant_gone(&self, id: TenantId, name: &str) -> Result<(), Problem> {
        let over = Stamps::of(&self.configured.effective().setup).tenant(id, name);
        self.kept.put(Record::TenantGone { id, over }, If::Done)
    }

    /// Keeps a group as it is now.
    ///
    /// # Errors
    ///
    /// That the disk does not take it; the caller undoes what it has done.
    pub fn keep_group(&self, name: &str) -> Result<(), Problem> {
        let governor = self.manager.governor();
        let Some(handle) = governor.find_group(name) else { return Ok(()) };
        let config = governor.group_config(handle)?;
        let parent = config.parent.map(|group| governor.group_config(group)).transpose()?;
        let kept = KeptGroup {
            parent: parent.map(|parent| parent.name),
            guarantee_bytes: config.guarantee_bytes,
            limit_bytes: config.limit_bytes,
            over: Stamps::of(&self.configured.effective().setup).group(name),
            name: config.name,
        };
        self.kept.put(Record::Group(kept), If::Undoable)
    }

    /// Keeps that a group has left.
    ///
    /// # Errors
    ///
    /// That the disk does not take it.
    pub fn keep_group_gone(&self, name: &str) -> Result<(), Problem> {
        let over = Stamps::of(&self.configured.effective().setup).group(name);
        self.kept.put(Record::GroupGone { name: name.to_string(), over }, If::Done)
    }

    /// Keeps a text that was put in place of the file's.
    ///
    /// # Errors
    ///
    /// That the disk does not take it; the caller undoes what it has done.
    pub fn keep_document(&self, text: String, file: &str) -> Result<(), Problem> {
        self.kept.put(Record::Document { text, over: stamp(&file) }, If::Undoable)
    }

    /// Forgets what requests have made of entries that the configuration has changed since, and
    /// says whether the text that was put in place of the file is one of them.
    pub fn forget_older(&self, before: &Setup, after: &Setup, document: bool) {
        let mut stale = Vec::new();
        if let Some(Open { entries, .. }) = &*self.kept.open() {
            let (before, after) = (Stamps::of(before), Stamps::of(after));
            let changed = |record: &&Record| match record {
                Record::Document { .. } => document,
                record => before.of_record(record) != after.of_record(record),
            };
            stale.extend(entries.all().filter(changed).map(Record::key));
        }
        for key in stale {
            // If the disk refuses it, it is kept with the next change.
            let _ = self.kept.put(Record::Forget(key), If::Done);
        }
    }
}

impl KeptTenant {
    fn of(config: TenantConfig, group: Option<GroupConfig>, over: Option<String>) -> Self {
        Self {
            id: config.id,
            group: group.map(|group| group.name),
            guarantee_bytes: config.guarantee_bytes,
            limit_bytes: config.limit_bytes,
            burst_bytes: config.burst_bytes,
            priority: config.priority.name().to_string(),
            isolation: config.isolation.name().to_string(),
            policy: config.policy.name().to_string(),
            grants_max: config.grants_max,
            rate_ns: config
                .rate
                .map(|RateLimit { interval_ns, tolerance_ns }| (interval_ns, tolerance_ns)),
            name: config.name,
            over,
        }
    }
}

/// Opens the file, so that from here on everything is kept; [`State::restore`] makes of it what it
/// says.
///
/// # Errors
///
/// Why it cannot be used.
pub fn open(path: &Path) -> io::Result<Remembered> {
    let file::Opened { file, entries, cut_bytes, is_new } = KeptFile::open(path)?;
    Ok(Remembered { open: Open { file, entries }, cut_bytes, is_new })
}

/// What was kept, read and not yet made of.
pub struct Remembered {
    open: Open,
    /// Bytes of a last record that was not whole.
    pub cut_bytes: u64,
    /// Whether there was nothing before.
    pub is_new: bool,
}

impl Remembered {
    /// The text that was put in place of this one, if the file still has it.
    pub fn document(&self, file: &str) -> Option<&str> {
        match self.open.entries.get(&Key::Document) {
            Some(Record::Document { text, over }) if *over == stamp(&file) => Some(text),
            _ => None,
        }
    }
}
