//! `/metrics`: each figure against what was done, labels that cannot break out, and their number.

use super::*;

/// The value of a series, by its name and labels as written.
fn series(text: &str, name: &str) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

#[test]
fn what_was_asked_for_is_counted_and_what_is_held_is_shown() {
    let server = Server::new(SETUP);
    let grant = granted(&server, &ask("chat", 3 * MIB));
    server.post("/v1/requests", &ask("chat", 49 * MIB)).refuses(507, "denied");
    server.post("/v1/requests", &ask("chat", 0)).refuses(400, "invalid");
    granted(&server, &with(with(ask("batch", MIB), "type", "cache"), "wait_ms", 1_000));
    let scraped = server.get("/metrics").is(200);
    assert!(scraped.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = &scraped.text;
    assert!(text.ends_with("# EOF\n"), "{text}");
    let counted = |tenant: &str, kind: &str, outcome: &str| {
        let labels = format!("tenant=\"{tenant}\",type=\"{kind}\",outcome=\"{outcome}\"");
        series(text, &format!("allot_requests_total{{{labels}}}"))
    };
    assert_eq!(counted("chat", "inference", "granted"), Some(1.0), "{text}");
    assert_eq!(counted("chat", "inference", "denied"), Some(1.0));
    assert_eq!(counted("chat", "inference", "misuse"), Some(1.0));
    assert_eq!(counted("batch", "cache", "granted"), Some(1.0));
    assert_eq!(series(text, "allot_request_duration_seconds_count"), Some(3.0));
    assert_eq!(series(text, "allot_wait_duration_seconds_count"), Some(1.0));
    let mib = |name: &str| series(text, name).map(|bytes| bytes / MIB as f64);
    assert_eq!(mib("allot_capacity_bytes"), Some(64.0));
    assert_eq!(mib("allot_used_bytes"), Some(4.0));
    assert_eq!(mib("allot_tenant_used_bytes{tenant=\"chat\"}"), Some(3.0));
    assert_eq!(mib("allot_tenant_used_bytes{tenant=\"slow\"}"), Some(0.0));
    assert_eq!(mib("allot_tenant_ceiling_bytes{tenant=\"chat\"}"), Some(48.0));
    assert_eq!(mib("allot_tenant_ceiling_bytes{tenant=\"batch\"}"), Some(64.0));
    assert_eq!(series(text, "allot_leases"), Some(2.0));
    assert_eq!(series(text, "allot_pressure_level"), Some(0.0));
    assert_eq!(series(text, "allot_tenants"), Some(3.0));

    let epoch = grant.number("epoch");
    server.delete(&format!("/v1/grants/{}?epoch={epoch}", grant.id())).is(204);
    let text = server.get("/metrics").is(200).text;
    assert_eq!(series(&text, "allot_tenant_used_bytes{tenant=\"chat\"}"), Some(0.0));
    assert_eq!(series(&text, "allot_leases"), Some(1.0));
}

#[test]
fn who_vanishes_and_what_is_evicted_is_counted() {
    let server = Server::new(SETUP);
    granted(&server, &with(ask("slow", 1), "lease_ms", 100));
    let cache = with(ask("batch", 60 * MIB), "type", "cache");
    granted(&server, &with(cache, "on_evict", "at_once"));
    granted(&server, &ask("chat", 32 * MIB));
    soon("the lease is over", || {
        let text = server.get("/metrics").is(200).text;
        series(&text, "allot_leases_expired_total") == Some(1.0)
    });
    let text = server.get("/metrics").is(200).text;
    let evicted = |name: &str| series(&text, &format!("allot_tenant_{name}{{tenant=\"batch\"}}"));
    assert_eq!(evicted("evicted_grants_total"), Some(1.0), "{text}");
    assert_eq!(evicted("evicted_bytes_total"), Some((60 * MIB) as f64));
}

#[test]
fn what_was_wanted_elsewhere_is_counted_by_type_and_reason_once_it_is_free() {
    let server = Server::new(SETUP);
    let held = |kind: &str, mib, how| {
        let wanted = with(with(ask("batch", mib * MIB), "type", kind), "on_evict", how);
        granted(&server, &wanted)
    };
    let evicted_mib = |kind: &str, reason: &str| {
        let name = format!("allot_evicted_bytes_total{{type=\"{kind}\",reason=\"{reason}\"}}");
        series(&server.get("/metrics").is(200).text, &name).map(|bytes| bytes / MIB as f64)
    };
    let release = |grant: &Answer| {
        let path = format!("/v1/grants/{}?epoch={}", grant.id(), grant.number("epoch"));
        server.delete(&path).is(204);
    };
    let (asked, gone) = (held("cache", 20, "ask"), held("background", 40, "at_once"));
    release(&granted(&server, &ask("chat", 32 * MIB)));
    assert_eq!(evicted_mib("background", "needed"), Some(40.0));
    server.get(&format!("/v1/grants/{}", gone.id())).refuses(410, "ended");
    // Whoever is asked has not released it yet, then does.
    server.post("/api/cache/memory/evict", &json!({})).is(200);
    assert_eq!(evicted_mib("cache", "operator"), None);
    release(&asked);
    assert_eq!(evicted_mib("cache", "operator"), Some(20.0));
    held("cache", 8, "at_once");
    server.post("/api/cache/memory/evict", &json!({})).is(200);
    assert_eq!(evicted_mib("cache", "operator"), Some(28.0));
    // What its holder gives back by itself was not evicted.
    release(&held("cache", 4, "ask"));
    assert_eq!(evicted_mib("cache", "operator"), Some(28.0));
    assert_eq!(evicted_mib("cache", "needed"), None);
}

#[test]
fn a_name_cannot_break_out_of_its_label() {
    let server = Server::new(SETUP);
    let name = "a\"} 1 # {b=\"\\";
    server.post("/v1/tenants", &json!({ "name": name })).is(201);
    granted(&server, &ask(name, 7));
    let text = server.get("/metrics").is(200).text;
    let written = "allot_tenant_used_bytes{tenant=\"a\\\"} 1 # {b=\\\"\\\\\"}";
    assert_eq!(series(&text, written), Some(7.0), "{text}");
}

#[test]
fn so_many_tenants_have_a_label_and_all_others_share_one() {
    let server = Server::new(SETUP);
    for number in 0..110 {
        let name = format!("t{number:03}");
        server.post("/v1/tenants", &json!({ "name": name })).is(201);
        granted(&server, &ask(&name, 10));
    }
    let text = server.get("/metrics").is(200).text;
    let of = |line: &&str| line.starts_with("allot_tenant_used_bytes{");
    assert_eq!(text.lines().filter(of).count(), 101, "{text}");
    // The first hundred to ask have one; ten of those, and three that hold nothing, are others.
    assert_eq!(series(&text, "allot_tenant_used_bytes{tenant=\"t099\"}"), Some(10.0));
    assert_eq!(series(&text, "allot_tenant_used_bytes{tenant=\"other\"}"), Some(100.0));
    let sum: f64 = text
        .lines()
        .filter(of)
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum();
    assert_eq!(sum, 1_100.0);
    server.delete("/v1/tenants/t000?mode=force").is(204);
    let text = server.get("/metrics").is(200).text;
    assert_eq!(series(&text, "allot_tenant_used_bytes{tenant=\"t000\"}"), None);
    assert_eq!(series(&text, "allot_tenant_used_bytes{tenant=\"other\"}"), Some(90.0));
}
