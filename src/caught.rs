//! Functions of others: what they throw ends here.
//!
//! ```text
//! nothing unwinds out of `caught` and `let_go`, whatever was thrown
//! ```
//!
//! What is thrown is a value of theirs, and to drop it may throw again, and so may what is thrown
//! then: that is left where it is.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a function answers; none if it panics. The caller vouches for what the panic leaves behind.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(let_go).ok()
}

/// Drops what was thrown.
fn let_go(thrown: Box<dyn Any + Send>) {
    catch_unwind(AssertUnwindSafe(|| drop(thrown))).unwrap_or_else(std::mem::forget);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Throws another one when it is dropped, for so many times.
    struct Thrown(u32);

    impl Drop for Thrown {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Self(self.0 - 1));
            }
        }
    }

    #[test]
    fn what_is_thrown_ends_there_however_often_it_throws_again() {
        assert_eq!(caught(|| 7), Some(7));
        for times in 0..4 {
            assert_eq!(caught::<u32>(|| std::panic::panic_any(Thrown(times))), None);
        }
    }
}
