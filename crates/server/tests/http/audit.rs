//! The audit log over HTTP: pages, checkpoints, how far it is, and what another server had.

use super::*;
use allotment::AuditMode;
use allotment::audit::{Key, verify};
use std::path::PathBuf;

/// A folder of one test, and a key.
struct Place {
    folder: PathBuf,
    key: Key,
}

impl Place {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("http-audit-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        Self { folder, key: Key::from_bytes(&[5; 32]) }
    }

    fn server(&self, mode: AuditMode) -> Server {
        Server::audited(SETUP, &self.folder, &self.key, mode)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn kinds(page: &Answer) -> Vec<&str> {
    let records = page["records"].as_array().unwrap();
    records.iter().map(|record| record["kind"].as_str().unwrap()).collect()
}

#[test]
fn what_a_request_configures_is_written_down_the_servers_own_included() {
    let place = Place::new("configured");
    let mut server = place.server(AuditMode::FailClosed);
    super::config::put(&server, &format!("{SETUP}# the same\n")).is(200);
    let limit = "pressure = { pool = false }\ncache = { limit = \"16MiB\" }";
    let text = SETUP.replace("pressure = { pool = false }", limit);
    super::config::put(&server, &text.replace("48MiB", "40MiB")).is(200);
    super::config::put(&server, "capacity = 0").refuses(400, "unsound");
    let noted = || {
        let page = server.get("/v1/audit?kind=configured").is(200);
        let records = page["records"].as_array().unwrap().iter();
        let texts = records.filter_map(|record| record["text"].as_str());
        texts.filter(|text| text.starts_with("noted")).map(str::to_string).collect::<Vec<_>>()
    };
    soon("it is noted", || !noted().is_empty());
    server.post("/v1/audit/checkpoint", &json!({})).is(200);
    let expected = "noted\nconfigured by a request\ntenants.chat.limit: 48MiB -> 40MiB\n\
                    cache.limit: none -> 16MiB";
    let mut lines = noted().concat().lines().map(str::to_string).collect::<Vec<_>>();
    lines.sort();
    let mut wanted = expected.lines().map(str::to_string).collect::<Vec<_>>();
    wanted.sort();
    assert_eq!(lines, wanted, "once, and nothing of what changed nothing or was refused");
    server.end();
    server.state.close_audit().unwrap();
    let verdict = verify(&place.folder, &place.key, None).unwrap();
    assert!(verdict.is_intact() && verdict.sealed, "{verdict:?}");
}

#[test]
fn what_happened_is_on_the_pages_and_proved_by_the_key() {
    let place = Place::new("pages");
    let mut server = place.server(AuditMode::FailClosed);
    let held = granted(&server, &with(ask("chat", 2 * MIB), "type", "cache"));
    server.post("/v1/requests", &ask("chat", 100 * MIB)).is(507);
    let path = format!("/v1/grants/{}?epoch={}", held.id(), held.number("epoch"));
    server.delete(&path).is(204);
    let head = server.post("/v1/audit/checkpoint", &json!({})).is(200);
    let status = server.get("/v1/audit/status").is(200);
    assert_eq!((&status["mode"], &status["error"]), (&json!("fail-closed"), &Value::Null));
    assert_eq!((&status["head"], status.number("events_lost")), (&head["head"], 0));

    let page = server.get("/v1/audit").is(200);
    assert_eq!(page["end"], true);
    let expected = ["opened", "registered", "registered", "registered"];
    assert_eq!(kinds(&page), [&expected[..], &["granted", "denied", "released"]].concat());
    let records = page["records"].as_array().unwrap();
    let first = &records[4];
    assert_eq!([&first["grant"], &first["tenant"]], [&held["id"], &held["tenant"]]);
    assert_eq!((&first["name"], &first["bytes"]), (&json!("chat"), &json!(2 * MIB)));
    assert_eq!(records[5]["reason"], "tenant_limit");
    let now_ms = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    for record in records {
        let time_ms = record["time_ms"].as_u64().unwrap();
        assert!((now_ms - 60_000..=now_ms).contains(&time_ms), "{record}");
    }
    server.end();
    server.state.close_audit().unwrap();
    let verdict =
        verify(&place.folder, &place.key, head["head"].as_str().unwrap().parse().ok().as_ref());
    let verdict = verdict.unwrap();
    assert!(verdict.is_intact() && verdict.sealed, "{verdict:?}");
}

#[test]
fn pages_follow_each_other_and_choose() {
    let place = Place::new("choose");
    let server = place.server(AuditMode::DropAndCount);
    for bytes in 1..=5 {
        granted(&server, &ask(["chat", "batch"][bytes as usize % 2], bytes));
    }
    server.post("/v1/audit/checkpoint", &json!({})).is(200);
    let whole = server.get("/v1/audit").is(200);
    let (mut after, mut records) = (0, Vec::new());
    loop {
        let page = server.get(&format!("/v1/audit?limit=2&after={after}")).is(200);
        assert!(page["records"].as_array().unwrap().len() <= 2);
        records.extend(page["records"].as_array().unwrap().clone());
        after = page.number("next_after");
        if page["end"] == true {
            break;
        }
    }
    assert_eq!(Value::from(records), whole["records"]);
    let of_batch = server.get("/v1/audit?tenant=batch&kind=granted").is(200);
    let bytes = of_batch["records"].as_array().unwrap().iter().map(|record| &record["bytes"]);
    assert_eq!(bytes.collect::<Vec<_>>(), [1, 3, 5]);
    let id = of_batch["records"][0]["tenant"].as_str().unwrap();
    let by_id = server.get(&format!("/v1/audit?tenant={id}&kind=granted")).is(200);
    assert_eq!(by_id["records"], of_batch["records"]);
    assert_eq!(kinds(&server.get("/v1/audit?tenant=nobody").is(200)), [""; 0]);
    let quiet = server.get("/v1/audit?kind=configured,checkpoint").is(200);
    assert!(quiet["records"].as_array().unwrap().iter().any(|record| {
        record["kind"] == "configured" && record["text"].as_str().unwrap().contains("batch")
    }));
    for wrong in ["kind=bought", "kind=", "limit=0", "limit=1001", "after=-1", "before=1"] {
        server.get(&format!("/v1/audit?{wrong}")).refuses(400, "invalid");
    }
}

#[test]
fn the_next_server_says_that_grants_of_the_last_are_gone() {
    let place = Place::new("next");
    let first = place.server(AuditMode::FailClosed);
    granted(&first, &ask("chat", 7));
    drop(first);
    let second = place.server(AuditMode::FailClosed);
    granted(&second, &ask("chat", 8));
    second.post("/v1/audit/checkpoint", &json!({})).is(200);
    let page = second.get("/v1/audit?kind=opened,granted,seal").is(200);
    let seen = kinds(&page);
    assert_eq!(seen, ["opened", "granted", "seal", "opened", "granted"]);
    let opened = &page["records"][3]["text"];
    assert!(opened.as_str().unwrap().contains("grants of one before it are gone"), "{opened}");
    // Its account begins with nothing: what it uses is what the second server has granted.
    assert_eq!(page["records"][4]["used_bytes"], 8);
}

#[test]
fn without_a_log_there_is_none() {
    let server = Server::new(SETUP);
    server.get("/v1/audit").refuses(404, "no-audit");
    server.get("/v1/audit/status").refuses(404, "no-audit");
    server.post("/v1/audit/checkpoint", &json!({})).refuses(404, "no-audit");
    server.state.close_audit().unwrap();
}
