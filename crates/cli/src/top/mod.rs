//! `allot top`: what the dashboard of a server shows, in a terminal.
//!
//! | I want to see | open |
//! |---|---|
//! | the server: its address, the token, its answers | `server.rs` |
//! | the stream that it tells everything by | `stream.rs` |
//! | what is known: a snapshot, and the changes since | `known.rs` |
//! | sizes within its sentences | `sized.rs` |
//! | one tenant in detail | `details.rs` |
//! | what somebody may want, key by key | `keys.rs` |
//! | which rows, in which order | `rows.rs` |
//! | what stands on the screen | `draw.rs`, `pages.rs`, `bar.rs`, `palette.rs` |
//! | the terminal, and the threads beside it | `live.rs` |
//! | `--once` | `once.rs` |
//!
//! Words are those of the dashboard. All that a server says has a limit, and no character of it
//! that would move the cursor reaches the terminal.

mod bar;
mod details;
mod draw;
mod keys;
mod known;
mod live;
mod once;
mod pages;
mod palette;
mod rows;
mod server;
mod sized;
mod stream;

use crate::args::TopArgs;
use crate::failure::CliError;
use server::Server;

/// Runs the command.
///
/// # Errors
///
/// What is wrong with the address, the token or the terminal; with `--once` also that there is no
/// server.
pub fn run(args: &TopArgs) -> Result<(), CliError> {
    let server = Server::new(&args.server, &args.token_file)?;
    if args.once { once::run(&server, args.json) } else { live::run(server) }
}
