//! Tokens: every route, with every kind of token that must not open it, and with those that do.

use super::*;
use allotment_server::{
    AUDIENCE, Bounds, Issue, Keys, LeaseBounds, Over, Pace, Right, Scope, add_key,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use client::head;
use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha2::{Sha256, Sha512};
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR_SECS: u64 = 3_600;

fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What the server's first key is made of.
fn secret(keys: &str) -> Vec<u8> {
    let keys: Value = serde_json::from_str(keys).unwrap();
    BASE64.decode(keys["keys"][0]["k"].as_str().unwrap()).unwrap()
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

/// Signs with HMAC and SHA-256, whatever the header says.
fn signed(secret: &[u8], header: &Value, claims: &Value) -> String {
    let message = message(header, claims);
    let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap().chain_update(&message);
    format!("{message}.{}", BASE64.encode(mac.finalize().into_bytes()))
}

fn header() -> Value {
    json!({ "alg": "HS256", "typ": "JWT", "kid": "first" })
}

fn claims(scope: &str) -> Value {
    let now = now_secs();
    json!({ "aud": AUDIENCE, "scope": scope, "iat": now, "exp": now + HOUR_SECS })
}

fn without(mut value: Value, name: &str) -> Value {
    value.as_object_mut().unwrap().remove(name).unwrap();
    value
}

/// Tokens for everything but for one thing that is wrong with each.
fn forged(keys: &str) -> Vec<(&'static str, String)> {
    let secret = secret(keys);
    let sign = |header: Value, claims: Value| signed(&secret, &header, &claims);
    let all = || claims("admin");
    let good = sign(header(), all());
    let mut parts = good.split('.');
    let [first, second, third] = [(); 3].map(|()| parts.next().unwrap());
    let richer = BASE64.encode(claims("tenant:chat:admin admin").to_string());
    let other = if third.starts_with('A') { "B" } else { "A" };
    let hs512 = message(&with(header(), "alg", "HS512"), &all());
    let mac = Hmac::<Sha512>::new_from_slice(&secret).unwrap().chain_update(&hs512);
    let hs512 = format!("{hs512}.{}", BASE64.encode(mac.finalize().into_bytes()));
    let none = |name: &str| message(&with(header(), "alg", name), &all());
    let now = now_secs();
    vec![
        ("unknown", allotment_server::new_token().unwrap()),
        ("expired", sign(header(), with(all(), "exp", now - 60))),
        ("not yet valid", sign(header(), with(all(), "nbf", now + HOUR_SECS))),
        ("issued tomorrow", sign(header(), with(all(), "iat", now + 24 * HOUR_SECS))),
        ("wrong aud", sign(header(), with(all(), "aud", "search"))),
        ("wrong auds", sign(header(), with(all(), "aud", json!(["search", "allot2"])))),
        ("aud that is a number", sign(header(), with(all(), "aud", 1))),
        ("no aud", sign(header(), without(all(), "aud"))),
        ("no exp", sign(header(), without(all(), "exp"))),
        ("exp in words", sign(header(), with(all(), "exp", "never"))),
        ("exp of null", sign(header(), with(all(), "exp", Value::Null))),
        ("nbf in words", sign(header(), with(all(), "nbf", "now"))),
        ("scope that is a list", sign(header(), with(all(), "scope", json!(["admin"])))),
        ("too many scopes", sign(header(), claims(&"admin ".repeat(17)))),
        ("unknown kid", sign(with(header(), "kid", "second"), all())),
        ("no kid", sign(without(header(), "kid"), all())),
        ("kid that is a number", sign(with(header(), "kid", 1), all())),
        ("HS512 in the header", sign(with(header(), "alg", "HS512"), all())),
        ("HS512", hs512),
        ("RS256 in the header", sign(with(header(), "alg", "RS256"), all())),
        ("no alg", sign(without(header(), "alg"), all())),
        ("alg none", format!("{}.", none("none"))),
        ("alg None", format!("{}.", none("None"))),
        ("alg none, signed", sign(with(header(), "alg", "none"), all())),
        ("HS256, unsigned", format!("{first}.{second}.")),
        ("a key of its own", signed(b"k", &with(header(), "jwk", json!({"k": "aw"})), &all())),
        ("an empty key", signed(b"", &header(), &all())),
        ("crit", sign(with(header(), "crit", json!(["x"])), all())),
        ("tampered payload", format!("{first}.{richer}.{third}")),
        ("tampered signature", format!("{first}.{second}.{other}{}", &third[1..])),
        ("half a signature", format!("{first}.{second}.{}", &third[..20])),
        ("two parts", format!("{first}.{second}")),
        ("four parts", format!("{good}.{third}")),
        ("oversized", sign(header(), with(all(), "pad", "x".repeat(4_096)))),
        ("claims that are none", signed(&secret, &header(), &json!("admin"))),
    ]
}

/// A server with a grant of chat's, a group, and a tenant that would wake.
struct Scene {
    server: Server,
    grant: String,
    epoch: u64,
}

impl Scene {
    fn new() -> Self {
        let server = Server::new(SETUP);
        let grant = granted(&server, &with(ask("chat", MIB), "lease_ms", HOUR_SECS * 1_000));
        server.post("/v1/groups", &json!({ "name": "team" })).is(201);
        let (grant, epoch) = (grant.id().to_string(), grant.number("epoch"));
        Self { server, grant, epoch }
    }

    /// A call that would do something if it were let in, about chat and its grant.
    fn call(&self, token: &str, route: &Route) -> Answer {
        let (path, body) = self.asked(route);
        self.server.call_as(token, route.method, &path, body.as_ref())
    }

    fn asked(&self, route: &Route) -> (String, Option<Value>) {
        let path = route.path.replace("{tenant}", "chat").replace("{group}", "team");
        let mut path = path.replace("{id}", &self.grant);
        let changes = json!({ "epoch": self.epoch, "bytes": 1 });
        let body = match (route.method, route.path) {
            ("GET", _) => None,
            ("DELETE", "/v1/grants/{id}") => {
                path = format!("{path}?epoch={}", self.epoch);
                None
            }
            ("DELETE", "/v1/tenants/{tenant}") => {
                path = format!("{path}?mode=force");
                None
            }
            ("DELETE", _) => None,
            (_, "/v1/tenants" | "/v1/groups") => Some(json!({ "name": "new" })),
            ("PATCH", _) => Some(json!({ "limit": "32MiB" })),
            (_, "/v1/requests" | "/v1/explain") => Some(ask("chat", 1)),
            (_, "/v1/grants/{id}/renew" | "/v1/grants/{id}/touch") => {
                Some(json!({ "epoch": self.epoch }))
            }
            (_, "/v1/grants/{id}/grow" | "/v1/grants/{id}/shrink") => Some(changes),
            _ => Some(json!({})),
        };
        (path, body)
    }

    /// What a call could have changed.
    fn standing(&self) -> Value {
        let snapshot = self.server.get("/v1/snapshot").is(200).body;
        let mut grants = self.server.get("/v1/grants").is(200).body;
        for grant in grants.as_array_mut().unwrap() {
            grant.as_object_mut().unwrap().remove("expires_in_ms");
        }
        let mut tenants = snapshot["tenants"].clone();
        for tenant in tenants.as_array_mut().unwrap() {
            // The balancer's figure, once a second.
            tenant.as_object_mut().unwrap().remove("fair_share_bytes");
        }
        json!([grants, tenants, snapshot["groups"], snapshot["pool"]["used_bytes"]])
    }
}

#[test]
fn every_route_of_the_router_is_in_the_table() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs");
    let source: String = std::fs::read_to_string(source).unwrap();
    let inside = source.split("let outside").next().unwrap();
    let mut served = Vec::new();
    for part in inside.split(".route(").skip(1) {
        let path = part.split('"').nth(1).unwrap();
        for method in ["get", "post", "put", "patch", "delete", "any", "head"] {
            if part.contains(&format!("{method}(")) {
                served.push((method.to_uppercase(), path.to_string()));
            }
        }
    }
    let mut listed: Vec<_> =
        ROUTES.iter().map(|route| (route.method.to_string(), route.path.to_string())).collect();
    served.sort();
    listed.sort();
    assert_eq!(served, listed, "the routes of lib.rs are not those of reach.rs");
}

#[test]
fn no_wrong_token_opens_any_route_or_changes_anything() {
    let scene = Scene::new();
    let before = scene.standing();
    let forged = forged(&scene.server.keys);
    // What they are made of is good.
    let good = signed(&secret(&scene.server.keys), &header(), &claims("admin"));
    scene.server.call_as(&good, "GET", "/v1/usage", None).is(200);
    for route in &ROUTES {
        for (name, token) in &forged {
            let answer = scene.call(token, route);
            assert_eq!(answer.status, 401, "{name}: {} {}", route.method, route.path);
            answer.refuses(401, "no-token");
        }
        let (path, body) = scene.asked(route);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        scene.server.raw(&head(route.method, &path, "", &body), &body).refuses(401, "no-token");
    }
    assert_eq!(scene.standing(), before);
}

#[test]
fn a_token_of_another_tenant_reaches_nothing_of_this_one() {
    let scene = Scene::new();
    let before = scene.standing();
    let token = scene.server.issue("tenant:batch:admin");
    for route in &ROUTES {
        let answer = scene.call(&token, route);
        match (route.over, route.path) {
            (Over::All, _) => drop(answer.refuses(403, "scope")),
            // What it hears is tested with the stream.
            (_, "/v1/events") => drop(answer.is(200)),
            (_, "/v1/grants") => assert_eq!(answer.is(200).body, json!([])),
            (_, "/v1/tenants") => {
                let list = answer.is(200).body;
                assert_eq!(
                    (list.as_array().unwrap().len(), &list[0]["name"]),
                    (1, &json!("batch"))
                );
            }
            _ => drop(answer.refuses(404, "not-found")),
        }
    }
    assert_eq!(scene.standing(), before);
}

#[test]
fn a_token_without_the_right_is_refused_whatever_it_asks_for() {
    let scene = Scene::new();
    let before = scene.standing();
    let secret = secret(&scene.server.keys);
    let of_nothing = ["", "tenant:chat:write", "tenant::admin", "ADMIN", "tenant:chat:admin,admin"];
    let of_nothing = of_nothing.map(|scope| signed(&secret, &header(), &claims(scope)));
    let without_scope = signed(&secret, &header(), &without(claims("admin"), "scope"));
    let [reads, requests, administers] =
        ["tenant:chat:read", "tenant:chat:request", "tenant:chat:admin"]
            .map(|scope| scene.server.issue(scope));
    let [reads_all, requests_all] = ["read", "request"].map(|scope| scene.server.issue(scope));
    for route in &ROUTES {
        let mut weak: Vec<&String> = of_nothing.iter().chain([&without_scope]).collect();
        match route.over {
            Over::All => weak.extend([&reads, &requests, &administers]),
            Over::Tenant => {}
        }
        if route.right > Right::Read {
            weak.extend([&reads, &reads_all]);
        }
        if route.right > Right::Request {
            weak.extend([&requests, &requests_all]);
        }
        for token in weak {
            scene.call(token, route).refuses(403, "scope");
        }
    }
    assert_eq!(scene.standing(), before);
}

/// The answer to a configuration that was read and is none.
const UNSOUND: &str = "urn:allotment:problem:unsound";

#[test]
fn a_token_with_the_right_opens_its_routes() {
    for route in &ROUTES {
        let right = route.right.name();
        let of_tenant = ["tenant:chat:", "tenant:ID:"].map(|tenant| format!("{tenant}{right}"));
        let mut scopes = vec![right.to_string(), "admin".to_string()];
        if route.over == Over::Tenant {
            scopes.extend(of_tenant);
        }
        for scope in scopes {
            let scene = Scene::new();
            let scope = scope.replace("ID", &chat_id(&scene.server));
            let answer = scene.call(&scene.server.issue(&scope), route);
            // What a configuration is put with is no JSON, as all other bodies are.
            let read = route.path == "/v1/config" && answer["type"] == UNSOUND;
            let no_log = answer["type"] == "urn:allotment:problem:no-audit";
            let opened = read || no_log || (200..300).contains(&answer.status);
            assert!(opened, "{scope}: {route:?}\n{}", answer.text);
        }
    }
}

fn chat_id(server: &Server) -> String {
    server.get("/v1/tenants/chat").is(200).id().to_string()
}

#[test]
fn what_is_anothers_and_what_is_not_there_answer_alike() {
    let scene = Scene::new();
    let token = scene.server.issue("tenant:batch:admin");
    let alike = |method: &str, paths: [String; 2], bodies: [Option<Value>; 2]| {
        let [foreign, unknown] = [0, 1].map(|n| {
            let answer = scene.server.call_as(&token, method, &paths[n], bodies[n].as_ref());
            let head = answer.head.lines().filter(|line| !line.starts_with("date: "));
            (answer.status, head.map(str::to_string).collect::<Vec<_>>(), answer.text)
        });
        assert_eq!(foreign, unknown, "{method} {paths:?}");
        assert_eq!(foreign.0, 404);
    };
    let chat_id = chat_id(&scene.server);
    for route in ROUTES.iter().filter(|route| route.over == Over::Tenant) {
        let (path, body) = scene.asked(route);
        let both = [body.clone(), body.clone()];
        if route.path.contains("{id}") {
            let unknown = path.replace(&scene.grant, "0123456789abcdef");
            alike(route.method, [path, unknown], both);
        } else if route.path.contains("{tenant}") {
            alike(route.method, [path.clone(), path.replace("chat", "nobody")], both.clone());
            let of_id = path.replace("chat", &chat_id);
            alike(route.method, [of_id, path.replace("chat", &"0".repeat(32))], both);
        } else if let Some(body) = body.filter(|body| body["tenant"] == "chat") {
            let other = with(body.clone(), "tenant", "nobody");
            alike(route.method, [path.clone(), path], [Some(body), Some(other)]);
        }
    }
    let lists = ["chat", "nobody"].map(|name| format!("/v1/grants?tenant={name}"));
    alike("GET", lists, [None, None]);
    // An ended lease of another's too.
    let (grant, epoch) = (&scene.grant, scene.epoch);
    scene.server.delete(&format!("/v1/grants/{grant}?epoch={epoch}")).is(204);
    let ended = ["0123456789abcdef", grant].map(|id| format!("/v1/grants/{id}"));
    alike("GET", ended, [None, None]);
}

#[test]
fn a_tenant_sees_no_names_of_others() {
    let scene = Scene::new();
    let server = &scene.server;
    let cache = with(with(ask("batch", 60 * MIB), "type", "cache"), "model", "others-model");
    granted(server, &cache);
    let token = server.issue("tenant:chat:request");
    let call =
        |path: &str, bytes: u64| server.call_as(&token, "POST", path, Some(&ask("chat", bytes)));
    let mine = call("/v1/explain", 40 * MIB).is(200);
    let all = server.post("/v1/explain", &ask("chat", 40 * MIB)).is(200);
    assert!(all.text.contains("batch") && all.text.contains("others-model"), "{}", all.text);
    for name in ["batch", "others-model"] {
        assert!(!mine.text.contains(name), "{}", mine.text);
    }
    assert_eq!(mine["short_bytes"], all["short_bytes"]);
}

#[test]
fn a_denial_names_no_others() {
    let server = Server::new(SETUP);
    granted(&server, &with(ask("batch", 40 * MIB), "type", "model_load"));
    let token = server.issue("tenant:chat:request");
    let asked = ask("chat", 32 * MIB);
    let all = server.post("/v1/requests", &asked).refuses(503, "denied");
    assert!(all.text.contains("batch"), "{}", all.text);
    let mine = server.call_as(&token, "POST", "/v1/requests", Some(&asked)).refuses(503, "denied");
    assert!(!mine.text.contains("batch"), "{}", mine.text);
    assert_eq!(mine["denial"]["short_bytes"], all["denial"]["short_bytes"]);
    // Neither does one to grow.
    let path = "/v1/requests";
    let grant = server.call_as(&token, "POST", path, Some(&ask("chat", MIB))).is(201);
    let more = json!({ "epoch": grant["epoch"], "bytes": 32 * MIB });
    let path = format!("/v1/grants/{}/grow", grant.id());
    let grown = server.call_as(&token, "POST", &path, Some(&more)).refuses(503, "denied");
    assert!(!grown.text.contains("batch"), "{}", grown.text);
    assert!(server.post(&path, &more).refuses(503, "denied").text.contains("batch"));
}

#[test]
fn several_scopes_add_up_and_do_not_mix() {
    let scene = Scene::new();
    let server = &scene.server;
    let token = server.issue("tenant:chat:read tenant:batch:request");
    let list = server.call_as(&token, "GET", "/v1/tenants", None).is(200).body;
    assert_eq!(list.as_array().unwrap().len(), 2);
    let request = |tenant| server.call_as(&token, "POST", "/v1/requests", Some(&ask(tenant, 1)));
    request("batch").is(201);
    request("chat").refuses(404, "not-found");
    let path = format!("/v1/grants/{}", scene.grant);
    server.call_as(&token, "GET", &path, None).is(200);
    let take = format!("{path}/takeover");
    server.call_as(&token, "POST", &take, Some(&json!({}))).refuses(404, "not-found");
}

#[test]
fn a_tenants_administrator_does_not_rename_it() {
    let server = Server::new(SETUP);
    let token = server.issue("tenant:chat:admin");
    let patch = |body| server.call_as(&token, "PATCH", "/v1/tenants/chat", Some(&body));
    for name in ["batch", "free"] {
        patch(json!({ "name": name })).refuses(403, "scope");
    }
    assert_eq!(patch(json!({ "limit": "1MiB" })).is(200).number("limit_bytes"), MIB);
}

#[test]
fn head_needs_what_get_needs() {
    let server = Server::new(SETUP);
    let [tenant, all] = ["tenant:chat:read", "read"].map(|scope| server.issue(scope));
    let status = |token: &str, path: &str| server.call_as(token, "HEAD", path, None).status;
    assert_eq!((status(&tenant, "/v1/usage"), status(&all, "/v1/usage")), (403, 200));
    assert_eq!(status(&tenant, "/v1/tenants/batch"), 404);
    assert_eq!(status(&tenant, "/v1/tenants/chat"), 200);
    // What no route answers is for nobody who may not do everything.
    server.call_as(&tenant, "PUT", "/v1/tenants/chat", None).refuses(403, "scope");
    server.call_as(&tenant, "GET", "/v1/nothing", None).refuses(404, "no-route");
}

#[test]
fn keys_change_while_it_runs() {
    let server = Server::new(SETUP);
    let old = server.issue("read");
    let look = |token: &str| server.call_as(token, "GET", "/v1/usage", None);
    look(&old).is(200);
    let both = add_key(Some(&server.keys), "second").unwrap();
    let read = |text: &str| Keys::read(text, AUDIENCE).unwrap();
    let scopes = vec![Scope { tenant: None, right: Right::Read }];
    let issue = Issue { scopes, lasts: Duration::from_secs(60), subject: Some("x".into()) };
    let new = read(&both).issue(&issue).unwrap();
    look(&new).refuses(401, "no-token");
    server.state.door.set_keys(Some(read(&both)));
    look(&old).is(200);
    look(&new).is(200);
    let mut second: Value = serde_json::from_str(&both).unwrap();
    second["keys"].as_array_mut().unwrap().pop();
    server.state.door.set_keys(Some(read(&second.to_string())));
    look(&old).refuses(401, "no-token");
    look(&new).is(200);
    server.state.door.set_keys(None);
    look(&new).refuses(401, "no-token");
    server.get("/v1/usage").is(200);
}

#[test]
fn clocks_may_differ_a_little() {
    let server = Server::new(SETUP);
    let secret = secret(&server.keys);
    let now = now_secs();
    let look = |claims: Value| {
        let token = signed(&secret, &header(), &claims);
        server.call_as(&token, "GET", "/v1/usage", None)
    };
    look(with(claims("read"), "exp", now - 5)).is(200);
    look(with(claims("read"), "nbf", now + 5)).is(200);
    look(with(claims("read"), "iat", now + 5)).is(200);
    look(with(claims("read"), "aud", json!(["search", AUDIENCE]))).is(200);
    let late = look(with(claims("read"), "exp", now - 120)).refuses(401, "no-token");
    assert!(late["detail"].as_str().unwrap().contains("expired"));
}

#[test]
fn who_calls_too_often_is_told_when_to_come_again() {
    let pace = Pace { calls_per_second: 1, burst: 3 };
    let server = Server::paced(SETUP, Bounds::default(), LeaseBounds::default(), pace);
    let look = |token: &str, tenant: &str| {
        server.call_as(token, "GET", &format!("/v1/tenants/{tenant}"), None)
    };
    let [chat, again, batch] =
        ["chat:read", "chat:admin", "batch:read"].map(|of| server.issue(&format!("tenant:{of}")));
    for _ in 0..3 {
        look(&chat, "chat").is(200);
    }
    // Another token of the same tenant is in no better place, for nothing that it asks for.
    let refused = look(&again, "batch").refuses(429, "too-many");
    assert_eq!(refused.header("retry-after"), Some("1"));
    look(&batch, "batch").is(200);
    for _ in 0..10 {
        server.get("/v1/usage").is(200);
    }
    soon("a second is over", || look(&chat, "chat").status == 200);
}

/// A server for all cases of a property.
fn with_server(cases: u32, property: impl Fn(&Server, &[u8], usize)) {
    let server = Server::new(SETUP);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let input = (prop::collection::vec(any::<u8>(), 0..600), any::<usize>());
    let ran = runner.run(&input, |(bytes, number)| {
        property(&server, &bytes, number);
        Ok(())
    });
    ran.unwrap();
    expect_nothing_held(&server);
}

/// A request with any bytes as the token.
fn shown(server: &Server, token: &[u8]) -> u16 {
    use std::io::Write;
    let head = head("GET", "/v1/usage", "", "");
    let mut stream = server.send(&head[..head.len() - 2], "");
    let sent = [b"Authorization: Bearer ", token, b"\r\n\r\n"].concat();
    // Who refuses the head may have closed already.
    let _ = stream.write_all(&sent);
    client::read_answer(&mut stream).status
}

#[test]
fn no_bytes_are_a_token() {
    with_server(100, |server, bytes, _| {
        // What ends a header would only end it.
        let bytes: Vec<u8> =
            bytes.iter().copied().filter(|byte| ![b'\r', b'\n'].contains(byte)).collect();
        let status = shown(server, &bytes);
        assert!([400, 401].contains(&status), "{status}: {bytes:?}");
        let text = BASE64.encode(&bytes);
        let parts = [&text[..text.len() / 3], &text[text.len() / 3..text.len() / 2], &text];
        assert_eq!(shown(server, parts.join(".").as_bytes()), 401);
        let header = BASE64.encode(header().to_string());
        assert_eq!(shown(server, format!("{header}.{text}.{text}").as_bytes()), 401);
    });
}

#[test]
fn no_token_survives_a_change() {
    with_server(100, |server, bytes, number| {
        let token = server.issue("admin");
        assert_eq!(shown(server, token.as_bytes()), 200);
        let mut changed = token.clone().into_bytes();
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";
        let at = number % changed.len();
        let other = alphabet[bytes.len() % alphabet.len()];
        if changed[at] == other {
            changed.remove(at);
        } else {
            changed[at] = other;
        }
        assert_eq!(shown(server, &changed), 401, "{}", String::from_utf8_lossy(&changed));
    });
}
