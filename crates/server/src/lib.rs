//! Allotment over HTTP: one memory governor for several programs.
//!
//! | I want to see | open |
//! |---|---|
//! | the routes, and what they are behind | here, [`router`] |
//! | who holds which grant until when | `book.rs` |
//! | who ends the leases whose time is over | `keeper.rs` |
//! | what all requests share, and what is configured | `state.rs` |
//! | who may come in, and what for | `door.rs`, `reach.rs` |
//! | keys and the tokens they sign | `keys.rs`, `hs256.rs` |
//! | how often tenants may call | `pace.rs` |
//! | what is configured, and how it changes | `config.rs` |
//! | from one configuration to another, step by step | `apply.rs` |
//! | the file, looked at | `follow.rs` |
//! | what requests have changed, kept for the next start | `kept.rs` |
//! | bodies, within bounds | `intake.rs` |
//! | requests and grants | `grants.rs` |
//! | tenants, groups | `tenants.rs`, `groups.rs` |
//! | looks at the whole, explanations | `looks.rs` |
//! | what happens, as it happens | `events/`, names in `happened.rs` |
//! | the audit log, if one is kept | `audit/` |
//! | what operators of a cache ask | `cache/` |
//! | the routes as an OpenAPI document | `openapi.rs` |
//! | the dashboard's files, and what it watches | `dashboard.rs`, `watch/` |
//! | the last refusals and evictions, one tenant in detail | `recent.rs`, `details.rs` |
//! | what was used over time, as a picture | `picture.rs` |
//! | metrics for Prometheus | `metrics.rs` |
//! | the negative answers | `problem.rs` |
//! | sizes and names in bodies | `words.rs` |
//! | connections, their bounds, the end | `serve.rs`, `guests.rs` |
//!
//! A grant over HTTP is a lease: its holder renews it before its time is over, or its bytes go to
//! others. Every change names the lease's epoch, a number that only rises; another process of the
//! tenant that takes a lease over gets a new one, and whoever had the old one is refused.
//!
//! It is a library, so that a program can mount the routes beside its own:
//!
//! ```
//! use allotment_server::{Door, LeaseBounds, State, new_token, router};
//! use std::path::Path;
//!
//! let setup = allotment_config::parse("capacity = \"24GiB\"", Path::new("allot.toml"))?;
//! let token = new_token()?;
//! let door = Door::new(&token, Vec::new());
//! let state = State::new(&setup, door, LeaseBounds::default())?;
//! let routes = router(&state);        // an axum::Router, to be served or nested
//! # let _ = routes;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod audit;
mod book;
mod cache;
mod config;
mod dashboard;
mod details;
mod door;
mod events;
mod follow;
mod grants;
mod groups;
mod guests;
mod happened;
mod hs256;
mod inside;
mod intake;
mod keeper;
mod kept;
mod keys;
mod looks;
mod metrics;
mod openapi;
mod pace;
mod picture;
mod problem;
mod reach;
mod recent;
mod serve;
mod state;
mod tenants;
mod watch;
mod words;

pub use apply::NotApplied;
pub use config::{Applied, Configured, History, Refused, Source};
pub use door::{Door, new_token};
pub use follow::{Told, follow};
pub use keeper::keep;
pub use kept::{Remembered, Restored, open as open_state};
pub use keys::{AUDIENCE, Issue, Keys, KeysError, add_key};
pub use pace::Pace;
pub use reach::{Over, ROUTES, Right, Route, Scope};
pub use serve::{Bounds, serve};
pub use state::{LeaseBounds, State};

use axum::routing::{delete, get, post};
use axum::{Router, middleware};
use std::sync::Arc;

/// All routes. Leases end on time only while [`keep`] runs, as it does below [`serve`].
pub fn router(state: &Arc<State>) -> Router {
    let inside = Router::new()
        .route("/v1/tenants", get(tenants::list).post(tenants::register))
        .route(
            "/v1/tenants/{tenant}",
            get(tenants::look).patch(tenants::change).delete(tenants::remove),
        )
        .route("/v1/tenants/{tenant}/details", get(details::look))
        .route("/v1/tenants/{tenant}/history.svg", get(picture::of_tenant))
        .route("/v1/tenants/{tenant}/freeze", post(tenants::freeze))
        .route("/v1/tenants/{tenant}/thaw", post(tenants::thaw))
        .route("/v1/tenants/{tenant}/drain", post(tenants::drain))
        .route("/v1/groups", get(groups::list).post(groups::register))
        .route("/v1/groups/{group}", get(groups::look).patch(groups::change).delete(groups::remove))
        .route("/v1/requests", post(grants::request))
        .route("/v1/grants", get(grants::list))
        .route("/v1/grants/{id}", get(grants::look).merge(delete(grants::release)))
        .route("/v1/grants/{id}/renew", post(grants::renew))
        .route("/v1/grants/{id}/takeover", post(grants::take_over))
        .route("/v1/grants/{id}/grow", post(grants::grow))
        .route("/v1/grants/{id}/shrink", post(grants::shrink))
        .route("/v1/grants/{id}/touch", post(grants::touch))
        .route("/v1/config", get(config::look).put(config::put))
        .route("/metrics", get(metrics::scrape))
        .route("/v1/events", get(events::listen))
        .route("/v1/audit", get(audit::list))
        .route("/v1/audit/status", get(audit::status))
        .route("/v1/audit/checkpoint", post(audit::checkpoint))
        .route("/api/cache/memory", get(cache::memory))
        .route("/api/cache/memory/evict", post(cache::evict))
        .route("/api/cache/memory/reset", post(cache::reset))
        .route("/api/cache/status", get(cache::status))
        .route("/v1/watch", get(watch::watch))
        .route("/v1/history.svg", get(picture::of_pool))
        .route("/v1/denials", get(recent::denials))
        .route("/v1/evictions", get(recent::evictions))
        .route("/v1/explain", post(looks::explain))
        .route("/v1/balance", post(looks::balance))
        .route("/v1/usage", get(looks::usage))
        .route("/v1/snapshot", get(looks::snapshot))
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        .layer(middleware::from_fn(intake::read))
        // The last one is the first that a request comes to.
        .layer(middleware::from_fn_with_state(state.clone(), door::check));
    let outside = Router::new()
        .route("/", get(dashboard::page))
        .route("/dashboard/{file}", get(dashboard::file))
        .route("/healthz", get(looks::health))
        .route("/readyz", get(looks::health))
        .route("/v1/openapi.json", get(openapi::show))
        .method_not_allowed_fallback(problem::no_method);
    outside.merge(inside).with_state(state.clone())
}
