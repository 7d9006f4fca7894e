//! Leases: renewed, taken over, given back, and what becomes of those that nobody renews.

use super::*;

#[test]
fn a_grant_lives_from_its_request_to_its_release() {
    let server = Server::new(SETUP);
    let asked = with(ask("chat", MIB), "model", "llama");
    let grant = granted(&server, &asked);
    let (id, epoch) = (grant.id().to_string(), grant.number("epoch"));
    assert_eq!(grant.header("location"), Some(format!("/v1/grants/{id}").as_str()));
    assert_eq!((&grant["type"], &grant["model"]), (&json!("inference"), &json!("llama")));
    assert_eq!((grant.number("bytes"), grant.number("lease_ms")), (MIB, 30_000));
    let path = |verb: &str| format!("/v1/grants/{id}/{verb}");
    let by = |bytes: &str| json!({ "epoch": epoch, "bytes": bytes });
    assert_eq!(server.post(&path("grow"), &by("1KiB")).is(200).number("bytes"), MIB + 1024);
    assert_eq!(server.post(&path("shrink"), &by("1MiB")).is(200).number("bytes"), 1024);
    server.post(&path("touch"), &json!({ "epoch": epoch })).is(204);
    let renewed = server.post(&path("renew"), &json!({ "epoch": epoch })).is(200);
    assert!(renewed.number("expires_in_ms") > 29_000);
    assert_eq!(server.get(&format!("/v1/grants/{id}")).is(200).number("bytes"), 1024);
    assert_eq!(server.get("/v1/grants?tenant=chat").is(200).body.as_array().unwrap().len(), 1);
    assert_eq!(server.get("/v1/grants?tenant=batch").is(200).body, json!([]));
    assert_eq!(server.get("/v1/usage").is(200).number("used_bytes"), 1024);
    server.delete(&format!("/v1/grants/{id}?epoch={epoch}")).is(204);
    let again = server.delete(&format!("/v1/grants/{id}?epoch={epoch}"));
    assert_eq!(again.refuses(410, "ended")["how"], "released");
    expect_nothing_held(&server);
}

#[test]
fn the_bytes_of_who_vanishes_are_back_within_one_deadline() {
    let server = Server::new(SETUP);
    let asked = with(ask("chat", 40 * MIB), "lease_ms", 300);
    let (lost, kept) = (granted(&server, &asked), granted(&server, &ask("batch", MIB)));
    let begin = Instant::now();
    let used = || server.get("/v1/usage").is(200).number("used_bytes");
    soon("bytes are back", || used() == MIB);
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    let (id, epoch) = (lost.id(), lost.number("epoch"));
    let late = server.post(&format!("/v1/grants/{id}/renew"), &json!({ "epoch": epoch }));
    assert_eq!(late.refuses(410, "ended")["how"], "expired");
    let late = server.delete(&format!("/v1/grants/{id}?epoch={epoch}"));
    assert_eq!(late.refuses(410, "ended")["how"], "expired");
    server.get(&format!("/v1/grants/{}", kept.id())).is(200);
}

#[test]
fn who_renews_keeps_it() {
    let server = Server::new(SETUP);
    let grant = granted(&server, &with(ask("chat", MIB), "lease_ms", 2_000));
    let path = format!("/v1/grants/{}/renew", grant.id());
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        server.post(&path, &json!({ "epoch": grant["epoch"] })).is(200);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn whoever_takes_over_shuts_out_whoever_had_it() {
    let server = Server::new(SETUP);
    let grant = granted(&server, &ask("chat", MIB));
    let path = format!("/v1/grants/{}", grant.id());
    let taken = server.post(&format!("{path}/takeover"), &json!({})).is(200);
    assert!(taken.number("epoch") > grant.number("epoch"));
    let old = json!({ "epoch": grant["epoch"], "bytes": 1 });
    for verb in ["grow", "shrink"] {
        server.post(&format!("{path}/{verb}"), &old).refuses(412, "stale-epoch");
    }
    for verb in ["renew", "touch"] {
        let body = json!({ "epoch": grant["epoch"] });
        server.post(&format!("{path}/{verb}"), &body).refuses(412, "stale-epoch");
    }
    let old_epoch = grant.number("epoch");
    server.delete(&format!("{path}?epoch={old_epoch}")).refuses(412, "stale-epoch");
    let epoch = taken.number("epoch");
    server.delete(&format!("{path}?epoch={epoch}")).is(204);
    expect_nothing_held(&server);
}

#[test]
fn epochs_rise_with_every_grant_and_with_every_server() {
    let first = Server::new(SETUP);
    let [a, b] = [0, 1].map(|_| granted(&first, &ask("chat", 1)).number("epoch"));
    assert!(a < b);
    drop(first);
    assert!(granted(&Server::new(SETUP), &ask("chat", 1)).number("epoch") > b);
}

#[test]
fn a_long_list_comes_in_pages() {
    let server = Server::new(SETUP);
    let state = &server.state;
    let chat = state.tenant("chat").unwrap();
    let wanted = allotment::AllocationAsk {
        tenant_id: chat,
        bytes: 1,
        model_name: String::new(),
        allocation_type: allotment::AllocationType::Inference,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..1_001 {
        let id = runtime.block_on(state.manager.allocate(&wanted, Duration::ZERO)).unwrap();
        state.begin_lease(&id, chat, (u64::MAX, Default::default()), None);
    }
    let page = server.get("/v1/grants").is(200).body;
    let page = page.as_array().unwrap();
    assert_eq!(page.len(), 1_000);
    let last = page[999]["epoch"].as_u64().unwrap();
    let rest = server.get(&format!("/v1/grants?after={last}")).is(200).body;
    assert_eq!(rest.as_array().unwrap().len(), 1);
}
