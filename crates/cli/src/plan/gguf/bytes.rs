//! The bytes of a header in their order, and where each stands. Whatever is asked for is held
//! against the length of the file before it is read.

use std::io::{ErrorKind, Read};
use std::path::Path;

use super::super::shown;
use crate::failure::CliError;

/// Longest header: vocabularies take ten MiB or so.
const HEADER_BYTES_MAX: u64 = 256 << 20;
/// Longest name of a key or a tensor.
const NAME_BYTES_MAX: u64 = 1_024;

/// What is left of a header.
pub struct Bytes<'a, R> {
    from: R,
    at: u64,
    /// Where what was read last begins.
    begin: u64,
    file: &'a str,
    file_bytes: u64,
}

impl<'a, R: Read> Bytes<'a, R> {
    /// The bytes of a file from its beginning.
    pub fn new(from: R, file: &'a str, file_bytes: u64) -> Self {
        Self { from, at: 0, begin: 0, file, file_bytes }
    }

    /// How many were read.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// What is wrong with what was read last.
    pub fn fault(&self, why: String) -> CliError {
        CliError::new(format!("{}: at byte {}: {why}", self.file, self.begin))
    }

    /// The next bytes, as many as the array has.
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], CliError> {
        self.check(N as u64, what)?;
        let mut array = [0; N];
        self.from.read_exact(&mut array).map_err(|cause| self.failure(&cause, what))?;
        self.at += N as u64;
        Ok(array)
    }

    /// A number of four bytes.
    pub fn u32(&mut self, what: &str) -> Result<u32, CliError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// A number of eight bytes.
    pub fn u64(&mut self, what: &str) -> Result<u64, CliError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// How many of something there are.
    pub fn count(&mut self, what: &str, most: u64) -> Result<u64, CliError> {
        let count = self.u64(&format!("the number of {what}"))?;
        if count > most {
            return Err(self.fault(format!("has {count} {what}; at most {most}")));
        }
        Ok(count)
    }

    /// How long something is, in bytes or elements.
    pub fn length(&mut self, what: &str, most: u64) -> Result<u64, CliError> {
        let length = self.u64(&format!("the length of {what}"))?;
        if length > most {
            return Err(self.fault(format!("{what} has a length of {length}; at most {most}")));
        }
        Ok(length)
    }

    /// A name of a key or a tensor.
    pub fn name(&mut self, what: &str) -> Result<String, CliError> {
        self.text(what, NAME_BYTES_MAX)
    }

    /// A text that is kept, so `most` has to be small.
    pub fn text(&mut self, what: &str, most: u64) -> Result<String, CliError> {
        let length = self.length(what, most)?;
        self.check(length, what)?;
        let mut text = Vec::new();
        let read = (&mut self.from).take(length).read_to_end(&mut text);
        match read {
            Ok(read) if read as u64 == length => {}
            Ok(_) => return Err(self.failure(&ErrorKind::UnexpectedEof.into(), what)),
            Err(cause) => return Err(self.failure(&cause, what)),
        }
        self.at += length;
        String::from_utf8(text).map_err(|error| {
            let text = shown(&String::from_utf8_lossy(error.as_bytes()));
            self.fault(format!("{what} is `{text}`, which is not UTF-8"))
        })
    }

    /// Passes over bytes that say nothing about a shape.
    pub fn pass(&mut self, length: u64, what: &str) -> Result<(), CliError> {
        self.check(length, what)?;
        let passed = std::io::copy(&mut (&mut self.from).take(length), &mut std::io::sink());
        match passed {
            Ok(passed) if passed == length => {}
            Ok(_) => return Err(self.failure(&ErrorKind::UnexpectedEof.into(), what)),
            Err(cause) => return Err(self.failure(&cause, what)),
        }
        self.at += length;
        Ok(())
    }

    /// Refuses what the file does not have, or a header does not.
    fn check(&mut self, length: u64, what: &str) -> Result<(), CliError> {
        self.begin = self.at;
        let left = self.file_bytes.saturating_sub(self.at);
        if length > left {
            return Err(self.fault(format!(
                "the file ends within {what}: it takes {length} bytes, there are {left}"
            )));
        }
        if self.at + length > HEADER_BYTES_MAX {
            return Err(self.fault(format!(
                "the header goes on beyond {HEADER_BYTES_MAX} bytes, the most that are read"
            )));
        }
        Ok(())
    }

    fn failure(&self, cause: &std::io::Error, what: &str) -> CliError {
        match cause.kind() {
            ErrorKind::UnexpectedEof => {
                self.fault(format!("the file became shorter while {what} was read"))
            }
            _ => CliError::file(Path::new(self.file), cause),
        }
    }
}
