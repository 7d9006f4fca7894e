//! What is wrong with a configuration, every fault with its place; and where values come from.

use std::cell::RefCell;
use std::fmt::{self, Write};
use std::ops::Range;
use std::path::PathBuf;

/// Most faults that are told one by one.
const TOLD_MAX: usize = 100;
/// Most characters of one: it may quote a key or a value of any length.
const MESSAGE_MAX: usize = 500;

/// Where a value comes from. Later ones go over earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody has said anything.
    Default,
    /// A line of the file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on; 0 where none is to blame.
        line: usize,
    },
    /// A variable of the environment, by its name.
    Variable(String),
    /// An option of the command, as `--set capacity`.
    Flag(String),
    /// A request to a running server.
    Request,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => f.write_str(name),
            Self::Request => f.write_str("request"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// Where.
    pub origin: Origin,
    /// What, with the value and the bound, and what to do.
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        // On one line, whatever it quotes.
        for (at, character) in self.message.chars().enumerate() {
            match character {
                _ if at == MESSAGE_MAX => return f.write_char('…'),
                _ if character.is_control() => write!(f, "{}", character.escape_default())?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// All that is wrong with a configuration, at least one thing: a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    faults: Vec<ConfigFault>,
    /// Faults that are only counted.
    more: usize,
}

impl ConfigError {
    /// Of these faults, of which there is at least one.
    pub(crate) fn new(mut faults: Vec<ConfigFault>) -> Self {
        let more = faults.len().saturating_sub(TOLD_MAX);
        faults.truncate(TOLD_MAX);
        Self { faults, more }
    }

    /// One fault of a whole file.
    pub(crate) fn of_file(path: PathBuf, message: impl Into<String>) -> Self {
        let (origin, message) = (Origin::File { path, line: 0 }, message.into());
        Self::new(vec![ConfigFault { origin, message }])
    }

    /// The first hundred faults, in the order of their places.
    pub fn faults(&self) -> &[ConfigFault] {
        &self.faults
    }

    /// How many faults there are.
    pub fn count(&self) -> usize {
        self.faults.len() + self.more
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            let new_line = if at > 0 { "\n" } else { "" };
            write!(f, "{new_line}{fault}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A complaint and the byte of the texts it is about.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where, in bytes from the beginning; `None` where no single place is to blame.
    pub at: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Complaints as they are found: reading goes on, so that all of them are.
#[derive(Default)]
pub(crate) struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    /// A complaint about a place.
    pub fn at(&self, span: Range<usize>, message: impl Into<String>) {
        self.note(Some(span.start), message);
    }

    /// A complaint.
    pub fn note(&self, at: Option<usize>, message: impl Into<String>) {
        self.0.borrow_mut().push(Fault { at, message: message.into() });
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of them, in the order of their places; those without one come last.
    pub fn into_sorted(self) -> Vec<Fault> {
        let mut faults = self.0.into_inner();
        faults.sort_by_key(|fault| (fault.at.is_none(), fault.at));
        faults
    }
}
