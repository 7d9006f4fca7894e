//! Who may come in. Without a token nothing but the answer whether the server lives; with that of
//! the administrator everything.
//!
//! A token is kept as its hash, and compared in a time that does not depend on where it differs. A
//! page in a browser cannot make itself at home: the `Host` header has to be an address of this
//! machine, or one that the operator named.

use crate::problem::Problem;
use crate::state::State;
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What a token of ours begins with, so that a scanner of leaked secrets knows it.
const PREFIX: &str = "allot_";
const SECRET_BYTES: usize = 32;

/// The tokens that open the door, by their hashes.
pub struct Door {
    admin: blake3::Hash,
    hosts: Vec<String>,
}

/// A new secret: 256 bits of the machine's randomness, in hex.
///
/// # Errors
///
/// What the machine answers if it has no randomness to give.
pub fn new_token() -> Result<String, getrandom::Error> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret)?;
    Ok(format!("{PREFIX}{}", blake3::Hash::from_bytes(secret).to_hex()))
}

impl Door {
    /// One that this administrator's token opens, for callers who name this machine or one of
    /// `hosts` as the host.
    pub fn new(admin_token: &str, hosts: Vec<String>) -> Self {
        Self { admin: blake3::hash(admin_token.as_bytes()), hosts }
    }

    fn knows(&self, token: &str) -> bool {
        // A comparison of hashes takes the same time wherever they differ.
        blake3::hash(token.as_bytes()) == self.admin
    }

    fn is_here(&self, host: &str) -> bool {
        let name = host.rsplit_once(':').map_or(host, |(name, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
        });
        let here = ["localhost", "127.0.0.1", "[::1]"];
        let is = |other: &str| other.eq_ignore_ascii_case(host) || other.eq_ignore_ascii_case(name);
        here.into_iter().chain(self.hosts.iter().map(String::as_str)).any(is)
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Lets through who has a token.
pub async fn check(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !state.door.is_here(host) {
        let detail = format!("`{host}` is not a name of this server; see --host");
        let (status, title) = (StatusCode::FORBIDDEN, "the host is another one");
        return Problem::new(status, "wrong-host", title, detail).into_response();
    }
    if !token(headers).is_some_and(|token| state.door.knows(token)) {
        let detail = "send `Authorization: Bearer TOKEN` with the token that the server printed";
        let (status, title) = (StatusCode::UNAUTHORIZED, "no token that is known here");
        return Problem::new(status, "no-token", title, detail).into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let [token, other] = [new_token().unwrap(), new_token().unwrap()];
        let door = Door::new(&token, Vec::new());
        assert!(door.knows(&token));
        for wrong in [&other, "", &token[1..], &format!("{token}0")] {
            assert!(!door.knows(wrong), "{wrong}");
        }
        assert_eq!(token.len(), PREFIX.len() + 2 * SECRET_BYTES);
    }

    #[test]
    fn only_this_machine_and_who_was_named_are_the_host() {
        let door = Door::new("t", vec!["mac.example:7180".to_string(), "studio".to_string()]);
        for here in [
            "LocalHost:1",
            "localhost",
            "localhost:7180",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "mac.example:7180",
            "studio",
            "studio:80",
        ] {
            assert!(door.is_here(here), "{here}");
        }
        for other in ["", "evil.example", "127.0.0.1.evil.example", "localhost:x", "mac.example"] {
            assert!(!door.is_here(other), "{other}");
        }
    }

    #[test]
    fn a_bearer_token_is_read() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            token(&headers).map(str::to_string)
        };
        assert_eq!(read("Bearer abc"), Some("abc".to_string()));
        assert_eq!(read("bearer  abc "), Some("abc".to_string()));
        assert_eq!(read("Basic abc"), None);
        assert_eq!(read("abc"), None);
    }
}
