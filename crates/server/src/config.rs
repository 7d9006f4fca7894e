//! What is configured, and how it changes while the server runs.
//!
//! ```text
//! GET    /v1/config    every value in force, who has set it, and how the last change went   200
//! PUT    /v1/config    a file's text as the body: checked, then applied                     200
//! ```
//!
//! The file, a signal and a request go the same way: read and check all layers, apply (`apply.rs`),
//! and only then publish, one after the other under the lock of administration. What is refused
//! leaves everything as it is, and stands in the answer and in the state until something succeeds.

use crate::apply::{Leaving, NotApplied, apply};
use crate::problem::Problem;
use crate::state::{State, at_once};
use allotment::{TenantConfig, TenantHold, TenantId};
use allotment_config::{
    ConfigError, Configuration, Datum, Difference, Group, Layers, Origin, Setup, Tenant, Value,
    differences, memory_bytes,
};
use arc_swap::ArcSwap;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value as JsonValue, json};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use utoipa::ToSchema;

/// Most differences that an answer lists; the rest are counted.
const LISTED_MAX: usize = 1_000;
/// What complaints about the body of a request call it.
const BODY: &str = "body";

/// What is configured now.
pub struct Configured {
    effective: ArcSwap<Configuration>,
    /// What that came of. Taken with administration locked.
    layers: Mutex<Layers>,
    /// The text of the file as it was read last, whatever was put in its place since.
    file: Mutex<String>,
    leaving: Mutex<Leaving>,
    history: Mutex<History>,
}

/// How changes went.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct History {
    /// Changes applied so far, those that changed nothing included.
    pub applied: u64,
    /// Changes refused so far.
    pub refused: u64,
    /// When the last one was applied or refused, in seconds since 1970.
    pub last_secs: Option<u64>,
    /// Why the last one was refused; none: it was applied.
    pub last_error: Option<String>,
}

/// What a change has done.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// What differs, with the value before and after.
    pub changes: Vec<Difference>,
    /// Keys that differ and stay as they are until the server starts again.
    pub needs_restart: Vec<String>,
    /// Tenants that are not named any more: they are drained, and leave once they hold nothing.
    pub leaving: Vec<String>,
}

/// One value of the configuration.
#[derive(Serialize, ToSchema)]
pub struct ValueBody {
    key: String,
    value: JsonValue,
    /// Who has set it.
    origin: String,
}

/// Who leaves once it holds nothing.
#[derive(Serialize, ToSchema)]
pub struct LeavingBody {
    tenants: Vec<String>,
    groups: Vec<String>,
}

/// The answer to `GET /v1/config`.
#[derive(Serialize, ToSchema)]
pub struct ConfigBody {
    values: Vec<ValueBody>,
    history: History,
    leaving: LeavingBody,
}

/// A value that differs.
#[derive(Serialize, ToSchema)]
pub struct ChangeBody {
    key: String,
    /// `null` also of what was not there.
    #[schema(value_type = JsonValue)]
    before: Option<JsonValue>,
    /// `null` also of what has left.
    #[schema(value_type = JsonValue)]
    after: Option<JsonValue>,
}

/// The answer to `PUT /v1/config`.
#[derive(Serialize, ToSchema)]
pub struct AppliedBody {
    /// At most 1,000 of them.
    changes: Vec<ChangeBody>,
    /// How many there are.
    changed: usize,
    /// Keys that wait for the next start.
    needs_restart: Vec<String>,
    /// Tenants that leave once they hold nothing.
    leaving: Vec<String>,
}

/// What to configure.
#[derive(Clone, Debug)]
pub enum Source {
    /// The file, with its text as it is now.
    File(PathBuf, String),
    /// A text in place of the file's, until that changes.
    Request(String),
    /// The same again: the machine may have another memory by now.
    Again,
}

/// Why a change was refused.
#[derive(Debug)]
pub enum Refused {
    /// What is configured is not sound.
    Unsound(ConfigError),
    /// It is, but cannot be applied.
    NotApplied(NotApplied),
    /// It was applied, could not be kept, and is undone.
    NotKept(Problem),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsound(error) => error.fmt(f),
            Self::NotApplied(why) => why.fmt(f),
            Self::NotKept(problem) => f.write_str(problem.detail()),
        }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let title = "the configuration is not applied";
        match refused {
            Refused::Unsound(error) => {
                let faults = error.faults().iter();
                let faults: Vec<JsonValue> = faults
                    .map(|fault| {
                        json!({ "origin": fault.origin.to_string(), "message": fault.message })
                    })
                    .collect();
                let status = StatusCode::BAD_REQUEST;
                Self::new(status, "unsound", title, error.to_string()).with("faults", faults)
            }
            Refused::NotApplied(NotApplied::Impossible(why)) => {
                Self::new(StatusCode::CONFLICT, "impossible", title, why)
            }
            Refused::NotApplied(NotApplied::Refused(error, more)) => {
                Self::from(error).and_also(&more)
            }
            Refused::NotKept(problem) => problem,
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Configured {
    /// Of a setup whose layers are not known.
    pub fn of(setup: Setup) -> Self {
        Self {
            effective: ArcSwap::from_pointee(Configuration::of(setup)),
            layers: Mutex::default(),
            file: Mutex::default(),
            leaving: Mutex::default(),
            history: Mutex::default(),
        }
    }

    /// Says what the setup came of, so that layers can be changed one by one. For a server that has
    /// just been made of the same. `file` is the text of the file.
    pub fn begin(&self, configuration: Configuration, layers: Layers, file: &str) {
        self.effective.store(Arc::new(configuration));
        *locked(&self.layers) = layers;
        *locked(&self.file) = file.to_string();
    }

    /// What is configured now. Changes that requests have made to tenants and groups are not in it.
    pub fn effective(&self) -> Arc<Configuration> {
        self.effective.load_full()
    }

    /// The layers that this came of.
    pub fn layers(&self) -> Layers {
        locked(&self.layers).clone()
    }

    /// How changes went.
    pub fn history(&self) -> History {
        locked(&self.history).clone()
    }

    /// Whether somebody who is not named any more is still there.
    pub fn waits_for_leaving(&self) -> bool {
        let leaving = locked(&self.leaving);
        !leaving.tenants.is_empty() || !leaving.groups.is_empty()
    }

    fn note(&self, error: Option<String>) {
        let mut history = locked(&self.history);
        match error {
            None => history.applied += 1,
            Some(_) => history.refused += 1,
        }
        history.last_error = error;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        history.last_secs = since.ok().map(|since| since.as_secs());
    }

    /// Remembers that a change could not even be read.
    pub fn note_unread(&self, error: &str) {
        self.note(Some(error.to_string()));
    }
}

/// What a running governor can take over of a setup; the keys that it cannot.
fn as_far_as_possible(before: &Setup, wanted: &Setup) -> (Setup, Vec<String>) {
    let mut after = wanted.clone();
    after.pressure = before.pressure.clone();
    after.grants_max = before.grants_max;
    let left = differences(&after, wanted).into_iter().map(|difference| difference.key);
    (after, left.collect())
}

impl Source {
    /// Who changes something, for the audit log.
    fn by(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Request(_) => "a request".to_string(),
            Self::Again => "a signal".to_string(),
        }
    }
}

impl State {
    /// Notes in the audit log, if there is one, what differs now: what of it is the governor's is
    /// recorded there as well, what is the server's alone nowhere else.
    fn note_applied(&self, by: &str, applied: &Applied) {
        if applied.changes.is_empty() || self.manager.audit_status().is_none() {
            return;
        }
        let mut text = format!("configured by {by}");
        for change in &applied.changes {
            let shown = |datum: &Option<Datum>| match datum {
                Some(datum) => datum.to_string(),
                None => "nothing".to_string(),
            };
            text += &format!("\n{}: {} -> {}", change.key, shown(&change.before), {
                shown(&change.after)
            });
        }
        // It is applied, whatever becomes of its note: the log says itself what is in its way.
        let _ = self.manager.audit_note(&text);
    }

    /// Changes what is configured, and whoever is registered by it.
    ///
    /// # Errors
    ///
    /// Why nothing was changed; it is remembered in the history too.
    pub async fn configure(&self, source: Source) -> Result<Applied, Refused> {
        let _alone = self.administration.lock().await;
        let by = source.by();
        let outcome = self.take(source);
        if let Ok(applied) = &outcome {
            self.note_applied(&by, applied);
        }
        self.configured.note(outcome.as_ref().err().map(Refused::to_string));
        outcome
    }

    /// The same, with administration locked. Awaits nothing, so that a client that goes away leaves
    /// nothing half done.
    fn take(&self, source: Source) -> Result<Applied, Refused> {
        let configured = &self.configured;
        let (before, setup) = (configured.layers(), configured.effective());
        let applied = match source {
            Source::File(path, text) => {
                let layers = before.file(&path, &*text).memory(memory_bytes().ok());
                let applied = self.put(layers)?;
                *locked(&configured.file) = text;
                self.forget_older(&setup.setup, &configured.effective().setup, true);
                return Ok(applied);
            }
            Source::Again => self.put(before.memory(memory_bytes().ok()))?,
            Source::Request(text) => {
                let applied = self.put(before.clone().file(Path::new(BODY), &*text))?;
                let file = locked(&configured.file).clone();
                if let Err(problem) = self.keep_document(text, &file) {
                    self.put(before)?;
                    return Err(Refused::NotKept(problem));
                }
                applied
            }
        };
        self.forget_older(&setup.setup, &configured.effective().setup, false);
        Ok(applied)
    }

    /// Puts these layers into force.
    fn put(&self, layers: Layers) -> Result<Applied, Refused> {
        let read = layers.read().map_err(Refused::Unsound)?;
        let before = self.configured.effective();
        let (after, needs_restart) = as_far_as_possible(&before.setup, &read.setup);
        let left = apply(self, &before.setup, &after).map_err(Refused::NotApplied)?;
        let changes = differences(&before.setup, &after);
        let leaving = left.tenants.values().cloned().collect();
        {
            let mut leaves = locked(&self.configured.leaving);
            let ids: HashSet<TenantId> = after.tenants.iter().map(|tenant| tenant.id).collect();
            let names: HashSet<&str> = after.tenants.iter().map(|tenant| &*tenant.name).collect();
            leaves.tenants.retain(|id, name| {
                let stays = ids.contains(id) || names.contains(name.as_str());
                if stays {
                    let _ = at_once(self.manager.thaw_tenant(*id));
                }
                !stays
            });
            for group in &after.groups {
                leaves.groups.remove(&group.name);
            }
            leaves.tenants.extend(left.tenants);
            leaves.groups.extend(left.groups);
        }
        self.cache.rooms.set_limit(after.cache.bytes_max);
        let mut effective = read;
        effective.setup = after;
        self.configured.effective.store(Arc::new(effective));
        *locked(&self.configured.layers) = layers;
        self.let_leave();
        Ok(Applied { changes, needs_restart, leaving })
    }

    /// Lets go who is not named any more and holds nothing by now, unless somebody is changing
    /// something: then the next call does.
    pub fn sweep(&self) {
        if !self.configured.waits_for_leaving() {
            return;
        }
        if let Ok(_alone) = self.administration.try_lock() {
            self.let_leave();
        }
    }

    fn let_leave(&self) {
        let mut leaves = locked(&self.configured.leaving);
        leaves.tenants.retain(|id, _| match at_once(self.manager.get_tenant_usage(*id)) {
            // A request that has thawed it wants it to stay.
            Ok(usage) if usage.hold != TenantHold::Draining => false,
            Ok(_) => at_once(self.manager.unregister_tenant(*id)).is_err(),
            Err(_) => false,
        });
        let governor = self.manager.governor();
        // Groups within groups leave from the bottom up.
        let mut stay = leaves.groups.len() + 1;
        while leaves.groups.len() < stay {
            stay = leaves.groups.len();
            leaves.groups.retain(|name| match governor.find_group(name) {
                Some(group) => governor.unregister_group(group).is_err(),
                None => false,
            });
        }
    }

    /// The configuration with what requests have made of it.
    fn in_force(&self) -> Setup {
        let governor = self.manager.governor();
        let configured = self.configured.effective();
        let snapshot = governor.snapshot();
        let groups = governor.groups();
        let place = |name: Option<&str>| groups.iter().position(|g| Some(&*g.name) == name);
        let tenants = snapshot.tenants.iter().filter_map(|tenant| {
            let config = governor.tenant_config(tenant.tenant).ok()?;
            Some(of_config(config, place(tenant.group.as_deref())))
        });
        let mut tenants: Vec<Tenant> = tenants.collect();
        let order = |tenant: &Tenant| {
            let mut named = configured.setup.tenants.iter();
            named.position(|named| named.name == tenant.name).unwrap_or(usize::MAX)
        };
        if tenants.len() <= LISTED_MAX {
            tenants.sort_by_cached_key(order);
        }
        let groups = groups
            .iter()
            .map(|group| Group {
                name: group.name.clone(),
                parent: place(group.parent.as_deref()),
                guarantee_bytes: group.guarantee_bytes,
                limit_bytes: group.limit_bytes,
            })
            .collect();
        let capacity_bytes = snapshot.capacity_bytes;
        // Its group has another place here, and no request changes it.
        let defaults = None;
        Setup { capacity_bytes, groups, tenants, defaults, ..configured.setup.clone() }
    }
}

fn of_config(config: TenantConfig, group: Option<usize>) -> Tenant {
    Tenant {
        id: config.id,
        group,
        guarantee_bytes: config.guarantee_bytes,
        limit_bytes: config.limit_bytes,
        burst_bytes: config.burst_bytes,
        priority: config.priority,
        isolation: config.isolation,
        policy: config.policy,
        grants_max: config.grants_max,
        rate: config.rate,
        name: config.name,
    }
}

/// A value as JSON.
fn json_of(datum: &Datum) -> JsonValue {
    match datum {
        Datum::Flag(flag) => json!(flag),
        Datum::Count(number) | Datum::Bytes(number) => json!(number),
        Datum::Real(number) => json!(number),
        Datum::Text(text) => json!(text),
        _ => JsonValue::Null,
    }
}

impl Applied {
    /// As an answer shows it.
    fn body(self) -> AppliedBody {
        let changed = self.changes.len();
        let listed = self.changes.into_iter().take(LISTED_MAX).map(|change| {
            let side = |datum: &Option<Datum>| datum.as_ref().map(json_of);
            let (before, after) = (side(&change.before), side(&change.after));
            ChangeBody { key: change.key, before, after }
        });
        let changes = listed.collect();
        AppliedBody { changes, changed, needs_restart: self.needs_restart, leaving: self.leaving }
    }
}

/// Every value in force, who has set it, and how the last change went.
pub async fn look(Shared(state): Shared<Arc<State>>) -> Json<ConfigBody> {
    state.sweep();
    let configured = state.configured.effective();
    let known = configured.values().into_iter().map(|value| (value.key.clone(), value));
    let known: HashMap<String, Value> = known.collect();
    let defaults = known.values().filter(|value| value.key.starts_with("defaults."));
    let mut values: Vec<Value> = defaults.cloned().collect();
    values.sort_by(|a, b| a.key.cmp(&b.key));
    values.extend(Configuration::of(state.in_force()).values());
    let values = values.into_iter().map(|value| {
        let of_layers = known.get(&value.key).filter(|known| known.value == value.value);
        let origin = of_layers.map_or(Origin::Request, |known| known.origin.clone());
        let json = json_of(&value.value);
        ValueBody { key: value.key, value: json, origin: origin.to_string() }
    });
    let leaving = locked(&state.configured.leaving).clone();
    let tenants = leaving.tenants.values().map(ToString::to_string).collect();
    let groups = leaving.groups.iter().map(ToString::to_string).collect();
    Json(ConfigBody {
        values: values.collect(),
        history: state.configured.history(),
        leaving: LeavingBody { tenants, groups },
    })
}

/// The text of a file, in place of the one that was read last.
pub async fn put(
    Shared(state): Shared<Arc<State>>,
    body: Bytes,
) -> Result<Json<AppliedBody>, Problem> {
    let text = String::from_utf8(body.to_vec())
        .map_err(|error| Problem::invalid(format!("the body is not UTF-8: {error}")))?;
    let applied = state.configure(Source::Request(text)).await?;
    Ok(Json(applied.body()))
}
