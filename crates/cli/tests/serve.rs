//! `allot serve` from the outside: what it prints, whom it lets in, how it ends, what it refuses.
#![cfg(unix)]

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A folder of this test alone.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("serve-{name}"));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn command(folder: &Folder, options: &[&str]) -> Command {
    let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
    allot.current_dir(&folder.0).arg("serve").args(options);
    allot
}

/// A server that runs until it is dropped.
struct Running {
    child: Child,
    address: String,
    lines: Vec<String>,
}

impl Running {
    fn new(folder: &Folder, options: &[&str], lines: usize) -> Self {
        let mut command = command(folder, &["--listen", "127.0.0.1:0"]);
        let mut child = command.args(options).stdout(Stdio::piped()).spawn().unwrap();
        let printed = BufReader::new(child.stdout.take().unwrap());
        let lines: Vec<String> = printed.lines().take(lines).map(Result::unwrap).collect();
        let address = lines[0].rsplit_once("http://").unwrap().1.to_string();
        Self { child, address, lines }
    }

    fn get(&self, path: &str, token: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let address = &self.address;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    /// Tells it to end; its exit code.
    fn end(&mut self, signal: i32) -> Option<i32> {
        // SAFETY: a signal to a child that was not waited for yet.
        unsafe { libc::kill(self.child.id() as i32, signal) };
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `allot token` says; fails if it refuses.
fn token(folder: &Folder, options: &[&str]) -> String {
    let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
    let said = allot.current_dir(&folder.0).arg("token").args(options).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

/// `allot token` refuses, and says so.
fn no_token(folder: &Folder, options: &[&str], part: &str) {
    let mut allot = Command::new(env!("CARGO_BIN_EXE_allot"));
    let said = allot.current_dir(&folder.0).arg("token").args(options).output().unwrap();
    let complaint = String::from_utf8(said.stderr).unwrap();
    assert_eq!((said.status.code(), said.stdout.len()), (Some(2), 0), "{complaint}");
    assert!(complaint.contains(part), "{complaint}");
}

fn refused(folder: &Folder, options: &[&str], part: &str) {
    let Output { status, stderr, .. } = command(folder, options).output().unwrap();
    let complaint = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{complaint}");
    assert!(complaint.contains(part), "{complaint}");
}

#[test]
fn without_a_configuration_it_shares_the_machine_with_whoever_has_the_token() {
    let folder = Folder::new("bare");
    let mut running = Running::new(&folder, &[], 3);
    assert!(running.lines[0].contains("0 tenants in 0 groups"), "{:?}", running.lines);
    assert_eq!(running.lines[1], "token for this run: in allot.token");
    let file = folder.0.join("allot.token");
    let token = fs::read_to_string(&file).unwrap().trim().to_string();
    assert!(!running.lines.concat().contains(&token), "{:?}", running.lines);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let (status, usage) = running.get("/v1/usage", &token);
    assert_eq!(status, 200);
    assert!(usage["capacity_bytes"].as_u64().unwrap() > 64 << 20, "{usage}");
    assert_eq!(running.get("/v1/usage", "guessed").0, 401);
    assert_eq!(running.end(libc::SIGTERM), Some(0));
}

#[test]
fn a_configuration_and_a_token_of_ones_own_are_used() {
    let folder = Folder::new("configured");
    let config = "capacity = \"1GiB\"\n[[tenants]]\nname = \"chat\"\nlimit = \"512MiB\"\n";
    folder.write("allot.toml", config, 0o644);
    let token = "correct-horse-battery-staple-and-more";
    folder.write("secret", token, 0o600);
    let options = ["--config", "allot.toml", "--admin-token", "secret"];
    let mut running = Running::new(&folder, &options, 1);
    assert!(running.lines[0].contains("1.0 GiB to 1 tenant in"), "{:?}", running.lines);
    let (status, chat) = running.get("/v1/tenants/chat", token);
    assert_eq!((status, &chat["limit_bytes"]), (200, &Value::from(512u64 << 20)));
    assert!(!folder.0.join("allot.token").exists());
    assert_eq!(running.end(libc::SIGINT), Some(0));
}

#[test]
fn what_it_cannot_serve_it_refuses() {
    let folder = Folder::new("refused");
    refused(&folder, &["--listen", "0.0.0.0:0"], "give --admin-token");
    refused(&folder, &["--listen", "localhost"], "invalid");
    refused(&folder, &["--config", "none.toml"], "none.toml: the configuration cannot be read");
    folder.write("bad.toml", "capacity = \"8 apples\"\n", 0o644);
    refused(&folder, &["--config", "bad.toml"], "apples");
    folder.write("open", "correct-horse-battery-staple-and-more", 0o644);
    refused(&folder, &["--admin-token", "open"], "chmod 600");
    folder.write("short", "short", 0o600);
    refused(&folder, &["--admin-token", "short"], "32 or more");
    refused(&folder, &["--listen", "127.0.0.1:0", "--token-file", "none/token"], "none/token");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(&folder, &["--listen", &address], "taken by another program");
    assert!(!folder.0.join("allot.token").exists());
}

#[test]
fn tokens_open_as_far_as_their_scopes_say() {
    let folder = Folder::new("tokens");
    let tenants = "[[tenants]]\nname = \"chat\"\n[[tenants]]\nname = \"batch\"\n";
    folder.write("allot.toml", &format!("capacity = \"1GiB\"\n{tenants}"), 0o644);
    let said = token(&folder, &["key", "--keys", "keys", "--kid", "old"]);
    assert_eq!(said, "key old is in keys and signs from now on\n");
    let issue = |more: &[&str]| {
        let said = token(&folder, &[&["issue", "--keys", "keys", "--ttl", "1h"], more].concat());
        let issued = said.strip_suffix('\n').unwrap().to_string();
        assert!(issued.split('.').count() == 3 && !issued.contains('\n'), "{issued}");
        issued
    };
    let by_old = issue(&["--tenant", "chat", "--scope", "read", "--sub", "somebody"]);
    token(&folder, &["key", "--keys", "keys"]);
    let mode = fs::metadata(folder.0.join("keys")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let by_new = issue(&["--scope", "read"]);
    let both = issue(&["--tenant", "chat", "--tenant", "batch", "--scope", "read"]);
    let elsewhere = issue(&["--scope", "admin", "--audience", "elsewhere"]);
    let options = ["--config", "allot.toml", "--keys", "keys", "--calls-per-second", "100"];
    let mut running = Running::new(&folder, &options, 3);
    let status = |path: &str, token: &str| running.get(path, token).0;
    assert_eq!(status("/v1/tenants/chat", &by_old), 200);
    assert_eq!(status("/v1/tenants/batch", &by_old), 404);
    assert_eq!(status("/v1/usage", &by_old), 403);
    assert_eq!(status("/v1/usage", &by_new), 200);
    assert_eq!(status("/v1/tenants/batch", &both), 200);
    assert_eq!(status("/v1/usage", &elsewhere), 401);
    assert_eq!(running.end(libc::SIGTERM), Some(0));
    // Without the old key its tokens are refused.
    let keys: Value =
        serde_json::from_str(&fs::read_to_string(folder.0.join("keys")).unwrap()).unwrap();
    let newest = serde_json::json!({ "keys": [keys["keys"][0]] }).to_string();
    folder.write("keys", &newest, 0o600);
    let options = ["--config", "allot.toml", "--keys", "keys", "--audience", "elsewhere"];
    let running = Running::new(&folder, &options, 3);
    let status = |token: &str| running.get("/v1/tenants", token).0;
    assert_eq!([&by_old, &by_new, &elsewhere].map(|token| status(token)), [401, 401, 200]);
}

#[test]
fn keys_and_tokens_that_make_no_sense_are_refused() {
    let folder = Folder::new("no-tokens");
    no_token(
        &folder,
        &["issue", "--keys", "keys", "--scope", "read", "--ttl", "1h"],
        "keys: no such file",
    );
    folder.write("open", "{\"keys\": []}", 0o644);
    no_token(&folder, &["key", "--keys", "open"], "chmod 600");
    refused(&folder, &["--keys", "open"], "chmod 600");
    folder.write("empty", "{\"keys\": []}", 0o600);
    refused(&folder, &["--keys", "empty"], "no key");
    folder.write("bad", "keys = []", 0o600);
    refused(&folder, &["--keys", "bad"], "bad: line 1");
    no_token(&folder, &["key", "--keys", "bad"], "line 1");
    assert_eq!(fs::read_to_string(folder.0.join("bad")).unwrap(), "keys = []");
    token(&folder, &["key", "--keys", "keys", "--kid", "a"]);
    no_token(&folder, &["key", "--keys", "keys", "--kid", "a"], "`a` already");
    no_token(&folder, &["key", "--keys", "keys", "--kid", "a b"], "visible ASCII");
    for (more, part) in [
        (["--scope", "write", "--ttl", "1h"], "use read, request or admin"),
        (["--scope", "read", "--ttl", "400d"], "366d"),
        (["--scope", "read", "--ttl", "0s"], "366d"),
    ] {
        no_token(&folder, &[&["issue", "--keys", "keys"][..], &more].concat(), part);
    }
    let issue = ["issue", "--keys", "keys", "--scope", "read", "--ttl", "1h"];
    no_token(&folder, &[&issue[..], &["--tenant", "two words"]].concat(), "by its id");
    no_token(&folder, &[&issue[..], &["--tenant", "x"].repeat(17)].concat(), "1 to 16");
    refused(&folder, &["--calls-per-second", "0"], "1..=1000000");
    refused(&folder, &["--audience", ""], "audience");
}

#[test]
fn what_happens_is_written_down_and_sealed_at_the_end() {
    let folder = Folder::new("audit");
    let allot = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
        command.current_dir(&folder.0).args(words).output().unwrap()
    };
    assert!(allot(&["audit", "keygen", "key"]).status.success());
    let options = ["--audit", "log", "--audit-key", "key", "--audit-full", "log"];
    let mut running = Running::new(&folder, &options, 2);
    let token = fs::read_to_string(folder.0.join("allot.token")).unwrap();
    let (status, audit) = running.get("/v1/audit/status", token.trim());
    assert_eq!((status, &audit["mode"]), (200, &Value::from("fail-closed")));
    assert_eq!(running.end(libc::SIGTERM), Some(0));
    // The head that was written beside the key is in it.
    let verified = allot(&["audit", "verify", "log", "--key", "key", "--sealed"]);
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success() && said.contains("key.head"), "{said}");
    refused(&folder, &["--audit", "log"], "--audit-key");
    refused(&folder, &["--audit-full", "log"], "--audit");
    refused(&folder, &["--audit", "log", "--audit-key", "none"], "none");
    refused(&folder, &["--audit", ".", "--audit-key", "key"], "key");
}

const TRACE: &str = "time_ms,tenant,allocation_type,bytes,duration_ms,key\n";

#[test]
fn a_trace_is_played_against_its_own_governor_and_ends_with_it() {
    let folder = Folder::new("replay");
    // An hour of it is a second; the first job takes longer than any test.
    let rows = "0,chat,inference,1048576,3600000000,\n\
                0,index,cache,2097152,,1\n\
                1000,index,cache,2097152,,1\n\
                2000,chat,inference,17179869184,1000,\n\
                3000,batch,background,1048576,1000,\n";
    folder.write("t.csv", &format!("{TRACE}{rows}"), 0o644);
    folder.write("allot.toml", "capacity = \"64MiB\"\n[[tenants]]\nname = \"chat\"\n", 0o644);
    let options = ["--config", "allot.toml", "--replay", "t.csv", "--format", "csv"];
    let mut running = Running::new(&folder, &[&options[..], &["--speed", "3600"]].concat(), 3);
    let token = fs::read_to_string(folder.0.join("allot.token")).unwrap().trim().to_string();
    let used = |tenant: &str| {
        running.get(&format!("/v1/tenants/{tenant}"), &token).1["used_bytes"].clone()
    };
    let mut tries = 0;
    // The last of it to happen is that the third tenant has given back what it had.
    while running.get("/v1/tenants/batch", &token).1["granted_requests"] != 1 || used("batch") != 0
    {
        tries += 1;
        assert!(tries < 600, "not within a minute");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((used("chat"), used("index")), (Value::from(1 << 20), Value::from(2 << 20)));
    let denials = running.get("/v1/denials?tenant=chat", &token).1;
    assert_eq!(denials[0]["asked_bytes"], 17_179_869_184_u64, "{denials}");
    let grants = running.get("/v1/grants", &token).1;
    assert_eq!(grants.as_array().unwrap().len(), 2, "{grants}");
    assert_eq!(running.end(libc::SIGTERM), Some(0));
}

#[test]
fn the_end_of_a_trace_is_told_and_the_server_goes_on() {
    let folder = Folder::new("replayed");
    folder.write("t.csv", &format!("{TRACE}0,a,cache,4096,,1\n5,a,inference,4096,5,\n"), 0o644);
    let mut command = command(&folder, &["--listen", "127.0.0.1:0", "--set", "capacity=64MiB"]);
    command.args(["--replay", "t.csv", "--format", "csv"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = told.take(2).collect();
    // SAFETY: a signal to a child that was not waited for yet.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(told[0], "allot: plays t.csv: 2 requests of 1 tenant, 60 times as fast");
    assert_eq!(told[1], "allot: t.csv is over: 2 requests were played; what is cached stays");
}

#[test]
fn a_trace_that_cannot_be_played_is_refused() {
    let folder = Folder::new("unplayed");
    let trace = folder.write("t.csv", &format!("{TRACE}0,a,cache,4096,,1\n"), 0o644);
    let trace = trace.to_str().unwrap();
    refused(&folder, &["--replay", trace], "--format");
    refused(&folder, &["--format", "csv"], "--replay");
    refused(&folder, &["--speed", "5"], "--replay");
    let play = ["--replay", trace, "--format", "csv", "--listen", "127.0.0.1:0"];
    for speed in ["0", "3601", "fast"] {
        refused(&folder, &[&play[..], &["--speed", speed]].concat(), "--speed");
    }
    refused(&folder, &[&play[..], &["--replay", trace]].concat(), "give one");
    refused(&folder, &["--replay", "none.csv", "--format", "csv"], "none.csv: no such file");
    refused(&folder, &["--replay", trace, "--format", "audit"], "play a trace of requests");
    assert!(!folder.0.join("allot.token").exists());
}
