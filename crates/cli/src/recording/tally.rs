//! What a recording came to when it was done again.

use serde::Serialize;

/// Differences that are told in full.
const TOLD_MAX: usize = 5;

/// Sums of one reproduction.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tally {
    /// Records of the log.
    pub records: u64,
    /// Calls that were made again.
    pub calls: u64,
    /// Answers that were compared and are the same.
    pub answers: u64,
    /// Records that differ, or have no counterpart.
    pub differing: u64,
    /// Places at which events were lost.
    pub gaps: u64,
    /// The first of them, in words.
    pub differences: Vec<String>,
}

impl Tally {
    /// Counts a difference.
    pub fn differs(&mut self, what: String) {
        self.differing += 1;
        if self.differences.len() < TOLD_MAX {
            self.differences.push(what);
        }
    }
}
