//! What a verification found that should not be there, or did not find that should.

use std::fmt;

/// Findings that are listed; at the last of them the verification ends.
pub const FINDINGS_MAX: usize = 100;

/// What was done to a log, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// Bytes of a record or header are not what was written.
    Edited,
    /// Records are missing between others, or at the beginning.
    Removed,
    /// There is something that was not written there.
    Inserted,
    /// A record or segment stands at the place of another.
    Reordered,
    /// A record or segment is there twice.
    Duplicated,
    /// The end of a segment or of the log is missing.
    Truncated,
    /// The log goes another way than the expected head.
    Forked,
    /// The expected head is older than what retention has left.
    HeadRetired,
}

/// One fault of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was done.
    pub kind: FindingKind,
    /// The name of the segment's file.
    pub segment: String,
    /// Where in this file, in bytes.
    pub offset: u64,
    /// The number of the record concerned, where there is one.
    pub sequence: Option<u64>,
    /// What was seen, as a sentence without its full stop.
    pub what: String,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Edited => "edited",
            Self::Removed => "removed",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Duplicated => "duplicated",
            Self::Truncated => "truncated",
            Self::Forked => "forked",
            Self::HeadRetired => "head retired",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, segment, offset, what, .. } = self;
        write!(f, "{kind}: {what} ({segment}, byte {offset})")
    }
}
