//! `allot tune` from the outside: the binary on small traces made here, and on a recorded one.
//!
//! | file | what it shows |
//! |---|---|
//! | `command` | running the binary, making traces |
//! | `figures` | what is printed is what `allot replay` says of the part that was held out |
//! | `search` | what is found, with which seeds, threads, weights and starts |
//! | `refusals` | every bad input: exit code 2 and one clear message |
//! | `log` | a recorded log, from what it was configured as |
//! | `recorded` | two services of a recorded trace |

mod command;
mod figures;
mod log;
mod recorded;
mod refusals;
mod search;
