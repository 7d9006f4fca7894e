//! What is configured, value by value with its key, as people and programs are shown it.

use std::collections::HashMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Origin;
use super::keys::{Kind, Section, TOP, TYPE_KEYS};
use super::write::{rate_parts, size};
use super::{ISOLATIONS, POLICIES, PRIORITIES, Setup, Tenant, id_of};

/// A value as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// Nothing is set: there is no limit, say.
    Missing,
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Count(u64),
    /// So many bytes.
    Bytes(u64),
    /// A number that may have a fraction.
    Real(f64),
    /// Words.
    Text(String),
}

impl std::fmt::Display for Datum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("none"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Bytes(bytes) => f.write_str(size(*bytes).trim_matches('"')),
            Self::Real(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A value that is in force, its key, and who has set it.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its key: `tenants.chat.limit`. A name that is no bare key of TOML stands in quotes.
    pub key: String,
    /// The value.
    pub value: Datum,
    /// Who has set it.
    pub origin: Origin,
}

/// A value that is not the same in two configurations.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Its key.
    pub key: String,
    /// What it was; none: its tenant or group was not there.
    pub before: Option<Datum>,
    /// What it is; none: its tenant or group has left.
    pub after: Option<Datum>,
}

/// What differs between two configurations, in the order of keys.
pub fn differences(before: &Setup, after: &Setup) -> Vec<Difference> {
    let mut old: HashMap<String, Datum> = values(before).into_iter().collect();
    let mut found = Vec::new();
    for (key, value) in values(after) {
        let before = old.remove(&key);
        if before.as_ref() != Some(&value) {
            found.push(Difference { key, before, after: Some(value) });
        }
    }
    let gone = old.into_iter();
    found.extend(gone.map(|(key, value)| Difference { key, before: Some(value), after: None }));
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

/// Every value by its key, in the order of the file.
pub(crate) fn values(setup: &Setup) -> Vec<(String, Datum)> {
    let mut all = Vec::new();
    let mut add = |key: String, value: Datum| all.push((key, value));
    let count =
        |count: Option<u32>| count.map_or(Datum::Missing, |count| Datum::Count(count.into()));
    add("capacity".to_string(), Datum::Bytes(setup.capacity_bytes));
    add("grants_max".to_string(), count(setup.grants_max));
    let pressure = &setup.pressure;
    for (key, percent) in [
        ("warning", pressure.warning_percent),
        ("high", pressure.high_percent),
        ("critical", pressure.critical_percent),
        ("hysteresis", pressure.hysteresis_percent),
    ] {
        add(format!("pressure.{key}"), Datum::Count(percent.into()));
    }
    add("pressure.pool".to_string(), Datum::Flag(pressure.pool));
    let cache = &setup.cache;
    for (key, value) in [
        ("memory_percent", Datum::Count(cache.memory_percent.into())),
        ("limit", bytes(cache.bytes_max)),
        ("max_items", Datum::Count(cache.max_items.into())),
        ("tenant_max_items", Datum::Count(cache.tenant_max_items.into())),
        ("mimir_max_items", Datum::Count(cache.mimir_max_items.into())),
        ("memory_threshold", Datum::Real(cache.memory_threshold)),
        ("eviction_threshold", Datum::Real(cache.eviction_threshold)),
        ("eviction_policy", word(&POLICIES, cache.eviction_policy)),
    ] {
        add(format!("cache.{key}"), value);
    }
    let group_name = |at: Option<usize>| {
        at.map_or(Datum::Missing, |at| Datum::Text(setup.groups[at].name.clone()))
    };
    for group in &setup.groups {
        let prefix = format!("groups.{}", bare(&group.name));
        add(format!("{prefix}.parent"), group_name(group.parent));
        add(format!("{prefix}.guarantee"), Datum::Bytes(group.guarantee_bytes));
        add(format!("{prefix}.limit"), bytes(group.limit_bytes));
    }
    if let Some(defaults) = &setup.defaults {
        all.extend(share("defaults", &defaults.0, group_name(defaults.0.group)));
    }
    for tenant in &setup.tenants {
        let prefix = format!("tenants.{}", bare(&tenant.name));
        if tenant.id != id_of(&tenant.name) {
            all.push((format!("{prefix}.id"), Datum::Text(tenant.id.to_string())));
        }
        all.extend(share(&prefix, tenant, group_name(tenant.group)));
    }
    all
}

fn share(prefix: &str, tenant: &Tenant, group: Datum) -> Vec<(String, Datum)> {
    let mut all = vec![
        ("group", group),
        ("guarantee", Datum::Bytes(tenant.guarantee_bytes)),
        ("limit", bytes(tenant.limit_bytes)),
        ("burst", bytes(tenant.burst_bytes)),
        ("priority", word(&PRIORITIES, tenant.priority)),
        ("isolation", word(&ISOLATIONS, tenant.isolation)),
        ("policy", word(&POLICIES, tenant.policy)),
    ];
    let mut named: Vec<(String, Datum)> = Vec::new();
    for (key, most) in TYPE_KEYS.iter().zip(tenant.grants_max) {
        if let Some(most) = most {
            named.push((format!("{prefix}.grants_max.{key}"), Datum::Count(most.into())));
        }
    }
    if let Some((rate, depth)) = tenant.rate.map(rate_parts) {
        let rate = rate.parse().map_or(Datum::Text(rate), Datum::Real);
        named.push((format!("{prefix}.rate.requests_per_second"), rate));
        named.push((format!("{prefix}.rate.bucket_depth"), Datum::Count(depth)));
    }
    let first = all.drain(..).map(|(key, value)| (format!("{prefix}.{key}"), value));
    first.chain(named).collect()
}

fn bytes(bytes: Option<u64>) -> Datum {
    bytes.map_or(Datum::Missing, Datum::Bytes)
}

fn word<T: Copy + PartialEq>(words: &[(&str, T)], value: T) -> Datum {
    let known = words.iter().find(|(_, other)| *other == value);
    known.map_or(Datum::Missing, |(word, _)| Datum::Text(word.to_string()))
}

/// A name as a part of a key: in quotes, if it is not all letters, digits, `_` and `-`.
pub fn bare(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_string(),
        false => toml::Value::from(name).to_string(),
    }
}

/// Where each value of a document stands, by its key.
pub(crate) fn places(document: &DeTable<'_>) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    of_table(document, &TOP, "", &mut found);
    found
}

fn of_table(
    table: &DeTable<'_>,
    section: &'static Section,
    prefix: &str,
    found: &mut HashMap<String, usize>,
) {
    for (written, value) in table {
        let Some(key) = section.key(written.get_ref()) else { continue };
        let path = format!("{prefix}{}", key.name);
        match (&key.kind, value.get_ref()) {
            (Kind::Table(inner), DeValue::Table(table)) => {
                of_table(table, inner, &format!("{path}."), found);
            }
            (Kind::Tables(inner), DeValue::Array(items)) => {
                for item in items.iter().map(Spanned::get_ref) {
                    let name = item.get("name").and_then(|name| name.get_ref().as_str());
                    if let (Some(name), DeValue::Table(table)) = (name, item) {
                        of_table(table, inner, &format!("{path}.{}.", bare(name)), found);
                    }
                }
            }
            _ => {
                found.insert(path, value.span().start);
            }
        }
    }
}
