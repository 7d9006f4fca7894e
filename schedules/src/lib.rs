//! Shows that the whole governor is linearizable: small programs of a few threads run against a
//! real governor under a scheduler that chooses, before every access to an atomic, who goes on;
//! what they were answered must be explained by a specification of one thread.
//!
//! | where is ...? | file |
//! |---|---|
//! | what the governor promises | `specification.rs` |
//! | whether a history keeps to it | `checker.rs` |
//! | what was called and answered when | `histories.rs` |
//! | who goes on | `turns.rs` |
//! | what the threads do | `programs.rs`, and how it is done: `workload.rs` |
//! | many schedules, their figures, going on later | `campaign.rs` |
//! | the command, and its file of progress | `command.rs` |
//!
//! The scheduler needs atomics that let it choose: all but the specification and the checker is
//! there with `RUSTFLAGS="--cfg allot_steps"` only.

#[cfg(allot_steps)]
pub mod campaign;
pub mod checker;
#[cfg(allot_steps)]
pub mod command;
pub mod histories;
pub mod programs;
pub mod random;
pub mod specification;
#[cfg(allot_steps)]
pub mod turns;
#[cfg(allot_steps)]
pub mod workload;
