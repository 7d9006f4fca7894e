//! Allotment: a memory governor.

mod core;
pub mod os;

/// The core's own types, for its models and tests. Not part of the interface.
#[doc(hidden)]
pub mod internals {
    pub use crate::core::*;
}
