//! The options about logs: what goes with `--format audit`, and what with `--record`.

use super::ReplayArgs;
use crate::failure::CliError;
use crate::replay::recorder::Destination;
use crate::trace::Format;

impl ReplayArgs {
    /// Checks that the other options suit a log, or that there is one.
    pub(super) fn check_log(&self) -> Result<(), CliError> {
        if self.trace.format != Format::Audit {
            return match &self.what_if {
                None => Ok(()),
                Some(_) => Err(CliError::new(format!(
                    "--what-if does not go with --format {}; it is for a recorded log: make one \
                     with --record DIR, then name it with --format audit",
                    self.trace.format.name()
                ))),
            };
        }
        let own = "a log says by itself what it was made with";
        let whole = "a sitting is made again from its beginning; with --what-if it goes";
        let given = [
            ("--capacity", !self.capacity.is_empty(), own),
            ("--capacity-percent", !self.capacity_percent.is_empty(), own),
            ("--capacity-blocks", !self.capacity_blocks.is_empty(), own),
            ("--slots", !self.slots.is_empty(), own),
            ("--policy", !self.policy.is_empty(), own),
            ("--config", self.config.is_some(), "other limits are given by --what-if FILE"),
            ("--since", self.trace.since.is_some() && self.what_if.is_none(), whole),
            ("--until", self.trace.until.is_some() && self.what_if.is_none(), whole),
            ("--part", self.part.is_some(), "a log is made again from its beginning"),
            ("--wait", self.wait.is_some(), own),
            ("--threads", self.threads > 1, "a log is made again in its own order"),
            ("--compare-lru", self.compare_lru, "it is for traces of keys"),
            ("--html", self.html.is_some(), "use --json=FILE"),
            ("--record", self.record.is_some(), "a log is there already"),
        ];
        match given.into_iter().find(|(_, is_given, _)| *is_given) {
            None => Ok(()),
            Some((option, _, why)) => {
                Err(CliError::new(format!("{option} does not go with --format audit: {why}")))
            }
        }
    }

    /// Checks that what is recorded is one run.
    pub fn check_recorded(&self, runs: usize) -> Result<(), CliError> {
        let Some(to) = self.record_to() else { return Ok(()) };
        if runs > 1 {
            return Err(CliError::new(format!(
                "--record writes the log of one run, and this makes {runs}; name one trace, one \
                 size and one policy"
            )));
        }
        to.check()
    }

    /// Where the run is recorded.
    pub fn record_to(&self) -> Option<Destination> {
        self.record.as_deref().map(|folder| Destination::new(folder, self.key.as_deref()))
    }
}
