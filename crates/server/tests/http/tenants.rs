//! Tenants and groups: registered, changed, removed.

use super::*;

#[test]
fn a_tenant_comes_changes_and_goes() {
    let server = Server::new(SETUP);
    let wish = json!({ "name": "images", "guarantee": "4MiB", "limit": "16MiB",
        "priority": "high", "isolation": "hard" });
    let made = server.post("/v1/tenants", &wish).is(201);
    let path = format!("/v1/tenants/{}", made.id());
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert_eq!(made.number("guarantee_bytes"), 4 * MIB);
    assert_eq!((&made["priority"], &made["isolation"]), (&json!("high"), &json!("hard")));
    let grant = granted(&server, &ask("images", 16 * MIB));
    let lower = json!({ "limit": 4_194_304, "name": "pictures" });
    let changed = server.patch("/v1/tenants/images", &lower).is(200);
    assert_eq!((changed.number("limit_bytes"), changed.number("used_bytes")), (4 * MIB, 16 * MIB));
    assert_eq!(changed.number("guarantee_bytes"), 4 * MIB);
    server.get("/v1/tenants/images").refuses(404, "not-found");
    let unlimited = server.patch("/v1/tenants/pictures", &json!({ "limit": null })).is(200);
    assert_eq!(unlimited["limit_bytes"], Value::Null);
    server.delete(&path).refuses(409, "holds-memory");
    server.delete(&format!("{path}?mode=force")).is(204);
    server.get(&path).refuses(404, "not-found");
    let epoch = grant.number("epoch");
    let late = server.delete(&format!("/v1/grants/{}?epoch={epoch}", grant.id()));
    assert_eq!(late.refuses(410, "ended")["how"], "revoked");
    expect_nothing_held(&server);
}

#[test]
fn names_are_taken_once() {
    let server = Server::new(SETUP);
    server.post("/v1/tenants", &json!({ "name": "chat" })).refuses(409, "duplicate");
    server.patch("/v1/tenants/batch", &json!({ "name": "chat" })).refuses(409, "duplicate");
    server.patch("/v1/tenants/batch", &json!({ "name": "batch" })).is(200);
    let odd = json!({ "name": "deadbeefdeadbeefdeadbeefdeadbeef" });
    server.post("/v1/tenants", &odd).is(201);
    server.post("/v1/tenants", &odd).refuses(409, "duplicate");
    server.get("/v1/tenants/deadbeefdeadbeefdeadbeefdeadbeef").is(200);
    server.post("/v1/groups", &json!({ "name": "team" })).is(201);
    server.post("/v1/groups", &json!({ "name": "team" })).refuses(409, "duplicate");
}

#[test]
fn a_group_bounds_its_tenants() {
    let server = Server::new(SETUP);
    let team = json!({ "name": "team", "limit": "8MiB", "guarantee": "4MiB" });
    let made = server.post("/v1/groups", &team).is(201);
    assert_eq!(made.header("location"), Some("/v1/groups/team"));
    server.post("/v1/tenants", &json!({ "name": "a", "group": "team" })).is(201);
    let refused = server.post("/v1/requests", &ask("a", 9 * MIB)).refuses(507, "denied");
    assert_eq!(refused["denial"]["account"], "group");
    let raised = server.patch("/v1/groups/team", &json!({ "limit": "16MiB" })).is(200);
    assert_eq!((raised.number("limit_bytes"), raised.number("children")), (16 * MIB, 1));
    let grant = granted(&server, &ask("a", 9 * MIB));
    assert!(server.get("/v1/groups").is(200).body[0]["used_bytes"].as_u64().unwrap() >= 9 * MIB);
    server.delete("/v1/groups/team").refuses(409, "has-children");
    let epoch = grant.number("epoch");
    server.delete(&format!("/v1/grants/{}?epoch={epoch}", grant.id())).is(204);
    server.delete("/v1/tenants/a").is(204);
    server.delete("/v1/groups/team").is(204);
    server.get("/v1/groups/team").refuses(404, "not-found");
}

#[test]
fn a_group_that_is_removed_by_force_takes_all_below_it_with_it() {
    let server = Server::new(SETUP);
    for (group, parent) in [("team", None), ("inner", Some("team")), ("beside", None)] {
        server.post("/v1/groups", &json!({ "name": group, "parent": parent })).is(201);
        let tenant = json!({ "name": format!("of-{group}"), "group": group });
        server.post("/v1/tenants", &tenant).is(201);
    }
    let grant = granted(&server, &ask("of-inner", MIB));
    granted(&server, &ask("of-team", MIB));
    let kept = granted(&server, &ask("of-beside", MIB));
    server.delete("/v1/groups/team?mode=gently").refuses(400, "invalid");
    server.delete("/v1/groups/team?mode=idle").refuses(409, "has-children");
    server.delete("/v1/groups/team?mode=force").is(204);
    for path in ["groups/team", "groups/inner", "tenants/of-team", "tenants/of-inner"] {
        server.get(&format!("/v1/{path}")).refuses(404, "not-found");
    }
    server.get(&format!("/v1/grants/{}", grant.id())).refuses(410, "ended");
    server.get(&format!("/v1/grants/{}", kept.id())).is(200);
    let usage = server.get("/v1/usage").is(200);
    assert_eq!((usage.number("used_bytes"), usage.number("leases")), (MIB, 1));
    server.delete("/v1/groups/team?mode=force").refuses(404, "not-found");
    server.delete("/v1/groups/beside?mode=force").is(204);
    expect_nothing_held(&server);
}

#[test]
fn guarantees_beyond_what_there_is_are_refused() {
    let server = Server::new(SETUP);
    let wish = json!({ "name": "greedy", "guarantee": "65MiB" });
    server.post("/v1/tenants", &wish).refuses(409, "guarantees-exceed");
    let wish = json!({ "name": "odd", "guarantee": "8MiB", "limit": "4MiB" });
    server.post("/v1/tenants", &wish).refuses(400, "invalid");
    assert_eq!(server.get("/v1/tenants").is(200).body.as_array().unwrap().len(), 3);
}

#[test]
fn a_frozen_tenant_gets_nothing_and_keeps_what_it_has() {
    let server = Server::new(SETUP);
    granted(&server, &ask("chat", MIB));
    let frozen = server.post("/v1/tenants/chat/freeze", &json!({})).is(200);
    assert_eq!((&frozen["hold"], frozen.number("used_bytes")), (&json!("frozen"), MIB));
    server.post("/v1/requests", &ask("chat", 1)).refuses(503, "not-now");
    assert_eq!(server.post("/v1/tenants/chat/thaw", &json!({})).is(200)["hold"], "none");
    granted(&server, &ask("chat", 1));
}

#[test]
fn a_snapshot_has_the_pool_the_groups_and_the_tenants() {
    let server = Server::new(SETUP);
    granted(&server, &ask("chat", MIB));
    let snapshot = server.get("/v1/snapshot").is(200);
    assert_eq!(snapshot["pool"]["capacity_bytes"], 64 * MIB);
    assert_eq!(snapshot["pool"]["used_bytes"], MIB);
    let tenants = snapshot["tenants"].as_array().unwrap();
    let used = |name: &str| {
        tenants.iter().find(|tenant| tenant["name"] == name).unwrap()["used_bytes"].clone()
    };
    assert_eq!((used("chat"), used("batch")), (json!(MIB), json!(0)));
    assert_eq!(snapshot["groups"], json!([]));
    let balanced = server.post("/v1/balance", &json!({})).is(200);
    assert_eq!((&balanced["pressure"], balanced.number("freed_bytes")), (&json!("normal"), 0));
}

#[test]
fn of_many_who_register_one_name_one_does() {
    let server = Server::new(SETUP);
    for round in 0..5 {
        let wish = json!({ "name": format!("t{round}") });
        let made = std::thread::scope(|scope| {
            let all = [(); 6].map(|()| scope.spawn(|| server.post("/v1/tenants", &wish).status));
            all.map(|one| one.join().unwrap()).iter().filter(|status| **status == 201).count()
        });
        assert_eq!(made, 1);
    }
}
