//! Holds answers against the document that the server gives of itself.

use super::client::Answer;
use serde_json::Value;
use std::sync::OnceLock;

static DOCUMENT: OnceLock<Value> = OnceLock::new();

/// The document, once somebody has read it.
pub fn document(read: impl FnOnce() -> Value) -> &'static Value {
    DOCUMENT.get_or_init(read)
}

/// Fails unless an answer is what the document says of its route.
#[track_caller]
pub fn check(document: &Value, method: &str, path: &str, answer: &Answer) {
    if method == "HEAD" {
        // It has no body.
        return;
    }
    let path = path.split('?').next().unwrap_or(path);
    let negative = &document["components"]["schemas"]["Problem"];
    let paths = document["paths"].as_object().unwrap();
    let found = paths.iter().find(|(route, _)| is_of(path, route));
    let responses = found.map(|(_, item)| &item[method.to_ascii_lowercase()]["responses"]);
    if answer.status >= 400 {
        // Figures of its own may stand beside what all have.
        fits(document, negative, &answer.body, true).unwrap_or_else(|why| panic!("{why}"));
        // Of what is no route nothing is told.
        let Some(responses) = responses.filter(|responses| responses.is_object()) else { return };
        let told = &responses[answer.status.to_string()];
        return assert!(told.is_object(), "{method} {path}: {} is not told of", answer.status);
    }
    let (route, _) = found.unwrap_or_else(|| panic!("{path} is not in the document"));
    let response = &responses.unwrap()[answer.status.to_string()];
    assert!(response.is_object(), "{method} {route}: {} is not told of", answer.status);
    let schema = &response["content"]["application/json"]["schema"];
    if schema.is_object() && route != "/v1/openapi.json" {
        let fits = fits(document, schema, &answer.body, false);
        fits.unwrap_or_else(|why| panic!("{method} {route}: {why}\n{}", answer.text));
    }
}

/// Whether a value is what the document says of a shape.
pub fn is_told(document: &Value, name: &str, value: &Value) -> bool {
    fits(document, &document["components"]["schemas"][name], value, false).is_ok()
}

/// Fails unless it is.
#[track_caller]
pub fn expect(document: &Value, name: &str, value: &Value) {
    let schema = &document["components"]["schemas"][name];
    fits(document, schema, value, false).unwrap_or_else(|why| panic!("{name}: {why}: {value}"));
}

fn is_of(path: &str, route: &str) -> bool {
    let (path, route): (Vec<_>, Vec<_>) = (path.split('/').collect(), route.split('/').collect());
    let same = |(part, wanted): (&&str, &&str)| wanted.starts_with('{') || part == wanted;
    path.len() == route.len() && path.iter().zip(&route).all(same)
}

/// Whether a value is what a schema says; nothing may be there of which it says nothing, unless
/// `more` may be.
fn fits(document: &Value, schema: &Value, value: &Value, more: bool) -> Result<(), String> {
    if let Some(place) = schema["$ref"].as_str() {
        let named = document.pointer(&place[1..]).ok_or(format!("{place} is not there"))?;
        return fits(document, named, value, more);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().try_for_each(|part| fits(document, part, value, true));
    }
    if let Some(some) = schema["oneOf"].as_array() {
        let fit = |more| some.iter().filter(|one| fits(document, one, value, more).is_ok()).count();
        return match (fit(more), fit(true)) {
            // Nothing forbids what the document does not tell of.
            (1.., 1) => Ok(()),
            (0, _) => Err(format!("{value} is none of oneOf")),
            _ => Err(format!("{value} is more than one of oneOf")),
        };
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect::<Vec<_>>(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_a(value, name)) {
        return Err(format!("{value} is not {types:?}"));
    }
    let known = schema["enum"].as_array();
    if known.is_some_and(|known| !known.contains(value)) {
        return Err(format!("{value} is none of {known:?}"));
    }
    if let Some(items) = value.as_array().filter(|_| schema["items"].is_object()) {
        return items.iter().try_for_each(|item| fits(document, &schema["items"], item, more));
    }
    match value.as_object() {
        Some(fields) => of_object(document, schema, fields, more),
        None => Ok(()),
    }
}

fn of_object(
    document: &Value,
    schema: &Value,
    fields: &serde_json::Map<String, Value>,
    more: bool,
) -> Result<(), String> {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        fields.get(name).ok_or_else(|| format!("`{name}` is missing"))?;
    }
    for (name, value) in fields {
        match schema["properties"].get(name) {
            Some(of) => fits(document, of, value, more).map_err(|why| format!("{name}: {why}"))?,
            None if more => {}
            None => return Err(format!("`{name}` is not told of")),
        }
    }
    Ok(())
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
