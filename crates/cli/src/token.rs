//! `allot token`: keys, and the tokens that they sign for `allot serve --keys`.

use std::path::Path;

use allotment_server::{Issue, Keys, KeysError, Scope, add_key};

use crate::args::{IssueArgs, KeyArgs, TokenCommand};
use crate::failure::CliError;
use crate::replay::output::print;
use crate::secret;

/// Does what was asked for.
///
/// # Errors
///
/// What is wrong with the file of keys, or with what the token is to say.
pub fn run(command: &TokenCommand) -> Result<(), CliError> {
    match command {
        TokenCommand::Key(args) => key(args),
        TokenCommand::Issue(args) => issue(args),
    }
}

/// The keys of a file.
///
/// # Errors
///
/// What is wrong with it.
pub fn read_keys(path: &Path, audience: &str) -> Result<Keys, CliError> {
    Keys::read(&secret::read(path)?, audience).map_err(|error| of_keys(path, &error))
}

fn of_keys(path: &Path, error: &KeysError) -> CliError {
    CliError::new(format!("{}: {error}", path.display()))
}

fn key(args: &KeyArgs) -> Result<(), CliError> {
    let path = &args.keys;
    let before = path.exists().then(|| secret::read(path)).transpose()?;
    let kid = match &args.kid {
        Some(kid) => kid.clone(),
        None => jiff::Timestamp::now().strftime("%Y-%m-%d-%H%M%S").to_string(),
    };
    let keys = add_key(before.as_deref(), &kid).map_err(|error| of_keys(path, &error))?;
    secret::write(path, &keys)?;
    print(&format!("key {kid} is in {} and signs from now on\n", path.display()))
}

fn issue(args: &IssueArgs) -> Result<(), CliError> {
    let keys = read_keys(&args.keys, &args.audience)?;
    let scope = |tenant| Scope { tenant, right: args.right };
    let scopes = match args.tenants.is_empty() {
        true => vec![scope(None)],
        false => args.tenants.iter().map(|tenant| scope(Some(tenant.clone()))).collect(),
    };
    let issue = Issue { scopes, lasts: args.lasts, subject: args.subject.clone() };
    let token = keys.issue(&issue).map_err(|error| CliError::new(error.to_string()))?;
    print(&format!("{token}\n"))
}
