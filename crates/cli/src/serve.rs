//! `allot serve`: reads what it was asked for, finds out how much memory there is to share, and
//! serves until it is told to end. The server itself is the crate `allotment-server`.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use allotment::audit::{JournalOptions, Key};
use allotment::os::probe;
use allotment::{AuditMode, MemoryError};
use allotment_config::Setup;
use allotment_server::{Bounds, Door, LeaseBounds, Pace, State, new_token, serve};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::args::{AuditFull, ServeArgs};
use crate::audit::key::head_file;
use crate::failure::CliError;
use crate::secret;
use crate::token::read_keys;

/// What is shared of the machine's memory where no configuration says.
const SHARED_PERCENT: u64 = 80;
/// What a tenant may call at once, in seconds of its pace.
const BURST_SECS: u32 = 2;
/// Shortest token that an operator may choose.
const TOKEN_CHARACTERS_MIN: usize = 32;

/// Serves until it is told to end.
///
/// # Errors
///
/// What is wrong with the options, the configuration, the token or the address.
pub fn run(args: &ServeArgs) -> Result<(), CliError> {
    let setup = setup(args.config.as_deref())?;
    let given = args.admin_token.as_deref().map(given_token).transpose()?;
    let keys = args.keys.as_deref().map(|path| read_keys(path, &args.audience)).transpose()?;
    if !args.listen.ip().is_loopback() && given.is_none() {
        let address = args.listen;
        return Err(CliError::new(format!(
            "{address} can be reached from other machines: give --admin-token, or listen on \
             127.0.0.1"
        )));
    }
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
        door.set_keys(keys);
        let state = state(args, &setup, door)?;
        let end = told_to_end()?;
        announce(address, &setup, made.then_some((&*token, &*args.token_file)));
        let served = serve(listener, state.clone(), Bounds::default(), end).await;
        served.map_err(|error| CliError::new(error.to_string()))?;
        state.close_audit().map_err(|error| CliError::new(error.to_string()))
    })
}

fn pace(args: &ServeArgs) -> Pace {
    let calls_per_second = args.calls_per_second;
    Pace { calls_per_second, burst: calls_per_second.saturating_mul(BURST_SECS) }
}

fn setup(config: Option<&Path>) -> Result<Setup, CliError> {
    let setup = match config {
        Some(path) => allotment_config::load(path),
        None => {
            let text = format!("capacity = {}", shared_bytes()?);
            allotment_config::parse(&text, Path::new("the memory of this machine"))
        }
    };
    setup.map_err(|error| CliError::new(error.to_string()))
}

fn shared_bytes() -> Result<u64, CliError> {
    let sample = probe().sample().map_err(|error| {
        CliError::new(format!("{error}: say in a --config how much memory there is to share"))
    })?;
    let whole =
        sample.limit_bytes.map_or(sample.total_bytes, |limit| limit.min(sample.total_bytes));
    Ok(whole / 100 * SHARED_PERCENT)
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

fn announce(address: SocketAddr, setup: &Setup, made: Option<(&str, &Path)>) {
    let gib = setup.capacity_bytes as f64 / f64::from(1 << 30);
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let (tenants, groups) = (setup.tenants.len(), setup.groups.len());
    let (tenants, groups) = (count(tenants, "tenant"), count(groups, "group"));
    let mut out = io::stdout().lock();
    // Whoever does not want to read it is served all the same.
    let _ = writeln!(out, "serving {gib:.1} GiB to {tenants} in {groups} on http://{address}");
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
