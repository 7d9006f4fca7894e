//! A load for `allot serve`, and what it takes: `scripts/server-load.sh` runs it.
//!
//! ```text
//! load ADDRESS TOKENFILE pairs CONNECTIONS SECONDS
//!     each connection asks for memory and gives it back, again and again
//! load ADDRESS TOKENFILE listeners CONNECTIONS SECONDS LISTENERS ROUNDS
//!     the same in rounds, every second one while so many listen to what happens
//! load ADDRESS TOKENFILE deaf CONNECTIONS SECONDS
//!     the same while one listens and never reads
//! load ADDRESS TOKENFILE tenants COUNT
//!     registers so many tenants
//! ```
//!
//! Tenants are called `t0`, `t1` ...; a load needs [`TENANTS`] of them. Afterwards nothing may be
//! held: the answer is 1 if something is, or if any request has failed.

mod client;
mod figures;
mod listener;

use client::Client;
use figures::{Figures, Round};
use listener::Listeners;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tenants that ask in turns.
const TENANTS: usize = 16;
/// Bytes that each asks for.
const BYTES: u64 = 4_096;
/// The most of anything that is asked for on the command line.
const COUNT_MAX: usize = 100_000;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Where the server is, and what opens it.
#[derive(Clone)]
pub struct Place {
    address: SocketAddr,
    token: Arc<str>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::from(2)
        }
    }
}

/// Does what it is told; whether all went well.
fn run(words: &[&str]) -> Result<bool, Failure> {
    let [address, file, command, numbers @ ..] = words else {
        return Err("use: load ADDRESS TOKENFILE COMMAND NUMBER ...".into());
    };
    let token = std::fs::read_to_string(file)?.trim().into();
    let place = Place { address: address.parse()?, token };
    let numbers: Vec<usize> =
        numbers.iter().map(|number| number.parse()).collect::<Result<_, _>>()?;
    if numbers.iter().any(|number| *number > COUNT_MAX) {
        return Err(format!("a number is at most {COUNT_MAX}").into());
    }
    let seconds = |seconds: usize| Duration::from_secs(seconds as u64);
    match (*command, &*numbers) {
        ("pairs", &[connections, time]) => pairs(&place, connections, seconds(time)),
        ("listeners", &[connections, time, listeners, rounds]) => {
            alternating(&place, connections, seconds(time), listeners, rounds)
        }
        ("deaf", &[connections, time]) => deaf(&place, connections, seconds(time)),
        ("tenants", &[count]) => tenants(&place, count),
        _ => Err(format!("there is no `{command}` with {} numbers", numbers.len()).into()),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn pairs(place: &Place, connections: usize, time: Duration) -> Result<bool, Failure> {
    let round = runtime()?.block_on(load(place, connections, time))?;
    println!("{round}");
    Ok(round.errors == 0 && is_settled(place)?)
}

/// One round: every connection asks and gives back until the time is over.
async fn load(place: &Place, connections: usize, time: Duration) -> Result<Round, Failure> {
    let mut clients = Vec::with_capacity(connections);
    for _ in 0..connections {
        clients.push(Client::new(place).await?);
    }
    let begin = Instant::now();
    let tasks: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(number, client)| tokio::spawn(repeat(client, number % TENANTS, begin + time)))
        .collect();
    let mut figures = Figures::default();
    for task in tasks {
        figures.add(task.await?);
    }
    Ok(figures.round(begin.elapsed()))
}

async fn repeat(mut client: Client, tenant: usize, end: Instant) -> Figures {
    let mut figures = Figures::default();
    let ask = format!("{{\"tenant\":\"t{tenant}\",\"bytes\":{BYTES},\"type\":\"inference\"}}");
    while Instant::now() < end {
        if let Err(error) = pair(&mut client, &ask, &mut figures).await {
            figures.note(error);
            // Its connection may be broken: the others go on.
            break;
        }
    }
    figures
}

async fn pair(client: &mut Client, ask: &str, figures: &mut Figures) -> Result<(), Failure> {
    let begin = Instant::now();
    let (status, body) = client.call("POST", "/v1/requests", ask).await?;
    figures.took(begin.elapsed());
    if status != 201 {
        figures.note(format!("a request was answered {status}: {body}").into());
        return Ok(());
    }
    let grant: Value = serde_json::from_str(&body)?;
    let id = grant["id"].as_str().ok_or("a grant without an id")?;
    let path = format!("/v1/grants/{id}?epoch={}", grant["epoch"]);
    let (status, body) = client.call("DELETE", &path, "").await?;
    if status != 204 {
        figures.note(format!("a release was answered {status}: {body}").into());
    }
    figures.pairs += 1;
    Ok(())
}

fn alternating(
    place: &Place,
    connections: usize,
    time: Duration,
    listeners: usize,
    rounds: usize,
) -> Result<bool, Failure> {
    let runtime = runtime()?;
    let (mut alone, mut heard) = (Vec::new(), Vec::new());
    let mut errors = 0;
    for number in 0..2 * rounds {
        let with = number % 2 == 1;
        let ears = if with { Some(Listeners::new(place, listeners)?) } else { None };
        let round = runtime.block_on(load(place, connections, time))?;
        let what = ears.map(Listeners::end).transpose()?;
        let what = what.map_or("nobody listens".to_string(), |heard| heard.to_string());
        println!("round {:>2}: {round}; {what}", number + 1);
        errors += round.errors;
        if with { &mut heard } else { &mut alone }.push(round);
    }
    let (alone, heard) = (figures::median(&alone), figures::median(&heard));
    println!(
        "medians: {:.0} pairs/s alone, {:.0} with {listeners} listeners: {:+.1} %",
        alone,
        heard,
        (heard / alone - 1.0) * 100.0
    );
    Ok(errors == 0 && is_settled(place)?)
}

fn deaf(place: &Place, connections: usize, time: Duration) -> Result<bool, Failure> {
    let ear = listener::deaf(place)?;
    let round = runtime()?.block_on(load(place, connections, time))?;
    println!(
        "{round}; one never reads: {}",
        if ear.was_cut()? { "cut off" } else { "still there" }
    );
    Ok(round.errors == 0 && is_settled(place)?)
}

fn tenants(place: &Place, count: usize) -> Result<bool, Failure> {
    runtime()?.block_on(async {
        let mut client = Client::new(place).await?;
        for number in 0..count {
            let body = format!("{{\"name\":\"t{number}\",\"limit\":\"1GiB\"}}");
            let (status, body) = client.call("POST", "/v1/tenants", &body).await?;
            if status != 201 {
                return Err(format!("tenant t{number} was answered {status}: {body}").into());
            }
        }
        println!("registered {count} tenants");
        Ok(true)
    })
}

/// Whether nothing is held by anybody.
fn is_settled(place: &Place) -> Result<bool, Failure> {
    let (status, body) = runtime()?.block_on(async {
        let mut client = Client::new(place).await?;
        client.call("GET", "/v1/usage", "").await
    })?;
    let usage: Value = serde_json::from_str(&body)?;
    let held = ["used_bytes", "grants", "leases"].map(|name| (name, usage[name].as_u64()));
    let settled = status == 200 && held.iter().all(|(_, held)| *held == Some(0));
    let what: Vec<String> =
        held.iter().map(|(name, held)| format!("{name} {}", held.unwrap_or(u64::MAX))).collect();
    println!("the ledger afterwards: {}", what.join(", "));
    Ok(settled)
}
