//! The document that the server gives of itself.

use super::*;

#[test]
fn it_names_every_route_with_what_it_needs() {
    let server = Server::new(SETUP);
    let document = server.document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    for route in ROUTES {
        let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
        assert!(operation.is_object(), "{} {}", route.method, route.path);
        assert_eq!(operation["security"][0]["bearer"][0], route.right.name());
        let parameters = operation["parameters"].as_array().unwrap();
        let of_path = parameters.iter().filter(|parameter| parameter["in"] == "path");
        assert_eq!(of_path.count(), route.path.matches('{').count(), "{}", route.path);
        // Each status by itself: with a `default` any answer would be as it is told.
        let responses = operation["responses"].as_object().unwrap();
        for status in ["400", "401", "403", "408", "413", "429"] {
            assert!(responses.contains_key(status), "{} {}: {status}", route.method, route.path);
        }
        assert!(!responses.contains_key("default"), "{} {}", route.method, route.path);
    }
    let itself = &document["paths"]["/v1/openapi.json"]["get"]["responses"]["200"];
    assert_eq!(itself["content"]["application/json"]["schema"]["type"], "object");
}

#[test]
fn every_kind_of_problem_is_in_it_and_on_the_page() {
    let server = Server::new(SETUP);
    let kinds = &server.document()["components"]["schemas"]["Problem"]["properties"]["type"];
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/SERVER.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.split("## Negative answers").nth(1).unwrap();
    let kinds = kinds["enum"].as_array().unwrap();
    assert!(kinds.len() > 20, "{kinds:?}");
    for kind in kinds {
        let name = kind.as_str().unwrap().strip_prefix("urn:allotment:problem:").unwrap();
        assert!(rows.contains(&format!("`{name}`")), "{name} is not in docs/SERVER.md");
    }
}

#[test]
fn what_is_told_of_events_is_what_they_are() {
    let server = Server::new(SETUP);
    let mut stream = stream::listen(&server, "/v1/events");
    server.post("/v1/tenants", &json!({ "name": "new" })).is(201);
    granted(&server, &ask("chat", 47 * MIB));
    server.post("/v1/requests", &ask("chat", 2 * MIB)).refuses(503, "denied");
    for kind in ["registered", "granted", "denied", "alert"] {
        let data = stream.next_of(kind).data;
        let name = if kind == "alert" { "AlertBody" } else { "EventBody" };
        schema::expect(server.document(), name, &data);
    }
}

#[test]
fn a_shape_that_is_not_the_one_that_is_told_is_noticed() {
    let server = Server::new(SETUP);
    let document = server.document();
    let usage = server.get("/v1/usage").is(200).body;
    let is_told = |value: &Value| schema::is_told(document, "PoolBody", value);
    assert!(is_told(&usage));
    for (name, value) in [
        ("used_bytes", json!("7")),
        ("used_bytes", Value::Null),
        ("pressure", json!(1)),
        ("unknown", json!(1)),
    ] {
        assert!(!is_told(&with(usage.clone(), name, value)), "{name}");
    }
    let mut less = usage.clone();
    less.as_object_mut().unwrap().remove("leases");
    assert!(!is_told(&less));
}
