//! The C ABI of Allotment, over its public Rust interface. The contract, line by line, is
//! `ffi/README.md`; the header, made from these files, is `include/allot.h`.
//!
//! | I want to see | open |
//! |---|---|
//! | what a call answers, and its text | `status.rs` |
//! | the message of the last error | `message.rs` |
//! | what every call goes through first: panics, forks | `guard.rs` |
//! | every look through a pointer of the caller's | `pointer.rs` |
//! | the governor, its configuration, its clock | `governor.rs` |
//! | tenants and groups | `tenant.rs`, `group.rs` |
//! | requests, and why they were denied | `request.rs`, `denial.rs` |
//! | what can be done with a grant | `grant.rs` |
//! | requests that wait | `ticket.rs`, and the thread that tells of them: `line.rs` |
//! | functions of the caller's, and when they are let go | `callback.rs` |
//! | who is asked for victims | `reclaim.rs` |
//! | pressure, measurements, the balancer's step | `pressure.rs` |
//! | what is used, and all of it at once | `usage.rs`, `snapshot.rs` |
//! | why a request would be refused | `explain.rs` |
//! | what happened | `events.rs` |
//! | versions | `version.rs` |
//!
//! # Safety
//!
//! One contract for all functions. A pointer to a governor is NULL, or the caller has a reference
//! to it until the call has returned. Any other pointer is NULL, misaligned, or valid during the
//! call for what its type and the lengths beside it say: a struct for as many bytes as its
//! `struct_size`.
//!
//! Nothing is decided here: each function checks what it is given, calls the one function of the
//! governor that it stands for, and writes the answer.

#![expect(clippy::missing_safety_doc, reason = "one contract for all functions, above")]
#![expect(non_camel_case_types, reason = "the names are those of the header")]

// In the order of the header; with an empty line between them it stays so.

pub mod status;

pub mod message;

pub mod version;

pub mod governor;

pub mod group;

pub mod tenant;

pub mod request;

pub mod denial;

pub mod grant;

pub mod ticket;

pub mod callback;

pub mod reclaim;

pub mod pressure;

pub mod usage;

pub mod snapshot;

pub mod explain;

pub mod events;

mod guard;
mod line;
mod pointer;

#[cfg(feature = "panicking")]
pub mod panicking;

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the layout of the header's structs is that of 64-bit machines");
