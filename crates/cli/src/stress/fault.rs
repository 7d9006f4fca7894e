//! A discrepancy: what was expected, and what was seen.

use std::fmt;

/// The first thing that is not as the ledger says. Bytes, unless the text says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub what: String,
    pub expected: u64,
    pub seen: u64,
    /// Whose, where it is one tenant's.
    pub tenant: Option<String>,
    /// At which quiet point it was found; none: while the threads were at work.
    pub quiet_point: Option<u64>,
    pub sort: Sort,
}

/// What a fault means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// More bytes than there may be.
    Over,
    /// Bytes that one side knows and the other does not.
    Lost,
    /// A promise of another kind.
    Promise,
    /// Nothing of the governor's: the run was not what it should be.
    Run,
}

impl Fault {
    pub fn new(what: impl Into<String>, expected: u64, seen: u64) -> Self {
        let (what, sort) = (what.into(), Sort::Promise);
        Self { what, expected, seen, tenant: None, quiet_point: None, sort }
    }

    pub fn over(what: impl Into<String>, expected: u64, seen: u64) -> Self {
        Self { sort: Sort::Over, ..Self::new(what, expected, seen) }
    }

    pub fn lost(what: impl Into<String>, expected: u64, seen: u64) -> Self {
        Self { sort: Sort::Lost, ..Self::new(what, expected, seen) }
    }

    pub fn of_run(what: impl Into<String>, expected: u64, seen: u64) -> Self {
        Self { sort: Sort::Run, ..Self::new(what, expected, seen) }
    }

    /// By how many bytes, if it is of that sort.
    pub fn bytes(&self, sort: Sort) -> u64 {
        if self.sort == sort { self.seen.abs_diff(self.expected) } else { 0 }
    }

    pub fn of_tenant(self, tenant: impl Into<String>) -> Self {
        Self { tenant: Some(tenant.into()), ..self }
    }

    pub fn at(self, quiet_point: u64) -> Self {
        Self { quiet_point: Some(quiet_point), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.quiet_point {
            Some(number) => write!(f, "quiet point {number}")?,
            None => f.write_str("while at work")?,
        }
        if let Some(tenant) = &self.tenant {
            write!(f, ", tenant {tenant}")?;
        }
        let Self { what, expected, seen, .. } = self;
        write!(f, ": {what}: expected {expected}, seen {seen}")
    }
}
