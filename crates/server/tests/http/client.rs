//! A server in this process, and a client of a few lines.

use super::schema;
use allotment::audit::{JournalOptions, Key};
use allotment::{AuditMode, GovernorConfig};
use allotment_server::{
    AUDIENCE, Bounds, Door, Issue, Keys, LeaseBounds, Pace, Scope, State, add_key, new_token, serve,
};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Index;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// Longest that the client waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What the head of a stream of events has.
const STREAM: &[u8] = b"content-type: text/event-stream";

/// A server that ends with this value.
pub struct Server {
    pub address: SocketAddr,
    pub token: String,
    /// The text of the keys in force.
    pub keys: String,
    pub state: Arc<State>,
    end: Option<oneshot::Sender<()>>,
    served: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
    runtime: Runtime,
}

impl Server {
    pub fn new(setup: &str) -> Self {
        Self::bounded(setup, Bounds::default(), LeaseBounds::default())
    }

    pub fn bounded(setup: &str, bounds: Bounds, leases: LeaseBounds) -> Self {
        Self::paced(setup, bounds, leases, Pace::default())
    }

    pub fn paced(setup: &str, bounds: Bounds, leases: LeaseBounds, pace: Pace) -> Self {
        let setup = allotment_config::parse(setup, Path::new("allot.toml")).unwrap();
        let token = new_token().unwrap();
        let keys = add_key(None, "first").unwrap();
        let door = Door::new(&token, vec!["allot.test".to_string()]).paced(pace);
        door.set_keys(Some(Keys::read(&keys, AUDIENCE).unwrap()));
        let state = State::new(&setup, door, leases).unwrap();
        Self::of(state, token, keys, bounds)
    }

    /// One that writes down what happens.
    pub fn audited(setup: &str, folder: &Path, key: &Key, mode: AuditMode) -> Self {
        let setup = allotment_config::parse(setup, Path::new("allot.toml")).unwrap();
        let token = new_token().unwrap();
        let door = Door::new(&token, Vec::new());
        let audit = move |governor: &mut GovernorConfig| governor.audit = mode;
        let state = State::tuned(&setup, door, LeaseBounds::default(), audit).unwrap();
        state.start_audit(folder, key, JournalOptions::default()).unwrap();
        Self::of(state, token, String::new(), Bounds::default())
    }

    fn of(state: Arc<State>, token: String, keys: String, bounds: Bounds) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let ended = async {
            let _ = ended.await;
        };
        let served = Some(runtime.spawn(serve(listener, state.clone(), bounds, ended)));
        Self { address, token, keys, state, end: Some(end), served, runtime }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, Some(body))
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path, Some(body))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, None)
    }

    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.call_as(&self.token, method, path, body)
    }

    pub fn call_as(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string).unwrap_or_default();
        let token = format!("Authorization: Bearer {token}\r\n");
        let answer = self.raw(&head(method, path, &token, &body), &body);
        schema::check(self.document(), method, path, &answer);
        answer
    }

    /// What the server says of its routes; no token.
    pub fn document(&self) -> &'static Value {
        schema::document(|| self.raw(&head("GET", "/v1/openapi.json", "", ""), "").is(200).body)
    }

    /// A token with these scopes, good for an hour.
    pub fn issue(&self, scopes: &str) -> String {
        let keys = Keys::read(&self.keys, AUDIENCE).unwrap();
        let scopes = scopes.split(' ').map(scope).collect();
        keys.issue(&Issue { scopes, lasts: Duration::from_secs(3_600), subject: None }).unwrap()
    }

    /// Sends what it is given, whatever that is, and reads one answer.
    pub fn raw(&self, head: &str, body: &str) -> Answer {
        read_answer(&mut self.send(head, body))
    }

    /// Sends a request and leaves the answer to be read.
    pub fn send(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        // Who refuses the head may have closed already.
        let _ = stream.write_all(body.as_bytes());
        stream
    }

    /// The same over a connection that holds little of what is not read.
    pub fn send_narrow(&self, head: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = self.runtime.block_on(socket.connect(self.address)).unwrap();
        let mut stream = stream.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    /// A request whose answer nobody has waited for yet.
    pub fn begin(&self, path: &str, body: &Value) -> TcpStream {
        let token = format!("Authorization: Bearer {}\r\n", self.token);
        let body = body.to_string();
        self.send(&head("POST", path, &token, &body), &body)
    }

    /// Asks it to end, and waits until it has.
    pub fn end(&mut self) {
        drop(self.end.take());
        if let Some(served) = self.served.take() {
            self.runtime.block_on(served).unwrap().unwrap();
        }
    }

    /// Asks it to end.
    pub fn begin_to_end(&mut self) {
        drop(self.end.take());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

fn scope(text: &str) -> Scope {
    let (tenant, right) = text.rsplit_once(':').map_or((None, text), |(tenant, right)| {
        (Some(tenant.strip_prefix("tenant:").unwrap().to_string()), right)
    });
    Scope { tenant, right: right.parse().unwrap() }
}

pub fn head(method: &str, path: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\n{more}Content-Length: {length}\r\n\r\n"
    )
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub text: String,
    pub body: Value,
}

pub fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let mut part = [0; 4_096];
    loop {
        let count = stream.read(&mut part).unwrap();
        bytes.extend_from_slice(&part[..count]);
        // A stream of events has no end: its beginning has all that is asked here.
        if count == 0 || bytes.windows(STREAM.len()).any(|window| window == STREAM) {
            break;
        }
    }
    let text = String::from_utf8(bytes).unwrap();
    let (head, text) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = serde_json::from_str(text).unwrap_or(Value::Null);
    Answer { status, head: head.to_string(), text: text.to_string(), body }
}

impl Answer {
    /// Fails unless it has this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.text);
        self
    }

    /// Fails unless it is a problem of this kind.
    #[track_caller]
    pub fn refuses(self, status: u16, kind: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer["type"], format!("urn:allotment:problem:{kind}"), "{}", answer.text);
        assert_eq!(answer["status"], status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.into_iter().find(|(of, _)| of.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    pub fn id(&self) -> &str {
        self["id"].as_str().unwrap()
    }

    pub fn number(&self, name: &str) -> u64 {
        self[name].as_u64().unwrap_or_else(|| panic!("{name} of {}", self.text))
    }
}

impl Index<&str> for Answer {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        &self.body[name]
    }
}
