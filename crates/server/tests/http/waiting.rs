//! Standing in line over HTTP: served in turn, given up with the connection, refused in time.

use super::*;
use allotment_server::{Bounds, LeaseBounds};
use client::read_answer;

fn waiting(server: &Server) -> u64 {
    server.get("/v1/usage").is(200).number("waiting_requests")
}

#[test]
fn who_waits_is_served_when_bytes_come_free() {
    let server = Server::new(SETUP);
    let full = granted(&server, &ask("batch", 64 * MIB));
    let asked = with(ask("chat", 8 * MIB), "wait_ms", 60_000);
    let mut in_line = server.begin("/v1/requests", &asked);
    soon("somebody waits", || waiting(&server) == 1);
    let epoch = full.number("epoch");
    server.delete(&format!("/v1/grants/{}?epoch={epoch}", full.id())).is(204);
    let served = read_answer(&mut in_line).is(201);
    assert_eq!(served.number("bytes"), 8 * MIB);
    assert_eq!(waiting(&server), 0);
}

#[test]
fn who_hangs_up_gives_up_its_place() {
    let server = Server::new(SETUP);
    let full = granted(&server, &ask("batch", 64 * MIB));
    let asked = with(ask("chat", 8 * MIB), "wait_ms", 60_000);
    let in_line = server.begin("/v1/requests", &asked);
    soon("somebody waits", || waiting(&server) == 1);
    drop(in_line);
    soon("nobody waits", || waiting(&server) == 0);
    let epoch = full.number("epoch");
    server.delete(&format!("/v1/grants/{}?epoch={epoch}", full.id())).is(204);
    expect_nothing_held(&server);
}

#[test]
fn who_waits_in_vain_is_told_why() {
    let server = Server::new(SETUP);
    granted(&server, &ask("batch", 64 * MIB));
    let asked = with(ask("chat", 8 * MIB), "wait_ms", 150);
    let refused = server.post("/v1/requests", &asked).refuses(503, "denied");
    assert!(refused["detail"].as_str().unwrap().contains("waited"), "{}", refused.text);
    assert_eq!(refused["denial"]["reason"], "capacity");
    assert_eq!(refused["denial"]["short_bytes"], 8 * MIB);
}

#[test]
fn denials_say_whether_and_when_to_come_again() {
    let server = Server::new(SETUP);
    let never = server.post("/v1/requests", &ask("chat", 49 * MIB)).refuses(507, "denied");
    assert_eq!(never["denial"]["reason"], "tenant_limit");
    assert_eq!(never["denial"]["limit"], 48 * MIB);
    assert_eq!(never["available_bytes"], 48 * MIB);
    assert_eq!(never.header("retry-after"), None);

    granted(&server, &ask("slow", 1));
    let often = server.post("/v1/requests", &ask("slow", 1)).refuses(429, "denied");
    assert_eq!(often.header("retry-after"), Some("1"));

    granted(&server, &with(ask("batch", 60 * MIB), "type", "model_load"));
    let later = server.post("/v1/requests", &ask("chat", 8 * MIB)).refuses(503, "denied");
    assert_eq!(later["denial"]["waiting_can_help"], true);
    assert!(later.header("retry-after").is_some());
}

#[test]
fn who_waits_beyond_the_end_is_hung_up_on() {
    let drain_within = Duration::from_millis(100);
    let bounds = Bounds { drain_within, ..Bounds::default() };
    let mut server = Server::bounded(SETUP, bounds, LeaseBounds::default());
    granted(&server, &ask("batch", 64 * MIB));
    let asked = with(ask("chat", 8 * MIB), "wait_ms", 3_600_000);
    let mut in_line = server.begin("/v1/requests", &asked);
    soon("somebody waits", || waiting(&server) == 1);
    server.end();
    assert_eq!(read_answer(&mut in_line).status, 0);
    let governor = server.state.manager.governor();
    soon("nobody waits", || governor.waiters() == 0);
}

#[test]
fn who_is_served_at_the_end_is_answered_before_it() {
    let mut server = Server::new(SETUP);
    let full = granted(&server, &ask("batch", 64 * MIB));
    let asked = with(ask("chat", 8 * MIB), "wait_ms", 60_000);
    let mut in_line = server.begin("/v1/requests", &asked);
    soon("somebody waits", || waiting(&server) == 1);
    server.begin_to_end();
    soon("no connection is taken", || std::net::TcpStream::connect(server.address).is_err());
    let batch = server.state.tenant("batch").unwrap();
    let manager = &server.state.manager;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(manager.release_allocation_whole(batch, full.id())).unwrap();
    read_answer(&mut in_line).is(201);
    server.end();
}
