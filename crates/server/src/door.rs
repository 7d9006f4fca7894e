//! Who may come in. Without a token nothing but the answer whether the server lives; with that of
//! the administrator everything; with one that a key has signed what its scopes say.
//!
//! The administrator's token is kept as its hash, and compared in a time that does not depend on
//! where it differs. A page in a browser cannot make itself at home: the `Host` header has to be an
//! address of this machine, or one that the operator named. Whoever is turned away is hung up on,
//! so that the next attempt has to come to the end of the line.

use crate::guests::Guest;
use crate::keys::{Keys, Refused};
use crate::pace::{Pace, Paces};
use crate::problem::Problem;
use crate::reach::{Caller, Reach, Right, Scope, needed};
use crate::state::State;
use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::{Arc, PoisonError, RwLock};

/// What a token of ours begins with, so that a scanner of leaked secrets knows it.
const PREFIX: &str = "allot_";
const SECRET_BYTES: usize = 32;

/// The tokens that open the door, and how often.
pub struct Door {
    admin: blake3::Hash,
    hosts: Vec<String>,
    keys: RwLock<Option<Arc<Keys>>>,
    paces: Paces,
}

/// A new secret: 256 bits of the machine's randomness.
pub(crate) fn new_secret() -> Result<[u8; SECRET_BYTES], getrandom::Error> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret)?;
    Ok(secret)
}

/// A new token of an administrator: 256 bits of the machine's randomness, in hex.
///
/// # Errors
///
/// What the machine answers if it has no randomness to give.
pub fn new_token() -> Result<String, getrandom::Error> {
    Ok(format!("{PREFIX}{}", blake3::Hash::from_bytes(new_secret()?).to_hex()))
}

impl Door {
    /// One that this administrator's token opens, for callers who name this machine or one of
    /// `hosts` as the host.
    pub fn new(admin_token: &str, hosts: Vec<String>) -> Self {
        Self {
            admin: blake3::hash(admin_token.as_bytes()),
            hosts,
            keys: RwLock::default(),
            paces: Paces::new(Pace::default()),
        }
    }

    /// With another bound on how often tenants may call.
    #[must_use]
    pub fn paced(self, pace: Pace) -> Self {
        Self { paces: Paces::new(pace), ..self }
    }

    /// Opens to the tokens of these keys, and to those of no others, from now on: may be called
    /// while the server runs, from any thread. Calls that were let in before go on.
    pub fn set_keys(&self, keys: Option<Keys>) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.map(Arc::new);
    }

    /// What a token may do.
    fn scopes(&self, token: &str) -> Result<Vec<Scope>, Refused> {
        // A comparison of hashes takes the same time wherever they differ.
        if blake3::hash(token.as_bytes()) == self.admin {
            return Ok(vec![Scope { tenant: None, right: Right::Admin }]);
        }
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        keys.ok_or(Refused::Unknown)?.check(token)
    }

    /// Whether the caller names this machine as the host.
    ///
    /// # Errors
    ///
    /// That it names another one.
    pub(crate) fn check_host(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.unwrap_or_default();
        if self.is_here(host) {
            return Ok(());
        }
        let detail = format!("`{host}` is not a name of this server; see --host");
        let (status, title) = (StatusCode::FORBIDDEN, "the host is another one");
        Err(Problem::new(status, "wrong-host", title, detail))
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

fn turned_away(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn no_token(why: Option<Refused>) -> Problem {
    let (status, title) = (StatusCode::UNAUTHORIZED, "no token that is known here");
    let detail = match why {
        Some(Refused::Expired) => "the token has expired: have another one issued",
        Some(Refused::Early) => "the token is not valid yet: see the clocks of both machines",
        Some(Refused::Foreign) => "the token is for another service: see `aud`",
        Some(Refused::Unknown) | None => {
            "send `Authorization: Bearer TOKEN` with the token that the server printed, or one \
             that was issued with its keys"
        }
    };
    Problem::new(status, "no-token", title, detail)
}

/// Lets through who has a token that reaches as far as the route needs.
pub async fn check(
    Shared(state): Shared<Arc<State>>,
    mut request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if let Err(problem) = state.door.check_host(headers) {
        return turned_away(problem);
    }
    let shown = token(headers).ok_or(None);
    let scopes = match shown.and_then(|token| state.door.scopes(token).map_err(Some)) {
        Ok(scopes) => scopes,
        Err(why) => return turned_away(no_token(why)),
    };
    if let Some(guest) = request.extensions().get::<Arc<Guest>>() {
        guest.is_known_now();
    }
    match reach(&state, &scopes, &request) {
        Ok(reach) => {
            request.extensions_mut().insert(reach);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

fn reach(state: &State, scopes: &[Scope], request: &Request) -> Result<Reach, Problem> {
    let caller = Caller::new(scopes, state);
    // Whoever may do everything has to come in while others call too often.
    if !caller.is_admin() {
        let paced = state.door.paces.count(caller.counted(), state.now_ns());
        paced.map_err(Problem::too_many)?;
    }
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        // No route: there is nothing to reach.
        return Ok(Reach::These(Vec::new()));
    };
    caller.reach(needed(request.method(), path.as_str()), scopes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let [token, other] = [new_token().unwrap(), new_token().unwrap()];
        let door = Door::new(&token, Vec::new());
        assert_eq!(door.scopes(&token), Ok(vec![Scope { tenant: None, right: Right::Admin }]));
        for wrong in [&other, "", &token[1..], &format!("{token}0")] {
            assert_eq!(door.scopes(wrong), Err(Refused::Unknown), "{wrong}");
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
