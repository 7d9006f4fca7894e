//! Recordings: a log of what a governor was asked and did, done again.
//!
//! | file | what is there |
//! |---|---|
//! | `tape` | a log as steps |
//! | `player` | a governor that makes the recorded calls |
//! | `reproduce` | a recording of one thread: every answer must be the same |
//! | `follow` | a recording of several threads: the share of answers that differ |
//! | `shape` | which of the two it is |
//! | `run` | both, for `--format audit` |
//! | `tally` | what came of it |

mod follow;
mod player;
mod reproduce;
mod run;
mod shape;
mod tally;
mod tape;

pub use run::run;
