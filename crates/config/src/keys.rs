//! Every key of the configuration: its kind, its bounds, what it means. One table for all who have
//! to agree: the reader, variables and flags, the JSON Schema, the manual.

use super::{ISOLATIONS, POLICIES, PRIORITIES};

/// The most bytes a governor counts: 256 TiB less one.
pub(crate) const BYTES_MAX: u64 = (1 << 48) - 1;
/// The most grants a governor keeps: 2^23.
pub(crate) const GRANTS_MAX: u64 = 1 << 23;
pub(crate) const BUCKET_MAX: u64 = 1_000_000;

/// A table of the file and the keys it may have.
#[derive(Debug)]
pub struct Section {
    /// What complaints call it: `[[tenants]]`.
    pub title: &'static str,
    /// Its keys, in the order in which they are written.
    pub keys: &'static [Key],
}

/// A key.
#[derive(Debug)]
pub struct Key {
    /// How it is spelled.
    pub name: &'static str,
    /// Another spelling that means the same.
    pub alias: Option<&'static str>,
    /// What its value may be.
    pub kind: Kind,
    /// Whether every table of the section has it.
    pub needed: bool,
    /// What it means, in half a sentence.
    pub about: &'static str,
}

/// What a value may be.
#[derive(Debug)]
pub enum Kind {
    /// Bytes: a number, a text with a unit, or a share in percent.
    Size {
        /// The least, in bytes; the most is 2^48 - 1.
        low: u64,
        /// Whether `"auto"` has a meaning.
        auto: bool,
    },
    /// A whole number from the first to the second.
    Count(u64, u64),
    /// A number from the first to the second.
    Real(f64, f64),
    /// A text that is not empty.
    Text,
    /// A UUID as text.
    Uuid,
    /// `true` or `false`.
    Flag,
    /// One of these words, in any case.
    Words(&'static [&'static str]),
    /// A table.
    Table(&'static Section),
    /// Any number of tables, each with a `name`.
    Tables(&'static Section),
}

impl Section {
    /// The key of this name or alias.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name || key.alias == Some(name))
    }

    /// The key of this name or alias, in any case.
    pub(crate) fn key_in_any_case(&self, name: &str) -> Option<&'static Key> {
        self.key(&name.to_ascii_lowercase())
    }

    /// All names and aliases.
    pub fn names(&self) -> Vec<&'static str> {
        self.keys.iter().flat_map(|key| std::iter::once(key.name).chain(key.alias)).collect()
    }
}

const fn words<T: Copy, const N: usize>(pairs: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = pairs[at].0;
        at += 1;
    }
    names
}

static PRIORITY_WORDS: [&str; 4] = words(&PRIORITIES);
static ISOLATION_WORDS: [&str; 3] = words(&ISOLATIONS);
static POLICY_WORDS: [&str; 5] = words(&POLICIES);

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, alias: None, kind, needed: false, about }
}

const NAME: Key = Key { needed: true, ..key("name", Kind::Text, "what it is called, unique") };
const GUARANTEE: Key =
    key("guarantee", Kind::Size { low: 0, auto: false }, "what it can always have");
const LIMIT: Key = Key {
    alias: Some("max"),
    ..key("limit", Kind::Size { low: 1, auto: true }, "what it can have at most")
};
const PERCENT: Kind = Kind::Count(1, 100);
const ITEMS: Kind = Kind::Count(1, 1 << 23);

/// The file.
pub static TOP: Section = Section {
    title: "the top level",
    keys: &[
        key("capacity", Kind::Size { low: 1, auto: true }, "the memory that is shared"),
        key("grants_max", Kind::Count(1, GRANTS_MAX), "grants that may live at one time"),
        key("pressure", Kind::Table(&PRESSURE), "when memory counts as short"),
        key("cache", Kind::Table(&CACHE), "how large caches may become"),
        key("groups", Kind::Tables(&GROUP), "limits that tenants have together"),
        key("defaults", Kind::Table(&DEFAULTS), "what tenants have that are not named"),
        key("tenants", Kind::Tables(&TENANT), "who shares the memory"),
    ],
};

/// `[pressure]`.
pub static PRESSURE: Section = Section {
    title: "[pressure]",
    keys: &[
        key("warning", PERCENT, "percent of the capacity: a warning event"),
        key("high", PERCENT, "percent of the capacity: pressure is High"),
        key("critical", PERCENT, "percent of the capacity: pressure is Critical"),
        key("hysteresis", Kind::Count(0, 100), "percentage points that use must fall"),
        key("pool", Kind::Flag, "whether the pool's own fill counts"),
    ],
};

/// `[cache]`.
pub static CACHE: Section = Section {
    title: "[cache]",
    keys: &[
        key("memory_percent", PERCENT, "percent of the machine's memory"),
        key(
            "limit",
            Kind::Size { low: 1, auto: true },
            "what caches can have at most together; none unless set",
        ),
        key("max_items", ITEMS, "items of all caches together"),
        key("tenant_max_items", ITEMS, "items of the caches of tenants"),
        key("mimir_max_items", ITEMS, "items of the cache of Mimir's components"),
        key("memory_threshold", Kind::Real(0.01, 1.0), "share of the limit: warnings"),
        key("eviction_threshold", Kind::Real(0.01, 1.0), "share of the limit: items go"),
        key("eviction_policy", Kind::Words(&POLICY_WORDS), "which items go first"),
    ],
};

/// `[[groups]]`.
pub static GROUP: Section = Section {
    title: "[[groups]]",
    keys: &[NAME, key("parent", Kind::Text, "the group it is in"), GUARANTEE, LIMIT],
};

/// `[defaults]`: all of a tenant but what is of one tenant alone.
pub static DEFAULTS: Section = Section { title: "[defaults]", keys: &SHARE };

/// `[[tenants]]`.
pub static TENANT: Section = Section { title: "[[tenants]]", keys: &ONE };

const ID: Key = key("id", Kind::Uuid, "its identity; of the name where it is left out");

static SHARE: [Key; 9] =
    [share(0), share(1), share(2), share(3), share(4), share(5), share(6), share(7), share(8)];
static ONE: [Key; 11] = [
    NAME,
    ID,
    share(0),
    share(1),
    share(2),
    share(3),
    share(4),
    share(5),
    share(6),
    share(7),
    share(8),
];

/// What a tenant has, whoever it is.
const fn share(at: usize) -> Key {
    match at {
        0 => key("group", Kind::Text, "the group it is in"),
        1 => GUARANTEE,
        2 => LIMIT,
        3 => key(
            "burst",
            Kind::Size { low: 1, auto: false },
            "what it can have at most while memory is plentiful",
        ),
        4 => key("priority", Kind::Words(&PRIORITY_WORDS), "who yields to whom"),
        5 => key("isolation", Kind::Words(&ISOLATION_WORDS), "how strictly its limits hold"),
        6 => key("policy", Kind::Words(&POLICY_WORDS), "which of its grants goes first"),
        7 => key("grants_max", Kind::Table(&TYPES), "most live grants by type"),
        _ => key("rate", Kind::Table(&RATE), "how often it may ask"),
    }
}

/// `rate`.
pub static RATE: Section = Section {
    title: "rate",
    keys: &[
        Key {
            needed: true,
            ..key("requests_per_second", Kind::Real(0.001, 1e9), "requests a second")
        },
        key("bucket_depth", Kind::Count(1, BUCKET_MAX), "requests at once after a pause"),
    ],
};

/// `grants_max` of a tenant.
pub static TYPES: Section = Section {
    title: "grants_max",
    keys: &[
        key("model_load", Kind::Count(0, GRANTS_MAX), "models"),
        key("inference", Kind::Count(0, GRANTS_MAX), "running requests"),
        key("cache", Kind::Count(0, GRANTS_MAX), "what can be rebuilt"),
        key("background", Kind::Count(0, GRANTS_MAX), "work nobody waits for"),
    ],
};

/// The keys of `grants_max`, in the order of the types.
pub(crate) const TYPE_KEYS: [&str; 4] = ["model_load", "inference", "cache", "background"];

/// Every section.
#[cfg(test)]
pub static SECTIONS: [&Section; 8] =
    [&TOP, &PRESSURE, &CACHE, &GROUP, &DEFAULTS, &TENANT, &RATE, &TYPES];
