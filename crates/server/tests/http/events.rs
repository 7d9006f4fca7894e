//! The stream of events: order, going on after a break, losses, filters, many listeners, one that
//! never reads, the end.

use super::*;
use allotment_server::Bounds;
use client::head;
use stream::{Said, Stream, connect, listen, listen_as, listen_narrowly, resume};

fn release(server: &Server, grant: &Answer) {
    let path = format!("/v1/grants/{}?epoch={}", grant.id(), grant.number("epoch"));
    server.delete(&path).is(204);
}

/// The next so many, as kind and bytes.
fn next(stream: &mut Stream, count: usize) -> Vec<(String, u64)> {
    let said = (0..count).map(|_| stream.next().unwrap());
    said.map(|said| (said.event, said.data["bytes"].as_u64().unwrap_or(0))).collect()
}

fn told(kind: &str, bytes: u64) -> (String, u64) {
    (kind.to_string(), bytes)
}

#[test]
fn what_happens_is_told_in_order_from_now_on() {
    let server = Server::new(SETUP);
    let before = granted(&server, &ask("chat", 7));
    let mut stream = listen(&server, "/v1/events");
    assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
    release(&server, &before);
    let held = granted(&server, &with(ask("chat", 2 * MIB), "type", "cache"));
    server.post("/v1/requests", &ask("chat", 100 * MIB)).is(507);
    let said: Vec<Said> = (0..3).map(|_| stream.next().unwrap()).collect();
    assert_eq!(said[0].data["grant"], before["id"], "nothing of before");
    assert_eq!((&*said[0].event, &*said[1].event), ("released", "granted"));
    let data = &said[1].data;
    assert_eq!([&data["grant"], &data["tenant"]], [&held["id"], &held["tenant"]]);
    assert_eq!((&data["name"], &data["type"]), (&json!("chat"), &json!("cache")));
    assert_eq!((&data["bytes"], &data["used_bytes"]), (&json!(2 * MIB), &json!(2 * MIB)));
    assert_eq!((&*said[2].event, &said[2].data["reason"]), ("denied", &json!("tenant_limit")));
    let numbers: Vec<u64> = said.iter().map(number).collect();
    assert_eq!((numbers[1], numbers[2]), (numbers[0] + 1, numbers[0] + 2));
    assert!(stream.is_silent());
    release(&server, &held);
    assert_eq!(stream.next().unwrap().event, "released");
}

/// The number in an id.
fn number(said: &Said) -> u64 {
    said.id.as_ref().unwrap().split_once('-').unwrap().1.parse().unwrap()
}

#[test]
fn who_comes_again_goes_on_where_it_stopped() {
    let server = Server::new(SETUP);
    let mut stream = listen(&server, "/v1/events?kind=granted");
    (1..=3).for_each(|bytes| _ = granted(&server, &ask("chat", bytes)));
    assert_eq!(next(&mut stream, 2), [told("granted", 1), told("granted", 2)]);
    let last = stream.next().unwrap();
    drop(stream);
    // Nobody listens meanwhile.
    (4..=6).for_each(|bytes| _ = granted(&server, &ask("batch", bytes)));
    let id = last.id.unwrap();
    let mut again = resume(&server, "/v1/events", &id);
    let expected = [4, 5, 6].map(|bytes| told("granted", bytes));
    assert_eq!(next(&mut again, 3), expected);
    // Twice from the same place is the same twice.
    assert_eq!(next(&mut resume(&server, "/v1/events", &id), 3), expected);
    // Ahead of everything is the end.
    let (name, _) = id.split_once('-').unwrap();
    let mut ahead = resume(&server, "/v1/events", &format!("{name}-{}", u64::MAX));
    granted(&server, &ask("batch", 7));
    assert_eq!(next(&mut ahead, 1), [told("granted", 7)]);
}

#[test]
fn ids_of_another_server_and_nonsense() {
    let server = Server::new(SETUP);
    granted(&server, &ask("chat", 5));
    let mut stream = resume(&server, "/v1/events?kind=granted", "0123456789ab-77");
    let lost = stream.next().unwrap();
    assert_eq!((&*lost.event, &lost.data), ("lost", &json!({ "events": null })));
    assert_eq!(next(&mut stream, 1), [told("granted", 5)], "all that this server has");
    let long = "9".repeat(1_000);
    for wrong in ["", "7", "x-1", "0123456789ab-", "0123456789ab--1", "0123456789ab-1e3", &long] {
        let token = format!("Authorization: Bearer {}\r\nLast-Event-ID: {wrong}\r\n", server.token);
        server.raw(&head("GET", "/v1/events", &token, ""), "").refuses(400, "invalid");
    }
}

#[test]
fn losses_are_told_to_whoever_was_away() {
    let server = Server::new(SETUP);
    let mut stream = listen(&server, "/v1/events");
    granted(&server, &ask("chat", 1));
    let id = stream.next_of("granted").id.unwrap();
    drop(stream);
    soon("nobody listens", || server.state.listeners() == 0);
    // More than the governor keeps while nobody reads.
    let governor = server.state.manager.governor();
    let tenant = governor.find_named("batch").unwrap();
    let request = allotment::Request::new(tenant, allotment::AllocationType::Inference, 3);
    let pairs = 20_000;
    (0..pairs).for_each(|_| drop(governor.try_request(&request).unwrap()));
    let mut again = resume(&server, "/v1/events", &id);
    let mut counted = 0;
    let mut lost = 0;
    while counted + lost < 2 * pairs {
        let said = again.next().unwrap();
        match &*said.event {
            "lost" => lost += said.data["events"].as_u64().unwrap(),
            _ => counted += 1,
        }
    }
    assert_eq!(counted + lost, 2 * pairs, "each is told, or told to be lost, once");
    assert!(lost > 0 && counted > 0, "{counted} {lost}");
    granted(&server, &ask("chat", 9));
    assert_eq!(next(&mut again, 1), [told("granted", 9)]);
}

#[test]
fn who_was_away_for_long_gets_what_is_still_kept() {
    let server = Server::new(SETUP);
    let mut stream = listen(&server, "/v1/events");
    granted(&server, &ask("chat", 1));
    let id = stream.next_of("granted").id.unwrap();
    let governor = server.state.manager.governor();
    let tenant = governor.find_named("batch").unwrap();
    let request = allotment::Request::new(tenant, allotment::AllocationType::Inference, 3);
    // More than is kept, while somebody else listens to it.
    for _ in 0..20 {
        (0..500).for_each(|_| drop(governor.try_request(&request).unwrap()));
        (0..1_000).for_each(|_| assert_ne!(stream.next().unwrap().event, "lost"));
    }
    let mut again = resume(&server, "/v1/events", &id);
    let lost = again.next().unwrap();
    assert_eq!(lost.event, "lost");
    let lost = lost.data["events"].as_u64().unwrap();
    let first = again.next().unwrap();
    let own = id.split_once('-').unwrap().1.parse::<u64>().unwrap();
    assert_eq!(number(&first), own + lost + 1, "nothing is passed over");
    let begins = Instant::now();
    let mut last = number(&first);
    while last < own + lost + 5_000 {
        let said = again.next().unwrap();
        assert_eq!((number(&said), &*said.event == "lost"), (last + 1, false));
        last = number(&said);
        assert!(begins.elapsed() < SOON, "{last}");
    }
}

#[test]
fn a_filter_lets_through_what_it_names() {
    let server = Server::new(SETUP);
    let mut of_batch = listen(&server, "/v1/events?tenant=batch");
    let mut granted_only = listen(&server, "/v1/events?kind=granted,registered");
    let mut both = listen(&server, "/v1/events?tenant=chat&kind=released");
    let of_chat = granted(&server, &ask("chat", 1));
    granted(&server, &ask("batch", 2));
    release(&server, &of_chat);
    server.post("/v1/tenants", &json!({ "name": "new" })).is(201);
    assert_eq!(next(&mut of_batch, 1), [told("granted", 2)]);
    assert!(of_batch.is_silent());
    assert_eq!(next(&mut granted_only, 2), [told("granted", 1), told("granted", 2)]);
    let registered = granted_only.next().unwrap();
    assert_eq!((&*registered.event, &registered.data["name"]), ("registered", &json!("new")));
    assert_eq!(next(&mut both, 1), [told("released", 1)]);
    server.get("/v1/events?tenant=nobody").refuses(404, "not-found");
    let evil = server.get("/v1/events?kind=granted%0d%0aSet-Cookie:%20a=b").refuses(400, "invalid");
    assert!(!evil.head.contains("ookie"), "{}", evil.head);
    let many = "x,".repeat(4_000);
    let answer = server.get(&format!("/v1/events?kind={many}")).refuses(400, "invalid");
    assert!(answer.text.len() < 2_000, "{}", answer.text);
    server.get("/v1/events?since=1").refuses(400, "invalid");
}

#[test]
fn a_token_of_one_tenant_hears_of_that_tenant_alone() {
    let server = Server::new(SETUP);
    let mut of_chat = listen_as(&server, "/v1/events", &server.issue("tenant:chat:read"));
    let mut of_both = listen_as(
        &server,
        "/v1/events?kind=granted",
        &server.issue("tenant:chat:read tenant:batch:request"),
    );
    granted(&server, &ask("batch", 1));
    server.post("/v1/tenants", &json!({ "name": "new" })).is(201);
    granted(&server, &ask("slow", 2));
    granted(&server, &ask("chat", 3));
    assert_eq!(next(&mut of_chat, 1), [told("granted", 3)]);
    assert!(of_chat.is_silent());
    assert_eq!(next(&mut of_both, 2), [told("granted", 1), told("granted", 3)]);
    let chat = server.issue("tenant:chat:read");
    let of = |path| server.call_as(&chat, "GET", path, None);
    of("/v1/events?tenant=batch").refuses(404, "not-found");
    of("/v1/events?tenant=nobody").refuses(404, "not-found");
    of("/v1/audit").refuses(403, "scope");
}

#[test]
fn a_number_that_goes_to_another_tenant_takes_nothing_with_it() {
    let server = Server::new(SETUP);
    let mut all = listen(&server, "/v1/events?kind=granted");
    for round in 0..20_u64 {
        let name = format!("guest-{round}");
        let guest = server.post("/v1/tenants", &json!({ "name": name })).is(201);
        let held = granted(&server, &ask(&name, round + 1));
        release(&server, &held);
        server.delete(&format!("/v1/tenants/{}", guest.id())).is(204);
    }
    for round in 0..20_u64 {
        let said = all.next().unwrap();
        assert_eq!(said.data["bytes"], round + 1);
        let name = said.data["name"].as_str();
        // Who is gone before anybody has read of it may be nobody, and never another.
        assert!(name.is_none() || name == Some(&format!("guest-{round}")), "{name:?}");
    }
}

#[test]
fn a_hundred_listeners_hear_the_same() {
    let server = Server::new(SETUP);
    let mut streams: Vec<Stream> = (0..100).map(|_| listen(&server, "/v1/events")).collect();
    for bytes in 1..=50 {
        let held = granted(&server, &ask("chat", bytes));
        release(&server, &held);
    }
    let mut heard = streams
        .iter_mut()
        .map(|stream| (0..100).map(|_| stream.next().unwrap()).collect::<Vec<Said>>());
    let first = heard.next().unwrap();
    assert_eq!((first[98].event.as_str(), &first[98].data["bytes"]), ("granted", &json!(50)));
    assert!(heard.all(|other| other == first));
}

#[test]
fn there_are_only_so_many_listeners() {
    let server = Server::new(SETUP);
    server.state.set_listeners_max(2);
    let stays = listen(&server, "/v1/events");
    let leaves = listen(&server, "/v1/events");
    let no = server.get("/v1/events").refuses(503, "too-many-listeners");
    assert!(no.header("retry-after").is_some());
    drop(leaves);
    soon("there is room again", || {
        connect(&server, "/v1/events", "").head.starts_with("HTTP/1.1 200")
    });
    drop(stays);
    soon("all have left", || server.state.listeners() == 0);
}

#[test]
fn who_comes_and_leaves_at_once_leaves_nothing_behind() {
    let server = Server::new(SETUP);
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    for round in 0..10 {
        let head = head("GET", "/v1/events", &token, "");
        let streams: Vec<_> = (0..100).map(|_| server.send(&head, "")).collect();
        granted(&server, &ask("chat", round + 1));
        drop(streams);
    }
    soon("all have left", || server.state.listeners() == 0);
    let mut stream = listen(&server, "/v1/events");
    granted(&server, &ask("chat", 99));
    assert_eq!(next(&mut stream, 1), [told("granted", 99)]);
}

#[test]
fn who_never_reads_is_cut_and_holds_up_nobody() {
    let bounds = Bounds { taken_within: Duration::from_millis(300), ..Bounds::default() };
    let server = Server::bounded(SETUP, bounds, allotment_server::LeaseBounds::default());
    let deaf = listen_narrowly(&server, "/v1/events");
    let mut reads = listen(&server, "/v1/events?kind=pressure_changed,registered");
    let governor = server.state.manager.governor();
    let tenant = governor.find_named("batch").unwrap();
    let request = allotment::Request::new(tenant, allotment::AllocationType::Inference, 3);
    soon("who never reads is cut", || {
        // A few at a time: of many at once a busy machine tells that they were lost, which fills no
        // connection.
        (0..200).for_each(|_| drop(governor.try_request(&request).unwrap()));
        server.state.listeners() == 1
    });
    server.post("/v1/tenants", &json!({ "name": "late" })).is(201);
    assert_eq!(reads.next_of("registered").data["name"], "late");
    drop(deaf);
    expect_nothing_held(&server);
}

#[test]
fn at_the_end_every_stream_ends_at_once_and_says_so() {
    let mut server = Server::new(SETUP);
    let mut streams: Vec<Stream> = (0..20).map(|_| listen(&server, "/v1/events")).collect();
    let begin = Instant::now();
    server.end();
    assert!(begin.elapsed() < Bounds::default().drain_within, "{:?}", begin.elapsed());
    for stream in &mut streams {
        assert_eq!(stream.next_of("end").data, json!({}));
        assert_eq!(stream.next(), None);
    }
}

#[test]
fn alerts_are_told_as_well() {
    let server = Server::new(SETUP);
    let mut stream = listen(&server, "/v1/events?kind=alert");
    // 47 of 48 MiB: above any threshold of utilisation.
    granted(&server, &ask("chat", 47 * MIB));
    let alert = stream.next().unwrap();
    assert_eq!((&*alert.event, &alert.data["change"]), ("alert", &json!("raised")));
    assert!(alert.data["text"].as_str().unwrap().contains("utilisation"), "{alert:?}");
}
