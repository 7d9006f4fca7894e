//! What the dashboard is made of: its files, the stream it watches, the last refusals and
//! evictions, one tenant in detail.

use super::*;
use client::head;
use stream::{connect, listen};

#[test]
fn the_page_and_its_parts_come_without_a_token_and_may_do_nothing_else() {
    let server = Server::new(SETUP);
    let without = |path: &str, more: &str| server.raw(&head("GET", path, more, ""), "");
    let page = without("/", "").is(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    // Every part that the page or another part names is there, and nothing is that it does not.
    let mut parts = vec!["/".to_string()];
    let mut seen = 0;
    while let Some(path) = parts.get(seen).cloned() {
        seen += 1;
        let part = without(&path, "").is(200);
        assert_eq!(part.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(part.header("referrer-policy"), Some("no-referrer"));
        let kind = part.header("content-type").unwrap();
        let of = path.rsplit_once('.').map_or("html", |(_, of)| of);
        let expected = [("html", "html"), ("css", "css"), ("js", "javascript"), ("svg", "svg")];
        assert!(expected.iter().any(|(end, name)| *end == of && kind.contains(name)), "{path}");
        let tag = part.header("etag").unwrap().to_string();
        let again = without(&path, &format!("If-None-Match: {tag}\r\n")).is(304);
        assert_eq!(again.text, "");
        let named = part.text.split('"').filter_map(|word| {
            let name = word.strip_prefix("/dashboard/").or_else(|| word.strip_prefix("./"))?;
            Some(format!("/dashboard/{name}"))
        });
        for name in named {
            if !parts.contains(&name) {
                parts.push(name);
            }
        }
    }
    assert_eq!(parts.len(), 21, "{parts:?}");
    without("/dashboard/none.js", "").refuses(404, "no-route");
    without("/dashboard/..%2fCargo.toml", "").refuses(404, "no-route");
}

#[test]
fn another_host_gets_no_page() {
    let server = Server::new(SETUP);
    let asked = head("GET", "/", "", "").replace("Host: localhost", "Host: evil.example");
    server.raw(&asked, "").refuses(403, "wrong-host");
}

/// The place of a column in the rows of a snapshot.
fn column(snapshot: &Value, columns: &str, name: &str) -> usize {
    let all = snapshot[columns].as_array().unwrap();
    all.iter().position(|column| column == name).unwrap_or_else(|| panic!("{name}: {all:?}"))
}

/// The row of a tenant.
fn row<'v>(told: &'v Value, rows: &str, n: &Value) -> Option<&'v Value> {
    told[rows].as_array()?.iter().find(|row| row[0] == *n)
}

#[test]
fn a_watcher_has_everything_and_then_what_changes() {
    let server = Server::new(SETUP);
    let held = granted(&server, &ask("chat", 3 * MIB));
    let mut stream = listen(&server, "/v1/watch");
    let first = stream.next().unwrap();
    assert_eq!(first.event, "snapshot");
    let snapshot = first.data;
    assert_eq!(snapshot["pool"]["used_bytes"], 3 * MIB);
    let [name, used] = [("tenant_columns", "name"), ("figure_columns", "used_bytes")]
        .map(|(columns, of)| column(&snapshot, columns, of));
    let tenants = snapshot["tenants"].as_array().unwrap();
    assert_eq!(tenants.len(), 3);
    let chat = tenants.iter().find(|tenant| tenant[name] == "chat").unwrap()[0].clone();
    assert_eq!(row(&snapshot, "figures", &chat).unwrap()[used], 3 * MIB);

    granted(&server, &ask("chat", 4 * MIB));
    soon("what has changed is told", || {
        let told = stream.next_of("change").data;
        let is_told = row(&told, "figures", &chat).is_some_and(|row| row[used] == 7 * MIB);
        assert!(!is_told || told["pool"]["used_bytes"] == 7 * MIB);
        is_told
    });
    soon("nothing is told of who has not changed", || {
        stream.next_of("change").data.get("figures").is_none()
    });

    server.patch("/v1/tenants/chat", &json!({ "limit": "40MiB" })).is(200);
    let limit = column(&snapshot, "tenant_columns", "limit_bytes");
    soon("the new limit is told", || {
        let told = stream.next_of("change").data;
        row(&told, "tenants", &chat).is_some_and(|row| row[limit] == 40 * MIB)
    });
    server.post("/v1/tenants", &json!({ "name": "late" })).is(201);
    soon("who is new is told", || {
        let told = stream.next_of("change").data;
        told["tenants"].as_array().is_some_and(|rows| rows.iter().any(|row| row[name] == "late"))
    });
    server.delete("/v1/tenants/chat?mode=force").is(204);
    soon("who is gone is told", || {
        let told = stream.next_of("change").data;
        told["gone"].as_array().is_some_and(|gone| gone.contains(&chat))
    });
    drop(held);
}

#[test]
fn who_joins_gets_the_figures_of_others_with_the_time_that_these_are_of() {
    let server = Server::new(SETUP);
    let mut first = listen(&server, "/v1/watch");
    let mut times = vec![first.next().unwrap().data["time_ms"].clone()];
    times.push(first.next_of("change").data["time_ms"].clone());
    granted(&server, &ask("chat", MIB));
    // Within the second, unless this machine is very slow: then a change has come between.
    let joined = listen(&server, "/v1/watch").next().unwrap().data;
    times.push(first.next_of("change").data["time_ms"].clone());
    assert!(times.contains(&joined["time_ms"]), "{} is none of {times:?}", joined["time_ms"]);
    let is_before = joined["time_ms"] != times[2];
    assert_eq!(joined["pool"]["used_bytes"], if is_before { 0 } else { MIB });
}

#[test]
fn refusals_and_evictions_are_told_to_watchers_and_to_who_asks() {
    let server = Server::new(SETUP);
    let mut stream = listen(&server, "/v1/watch");
    assert_eq!(stream.next().unwrap().data["denials"], json!([]));
    for _ in 0..3 {
        server.post("/v1/requests", &with(ask("chat", 50 * MIB), "model", "m")).is(507);
    }
    let cache = with(with(ask("batch", 60 * MIB), "type", "cache"), "on_evict", "at_once");
    let gone = granted(&server, &cache);
    granted(&server, &ask("chat", 32 * MIB));

    let denials = server.get("/v1/denials").is(200);
    let denial = &denials.body[0];
    assert_eq!(denials.body.as_array().unwrap().len(), 1, "alike are one");
    assert_eq!((&denial["times"], &denial["name"]), (&json!(3), &json!("chat")));
    assert_eq!((&denial["reason"], &denial["account"]), (&json!("tenant_limit"), &json!("tenant")));
    assert_eq!((&denial["short_bytes"], &denial["limit"]), (&json!(2 * MIB), &json!(48 * MIB)));
    assert!(denial["text"].as_str().unwrap().contains("2 MiB too many"));
    assert_eq!(server.get("/v1/denials?tenant=batch").is(200).body, json!([]));
    server.get("/v1/denials?tenant=nobody").refuses(404, "not-found");

    let evictions = server.get("/v1/evictions?tenant=batch").is(200);
    let eviction = &evictions.body[0];
    assert_eq!((&eviction["grant"], &eviction["freed"]), (&gone["id"], &json!(true)));
    assert_eq!(eviction["bytes"], 60 * MIB);
    assert_eq!(server.get("/v1/evictions?tenant=chat").is(200).body, json!([]));

    let (mut refused, mut evicted) = (Value::Null, Value::Null);
    soon("the stream tells both", || {
        let told = stream.next_of("change").data;
        for (last, name) in [(&mut refused, "denials"), (&mut evicted, "evictions")] {
            if told[name].is_array() {
                *last = told[name][0].clone();
            }
        }
        refused["times"] == 3 && !evicted.is_null()
    });
    assert_eq!((&refused, &evicted), (denial, eviction));
}

#[test]
fn an_eviction_that_its_holder_was_asked_for_is_freed_once_it_is_released() {
    let server = Server::new(SETUP);
    let held = granted(&server, &with(ask("batch", 60 * MIB), "type", "cache"));
    server.post("/v1/requests", &ask("chat", 32 * MIB)).is(503);
    let freed = || server.get("/v1/evictions").is(200).body[0]["freed"].clone();
    assert_eq!(freed(), json!(false));
    let path = format!("/v1/grants/{}?epoch={}", held.id(), held.number("epoch"));
    server.delete(&path).is(204);
    assert_eq!(freed(), json!(true));
}

#[test]
fn a_growth_that_is_refused_is_among_the_refusals() {
    let server = Server::new(SETUP);
    let held = granted(&server, &with(ask("chat", 40 * MIB), "model", "big"));
    let by = json!({ "epoch": held.number("epoch"), "bytes": 20 * MIB });
    server.post(&format!("/v1/grants/{}/grow", held.id()), &by).is(507);
    let denial = &server.get("/v1/denials").is(200).body[0];
    assert_eq!((&denial["model"], &denial["asked_bytes"]), (&json!("big"), &json!(20 * MIB)));
}

#[test]
fn a_tenant_in_detail() {
    let server = Server::new(SETUP);
    let cache = with(with(ask("chat", 2 * MIB), "type", "cache"), "model", "kv");
    (0..3).for_each(|_| _ = granted(&server, &cache));
    granted(&server, &with(ask("chat", 10 * MIB), "model", "llama"));
    granted(&server, &ask("batch", MIB));
    server.post("/v1/requests", &ask("chat", 100 * MIB)).is(507);
    let details = server.get("/v1/tenants/chat/details").is(200);
    assert_eq!(details["tenant"]["used_bytes"], 16 * MIB);
    assert!(details["tenant"]["claimed_bytes"].as_u64().unwrap() >= 16 * MIB);
    assert!(details["time_ms"].as_u64().is_some_and(|time| time > 0));
    let held = details["held"].as_array().unwrap();
    let line =
        |line: &Value| (line["model"].clone(), line["grants"].clone(), line["bytes"].clone());
    let expected =
        [(json!("llama"), json!(1), json!(10 * MIB)), (json!("kv"), json!(3), json!(6 * MIB))];
    assert_eq!(held.iter().map(line).collect::<Vec<_>>(), expected);
    assert_eq!(details["denials"].as_array().unwrap().len(), 1);
    let kinds: Vec<&Value> =
        details["events"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    let mut expected = vec!["denied", "granted", "granted", "granted", "granted", "registered"];
    expected.truncate(kinds.len());
    assert_eq!(kinds, expected, "newest first, and nothing of others");
    assert!(kinds.len() >= 5);
    soon("there is a history", || {
        let details = server.get("/v1/tenants/chat/details").is(200);
        let seconds = details["history"]["seconds"].as_array().unwrap();
        seconds.iter().any(|point| point[1] == 16 * MIB)
    });
    server.get("/v1/tenants/nobody/details").refuses(404, "not-found");
}

#[test]
fn what_was_used_over_time_is_a_picture_of_the_pool_or_of_a_tenant() {
    let server = Server::new(SETUP);
    granted(&server, &with(ask("chat", 16 * MIB), "type", "cache"));
    server.post("/v1/requests", &ask("chat", 100 * MIB)).is(507);
    soon("a second with a refusal is drawn", || {
        let picture = server.get("/v1/tenants/chat/history.svg?span=minute").is(200);
        assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
        for word in ["chat: memory in use, the last minute", "limit", "60 s ago"] {
            assert!(picture.text.contains(word), "{word}: {}", picture.text);
        }
        picture.text.contains("B3261E")
    });
    let pool = server.get("/v1/history.svg").is(200);
    assert!(pool.text.contains("The pool: memory in use, the last hour"), "{}", pool.text);
    assert!(pool.text.contains("capacity") && pool.text.contains("60 min ago"), "{}", pool.text);
    server.get("/v1/history.svg?span=day").refuses(400, "invalid");
    server.get("/v1/tenants/nobody/history.svg").refuses(404, "not-found");
}

#[test]
fn nobody_watches_for_ever() {
    let mut server = Server::new(SETUP);
    let mut stream = listen(&server, "/v1/watch");
    assert_eq!(stream.next().unwrap().event, "snapshot");
    assert_eq!(server.state.watchers(), 1);
    let brief = listen(&server, "/v1/watch");
    assert_eq!(server.state.watchers(), 2);
    drop(brief);
    soon("who leaves is seen to have left", || server.state.watchers() == 1);
    let mut all: Vec<_> = (1..64).map(|_| listen(&server, "/v1/watch")).collect();
    let one_more = connect(&server, "/v1/watch", "");
    assert!(one_more.head.starts_with("HTTP/1.1 503"), "{}", one_more.head);
    assert!(one_more.head.contains("retry-after"), "{}", one_more.head);
    all.clear();
    server.end();
    while stream.next().is_some() {}
}

#[test]
fn who_unpacks_gets_less() {
    use std::io::Read;
    let server = Server::new(SETUP);
    let read = |more: &str| {
        let mut bytes = Vec::new();
        let mut stream = server.send(&head("GET", "/dashboard/table.js", more, ""), "");
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
        let body = bytes.split_off(end + 4);
        (String::from_utf8(bytes).unwrap(), body)
    };
    let (plain, text) = read("Accept-Encoding: br, identity\r\n");
    assert!(!plain.contains("content-encoding"), "{plain}");
    let (packed, bytes) = read("Accept-Encoding: deflate, gzip, br\r\n");
    assert!(packed.contains("content-encoding: gzip\r\n"), "{packed}");
    assert_eq!(bytes[..2], [0x1f, 0x8b]);
    assert!(bytes.len() * 2 < text.len(), "{} of {}", bytes.len(), text.len());
    let tag = |head: &str| head.lines().find(|line| line.starts_with("etag")).map(str::to_string);
    assert_ne!(tag(&plain), tag(&packed), "they are different bytes");
}

#[test]
fn a_tenant_sees_its_refusals_without_the_names_of_others() {
    let server = Server::new(SETUP);
    granted(&server, &ask("batch", 40 * MIB));
    server.post("/v1/requests", &ask("chat", 30 * MIB)).is(503);
    let text = |answer: Answer| answer["denials"][0]["text"].as_str().unwrap().to_string();
    let path = "/v1/tenants/chat/details";
    assert!(text(server.get(path).is(200)).contains("batch"));
    let token = server.issue("tenant:chat:read");
    let own = text(server.call_as(&token, "GET", path, None).is(200));
    assert!(!own.is_empty() && !own.contains("batch"), "{own}");
    for path in ["/v1/denials", "/v1/evictions", "/v1/watch"] {
        server.call_as(&token, "GET", path, None).refuses(403, "scope");
    }
}
