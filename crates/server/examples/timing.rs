//! Whether the time of an answer tells what is another tenant's from what is not there: calls of
//! both kinds in pairs, in an order drawn at random, and Welch's t of their times.
//!
//! `cargo run --release -p allotment-server --example timing [CALLS]`
//!
//! The routes are called in this process, so that no socket hides a difference. Beside the mean of
//! all times stands that of the fastest nine in ten, which the rest of the machine does not blur.
//! The last line is the control: a token that reaches everything, to which both kinds do look
//! different. Exit code 1 if a t is at the bound or beyond it, or that of the control is not.

use allotment_server::{
    AUDIENCE, Door, Issue, Keys, LeaseBounds, Pace, Right, Scope, State, add_key, new_token, router,
};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tower::ServiceExt;
use uuid::Uuid;

const CALLS: usize = 100_000;
/// Beyond it two means differ, by custom of those who test for leaks.
const T_MAX: f64 = 4.5;
/// Calls before the first that is measured.
const WARM_UP: usize = 2_000;
const TENANTS: usize = 200;
const GRANTS: usize = 1_000;

type Answer<T> = Result<T, Box<dyn Error>>;

/// What one call asks for.
#[derive(Clone)]
struct Call {
    method: &'static str,
    path: String,
    body: String,
}

impl Call {
    fn get(path: String) -> Self {
        Self { method: "GET", path, body: String::new() }
    }

    fn post(path: String, body: &Value) -> Self {
        Self { method: "POST", path, body: body.to_string() }
    }

    fn request(&self, token: &str) -> Answer<Request<Body>> {
        Ok(Request::builder()
            .method(self.method)
            .uri(&self.path)
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::from(self.body.clone()))?)
    }
}

/// Two kinds of calls.
struct Pair {
    name: &'static str,
    unknown: Vec<Call>,
    foreign: Vec<Call>,
}

/// Numbers from a seed (xorshift).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[(self.next() >> 16) as usize % all.len()]
    }
}

async fn call(routes: &Router, request: Request<Body>) -> Answer<(StatusCode, Bytes)> {
    let answer = routes.clone().oneshot(request).await?;
    Ok((answer.status(), answer.into_body().collect().await?.to_bytes()))
}

async fn made(routes: &Router, admin: &str, of: Call) -> Answer<Value> {
    let (status, body) = call(routes, of.request(admin)?).await?;
    match status.is_success() {
        true => Ok(serde_json::from_slice(&body).unwrap_or(Value::Null)),
        false => Err(format!("{} {}: {status}", of.method, of.path).into()),
    }
}

/// What others than `tenant-0000` have: ids of tenants, grants that live, and some that have ended.
struct Others {
    tenants: Vec<String>,
    live: Vec<(String, u64)>,
    ended: Vec<(String, u64)>,
}

async fn others(routes: &Router, admin: &str) -> Answer<Others> {
    let (mut tenants, mut live) = (Vec::new(), Vec::new());
    for number in 0..TENANTS {
        let wish = json!({ "name": format!("tenant-{number:04}") });
        let tenant = made(routes, admin, Call::post("/v1/tenants".into(), &wish)).await?;
        tenants.push(tenant["id"].as_str().unwrap_or_default().to_string());
    }
    tenants.remove(0);
    for number in 0..2 * GRANTS {
        let tenant = format!("tenant-{:04}", 1 + number % (TENANTS - 1));
        let ask =
            json!({ "tenant": tenant, "bytes": 4096, "type": "cache", "lease_ms": 3_600_000 });
        let grant = made(routes, admin, Call::post("/v1/requests".into(), &ask)).await?;
        let id = grant["id"].as_str().unwrap_or_default().to_string();
        live.push((id, grant["epoch"].as_u64().unwrap_or(0)));
    }
    let ended = live.split_off(GRANTS);
    for (id, epoch) in &ended {
        let path = format!("/v1/grants/{id}?epoch={epoch}");
        made(routes, admin, Call { method: "DELETE", path, body: String::new() }).await?;
    }
    Ok(Others { tenants, live, ended })
}

/// Pairs about grants; the unknown ids are as long as theirs, and of the same alphabet.
fn of_grants(others: &Others) -> [Pair; 3] {
    let mut draws = Draws(0x9e37_79b9_7f4a_7c15);
    let mut unknown = |call: &dyn Fn(&String) -> Call| -> Vec<Call> {
        (0..GRANTS).map(|_| call(&format!("{:016x}", draws.next() | 1 << 63))).collect()
    };
    let look = |id: &String| Call::get(format!("/v1/grants/{id}"));
    let renew = |id: &String, epoch: u64| {
        Call::post(format!("/v1/grants/{id}/renew"), &json!({ "epoch": epoch }))
    };
    let Others { live, ended, .. } = others;
    [
        Pair {
            name: "grant: look, one that lives",
            unknown: unknown(&look),
            foreign: live.iter().map(|(id, _)| look(id)).collect(),
        },
        Pair {
            name: "grant: look, one that has ended",
            unknown: unknown(&look),
            foreign: ended.iter().map(|(id, _)| look(id)).collect(),
        },
        Pair {
            name: "grant: renew",
            unknown: unknown(&|id| renew(id, live[0].1)),
            foreign: live.iter().map(|(id, epoch)| renew(id, *epoch)).collect(),
        },
    ]
}

/// Pairs about tenants.
fn of_tenants(others: &Others) -> [Pair; 3] {
    let names = |word: &str| -> Vec<String> {
        (1..TENANTS).map(|number| format!("{word}-{number:04}")).collect()
    };
    let (names, nobodies) = (names("tenant"), names("nobody"));
    let no_ids: Vec<String> = others.tenants.iter().map(|_| Uuid::new_v4().to_string()).collect();
    let look = |name: &String| Call::get(format!("/v1/tenants/{name}"));
    let ask = |name: &String| {
        let ask = json!({ "tenant": name, "bytes": 4096, "type": "cache" });
        Call::post("/v1/requests".into(), &ask)
    };
    [
        Pair {
            name: "tenant: look, by name",
            unknown: nobodies.iter().map(look).collect(),
            foreign: names.iter().map(look).collect(),
        },
        Pair {
            name: "tenant: look, by id",
            unknown: no_ids.iter().map(look).collect(),
            foreign: others.tenants.iter().map(look).collect(),
        },
        Pair {
            name: "tenant: request memory",
            unknown: nobodies.iter().map(ask).collect(),
            foreign: names.iter().map(ask).collect(),
        },
    ]
}

/// Times of both kinds, in ns.
async fn times(routes: &Router, token: &str, pair: &Pair, calls: usize) -> Answer<[Vec<f64>; 2]> {
    let mut draws = Draws(0x2545_f491_4f6c_dd1d);
    let mut times = [Vec::with_capacity(calls / 2), Vec::with_capacity(calls / 2)];
    for number in 0..(calls + WARM_UP) / 2 {
        let first = (draws.next() >> 40) as usize % 2;
        for kind in [first, 1 - first] {
            let of = draws.of(if kind == 0 { &pair.unknown } else { &pair.foreign });
            let request = of.request(token)?;
            let begin = Instant::now();
            let answer = call(routes, request).await?;
            let took = begin.elapsed();
            std::hint::black_box(answer);
            if number >= WARM_UP / 2 {
                times[kind].push(took.as_nanos() as f64);
            }
        }
    }
    Ok(times)
}

/// Mean, and variance of the mean.
fn mean(times: &[f64]) -> (f64, f64) {
    let count = times.len() as f64;
    let mean = times.iter().sum::<f64>() / count;
    let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
    (mean, squares / (count - 1.0) / count)
}

/// Welch's t, and the difference of the means.
fn welch([unknown, foreign]: [&[f64]; 2]) -> (f64, f64) {
    let ((unknown, v), (foreign, w)) = (mean(unknown), mean(foreign));
    ((foreign - unknown) / (v + w).sqrt(), foreign - unknown)
}

/// The times up to that which nine in ten of both kinds keep within.
fn fastest(times: &[Vec<f64>; 2]) -> [Vec<f64>; 2] {
    let mut all: Vec<f64> = times.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let bound = all[all.len() / 10 * 9];
    [0, 1].map(|kind| times[kind].iter().copied().filter(|time| *time <= bound).collect())
}

fn show(name: &str, times: &[Vec<f64>; 2]) -> f64 {
    let (t, by_ns) = welch([&times[0], &times[1]]);
    let cut = fastest(times);
    let (cut_t, cut_by_ns) = welch([&cut[0], &cut[1]]);
    let (of_all_ns, _) = mean(&times[0]);
    println!("{name:<32} {of_all_ns:>9.0} {by_ns:>+9.1} {t:>+8.2} {cut_by_ns:>+9.1} {cut_t:>+8.2}");
    t.abs().max(cut_t.abs())
}

async fn measure(calls: usize) -> Answer<bool> {
    let setup = allotment_config::parse("capacity = \"1GiB\"", Path::new("timing.toml"))?;
    let admin = new_token()?;
    let pace = Pace { calls_per_second: 1_000_000, burst: u32::MAX };
    let door = Door::new(&admin, Vec::new()).paced(pace);
    let keys = add_key(None, "timing")?;
    let keys = Keys::read(&keys, AUDIENCE)?;
    let scope = Scope { tenant: Some("tenant-0000".to_string()), right: Right::Admin };
    let lasts = Duration::from_secs(86_400);
    let token = keys.issue(&Issue { scopes: vec![scope], lasts, subject: None })?;
    door.set_keys(Some(keys));
    let routes = router(&State::new(&setup, door, LeaseBounds::default())?);
    let others = others(&routes, &admin).await?;
    let (grants, tenants) = (of_grants(&others), of_tenants(&others));
    println!("{calls} calls each; all times, then the fastest nine in ten; bound |t| < {T_MAX}");
    println!("{:<32} {:>9} {:>9} {:>8} {:>9} {:>8}", "", "mean ns", "by ns", "t", "by ns", "t");
    let mut is_tight = true;
    for pair in grants.iter().chain(&tenants) {
        let times = times(&routes, &token, pair, calls).await?;
        is_tight &= show(pair.name, &times) < T_MAX;
    }
    let control = times(&routes, &admin, &grants[0], calls).await?;
    Ok(is_tight & (show("control: reaches everything", &control) >= T_MAX))
}

fn main() -> Answer<ExitCode> {
    let calls = std::env::args().nth(1).map(|calls| calls.parse()).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_well = runtime.block_on(measure(calls.unwrap_or(CALLS)))?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
