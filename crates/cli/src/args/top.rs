//! The options of `allot top`.

use std::path::PathBuf;

use clap::Args;

/// Options of `allot top`.
#[derive(Args, Debug)]
pub struct TopArgs {
    /// The server, as `allot serve` prints it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7180")]
    pub server: String,

    /// The file with a token that has the scope `read`; to freeze takes `admin`
    ///
    /// It is read again whenever the server has been gone, as a new one may have another token.
    #[arg(long, value_name = "FILE", default_value = "allot.token")]
    pub token_file: PathBuf,

    /// Print one table and end
    #[arg(long)]
    pub once: bool,

    /// Print it as JSON (docs/SERVER.md has the fields)
    #[arg(long, requires = "once")]
    pub json: bool,
}
