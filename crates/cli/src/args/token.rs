//! The options of `allot token`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

use allotment_server::{AUDIENCE, Right};

/// Longest that a token may be good for.
const LASTS_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What to do about tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Put a new key in front of those in a file, which is made if it is not there
    ///
    /// The first key signs, all of them open. Take one out and its tokens are refused.
    Key(KeyArgs),
    /// Issue a token, signed with the first key, and print it
    Issue(IssueArgs),
}

/// Options of `allot token key`.
#[derive(Args, Debug)]
pub struct KeyArgs {
    /// The file of keys, a JWK set that nobody else may read
    #[arg(long, value_name = "FILE")]
    pub keys: PathBuf,

    /// What the new key is called [default: date and time, UTC]
    #[arg(long, value_name = "NAME")]
    pub kid: Option<String>,
}

/// Options of `allot token issue`.
#[derive(Args, Debug)]
pub struct IssueArgs {
    /// The file of keys
    #[arg(long, value_name = "FILE")]
    pub keys: PathBuf,

    /// A tenant that it is for, by name or id; without one it is for all of them, and for the pool
    #[arg(long = "tenant", value_name = "TENANT")]
    pub tenants: Vec<String>,

    /// What it may do: read looks, request is for who holds memory, admin administers; each has
    /// those before it
    #[arg(long = "scope", value_name = "RIGHT")]
    pub right: Right,

    /// How long it is good for: a whole number and s, min, h or d
    #[arg(long = "ttl", value_name = "TIME", value_parser = lasts)]
    pub lasts: Duration,

    /// Who has it, for people
    #[arg(long = "sub", value_name = "NAME")]
    pub subject: Option<String>,

    /// The service that it is for, as `allot serve --audience` says
    #[arg(long, value_name = "NAME", default_value = AUDIENCE)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub audience: String,
}

fn lasts(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400)];
    let split = units.iter().find_map(|(unit, secs)| Some((text.strip_suffix(unit)?, *secs)));
    let secs = split.and_then(|(digits, secs)| digits.parse::<u64>().ok()?.checked_mul(secs));
    match secs.map(Duration::from_secs) {
        Some(lasts) if !lasts.is_zero() && lasts <= LASTS_MAX => Ok(lasts),
        _ => Err("write a whole number and its unit, from 1s to 366d, such as 15min, 12h or 30d"
            .to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_a_second_to_a_year() {
        assert_eq!(lasts("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(lasts("2h"), lasts("120min"));
        assert_eq!((lasts("366d"), lasts("1s")), (Ok(LASTS_MAX), Ok(Duration::from_secs(1))));
        for text in ["", "0s", "1", "h", "-1h", "1.5h", "367d", "99999999999999999999d", "1 h"] {
            assert!(lasts(text).is_err(), "{text}");
        }
    }
}
