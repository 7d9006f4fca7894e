//! What is measured, and on what.

use std::num::NonZero;
use std::thread::available_parallelism;

/// What to say where speed was not asked of the compiler.
pub(super) const DEBUG_WARNING: &str = "WARNING: this is a debug build, many times slower than \
                                        what ships; measure with cargo run --release";

/// The program and its machine.
pub(super) struct Machine {
    /// Of `allot`, and of the library in it.
    pub version: &'static str,
    /// As Rust names it: `linux`, `macos`.
    pub os: &'static str,
    /// As Rust names it: `x86_64`, `aarch64`.
    pub arch: &'static str,
    /// Threads that run at one time.
    pub cores: usize,
    /// Whether the assertions of a debug build are in what is measured.
    pub debug_build: bool,
}

impl Machine {
    /// This one.
    pub fn here() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            cores: available_parallelism().map_or(1, NonZero::get),
            debug_build: cfg!(debug_assertions),
        }
    }
}
