//! What operators of a cache ask: figures, an eviction, counts from now on.

use super::*;

/// A limit of 100 MiB would be more than the pool: it is the pool.
const CACHED: &str = r#"
capacity = "64MiB"
pressure = { pool = false }
cache = { max_items = 5, tenant_max_items = 4, mimir_max_items = 2, eviction_policy = "lru" }
tenants = [{ name = "chat" }, { name = "batch", priority = "critical" }]
"#;

fn item(server: &Server, model: &str, mib: u64, how: &str) -> Answer {
    let wanted = with(with(ask("chat", mib * MIB), "type", "cache"), "model", model);
    granted(server, &with(wanted, "on_evict", how))
}

fn memory(server: &Server) -> Value {
    server.get("/api/cache/memory").is(200)["memory_management"].clone()
}

#[test]
fn the_figures_are_those_of_grants_of_caches() {
    let server = Server::new(CACHED);
    item(&server, "llama", 16, "ask");
    item(&server, "Mimir/components", 8, "ask");
    granted(&server, &ask("chat", MIB));
    let figures = memory(&server);
    let checked = figures["last_memory_check"].as_str().unwrap();
    assert!(checked.len() == 20 && checked.ends_with('Z'), "{checked}");
    let mut expected = json!({
        "current_memory_bytes": 24 * MIB,
        "max_memory_bytes": 64 * MIB,
        "memory_usage_percent": 37.5,
        "peak_memory_bytes": 24 * MIB,
        "cache_item_count": 2,
        "max_cache_size": 5,
        "tenant_cache_count": 1,
        "max_tenant_cache_size": 4,
        "mimir_cache_count": 1,
        "max_mimir_cache_size": 2,
        "eviction_count": 0,
        "memory_warnings": 0,
        "last_eviction": null,
        "eviction_policy": "lru",
        "eviction_threshold": 0.9,
        "memory_threshold": 0.8,
    });
    expected["last_memory_check"] = checked.into();
    assert_eq!(figures, expected);
    let status = server.get("/api/cache/status").is(200);
    let of = |name: &str| (&status[name]["item_count"], &status[name]["memory_bytes"]);
    assert_eq!(of("general_cache"), (&json!(2), &json!(24 * MIB)));
    assert_eq!(of("tenant_discovery_cache"), (&json!(1), &json!(16 * MIB)));
    assert_eq!(of("mimir_discovery_cache"), (&json!(1), &json!(8 * MIB)));
    assert_eq!(status["memory_management"]["cache_item_count"], 2);
}

#[test]
fn an_eviction_ends_what_may_go_at_once_and_asks_for_the_rest_in_order() {
    let server = Server::new(CACHED);
    let first = item(&server, "a", 20, "at_once");
    let second = item(&server, "b", 20, "ask");
    let third = item(&server, "c", 20, "at_once");
    // The first is used again, so that the second is the one that was not for longest.
    let touch = json!({ "epoch": first.number("epoch") });
    server.post(&format!("/v1/grants/{}/touch", first.id()), &touch).is(204);
    assert_eq!(memory(&server)["memory_warnings"], 1, "60 of 64 MiB");
    let evicted = server.post("/api/cache/memory/evict", &json!({})).is(200);
    let figures = ["evicted_items", "evicted_bytes", "asked_items", "asked_bytes"];
    assert_eq!(figures.map(|name| evicted.number(name)), [0, 0, 1, 20 * MIB]);
    let renew = json!({ "epoch": second.number("epoch") });
    let renewed = server.post(&format!("/v1/grants/{}/renew", second.id()), &renew).is(200);
    assert!(renewed["evict_within_ms"].is_number(), "{}", renewed.text);
    let path = format!("/v1/grants/{}?epoch={}", second.id(), second.number("epoch"));
    server.delete(&path).is(204);
    // Nothing is over a limit any more: a fifth goes at least, which is one of two.
    let evicted = server.post("/api/cache/memory/evict", &json!({})).is(200);
    assert_eq!(figures.map(|name| evicted.number(name)), [1, 20 * MIB, 0, 0]);
    server.get(&format!("/v1/grants/{}", third.id())).refuses(410, "ended");
    server.get(&format!("/v1/grants/{}", first.id())).is(200);
    let figures = &evicted["memory_management"];
    assert_eq!(figures["current_memory_bytes"], 20 * MIB);
    assert_eq!(
        (&figures["peak_memory_bytes"], &figures["eviction_count"]),
        (&json!(60 * MIB), &json!(2))
    );
    assert!(figures["last_eviction"].is_string());
    let reset = server.post("/api/cache/memory/reset", &json!({})).is(200);
    let figures = &reset["memory_management"];
    let counts = ["peak_memory_bytes", "eviction_count", "memory_warnings", "last_eviction"];
    let expected = [json!(20 * MIB), json!(0), json!(0), Value::Null];
    assert_eq!(counts.map(|name| figures[name].clone()), expected);
}

#[test]
fn too_many_items_go_whatever_they_hold() {
    let server = Server::new(CACHED);
    (0..4).for_each(|_| _ = item(&server, "mimir", 1, "at_once"));
    (0..2).for_each(|_| _ = item(&server, "llama", 1, "at_once"));
    let evicted = server.post("/api/cache/memory/evict", &json!({})).is(200);
    // Two are Mimir's beyond its two, which is also more than a fifth.
    assert_eq!(evicted.number("evicted_items"), 2);
    let figures = &evicted["memory_management"];
    let counts = ["cache_item_count", "tenant_cache_count", "mimir_cache_count"];
    assert_eq!(counts.map(|name| figures[name].as_u64().unwrap()), [4, 2, 2]);
    for _ in 0..4 {
        server.post("/api/cache/memory/evict", &json!({})).is(200);
    }
    assert_eq!(
        server.post("/api/cache/memory/evict", &json!({})).is(200).number("evicted_items"),
        0
    );
    expect_nothing_held(&server);
}

#[test]
fn what_the_governor_evicts_is_counted_as_well() {
    let server = Server::new(CACHED);
    item(&server, "llama", 60, "at_once");
    granted(&server, &ask("batch", 32 * MIB));
    let figures = memory(&server);
    let counts = ["current_memory_bytes", "eviction_count"];
    assert_eq!(counts.map(|name| figures[name].as_u64().unwrap()), [0, 1]);
}
