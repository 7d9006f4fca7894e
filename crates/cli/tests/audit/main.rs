//! `allot audit` from the outside: the binary on logs that are written here.
//!
//! | file | what it shows |
//! |---|---|
//! | `command` | running the binary |
//! | `scribe` | writing logs by hand: who is there, what happens, when |
//! | `verify` | the verdict, heads, and an exit code for each kind of damage |
//! | `show` | every filter, lines for people, objects for programs |
//! | `report` | figures that were worked out by hand, and what is said where they are uncertain |
//! | `governor` | the log of a real governor: every record says what is used after it |
//! | `guide` | that the examples of the documentation are true |
//! | `random` | reports of random logs against a naive computation |

mod command;
mod governor;
mod guide;
mod random;
mod report;
mod scribe;
mod show;
mod verify;
