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
//! | `day` | a log as traces, one for each sitting, for other limits |
//! | `joined` | the sittings one after the other |
//! | `stretch` | which part of a log is looked at |
//! | `what_if` | a recorded day under other limits |
//! | `tally` | what came of it |

pub mod day;
mod follow;
pub mod joined;
mod player;
mod reproduce;
mod run;
mod shape;
pub mod stretch;
mod tally;
mod tape;
mod what_if;

pub use run::run;
