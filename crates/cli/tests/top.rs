//! `allot top` from the outside, where there is no terminal: what it refuses, and in which words.
//! `scripts/top.sh` has it in a terminal, before a server.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread::JoinHandle;

const TOKEN: &str = "correct-horse-battery-staple";

/// A file with a token that only its owner may read.
fn token(name: &str, mode: u32) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("top-{name}"));
    let _ = fs::remove_file(&path);
    fs::write(&path, TOKEN).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn top(options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_allot"));
    command.arg("top").args(options).output().unwrap()
}

#[track_caller]
fn refused(options: &[&str], part: &str) {
    let said = top(options);
    let complaint = String::from_utf8(said.stderr).unwrap();
    assert_eq!((said.status.code(), said.stdout.len()), (Some(2), 0), "{complaint}");
    assert!(complaint.contains(part), "{complaint}");
}

/// A server that gives each answer to one caller, and says what it was asked.
fn answering(answers: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let one = |answer: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            // Who has read enough may have gone.
            let _ = stream.write_all(answer.as_bytes());
            head.join("\n")
        };
        answers.into_iter().map(one).collect()
    });
    (address, serving)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
}

#[test]
fn what_makes_no_sense_is_refused() {
    let file = token("refused", 0o600);
    let file = file.to_str().unwrap();
    refused(&["--json"], "--once");
    refused(&["--server", "https://127.0.0.1:1", "--token-file", file], "begin with http://");
    refused(&["--server", "127.0.0.1:1", "--token-file", file], "begin with http://");
    refused(&["--token-file", file], "use --once");
    refused(&["--once", "--token-file", "none/token"], "none/token: no such file");
    let open = token("open", 0o644);
    refused(&["--once", "--token-file", open.to_str().unwrap()], "chmod 600");
}

#[test]
fn without_a_server_once_fails_and_says_why() {
    let file = token("alone", 0o600);
    // Nobody listens there any more.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = format!("http://{free}");
    refused(
        &["--once", "--server", &server, "--token-file", file.to_str().unwrap()],
        "nobody listens",
    );
}

#[test]
fn the_token_is_shown_to_the_server_and_to_nobody_it_points_to() {
    let file = token("shown", 0o600);
    let once = |server: &str| {
        let options = ["--once", "--server", server, "--token-file", file.to_str().unwrap()];
        String::from_utf8(top(&options).stderr).unwrap()
    };
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("Location: http://{}/\r\n", elsewhere.local_addr().unwrap());
    let problem = r#"{"title": "no", "detail": "the token\u001b[2J is unknown"}"#;
    let (server, serving) = answering(vec![
        answer("302 Found", &location, ""),
        answer("401 Unauthorized", "", problem),
        answer("200 OK", "", "event: snapshot\ndata: {}\n\n"),
        answer("200 OK", "", "event: snap"),
    ]);
    assert!(once(&server).contains("answers 302"));
    let said = once(&server);
    assert!(said.contains("401: the token?[2J is unknown"), "{said}");
    let said = once(&server);
    assert!(said.contains("another language"), "{said}");
    let said = once(&server);
    assert!(said.contains("has ended"), "{said}");
    let asked = serving.join().unwrap();
    assert!(asked[0].starts_with("GET /v1/watch HTTP/1.1"), "{asked:?}");
    let shown = format!("authorization: Bearer {TOKEN}");
    assert!(
        asked
            .iter()
            .all(|head| head.contains(&shown) || head.contains(&shown.replacen('a', "A", 1)))
    );
    assert!(elsewhere.accept().is_err());
}
