//! How far a token reaches: the scopes it may have, and the one that each route asks for.
//!
//! ```text
//! scope = [ "tenant:" name-or-id ":" ] right        right = "read" | "request" | "admin"
//! ```
//!
//! `read` looks, `request` asks for memory and does what a holder does, `admin` administers; each
//! has those before it. Without a tenant a scope is for all of them, and for the pool.
//!
//! [`ROUTES`] says of every route which right it needs, over a tenant or over all. Whoever has that
//! right nowhere is refused before anything is looked up. Whoever has it somewhere gets a
//! [`Reach`], which knows those tenants and no others: what is asked for is compared with what is
//! theirs and never looked up among all, so that what is another's and what is not there cannot be
//! told apart, neither by the answer nor by the time it takes.

use crate::book::Acting;
use crate::problem::Problem;
use crate::state::State;
use allotment::{AllocationDenial, AllocationRefusal, Denial, DenialReason, TenantId};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use std::str::FromStr;
use uuid::Uuid;

/// Most scopes of one token.
pub const SCOPES_MAX: usize = 16;

/// What may be done; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// To look.
    Read,
    /// To ask for memory, and to do what the holder of a grant does.
    Request,
    /// To administer.
    Admin,
}

impl Right {
    /// As it is written in a scope.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Request => "request",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Right {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Read, Self::Request, Self::Admin];
        let found = all.into_iter().find(|right| right.name() == text);
        found.ok_or_else(|| format!("there is no right `{text}`: use read, request or admin"))
    }
}

/// Over what a route needs its right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The tenant that it is about; a list has those of whoever asks.
    Tenant,
    /// All of them.
    All,
}

/// A route, and what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// As HTTP has it; what answers `GET` answers `HEAD` as well.
    pub method: &'static str,
    /// With names in braces.
    pub path: &'static str,
    /// The right.
    pub right: Right,
    /// Over what.
    pub over: Over,
}

const fn route(method: &'static str, path: &'static str, right: Right, over: Over) -> Route {
    Route { method, path, right, over }
}

/// Every route that asks for a token. One that is not here is for `admin` alone.
pub const ROUTES: [Route; 43] = [
    route("GET", "/v1/tenants", Right::Read, Over::Tenant),
    route("POST", "/v1/tenants", Right::Admin, Over::All),
    route("GET", "/v1/tenants/{tenant}", Right::Read, Over::Tenant),
    route("PATCH", "/v1/tenants/{tenant}", Right::Admin, Over::Tenant),
    route("DELETE", "/v1/tenants/{tenant}", Right::Admin, Over::All),
    route("POST", "/v1/tenants/{tenant}/freeze", Right::Admin, Over::Tenant),
    route("POST", "/v1/tenants/{tenant}/thaw", Right::Admin, Over::Tenant),
    route("POST", "/v1/tenants/{tenant}/drain", Right::Admin, Over::Tenant),
    route("GET", "/v1/groups", Right::Read, Over::All),
    route("POST", "/v1/groups", Right::Admin, Over::All),
    route("GET", "/v1/groups/{group}", Right::Read, Over::All),
    route("PATCH", "/v1/groups/{group}", Right::Admin, Over::All),
    route("DELETE", "/v1/groups/{group}", Right::Admin, Over::All),
    route("POST", "/v1/requests", Right::Request, Over::Tenant),
    route("GET", "/v1/grants", Right::Read, Over::Tenant),
    route("GET", "/v1/grants/{id}", Right::Read, Over::Tenant),
    route("DELETE", "/v1/grants/{id}", Right::Request, Over::Tenant),
    route("POST", "/v1/grants/{id}/renew", Right::Request, Over::Tenant),
    route("POST", "/v1/grants/{id}/takeover", Right::Request, Over::Tenant),
    route("POST", "/v1/grants/{id}/grow", Right::Request, Over::Tenant),
    route("POST", "/v1/grants/{id}/shrink", Right::Request, Over::Tenant),
    route("POST", "/v1/grants/{id}/touch", Right::Request, Over::Tenant),
    route("GET", "/v1/config", Right::Admin, Over::All),
    route("PUT", "/v1/config", Right::Admin, Over::All),
    route("GET", "/v1/events", Right::Read, Over::Tenant),
    route("GET", "/v1/watch", Right::Read, Over::All),
    route("GET", "/v1/denials", Right::Read, Over::All),
    route("GET", "/v1/evictions", Right::Read, Over::All),
    route("GET", "/v1/tenants/{tenant}/details", Right::Read, Over::Tenant),
    route("GET", "/v1/tenants/{tenant}/history.svg", Right::Read, Over::Tenant),
    route("GET", "/v1/history.svg", Right::Read, Over::All),
    route("GET", "/v1/audit", Right::Read, Over::All),
    route("GET", "/v1/audit/status", Right::Read, Over::All),
    route("POST", "/v1/audit/checkpoint", Right::Admin, Over::All),
    route("GET", "/api/cache/memory", Right::Read, Over::All),
    route("POST", "/api/cache/memory/evict", Right::Admin, Over::All),
    route("POST", "/api/cache/memory/reset", Right::Admin, Over::All),
    route("GET", "/api/cache/status", Right::Read, Over::All),
    route("GET", "/metrics", Right::Read, Over::All),
    route("POST", "/v1/explain", Right::Read, Over::Tenant),
    route("POST", "/v1/balance", Right::Admin, Over::All),
    route("GET", "/v1/usage", Right::Read, Over::All),
    route("GET", "/v1/snapshot", Right::Read, Over::All),
];

/// What is not among the routes.
const UNLISTED: (Right, Over) = (Right::Admin, Over::All);

/// What a call needs; `path` is that of the route, below whatever the routes were nested in.
pub fn needed(method: &Method, path: &str) -> (Right, Over) {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    // What they are nested in is not one of ours that ends like another.
    let is = |of: &str| path.strip_suffix(of).is_some_and(|outside| !outside.contains("/v1"));
    let found = ROUTES.iter().find(|route| route.method == method && is(route.path));
    found.map_or(UNLISTED, |route| (route.right, route.over))
}

/// A right over one tenant, by name or id, or over all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The tenant; none: all of them.
    pub tenant: Option<String>,
    /// What may be done.
    pub right: Right,
}

impl Scope {
    /// As it stands in a token.
    ///
    /// # Errors
    ///
    /// That the name does not fit between the spaces of a list of scopes (RFC 6749, 3.3).
    pub fn written(&self) -> Result<String, String> {
        let right = self.right.name();
        let Some(tenant) = &self.tenant else { return Ok(right.to_string()) };
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if tenant.is_empty() || !tenant.bytes().all(fits) {
            return Err(format!("`{tenant}` does not fit into a scope: name the tenant by its id"));
        }
        Ok(format!("tenant:{tenant}:{right}"))
    }

    fn read(word: &str) -> Option<Self> {
        let Some(rest) = word.strip_prefix("tenant:") else {
            return Some(Self { tenant: None, right: word.parse().ok()? });
        };
        // Names may have colons, rights have none.
        let (tenant, right) = rest.rsplit_once(':').filter(|(tenant, _)| !tenant.is_empty())?;
        Some(Self { tenant: Some(tenant.to_string()), right: right.parse().ok()? })
    }

    /// The scopes of a token; words that are none of ours reach nothing. None: too many.
    pub fn read_all(text: &str) -> Option<Vec<Self>> {
        let words: Vec<&str> = text.split_ascii_whitespace().take(SCOPES_MAX + 1).collect();
        (words.len() <= SCOPES_MAX).then(|| words.into_iter().filter_map(Self::read).collect())
    }
}

/// Whoever has shown a token: its scopes, with the tenants that are there at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    all: Option<Right>,
    tenants: Vec<(TenantId, Right)>,
}

impl Caller {
    /// With what the scopes give.
    pub fn new(scopes: &[Scope], state: &State) -> Self {
        let all = scopes.iter().filter(|scope| scope.tenant.is_none());
        let tenants = scopes.iter().filter_map(|scope| {
            let tenant = state.tenant(scope.tenant.as_deref()?)?;
            Some((tenant, scope.right))
        });
        Self { all: all.map(|scope| scope.right).max(), tenants: tenants.collect() }
    }

    /// Whether it may do everything.
    pub fn is_admin(&self) -> bool {
        self.all == Some(Right::Admin)
    }

    /// Whom its calls are counted for; none: no tenant.
    pub fn counted(&self) -> Option<TenantId> {
        self.tenants.first().map(|(tenant, _)| *tenant)
    }

    /// How far it reaches with what a route needs.
    ///
    /// # Errors
    ///
    /// That it has that right nowhere.
    pub fn reach(&self, (right, over): (Right, Over), scopes: &[Scope]) -> Result<Reach, Problem> {
        if self.all.is_some_and(|held| held >= right) {
            return Ok(Reach::All);
        }
        // By the scopes as they are written, so that it does not tell whether the tenant is there.
        let somewhere = scopes.iter().any(|scope| scope.tenant.is_some() && scope.right >= right);
        if over == Over::Tenant && somewhere {
            let these = self.tenants.iter().filter(|(_, held)| *held >= right);
            return Ok(Reach::These(these.map(|(tenant, _)| *tenant).collect()));
        }
        let right = right.name();
        let needed = match over {
            Over::Tenant => format!("`tenant:NAME:{right}` or `{right}`"),
            Over::All => format!("`{right}`"),
        };
        let detail = format!("this needs a token with the scope {needed}");
        let (status, title) = (StatusCode::FORBIDDEN, "the token does not reach so far");
        Err(Problem::new(status, "scope", title, detail))
    }
}

/// The tenants over which a caller has the right that its route needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All.
    All,
    /// These.
    These(Vec<TenantId>),
}

impl Reach {
    /// Whose leases it is about.
    pub fn acting(&self) -> Acting<'_> {
        match self {
            Self::All => Acting::Anybody,
            Self::These(tenants) => Acting::Among(tenants),
        }
    }

    /// Whether a tenant is within it.
    pub fn has(&self, tenant: TenantId) -> bool {
        match self {
            Self::All => true,
            Self::These(tenants) => tenants.contains(&tenant),
        }
    }

    /// The answer to a request that was denied. The facade's sentence names the largest holders, so
    /// it is told within reach only: where the tenant's own bounds have refused.
    pub fn denied(&self, mut no: AllocationDenial) -> Problem {
        let own = [DenialReason::TenantLimit, DenialReason::GrantCount, DenialReason::RateLimit];
        let is_above = |denial: &&Denial| *self != Self::All && !own.contains(&denial.reason);
        if let Some(denial) = no.denial.as_ref().filter(is_above) {
            no.reason = denial.to_string();
        }
        AllocationRefusal::Denied(Box::new(no)).into()
    }

    /// The tenant of that id or name.
    ///
    /// # Errors
    ///
    /// That there is none within reach.
    pub fn tenant(&self, state: &State, text: &str) -> Result<TenantId, Problem> {
        let found = match self {
            Self::All => state.tenant(text),
            Self::These(tenants) => {
                let id = Uuid::parse_str(text).ok().map(|id| TenantId::from_u128(id.as_u128()));
                let is = |tenant: &TenantId| {
                    Some(*tenant) == id || state.name_of(*tenant).as_deref() == Some(text)
                };
                tenants.iter().copied().find(is)
            }
        };
        found.ok_or_else(|| Problem::not_found("tenant"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Reach {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Put there by the door, behind which every handler stands that asks for it.
        let reach = parts.extensions.get::<Self>().cloned();
        reach.ok_or_else(|| Problem::not_found("route"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(tenant: Option<&str>, right: Right) -> Scope {
        Scope { tenant: tenant.map(str::to_string), right }
    }

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for (text, expected) in [
            ("read", scope(None, Right::Read)),
            ("admin", scope(None, Right::Admin)),
            ("tenant:chat:request", scope(Some("chat"), Right::Request)),
            ("tenant:a:b:admin", scope(Some("a:b"), Right::Admin)),
            ("tenant:tenant:x:read", scope(Some("tenant:x"), Right::Read)),
        ] {
            assert_eq!(Scope::read_all(text), Some(vec![expected.clone()]));
            assert_eq!(expected.written().as_deref(), Ok(text));
        }
        for none in ["", " ", "Read", "tenant:chat", "tenant::read", "tenant:chat:", "chat:read"] {
            assert_eq!(Scope::read_all(none), Some(Vec::new()), "{none}");
        }
        for odd in ["", "two words", "é", "a\"b", "a\\b", "a\n"] {
            assert!(scope(Some(odd), Right::Read).written().is_err(), "{odd}");
        }
        let most = "read ".repeat(SCOPES_MAX);
        assert_eq!(Scope::read_all(&most).map(|scopes| scopes.len()), Some(SCOPES_MAX));
        assert_eq!(Scope::read_all(&format!("{most}nothing")), None);
    }

    #[test]
    fn what_is_not_in_the_table_is_for_those_who_may_do_everything() {
        let get = |path| needed(&Method::GET, path);
        assert_eq!(get("/v1/usage"), (Right::Read, Over::All));
        assert_eq!(needed(&Method::HEAD, "/v1/usage"), (Right::Read, Over::All));
        assert_eq!(get("/memory/v1/tenants/{tenant}"), (Right::Read, Over::Tenant));
        for path in ["", "/", "/v1/usage/", "/v1/tenants/{tenant}/metrics", "/v1/x/v1/grants"] {
            assert_eq!(get(path), UNLISTED, "{path}");
        }
        for method in [Method::PUT, Method::OPTIONS, Method::TRACE, Method::DELETE] {
            assert_eq!(needed(&method, "/v1/tenants"), UNLISTED, "{method}");
        }
    }
}
