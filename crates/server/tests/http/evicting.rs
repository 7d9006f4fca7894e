//! What is needed elsewhere: holders that are asked, and those that are not.

use super::*;
use client::read_answer;

fn cache(bytes: u64) -> Value {
    with(ask("batch", bytes), "type", "cache")
}

#[test]
fn a_holder_is_asked_at_its_next_renewal_and_who_is_short_gets_the_bytes() {
    let server = Server::new(SETUP);
    let held = granted(&server, &cache(60 * MIB));
    assert_eq!(held["evict_within_ms"], Value::Null);
    let asked = with(ask("chat", 32 * MIB), "wait_ms", 60_000);
    let mut in_line = server.begin("/v1/requests", &asked);
    let renew = format!("/v1/grants/{}/renew", held.id());
    let epoch = held.number("epoch");
    soon("the holder is asked", || {
        let renewed = server.post(&renew, &json!({ "epoch": epoch })).is(200);
        renewed["evict_within_ms"].as_u64().is_some_and(|ms| (1..=10_000).contains(&ms))
    });
    server.delete(&format!("/v1/grants/{}?epoch={epoch}", held.id())).is(204);
    assert_eq!(read_answer(&mut in_line).is(201).number("bytes"), 32 * MIB);
}

#[test]
fn what_is_wanted_elsewhere_does_not_change_and_is_still_its_holders() {
    let server = Server::new(SETUP);
    let held = granted(&server, &cache(60 * MIB));
    // Asked for, and not there yet.
    server.post("/v1/requests", &ask("chat", 32 * MIB)).refuses(503, "denied");
    let (id, epoch) = (held.id(), held.number("epoch"));
    let path = format!("/v1/grants/{id}");
    for verb in ["shrink", "grow"] {
        let by = json!({ "epoch": epoch, "bytes": 1 });
        server.post(&format!("{path}/{verb}"), &by).refuses(409, "wanted");
    }
    let usage = server.get("/v1/usage").is(200);
    assert_eq!((usage.number("leases"), usage.number("grants")), (1, 1));
    assert!(server.get(&path).is(200)["evict_within_ms"].is_number());
    server.delete(&format!("{path}?epoch={epoch}")).is(204);
    expect_nothing_held(&server);
}

#[test]
fn what_may_go_at_once_does_and_its_holder_is_told() {
    let server = Server::new(SETUP);
    let held = granted(&server, &with(cache(60 * MIB), "on_evict", "at_once"));
    assert_eq!(granted(&server, &ask("chat", 32 * MIB)).number("bytes"), 32 * MIB);
    let epoch = held.number("epoch");
    let late = server.post(&format!("/v1/grants/{}/renew", held.id()), &json!({ "epoch": epoch }));
    assert_eq!(late.refuses(410, "ended")["how"], "evicted");
    assert_eq!(server.get("/v1/usage").is(200).number("used_bytes"), 32 * MIB);
}

#[test]
fn an_explanation_names_what_would_go_and_changes_nothing() {
    let server = Server::new(SETUP);
    let held = granted(&server, &with(cache(60 * MIB), "model", "kv"));
    let explained = server.post("/v1/explain", &ask("chat", 32 * MIB)).is(200);
    assert_eq!(explained["would_be_granted"], true);
    let victim = &explained["would_evict"][0];
    assert_eq!((&victim["id"], &victim["model"]), (&held["id"], &json!("kv")));
    assert_eq!(explained["holders"][0]["name"], "batch");
    assert!(explained["text"].as_str().unwrap().contains("chat"));
    let never = server.post("/v1/explain", &ask("chat", 49 * MIB)).is(200);
    assert_eq!(never["would_be_granted"], false);
    assert_eq!((&never["reason"], never.number("short_bytes")), (&json!("tenant_limit"), MIB));
    assert_eq!(server.get("/v1/usage").is(200).number("used_bytes"), 60 * MIB);
}

#[test]
fn a_drain_takes_what_may_go_at_once() {
    let server = Server::new(SETUP);
    granted(&server, &with(cache(8 * MIB), "on_evict", "at_once"));
    let drained = server.post("/v1/tenants/batch/drain", &json!({})).is(200);
    assert_eq!((&drained["hold"], drained.number("used_bytes")), (&json!("draining"), 0));
    server.post("/v1/requests", &ask("batch", 1)).refuses(503, "not-now");
    server.post("/v1/tenants/batch/thaw", &json!({})).is(200);
    granted(&server, &ask("batch", 1));
}
