//! Reading TOML with a place for every complaint: a table is read key by key, and a key that its
//! section does not have is unknown, with the nearest known one as a suggestion. What is wrong is
//! noted and read as missing, so that one reading finds everything.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;
use super::keys::{BYTES_MAX, Key, Kind, Section};
use super::size;

/// A value and where it stands.
pub type Value<'a> = &'a Spanned<DeValue<'a>>;

/// Bytes of the longest word that is compared with others.
const SUGGESTED_MAX: usize = 128;

/// What sizes may be relative to.
#[derive(Clone, Copy, Default)]
pub struct Whole {
    /// What a percentage is of; none: there are no percentages.
    pub share_of: Option<u64>,
    /// What `"auto"` is, in bytes; none: that is not known.
    pub auto: Option<u64>,
}

/// One table being read.
pub struct Reader<'a> {
    table: &'a DeTable<'a>,
    section: &'static Section,
    /// Where the table stands.
    pub span: Range<usize>,
    /// Where complaints go.
    pub faults: &'a Faults,
}

impl<'a> Reader<'a> {
    /// A reader of a table that may have the keys of this section and no other.
    pub fn new(
        table: &'a DeTable<'a>,
        span: Range<usize>,
        section: &'static Section,
        faults: &'a Faults,
    ) -> Reader<'a> {
        for key in table.keys() {
            let found: &str = key.get_ref();
            let Some(known) = section.key(found) else {
                let hint = suggestion(found, &section.names());
                let title = section.title;
                faults.at(key.span(), format!("unknown key `{found}` in {title}{hint}"));
                continue;
            };
            if known.alias == Some(found) && table.contains_key(known.name) {
                let message = format!("`{found}` means `{}`; write one of them", known.name);
                faults.at(key.span(), message);
            }
        }
        Reader { table, section, span, faults }
    }

    fn key(&self, name: &str) -> &'static Key {
        self.section.key(name).expect("readers name keys of their section")
    }

    /// The value of a key.
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        let alias = || self.key(name).alias.and_then(|alias| self.table.get(alias));
        self.table.get(name).or_else(alias)
    }

    /// Where a key's value stands, or else the table.
    pub fn place(&self, name: &str) -> Range<usize> {
        self.get(name).map_or(self.span.clone(), |value| value.span())
    }

    /// A complaint about the value of a key.
    pub fn complain(&self, name: &str, message: impl Into<String>) {
        self.faults.at(self.place(name), message);
    }

    /// A text that must be there and not be empty.
    pub fn name(&self, name: &str) -> Option<String> {
        let text = self.text(name);
        if text.is_none() && self.get(name).is_none() {
            let message = format!("{} has no `{name}`; every one needs it", self.section.title);
            self.faults.at(self.span.clone(), message);
        }
        text
    }

    /// A text that may be missing, but not be empty.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.get(name)?;
        match value.get_ref() {
            DeValue::String(text) if text.trim().is_empty() => {
                self.complain(name, format!("`{name}` is empty; give it a name"));
                None
            }
            DeValue::String(text) => Some(text.to_string()),
            other => self.wrong(name, "a text in quotes", other),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            other => self.wrong(name, "true or false", other),
        }
    }

    /// A whole number within the bounds of its key.
    pub fn number(&self, name: &str) -> Option<u64> {
        let &Kind::Count(low, high) = &self.key(name).kind else {
            unreachable!("{name} is not a count")
        };
        let DeValue::Integer(digits) = self.get(name)?.get_ref() else {
            return self.wrong(name, "a whole number", self.get(name)?.get_ref());
        };
        match u64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) if (low..=high).contains(&number) => Some(number),
            _ => {
                self.complain(name, format!("`{name}` is {digits}; it must be {low} to {high}"));
                None
            }
        }
    }

    /// A number, whole or not, within the bounds of its key.
    pub fn real(&self, name: &str) -> Option<f64> {
        let &Kind::Real(low, high) = &self.key(name).kind else {
            unreachable!("{name} is not a real number")
        };
        let (number, shown) = match self.get(name)?.get_ref() {
            DeValue::Integer(digits) => {
                let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
                (number.map(|number| number as f64), digits.to_string())
            }
            DeValue::Float(digits) => (digits.as_str().parse().ok(), digits.to_string()),
            other => return self.wrong(name, "a number", other),
        };
        match number {
            Some(number) if (low..=high).contains(&number) => Some(number),
            _ => {
                self.complain(name, format!("`{name}` is {shown}; it must be {low} to {high}"));
                None
            }
        }
    }

    /// A size in bytes: a whole number, a text with a unit, a share of the whole, or `auto`.
    pub fn size(&self, name: &str, whole: Whole) -> Option<u64> {
        let &Kind::Size { low, auto } = &self.key(name).kind else {
            unreachable!("{name} is not a size")
        };
        let bytes = match self.get(name)?.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix())
                .map_err(|_| format!("{digits} is not a number of bytes from 0 to 2^64")),
            DeValue::String(text) if auto && text.eq_ignore_ascii_case("auto") => {
                whole.auto.ok_or_else(|| {
                    "`auto` is a share of the memory of a machine, which only `allot serve` and \
                     `allot config` look at; write a size"
                        .to_string()
                })
            }
            DeValue::String(text) => size::parse(text, whole.share_of),
            other => return self.wrong(name, "a size such as \"8GiB\"", other),
        };
        match bytes {
            Ok(bytes) if (low..=BYTES_MAX).contains(&bytes) => Some(bytes),
            Ok(bytes) => {
                let message = format!("`{name}` is {bytes} bytes; it must be {low} to {BYTES_MAX}");
                self.complain(name, message);
                None
            }
            Err(why) => {
                self.complain(name, format!("`{name}`: {why}"));
                None
            }
        }
    }

    /// One of some words, whatever their case.
    pub fn choice<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let known = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        if let Some((_, value)) = known {
            return Some(*value);
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = suggestion(&text.to_lowercase(), &known);
        let known = known.join(", ");
        self.complain(name, format!("`{name}` is `{text}`; it must be one of {known}{hint}"));
        None
    }

    /// A table inside this one.
    pub fn table(&self, name: &str) -> Option<Reader<'a>> {
        let &Kind::Table(section) = &self.key(name).kind else {
            unreachable!("{name} is not a table")
        };
        let value = self.get(name)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Reader::new(table, value.span(), section, self.faults)),
            other => self.wrong(name, "a table", other),
        }
    }

    /// An array of tables inside this one.
    pub fn tables(&self, name: &str) -> Vec<Reader<'a>> {
        let &Kind::Tables(section) = &self.key(name).kind else {
            unreachable!("{name} is not a list of tables")
        };
        let wanted = format!("written as {}", section.title);
        let Some(value) = self.get(name) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong::<()>(name, &wanted, value.get_ref());
            return Vec::new();
        };
        let read = |item: Value<'a>| match item.get_ref() {
            DeValue::Table(table) => Some(Reader::new(table, item.span(), section, self.faults)),
            other => {
                self.faults.at(item.span(), wrong(name, &wanted, other));
                None
            }
        };
        array.iter().filter_map(read).collect()
    }

    fn wrong<T>(&self, name: &str, wanted: &str, found: &DeValue<'_>) -> Option<T> {
        self.complain(name, wrong(name, wanted, found));
        None
    }
}

fn wrong(name: &str, wanted: &str, found: &DeValue<'_>) -> String {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    format!("`{name}` must be {wanted}, not {found}")
}

/// `; did you mean ..?` where a known word is near, else nothing.
pub fn suggestion(word: &str, known: &[&str]) -> String {
    if word.len() > SUGGESTED_MAX {
        return String::new();
    }
    known
        .iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
        .min()
        .map(|(_, candidate)| format!("; did you mean `{candidate}`?"))
        .unwrap_or_default()
}

/// How many letters must be added, taken away, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, steps) in
            [("limit", "limit", 0), ("limt", "limit", 1), ("limti", "limit", 1), ("", "abc", 3)]
        {
            assert_eq!(distance(a, b), steps, "{a} {b}");
        }
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["limit", "guarantee", "group"];
        assert_eq!(suggestion("limits", &known), "; did you mean `limit`?");
        assert_eq!(suggestion("garantee", &known), "; did you mean `guarantee`?");
        assert_eq!(suggestion("colour", &known), "");
    }
}
