//! One tenant in detail, as the server answers: what the stream does not carry.

use serde::Deserialize;

use super::known::{clean, plain};

/// Most lines of each list that are kept: no fewer than a server has.
const LINES_MAX: usize = 256;
const WORDS_MAX: usize = 400;

/// The answer.
#[derive(Debug, Deserialize)]
pub struct Details {
    pub tenant: Counted,
    pub held: Vec<Held>,
    #[serde(default)]
    pub held_left_out: u64,
    pub denials: Vec<Refused>,
    pub evictions: Vec<Evicted>,
    pub events: Vec<Event>,
    pub advice: Vec<Said>,
    pub alerts: Vec<Said>,
}

/// What is counted of a tenant.
#[derive(Debug, Deserialize)]
pub struct Counted {
    pub peak_bytes: u64,
    pub granted_requests: u64,
    pub isolation: String,
}

/// What it holds of one type under one model name.
#[derive(Debug, Deserialize)]
pub struct Held {
    #[serde(rename = "type")]
    pub kind: String,
    pub model: String,
    pub grants: u64,
    pub bytes: u64,
    pub pinned_bytes: u64,
    pub expires_in_ms: u64,
}

/// A refusal, and how often.
#[derive(Debug, Deserialize)]
pub struct Refused {
    pub time_ms: u64,
    pub times: u64,
    pub text: String,
}

/// What had to go.
#[derive(Debug, Deserialize)]
pub struct Evicted {
    pub time_ms: u64,
    #[serde(rename = "type")]
    pub kind: String,
    pub model: String,
    pub bytes: u64,
    pub asked: bool,
    pub freed: bool,
}

/// Something that happened.
#[derive(Debug, Deserialize)]
pub struct Event {
    pub kind: String,
    pub time_ms: u64,
    #[serde(rename = "type")]
    pub of_type: Option<String>,
    pub bytes: Option<u64>,
    pub reason: Option<String>,
}

/// A sentence that somebody should read.
#[derive(Debug, Deserialize)]
pub struct Said {
    pub text: String,
}

impl Details {
    /// From an answer.
    ///
    /// # Errors
    ///
    /// That it is none.
    pub fn new(text: &[u8]) -> Result<Self, serde_json::Error> {
        let mut details: Self = serde_json::from_slice(text)?;
        details.held.truncate(LINES_MAX);
        details.denials.truncate(LINES_MAX);
        details.evictions.truncate(LINES_MAX);
        details.events.truncate(LINES_MAX);
        details.advice.truncate(LINES_MAX);
        details.alerts.truncate(LINES_MAX);
        details.each_text(|text| *text = clean(text, WORDS_MAX));
        Ok(details)
    }

    fn each_text(&mut self, then: fn(&mut String)) {
        then(&mut self.tenant.isolation);
        for held in &mut self.held {
            then(&mut held.kind);
            then(&mut held.model);
        }
        self.denials.iter_mut().for_each(|denial| denial.text = plain(&denial.text));
        for evicted in &mut self.evictions {
            then(&mut evicted.kind);
            then(&mut evicted.model);
        }
        for event in &mut self.events {
            then(&mut event.kind);
            event.of_type.iter_mut().chain(&mut event.reason).for_each(then);
        }
        let said = self.advice.iter_mut().chain(&mut self.alerts);
        said.for_each(|said| said.text = plain(&said.text));
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// As a server answers.
    pub const DETAILS: &str = include_str!("../../tests/top/details.json");

    #[test]
    fn lists_have_a_limit_and_text_is_clean() {
        let details = Details::new(DETAILS.as_bytes()).unwrap();
        assert_eq!((details.held.len(), details.denials.len()), (2, 1));
        assert_eq!(details.held[0].model, "llama?[1m");
        let one = r#"{"kind": "granted", "time_ms": 1}"#;
        let many = [one; LINES_MAX + 7].join(",");
        let text = DETAILS.replace("\"events\": [", &format!("\"events\": [{many},"));
        assert_eq!(Details::new(text.as_bytes()).unwrap().events.len(), LINES_MAX);
        assert!(Details::new(b"{}").is_err());
    }
}
