//! What makes no sense is named, and changes nothing.

use super::*;
use allotment_server::{Bounds, LeaseBounds};
use client::{head, read_answer};
use std::io::Write;

#[test]
fn bodies_that_make_no_sense_are_named() {
    let server = Server::new(SETUP);
    let wrong = [
        (json!({}), "tenant"),
        (ask("chat", 0), "amount of 0"),
        (ask("chat", 1 << 60), "at most"),
        (with(ask("chat", 1), "bytes", "8 apples"), "apples"),
        (with(ask("chat", 1), "bytes", -1), "size"),
        (with(ask("chat", 1), "type", "kv"), "kv"),
        (with(ask("chat", 1), "wait_ms", 3_600_001), "3600000"),
        (with(ask("chat", 1), "lease_ms", 99), "100"),
        (with(ask("chat", 1), "lease_ms", 3_600_001), "3600000"),
        (with(ask("chat", 1), "on_evict", "never"), "never"),
        (with(ask("chat", 1), "byte", 1), "byte"),
        (with(ask("chat", 1), "model", "m".repeat(129)), "128"),
        (with(ask("chat", 1), "model", "a\n"), "control"),
        (json!([1, 2]), "expected a string"),
    ];
    for (body, part) in wrong {
        let answer = server.post("/v1/requests", &body).refuses(400, "invalid");
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(part), "{body}: {detail}");
    }
    server.post("/v1/requests", &ask("nobody", 1)).refuses(404, "not-found");
    expect_nothing_held(&server);
}

#[test]
fn what_is_not_there_is_not_found_and_looks_alike() {
    let server = Server::new(SETUP);
    for id in ["none", "0000000000000000", "..%2f..%2fetc", "%00", "a b", &"x".repeat(4_000)] {
        let id = id.replace(' ', "%20");
        server.get(&format!("/v1/grants/{id}")).refuses(404, "not-found");
        server.delete(&format!("/v1/grants/{id}?epoch=1")).refuses(404, "not-found");
        server.get(&format!("/v1/tenants/{id}")).refuses(404, "not-found");
        server.delete(&format!("/v1/groups/{id}")).refuses(404, "not-found");
    }
    server.get("/v1/grants/%ff").refuses(400, "invalid");
    server.post("/healthz", &json!({})).refuses(405, "no-method");
    server.get("/v1/nothing").refuses(404, "no-route");
    server.get("/v1/requests").refuses(405, "no-method");
    server.delete("/v1/grants/none").refuses(400, "invalid");
    server.delete("/v1/tenants/chat?mode=gently").refuses(400, "invalid");
}

#[test]
fn shrinking_to_nothing_is_no_shrinking() {
    let server = Server::new(SETUP);
    let grant = granted(&server, &ask("chat", 8));
    let path = format!("/v1/grants/{}/shrink", grant.id());
    for bytes in [0, 8, 9] {
        let body = json!({ "epoch": grant["epoch"], "bytes": bytes });
        server.post(&path, &body).refuses(400, "invalid");
    }
    assert_eq!(server.get("/v1/usage").is(200).number("used_bytes"), 8);
}

#[test]
fn bodies_beyond_the_bound_are_not_read() {
    let server = Server::new(SETUP);
    let body = with(ask("chat", 1), "model", "m".repeat(100_000));
    server.post("/v1/requests", &body).refuses(413, "too-large");
    let text = ask("chat", 1).to_string();
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let plain =
        head("POST", "/v1/requests", &token, &text).replace("application/json", "text/plain");
    server.raw(&plain, &text).refuses(415, "not-json");
    server.raw(&head("POST", "/v1/requests", &token, "{"), "{").refuses(400, "invalid");
}

#[test]
fn who_does_not_say_what_it_wants_is_hung_up_on() {
    let bounds = Bounds { head_within: Duration::from_millis(200), ..Bounds::default() };
    let server = Server::bounded(SETUP, bounds, LeaseBounds::default());
    let begin = Instant::now();
    let mut slow = server.send("GET /healthz HTTP/1.1\r\nHost: lo", "");
    let answer = read_answer(&mut slow);
    assert!([0, 408].contains(&answer.status), "{answer:?}");
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    server.get("/healthz").is(200);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::new(SETUP);
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let text = ask("chat", 1).to_string();
    let mut slow = server.send(&head("POST", "/v1/requests", &token, &text), &text[..4]);
    read_answer(&mut slow).refuses(408, "too-slow");
    expect_nothing_held(&server);
}

#[test]
fn who_takes_no_answer_is_hung_up_on() {
    let taken_within = Duration::from_millis(200);
    let bounds = Bounds { taken_within, ..Bounds::default() };
    let server = Server::bounded(SETUP, bounds, LeaseBounds::default());
    let mut unread = server.send("", "");
    unread.set_write_timeout(Some(SOON)).unwrap();
    let asked = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
    let begin = Instant::now();
    // Until neither side takes any more, which on a busy machine is some time, and then no longer
    // than it has to be.
    let bound = 3 * SOON;
    while unread.write_all(asked.as_bytes()).is_ok() {
        assert!(begin.elapsed() < bound, "still taken after {bound:?}");
    }
    assert!(begin.elapsed() < bound, "{:?}", begin.elapsed());
}

#[test]
fn a_head_beyond_the_bound_is_not_read() {
    let server = Server::new(SETUP);
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    assert_eq!(server.raw(&head("GET", "/healthz", &long, ""), "").status, 431);
}

#[test]
fn a_name_breaks_out_of_no_header_and_is_found_where_the_answer_says() {
    let server = Server::new(SETUP);
    for name in ["a\r\nSet-Cookie: a=b", "a\nb", "a\0b", "a\u{7f}b", "\u{85}", ""] {
        for path in ["/v1/groups", "/v1/tenants"] {
            let answer = server.post(path, &json!({ "name": name })).refuses(400, "invalid");
            assert!(!answer.head.contains("ookie"), "{}", answer.head);
        }
    }
    for name in ["two words", "a/../b", "%2e%2e", "?x=1#y", "\"quoted\\", "größe", "..", "✓"] {
        let made = server.post("/v1/groups", &json!({ "name": name })).is(201);
        let at = made.header("location").unwrap();
        assert!(at.bytes().all(|byte| byte.is_ascii_graphic()), "{at}");
        assert_eq!(server.get(at).is(200)["name"], name);
        server.delete(at).is(204);
    }
}

#[test]
fn paths_that_are_spelled_otherwise_lead_nowhere() {
    let server = Server::new(SETUP);
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    for path in [
        "/v1/usage/",
        "//v1/usage",
        "/v1//usage",
        "/v1/./usage",
        "/healthz/../v1/usage",
        "/dashboard/../v1/usage",
        "/V1/usage",
        "/v1/usage%00",
        "/v1%2fusage",
        "/v1/usage;a=b",
        "/v1/%75sage/.",
        "/dashboard/..%2f..%2fetc%2fpasswd",
        "/dashboard/%2e%2e/index.html",
        "/etc/passwd",
    ] {
        let with_token = server.raw(&head("GET", path, &token, ""), "");
        assert_eq!(with_token.status, 404, "{path}: {}", with_token.text);
        let without = server.raw(&head("GET", path, "", ""), "");
        assert!([401, 404].contains(&without.status), "{path}: {}", without.text);
    }
    // Whoever names the place in full gets no further without a token.
    let full = head("GET", "http://localhost/v1/usage", "", "");
    server.raw(&full, "").refuses(401, "no-token");
}

#[test]
fn heads_that_mean_two_things_are_refused() {
    let server = Server::new(SETUP);
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let text = ask("chat", 1).to_string();
    let sound = head("POST", "/v1/requests", &token, &text);
    let length = format!("Content-Length: {}\r\n", text.len());
    for (name, more) in [
        ("two lengths", "Content-Length: 1\r\n"),
        ("no number", "Content-Length: 1x\r\n"),
        ("less than nothing", "Content-Length: -1\r\n"),
        ("no such coding", "Transfer-Encoding: gzip\r\n"),
        ("a space in a name", "X Y: 1\r\n"),
        ("no colon", "X-Y\r\n"),
        ("a NUL", "X-Y: a\0b\r\n"),
    ] {
        let doubled = sound.replace(&length, &format!("{length}{more}"));
        let answer = server.raw(&doubled, &text);
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
    }
    expect_nothing_held(&server);
}
