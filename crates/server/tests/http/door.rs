//! Who may come in: every route without a token, with a wrong one, and under a foreign name.

use super::*;
use client::head;

/// Every route, with a method that it has.
const ROUTES: [(&str, &str); 27] = [
    ("GET", "/metrics"),
    ("GET", "/v1/tenants"),
    ("POST", "/v1/tenants"),
    ("GET", "/v1/tenants/chat"),
    ("PATCH", "/v1/tenants/chat"),
    ("DELETE", "/v1/tenants/chat"),
    ("POST", "/v1/tenants/chat/freeze"),
    ("POST", "/v1/tenants/chat/thaw"),
    ("POST", "/v1/tenants/chat/drain"),
    ("GET", "/v1/groups"),
    ("POST", "/v1/groups"),
    ("GET", "/v1/groups/team"),
    ("PATCH", "/v1/groups/team"),
    ("DELETE", "/v1/groups/team"),
    ("POST", "/v1/requests"),
    ("GET", "/v1/grants"),
    ("GET", "/v1/grants/1"),
    ("DELETE", "/v1/grants/1?epoch=1"),
    ("POST", "/v1/grants/1/renew"),
    ("POST", "/v1/grants/1/takeover"),
    ("POST", "/v1/grants/1/grow"),
    ("POST", "/v1/grants/1/shrink"),
    ("POST", "/v1/grants/1/touch"),
    ("POST", "/v1/explain"),
    ("POST", "/v1/balance"),
    ("GET", "/v1/usage"),
    ("GET", "/v1/snapshot"),
];

#[test]
fn without_the_token_there_is_nothing_to_see() {
    let server = Server::new(SETUP);
    let longer = format!("Bearer {}0", server.token);
    let shorter = format!("Bearer {}", &server.token[..server.token.len() - 1]);
    let basic = format!("Basic {}", server.token);
    let wrong = ["", "Bearer", "Bearer ", &longer, &shorter, &basic];
    for (method, path) in ROUTES {
        for value in wrong {
            let header = match value {
                "" => String::new(),
                value => format!("Authorization: {value}\r\n"),
            };
            let answer = server.raw(&head(method, path, &header, "{}"), "{}");
            let answer = answer.refuses(401, "no-token");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{method} {path}");
        }
    }
    server.raw(&head("GET", "/v1/nothing", "", ""), "").refuses(401, "no-token");
    expect_nothing_held(&server);
    assert_eq!(server.get("/v1/tenants/chat").is(200)["hold"], "none");
}

#[test]
fn under_a_foreign_name_nobody_is_at_home() {
    let server = Server::new(SETUP);
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    for (method, path) in ROUTES {
        let foreign = head(method, path, &token, "{}").replace("localhost", "evil.example");
        server.raw(&foreign, "{}").refuses(403, "wrong-host");
    }
    let named = head("GET", "/v1/usage", &token, "").replace("localhost", "allot.test:80");
    server.raw(&named, "").is(200);
}

#[test]
fn whether_it_lives_is_no_secret() {
    let server = Server::new(SETUP);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(server.raw(&head("GET", path, "", ""), "").is(200).text, "ok\n");
    }
}

#[test]
fn every_route_is_documented() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/SERVER.md");
    let page = std::fs::read_to_string(page).unwrap();
    for (method, path) in ROUTES {
        let general = path.replace("/chat", "/{tenant}").replace("/team", "/{group}");
        let general = general.replace("/1", "/{id}").replace("{id}?epoch=1", "{id}?epoch=");
        let row = page.lines().find(|line| line.starts_with('|') && line.contains(&general));
        let row = row.unwrap_or_else(|| panic!("{general} is not in docs/SERVER.md"));
        assert!(row.contains(method), "{method} of {general} is not in docs/SERVER.md");
    }
}
