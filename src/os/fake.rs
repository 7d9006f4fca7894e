//! A scripted probe: samples and errors played in order, the last one for ever.

use std::collections::VecDeque;

use super::{OsError, Probe, Sample};

/// Plays a script; never empty, so there is always an answer.
#[derive(Clone, Debug)]
pub struct Scripted {
    now: Result<Sample, OsError>,
    later: VecDeque<Result<Sample, OsError>>,
}

impl Scripted {
    /// Answers `first`, for ever unless [`Self::then`] adds to the script.
    pub const fn new(first: Result<Sample, OsError>) -> Self {
        Self { now: first, later: VecDeque::new() }
    }

    /// Adds `next` to the end of the script.
    #[must_use]
    pub fn then(mut self, next: Result<Sample, OsError>) -> Self {
        self.later.push_back(next);
        self
    }
}

impl Probe for Scripted {
    fn sample(&mut self) -> Result<Sample, OsError> {
        match self.later.pop_front() {
            Some(next) => std::mem::replace(&mut self.now, next),
            None => self.now.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plays_in_order_and_repeats_the_last() {
        let error = OsError::Unsupported { system: "a script" };
        let (a, b) = (Sample::new(10, 5), Sample::new(10, 1));
        let mut probe = Scripted::new(Ok(a)).then(Err(error.clone())).then(Ok(b));
        let played: Vec<_> = (0..5).map(|_| probe.sample()).collect();
        assert_eq!(played, [Ok(a), Err(error), Ok(b), Ok(b), Ok(b)]);
    }
}
