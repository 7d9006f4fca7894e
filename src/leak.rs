//! What is told when a governor is dropped while grants are live.

use crate::core::sync::{Mutex, lock};
use crate::governor::Governor;
use std::fmt;

/// Tenants named in the plain form of a report.
const NAMED_MAX: usize = 5;

/// Grants that nobody released. Their bytes were counted until the governor went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeakReport {
    /// How many.
    pub grants: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Who held them, most bytes first.
    pub tenants: Vec<Leak>,
}

/// One tenant's part of a leak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// What people call the tenant.
    pub name: String,
    /// Its live grants.
    pub grants: u64,
    /// Their bytes.
    pub bytes: u64,
}

type Listener = Box<dyn Fn(&LeakReport) + Send + Sync>;

/// Who is told; nobody: the standard error stream.
#[derive(Default)]
pub(crate) struct Listeners(Mutex<Option<Listener>>);

impl Governor {
    /// Sets who is told when the governor is dropped with live grants. Without a listener one
    /// line goes to the standard error stream.
    pub fn on_leak(&self, listener: impl Fn(&LeakReport) + Send + Sync + 'static) {
        *lock(&self.leaks.0) = Some(Box::new(listener));
    }

    /// Live grants of all tenants, or none.
    pub fn leak_report(&self) -> Option<LeakReport> {
        let mut tenants: Vec<Leak> = self
            .core
            .accounts
            .tenants()
            .filter(|&t| self.core.accounts.used(t) > 0)
            .map(|t| Leak {
                name: self.name_of(t),
                grants: self.slots_of(t).count() as u64,
                bytes: self.core.accounts.used(t),
            })
            .collect();
        tenants.sort_by_key(|leak| std::cmp::Reverse(leak.bytes));
        let (grants, bytes) =
            tenants.iter().fold((0, 0), |(g, b), leak| (g + leak.grants, b + leak.bytes));
        (bytes > 0).then_some(LeakReport { grants, bytes, tenants })
    }
}

impl Drop for Governor {
    fn drop(&mut self) {
        let Some(report) = self.leak_report() else { return };
        match lock(&self.leaks.0).as_ref() {
            Some(listener) => listener(&report),
            None => eprintln!("allotment: {report}"),
        }
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { grants, bytes, tenants } = self;
        write!(f, "governor dropped with {grants} live grants ({bytes} bytes), held by ")?;
        let names: Vec<&str> = tenants.iter().take(NAMED_MAX).map(|t| t.name.as_str()).collect();
        write!(f, "{}", names.join(", "))?;
        match tenants.len().saturating_sub(NAMED_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
