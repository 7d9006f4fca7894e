//! The message of the last error of each thread, with the values and bounds that a status cannot
//! say.

use crate::guard::{Fault, call_alone};
use crate::pointer::{Buffer, out_optional};
use crate::status::{TEXTS, allot_status};
use std::cell::RefCell;
use std::ffi::c_char;

thread_local! {
    /// The last error of this thread.
    static LAST: RefCell<(allot_status, Box<str>)> = RefCell::new((0, "".into()));
}

/// Leaves the message of an error for [`allot_error_message`], and answers its status.
#[cold]
pub(crate) fn tell(fault: Fault) -> allot_status {
    let (status, message) = match fault {
        Fault::Status(status) => (status, "".into()),
        Fault::Told(status, message) => (status, message),
    };
    if status < 0 {
        // A thread that is ending has no message any more.
        let _ = LAST.try_with(|last| last.replace((status, message)));
    }
    status
}

/// What the last error on the calling thread was, with the values and bounds that its status
/// cannot say: a line of English in lower case, or several for a configuration.
///
/// Writes at most buffer_size bytes to buffer, always ended by a NUL if buffer_size is above 0, and
/// the length of the whole text without NUL to *out_length. A call that answers 0 or above leaves
/// the message of an earlier error as it was; at first it is empty.
///
/// Owns: the caller the buffer. Threads: any; each has its own message. Blocks: no. Returns:
/// ALLOT_OK, ALLOT_TRUNCATED, ALLOT_ERROR_NULL for a buffer that is NULL with a size above 0.
/// buffer may be NULL with size 0, out_length may be NULL. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_error_message(
    buffer: *mut c_char,
    buffer_size: u64,
    out_length: *mut u64,
) -> allot_status {
    call_alone(|| {
        // SAFETY: the contract of the header.
        let buffer = unsafe { Buffer::new(buffer, buffer_size) }?;
        // SAFETY: the contract of the header.
        let length = unsafe { out_optional(out_length) }?;
        let last = LAST.try_with(|last| last.borrow().clone());
        let (status, message) = last.unwrap_or((0, "".into()));
        let plain = TEXTS.iter().find(|(number, ..)| *number == status && status < 0);
        let plain = plain.and_then(|(_, _, text)| text.to_str().ok()).unwrap_or("");
        Ok(buffer.write(if message.is_empty() { plain } else { &message }, length))
    })
}
