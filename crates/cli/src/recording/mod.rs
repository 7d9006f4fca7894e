//! Recordings: a log of what a governor was asked and did, done again.
//!
//! | file | what is there |
//! |---|---|
//! | `tape` | a log as steps |
//! | `player` | a governor that makes the recorded calls |
//! | `reproduce` | a recording of one thread: every answer must be the same |
//! | `tally` | what came of it |

mod player;
mod reproduce;
mod run;
mod tally;
mod tape;

pub use run::run;
