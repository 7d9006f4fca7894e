//! Which library this is.

use std::ffi::{CStr, c_char};

/// The ABI of this header. A library of the same number can be put in place of another one; see
/// ffi/README.md for what that promises.
pub const ALLOT_ABI_VERSION: u32 = 0;

/// The version of the library, as "major.minor.patch" with a NUL.
///
/// Owns: the library; valid for ever. Threads: any. Blocks: no. Returns: never NULL. Since: 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn allot_version() -> *const c_char {
    const VERSION: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(version) => version,
            Err(_) => c"",
        };
    VERSION.as_ptr()
}

/// The ABI of the library: to be compared with ALLOT_ABI_VERSION of the header.
///
/// Threads: any. Blocks: no. Returns: the number. Since: 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn allot_abi_version() -> u32 {
    ALLOT_ABI_VERSION
}
