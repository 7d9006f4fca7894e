//! Reading TOML with a line for every complaint: a table is read key by key, and what was not
//! read when the table is done is an unknown key, with the nearest known one as a suggestion.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::size;

/// A complaint and the byte of the text it is about.
#[derive(Debug)]
pub struct Fault {
    /// Where, in bytes from the beginning; `None` where no single place is to blame.
    pub at: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Fault {
    /// A complaint about a place.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Fault {
        Fault { at: Some(span.start), message: message.into() }
    }
}

/// A value and where it stands.
pub type Value<'a> = &'a Spanned<DeValue<'a>>;

/// One table being read. Every key the format knows is listed at creation.
pub struct Reader<'a> {
    table: &'a DeTable<'a>,
    /// How the table is called in complaints: `[[tenants]]`, or "the top level".
    name: &'static str,
    /// Where the table stands.
    pub span: Range<usize>,
}

impl<'a> Reader<'a> {
    /// A reader of a table that may have these keys and no other.
    pub fn new(
        table: &'a DeTable<'a>,
        span: Range<usize>,
        name: &'static str,
        keys: &[&str],
    ) -> Result<Reader<'a>, Fault> {
        for key in table.keys() {
            let found: &str = key.get_ref();
            if !keys.contains(&found) {
                let hint = suggestion(found, keys);
                let message = format!("unknown key `{found}` in {name}{hint}");
                return Err(Fault::at(key.span(), message));
            }
        }
        Ok(Reader { table, name, span })
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.table.get(key)
    }

    /// Where a key's value stands, or else the table.
    pub fn place(&self, key: &str) -> Range<usize> {
        self.get(key).map_or(self.span.clone(), |value| value.span())
    }

    /// A text that must be there and not be empty.
    pub fn name(&self, key: &str) -> Result<String, Fault> {
        match self.text(key)? {
            Some(text) if text.trim().is_empty() => {
                Err(Fault::at(self.place(key), format!("`{key}` is empty; give it a name")))
            }
            Some(text) => Ok(text),
            None => {
                let message = format!("{} has no `{key}`; every one needs it", self.name);
                Err(Fault::at(self.span.clone(), message))
            }
        }
    }

    /// A text that may be missing.
    pub fn text(&self, key: &str) -> Result<Option<String>, Fault> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::String(text) => Ok(Some(text.to_string())),
            other => Err(wrong(value, key, "a text in quotes", other)),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, Fault> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Boolean(flag) => Ok(Some(*flag)),
            other => Err(wrong(value, key, "true or false", other)),
        }
    }

    /// A whole number within bounds.
    pub fn number(&self, key: &str, bounds: RangeInclusive<u64>) -> Result<Option<u64>, Fault> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let DeValue::Integer(digits) = value.get_ref() else {
            return Err(wrong(value, key, "a whole number", value.get_ref()));
        };
        let (low, high) = (bounds.start(), bounds.end());
        match u64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) if bounds.contains(&number) => Ok(Some(number)),
            _ => {
                let message = format!("`{key}` is {digits}; it must be {low} to {high}");
                Err(Fault::at(value.span(), message))
            }
        }
    }

    /// A number, whole or not, within bounds.
    pub fn real(&self, key: &str, bounds: RangeInclusive<f64>) -> Result<Option<f64>, Fault> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = match value.get_ref() {
            DeValue::Integer(digits) => {
                i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|n| n as f64)
            }
            DeValue::Float(digits) => digits.as_str().parse().ok(),
            other => return Err(wrong(value, key, "a number", other)),
        };
        match number {
            Some(number) if bounds.contains(&number) => Ok(Some(number)),
            _ => {
                let (low, high) = (bounds.start(), bounds.end());
                let message = format!("`{key}` must be {low} to {high}");
                Err(Fault::at(value.span(), message))
            }
        }
    }

    /// A size in bytes: a whole number or a text with a unit.
    pub fn size(&self, key: &str, whole: Option<u64>) -> Result<Option<u64>, Fault> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let bytes = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix())
                .map_err(|_| format!("{digits} is not a number of bytes from 0 to 2^64")),
            DeValue::String(text) => size::parse(text, whole),
            other => return Err(wrong(value, key, "a size such as \"8GiB\"", other)),
        };
        bytes.map(Some).map_err(|why| Fault::at(value.span(), format!("`{key}`: {why}")))
    }

    /// One of some words, whatever their case.
    pub fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Fault> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        if let Some((_, value)) = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            return Ok(Some(*value));
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = suggestion(&text.to_lowercase(), &known);
        let known = known.join(", ");
        let message = format!("`{key}` is `{text}`; it must be one of {known}{hint}");
        Err(Fault::at(self.place(key), message))
    }

    /// A table inside this one.
    pub fn table(
        &self,
        key: &str,
        name: &'static str,
        keys: &[&str],
    ) -> Result<Option<Reader<'a>>, Fault> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Table(table) => Reader::new(table, value.span(), name, keys).map(Some),
            other => Err(wrong(value, key, "a table", other)),
        }
    }

    /// An array of tables inside this one.
    pub fn tables(
        &self,
        key: &str,
        name: &'static str,
        keys: &[&str],
    ) -> Result<Vec<Reader<'a>>, Fault> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let DeValue::Array(array) = value.get_ref() else {
            return Err(wrong(value, key, &format!("written as {name}"), value.get_ref()));
        };
        let read = |item: Value<'a>| match item.get_ref() {
            DeValue::Table(table) => Reader::new(table, item.span(), name, keys),
            other => Err(wrong(item, key, &format!("written as {name}"), other)),
        };
        array.iter().map(read).collect()
    }
}

fn wrong(value: Value<'_>, key: &str, wanted: &str, found: &DeValue<'_>) -> Fault {
    let found = match found {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    Fault::at(value.span(), format!("`{key}` must be {wanted}, not {found}"))
}

/// `; did you mean ..?` where a known word is near, else nothing.
pub fn suggestion(word: &str, known: &[&str]) -> String {
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
