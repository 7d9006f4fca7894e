//! A client of the stream of events: reads chunks, and takes them apart.

use super::client::{Server, head};
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

/// One thing that was said. Heartbeats are passed over.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    pub id: Option<String>,
    pub event: String,
    pub data: Value,
}

pub struct Stream {
    reader: BufReader<TcpStream>,
    pub head: String,
    text: String,
    /// Set aside for `next` after something was waited for.
    over: bool,
}

/// Starts to listen, whatever is answered.
pub fn connect(server: &Server, path: &str, more: &str) -> Stream {
    let token = format!("Authorization: Bearer {}\r\n{more}", server.token);
    over(server.send(&head("GET", path, &token, ""), ""))
}

/// Listens with a token of its own.
pub fn listen_as(server: &Server, path: &str, token: &str) -> Stream {
    let token = format!("Authorization: Bearer {token}\r\n");
    over(server.send(&head("GET", path, &token, ""), ""))
}

/// Listens over a connection that holds little of what is not read.
pub fn listen_narrowly(server: &Server, path: &str) -> Stream {
    let token = format!("Authorization: Bearer {}\r\n", server.token);
    over(server.send_narrow(&head("GET", path, &token, "")))
}

fn over(stream: TcpStream) -> Stream {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    Stream { reader, head, text: String::new(), over: false }
}

/// Listens.
pub fn listen(server: &Server, path: &str) -> Stream {
    let stream = connect(server, path, "");
    assert!(stream.head.starts_with("HTTP/1.1 200"), "{}", stream.head);
    stream
}

/// Goes on after an id.
pub fn resume(server: &Server, path: &str, id: &str) -> Stream {
    let stream = connect(server, path, &format!("Last-Event-ID: {id}\r\n"));
    assert!(stream.head.starts_with("HTTP/1.1 200"), "{}", stream.head);
    stream
}

impl Stream {
    /// The next thing that is said; none at the end of the stream.
    pub fn next(&mut self) -> Option<Said> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let said = parse(block);
                self.text = rest.to_string();
                if !said.event.is_empty() {
                    return Some(said);
                }
            }
            if self.over {
                return None;
            }
            self.chunk();
        }
    }

    /// The next one of this kind.
    pub fn next_of(&mut self, event: &str) -> Said {
        loop {
            let said = self.next().unwrap_or_else(|| panic!("the stream ended before {event}"));
            if said.event == event {
                return said;
            }
        }
    }

    /// Whether nothing is said for a while.
    pub fn is_silent(&mut self) -> bool {
        let socket = self.reader.get_ref();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut byte = [0];
        let peeked = match self.reader.buffer() {
            [] => self.reader.get_ref().peek(&mut byte),
            _ => Ok(1),
        };
        self.reader.get_ref().set_read_timeout(Some(super::SOON)).unwrap();
        let waits = |error: &std::io::Error| {
            matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
        };
        !self.text.contains("event:") && peeked.is_err_and(|error| waits(&error))
    }

    fn chunk(&mut self) {
        let mut size = String::new();
        self.reader.read_line(&mut size).unwrap();
        let bytes = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let mut chunk = vec![0; bytes + 2];
        if bytes == 0 || self.reader.read_exact(&mut chunk).is_err() {
            self.over = true;
            return;
        }
        self.text.push_str(std::str::from_utf8(&chunk[..bytes]).unwrap());
    }
}

fn parse(block: &str) -> Said {
    let mut said = Said::default();
    for line in block.lines() {
        match line.split_once(": ") {
            Some(("id", id)) => said.id = Some(id.to_string()),
            Some(("event", event)) => said.event = event.to_string(),
            Some(("data", data)) => said.data = serde_json::from_str(data).unwrap(),
            Some(("retry", _)) | None => {}
            Some(other) => panic!("{other:?}"),
        }
    }
    said
}
