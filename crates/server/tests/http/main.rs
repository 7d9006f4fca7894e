//! The server over real connections: every verb, every negative answer, leases, who may come in.

mod audit;
mod cache;
mod client;
mod config;
mod connections;
mod dashboard;
mod door;
mod events;
mod evicting;
mod leases;
mod metrics;
mod misuse;
mod openapi;
mod room;
mod schema;
mod stream;
mod tenants;
mod tokens;
mod waiting;

use allotment_server::{ROUTES, Route};
use client::{Answer, Server};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A pool with two tenants, of which one has a limit and one a rate.
const SETUP: &str = r#"
capacity = "64MiB"
pressure = { pool = false }

[[tenants]]
name = "chat"
priority = "critical"
limit = "48MiB"

[[tenants]]
name = "batch"

[[tenants]]
name = "slow"
rate = { requests_per_second = 1, bucket_depth = 1 }
"#;

const MIB: u64 = 1 << 20;

/// Longest a test waits for what has to come.
const SOON: Duration = Duration::from_secs(20);

fn ask(tenant: &str, bytes: u64) -> Value {
    json!({ "tenant": tenant, "bytes": bytes, "type": "inference" })
}

/// The same with more in it, or something else.
fn with(mut ask: Value, name: &str, value: impl Into<Value>) -> Value {
    ask[name] = value.into();
    ask
}

/// Every route, with an example of its path.
fn routes() -> impl Iterator<Item = (Route, String)> {
    ROUTES.into_iter().map(|route| {
        let path = route.path.replace("{tenant}", "chat").replace("{group}", "team");
        (route, path.replace("{id}", "1"))
    })
}

fn granted(server: &Server, ask: &Value) -> Answer {
    server.post("/v1/requests", ask).is(201)
}

/// Waits until something is so.
fn soon(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < SOON, "{what}: not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Nothing is held: neither by the governor nor in the book.
fn expect_nothing_held(server: &Server) {
    let usage = server.get("/v1/usage").is(200);
    let held = ["used_bytes", "grants", "leases", "waiting_requests"].map(|name| &usage[name]);
    assert_eq!(held, [&json!(0); 4], "{:?}", usage.body);
}
