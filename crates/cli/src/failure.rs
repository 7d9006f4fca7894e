//! What stops the command: one message on standard error and exit code 2.

use std::fmt;
use std::path::Path;

use allotment_config::in_words;

/// The exit code of every failure: the input, not the machine, has to change.
pub const EXIT_CODE: u8 = 2;

/// Why the command stopped. The text is lower case, names the file, the value and the bound,
/// and says what to do.
#[derive(Debug)]
pub struct CliError {
    message: String,
}

impl CliError {
    /// A failure with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }

    /// A failure of the file at `path`: what the operating system said of it.
    pub fn file(path: &Path, cause: &std::io::Error) -> Self {
        Self::new(format!("{}: {}", path.display(), in_words(cause)))
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind};

    #[test]
    fn a_missing_file_is_named_and_says_what_to_do() {
        let failure = CliError::file(Path::new("a.gz"), &Error::from(ErrorKind::NotFound));
        assert_eq!(failure.to_string(), "a.gz: no such file; check the path");
    }
}
