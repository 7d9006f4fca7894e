//! `allot serve` with a configuration that changes and a state that is kept: signals, editors,
//! files that are no files, and kills at any moment.
#![cfg(unix)]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const TOKEN: &str = "correct-horse-battery-staple-and-more";
const FILE: &str = "capacity = \"1GiB\"\n[[tenants]]\nname = \"chat\"\nlimit = \"512MiB\"\n";
/// Longest a test waits for what has to come.
const SOON: Duration = Duration::from_secs(30);

/// A folder of this test alone, with a token and a configuration.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("reload-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("secret"), TOKEN).unwrap();
        fs::set_permissions(path.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        let folder = Self(path);
        folder.write(FILE);
        folder
    }

    fn config(&self) -> PathBuf {
        self.0.join("allot.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.config(), text).unwrap();
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
        allot.current_dir(&self.0).args(["serve", "--listen", "127.0.0.1:0"]);
        allot.args(["--admin-token", "secret", "--config", "allot.toml"]).args(options);
        allot.stdout(Stdio::piped()).stderr(Stdio::piped());
        allot
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A server that runs until it is dropped.
struct Running {
    child: Child,
    address: String,
    complaints: Arc<Mutex<String>>,
}

impl Running {
    fn new(folder: &Folder, options: &[&str]) -> Self {
        let mut child = folder.command(options).spawn().unwrap();
        let complaints = Arc::<Mutex<String>>::default();
        let (told, stderr) = (complaints.clone(), BufReader::new(child.stderr.take().unwrap()));
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                *told.lock().unwrap() += &format!("{line}\n");
            }
        });
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://");
        let address = address.unwrap_or_else(|| panic!("{}", complaints.lock().unwrap())).1;
        Self { child, address: address.to_string(), complaints }
    }

    /// The status and the body of an answer; nothing from a server that is gone.
    fn call(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        self.call_as(TOKEN, method, path, body)
    }

    fn call_as(&self, token: &str, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        let (address, length) = (&self.address, body.len());
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
    }

    fn get(&self, path: &str) -> Value {
        self.call("GET", path, "").unwrap().1
    }

    fn limit_mib(&self, tenant: &str) -> Option<u64> {
        Some(self.get(&format!("/v1/tenants/{tenant}"))["limit_bytes"].as_u64()? >> 20)
    }

    fn signal(&self, signal: i32) {
        // SAFETY: a signal to a child that was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    fn told(&self, part: &str) -> bool {
        self.complaints.lock().unwrap().contains(part)
    }

    #[track_caller]
    fn soon_told(&self, part: &str) {
        let begin = Instant::now();
        while !self.told(part) {
            let told = self.complaints.lock().unwrap().clone();
            assert!(begin.elapsed() < SOON, "{part:?} is not told in {told}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn soon_has(&self, tenant: &str, limit_mib: u64) {
        let begin = Instant::now();
        while self.limit_mib(tenant) != Some(limit_mib) {
            assert!(begin.elapsed() < SOON, "{:?}", self.limit_mib(tenant));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_file_that_changes_is_applied_however_it_is_written() {
    let folder = Folder::new("change");
    let running = Running::new(&folder, &[]);
    assert_eq!(running.limit_mib("chat"), Some(512));
    folder.write(&FILE.replace("512MiB", "256MiB"));
    running.soon_has("chat", 256);
    running.soon_told("tenants.chat.limit: 512MiB -> 256MiB");
    // As editors do: another file, renamed.
    let beside = folder.0.join("allot.toml.new");
    fs::write(&beside, FILE.replace("512MiB", "128MiB")).unwrap();
    fs::rename(&beside, folder.config()).unwrap();
    running.soon_has("chat", 128);
    // As what mounts configurations does: a link that is turned, to a file of the same length
    // and an older time.
    let [a, b] = ["a.toml", "b.toml"].map(|name| folder.0.join(name));
    fs::write(&b, FILE.replace("512MiB", "130MiB")).unwrap();
    fs::write(&a, FILE.replace("512MiB", "120MiB")).unwrap();
    symlink(&a, &beside).unwrap();
    fs::rename(&beside, folder.config()).unwrap();
    running.soon_has("chat", 120);
    symlink(&b, &beside).unwrap();
    fs::rename(&beside, folder.config()).unwrap();
    running.soon_has("chat", 130);
}

#[test]
fn a_signal_is_answered_at_once_and_twice_is_once() {
    let folder = Folder::new("signal");
    let running = Running::new(&folder, &[]);
    folder.write(&FILE.replace("512MiB", "256MiB"));
    running.signal(libc::SIGHUP);
    running.signal(libc::SIGHUP);
    running.soon_has("chat", 256);
    running.signal(libc::SIGHUP);
    running.soon_told("the configuration is applied: 0 values differ");
    let history = running.get("/v1/config")["history"].clone();
    assert_eq!(history["last_error"], Value::Null, "{history}");
}

/// What `allot token` says.
fn token(folder: &Folder, options: &[&str]) -> String {
    let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
    let said = allot.current_dir(&folder.0).arg("token").args(options).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap().trim().to_string()
}

#[test]
fn a_signal_has_the_keys_read_again() {
    let folder = Folder::new("keys");
    let keys = folder.0.join("keys");
    let issue = || token(&folder, &["issue", "--keys", "keys", "--scope", "read", "--ttl", "1h"]);
    let hang_up = |running: &Running, told: &str| {
        running.complaints.lock().unwrap().clear();
        running.signal(libc::SIGHUP);
        running.soon_told(told);
    };
    token(&folder, &["key", "--keys", "keys", "--kid", "old"]);
    let by_old = issue();
    let running = Running::new(&folder, &["--keys", "keys"]);
    token(&folder, &["key", "--keys", "keys", "--kid", "new"]);
    let by_new = issue();
    let status = |token: &str| running.call_as(token, "GET", "/v1/usage", "").unwrap().0;
    assert_eq!([&by_old, &by_new].map(|token| status(token)), [200, 401]);
    hang_up(&running, "the keys of keys are in force");
    assert_eq!([&by_old, &by_new].map(|token| status(token)), [200, 200]);
    // What is no file of keys, or may be read by others, changes nothing.
    let both = fs::read_to_string(&keys).unwrap();
    fs::write(&keys, "{").unwrap();
    hang_up(&running, "the keys stay as they were");
    fs::write(&keys, &both).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    hang_up(&running, "others may read it");
    assert_eq!([&by_old, &by_new].map(|token| status(token)), [200, 200]);
    let mut new: Value = serde_json::from_str(&both).unwrap();
    new["keys"].as_array_mut().unwrap().pop();
    fs::write(&keys, new.to_string()).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o600)).unwrap();
    hang_up(&running, "the keys of keys are in force");
    assert_eq!([&by_old, &by_new].map(|token| status(token)), [401, 200]);
    assert_eq!(status(TOKEN), 200);
}

#[test]
fn what_cannot_be_read_or_is_not_sound_leaves_everything_as_it_is() {
    let folder = Folder::new("bad");
    let running = Running::new(&folder, &[]);
    let stays = |why: &str| {
        running.soon_told(why);
        assert_eq!(running.limit_mib("chat"), Some(512));
        let error = running.get("/v1/config")["history"]["last_error"].clone();
        assert!(error.as_str().is_some_and(|error| error.contains(why)), "{error}: {why}");
    };
    folder.write(&FILE.replace("512MiB", "512 apples"));
    stays("allot.toml:4: `limit`: `512 apples` has the unknown unit `apples`");
    folder.write(" \n");
    stays("the file is empty, and 1 tenants would leave");
    fs::write(folder.config(), b"\xff").unwrap();
    stays("allot.toml:1: this is not UTF-8");
    fs::remove_file(folder.config()).unwrap();
    stays("allot.toml: the configuration cannot be read: no such file");
    fs::create_dir(folder.config()).unwrap();
    stays("allot.toml: the configuration cannot be read: it is no file");
    fs::remove_dir(folder.config()).unwrap();
    symlink(folder.config(), folder.config()).unwrap();
    stays("symbolic links");
    fs::remove_file(folder.config()).unwrap();
    symlink("/dev/zero", folder.config()).unwrap();
    running.signal(libc::SIGHUP);
    fs::remove_file(folder.config()).unwrap();
    // Put there whole: half of it is a comment, by which all tenants leave.
    let whole = folder.config().with_extension("new");
    fs::write(&whole, "#".repeat(5 << 20)).unwrap();
    fs::rename(whole, folder.config()).unwrap();
    stays("the file has more than 4194304 bytes");
    folder.write(&FILE.replace("512MiB", "300MiB"));
    running.soon_has("chat", 300);
    assert_eq!(running.get("/v1/config")["history"]["last_error"], Value::Null);
}

#[test]
fn options_and_variables_stay_over_a_file_that_changes() {
    let folder = Folder::new("layers");
    let running = Running::new(&folder, &["--set", "tenants.chat.priority=high"]);
    folder.write(&(FILE.replace("512MiB", "256MiB") + "priority = \"low\"\n"));
    running.soon_has("chat", 256);
    assert_eq!(running.get("/v1/tenants/chat")["priority"], "high");
    let values = running.get("/v1/config")["values"].as_array().unwrap().clone();
    let origin = |key: &str| values.iter().find(|v| v["key"] == key).unwrap()["origin"].clone();
    assert_eq!(origin("tenants.chat.priority"), "--set tenants.chat.priority");
    assert_eq!(origin("tenants.chat.limit"), "allot.toml:4");
}

#[test]
fn a_state_that_cannot_be_kept_is_refused_at_the_start() {
    let folder = Folder::new("state");
    let refused = |state: &str, part: &str| {
        let output = folder.command(&["--state", state]).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(part), "{complaint}");
    };
    refused("allot.toml", "is no state file of allot; name another");
    assert_eq!(fs::read_to_string(folder.config()).unwrap(), FILE, "left alone");
    refused("no/folder/state", "no/folder/state.lock");
    refused("/dev/full", "/dev/full");
    fs::create_dir(folder.0.join("folder")).unwrap();
    refused("folder", "is no file");
    let running = Running::new(&folder, &["--state", "state"]);
    refused("state", "another server keeps its state there");
    assert!(!running.told("grants of before"), "there was nothing before");
    drop(running);
    let running = Running::new(&folder, &["--state", "state"]);
    running.soon_told("grants of before are not kept: their holders ask again");
}

/// A disk that is full: files may not grow beyond 4 KiB, which is no signal's business.
#[test]
fn what_a_full_disk_does_not_take_is_refused_and_nothing_that_was_answered_is_lost() {
    let folder = Folder::new("full");
    let mut shell = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"";
    let plain = folder.command(&["--state", "state"]);
    shell.args(["-c", script]).arg(plain.get_program()).args(plain.get_args());
    shell.current_dir(&folder.0).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = shell.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit_once("http://").unwrap().1.to_string();
    let running = Running { child, address, complaints: Arc::default() };
    let mut answered = 0;
    let refused = (0..200).find_map(|n| {
        let wish = json!({ "name": format!("t{n}") }).to_string();
        let (status, body) = running.call("POST", "/v1/tenants", &wish).unwrap();
        answered += u32::from(status == 201);
        (status != 201).then_some((status, body))
    });
    let (status, body) = refused.expect("the disk is full some time");
    assert_eq!((status, &body["type"]), (500, &json!("urn:allotment:problem:not-kept")), "{body}");
    assert!(answered > 0);
    drop(running);
    let running = Running::new(&folder, &["--state", "state"]);
    let tenants = running.get("/v1/tenants").as_array().unwrap().len();
    assert_eq!(tenants as u32, answered + 1, "those, and the one of the file");
}

/// What a server was told, as far as it has answered.
#[derive(Default)]
struct Answered {
    limits_mib: BTreeMap<String, u64>,
    /// A name whose last request was not answered: it may be as before or as asked for.
    open: Option<(String, Option<u64>)>,
}

impl Answered {
    /// Registers, changes and removes tenants until the server is gone.
    fn go_on(&mut self, running: &Running, from: u64) -> u64 {
        let mut n = from;
        loop {
            n += 1;
            let name = format!("t{}", n * 7 % 20);
            let limit = 1 + n % 97;
            let path = format!("/v1/tenants/{name}");
            let wish = json!({ "limit": limit << 20 }).to_string();
            let (answer, wanted) = match (self.limits_mib.contains_key(&name), n % 3) {
                (false, _) => {
                    let wish = json!({ "name": name, "limit": limit << 20 }).to_string();
                    (running.call("POST", "/v1/tenants", &wish), Some(limit))
                }
                (true, 0) => (running.call("DELETE", &path, ""), None),
                (true, _) => (running.call("PATCH", &path, &wish), Some(limit)),
            };
            let Some((status, body)) = answer else {
                self.open = Some((name, wanted));
                return n;
            };
            assert!((200..300).contains(&status), "{status} {body}");
            match wanted {
                Some(limit) => self.limits_mib.insert(name, limit),
                None => self.limits_mib.remove(&name),
            };
        }
    }

    /// Holds a new server to what the one before has answered.
    fn check(&mut self, running: &Running) {
        if let Some((name, wanted)) = self.open.take() {
            let now = running.limit_mib(&name);
            let before = self.limits_mib.get(&name).copied();
            assert!(now == before || now == wanted, "{name}: {now:?}, {before:?} -> {wanted:?}");
            match now {
                Some(limit) => self.limits_mib.insert(name, limit),
                None => self.limits_mib.remove(&name),
            };
        }
        let tenants = running.get("/v1/tenants");
        let there = tenants.as_array().unwrap().iter().filter(|tenant| tenant["name"] != "chat");
        let there: BTreeMap<String, u64> = there
            .map(|tenant| {
                let name = tenant["name"].as_str().unwrap().to_string();
                (name, tenant["limit_bytes"].as_u64().unwrap() >> 20)
            })
            .collect();
        assert_eq!(there, self.limits_mib);
    }
}

#[test]
fn killed_at_any_moment_it_knows_everything_that_it_has_answered() {
    let folder = Folder::new("kill");
    let (mut answered, mut n) = (Answered::default(), 0);
    for round in 0..16_u64 {
        // Also while it starts, and writes its file anew.
        let mut starting = folder.command(&["--state", "state"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(round * 3));
        starting.kill().unwrap();
        starting.wait().unwrap();
        let running = Running::new(&folder, &["--state", "state"]);
        answered.check(&running);
        let id = running.child.id() as i32;
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(20_000 + round * 7_919 % 60_000));
            // SAFETY: a signal to a child that is waited for only after this thread was joined.
            unsafe { libc::kill(id, libc::SIGKILL) };
        });
        n = answered.go_on(&running, n);
        killer.join().unwrap();
    }
    assert!(n > 16, "{n} requests");
    answered.check(&Running::new(&folder, &["--state", "state"]));
}

#[test]
fn tenants_and_limits_survive_a_restart_grants_do_not_and_the_audit_log_says_so() {
    let folder = Folder::new("restart");
    let mut keygen = Command::new(env!("CARGO_BIN_EXE_allot"));
    assert!(
        keygen.current_dir(&folder.0).args(["audit", "keygen", "key"]).status().unwrap().success()
    );
    let options = ["--state", "state", "--audit", "log", "--audit-key", "key"];
    let mut running = Running::new(&folder, &options);
    let new = json!({ "name": "guest", "limit": "64MiB", "guarantee": "16MiB" }).to_string();
    assert_eq!(running.call("POST", "/v1/tenants", &new).unwrap().0, 201);
    let limit = json!({ "limit": "256MiB" }).to_string();
    assert_eq!(running.call("PATCH", "/v1/tenants/chat", &limit).unwrap().0, 200);
    let ask = json!({ "tenant": "guest", "bytes": "32MiB", "type": "inference" }).to_string();
    let (status, held) = running.call("POST", "/v1/requests", &ask).unwrap();
    assert_eq!((status, &running.get("/v1/usage")["used_bytes"]), (201, &json!(32 << 20)));
    running.signal(libc::SIGTERM);
    assert!(running.child.wait().unwrap().success());

    let running = Running::new(&folder, &options);
    running.soon_told("grants of before are not kept: their holders ask again");
    assert_eq!((running.limit_mib("guest"), running.limit_mib("chat")), (Some(64), Some(256)));
    assert_eq!(running.get("/v1/tenants/guest")["guarantee_bytes"], 16 << 20);
    assert_eq!(running.get("/v1/usage")["used_bytes"], 0);
    assert_eq!(running.get("/v1/grants"), json!([]));
    let path = format!("/v1/grants/{}?epoch={}", held["id"].as_str().unwrap(), held["epoch"]);
    assert_eq!(running.call("DELETE", &path, "").unwrap().0, 404);
    assert_eq!(running.call("POST", "/v1/audit/checkpoint", "{}").unwrap().0, 200);
    let page = running.get("/v1/audit?kind=opened,granted");
    let kinds = page["records"].as_array().unwrap().iter().map(|record| &record["kind"]);
    assert_eq!(kinds.collect::<Vec<_>>(), ["opened", "granted", "opened"], "{page}");
    assert_eq!(page["records"][1]["grant"], held["id"]);
    let opened = page["records"][2]["text"].as_str().unwrap();
    assert!(opened.contains("grants of one before it are gone"), "{opened}");
}
