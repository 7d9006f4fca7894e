//! `allot replay` from the outside: the binary on traces made here, and on recorded ones.
//!
//! | file | what it shows |
//! |---|---|
//! | `command` | running the binary, making traces |
//! | `formats` | every format is read as its publisher wrote it |
//! | `runs` | sweeps, determinism, threads, output files |
//! | `waits` | requests that wait their turn, and what they are told |
//! | `refusals` | every bad input: exit code 2 and one clear message |
//! | `verbs` | random calls of every verb: made again to the bit |
//! | `recordings` | logs of runs: made again to the bit, and under other limits |
//! | `sittings` | logs of services that were started again |
//! | `stretch` | stretches of a log |
//! | `recorded` | figures of recorded traces against published ones |

mod command;
mod formats;
mod recorded;
mod recordings;
mod refusals;
mod runs;
mod sittings;
mod stretch;
mod verbs;
mod waits;
