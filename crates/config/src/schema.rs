//! A JSON Schema of the configuration file, made of the table of keys that the reader uses too.
//!
//! ```text
//! S1  what the reader takes, the schema takes
//! S2  what the schema refuses, the reader refuses
//! ```
//!
//! The reader also refuses what a schema cannot say: sums, names used twice, groups that are not
//! there.

use super::keys::{BYTES_MAX, Key, Kind, Section, TOP};

/// A size as text: a number, and a unit or the sign of a share.
const SIZE: &str = concat!(
    r"^\s*(?:[0-9_]*[0-9][0-9_]*\.?[0-9_]*|[0-9_]*\.[0-9_]*[0-9][0-9_]*)",
    r"\s*(?:%|[KkMmGgTt]?[Bb]|[KkMmGgTt][Ii][Bb])?\s*$"
);

/// The schema of the file, as the text of a JSON object on one line.
pub fn schema() -> String {
    let head = [
        ("$schema", text("https://json-schema.org/draft/2020-12/schema")),
        ("title", text("The configuration file of allot")),
    ];
    object(head.into_iter().chain(section(&TOP)))
}

/// A text in JSON: in printable ASCII, which is all there is here, it is that of Rust.
fn text(text: &str) -> String {
    debug_assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{text}");
    format!("{text:?}")
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("[{}]", items.into_iter().collect::<Vec<_>>().join(","))
}

fn object<'a>(members: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let members = members.into_iter().map(|(name, value)| format!("{}:{value}", text(name)));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn section(section: &'static Section) -> Vec<(&'static str, String)> {
    let mut properties = Vec::new();
    let mut not_both = Vec::new();
    for key in section.keys {
        properties.push((key.name, value(key)));
        if let Some(alias) = key.alias {
            properties.push((alias, value(key)));
            let both = object([("required", list([text(key.name), text(alias)]))]);
            not_both.push(object([("not", both)]));
        }
    }
    let needed = section.keys.iter().filter(|key| key.needed).map(|key| text(key.name));
    vec![
        ("type", text("object")),
        ("properties", object(properties)),
        ("additionalProperties", "false".to_string()),
        ("required", list(needed)),
    ]
    .into_iter()
    .chain((!not_both.is_empty()).then(|| ("allOf", list(not_both))))
    .collect()
}

fn value(key: &'static Key) -> String {
    let within = |kind: &str, low: String, high: String| {
        vec![("type", text(kind)), ("minimum", low), ("maximum", high)]
    };
    let matching = |pattern: &str| vec![("type", text("string")), ("pattern", text(pattern))];
    let members = match &key.kind {
        Kind::Size { low, auto } => {
            let number = within("integer", low.to_string(), BYTES_MAX.to_string());
            let mut forms = vec![object(number), object(matching(SIZE))];
            if *auto {
                forms.push(object(matching(&any_case("auto"))));
            }
            vec![("anyOf", list(forms))]
        }
        Kind::Count(low, high) => within("integer", low.to_string(), high.to_string()),
        Kind::Real(low, high) => within("number", low.to_string(), high.to_string()),
        Kind::Text => matching(r"\S"),
        Kind::Uuid => matching("[0-9A-Fa-f]"),
        Kind::Flag => vec![("type", text("boolean"))],
        Kind::Words(words) => {
            // Listed for editors, and taken in any case.
            let listed = object([("enum", list(words.iter().map(|word| text(word))))]);
            let others = words.iter().map(|word| object(matching(&any_case(word))));
            vec![("anyOf", list(std::iter::once(listed).chain(others)))]
        }
        Kind::Table(inner) => section(inner),
        Kind::Tables(inner) => {
            vec![("type", text("array")), ("items", object(section(inner)))]
        }
    };
    object(members.into_iter().chain([("description", text(key.about))]))
}

/// A pattern of this word in any case.
fn any_case(word: &str) -> String {
    let letter = |c: char| format!("[{}{}]", c.to_ascii_uppercase(), c);
    format!("^{}$", word.chars().map(letter).collect::<String>())
}

#[cfg(test)]
mod tests;
