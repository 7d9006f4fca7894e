//! What a call answers. Numbers are never changed and never used again for something else.

use allotment::Error;
use std::ffi::c_char;

/// What a call answers: 0 it was done; above 0 an answer that is no fault; below 0 an error, and
/// then nothing has changed. Numbers are never changed and never used again.
pub type allot_status = i32;

/// Done.
pub const ALLOT_OK: allot_status = 0;
/// The request is denied; the denial record says by which check. Nothing is held.
pub const ALLOT_DENIED: allot_status = 1;
/// The request waits for its turn; the ticket stands for it.
pub const ALLOT_QUEUED: allot_status = 2;
/// The grant was evicted meanwhile: its bytes are back, or on their way back.
pub const ALLOT_EVICTED: allot_status = 3;
/// There is none: no victim, no event, no such name, nothing known.
pub const ALLOT_NONE: allot_status = 4;
/// Events were lost since the last one that was read; the record says how many.
pub const ALLOT_LOST: allot_status = 5;
/// The text did not fit and was cut; the length says how long it is.
pub const ALLOT_TRUNCATED: allot_status = 6;

/// A pointer is NULL that may not be.
pub const ALLOT_ERROR_NULL: allot_status = -1;
/// A pointer is not aligned as its type asks for.
pub const ALLOT_ERROR_MISALIGNED: allot_status = -2;
/// struct_size is none that this struct ever had, or elements of an array differ in it.
pub const ALLOT_ERROR_STRUCT_SIZE: allot_status = -3;
/// A field is set that this library does not know: it is older than the header, or the struct was
/// not initialised.
pub const ALLOT_ERROR_NEWER: allot_status = -4;
/// A number is none of those that this enumeration has, or a flag is none of them.
pub const ALLOT_ERROR_ENUM: allot_status = -5;
/// A text is not UTF-8.
pub const ALLOT_ERROR_UTF8: allot_status = -6;
/// A text is too long, or has a NUL inside.
pub const ALLOT_ERROR_TEXT: allot_status = -7;
/// The pointer is no governor, or none any more.
pub const ALLOT_ERROR_NOT_A_GOVERNOR: allot_status = -8;
/// The process is a fork of the one that made the governor; what was granted is the parent's.
pub const ALLOT_ERROR_FORKED: allot_status = -9;
/// The library has a fault: it panicked, in this call or in an earlier one. Releases still work.
pub const ALLOT_ERROR_PANICKED: allot_status = -10;
/// This library was built without that.
pub const ALLOT_ERROR_UNSUPPORTED: allot_status = -11;
/// The system gives no further thread.
pub const ALLOT_ERROR_THREAD: allot_status = -12;
/// A value of a configuration is out of range; allot_error_message names it.
pub const ALLOT_ERROR_CONFIG: allot_status = -13;
/// The handle belongs to another governor.
pub const ALLOT_ERROR_FOREIGN: allot_status = -14;
/// The tenant or group is not registered (any more).
pub const ALLOT_ERROR_GONE: allot_status = -15;
/// The grant has ended, or never was: a grant is returned exactly once.
pub const ALLOT_ERROR_STALE_GRANT: allot_status = -16;
/// The grant is another tenant's.
pub const ALLOT_ERROR_NOT_YOURS: allot_status = -17;
/// Another thread is changing the same grant; call again.
pub const ALLOT_ERROR_BUSY: allot_status = -18;
/// Zero bytes; a grant holds at least one.
pub const ALLOT_ERROR_ZERO_BYTES: allot_status = -19;
/// More bytes than one grant can hold, 16 TiB less one.
pub const ALLOT_ERROR_TOO_LARGE: allot_status = -20;
/// A grant cannot give back all that it holds or more; release it.
pub const ALLOT_ERROR_SHRINK_TOO_MUCH: allot_status = -21;
/// The grant is no reservation that waits to be committed.
pub const ALLOT_ERROR_NOT_RESERVED: allot_status = -22;
/// The reservation's time has run out.
pub const ALLOT_ERROR_EXPIRED: allot_status = -23;
/// A tenant with this id is registered already.
pub const ALLOT_ERROR_DUPLICATE_TENANT: allot_status = -24;
/// The table of tenants or groups is full.
pub const ALLOT_ERROR_TABLE_FULL: allot_status = -25;
/// Groups are nested too deep.
pub const ALLOT_ERROR_TOO_DEEP: allot_status = -26;
/// The guarantees would promise more than their parent has.
pub const ALLOT_ERROR_GUARANTEES_EXCEED: allot_status = -27;
/// Others use the bytes of the guarantee now.
pub const ALLOT_ERROR_GUARANTEE_UNAVAILABLE: allot_status = -28;
/// The tenant still holds grants.
pub const ALLOT_ERROR_GRANTS_LIVE: allot_status = -29;
/// The group still has children.
pub const ALLOT_ERROR_HAS_CHILDREN: allot_status = -30;
/// The audit log has no room for the record of this.
pub const ALLOT_ERROR_AUDIT_FULL: allot_status = -31;
/// Other threads are changing the same account; call again.
pub const ALLOT_ERROR_CONTENDED: allot_status = -32;
/// The ticket has ended, or is another governor's.
pub const ALLOT_ERROR_STALE_TICKET: allot_status = -33;
/// An error that this library has no number for; allot_error_message says what it is.
pub const ALLOT_ERROR_OTHER: allot_status = -34;

/// Every status with its name and text, for [`allot_status_text`] and for the tests.
pub const TEXTS: &[(allot_status, &std::ffi::CStr, &std::ffi::CStr)] = &[
    (ALLOT_OK, c"ALLOT_OK", c"done"),
    (ALLOT_DENIED, c"ALLOT_DENIED", c"denied; the denial record says why"),
    (ALLOT_QUEUED, c"ALLOT_QUEUED", c"waits for its turn"),
    (ALLOT_EVICTED, c"ALLOT_EVICTED", c"the grant was evicted meanwhile; request it again"),
    (ALLOT_NONE, c"ALLOT_NONE", c"there is none"),
    (ALLOT_LOST, c"ALLOT_LOST", c"events were lost; read more often, or keep more"),
    (ALLOT_TRUNCATED, c"ALLOT_TRUNCATED", c"the text was cut; call again with a larger buffer"),
    (ALLOT_ERROR_NULL, c"ALLOT_ERROR_NULL", c"a pointer is NULL that may not be"),
    (ALLOT_ERROR_MISALIGNED, c"ALLOT_ERROR_MISALIGNED", c"a pointer is not aligned for its type"),
    (
        ALLOT_ERROR_STRUCT_SIZE,
        c"ALLOT_ERROR_STRUCT_SIZE",
        c"struct_size is none that this struct ever had; initialise it with its _INIT macro",
    ),
    (
        ALLOT_ERROR_NEWER,
        c"ALLOT_ERROR_NEWER",
        c"a field is set that this library does not know; use the library of the header",
    ),
    (ALLOT_ERROR_ENUM, c"ALLOT_ERROR_ENUM", c"a number is none of those of its enumeration"),
    (ALLOT_ERROR_UTF8, c"ALLOT_ERROR_UTF8", c"a text is not UTF-8"),
    (ALLOT_ERROR_TEXT, c"ALLOT_ERROR_TEXT", c"a text is too long, or has a NUL inside"),
    (
        ALLOT_ERROR_NOT_A_GOVERNOR,
        c"ALLOT_ERROR_NOT_A_GOVERNOR",
        c"the pointer is no governor, or none any more",
    ),
    (
        ALLOT_ERROR_FORKED,
        c"ALLOT_ERROR_FORKED",
        c"the governor is the parent process's; make one of your own",
    ),
    (
        ALLOT_ERROR_PANICKED,
        c"ALLOT_ERROR_PANICKED",
        c"the library has a fault and panicked; releases still work, nothing else does",
    ),
    (
        ALLOT_ERROR_UNSUPPORTED,
        c"ALLOT_ERROR_UNSUPPORTED",
        c"this library was built without that feature",
    ),
    (ALLOT_ERROR_THREAD, c"ALLOT_ERROR_THREAD", c"the system gives no further thread"),
    (
        ALLOT_ERROR_CONFIG,
        c"ALLOT_ERROR_CONFIG",
        c"a value of the configuration is out of range; allot_error_message names it",
    ),
    (
        ALLOT_ERROR_FOREIGN,
        c"ALLOT_ERROR_FOREIGN",
        c"the handle belongs to another governor; use the governor that made it",
    ),
    (
        ALLOT_ERROR_GONE,
        c"ALLOT_ERROR_GONE",
        c"the tenant or group is not registered (any more); register it and use the new handle",
    ),
    (
        ALLOT_ERROR_STALE_GRANT,
        c"ALLOT_ERROR_STALE_GRANT",
        c"the grant has ended; a grant is returned exactly once",
    ),
    (
        ALLOT_ERROR_NOT_YOURS,
        c"ALLOT_ERROR_NOT_YOURS",
        c"the grant is another tenant's; pass the tenant that requested it",
    ),
    (
        ALLOT_ERROR_BUSY,
        c"ALLOT_ERROR_BUSY",
        c"another thread is changing the same grant; call again",
    ),
    (
        ALLOT_ERROR_ZERO_BYTES,
        c"ALLOT_ERROR_ZERO_BYTES",
        c"zero bytes requested; a grant holds at least 1 byte",
    ),
    (
        ALLOT_ERROR_TOO_LARGE,
        c"ALLOT_ERROR_TOO_LARGE",
        c"more bytes than one grant can hold; split the request",
    ),
    (
        ALLOT_ERROR_SHRINK_TOO_MUCH,
        c"ALLOT_ERROR_SHRINK_TOO_MUCH",
        c"a grant cannot give back all it holds; release it",
    ),
    (
        ALLOT_ERROR_NOT_RESERVED,
        c"ALLOT_ERROR_NOT_RESERVED",
        c"the grant is no reservation that waits to be committed",
    ),
    (ALLOT_ERROR_EXPIRED, c"ALLOT_ERROR_EXPIRED", c"the reservation has expired; reserve again"),
    (
        ALLOT_ERROR_DUPLICATE_TENANT,
        c"ALLOT_ERROR_DUPLICATE_TENANT",
        c"a tenant with this id is registered already; find it, or unregister it first",
    ),
    (
        ALLOT_ERROR_TABLE_FULL,
        c"ALLOT_ERROR_TABLE_FULL",
        c"all places for tenants or groups are taken; create the governor with more",
    ),
    (ALLOT_ERROR_TOO_DEEP, c"ALLOT_ERROR_TOO_DEEP", c"groups are nested too deep"),
    (
        ALLOT_ERROR_GUARANTEES_EXCEED,
        c"ALLOT_ERROR_GUARANTEES_EXCEED",
        c"the guarantees exceed what their parent has; lower one of them",
    ),
    (
        ALLOT_ERROR_GUARANTEE_UNAVAILABLE,
        c"ALLOT_ERROR_GUARANTEE_UNAVAILABLE",
        c"bytes of the guarantee are in use by others now; evict or try again later",
    ),
    (
        ALLOT_ERROR_GRANTS_LIVE,
        c"ALLOT_ERROR_GRANTS_LIVE",
        c"the tenant still holds grants; release them, drain it, or use force",
    ),
    (
        ALLOT_ERROR_HAS_CHILDREN,
        c"ALLOT_ERROR_HAS_CHILDREN",
        c"the group still has children; unregister them first",
    ),
    (
        ALLOT_ERROR_AUDIT_FULL,
        c"ALLOT_ERROR_AUDIT_FULL",
        c"the audit log has no room; make room on its disk, then call again",
    ),
    (
        ALLOT_ERROR_CONTENDED,
        c"ALLOT_ERROR_CONTENDED",
        c"other threads are changing the same account; call again",
    ),
    (
        ALLOT_ERROR_STALE_TICKET,
        c"ALLOT_ERROR_STALE_TICKET",
        c"the ticket has ended, or is another governor's",
    ),
    (
        ALLOT_ERROR_OTHER,
        c"ALLOT_ERROR_OTHER",
        c"an error without a number; allot_error_message says what it is",
    ),
];

/// The status an error of the governor is told by.
pub(crate) fn of_error(error: &Error) -> allot_status {
    match error {
        Error::Config { .. } => ALLOT_ERROR_CONFIG,
        Error::Foreign { .. } => ALLOT_ERROR_FOREIGN,
        Error::Gone { .. } => ALLOT_ERROR_GONE,
        Error::StaleGrant(_) => ALLOT_ERROR_STALE_GRANT,
        Error::NotYours { .. } => ALLOT_ERROR_NOT_YOURS,
        Error::Evicted(_) => ALLOT_EVICTED,
        Error::Busy(_) => ALLOT_ERROR_BUSY,
        Error::ZeroBytes => ALLOT_ERROR_ZERO_BYTES,
        Error::TooLarge { .. } => ALLOT_ERROR_TOO_LARGE,
        Error::ShrinkTooMuch { .. } => ALLOT_ERROR_SHRINK_TOO_MUCH,
        Error::NotReserved(_) => ALLOT_ERROR_NOT_RESERVED,
        Error::Expired(_) => ALLOT_ERROR_EXPIRED,
        Error::DuplicateTenant(_) => ALLOT_ERROR_DUPLICATE_TENANT,
        Error::TableFull { .. } => ALLOT_ERROR_TABLE_FULL,
        Error::TooDeep { .. } => ALLOT_ERROR_TOO_DEEP,
        Error::GuaranteesExceed { .. } => ALLOT_ERROR_GUARANTEES_EXCEED,
        Error::GuaranteeUnavailable { .. } => ALLOT_ERROR_GUARANTEE_UNAVAILABLE,
        Error::GrantsLive { .. } => ALLOT_ERROR_GRANTS_LIVE,
        Error::HasChildren { .. } => ALLOT_ERROR_HAS_CHILDREN,
        Error::AuditFull => ALLOT_ERROR_AUDIT_FULL,
        Error::Contended => ALLOT_ERROR_CONTENDED,
        _ => ALLOT_ERROR_OTHER,
    }
}

/// The text of a status: one line of English in lower case, ended by a NUL.
///
/// Owns: the library; valid for ever. Threads: any. Blocks: no. Returns: never NULL, also for a
/// number that is no status. Since: 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn allot_status_text(status: allot_status) -> *const c_char {
    let known = TEXTS.iter().find(|(number, ..)| *number == status);
    known.map_or(c"no status of this library", |(_, _, text)| text).as_ptr()
}
