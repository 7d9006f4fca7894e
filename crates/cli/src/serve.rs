//! `allot serve`: reads what it was asked for, finds out how much memory there is to share, and
//! serves until it is told to end. The server itself is the crate `allotment-server`.

mod keys;
mod player;

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use allotment::audit::{JournalOptions, Key};
use allotment::{AuditMode, MemoryError};
use allotment_config::{Configuration, Datum, Layers, Setup};
use allotment_server::{
    Bounds, Door, LeaseBounds, Pace, Remembered, State, Told, follow, new_token, open_state, serve,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::args::{AuditFull, ServeArgs};
use crate::audit::key::head_file;
use crate::config;
use crate::failure::CliError;
use crate::secret;
use crate::token::read_keys;
use player::{Player, Score};

/// What a tenant may call at once, in seconds of its pace.
const BURST_SECS: u32 = 2;
/// Most lines about one thing.
const LISTED_MAX: usize = 20;
/// Shortest token that an operator may choose.
const TOKEN_CHARACTERS_MIN: usize = 32;

/// Serves until it is told to end.
///
/// # Errors
///
/// What is wrong with the options, the configuration, the token or the address.
pub fn run(args: &ServeArgs) -> Result<(), CliError> {
    let beginning = beginning(args)?;
    let given = args.admin_token.as_deref().map(given_token).transpose()?;
    let known = args.keys.as_deref().map(|path| read_keys(path, &args.audience)).transpose()?;
    if !args.listen.ip().is_loopback() && given.is_none() {
        let address = args.listen;
        return Err(CliError::new(format!(
            "{address} can be reached from other machines: give --admin-token, or listen on \
             127.0.0.1"
        )));
    }
    let score = Score::read(&args.play)?;
    let made = given.is_none();
    let token = match given {
        Some(token) => token,
        None => new_token().map_err(|error| {
            CliError::new(format!("this machine has no randomness for a token: {error}"))
        })?,
    };
    let runtime = Runtime::new().map_err(|error| CliError::new(error.to_string()))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen).await;
        let listener = listener.map_err(|error| unheard(args, &error))?;
        let address = listener.local_addr().map_err(|error| unheard(args, &error))?;
        // Only who has the port writes the token: the file is that of the server that runs.
        if made {
            secret::write(&args.token_file, &format!("{token}\n"))?;
        }
        let door = Door::new(&token, hosts(args, address)).paced(pace(args));
        door.set_keys(known);
        let state = state(args, &beginning.configuration.setup, door)?;
        let end = told_to_end()?;
        let summary = config::summary(&beginning.configuration);
        // What is no file, a pipe say, has been read and cannot be read again.
        let path = args.layers.config.clone().filter(|path| path.is_file());
        let file = beginning.file.clone();
        take_over(&state, beginning);
        tokio::spawn(follow(Arc::downgrade(&state), path, file, tell));
        if let Some(path) = args.keys.clone() {
            tokio::spawn(keys::follow(Arc::downgrade(&state), path, args.audience.clone()));
        }
        announce(address, &summary, made.then_some((&*token, &*args.token_file)));
        let player = match score {
            Some(score) => Some(begin_to_play(score, state.clone()).await?),
            None => None,
        };
        let pace = player.as_ref().map(Player::pace);
        let end = async move {
            end.await;
            if let Some(pace) = pace {
                pace.end();
            }
        };
        let served = serve(listener, state.clone(), Bounds::default(), end).await;
        if let Some(player) = player {
            player.end();
        }
        served.map_err(|error| CliError::new(error.to_string()))?;
        state.close_audit().map_err(|error| CliError::new(error.to_string()))
    })
}

/// Registers who plays, which may block, and lets them begin.
async fn begin_to_play(score: Score, state: Arc<State>) -> Result<Player, CliError> {
    let begun = tokio::task::spawn_blocking(move || score.play(&state)).await;
    begun.map_err(|error| CliError::new(format!("--replay: {error}")))?
}

fn pace(args: &ServeArgs) -> Pace {
    let calls_per_second = args.calls_per_second;
    Pace { calls_per_second, burst: calls_per_second.saturating_mul(BURST_SECS) }
}

/// What the server begins with.
struct Beginning {
    configuration: Configuration,
    layers: Layers,
    /// The text of the file, which another may stand in place of.
    file: String,
    remembered: Option<Remembered>,
}

fn beginning(args: &ServeArgs) -> Result<Beginning, CliError> {
    let mut layers = config::layers(&args.layers)?;
    let file = layers.text().to_string();
    let remembered = args.state.as_deref().map(open_state).transpose();
    let remembered = remembered.map_err(|error| CliError::new(error.to_string()))?;
    if let Some(text) = remembered.as_ref().and_then(|kept| kept.document(&file)) {
        layers = layers.file(Path::new("the text that a request has put"), text);
    }
    let configuration = layers.read().map_err(|error| CliError::new(error.to_string()))?;
    Ok(Beginning { configuration, layers, file, remembered })
}

/// Hands over to the state what it began with, and says what came of what was kept.
fn take_over(state: &State, beginning: Beginning) {
    let Beginning { configuration, layers, file, remembered } = beginning;
    let setup = configuration.setup.clone();
    state.configured.begin(configuration, layers, &file);
    let Some(remembered) = remembered else { return };
    let (cut_bytes, is_new) = (remembered.cut_bytes, remembered.is_new);
    let done = state.restore(remembered, &setup, &file);
    if is_new {
        return;
    }
    eprintln!(
        "allot: {} tenants and groups are as requests left them; grants of before are not kept: \
         their holders ask again",
        done.restored
    );
    if cut_bytes > 0 {
        eprintln!("allot: the state ended in {cut_bytes} bytes of a record that was not answered");
    }
    list("the configuration is newer than what was kept of", &done.outdated);
    list("cannot be as before", &done.refused);
}

fn list(what: &str, of: &[String]) {
    for one in of.iter().take(LISTED_MAX) {
        eprintln!("allot: {what}: {one}");
    }
    if of.len() > LISTED_MAX {
        eprintln!("allot: {what}: {} more", of.len() - LISTED_MAX);
    }
}

/// What came of a file that has changed, or of a signal, on standard error.
fn tell(told: Told) {
    match told {
        Told::Refused(why) => eprintln!("allot: the configuration stays as it was: {why}"),
        Told::Applied(applied) => {
            let count = applied.changes.len();
            let shown = |value: &Option<Datum>| match value {
                Some(value) => value.to_string(),
                None => "nothing".to_string(),
            };
            let changes = applied.changes.iter().take(LISTED_MAX).map(|change| {
                let (before, after) = (shown(&change.before), shown(&change.after));
                format!("{}: {before} -> {after}", change.key)
            });
            let changes: Vec<String> = changes.collect();
            eprintln!("allot: the configuration is applied: {count} values differ");
            list("configured", &changes);
            list("stays until the next start", &applied.needs_restart);
            list("is drained, and leaves once it holds nothing", &applied.leaving);
        }
    }
}

/// The governor, with its audit log if there is to be one.
fn state(args: &ServeArgs, setup: &Setup, door: Door) -> Result<Arc<State>, CliError> {
    let failed = |error: MemoryError| CliError::new(error.to_string());
    let (bounds, full) = (LeaseBounds::default(), args.audit_full);
    let (Some(folder), Some(file)) = (&args.audit, &args.audit_key) else {
        return State::new(setup, door, bounds).map_err(failed);
    };
    let key = Key::load(file).map_err(|error| CliError::new(error.to_string()))?;
    let state = State::tuned(setup, door, bounds, move |governor| {
        governor.events_max = AuditMode::EVENTS_DEFAULT;
        governor.audit = match full {
            AuditFull::Memory => AuditMode::DropAndCount,
            AuditFull::Log => AuditMode::FailClosed,
        };
    });
    let state = state.map_err(failed)?;
    let options = JournalOptions { head_file: Some(head_file(file)), ..JournalOptions::default() };
    state.start_audit(folder, &key, options).map_err(failed)?;
    Ok(state)
}

/// The names it was told, and the address it listens on.
fn hosts(args: &ServeArgs, address: SocketAddr) -> Vec<String> {
    let mut hosts = args.hosts.clone();
    match address.ip() {
        ip if ip.is_unspecified() => {}
        IpAddr::V4(ip) => hosts.push(ip.to_string()),
        IpAddr::V6(ip) => hosts.push(format!("[{ip}]")),
    }
    hosts
}

fn given_token(path: &Path) -> Result<String, CliError> {
    let text = secret::read(path)?;
    let token = text.trim();
    if token.len() < TOKEN_CHARACTERS_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CliError::new(format!(
            "{}: a token has {TOKEN_CHARACTERS_MIN} or more visible ASCII characters",
            path.display()
        )));
    }
    Ok(token.to_string())
}

fn unheard(args: &ServeArgs, error: &io::Error) -> CliError {
    let address = args.listen;
    CliError::new(match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is taken by another program; choose another with --listen")
        }
        _ => format!("{address}: {error}"),
    })
}

fn announce(address: SocketAddr, summary: &str, made: Option<(&str, &Path)>) {
    let mut out = io::stdout().lock();
    // Whoever does not want to read it is served all the same.
    let _ = writeln!(out, "serving {summary} on http://{address}");
    if let Some((token, file)) = made {
        let file = file.display();
        // Where it is kept or read by others than who has started it, it is no place for a secret.
        let _ = match out.is_terminal() {
            true => writeln!(out, "token for this run, also in {file}: {token}"),
            false => writeln!(out, "token for this run: in {file}"),
        };
        let header = format!("-H \"Authorization: Bearer $(cat {file})\"");
        let _ = writeln!(out, "try: curl {header} http://{address}/v1/usage");
    }
    let _ = out.flush();
}

/// Ready once SIGINT or SIGTERM has come.
fn told_to_end() -> Result<impl Future<Output = ()>, CliError> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let of_system = |error: io::Error| CliError::new(format!("signals: {error}"));
        let mut interrupt = signal(SignalKind::interrupt()).map_err(of_system)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(of_system)?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
