//! The options of `allot serve`.

use super::LayerArgs;
use super::trace::{ScaleArgs, trace_file};
use crate::trace::{Format, TraceFile};
use allotment_server::{AUDIENCE, Pace};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What comes first while the audit log cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFull {
    /// Requests go on; what finds no room in the log is counted there
    Memory,
    /// Requests are denied; nothing is missing in the log
    Log,
}

/// Options of `allot serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Where the configuration comes from: its file is looked at while the server runs, and when
    /// SIGHUP comes.
    #[command(flatten)]
    pub layers: LayerArgs,

    /// Where what requests change of tenants, groups and the configuration is kept for the next
    /// start; grants are not kept
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Where to listen; port 0 takes a free one
    ///
    /// An address that other machines can reach needs --admin-token, and should stand behind
    /// something that speaks TLS.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7180")]
    pub listen: SocketAddr,

    /// A file with the administrator's token, 32 characters or more, that nobody else may read
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    pub admin_token: Option<PathBuf>,

    /// Where a token that is made for this run is written, for nobody else to read
    #[arg(long, value_name = "FILE", default_value = "allot.token")]
    pub token_file: PathBuf,

    /// The keys whose tokens open it as far as their scopes say; see `allot token`
    #[arg(long, value_name = "FILE")]
    pub keys: Option<PathBuf>,

    /// What this server is called in the tokens that are for it
    #[arg(long, value_name = "NAME", default_value = AUDIENCE)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub audience: String,

    /// How often a tenant may call, on average; twice as often in one second
    #[arg(long, value_name = "N", default_value_t = Pace::default().calls_per_second)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub calls_per_second: u32,

    /// A folder in which what is granted, denied and given back is written down (docs/AUDIT.md)
    #[arg(long, value_name = "FOLDER", requires = "audit_key")]
    pub audit: Option<PathBuf>,

    /// The key of that log: `allot audit keygen FILE` makes one; its head is written to FILE.head
    #[arg(long, value_name = "FILE", requires = "audit")]
    pub audit_key: Option<PathBuf>,

    /// What comes first while the log cannot be written, as when the disk is full
    #[arg(long, value_name = "WHAT", default_value = "memory", requires = "audit")]
    pub audit_full: AuditFull,

    /// A further name that this server is called by, with or without a port
    #[arg(long = "host", value_name = "NAME")]
    pub hosts: Vec<String>,

    /// A recorded trace that is played meanwhile.
    #[command(flatten)]
    pub play: PlayArgs,
}

/// What is played against a server's own governor.
#[derive(Args, Debug)]
pub struct PlayArgs {
    /// A recorded trace that its tenants play meanwhile, so that there is something to see: plain,
    /// .gz or .xz. Several files of azure-llm, each of a tenant, NAME=PATH
    #[arg(long, value_name = "TRACE", value_parser = trace_file, requires = "format")]
    pub replay: Vec<TraceFile>,

    /// How it is written (not audit); docs/SERVER.md says more
    #[arg(long, value_enum, requires = "replay")]
    pub format: Option<Format>,

    /// How many times as fast as it was recorded it is played; keys follow each other at 1 ms
    #[arg(long, value_name = "N", default_value_t = 60, requires = "replay")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub speed: u32,

    /// How its counts become bytes and times.
    #[command(flatten)]
    pub scale: ScaleArgs,
}
