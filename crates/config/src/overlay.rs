//! Values of variables and options, put into the document of the file at their keys.
//!
//! ```text
//! ALLOT__CAPACITY=24GiB                   capacity
//! ALLOT__TENANTS__CHAT__LIMIT=8GiB        limit of the tenant `chat`, which is made if need be
//! ALLOT__GROUPS='[{ name = "team" }]'     a whole list, as in the file
//! CACHE_MAX_ITEMS=2000                    max_items of [cache]
//! --set tenants.chat.limit=8GiB           as a variable, with the exact name
//! ```
//!
//! A variable cannot spell every name: letters count in any case, and whatever is neither letter
//! nor digit is `_`.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::fault::{Faults, Origin};
use super::keys::{Key, Kind, Section, TOP};
use super::reader::suggestion;

/// What variables of the configuration begin with, and what stands between their parts.
pub(crate) const PREFIX: &str = "ALLOT__";
const BETWEEN: &str = "__";

/// Variables that services know for their caches, and the keys of `[cache]` that they set.
pub(crate) const CACHE_VARIABLES: [(&str, &str); 7] = [
    ("CACHE_MEMORY_PERCENT", "memory_percent"),
    ("CACHE_MAX_ITEMS", "max_items"),
    ("CACHE_TENANT_MAX_ITEMS", "tenant_max_items"),
    ("CACHE_MIMIR_MAX_ITEMS", "mimir_max_items"),
    ("CACHE_MEMORY_THRESHOLD", "memory_threshold"),
    ("CACHE_EVICTION_THRESHOLD", "eviction_threshold"),
    ("CACHE_EVICTION_POLICY", "eviction_policy"),
];

/// A value from outside of the file.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Which variable or option.
    pub origin: Origin,
    /// Where it goes.
    pub path: Vec<String>,
    /// Whether names are meant as they are written.
    pub exact: bool,
    /// The value as it was given.
    pub text: String,
}

impl Setting {
    /// What a variable sets; none: it is none of ours.
    pub fn variable(name: &str, text: String) -> Option<Self> {
        let path: Vec<String> = match name.strip_prefix(PREFIX) {
            Some(rest) => rest.split(BETWEEN).map(str::to_string).collect(),
            None => {
                let known = CACHE_VARIABLES.iter().find(|(variable, _)| *variable == name)?;
                vec!["cache".to_string(), known.1.to_string()]
            }
        };
        Some(Self { origin: Origin::Variable(name.to_string()), path, exact: false, text })
    }

    /// What an option `--set KEY=VALUE` sets. Names with a point stand in quotes.
    pub fn flag(text: &str) -> Result<Self, String> {
        let (path, rest) = key_of(text)?;
        let origin = Origin::Flag(format!("--set {}", &text[..text.len() - rest.len() - 1]));
        Ok(Self { origin, path, exact: true, text: rest.to_string() })
    }
}

/// The parts of the key before `=`, and what stands behind it.
fn key_of(text: &str) -> Result<(Vec<String>, &str), String> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        let (part, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
            None => rest.split_at(rest.find(['.', '=']).unwrap_or(rest.len())),
        };
        if part.is_empty() {
            return Err(format!("`{text}` has an empty key; write KEY=VALUE"));
        }
        parts.push(part.to_string());
        if let Some(value) = after.strip_prefix('=') {
            return Ok((parts, value));
        }
        rest = after.strip_prefix('.').ok_or_else(|| {
            "a setting has the form KEY=VALUE, as in tenants.chat.limit=8GiB".to_string()
        })?;
    }
}

/// One setting on its way into the document.
struct Placing<'f> {
    span: Range<usize>,
    exact: bool,
    faults: &'f Faults,
}

/// Puts a setting into the document; its text begins at `begin` of all texts.
pub(crate) fn place<'a>(
    document: &mut DeTable<'a>,
    setting: &'a Setting,
    begin: usize,
    faults: &Faults,
) {
    let placing = Placing { span: begin..begin + setting.text.len(), exact: setting.exact, faults };
    let path: Vec<&str> = setting.path.iter().map(String::as_str).collect();
    if setting.text.trim().is_empty() {
        return placing.complain("the value is empty; give it one, or leave it away");
    }
    placing.put_in_table(document, &TOP, &path, &setting.text);
}

impl Placing<'_> {
    fn complain(&self, message: impl Into<String>) {
        self.faults.at(self.span.clone(), message);
    }

    fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned::new(self.span.clone(), value)
    }

    fn put_in_table<'a>(
        &self,
        table: &mut DeTable<'a>,
        section: &'static Section,
        path: &[&'a str],
        text: &'a str,
    ) {
        let Some((first, rest)) = path.split_first() else { return };
        let key = if self.exact { section.key(first) } else { section.key_in_any_case(first) };
        let Some(key) = key else {
            let hint = suggestion(&first.to_ascii_lowercase(), &section.names());
            let title = section.title;
            return self.complain(format!("unknown key `{first}` in {title}{hint}"));
        };
        if let Some(alias) = key.alias
            && let Some(value) = table.remove(alias)
        {
            table.insert(self.spanned(key.name.into()), value);
        }
        match (&key.kind, rest) {
            (_, []) => {
                table.insert(self.spanned(key.name.into()), self.value(key, text));
            }
            (Kind::Table(inner), rest) => {
                let place = table.entry(self.spanned(key.name.into()));
                let value = place.or_insert_with(|| self.spanned(DeValue::Table(DeTable::new())));
                // What is no table is complained of when it is read.
                if let DeValue::Table(table) = value.get_mut() {
                    self.put_in_table(table, inner, rest, text);
                }
            }
            (Kind::Tables(inner), [name, rest @ ..]) => {
                let place = table.entry(self.spanned(key.name.into()));
                let value = place.or_insert_with(|| self.spanned(DeValue::Array(DeArray::new())));
                if let DeValue::Array(array) = value.get_mut() {
                    self.put_in_entry(array, inner, name, rest, text);
                }
            }
            _ => self.complain(format!("`{}` has no keys of its own", key.name)),
        }
    }

    /// Into the table of that name, which is made where there is none.
    fn put_in_entry<'a>(
        &self,
        array: &mut DeArray<'a>,
        section: &'static Section,
        name: &'a str,
        path: &[&'a str],
        text: &'a str,
    ) {
        let is_it = |item: &Spanned<DeValue<'a>>| {
            let found = item.get_ref().get("name").and_then(|name| name.get_ref().as_str());
            found.is_some_and(|found| {
                if self.exact { found == name } else { folded(found) == folded(name) }
            })
        };
        let mut found = (0..array.len()).filter(|&at| is_it(&array[at]));
        let at = match (found.next(), found.next()) {
            (Some(at), None) => at,
            (Some(_), Some(_)) => {
                let message = format!(
                    "`{name}` may mean several names in {}; set this in the file, or with --set",
                    section.title
                );
                return self.complain(message);
            }
            (None, _) => {
                let made = if self.exact { name.to_string() } else { name.to_ascii_lowercase() };
                let made = self.spanned(DeValue::String(made.into()));
                let mut table = DeTable::new();
                table.insert(self.spanned("name".into()), made);
                array.push(self.spanned(DeValue::Table(table)));
                array.len() - 1
            }
        };
        let Some(DeValue::Table(table)) = array.get_mut(at).map(Spanned::get_mut) else { return };
        if !path.is_empty() {
            return self.put_in_table(table, section, path, text);
        }
        match DeValue::parse(text).map(Spanned::into_inner) {
            Ok(DeValue::Table(keys)) => {
                for (key, value) in keys {
                    table.insert(self.spanned(key.into_inner()), self.moved(value));
                }
            }
            _ => self.complain(format!("`{name}` is a table; name one of its keys")),
        }
    }

    /// A value as in the file, or the bare text of one that stands in quotes there.
    fn value<'a>(&self, key: &Key, text: &'a str) -> Spanned<DeValue<'a>> {
        let bare = matches!(key.kind, Kind::Size { .. } | Kind::Text | Kind::Uuid | Kind::Words(_));
        match DeValue::parse(text.trim()) {
            Ok(value) if !bare || matches!(value.get_ref(), DeValue::String(_)) => {
                self.moved(value)
            }
            _ => self.spanned(DeValue::String(text.trim().into())),
        }
    }

    /// A value whose parts stand where the setting does.
    fn moved<'a>(&self, value: Spanned<DeValue<'a>>) -> Spanned<DeValue<'a>> {
        self.spanned(match value.into_inner() {
            DeValue::Array(items) => {
                DeValue::Array(items.into_iter().map(|item| self.moved(item)).collect())
            }
            DeValue::Table(keys) => {
                let moved = keys.into_iter();
                let moved =
                    moved.map(|(key, value)| (self.spanned(key.into_inner()), self.moved(value)));
                DeValue::Table(moved.collect())
            }
            other => other,
        })
    }
}

/// A name as a variable can spell it.
fn folded(name: &str) -> String {
    let fold = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    name.chars().map(fold).collect()
}
