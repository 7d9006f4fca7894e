//! What bodies are made of: sizes as numbers or as people write them, names of kinds and levels.

use crate::problem::Problem;
use allotment::{AllocationType, Isolation, Priority};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

/// What is written otherwise in a part of a path.
const IN_A_PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// A number of bytes: `8589934592` or `"8GiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected bytes as a number, or a size as in \"8GiB\"")]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Self(bytes)),
            Written::Text(text) => {
                allotment_config::parse_size(&text).map(Self).map_err(D::Error::custom)
            }
        }
    }
}

impl PartialSchema for Size {
    fn schema() -> RefOr<Schema> {
        let of = |kind| ObjectBuilder::new().schema_type(SchemaType::Type(kind));
        let number = of(Type::Integer).minimum(Some(0));
        let text = of(Type::String).examples(["8GiB"]);
        Schema::OneOf(OneOfBuilder::new().item(number).item(text).build()).into()
    }
}

impl ToSchema for Size {}

/// One of a few words.
pub fn words(words: impl IntoIterator<Item = impl Into<String>>) -> RefOr<Schema> {
    let words: Vec<String> = words.into_iter().map(Into::into).collect();
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    text.enum_values(Some(words)).build().into()
}

/// One of a few names.
fn names<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> RefOr<Schema> {
    words(all.iter().map(|value| name(*value).replace(' ', "_")))
}

/// A value that may be left as it is, taken away with `null`, or set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// Not mentioned.
    #[default]
    Keep,
    /// `null`.
    Clear,
    /// A value.
    Set(T),
}

impl<T> Change<T> {
    /// Does to a value what was asked for.
    pub fn apply(self, to: &mut Option<T>) {
        match self {
            Self::Keep => {}
            Self::Clear => *to = None,
            Self::Set(value) => *to = Some(value),
        }
    }

    /// The same of another type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::Set(value) => Change::Set(f(value)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Option::<T>::deserialize(deserializer)?;
        Ok(value.map_or(Self::Clear, Self::Set))
    }
}

/// One of a few, by the name that the library gives it, with `_` for a space.
fn one_of<T: Copy>(
    text: &str,
    what: &str,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<T, String> {
    let written = |value: T| name(value).replace(' ', "_");
    let found = all.iter().find(|value| written(**value) == text);
    found.copied().ok_or_else(|| {
        let known: Vec<String> = all.iter().map(|value| written(*value)).collect();
        format!("there is no {what} `{text}`: use {}", known.join(", "))
    })
}

/// What memory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind(pub AllocationType);

impl Kind {
    /// As it is written.
    pub fn name(self) -> String {
        self.0.name().replace(' ', "_")
    }
}

impl PartialSchema for Kind {
    fn schema() -> RefOr<Schema> {
        names(&AllocationType::ALL, AllocationType::name)
    }
}

impl ToSchema for Kind {}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let kind = one_of(&text, "type", &AllocationType::ALL, AllocationType::name);
        kind.map(Self).map_err(D::Error::custom)
    }
}

/// Who goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank(pub Priority);

impl PartialSchema for Rank {
    fn schema() -> RefOr<Schema> {
        names(&Priority::ALL, Priority::name)
    }
}

impl ToSchema for Rank {}

impl<'de> Deserialize<'de> for Rank {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let rank = one_of(&text, "priority", &Priority::ALL, Priority::name);
        rank.map(Self).map_err(D::Error::custom)
    }
}

const ISOLATIONS: [Isolation; 3] = [Isolation::None, Isolation::Soft, Isolation::Hard];

/// How strictly limits bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walls(pub Isolation);

impl PartialSchema for Walls {
    fn schema() -> RefOr<Schema> {
        names(&ISOLATIONS, Isolation::name)
    }
}

impl ToSchema for Walls {}

impl<'de> Deserialize<'de> for Walls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        one_of(&text, "isolation", &ISOLATIONS, Isolation::name).map(Self).map_err(D::Error::custom)
    }
}

/// A body in JSON; what is wrong with it is a problem document.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub struct Body<T>(pub T);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        of_rejection(rejection.status(), rejection.body_text())
    }
}

/// What follows the question mark; what is wrong with it is a problem document.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        of_rejection(rejection.status(), rejection.body_text())
    }
}

/// A part of the path; what is wrong with it is a problem document.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct At<T>(pub T);

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        of_rejection(rejection.status(), rejection.body_text())
    }
}

fn of_rejection(status: StatusCode, detail: String) -> Problem {
    match status {
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Problem::new(status, "not-json", "the body is not JSON", detail)
        }
        _ => Problem::invalid(detail),
    }
}

/// An answer that made something of this name, which may have any characters, below a path.
pub fn created(below: &str, name: &str, body: impl IntoResponse) -> Response {
    let at = format!("{below}/{}", utf8_percent_encode(name, IN_A_PATH));
    (StatusCode::CREATED, [(axum::http::header::LOCATION, at)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_are_numbers_or_text() {
        assert_eq!(read("4096"), Ok(Size(4096)));
        assert_eq!(read("\"8GiB\""), Ok(Size(8 << 30)));
        for wrong in ["\"8 apples\"", "\"25%\"", "-1", "1.5", "true", "null"] {
            assert!(read::<Size>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn kinds_are_named_and_others_are_refused_with_the_names() {
        for kind in AllocationType::ALL {
            assert_eq!(read(&format!("\"{}\"", Kind(kind).name())), Ok(Kind(kind)));
        }
        let wrong = read::<Kind>("\"kv\"").unwrap_err();
        assert!(wrong.contains("`kv`") && wrong.contains("model_load, inference"), "{wrong}");
        assert_eq!(read("\"critical\""), Ok(Rank(Priority::Critical)));
        assert_eq!(read("\"hard\""), Ok(Walls(Isolation::Hard)));
    }

    #[test]
    fn a_value_is_kept_cleared_or_set() {
        #[derive(Deserialize)]
        struct Changes {
            #[serde(default)]
            limit: Change<Size>,
        }
        let applied = |text: &str| {
            let changes: Changes = serde_json::from_str(text).unwrap();
            let mut limit = Some(7);
            changes.limit.map(|Size(bytes)| bytes).apply(&mut limit);
            limit
        };
        assert_eq!(applied("{}"), Some(7));
        assert_eq!(applied("{\"limit\": null}"), None);
        assert_eq!(applied("{\"limit\": \"1KiB\"}"), Some(1024));
    }
}
