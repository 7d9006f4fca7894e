//! What is known of the server: a snapshot, and the changes since.
//!
//! ```text
//! K1  known = the last snapshot and all changes since
//! K2  tenants <= TENANTS_MAX, seconds <= SECONDS_MAX: the rest is left out
//! K3  text that is shown has no character that moves the cursor or turns the line around
//! ```

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Error, Map, Value};

use super::sized::sized;

/// Most tenants that are known at one time.
const TENANTS_MAX: usize = 1 << 18;
/// Most groups.
const GROUPS_MAX: usize = 1 << 16;
/// Seconds of history, which is what "lately" means.
const SECONDS_MAX: usize = 60;
const LATELY_MS: u64 = SECONDS_MAX as u64 * 1000;
/// Times are told to a ms, and the clocks that they come from drift.
const SAME_SECOND_MS: u64 = 500;
/// Most characters of a name, and of a sentence.
const NAME_MAX: usize = 128;
const SENTENCE_MAX: usize = 1000;

/// A row of a table: values whose names the snapshot tells once for all.
type Row = Vec<Value>;

/// A second: when it began in ms since 1970, most bytes in use, requests, denials, bytes evicted.
type Second = (u64, u64, u64, u64, u64);

/// The pool.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Pool {
    pub capacity_bytes: u64,
    pub used_bytes: u64,
    pub claimed_bytes: u64,
    pub pressure: String,
    pub waiting_requests: u64,
}

/// A group.
#[derive(Clone, Debug, Deserialize)]
pub struct Group {
    pub name: String,
    pub parent: Option<String>,
    pub used_bytes: u64,
    pub claimed_bytes: u64,
    pub guarantee_bytes: u64,
    pub limit_bytes: Option<u64>,
}

/// What a tenant is; it rarely changes.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct About {
    n: u32,
    /// Told only where others have the same name.
    id: Option<String>,
    pub name: String,
    pub group: Option<String>,
    pub priority: String,
    pub hold: String,
    pub guarantee_bytes: u64,
    pub limit_bytes: Option<u64>,
    pub burst_bytes: Option<u64>,
}

/// What a tenant has.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Figures {
    n: u32,
    pub ceiling_bytes: Option<u64>,
    pub fair_bytes: u64,
    pub used_bytes: u64,
    pub evictable_bytes: u64,
    pub claimed_bytes: u64,
    pub grants: u64,
    pub waiting: u64,
    pub denied: u64,
    pub evicted: u64,
    pub evicted_bytes: u64,
}

/// A tenant.
#[derive(Clone, Debug, Default)]
pub struct Tenant {
    /// What this run of the server numbers it by.
    pub n: u32,
    /// As it is shown.
    pub name: String,
    /// The same for its group.
    pub group: Option<String>,
    pub about: About,
    pub figures: Figures,
}

/// A sentence that somebody should read.
#[derive(Clone, Debug, Deserialize)]
pub struct Sentence {
    pub text: String,
}

/// A refusal.
#[derive(Clone, Debug, Deserialize)]
pub struct Denial {
    number: u64,
    pub time_ms: u64,
    pub times: u64,
    pub name: String,
    pub text: String,
}

/// What stands where in the rows of a connection.
pub struct Columns {
    tenant: Vec<String>,
    figure: Vec<String>,
}

/// Something that the server has told.
pub enum Told {
    Snapshot(Box<Known>),
    Change(Box<Change>),
}

/// All of it. Nothing is known before the first snapshot, and shown as a pool of 0 bytes.
#[derive(Default)]
pub struct Known {
    /// Which run of the server it is.
    pub boot: String,
    pub version: String,
    /// The server's clock.
    pub time_ms: u64,
    pub high_percent: u8,
    pub critical_percent: u8,
    pub pool: Pool,
    pub groups: Vec<Group>,
    pub tenants: BTreeMap<u32, Tenant>,
    pub advice: Vec<Sentence>,
    pub alerts: Vec<Sentence>,
    /// The last one since the server started.
    pub denial: Option<Denial>,
    seconds: VecDeque<Second>,
}

/// What has changed since the change before; what is absent is as it was.
pub struct Change {
    time_ms: u64,
    pool: Pool,
    seconds: Vec<Second>,
    groups: Option<Vec<Group>>,
    abouts: Vec<About>,
    figures: Vec<Figures>,
    gone: Vec<u32>,
    advice: Option<Vec<Sentence>>,
    alerts: Option<Vec<Sentence>>,
    denials: Vec<Denial>,
}

#[derive(Deserialize)]
struct History {
    seconds: VecDeque<Second>,
}

#[derive(Deserialize)]
struct SnapshotBody {
    boot: String,
    version: String,
    time_ms: u64,
    high_percent: u8,
    critical_percent: u8,
    tenant_columns: Vec<String>,
    figure_columns: Vec<String>,
    pool: Pool,
    history: History,
    groups: Vec<Group>,
    tenants: Vec<Row>,
    figures: Vec<Row>,
    advice: Vec<Sentence>,
    alerts: Vec<Sentence>,
    denials: Vec<Denial>,
}

#[derive(Deserialize)]
struct ChangeBody {
    time_ms: u64,
    pool: Pool,
    seconds: Vec<Second>,
    groups: Option<Vec<Group>>,
    #[serde(default)]
    tenants: Vec<Row>,
    #[serde(default)]
    figures: Vec<Row>,
    #[serde(default)]
    gone: Vec<u32>,
    advice: Option<Vec<Sentence>>,
    alerts: Option<Vec<Sentence>>,
    #[serde(default)]
    denials: Vec<Denial>,
}

/// Rows as what they stand for; a column that is missing is named in the error.
fn named<T: DeserializeOwned>(rows: Vec<Row>, columns: &[String]) -> Result<Vec<T>, Error> {
    let one = |row: Row| {
        let object: Map<String, Value> = columns.iter().cloned().zip(row).collect();
        T::deserialize(Value::Object(object))
    };
    rows.into_iter().map(one).collect()
}

/// Text for a terminal: without characters that do more than stand there, and not too long.
pub fn clean(text: &str, characters_max: usize) -> String {
    let harmless = |character: char| {
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
        if character.is_control() || turns { '?' } else { character }
    };
    text.chars().take(characters_max).map(harmless).collect()
}

/// A sentence of the server, clean and in the words and units of the dashboard.
pub fn plain(sentence: &str) -> String {
    let words = [
        ("max_memory_mb of the manager", "capacity"),
        ("max_memory_mb", "limit"),
        ("guaranteed_memory_mb", "guarantee"),
        ("burst_limit_mb", "burst limit"),
    ];
    let sentence = clean(sentence, SENTENCE_MAX);
    let sentence = sized(&sentence);
    words.iter().fold(sentence, |sentence, (field, word)| sentence.replace(field, word))
}

impl Told {
    /// Everything, and the columns of all changes that follow.
    pub fn snapshot(text: &[u8]) -> Result<(Columns, Self), Error> {
        let body: SnapshotBody = serde_json::from_slice(text)?;
        let columns = Columns { tenant: body.tenant_columns, figure: body.figure_columns };
        let mut known = Known {
            boot: body.boot,
            version: clean(&body.version, NAME_MAX),
            high_percent: body.high_percent,
            critical_percent: body.critical_percent,
            seconds: body.history.seconds,
            ..Known::default()
        };
        known.change(Change {
            time_ms: body.time_ms,
            pool: body.pool,
            seconds: Vec::new(),
            groups: Some(body.groups),
            abouts: named(body.tenants, &columns.tenant)?,
            figures: named(body.figures, &columns.figure)?,
            gone: Vec::new(),
            advice: Some(body.advice),
            alerts: Some(body.alerts),
            denials: body.denials,
        });
        Ok((columns, Self::Snapshot(Box::new(known))))
    }

    /// What has changed.
    pub fn change(text: &[u8], columns: &Columns) -> Result<Self, Error> {
        let body: ChangeBody = serde_json::from_slice(text)?;
        Ok(Self::Change(Box::new(Change {
            time_ms: body.time_ms,
            pool: body.pool,
            seconds: body.seconds,
            groups: body.groups,
            abouts: named(body.tenants, &columns.tenant)?,
            figures: named(body.figures, &columns.figure)?,
            gone: body.gone,
            advice: body.advice,
            alerts: body.alerts,
            denials: body.denials,
        })))
    }
}

fn cleaned(sentences: Vec<Sentence>) -> Vec<Sentence> {
    let clean = |one: Sentence| Sentence { text: plain(&one.text) };
    sentences.into_iter().map(clean).collect()
}

impl Known {
    /// Takes in what has changed.
    pub fn change(&mut self, change: Change) {
        self.time_ms = change.time_ms;
        self.pool = change.pool;
        self.pool.pressure = clean(&self.pool.pressure, NAME_MAX);
        for n in change.gone {
            self.tenants.remove(&n);
        }
        for about in change.abouts {
            self.enter(about);
        }
        for figures in change.figures {
            if let Some(tenant) = self.tenants.get_mut(&figures.n) {
                tenant.figures = figures;
            }
        }
        if let Some(mut groups) = change.groups {
            groups.truncate(GROUPS_MAX);
            self.groups = groups;
        }
        self.advice = change.advice.map_or(std::mem::take(&mut self.advice), cleaned);
        self.alerts = change.alerts.map_or(std::mem::take(&mut self.alerts), cleaned);
        let newest = change.denials.into_iter().max_by_key(|denial| denial.number);
        if let Some(mut denial) = newest {
            denial.name = clean(&denial.name, NAME_MAX);
            denial.text = plain(&denial.text);
            self.denial = Some(denial);
        }
        self.add_seconds(change.seconds);
    }

    fn enter(&mut self, mut about: About) {
        if self.tenants.len() >= TENANTS_MAX && !self.tenants.contains_key(&about.n) {
            return;
        }
        about.priority = clean(&about.priority, NAME_MAX);
        about.hold = clean(&about.hold, NAME_MAX);
        let tenant = self.tenants.entry(about.n).or_default();
        tenant.n = about.n;
        tenant.name = clean(&about.name, NAME_MAX);
        tenant.group = about.group.as_ref().map(|group| clean(group, NAME_MAX));
        tenant.about = about;
    }

    fn add_seconds(&mut self, seconds: Vec<Second>) {
        for second in seconds {
            match self.seconds.back_mut() {
                Some(last) if last.0.abs_diff(second.0) < SAME_SECOND_MS => *last = second,
                Some(last) if second.0 < last.0 => {}
                _ => self.seconds.push_back(second),
            }
        }
        while self.seconds.len() > SECONDS_MAX {
            self.seconds.pop_front();
        }
    }

    fn lately(&self, what: fn(&Second) -> u64) -> u64 {
        let since_ms = self.time_ms.saturating_sub(LATELY_MS);
        let last = self.seconds.iter().filter(|second| second.0 >= since_ms);
        last.fold(0, |sum, second| sum.saturating_add(what(second)))
    }

    /// Requests that were refused in the last minute.
    pub fn refused_lately(&self) -> u64 {
        self.lately(|second| second.3)
    }

    /// What was evicted in the last minute.
    pub fn evicted_bytes_lately(&self) -> u64 {
        self.lately(|second| second.4)
    }

    /// A sum over tenants.
    pub fn sum(&self, what: fn(&Tenant) -> u64) -> u64 {
        self.tenants.values().fold(0, |sum, tenant| sum.saturating_add(what(tenant)))
    }

    /// Used beyond the fair share, of all, and by how many.
    pub fn above_bytes(&self) -> (u64, u64) {
        let above = self.tenants.values().map(|tenant| tenant.above_bytes(self));
        above.fold((0, 0), |(sum, by), above| {
            (u64::saturating_add(sum, above), by + u64::from(above > 0))
        })
    }

    /// Of the capacity, neither in use nor claimed.
    pub fn unclaimed_bytes(&self) -> u64 {
        let told = self.pool.claimed_bytes;
        let seen = self.sum(|tenant| tenant.figures.used_bytes.saturating_add(tenant.idle_bytes()));
        self.pool.capacity_bytes.saturating_sub(told.max(seen))
    }
}

impl Tenant {
    /// What a path names it by.
    pub fn address(&self) -> &str {
        self.about.id.as_deref().unwrap_or(&self.about.name)
    }

    /// The id, where the name is not enough.
    pub fn id(&self) -> Option<&str> {
        self.about.id.as_deref()
    }

    /// The fair share; none as long as all wants fit, when the whole pool is everybody's.
    pub fn fair_bytes(&self, known: &Known) -> Option<u64> {
        let fair_bytes = self.figures.fair_bytes;
        (fair_bytes < known.pool.capacity_bytes).then_some(fair_bytes)
    }

    /// Used beyond the fair share.
    pub fn above_bytes(&self, known: &Known) -> u64 {
        self.fair_bytes(known).map_or(0, |fair| self.figures.used_bytes.saturating_sub(fair))
    }

    /// Claimed and not in use.
    pub fn idle_bytes(&self) -> u64 {
        self.figures.claimed_bytes.saturating_sub(self.figures.used_bytes)
    }

    /// Whether an operator holds it.
    pub fn is_held(&self) -> bool {
        self.about.hold != "none"
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Three tenants in two groups, as a server tells of them.
    pub const SNAPSHOT: &str = include_str!("../../tests/top/snapshot.json");
    /// What might come a second later.
    pub const CHANGE: &str = include_str!("../../tests/top/change.json");

    /// What is known after the snapshot.
    pub fn known() -> Known {
        match Told::snapshot(SNAPSHOT.as_bytes()).unwrap().1 {
            Told::Snapshot(known) => *known,
            Told::Change(_) => panic!("a snapshot is no change"),
        }
    }

    /// What is known after the change.
    pub fn changed() -> Known {
        let mut known = known();
        let columns = Told::snapshot(SNAPSHOT.as_bytes()).unwrap().0;
        match Told::change(CHANGE.as_bytes(), &columns).unwrap() {
            Told::Change(change) => known.change(*change),
            Told::Snapshot(_) => panic!("a change is no snapshot"),
        }
        known
    }

    #[test]
    fn a_change_goes_over_a_snapshot() {
        let known = known();
        let names: Vec<_> = known.tenants.values().map(|tenant| &*tenant.name).collect();
        assert_eq!(names, ["chat", "batch", "index"]);
        assert_eq!((known.refused_lately(), known.evicted_bytes_lately()), (5, 1 << 30));
        let chat = &known.tenants[&1];
        assert_eq!((chat.idle_bytes(), chat.fair_bytes(&known)), (1 << 30, Some(6 << 30)));
        let changed = changed();
        let names: Vec<_> = changed.tenants.values().map(|tenant| &*tenant.name).collect();
        assert_eq!(names, ["chat", "index", "new"]);
        assert_eq!(changed.pool.pressure, "critical");
        assert_eq!(changed.tenants[&1].figures.used_bytes, 7 << 30);
        assert_eq!(changed.tenants[&1].above_bytes(&changed), 1 << 30);
        // The second that was told again counts once.
        assert_eq!(changed.refused_lately(), 8);
        assert_eq!(changed.denial.as_ref().unwrap().times, 4);
        assert!(changed.alerts.is_empty() && changed.advice.len() == 1);
    }

    #[test]
    fn nothing_of_a_server_moves_the_cursor() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d", 99), "a?[2Jb?c?d");
        assert_eq!(clean("résumé 模型", 99), "résumé 模型");
        assert_eq!(clean("abcdef", 3), "abc");
        assert_eq!(plain("its max_memory_mb\n of 2 MiB"), "its limit? of 2 MiB");
        let text = SNAPSHOT.replace("batch", "\\u001b[31mred");
        let Told::Snapshot(known) = Told::snapshot(text.as_bytes()).unwrap().1 else {
            panic!("a snapshot");
        };
        assert_eq!(known.tenants[&2].name, "?[31mred");
        // A path names it as it is.
        assert_eq!(known.tenants[&2].address(), "\u{1b}[31mred");
    }

    #[test]
    fn sums_of_any_figures_are_sums() {
        let text = SNAPSHOT.replace("1073741824", &u64::MAX.to_string());
        let Told::Snapshot(known) = Told::snapshot(text.as_bytes()).unwrap().1 else {
            panic!("a snapshot");
        };
        assert_eq!(known.evicted_bytes_lately(), u64::MAX);
        assert_eq!(known.sum(|tenant| tenant.figures.claimed_bytes).min(1), 1);
        assert!(known.unclaimed_bytes() <= known.pool.capacity_bytes);
    }

    #[test]
    fn history_is_a_minute() {
        let mut known = known();
        let last = known.seconds.back().unwrap().0;
        let later = (1..=100).map(|second| (last + second * 1000, 0, 0, 1, 0)).collect();
        known.time_ms = last + 100_000;
        known.add_seconds(later);
        assert_eq!((known.seconds.len(), known.refused_lately()), (SECONDS_MAX, 60));
        known.add_seconds(vec![(0, 0, 0, 9, 0)]);
        assert_eq!(known.refused_lately(), 60);
    }
}
