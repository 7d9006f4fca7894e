//! More connections than there may be: who has no token makes way for whoever comes, who has one
//! does not.

use super::*;
use allotment_server::{Bounds, LeaseBounds};
use client::{head, read_answer};
use std::io::{Read, Write};
use std::net::TcpStream;

fn server() -> Server {
    let bounds = Bounds { connections_max: 2, ..Bounds::default() };
    Server::bounded(SETUP, bounds, LeaseBounds::default())
}

/// A connection that has shown its token, and goes on to sit there.
fn known(server: &Server) -> TcpStream {
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    let asked = head("GET", "/v1/usage", &token, "").replace("Connection: close\r\n", "");
    let mut stream = server.send(&asked, "");
    let mut first = [0; 15];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    stream
}

#[test]
fn strangers_make_way_the_oldest_first() {
    let server = server();
    let mut strangers: Vec<_> =
        (0..2).map(|_| server.send("GET /healthz HTTP/1.1\r\n", "")).collect();
    // Until both are there: further ones have pushed out nobody else.
    std::thread::sleep(Duration::from_millis(100));
    server.get("/v1/usage").is(200);
    assert_eq!(read_answer(&mut strangers[0]).status, 0, "hung up on without an answer");
    strangers[1].write_all(b"Host: localhost\r\nConnection: close\r\n\r\n").unwrap();
    read_answer(&mut strangers[1]).is(200);
}

#[test]
fn a_flood_of_strangers_keeps_out_nobody_who_has_a_token() {
    let server = server();
    let _holder = known(&server);
    let mut flood = Vec::new();
    for _ in 0..20 {
        flood.extend((0..10).map(|_| server.send("GET / HTTP/1.1\r\n", "")));
        server.get("/v1/usage").is(200);
    }
}

#[test]
fn who_has_shown_a_token_keeps_its_place() {
    let server = server();
    let holders = [known(&server), known(&server)];
    let mut third = server.send(&head("GET", "/healthz", "", ""), "");
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut first_byte = [0];
    assert!(third.read(&mut first_byte).is_err(), "answered before its turn");
    drop(holders);
    third.set_read_timeout(Some(SOON)).unwrap();
    read_answer(&mut third).is(200);
}
