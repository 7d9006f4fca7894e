//! Who may come in: every route without a token, with a wrong one, and under a foreign name.

use super::*;
use allotment_server::Over;
use client::head;

#[test]
fn without_the_token_there_is_nothing_to_see() {
    let server = Server::new(SETUP);
    let longer = format!("Bearer {}0", server.token);
    let shorter = format!("Bearer {}", &server.token[..server.token.len() - 1]);
    let basic = format!("Basic {}", server.token);
    let wrong = ["", "Bearer", "Bearer ", &longer, &shorter, &basic];
    for (Route { method, .. }, path) in routes() {
        for value in wrong {
            let header = match value {
                "" => String::new(),
                value => format!("Authorization: {value}\r\n"),
            };
            let answer = server.raw(&head(method, &path, &header, "{}"), "{}");
            let answer = answer.refuses(401, "no-token");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{method} {path}");
            assert_eq!(answer.header("connection"), Some("close"), "{method} {path}");
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
    for (Route { method, .. }, path) in routes() {
        let foreign = head(method, &path, &token, "{}").replace("localhost", "evil.example");
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
    for Route { method, path, .. } in ROUTES {
        // `GET`, `PATCH /path?query=`
        let ends = [format!("{path}`"), format!("{path}?")];
        let mut rows = page.lines().filter(|line| line.starts_with('|'));
        let has = |row: &str| ends.iter().any(|end| row.contains(end)) && row.contains(method);
        assert!(rows.any(has), "{method} {path} is not in docs/SERVER.md");
    }
}

#[test]
fn the_scope_of_every_route_is_documented() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/SERVER.md");
    let page = std::fs::read_to_string(page).unwrap();
    for Route { method, path, right, over } in ROUTES {
        let scope = match over {
            Over::Tenant => format!("| `tenant:T:{}` |", right.name()),
            Over::All => format!("| `{}` |", right.name()),
        };
        let row = page.lines().find(|line| line.starts_with(&scope));
        let row = row.unwrap_or_else(|| panic!("{scope} is not in docs/SERVER.md"));
        let named = format!("`{method} {path}`");
        assert!(row.contains(&named), "{named} is not beside {scope} in docs/SERVER.md");
    }
}

#[test]
fn what_is_said_to_show_something_is_there() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).unwrap_or_default();
    let page = read("docs/SERVER.md");
    let rows = page.split("## What shows it").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut named = 0;
    for row in rows.lines().filter(|line| line.starts_with('|')).skip(2) {
        let shown_by = row.trim_end_matches(" |").rsplit_once(" | ").unwrap().1;
        let mut text = String::new();
        for word in shown_by.split('`').skip(1).step_by(2) {
            let file = word.split(' ').next().unwrap();
            if file.contains('/') {
                let path = match file.split_once('/').unwrap() {
                    ("http", name) => format!("crates/server/tests/http/{name}"),
                    ("cli", name) => format!("crates/cli/tests/{name}"),
                    _ => file.to_string(),
                };
                text = read(&path);
                assert!(!text.is_empty(), "there is no {path}");
            } else {
                assert!(text.contains(&format!("fn {word}()")), "{word} is not there: {row}");
                named += 1;
            }
        }
    }
    assert!(named > 15, "{named}");
}
