//! Holders of leases that are processes of their own: killed, put to sleep and woken, beside a real
//! `allot serve`. What is theirs is read from the governor's snapshot.
//!
//! A holder is this program again, with one of its tests that finds [`SERVER`] set and holds.
#![cfg(unix)]

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const TOKEN: &str = "correct-horse-battery-staple-and-more";
const FILE: &str = "capacity = \"64MiB\"\npressure = { pool = false }\n\
    [[tenants]]\nname = \"chat\"\npriority = \"critical\"\n[[tenants]]\nname = \"batch\"\n";
const MIB: u64 = 1 << 20;

/// In the environment of a holder: the address of its server, and what it asks for.
const SERVER: &str = "ALLOT_TEST_HOLDER_SERVER";
const ASK: &str = "ALLOT_TEST_HOLDER_ASK";
/// The test as which a holder runs.
const HOLDER: &str = "the_bytes_of_holders_that_are_killed_are_back_within_one_deadline";

/// A lease that is to end while the test waits for it.
const SHORT_MS: u64 = 3_000;
/// One that is not.
const LONG_MS: u64 = 600_000;
/// Longest a test waits for what has to come, on a machine that has much else to do.
const SOON: Duration = Duration::from_secs(60);
/// Longest that a holder lives, whatever becomes of whoever has started it.
const LIFE: Duration = Duration::from_secs(180);

/// The status and the body of an answer; nothing from a server that is gone.
fn call(address: &str, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(2 * SOON)).unwrap();
    let length = body.len();
    // In one piece: whoever is stopped has sent all of it or nothing.
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// Asks, says `held ID EPOCH`, renews and says so, until it is told that the lease is not its own
/// any more: then it says `told STATUS HOW`, and ends.
fn hold(address: &str) {
    let begin = Instant::now();
    let ask = std::env::var(ASK).unwrap();
    let Some((status, grant)) = call(address, "POST", "/v1/requests", &ask) else { return };
    assert_eq!(status, 201, "{grant}");
    let (id, epoch) = (grant["id"].as_str().unwrap(), grant["epoch"].as_u64().unwrap());
    eprintln!("held {id} {epoch}");
    let (path, renew) = (format!("/v1/grants/{id}/renew"), json!({ "epoch": epoch }).to_string());
    while begin.elapsed() < LIFE {
        match call(address, "POST", &path, &renew) {
            Some((200, _)) => eprintln!("renewed"),
            Some((status @ (404 | 410 | 412), no)) => {
                return eprintln!("told {status} {}", no["how"].as_str().unwrap_or("nothing"));
            }
            // Too slow, say, as one is that was stopped in the middle: it asks again.
            _ => {}
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// A folder of one test, deleted when it ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `allot serve`, until it is dropped.
struct Server {
    child: Child,
    address: String,
    _folder: Folder,
}

impl Server {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("holder-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("allot.toml"), FILE).unwrap();
        fs::write(path.join("secret"), TOKEN).unwrap();
        fs::set_permissions(path.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
        allot.current_dir(&path).args(["serve", "--listen", "127.0.0.1:0"]);
        allot.args(["--admin-token", "secret", "--config", "allot.toml"]);
        let mut child = allot.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://").unwrap().1.to_string();
        Self { child, address, _folder: Folder(path) }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        call(&self.address, method, path, &body.to_string()).unwrap()
    }

    /// Starts a holder, which has its grant when this returns.
    fn holder(&self, ask: &Value) -> Holder {
        let mut holder = self.asking(ask);
        let held = holder.says("held ");
        let (id, epoch) = held.split_once(' ').unwrap();
        (holder.id, holder.epoch) = (id.to_string(), epoch.parse().unwrap());
        holder
    }

    /// Starts a holder.
    fn asking(&self, ask: &Value) -> Holder {
        let mut this = Command::new(std::env::current_exe().unwrap());
        this.args(["--exact", HOLDER, "--nocapture"]);
        this.env(SERVER, &self.address).env(ASK, ask.to_string());
        let mut child = this.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Holder { child, lines, id: String::new(), epoch: 0 }
    }

    /// A request that is answered when its turn has come.
    fn in_line(&self, tenant: &str, mib: u64) -> thread::JoinHandle<(u16, Value)> {
        let ask = with(ask(tenant, mib, LONG_MS), "wait_ms", 2 * SOON.as_millis() as u64);
        let address = self.address.clone();
        let waits = thread::spawn(move || {
            call(&address, "POST", "/v1/requests", &ask.to_string()).unwrap()
        });
        self.soon("it waits", |snapshot| snapshot["pool"]["waiting_requests"] == 1);
        waits
    }

    fn snapshot(&self) -> Value {
        self.call("GET", "/v1/snapshot", &json!({})).1
    }

    /// Waits until the governor's snapshot says something.
    #[track_caller]
    fn soon(&self, what: &str, is: impl Fn(&Value) -> bool) {
        let begin = Instant::now();
        loop {
            let snapshot = self.snapshot();
            if is(&snapshot) {
                return;
            }
            assert!(begin.elapsed() < SOON, "{what}: not within {SOON:?}: {snapshot}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// MiB in live grants by the governor's snapshot: of all, of chat, of batch.
    fn used_mib(&self) -> [u64; 3] {
        let snapshot = self.snapshot();
        let used = |of: &Value| of["used_bytes"].as_u64().unwrap() / MIB;
        [used(&snapshot["pool"]), used(tenant(&snapshot, "chat")), used(tenant(&snapshot, "batch"))]
    }

    /// All that whoever was away may still try under its old epoch is refused with this status and
    /// kind, and changes nothing.
    #[track_caller]
    fn refuses_all(&self, holder: &Holder, status: u16, kind: &str, how: Value) {
        let before = (self.used_mib(), self.snapshot()["pool"]["leases"].clone());
        let (path, epoch) = (format!("/v1/grants/{}", holder.id), holder.epoch);
        let changes = json!({ "epoch": epoch, "bytes": 1 });
        let lives = json!({ "epoch": epoch });
        for (method, path, body) in [
            ("DELETE", format!("{path}?epoch={epoch}"), &Value::Null),
            ("POST", format!("{path}/renew"), &lives),
            ("POST", format!("{path}/touch"), &lives),
            ("POST", format!("{path}/grow"), &changes),
            ("POST", format!("{path}/shrink"), &changes),
        ] {
            let (answered, no) = self.call(method, &path, body);
            let kind = format!("urn:allotment:problem:{kind}");
            assert_eq!((answered, &no["type"]), (status, &json!(kind)), "{method} {path}: {no}");
            assert_eq!(no["how"], how, "{method} {path}: {no}");
        }
        assert_eq!((self.used_mib(), self.snapshot()["pool"]["leases"].clone()), before);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that holds a lease, until it is dropped.
struct Holder {
    child: Child,
    lines: Receiver<String>,
    id: String,
    epoch: u64,
}

impl Holder {
    /// Waits until it says something that begins like this, and answers the rest.
    #[track_caller]
    fn says(&self, begins: &str) -> String {
        let begin = Instant::now();
        let mut said = String::new();
        loop {
            let left = SOON.saturating_sub(begin.elapsed());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("it never says `{begins}`:\n{said}"));
            if let Some(rest) = line.strip_prefix(begins) {
                return rest.to_string();
            }
            said += &format!("{line}\n");
        }
    }

    fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// `kill -9`.
    fn kill(&mut self) {
        self.signal(libc::SIGKILL);
        assert_eq!(self.child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    /// Ends by itself, well.
    fn ends(&mut self) {
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(tenant: &str, mib: u64, lease_ms: u64) -> Value {
    json!({ "tenant": tenant, "bytes": mib * MIB, "type": "inference", "lease_ms": lease_ms })
}

fn with(mut ask: Value, name: &str, value: impl Into<Value>) -> Value {
    ask[name] = value.into();
    ask
}

fn tenant<'v>(snapshot: &'v Value, name: &str) -> &'v Value {
    let mut tenants = snapshot["tenants"].as_array().unwrap().iter();
    tenants.find(|tenant| tenant["name"] == name).unwrap()
}

#[test]
fn the_bytes_of_holders_that_are_killed_are_back_within_one_deadline() {
    if let Ok(address) = std::env::var(SERVER) {
        return hold(&address);
    }
    let server = Server::new("killed");
    let neighbour = server.holder(&ask("batch", 8, LONG_MS));
    let mut killed = [0; 3].map(|_| server.holder(&ask("chat", 16, SHORT_MS)));
    assert_eq!(server.used_mib(), [56, 48, 8]);
    killed.iter().for_each(|holder| _ = holder.says("renewed"));
    let in_line = server.in_line("batch", 40);
    killed.iter_mut().for_each(Holder::kill);
    let begin = Instant::now();
    for holder in &killed {
        let (status, grant) = server.call("GET", &format!("/v1/grants/{}", holder.id), &json!({}));
        let left_ms = grant["expires_in_ms"].as_u64();
        assert!(status == 410 || left_ms.is_some_and(|left| left <= SHORT_MS), "{grant}");
    }
    server.soon("all bytes are back", |snapshot| tenant(snapshot, "chat")["used_bytes"] == 0);
    let took = begin.elapsed();
    eprintln!("back {took:.2?} after the kill, of leases of {SHORT_MS} ms");
    // As much again for a machine that has much else to do.
    assert!(took < 2 * Duration::from_millis(SHORT_MS) + Duration::from_secs(10), "{took:?}");
    // They are somebody else's now, who did nothing but wait.
    assert_eq!(in_line.join().unwrap().0, 201);
    assert_eq!(server.used_mib(), [48, 0, 48]);
    for holder in &killed {
        server.refuses_all(holder, 410, "ended", json!("expired"));
        let take = format!("/v1/grants/{}/takeover", holder.id);
        assert_eq!(server.call("POST", &take, &json!({})).0, 410);
    }
    // Who lives has noticed nothing.
    neighbour.says("renewed");
    assert_eq!(server.used_mib(), [48, 0, 48]);
}

#[test]
fn whoever_takes_over_from_one_that_was_killed_is_not_hurt_by_the_old_epoch() {
    let server = Server::new("takeover");
    let mut killed = server.holder(&ask("chat", 16, LONG_MS));
    killed.kill();
    let path = format!("/v1/grants/{}", killed.id);
    let (status, taken) = server.call("POST", &format!("{path}/takeover"), &json!({}));
    let epoch = taken["epoch"].as_u64().unwrap();
    assert!(status == 200 && epoch > killed.epoch, "{taken}");
    server.refuses_all(&killed, 412, "stale-epoch", Value::Null);
    assert_eq!(server.used_mib(), [16, 16, 0]);
    assert_eq!(server.call("DELETE", &format!("{path}?epoch={epoch}"), &Value::Null).0, 204);
    assert_eq!(server.used_mib(), [0, 0, 0]);
}

#[test]
fn one_that_is_killed_in_line_leaves_nothing_behind() {
    let server = Server::new("in-line");
    let mut first = server.holder(&ask("batch", 64, LONG_MS));
    let mut second = server.asking(&with(ask("chat", 64, LONG_MS), "wait_ms", LONG_MS));
    server.soon("it waits", |snapshot| snapshot["pool"]["waiting_requests"] == 1);
    second.kill();
    server.soon("nobody waits", |snapshot| snapshot["pool"]["waiting_requests"] == 0);
    first.kill();
    let release = format!("/v1/grants/{}?epoch={}", first.id, first.epoch);
    assert_eq!(server.call("DELETE", &release, &Value::Null).0, 204);
    assert_eq!(server.used_mib(), [0, 0, 0]);
    assert_eq!(server.snapshot()["pool"]["leases"], 0);
}

#[test]
fn one_that_slept_beyond_its_deadline_is_told_so_and_holds_nothing() {
    let server = Server::new("slept");
    let mut sleeper = server.holder(&ask("chat", 48, SHORT_MS));
    let in_line = server.in_line("batch", 64);
    sleeper.says("renewed");
    sleeper.signal(libc::SIGSTOP);
    assert_eq!(in_line.join().unwrap().0, 201, "served when the lease of the sleeper ends");
    assert_eq!(server.used_mib(), [64, 0, 64]);
    sleeper.signal(libc::SIGCONT);
    assert_eq!(sleeper.says("told "), "410 expired");
    sleeper.ends();
    server.refuses_all(&sleeper, 410, "ended", json!("expired"));
    assert_eq!(server.used_mib(), [64, 0, 64]);
}

#[test]
fn one_that_slept_while_its_memory_was_needed_is_told_so_and_holds_nothing() {
    let server = Server::new("wanted");
    let cache = |lease_ms, how| {
        let cache = with(ask("batch", 60, lease_ms), "type", "cache");
        with(cache, "on_evict", how)
    };
    // What may go at once is gone, though its lease would last.
    let mut sleeper = server.holder(&cache(LONG_MS, "at_once"));
    sleeper.signal(libc::SIGSTOP);
    let (status, granted) = server.call("POST", "/v1/requests", &ask("chat", 48, LONG_MS));
    assert_eq!((status, server.used_mib()), (201, [48, 48, 0]), "{granted}");
    sleeper.signal(libc::SIGCONT);
    assert_eq!(sleeper.says("told "), "410 evicted");
    sleeper.ends();
    server.refuses_all(&sleeper, 410, "ended", json!("evicted"));
    let path = format!("/v1/grants/{}", granted["id"].as_str().unwrap());
    let release = format!("{path}?epoch={}", granted["epoch"]);
    assert_eq!(server.call("DELETE", &release, &Value::Null).0, 204);

    // Whoever is asked, and sleeps, loses it with the lease.
    let mut sleeper = server.holder(&cache(SHORT_MS, "ask"));
    sleeper.says("renewed");
    sleeper.signal(libc::SIGSTOP);
    let in_line = server.in_line("chat", 48);
    assert_eq!((in_line.join().unwrap().0, server.used_mib()), (201, [48, 48, 0]));
    sleeper.signal(libc::SIGCONT);
    assert_eq!(sleeper.says("told "), "410 expired");
    sleeper.ends();
    server.refuses_all(&sleeper, 410, "ended", json!("expired"));
}
