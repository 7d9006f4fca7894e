//! The limit over all caches: what it refuses and why, what goes for it, who waits for room.

use super::config::{put, server};
use super::*;
use allotment_server::{Bounds, LeaseBounds};
use client::read_answer;
use std::net::TcpStream;

/// Caches may have a quarter of the pool.
const BOUND: &str = r#"
capacity = "64MiB"
pressure = { pool = false }
cache = { limit = "25%", eviction_policy = "lru" }
tenants = [
    { name = "chat" },
    { name = "batch", priority = "low", guarantee = "2MiB" },
    { name = "boss", priority = "critical" },
]
"#;

fn of(tenant: &str, mib: u64, how: &str) -> Value {
    with(with(ask(tenant, mib * MIB), "type", "cache"), "on_evict", how)
}

fn max_bytes(server: &Server) -> Value {
    server.get("/api/cache/memory").is(200)["memory_management"]["max_memory_bytes"].clone()
}

fn caches_mib(server: &Server) -> u64 {
    let memory = server.get("/api/cache/memory").is(200);
    memory["memory_management"]["current_memory_bytes"].as_u64().unwrap() / MIB
}

fn waiting(server: &Server) -> u64 {
    server.get("/v1/usage").is(200).number("waiting_requests")
}

/// Asks and waits; whoever reads the answer knows how it went.
fn begin(server: &Server, ask: Value, wait_ms: u64) -> TcpStream {
    server.begin("/v1/requests", &with(ask, "wait_ms", wait_ms))
}

fn release(server: &Server, grant: &Answer) {
    let path = format!("/v1/grants/{}?epoch={}", grant.id(), grant.number("epoch"));
    server.delete(&path).is(204);
}

#[test]
fn all_caches_together_keep_within_their_limit() {
    let server = Server::new(BOUND);
    assert_eq!(max_bytes(&server), 16 * MIB);
    let held = granted(&server, &of("chat", 10, "ask"));
    let too_large = server.post("/v1/requests", &of("chat", 17, "ask")).refuses(507, "denied");
    let figures = ["asked_bytes", "short_bytes", "limit"].map(|name| &too_large["denial"][name]);
    assert_eq!(figures, [&json!(17 * MIB), &json!(MIB), &json!(16 * MIB)]);
    // Whoever has a lower priority does not have others' go.
    let no = server.post("/v1/requests", &of("batch", 7, "ask")).refuses(503, "denied");
    let denial = &no["denial"];
    assert_eq!((&denial["reason"], &denial["short_bytes"]), (&json!("cache_limit"), &json!(MIB)));
    assert!(no.header("retry-after").is_some());
    let unasked = server.get(&format!("/v1/grants/{}", held.id())).is(200);
    assert_eq!(unasked["evict_within_ms"], Value::Null);
    // Other kinds are not bound by it.
    granted(&server, &ask("batch", 40 * MIB));
    let item = granted(&server, &of("batch", 6, "at_once"));
    assert_eq!(caches_mib(&server), 16);
    // Neither does one grow beyond it, and none goes for its own growth.
    let more = json!({ "epoch": item["epoch"], "bytes": 1 });
    let grow = format!("/v1/grants/{}/grow", item.id());
    server.post(&grow, &more).refuses(503, "denied");
    assert_eq!(caches_mib(&server), 16);
    release(&server, &held);
    server.post(&grow, &more).is(200);
}

#[test]
fn caches_of_ones_own_go_first_and_then_those_of_a_lower_priority_down_to_their_guarantee() {
    let server = Server::new(BOUND);
    let theirs = [2, 4].map(|mib| granted(&server, &of("batch", mib, "at_once")));
    let mine = granted(&server, &of("chat", 10, "at_once"));
    granted(&server, &of("chat", 8, "at_once"));
    server.get(&format!("/v1/grants/{}", mine.id())).refuses(410, "ended");
    assert_eq!(caches_mib(&server), 14);
    // 8 of its own and 2 of theirs: what they have then is above their guarantee by too little.
    granted(&server, &of("chat", 12, "at_once"));
    let theirs_kept = theirs[1].id().to_string();
    let ends = theirs.map(|grant| server.get(&format!("/v1/grants/{}", grant.id())).status);
    assert_eq!((ends, caches_mib(&server)), ([410, 200], 16));
    // 12 of its own would not be enough, so nothing goes.
    server.post("/v1/requests", &of("chat", 14, "at_once")).refuses(503, "denied");
    server.get(&format!("/v1/grants/{}", theirs_kept)).is(200);
    assert_eq!(caches_mib(&server), 16);
    let gone = server.get("/v1/evictions").is(200).body;
    let gone: Vec<&Value> = gone.as_array().unwrap().iter().map(|one| &one["bytes"]).collect();
    assert_eq!(gone, [&json!(2 * MIB), &json!(8 * MIB), &json!(10 * MIB)], "newest first");
}

#[test]
fn many_who_ask_at_once_do_not_come_above_the_limit() {
    let server = Server::new(BOUND);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let answer = server.post("/v1/requests", &of("chat", 3, "ask"));
                    assert!([201, 503].contains(&answer.status), "{}", answer.text);
                    assert!(caches_mib(&server) <= 16);
                }
            });
        }
    });
    assert_eq!(caches_mib(&server), 15);
}

#[test]
fn who_waits_is_served_by_whatever_gives_room() {
    let server = server(BOUND);
    // Nobody of a lower priority has these go.
    let [first, second] = [4, 4].map(|mib| granted(&server, &of("chat", mib, "ask")));
    granted(&server, &with(of("chat", 4, "ask"), "lease_ms", 1_500));
    granted(&server, &of("chat", 4, "ask"));
    let wait = |mib: u64| {
        let in_line = begin(&server, of("batch", mib, "ask"), 60_000);
        soon("somebody waits", || waiting(&server) == 1);
        in_line
    };
    let mut in_line = wait(1);
    assert_eq!(server.get("/v1/tenants/batch").is(200)["waiting_requests"], 1);
    let less = json!({ "epoch": first["epoch"], "bytes": MIB });
    server.post(&format!("/v1/grants/{}/shrink", first.id()), &less).is(200);
    read_answer(&mut in_line).is(201);
    let mut in_line = wait(4);
    // The lease that nobody renews.
    read_answer(&mut in_line).is(201);
    let mut in_line = wait(4);
    release(&server, &second);
    read_answer(&mut in_line).is(201);
    assert_eq!(waiting(&server), 0);
    // The governor needs a cache for somebody else.
    let server = Server::new(BOUND);
    let item = granted(&server, &of("chat", 16, "at_once"));
    let mut in_line = begin(&server, of("batch", 4, "ask"), 60_000);
    soon("somebody waits", || waiting(&server) == 1);
    granted(&server, &ask("boss", 50 * MIB));
    read_answer(&mut in_line).is(201);
    server.get(&format!("/v1/grants/{}", item.id())).refuses(410, "ended");
}

#[test]
fn another_limit_serves_who_waits_or_turns_it_away() {
    let server = server(BOUND);
    let put_limit = |limit: &str| put(&server, &BOUND.replace("25%", limit)).is(200);
    granted(&server, &of("chat", 16, "ask"));
    let mut large = begin(&server, of("batch", 12, "ask"), 60_000);
    let mut small = begin(&server, of("batch", 2, "ask"), 60_000);
    soon("both wait", || waiting(&server) == 2);
    put_limit("10MiB");
    let never = read_answer(&mut large).refuses(507, "denied");
    assert_eq!(never["denial"]["limit"], 10 * MIB);
    assert_eq!(waiting(&server), 1);
    put_limit("18MiB");
    read_answer(&mut small).is(201);
    // Without a limit there is room, and what is held is known when there is one again.
    put_limit("4KiB");
    let mut in_line = begin(&server, of("batch", 1, "ask"), 60_000);
    read_answer(&mut in_line).refuses(507, "denied");
    put(&server, &BOUND.replace("limit = \"25%\", ", "")).is(200);
    granted(&server, &of("batch", 30, "ask"));
    put_limit("25%");
    let no = server.post("/v1/requests", &of("batch", 1, "ask")).refuses(503, "denied");
    assert_eq!(no["denial"]["short_bytes"], (48 + 1 - 16) * MIB);
}

#[test]
fn who_waits_in_vain_is_told_of_the_limit_and_so_is_everybody_who_looks() {
    let server = Server::new(BOUND);
    granted(&server, &of("chat", 12, "ask"));
    let asked = with(with(of("batch", 5, "ask"), "model", "kv"), "wait_ms", 150);
    let begun = Instant::now();
    let no = server.post("/v1/requests", &asked).refuses(503, "denied");
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert!(no.header("retry-after").is_some());
    let text = no["detail"].as_str().unwrap();
    let figures = "caches hold 12582912 of the 16777216 bytes that they may have together";
    for part in [figures, "5242880 more 1048576 are short", "it has waited 1", "raise the limit"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let denial = &no["denial"];
    let figures = ["asked_bytes", "short_bytes", "available_bytes", "limit"];
    let expected = [5, 1, 4, 16].map(|mib| json!(mib * MIB));
    assert_eq!(figures.map(|name| denial[name].clone()), expected);
    let entry = &server.get("/v1/denials").is(200).body[0];
    assert_eq!(figures.map(|name| entry[name].clone()), expected);
    let words = ["name", "type", "model", "reason", "account", "account_name", "text"];
    let expected = ["batch", "cache", "kv", "cache_limit", "caches", "all caches", text];
    assert_eq!(words.map(|name| entry[name].as_str().unwrap()), expected);
    assert_eq!((&entry["waiting_can_help"], &entry["times"]), (&json!(true), &json!(1)));
    // Its own reader is told the same, and alike ones are one.
    server.post("/v1/requests", &with(asked, "wait_ms", 0)).refuses(503, "denied");
    let own = server.issue("tenant:batch:read");
    let own = server.call_as(&own, "GET", "/v1/tenants/batch/details", None).is(200);
    let own = own["denials"].as_array().unwrap();
    assert_eq!((own.len(), &own[0]["times"]), (1, &json!(2)));
    let metrics = server.get("/metrics").is(200).text;
    let line = "allot_requests_total{tenant=\"batch\",type=\"cache\",outcome=\"denied\"} 2";
    assert!(metrics.contains(line), "{metrics}");
}

#[test]
fn who_leaves_or_may_not_ask_any_more_gives_up_its_place() {
    let server = Server::new(BOUND);
    let held = granted(&server, &of("chat", 16, "ask"));
    let in_line = begin(&server, of("batch", 4, "ask"), 60_000);
    soon("somebody waits", || waiting(&server) == 1);
    drop(in_line);
    soon("nobody waits", || waiting(&server) == 0);
    for (path, thaw) in [("freeze", true), ("drain", false)] {
        let mut in_line = begin(&server, of("batch", 4, "ask"), 60_000);
        soon("somebody waits", || waiting(&server) == 1);
        let begun = Instant::now();
        server.post(&format!("/v1/tenants/batch/{path}"), &json!({})).is(200);
        let no = read_answer(&mut in_line).refuses(503, "not-now");
        assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
        let told = &server.get("/v1/denials").is(200).body[0];
        assert_eq!((&told["reason"], &told["text"]), (&json!("not_now"), &no["detail"]));
        if thaw {
            server.post("/v1/tenants/batch/thaw", &json!({})).is(200);
        }
    }
    server.post("/v1/tenants/batch/thaw", &json!({})).is(200);
    let mut in_line = begin(&server, of("batch", 4, "ask"), 60_000);
    soon("somebody waits", || waiting(&server) == 1);
    server.delete("/v1/tenants/batch?mode=force").is(204);
    read_answer(&mut in_line).refuses(404, "not-found");
    release(&server, &held);
    expect_nothing_held(&server);
}

#[test]
fn who_waits_beyond_the_end_is_hung_up_on() {
    let bounds = Bounds { drain_within: Duration::from_millis(100), ..Bounds::default() };
    let mut server = Server::bounded(BOUND, bounds, LeaseBounds::default());
    granted(&server, &of("chat", 16, "ask"));
    let mut in_line = begin(&server, of("batch", 4, "ask"), 3_600_000);
    soon("somebody waits", || waiting(&server) == 1);
    server.end();
    assert_eq!(read_answer(&mut in_line).status, 0);
}

/// Who is asked for its cache may take its time, or never release it.
#[test]
fn caches_go_for_who_waits_and_others_are_asked_when_their_holders_do_not_release_them() {
    let evict_within = Duration::from_millis(300);
    let leases = LeaseBounds { evict_within, ..LeaseBounds::default() };
    let server = Server::bounded(BOUND, Bounds::default(), leases);
    let [silent, other, _] = [6, 6, 4].map(|mib| granted(&server, &of("batch", mib, "ask")));
    let renew = |grant: &Answer| {
        let epoch = json!({ "epoch": grant["epoch"] });
        let path = format!("/v1/grants/{}/renew", grant.id());
        server.post(&path, &epoch).is(200)["evict_within_ms"].is_number()
    };
    let mut in_line = begin(&server, of("chat", 4, "ask"), 60_000);
    soon("the first is asked", || renew(&silent));
    assert!(!renew(&other));
    soon("the other one is asked", || renew(&other));
    release(&server, &other);
    read_answer(&mut in_line).is(201);
    let counted = server.get("/api/cache/memory").is(200);
    assert_eq!(counted["memory_management"]["eviction_count"], 2);
    let gone = server.get("/v1/evictions").is(200).body;
    let of = |grant: &Answer| {
        let found = gone.as_array().unwrap().iter().find(|one| one["grant"] == grant.id());
        found.map(|one| one["freed"].clone())
    };
    assert_eq!((of(&silent), of(&other)), (Some(json!(false)), Some(json!(true))));
}

#[test]
fn nobody_goes_before_who_waits_but_a_higher_priority() {
    let server = Server::new(BOUND);
    let held = granted(&server, &of("chat", 12, "ask"));
    let mut in_line = begin(&server, of("batch", 8, "ask"), 60_000);
    soon("somebody waits", || waiting(&server) == 1);
    let no = server.post("/v1/requests", &of("batch", 2, "ask")).refuses(503, "denied");
    assert_eq!(
        (&no["denial"]["short_bytes"], &no["available_bytes"]),
        (&json!(6 * MIB), &json!(0))
    );
    assert!(no["detail"].as_str().unwrap().contains("1 request is before it in line for 8388608"));
    granted(&server, &of("chat", 2, "ask"));
    // Nobody who needs no room waits for it.
    granted(&server, &ask("batch", MIB));
    release(&server, &held);
    read_answer(&mut in_line).is(201);
}

#[test]
fn who_has_its_room_stands_in_the_line_of_the_governor_for_the_rest_of_its_time() {
    let server = server(BOUND);
    granted(&server, &of("chat", 12, "ask"));
    let full = granted(&server, &with(ask("chat", 50 * MIB), "type", "model_load"));
    let asked = |wait_ms| begin(&server, of("batch", 8, "ask"), wait_ms);
    let governor = server.state.manager.governor();
    let [mut in_vain, mut in_line] = [asked(2_500), asked(60_000)];
    soon("both wait for room", || waiting(&server) == 2);
    assert_eq!(governor.waiters(), 0);
    put(&server, &BOUND.replace("25%", "28MiB")).is(200);
    soon("both wait for the pool", || governor.waiters() == 2);
    let no = read_answer(&mut in_vain).refuses(503, "denied");
    assert_eq!(no["denial"]["reason"], "capacity");
    release(&server, &full);
    read_answer(&mut in_line).is(201);
    assert_eq!(waiting(&server), 0);
}

#[test]
fn what_the_limit_would_do_is_explained_and_names_others_to_nobody() {
    let server = Server::new(BOUND);
    let explain = |ask: &Value| server.post("/v1/explain", ask).is(200);
    let theirs = granted(&server, &with(of("batch", 4, "at_once"), "model", "theirs"));
    granted(&server, &of("batch", 4, "at_once"));
    granted(&server, &of("chat", 6, "ask"));
    assert_eq!(explain(&of("batch", 2, "ask"))["would_be_granted"], true);
    // Its own could go, but would not do.
    let never = explain(&of("batch", 11, "ask"));
    let words = ["reason", "account", "account_name"].map(|name| never[name].as_str().unwrap());
    assert_eq!(words, ["cache_limit", "caches", "all caches"]);
    let figures = ["asked_bytes", "short_bytes", "used_bytes", "limit_bytes"];
    assert_eq!(figures.map(|name| never.number(name)), [11, 9, 14, 16].map(|mib| mib * MIB));
    assert_eq!((&never["would_be_granted"], &never["would_evict"]), (&json!(false), &json!([])));
    assert_eq!(never["waiting_can_help"], true);
    let text = never["text"].as_str().unwrap();
    assert!(text.contains("batch asks 11534336 bytes for cache: refused"), "{text}");
    assert!(text.contains("raise the limit"), "{text}");
    let holders = never["holders"].as_array().unwrap();
    let holders: Vec<_> = holders.iter().map(|of| (&of["name"], &of["bytes"])).collect();
    assert_eq!(holders[0], (&json!("batch"), &json!(8 * MIB)));
    assert_eq!(holders[1], (&json!("chat"), &json!(6 * MIB)));
    // What has to be asked for is not there at once; what ends at once is.
    let asked = explain(&of("chat", 12, "ask"));
    assert_eq!(
        (&asked["would_be_granted"], &asked["reason"]),
        (&json!(false), &json!("cache_limit"))
    );
    assert_eq!(asked["would_evict"].as_array().unwrap().len(), 2);
    let own = explain(&of("batch", 9, "ask"));
    assert_eq!(own["would_be_granted"], true);
    assert_eq!(own["would_evict"][0]["id"], theirs.id());
    assert_eq!(own["would_evict"][0]["model"], "theirs");
    // Nothing has come of looking.
    server.get(&format!("/v1/grants/{}", theirs.id())).is(200);
    let token = server.issue("tenant:chat:request");
    let mine = server.call_as(&token, "POST", "/v1/explain", Some(&of("chat", 12, "ask"))).is(200);
    assert_eq!(figures.map(|name| &mine[name]), figures.map(|name| &asked[name]));
    assert!(!mine.text.contains("batch") && !mine.text.contains(theirs.id()), "{}", mine.text);
    let too_large = explain(&of("chat", 17, "ask"));
    assert_eq!(
        (&too_large["waiting_can_help"], too_large.number("short_bytes")),
        (&json!(false), MIB)
    );
    server.post("/v1/tenants/batch/freeze", &json!({})).is(200);
    let held = explain(&of("batch", 17, "ask"));
    assert!(held["on_hold"].is_string() && held["reason"] != "cache_limit", "{}", held.text);
}

/// Who runs in the server's own process is bound by it as well.
#[test]
fn a_trace_that_is_played_keeps_within_the_limit() {
    let server = Server::new(BOUND);
    let state = &server.state;
    let chat = state.tenant("chat").unwrap();
    let ask = |bytes: u64| allotment::AllocationAsk {
        tenant_id: chat,
        bytes,
        model_name: String::new(),
        allocation_type: allotment::AllocationType::Cache,
    };
    let first = state.hold_bytes(&ask(8 * MIB)).unwrap().unwrap();
    assert!(state.hold_more(&first, 2 * MIB));
    // Those of its own go for another one, but none for its own growth.
    let second = state.hold_bytes(&ask(8 * MIB)).unwrap().unwrap();
    assert!(!state.used_again(&first));
    assert_eq!(state.hold_bytes(&ask(17 * MIB)), Ok(None));
    assert!(!state.hold_more(&second, 9 * MIB));
    assert!(state.hold_more(&second, 8 * MIB));
    assert_eq!(caches_mib(&server), 16);
    let told = server.get("/v1/denials").is(200).body;
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    assert_eq!((&told[0]["reason"], &told[0]["times"]), (&json!("cache_limit"), &json!(2)));
    assert!(state.hold_no_more(&second));
    expect_nothing_held(&server);
}

#[test]
fn many_who_wait_at_once_are_all_served_and_never_above_the_limit() {
    let server = Server::new(BOUND);
    std::thread::scope(|scope| {
        for (thread, tenant) in (0..8u64).zip(["chat", "batch"].into_iter().cycle()) {
            let server = &server;
            scope.spawn(move || {
                for round in 0..12 {
                    let mib = 1 + (thread * 5 + round * 3) % 9;
                    let asked = with(of(tenant, mib, "ask"), "wait_ms", 30_000);
                    let grant = granted(server, &asked);
                    assert!(caches_mib(server) <= 16);
                    release(server, &grant);
                }
            });
        }
    });
    expect_nothing_held(&server);
}
