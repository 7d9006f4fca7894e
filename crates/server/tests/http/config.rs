//! The configuration of a running server: shown, put, refused, applied in an order that fits.

use super::*;
use allotment::{EventKind, EventRead};
use allotment_config::Layers;
use allotment_server::{Door, LeaseBounds, Source, State, open_state};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, TryRecvError};

const CONFIG: &str = r#"
capacity = "64MiB"
pressure = { pool = false }

[[groups]]
name = "team"
guarantee = "16MiB"

[[tenants]]
name = "chat"
guarantee = "32MiB"
limit = "48MiB"

[[tenants]]
name = "images"
group = "team"
guarantee = "16MiB"
"#;

/// A server that knows its layers.
pub fn server(text: &str) -> Server {
    let server = Server::new(text);
    let layers = Layers::default().file(Path::new("allot.toml"), text);
    server.state.configured.begin(layers.read().unwrap(), layers, text);
    server
}

pub fn put(server: &Server, text: &str) -> Answer {
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let head = client::head("PUT", "/v1/config", &token, text);
    server.raw(&head.replace("application/json", "application/toml"), text)
}

/// The value of a key and its origin, as the server shows them.
fn shown(server: &Server, key: &str) -> (Value, String) {
    let answer = server.get("/v1/config").is(200);
    let values = answer["values"].as_array().unwrap();
    let found = values.iter().find(|value| value["key"] == key);
    let found = found.unwrap_or_else(|| panic!("no {key} in {}", answer.text));
    (found["value"].clone(), found["origin"].as_str().unwrap().to_string())
}

/// Before and after of a key, as the answer to a change has them.
fn change(answer: &Answer, key: &str) -> (Value, Value) {
    let changes = answer["changes"].as_array().unwrap();
    let found = changes.iter().find(|change| change["key"] == key);
    let found = found.unwrap_or_else(|| panic!("no {key} in {}", answer.text));
    (found["before"].clone(), found["after"].clone())
}

fn tenant(server: &Server, name: &str) -> Answer {
    server.get(&format!("/v1/tenants/{name}")).is(200)
}

#[test]
fn each_value_is_shown_with_who_has_set_it() {
    let server = server(CONFIG);
    assert_eq!(shown(&server, "tenants.chat.limit"), (json!(48 * MIB), "allot.toml:12".into()));
    assert_eq!(shown(&server, "tenants.images.limit"), (Value::Null, "default".into()));
    assert_eq!(shown(&server, "cache.max_items"), (json!(1000), "default".into()));
    server.patch("/v1/tenants/chat", &json!({ "limit": "40MiB" })).is(200);
    assert_eq!(shown(&server, "tenants.chat.limit"), (json!(40 * MIB), "request".into()));
    assert_eq!(shown(&server, "tenants.chat.guarantee").1, "allot.toml:11");
    server.post("/v1/tenants", &json!({ "name": "late" })).is(201);
    assert_eq!(shown(&server, "tenants.late.limit"), (Value::Null, "request".into()));
    let history = &server.get("/v1/config").is(200)["history"];
    assert_eq!((&history["applied"], &history["last_error"]), (&json!(0), &Value::Null));
}

#[test]
fn limits_change_while_grants_are_held_and_the_answer_says_which() {
    let server = server(CONFIG);
    granted(&server, &ask("chat", 40 * MIB));
    let lower = CONFIG.replace("48MiB", "36MiB").replace("64MiB", "96MiB");
    let answer = put(&server, &lower).is(200);
    assert_eq!(change(&answer, "tenants.chat.limit"), (json!(48 * MIB), json!(36 * MIB)));
    assert_eq!(change(&answer, "capacity"), (json!(64 * MIB), json!(96 * MIB)));
    assert_eq!(answer.number("changed"), 2, "{}", answer.text);
    let chat = tenant(&server, "chat");
    assert_eq!((chat.number("limit_bytes"), chat.number("used_bytes")), (36 * MIB, 40 * MIB));
    server.post("/v1/requests", &ask("chat", 1)).refuses(503, "denied");
    assert_eq!(server.get("/v1/usage").is(200).number("capacity_bytes"), 96 * MIB);
    assert_eq!(shown(&server, "tenants.chat.limit").1, "body:12");
    assert_eq!(put(&server, &lower).is(200).number("changed"), 0);
}

#[test]
fn what_is_not_sound_changes_nothing_and_is_told_whole() {
    let server = server(CONFIG);
    let bad = CONFIG.replace("48MiB", "8 apples").replace("name = \"images\"", "nmae = \"images\"");
    let answer = put(&server, &bad).refuses(400, "unsound");
    let faults = answer["faults"].as_array().unwrap();
    let origins: Vec<&str> = faults.iter().filter_map(|fault| fault["origin"].as_str()).collect();
    assert_eq!(origins, ["body:12", "body:14", "body:15"], "{}", answer.text);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 48 * MIB);
    let history = server.get("/v1/config").is(200)["history"].clone();
    assert_eq!((&history["applied"], &history["refused"]), (&json!(0), &json!(1)));
    assert!(history["last_error"].as_str().unwrap().contains("8 apples"), "{history}");
    let told = |value: &str| {
        let text = server.get("/metrics").is(200).text;
        assert!(text.contains(&format!("\nallot_config_refused {value}\n")), "{text}");
    };
    told("1");
    put(&server, CONFIG).is(200);
    told("0");
    assert_eq!(server.get("/v1/config").is(200)["history"]["last_error"], Value::Null);
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let large = "#".repeat(65 * 1024);
    let head = client::head("PUT", "/v1/config", &token, &large);
    server.raw(&head, &large).refuses(413, "too-large");
    server.call("POST", "/v1/config", None).refuses(405, "no-method");
    let nobody = client::head("PUT", "/v1/config", "", CONFIG);
    server.raw(&nobody, CONFIG).refuses(401, "no-token");
}

#[test]
fn guarantees_swap_though_they_never_fit_both_at_once() {
    let server = server(CONFIG);
    let swapped = CONFIG
        .replace("guarantee = \"16MiB\"", "guarantee = \"32MiB\"")
        .replacen("guarantee = \"32MiB\"\nlimit", "guarantee = \"16MiB\"\nlimit", 1)
        .replace("64MiB", "48MiB");
    let answer = put(&server, &swapped).is(200);
    assert_eq!(change(&answer, "capacity"), (json!(64 * MIB), json!(48 * MIB)));
    assert_eq!(change(&answer, "groups.team.guarantee"), (json!(16 * MIB), json!(32 * MIB)));
    assert_eq!(tenant(&server, "images").number("guarantee_bytes"), 32 * MIB);
    assert_eq!(tenant(&server, "chat").number("guarantee_bytes"), 16 * MIB);
    put(&server, CONFIG).is(200);
    assert_eq!(tenant(&server, "chat").number("guarantee_bytes"), 32 * MIB);
}

#[test]
fn who_is_not_named_any_more_is_drained_and_leaves_when_it_holds_nothing() {
    let server = server(CONFIG);
    let grant = granted(&server, &ask("images", 8 * MIB));
    let head = CONFIG.split("[[groups]]").next().unwrap();
    let without = |guarantee: &str| {
        format!("{head}[[tenants]]\nname = \"chat\"\nguarantee = \"{guarantee}\"\n")
    };
    // Its guarantee is gone, but not what it holds.
    put(&server, &without("64MiB")).refuses(409, "guarantee-unavailable");
    assert_eq!(tenant(&server, "images").number("guarantee_bytes"), 16 * MIB, "undone");
    assert_eq!(tenant(&server, "images")["hold"], "none");
    let answer = put(&server, &without("48MiB")).is(200);
    assert_eq!(answer["leaving"], json!(["images"]));
    assert_eq!(tenant(&server, "images")["hold"], "draining");
    server.post("/v1/requests", &ask("images", 1)).refuses(503, "not-now");
    let leaving = server.get("/v1/config").is(200)["leaving"].clone();
    assert_eq!(leaving, json!({ "tenants": ["images"], "groups": ["team"] }));
    let epoch = grant.number("epoch");
    server.delete(&format!("/v1/grants/{}?epoch={epoch}", grant.id())).is(204);
    soon("it has left", || server.get("/v1/tenants/images").status == 404);
    soon("its group has left", || server.get("/v1/groups/team").status == 404);
    put(&server, CONFIG).is(200);
    assert_eq!(tenant(&server, "images").number("guarantee_bytes"), 16 * MIB);
}

#[test]
fn who_is_named_again_before_it_has_left_stays() {
    let server = server(CONFIG);
    granted(&server, &ask("images", 8 * MIB));
    let without = CONFIG.split("[[tenants]]\nname = \"images\"").next().unwrap();
    put(&server, without).is(200);
    assert_eq!(tenant(&server, "images")["hold"], "draining");
    put(&server, CONFIG).is(200);
    let images = tenant(&server, "images");
    assert_eq!((&images["hold"], images.number("used_bytes")), (&json!("none"), 8 * MIB));
    granted(&server, &ask("images", MIB));
}

#[test]
fn an_entry_that_stays_the_same_leaves_alone_what_requests_made_of_it() {
    let server = server(CONFIG);
    server.patch("/v1/tenants/chat", &json!({ "limit": "40MiB" })).is(200);
    server.post("/v1/tenants", &json!({ "name": "late", "limit": "1MiB" })).is(201);
    put(&server, &CONFIG.replace("capacity = \"64MiB\"", "capacity = \"80MiB\"")).is(200);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 40 * MIB);
    assert_eq!(tenant(&server, "late").number("limit_bytes"), MIB);
    put(&server, &CONFIG.replace("48MiB", "44MiB")).is(200);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 44 * MIB);
    let named = format!("{CONFIG}[[tenants]]\nname = \"late\"\nlimit = \"2MiB\"\n");
    put(&server, &named).is(200);
    assert_eq!(tenant(&server, "late").number("limit_bytes"), 2 * MIB);
    assert_eq!(server.get("/v1/tenants").is(200).body.as_array().unwrap().len(), 3);
}

#[test]
fn a_group_that_a_request_has_removed_comes_back_for_who_is_new_in_it() {
    let server = server(CONFIG);
    server.delete("/v1/tenants/images").is(204);
    server.delete("/v1/groups/team").is(204);
    put(&server, &CONFIG.replace("48MiB", "40MiB")).is(200);
    server.get("/v1/groups/team").refuses(404, "not-found");
    let new = format!("{CONFIG}[[tenants]]\nname = \"new\"\ngroup = \"team\"\n");
    put(&server, &new).is(200);
    assert_eq!(tenant(&server, "new")["group"], "team");
    server.get("/v1/tenants/images").refuses(404, "not-found");
}

#[test]
fn what_cannot_be_done_while_it_runs_is_said() {
    let server = server(CONFIG);
    let moved = CONFIG.replace("group = \"team\"\nguarantee = \"16MiB\"", "");
    let answer = put(&server, &moved).refuses(409, "impossible");
    assert!(answer["detail"].as_str().unwrap().contains("cannot move to no group"));
    let id = "id = \"6f1b2c3d-0000-4000-8000-000000000001\"\n";
    let other = CONFIG.replace("name = \"chat\"\n", &format!("name = \"chat\"\n{id}"));
    put(&server, &other).refuses(409, "impossible");
    let pressure = CONFIG.replace("pool = false", "pool = false, high = 85");
    let answer = put(&server, &pressure.replace("48MiB", "40MiB")).is(200);
    assert_eq!(answer["needs_restart"], json!(["pressure.high"]));
    assert_eq!(shown(&server, "pressure.high").0, json!(90));
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 40 * MIB);
    server.post("/v1/tenants", &json!({ "name": "late", "guarantee": "16MiB" })).is(201);
    let full = CONFIG.replace("guarantee = \"32MiB\"", "guarantee = \"48MiB\"");
    let answer = put(&server, &full).refuses(409, "impossible");
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.contains("with those that requests have registered"), "{detail}");
    assert_eq!(tenant(&server, "chat").number("guarantee_bytes"), 32 * MIB);
}

/// Changes from several sides at once: each answer is one of the two configurations whole.
#[test]
fn changes_at_the_same_time_come_one_after_the_other() {
    let server = server(CONFIG);
    let other =
        CONFIG.replace("48MiB", "36MiB").replace("name = \"images\"", "name = \"pictures\"");
    let (over, is_over) = mpsc::channel::<()>();
    let guests = &server;
    std::thread::scope(|scope| {
        let come_and_go = scope.spawn(move || {
            let server = guests;
            let mut made = 0;
            while is_over.try_recv() == Err(TryRecvError::Empty) {
                let wish = json!({ "name": format!("t{made}"), "limit": "1MiB" });
                server.post("/v1/tenants", &wish).is(201);
                server.delete(&format!("/v1/tenants/t{made}")).is(204);
                made += 1;
            }
            made
        });
        let puts = [CONFIG, &other].map(|text| {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..25 {
                    put(server, text).is(200);
                }
            })
        });
        for put in puts {
            put.join().unwrap();
        }
        drop(over);
        assert!(come_and_go.join().unwrap() > 0);
    });
    put(&server, CONFIG).is(200);
    soon("who is not named has left", || {
        server.get("/v1/tenants").is(200).body.as_array().unwrap().len() == 2
    });
    assert_eq!(tenant(&server, "images").number("guarantee_bytes"), 16 * MIB);
    assert_eq!(tenant(&server, "images")["hold"], "none");
    assert_eq!(server.get("/v1/config").is(200)["history"]["applied"], 51);
    expect_nothing_held(&server);
}

/// A configuration whose guarantees fill everything above them, of a number.
fn full(mut seed: u64) -> String {
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let places = [None, Some("outer"), Some("inner")];
    let mut promised = [0; 3];
    let mut tenants = String::new();
    for n in 0..9 {
        if n > 0 && next(3) == 0 {
            continue;
        }
        let (place, guarantee) = (n % 3, next(8));
        promised[place] += guarantee;
        let group = places[place].map_or(String::new(), |group| format!("group = \"{group}\"\n"));
        let limit = guarantee.max(4) + next(4);
        tenants += &format!(
            "[[tenants]]\nname = \"t{n}\"\n{group}guarantee = \"{guarantee}MiB\"\n\
             limit = \"{limit}MiB\"\n"
        );
    }
    let inner = promised[2];
    let outer = promised[1] + inner;
    let capacity = (promised[0] + outer).max(8);
    format!(
        "capacity = \"{capacity}MiB\"\npressure = {{ pool = false }}\n\
         [[groups]]\nname = \"inner\"\nparent = \"outer\"\nguarantee = \"{inner}MiB\"\n\
         [[groups]]\nname = \"outer\"\nguarantee = \"{outer}MiB\"\n{tenants}"
    )
}

/// What the server shows of tenants, groups and the capacity.
fn registered(server: &Server) -> (Value, Vec<Value>, Vec<Value>) {
    let capacity = server.get("/v1/usage").is(200)["capacity_bytes"].clone();
    let [tenants, groups] = ["/v1/tenants", "/v1/groups"].map(|path| {
        let all = server.get(path).is(200).body.as_array().unwrap().clone();
        let mut all: Vec<Value> = all
            .iter()
            .map(|one| json!([one["name"], one["guarantee_bytes"], one["limit_bytes"]]))
            .collect();
        all.sort_by_key(Value::to_string);
        all
    });
    (capacity, tenants, groups)
}

#[test]
fn from_any_configuration_to_any_other_or_not_at_all() {
    let server = server(&full(0));
    let mut refused = 0;
    for seed in 1..=80 {
        if seed == 40 {
            // From here on somebody has more than what it is guaranteed, now and then.
            let held = with(ask("t0", 4 * MIB), "lease_ms", 600_000);
            put(&server, &full(0)).is(200);
            put(&server, &full(0).replacen("MiB", "0MiB", 1)).is(200);
            granted(&server, &held);
        }
        let before = registered(&server);
        let answer = put(&server, &full(seed));
        if answer.status != 200 {
            answer.refuses(409, "guarantee-unavailable");
            assert_eq!(registered(&server), before, "seed {seed}");
            refused += 1;
            continue;
        }
        let wanted = Server::new(&full(seed));
        assert_eq!(registered(&server), registered(&wanted), "seed {seed}");
    }
    assert!((1..40).contains(&refused), "{refused} refused");
}

#[test]
fn each_change_is_an_event_and_what_is_refused_is_none() {
    let setup = allotment_config::parse(CONFIG, Path::new("allot.toml")).unwrap();
    let door = Door::new("nobody comes", Vec::new());
    let leases = LeaseBounds::default();
    let state = State::tuned(&setup, door, leases, |governor| governor.events_max = 1_024).unwrap();
    let layers = Layers::default().file(Path::new("allot.toml"), CONFIG);
    state.configured.begin(layers.read().unwrap(), layers, CONFIG);
    let mut events = state.manager.governor().events();
    while let EventRead::Event(_) = events.read() {}
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let configured = [EventKind::CapacityChanged, EventKind::LimitsChanged, EventKind::Registered];
    let mut kinds_of = |text: String| {
        let answer = runtime.block_on(state.configure(Source::Request(text)));
        let mut kinds = Vec::new();
        while let EventRead::Event(event) = events.read() {
            kinds.push(event.kind);
        }
        // A look of the monitor may come at any time.
        kinds.retain(|kind| configured.contains(kind));
        (answer.is_ok(), kinds)
    };
    let larger = CONFIG.replace("48MiB", "40MiB").replace("64MiB", "96MiB");
    let (applied, kinds) = kinds_of(format!("{larger}[[tenants]]\nname = \"new\"\n"));
    assert_eq!((applied, kinds), (true, configured.to_vec()));
    let (applied, kinds) = kinds_of(larger.replace("group = \"team\"", ""));
    assert_eq!((applied, kinds), (false, Vec::new()));
}

/// A file of this test alone, without what was there before.
fn state_file(name: &str) -> PathBuf {
    let name = format!("allot-http-{name}-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("state")
}

/// A server that keeps what requests change in this file, begun with this configuration.
fn keeping(text: &str, path: &Path) -> (Server, allotment_server::Restored) {
    let kept = open_state(path).unwrap();
    let in_force = kept.document(text).unwrap_or(text).to_string();
    let server = Server::new(&in_force);
    let layers = Layers::default().file(Path::new("allot.toml"), &*in_force);
    let configuration = layers.read().unwrap();
    let setup = configuration.setup.clone();
    server.state.configured.begin(configuration, layers, text);
    let restored = server.state.restore(kept, &setup, text);
    (server, restored)
}

#[test]
fn what_requests_changed_is_there_after_a_restart() {
    let path = state_file("restart");
    let (server, restored) = keeping(CONFIG, &path);
    assert_eq!(restored, Default::default());
    server.post("/v1/groups", &json!({ "name": "guests", "guarantee": "8MiB" })).is(201);
    let wish = json!({ "name": "late", "group": "guests", "guarantee": "4MiB", "limit": "5MiB",
        "burst": "6MiB", "priority": "high", "isolation": "hard" });
    let late = server.post("/v1/tenants", &wish).is(201);
    server.patch("/v1/groups/guests", &json!({ "limit": "9MiB" })).is(200);
    server.patch("/v1/tenants/chat", &json!({ "limit": "40MiB" })).is(200);
    server.post("/v1/tenants", &json!({ "name": "gone" })).is(201);
    server.delete("/v1/tenants/gone").is(204);
    server.delete("/v1/tenants/images").is(204);
    server.delete("/v1/groups/team").is(204);
    granted(&server, &ask("late", MIB));
    drop(server);

    let (server, restored) = keeping(CONFIG, &path);
    assert_eq!((restored.restored, restored.outdated.len()), (5, 0), "{restored:?}");
    assert!(restored.refused.is_empty(), "{restored:?}");
    let again = tenant(&server, "late");
    for figure in ["id", "group", "priority", "isolation", "guarantee_bytes", "limit_bytes"] {
        assert_eq!(again[figure], late[figure], "{figure}");
    }
    assert_eq!((again.number("burst_bytes"), again.number("used_bytes")), (6 * MIB, 0));
    assert_eq!(server.get("/v1/groups/guests").is(200).number("limit_bytes"), 9 * MIB);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 40 * MIB);
    for gone in ["/v1/tenants/gone", "/v1/tenants/images", "/v1/groups/team"] {
        server.get(gone).refuses(404, "not-found");
    }
    drop(server);

    // The file has another limit by now, and no word of the rest.
    let newer = CONFIG.replace("48MiB", "44MiB");
    let (server, restored) = keeping(&newer, &path);
    assert_eq!((restored.restored, restored.outdated), (4, vec!["tenant `chat`".to_string()]));
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 44 * MIB);
    drop(server);
    let (server, restored) = keeping(CONFIG, &path);
    assert_eq!(restored.outdated, Vec::<String>::new(), "what was outdated is forgotten");
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 48 * MIB);
}

#[test]
fn a_text_that_was_put_stays_until_the_file_changes() {
    let path = state_file("document");
    let (server, _) = keeping(CONFIG, &path);
    put(&server, &CONFIG.replace("48MiB", "40MiB")).is(200);
    drop(server);
    let (server, _) = keeping(CONFIG, &path);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 40 * MIB);
    drop(server);
    let newer = format!("{CONFIG}# another text\n");
    let (server, restored) = keeping(&newer, &path);
    assert_eq!(restored.outdated, ["the text put by a request"]);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 48 * MIB);
    drop(server);
    let (server, _) = keeping(CONFIG, &path);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 48 * MIB, "it is forgotten");
}

#[test]
fn a_file_that_changes_wins_over_older_requests_for_good() {
    let path = state_file("wins");
    let (server, _) = keeping(CONFIG, &path);
    server.patch("/v1/tenants/chat", &json!({ "limit": "40MiB" })).is(200);
    let newer = CONFIG.replace("48MiB", "44MiB");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reload = |text: &str| {
        let source = Source::File("allot.toml".into(), text.to_string());
        runtime.block_on(server.state.configure(source)).unwrap();
    };
    reload(&newer);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 44 * MIB);
    reload(CONFIG);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 48 * MIB);
    drop(server);
    let (server, restored) = keeping(CONFIG, &path);
    assert_eq!(restored, Default::default(), "the older request does not come back");
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), 48 * MIB);
}

#[test]
fn what_the_disk_does_not_take_is_refused_and_undone() {
    let path = state_file("disk");
    let (server, _) = keeping(CONFIG, &path);
    // The file is beyond its bound, and a folder stands where it is to be written anew.
    let beside = PathBuf::from(format!("{}.new", path.display()));
    std::fs::create_dir(&beside).unwrap();
    let mut refused = None;
    for n in 0..1_000 {
        let wish = json!({ "limit": MIB * 33 + n });
        let answer = server.patch("/v1/tenants/chat", &wish);
        if answer.status != 200 {
            refused = Some((n, answer.refuses(500, "not-kept")));
            break;
        }
    }
    let (n, answer) = refused.expect("the disk refuses some time");
    assert!(answer["detail"].as_str().unwrap().contains("nothing has changed"), "{}", answer.text);
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), MIB * 33 + n - 1, "undone");
    server.post("/v1/tenants", &json!({ "name": "late" })).refuses(500, "not-kept");
    server.get("/v1/tenants/late").refuses(404, "not-found");
    server.post("/v1/groups", &json!({ "name": "late" })).refuses(500, "not-kept");
    server.get("/v1/groups/late").refuses(404, "not-found");
    put(&server, &CONFIG.replace("48MiB", "47MiB")).refuses(500, "not-kept");
    assert_eq!(shown(&server, "tenants.images.guarantee").1, "allot.toml:17");
    let left = server.delete("/v1/tenants/images").refuses(500, "not-kept");
    assert!(left["detail"].as_str().unwrap().contains("it is in force"), "{}", left.text);
    std::fs::remove_dir(&beside).unwrap();
    soon("it has caught up", || std::fs::metadata(&path).unwrap().len() < 10_000);
    drop(server);
    let (server, _) = keeping(CONFIG, &path);
    server.get("/v1/tenants/images").refuses(404, "not-found");
    assert_eq!(tenant(&server, "chat").number("limit_bytes"), MIB * 33 + n - 1);
}
