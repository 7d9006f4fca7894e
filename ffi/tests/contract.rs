//! The contract of `ffi/README.md`, rule by rule, through the functions that C calls.

use allot::callback::allot_drop_fn;
use allot::denial::*;
use allot::governor::*;
use allot::grant::*;
use allot::message::allot_error_message;
use allot::pressure::*;
use allot::reclaim::*;
use allot::request::*;
use allot::snapshot::*;
use allot::status::*;
use allot::tenant::*;
use allot::ticket::*;
use allot::usage::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::{CStr, c_void};
use std::ptr::null_mut;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// A governor that is freed at the end.
struct Owned(*mut allot_governor);

// SAFETY: any thread may call a governor.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Owned {
    fn new(change: impl FnOnce(&mut allot_config)) -> Self {
        let mut config = allot_config { capacity_bytes: 1_000, ..allot_config::default() };
        change(&mut config);
        let mut governor = null_mut();
        // SAFETY: both are valid.
        let status = unsafe { allot_governor_new(&raw const config, &raw mut governor) };
        assert_eq!(status, ALLOT_OK, "{}", message());
        Self(governor)
    }

    fn tenant(&self, name: &str) -> allot_tenant {
        let config = allot_tenant_config {
            name: name.as_ptr().cast(),
            name_length: name.len() as u64,
            ..allot_tenant_config::default()
        };
        let mut tenant = 0;
        // SAFETY: all are valid.
        let status = unsafe { allot_tenant_register(self.0, &raw const config, &raw mut tenant) };
        assert_eq!(status, ALLOT_OK, "{}", message());
        tenant
    }

    fn request(&self, spec: &allot_request_spec) -> Result<allot_grant, allot_status> {
        let mut grant = 0;
        // SAFETY: all are valid.
        match unsafe { allot_request(self.0, spec, &raw mut grant, null_mut()) } {
            ALLOT_OK => Ok(grant),
            status => Err(status),
        }
    }

    fn enqueue(&self, spec: &allot_request_spec) -> allot_ticket {
        let (mut grant, mut ticket) = (0, 0);
        let (out_grant, out_ticket) = (&raw mut grant, &raw mut ticket);
        // SAFETY: all are valid.
        let status = unsafe {
            allot_enqueue(self.0, spec, ALLOT_FOREVER, out_grant, out_ticket, null_mut())
        };
        assert_eq!(status, ALLOT_QUEUED, "{}", message());
        ticket
    }

    fn poll(&self, ticket: allot_ticket) -> Result<allot_grant, allot_status> {
        let mut grant = 0;
        // SAFETY: all are valid.
        match unsafe { allot_ticket_poll(self.0, ticket, &raw mut grant, null_mut()) } {
            ALLOT_OK => Ok(grant),
            status => Err(status),
        }
    }

    fn release(&self, tenant: allot_tenant, grant: allot_grant) -> allot_status {
        // SAFETY: it is valid.
        unsafe { allot_grant_release(self.0, tenant, grant) }
    }

    fn on_reclaim(&self, function: allot_reclaim_fn, seen: &Seen) -> allot_status {
        // SAFETY: it is valid, and `seen` outlives the governor.
        unsafe { allot_on_reclaim(self.0, 0, function, seen.pointer(), Some(dropped)) }
    }

    fn pool(&self) -> allot_pool {
        let mut pool = allot_pool::default();
        // SAFETY: both are valid.
        assert_eq!(unsafe { allot_pool_usage(self.0, &raw mut pool) }, ALLOT_OK);
        pool
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { allot_governor_free(self.0) };
    }
}

fn spec(tenant: allot_tenant, bytes: u64) -> allot_request_spec {
    let allocation_type = ALLOT_CACHE;
    allot_request_spec { tenant, allocation_type, bytes, ..allot_request_spec::default() }
}

fn message() -> String {
    let mut buffer = [0u8; 512];
    // SAFETY: there is so much room.
    unsafe { allot_error_message(buffer.as_mut_ptr().cast(), 512, null_mut()) };
    text_of(&buffer)
}

fn text_of(buffer: &[u8]) -> String {
    CStr::from_bytes_until_nul(buffer).unwrap().to_str().unwrap().to_string()
}

/// What callbacks were called, as they tell it.
struct Seen {
    tell: Box<Sender<&'static str>>,
    told: Receiver<&'static str>,
}

impl Seen {
    fn new() -> Self {
        let (tell, told) = channel();
        Self { tell: Box::new(tell), told }
    }

    fn pointer(&self) -> *mut c_void {
        (&raw const *self.tell).cast_mut().cast()
    }

    /// What was told so far, in order.
    fn so_far(&self) -> Vec<&'static str> {
        self.told.try_iter().collect()
    }
}

/// Whoever made `user_data` keeps it until it was let go.
fn tell(user_data: *mut c_void, what: &'static str) {
    // SAFETY: it is the sender of a `Seen`.
    unsafe { &*user_data.cast::<Sender<&'static str>>() }.send(what).unwrap();
}

extern "C-unwind" fn dropped(user_data: *mut c_void) {
    tell(user_data, "dropped");
}

extern "C-unwind" fn freed(
    _: *mut allot_governor,
    _: *const allot_victim,
    user_data: *mut c_void,
) -> allot_reclaim_answer {
    tell(user_data, "asked");
    ALLOT_RECLAIM_FREED
}

// What a call answers.

#[test]
fn statuses_are_numbers_with_a_text() {
    let mut numbers: Vec<_> = TEXTS.iter().map(|(number, ..)| *number).collect();
    numbers.sort_unstable();
    // These are released: a number that goes, or changes its name, breaks programs.
    assert_eq!(numbers, (-34..=6).collect::<Vec<_>>());
    for &(number, name, text) in TEXTS {
        let told = allot_status_text(number);
        // SAFETY: a text with a NUL, for ever.
        assert_eq!(unsafe { CStr::from_ptr(told) }, text);
        assert_eq!(number < 0, name.to_str().unwrap().starts_with("ALLOT_ERROR_"), "{name:?}");
        let text = text.to_str().unwrap();
        assert!(text.starts_with(|c: char| c.is_lowercase()) && !text.ends_with('.'), "{text}");
    }
    for unknown in [7, -35, i32::MIN, i32::MAX] {
        // SAFETY: as above.
        let text = unsafe { CStr::from_ptr(allot_status_text(unknown)) };
        assert_eq!(text, c"no status of this library");
    }
}

#[test]
fn answers_are_written_only_where_the_status_says_so() {
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    let mut grant = 7;
    let mut denial = allot_denial { reason: 77, ..allot_denial::default() };
    let mut ask = |bytes| {
        let spec = spec(tenant, bytes);
        let out_denial = &raw mut denial;
        // SAFETY: all are valid.
        let status = unsafe { allot_try_request(governor.0, &spec, &raw mut grant, out_denial) };
        (status, grant, denial.reason)
    };
    assert_eq!(ask(0), (ALLOT_ERROR_ZERO_BYTES, 7, 77));
    let (status, granted, reason) = ask(600);
    assert_eq!((status, reason), (ALLOT_OK, 77));
    assert_ne!(granted, 7);
    assert_eq!(ask(401), (ALLOT_DENIED, granted, ALLOT_REASON_CAPACITY));
    assert_eq!((denial.short_bytes, denial.available_bytes), (1, 400));
    assert_eq!((denial.account_kind, denial.account), (ALLOT_ACCOUNT_POOL, 0));
    assert_eq!(governor.release(tenant, granted), ALLOT_OK);
}

#[test]
fn an_error_leaves_its_message_on_its_thread() {
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    assert_eq!(governor.request(&spec(tenant, u64::MAX)), Err(ALLOT_ERROR_TOO_LARGE));
    let told = message();
    assert!(told.contains("18446744073709551615 bytes requested"), "{told}");
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(message(), ""));
    });
    // SAFETY: NULL is refused.
    assert_eq!(unsafe { allot_governor_check(null_mut()) }, ALLOT_ERROR_NULL);
    assert_eq!(message(), "a pointer is NULL that may not be");
    let config = allot_config { warning_percent: 96, capacity_bytes: 1, ..Default::default() };
    let mut none = null_mut();
    // SAFETY: both are valid.
    let status = unsafe { allot_governor_new(&raw const config, &raw mut none) };
    assert_eq!((status, none), (ALLOT_ERROR_CONFIG, null_mut()));
    assert_eq!(message(), "warning_percent: 96 is out of range; use 1 to 90");
}

// What is passed.

/// A request of a header that is newer by one field.
#[repr(C)]
struct NewerSpec {
    known: allot_request_spec,
    new: u64,
}

#[test]
fn a_struct_of_another_size_is_read_as_far_as_it_is_known() {
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    let size = size_of::<allot_request_spec>() as u32;
    let ask = |struct_size, new| {
        let known = allot_request_spec { struct_size, ..spec(tenant, 10) };
        let newer = NewerSpec { known, new };
        governor.request(&newer.known)
    };
    assert!(ask(size, 5).is_ok(), "what is behind it is not looked at");
    assert!(ask(size + 8, 0).is_ok());
    assert_eq!(ask(size + 8, 5), Err(ALLOT_ERROR_NEWER));
    for wrong in [0, 4, size - 8, size + 4, 1 << 20, u32::MAX] {
        assert_eq!(ask(wrong, 0), Err(ALLOT_ERROR_STRUCT_SIZE), "{wrong}");
    }
    let mut usage = (allot_usage::default(), 0u64);
    usage.0.struct_size += 8;
    // SAFETY: both are valid, and there are so many bytes.
    assert_eq!(unsafe { allot_tenant_usage(governor.0, tenant, &raw mut usage.0) }, ALLOT_OK);
    assert_eq!((usage.0.used_bytes, usage.1), (20, 0));
    assert_eq!(usage.0.struct_size as usize, size_of::<allot_usage>() + 8, "the caller's");
}

#[test]
fn texts_are_checked() {
    let governor = Owned::new(|_| {});
    let register = |name: &[u8]| {
        let config = allot_tenant_config {
            name: name.as_ptr().cast(),
            name_length: name.len() as u64,
            ..allot_tenant_config::default()
        };
        let mut tenant = 0;
        // SAFETY: all are valid.
        unsafe { allot_tenant_register(governor.0, &raw const config, &raw mut tenant) }
    };
    assert_eq!(register(b"chat"), ALLOT_OK);
    assert_eq!(register(b"chat"), ALLOT_ERROR_DUPLICATE_TENANT, "the id is made of the name");
    assert_eq!(register(&[b'x'; 255]), ALLOT_OK);
    assert_eq!(register(&[b'x'; 256]), ALLOT_ERROR_TEXT);
    assert_eq!(message(), "a text of 256 bytes; at most 255 are possible");
    assert_eq!(register(b"a\0b"), ALLOT_ERROR_TEXT);
    assert_eq!(register(b"ab\xff"), ALLOT_ERROR_UTF8);
    assert_eq!(message(), "a text is not UTF-8 from byte 2 on");
}

#[test]
fn a_text_is_cut_between_characters_and_its_length_told() {
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("häuser");
    let name = |size: u64| {
        let mut buffer = *b"????????????????";
        let mut length = 0;
        let pointer = if size == 0 { null_mut() } else { buffer.as_mut_ptr().cast() };
        // SAFETY: there is so much room.
        let status =
            unsafe { allot_tenant_name(governor.0, tenant, pointer, size, &raw mut length) };
        assert_eq!(length, 7);
        let written = if size == 0 { String::new() } else { text_of(&buffer) };
        (status, written)
    };
    assert_eq!(name(16), (ALLOT_OK, "häuser".to_string()));
    assert_eq!(name(8), (ALLOT_OK, "häuser".to_string()));
    assert_eq!(name(7), (ALLOT_TRUNCATED, "häuse".to_string()));
    assert_eq!(name(3), (ALLOT_TRUNCATED, "h".to_string()), "no half of a character");
    assert_eq!(name(1), (ALLOT_TRUNCATED, String::new()));
    assert_eq!(name(0), (ALLOT_TRUNCATED, String::new()));
}

// Who owns what.

#[test]
fn a_governor_lives_until_its_last_reference_is_freed() {
    let seen = Seen::new();
    let governor = Owned::new(|_| {});
    assert_eq!(governor.on_reclaim(Some(freed), &seen), ALLOT_OK);
    // SAFETY: it is valid.
    assert_eq!(unsafe { allot_governor_retain(governor.0) }, ALLOT_OK);
    // SAFETY: one of two references.
    unsafe { allot_governor_free(governor.0) };
    assert_eq!(seen.so_far(), [""; 0], "somebody has it still");
    let tenant = governor.tenant("chat");
    let grant = governor.request(&spec(tenant, 10)).unwrap();
    assert_eq!(governor.release(tenant, grant), ALLOT_OK);
    drop(governor);
    assert_eq!(seen.so_far(), ["dropped"]);
    // SAFETY: NULL does nothing.
    unsafe { allot_governor_free(null_mut()) };
}

#[test]
fn a_governor_that_ends_names_what_is_held() {
    const CHILD: &str = "ALLOT_TEST_LEAK";
    if std::env::var_os(CHILD).is_some() {
        let governor = Owned::new(|_| {});
        governor.request(&spec(governor.tenant("chat"), 10)).unwrap();
        return;
    }
    let this = std::env::current_exe().unwrap();
    let name = "a_governor_that_ends_names_what_is_held";
    let mut child = std::process::Command::new(this);
    let child = child.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
    let told = String::from_utf8_lossy(&child.stderr);
    let line = "allotment: governor dropped with 1 live grants (10 bytes), held by chat";
    assert!(told.lines().any(|told| told == line), "{told}");
}

#[test]
fn a_snapshot_outlives_its_governor() {
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    let grant = governor.request(&spec(tenant, 10)).unwrap();
    let mut snapshot = null_mut();
    // SAFETY: both are valid.
    assert_eq!(unsafe { allot_snapshot_take(governor.0, &raw mut snapshot) }, ALLOT_OK);
    assert_eq!(governor.release(tenant, grant), ALLOT_OK);
    drop(governor);
    let (mut pool, mut usage) = (allot_pool::default(), allot_usage::default());
    let mut name = [0u8; 8];
    let buffer = name.as_mut_ptr().cast();
    // SAFETY: all are valid.
    unsafe {
        assert_eq!(allot_snapshot_pool(snapshot, &raw mut pool), ALLOT_OK);
        assert_eq!(allot_snapshot_tenant(snapshot, 0, &raw mut usage), ALLOT_OK);
        assert_eq!(allot_snapshot_tenant(snapshot, 1, &raw mut usage), ALLOT_NONE);
        let named = allot_snapshot_tenant_name(snapshot, 0, buffer, 8, null_mut());
        assert_eq!(named, ALLOT_OK);
        allot_snapshot_free(snapshot);
        allot_snapshot_free(null_mut());
    }
    assert_eq!((pool.live_bytes, pool.tenants, usage.used_bytes), (10, 1, 10));
    assert_eq!((usage.tenant, text_of(&name)), (tenant, "chat".to_string()));
}

// Callbacks.

extern "C-unwind" fn calls_everything(
    governor: *mut allot_governor,
    victim: *const allot_victim,
    user_data: *mut c_void,
) -> allot_reclaim_answer {
    let mut report = allot_balance_report::default();
    let mut pool = allot_pool::default();
    let mut grant = 0;
    // SAFETY: both are valid during the call.
    unsafe {
        let victim = *victim;
        let spec = spec(victim.tenant, 1);
        allot_try_request(governor, &spec, &raw mut grant, null_mut());
        allot_grant_touch(governor, victim.tenant, victim.grant);
        assert_eq!(allot_report_pressure(governor, ALLOT_PRESSURE_NORMAL), ALLOT_OK);
        assert_eq!(allot_balance(governor, 1, &raw mut report), ALLOT_OK);
        assert_eq!(allot_pool_usage(governor, &raw mut pool), ALLOT_OK);
        assert_eq!(allot_on_reclaim(governor, 0, None, null_mut(), None), ALLOT_OK);
        // It has just been replaced, and runs on.
        tell(user_data, "asked");
        assert_eq!(allot_governor_set_capacity(governor, pool.capacity_bytes), ALLOT_OK);
    }
    ALLOT_RECLAIM_FREED
}

#[test]
fn a_callback_may_call_anything() {
    let seen = Seen::new();
    let governor = Owned::new(|config| config.pool_pressure = 0);
    let tenant = governor.tenant("chat");
    assert_eq!(governor.on_reclaim(Some(calls_everything), &seen), ALLOT_OK);
    governor.request(&spec(tenant, 1_000)).unwrap();
    let second = governor.request(&spec(tenant, 900)).unwrap();
    assert_eq!(seen.so_far(), ["asked", "dropped"]);
    assert_eq!(governor.release(tenant, second), ALLOT_OK);
}

extern "C-unwind" fn frees_the_governor(
    governor: *mut allot_governor,
    _: *const allot_victim,
    user_data: *mut c_void,
) -> allot_reclaim_answer {
    tell(user_data, "asked");
    // SAFETY: the test gives its reference up.
    unsafe { allot_governor_free(governor) };
    // SAFETY: it lives until the call that runs this has returned.
    assert_eq!(unsafe { allot_governor_check(governor) }, ALLOT_OK);
    ALLOT_RECLAIM_BUSY
}

extern "C-unwind" fn frees_the_governor_when_told(
    governor: *mut allot_governor,
    _: allot_pressure_level,
    user_data: *mut c_void,
) {
    tell(user_data, "told");
    // SAFETY: the test gives its reference up.
    unsafe { allot_governor_free(governor) };
}

extern "C-unwind" fn frees_the_governor_when_ready(
    governor: *mut allot_governor,
    ticket: allot_ticket,
    user_data: *mut c_void,
) {
    let mut grant = 0;
    // SAFETY: both are valid.
    let status = unsafe { allot_ticket_poll(governor, ticket, &raw mut grant, null_mut()) };
    tell(user_data, if status == ALLOT_OK { "ready" } else { "not ready" });
    // SAFETY: the test gives its reference up.
    unsafe { allot_governor_free(governor) };
}

#[test]
fn a_callback_may_free_the_last_reference() {
    let seen = Seen::new();
    let governor = std::mem::ManuallyDrop::new(Owned::new(|_| {}));
    let tenant = governor.tenant("chat");
    assert_eq!(governor.on_reclaim(Some(frees_the_governor), &seen), ALLOT_OK);
    governor.request(&spec(tenant, 1_000)).unwrap();
    assert_eq!(governor.request(&spec(tenant, 900)), Err(ALLOT_DENIED));
    assert_eq!(seen.so_far(), ["asked", "dropped"]);

    let governor = std::mem::ManuallyDrop::new(Owned::new(|_| {}));
    let function: allot_pressure_fn = Some(frees_the_governor_when_told);
    // SAFETY: all are valid.
    let status = unsafe { allot_on_pressure(governor.0, function, seen.pointer(), Some(dropped)) };
    assert_eq!(status, ALLOT_OK);
    // SAFETY: it is valid.
    assert_eq!(unsafe { allot_report_pressure(governor.0, ALLOT_PRESSURE_HIGH) }, ALLOT_OK);
    assert_eq!(seen.so_far(), ["told", "dropped"]);

    let governor = std::mem::ManuallyDrop::new(Owned::new(|_| {}));
    let tenant = governor.tenant("chat");
    let pinned = allot_request_spec { flags: ALLOT_REQUEST_PINNED, ..spec(tenant, 1_000) };
    let first = governor.request(&pinned).unwrap();
    let ticket = governor.enqueue(&spec(tenant, 500));
    let function: allot_ticket_fn = Some(frees_the_governor_when_ready);
    // SAFETY: all are valid.
    let status = unsafe {
        let (user_data, drop_fn): (_, allot_drop_fn) = (seen.pointer(), Some(dropped));
        allot_ticket_on_ready(governor.0, ticket, function, user_data, drop_fn)
    };
    assert_eq!(status, ALLOT_OK);
    // SAFETY: it is valid; another reference, so that this call has one.
    assert_eq!(unsafe { allot_governor_retain(governor.0) }, ALLOT_OK);
    assert_eq!(governor.release(tenant, first), ALLOT_OK);
    // SAFETY: the reference from above.
    unsafe { allot_governor_free(governor.0) };
    let next = || seen.told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!([next(), next()], ["ready", "dropped"]);
}

#[test]
fn what_is_taken_is_let_go_once_and_what_is_refused_is_not() {
    let seen = Seen::new();
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    assert_eq!(governor.on_reclaim(Some(freed), &seen), ALLOT_OK);
    assert_eq!(governor.on_reclaim(Some(freed), &seen), ALLOT_OK);
    assert_eq!(seen.so_far(), ["dropped"], "it was replaced");
    assert_eq!(governor.on_reclaim(None, &seen), ALLOT_OK);
    assert_eq!(seen.so_far(), ["dropped", "dropped"], "no function needs nothing");
    let on_reclaim = |tenant| {
        let (user_data, drop_fn): (_, allot_drop_fn) = (seen.pointer(), Some(dropped));
        // SAFETY: it is valid.
        unsafe { allot_tenant_on_reclaim(governor.0, tenant, 0, Some(freed), user_data, drop_fn) }
    };
    assert_eq!(on_reclaim(0), ALLOT_ERROR_FOREIGN);
    assert_eq!(on_reclaim(tenant), ALLOT_OK);
    // SAFETY: it is valid.
    let gone = unsafe { allot_tenant_unregister(governor.0, tenant, ALLOT_UNREGISTER_IF_IDLE) };
    assert_eq!(gone, ALLOT_OK);
    assert_eq!(seen.so_far(), ["dropped"], "with its tenant");
    assert_eq!(on_reclaim(tenant), ALLOT_ERROR_GONE);
    let on_ready = |ticket| {
        let (user_data, drop_fn): (_, allot_drop_fn) = (seen.pointer(), Some(dropped));
        let function: allot_ticket_fn = Some(frees_the_governor_when_ready);
        // SAFETY: it is valid.
        unsafe { allot_ticket_on_ready(governor.0, ticket, function, user_data, drop_fn) }
    };
    assert_eq!(on_ready(0), ALLOT_ERROR_STALE_TICKET);
    assert_eq!(seen.so_far(), [""; 0], "what was refused is the caller's");
    let tenant = governor.tenant("chat");
    let pinned = allot_request_spec { flags: ALLOT_REQUEST_PINNED, ..spec(tenant, 1_000) };
    let first = governor.request(&pinned).unwrap();
    let ticket = governor.enqueue(&spec(tenant, 500));
    assert_eq!(on_ready(ticket), ALLOT_OK);
    // SAFETY: it is valid.
    assert_eq!(unsafe { allot_ticket_cancel(governor.0, ticket) }, ALLOT_OK);
    assert_eq!(seen.so_far(), ["dropped"], "with its ticket");
    assert_eq!(governor.release(tenant, first), ALLOT_OK);
    drop(governor);
    assert_eq!(seen.so_far(), [""; 0]);
}

extern "C-unwind" fn panics(
    _: *mut allot_governor,
    _: *const allot_victim,
    user_data: *mut c_void,
) -> allot_reclaim_answer {
    tell(user_data, "asked");
    panic!("as the test wishes")
}

extern "C-unwind" fn panics_when_told(
    _: *mut allot_governor,
    _: allot_pressure_level,
    user_data: *mut c_void,
) {
    tell(user_data, "told");
    panic!("as the test wishes")
}

#[test]
fn a_callback_that_panics_is_an_answer() {
    let seen = Seen::new();
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    assert_eq!(governor.on_reclaim(Some(panics), &seen), ALLOT_OK);
    let first = governor.request(&spec(tenant, 1_000)).unwrap();
    assert_eq!(governor.request(&spec(tenant, 500)), Err(ALLOT_DENIED));
    assert_eq!(seen.so_far(), ["asked"]);
    assert_eq!(governor.pool().reclaim_panics, 1);
    let function: allot_pressure_fn = Some(panics_when_told);
    // SAFETY: all are valid.
    unsafe {
        assert_eq!(allot_on_pressure(governor.0, function, seen.pointer(), None), ALLOT_OK);
        assert_eq!(allot_report_pressure(governor.0, ALLOT_PRESSURE_CRITICAL), ALLOT_OK);
        assert_eq!(allot_governor_check(governor.0), ALLOT_OK);
    }
    assert!(seen.so_far().contains(&"told"));
    assert_eq!(governor.release(tenant, first), ALLOT_OK);
}

#[test]
fn a_release_runs_no_callback() {
    let seen = Seen::new();
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    let pinned = allot_request_spec { flags: ALLOT_REQUEST_PINNED, ..spec(tenant, 1_000) };
    let first = governor.request(&pinned).unwrap();
    let ticket = governor.enqueue(&spec(tenant, 500));
    extern "C-unwind" fn named(_: *mut allot_governor, _: allot_ticket, user_data: *mut c_void) {
        let own = std::thread::current().name() == Some("allot-tickets");
        tell(user_data, if own { "told by the library" } else { "told by somebody" });
    }
    let function: allot_ticket_fn = Some(named);
    let drop_fn: allot_drop_fn = Some(dropped);
    // SAFETY: all are valid.
    let status =
        unsafe { allot_ticket_on_ready(governor.0, ticket, function, seen.pointer(), drop_fn) };
    assert_eq!(status, ALLOT_OK);
    assert_eq!(governor.poll(ticket), Err(ALLOT_QUEUED));
    assert_eq!(governor.release(tenant, first), ALLOT_OK);
    let next = || seen.told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!([next(), next()], ["told by the library", "dropped"]);
    let second = governor.poll(ticket).unwrap();
    assert_eq!(governor.poll(ticket), Err(ALLOT_ERROR_STALE_TICKET));
    assert_eq!(governor.release(tenant, second), ALLOT_OK);
}

#[test]
fn a_reservation_that_ran_out_is_released_or_swept() {
    let governor = Owned::new(|config| config.clock = ALLOT_CLOCK_MANUAL);
    let tenant = governor.tenant("chat");
    let mut reserved = [0, 0];
    for grant in &mut reserved {
        // SAFETY: all are valid.
        let status = unsafe {
            allot_reserve(governor.0, &spec(tenant, 100), 1_000, &raw mut *grant, null_mut())
        };
        assert_eq!(status, ALLOT_OK, "{}", message());
    }
    // SAFETY: it is valid.
    assert_eq!(unsafe { allot_clock_advance_ns(governor.0, 2_000) }, ALLOT_OK);
    for grant in reserved {
        // SAFETY: it is valid.
        let status = unsafe { allot_grant_commit(governor.0, tenant, grant) };
        assert_eq!(status, ALLOT_ERROR_EXPIRED);
    }
    assert_eq!(governor.pool().live_bytes, 200, "an error changes nothing");
    assert_eq!(governor.release(tenant, reserved[0]), ALLOT_OK);
    assert_eq!(governor.pool().live_bytes, 100);
    // SAFETY: both are valid.
    assert_eq!(unsafe { allot_balance(governor.0, 0, null_mut()) }, ALLOT_OK);
    assert_eq!(governor.pool().live_bytes, 0);
}

// Threads, forks, cost.

#[test]
#[cfg(unix)]
fn a_fork_is_told_and_changes_nothing_of_the_parents() {
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    let grant = governor.request(&spec(tenant, 10)).unwrap();
    // SAFETY: the child calls the library, which takes no lock before it sees the fork, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let mut other = 0;
        let spec = spec(tenant, 10);
        // SAFETY: all are valid.
        let told = unsafe {
            allot_try_request(governor.0, &spec, &raw mut other, null_mut()) == ALLOT_ERROR_FORKED
                && allot_grant_release(governor.0, tenant, grant) == ALLOT_ERROR_FORKED
                && allot_governor_check(governor.0) == ALLOT_ERROR_FORKED
        };
        // SAFETY: nothing happens, and the child ends.
        unsafe {
            allot_governor_free(governor.0);
            libc::_exit(i32::from(!told));
        }
    }
    let mut status = 0;
    // SAFETY: it is valid.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child was not told");
    assert_eq!(governor.pool().live_bytes, 10);
    assert_eq!(governor.release(tenant, grant), ALLOT_OK);
}

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: that of the system, which is asked for everything.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn the_fast_calls_allocate_nothing() {
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    let (spec, mut grant) = (spec(tenant, 10), 0);
    let large = allot_request_spec { bytes: 2_000, ..spec };
    let mut denial = allot_denial::default();
    // SAFETY: all are valid.
    let mut round = || unsafe {
        let out_denial = &raw mut denial;
        assert_eq!(allot_try_request(governor.0, &spec, &raw mut grant, out_denial), ALLOT_OK);
        assert_eq!(allot_grant_touch(governor.0, tenant, grant), ALLOT_OK);
        assert_eq!(allot_grant_grow(governor.0, tenant, grant, 10, out_denial), ALLOT_OK);
        assert_eq!(allot_grant_shrink(governor.0, tenant, grant, 5), ALLOT_OK);
        let denied = allot_grant_grow(governor.0, tenant, grant, 2_000, out_denial);
        assert_eq!(denied, ALLOT_DENIED);
        assert_eq!(allot_grant_release(governor.0, tenant, grant), ALLOT_OK);
        let denied = allot_try_request(governor.0, &large, &raw mut grant, out_denial);
        assert_eq!(denied, ALLOT_DENIED);
    };
    round();
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| round());
    assert_eq!(ALLOCATIONS.get() - before, 0);
    drop(std::hint::black_box(Box::new(before)));
    assert_eq!(ALLOCATIONS.get() - before, 1, "they are counted");
}

#[cfg(feature = "panicking")]
#[test]
fn a_panic_becomes_a_status_and_what_is_held_can_be_given_back() {
    let governor = Owned::new(|_| {});
    let tenant = governor.tenant("chat");
    let grant = governor.request(&spec(tenant, 10)).unwrap();
    // SAFETY: it is valid.
    let status = unsafe { allot::panicking::allot_test_panic(governor.0) };
    assert_eq!(status, ALLOT_ERROR_PANICKED);
    assert_eq!(message(), "the library panicked: as the test wishes");
    assert_eq!(governor.request(&spec(tenant, 10)), Err(ALLOT_ERROR_PANICKED));
    // SAFETY: it is valid.
    assert_eq!(unsafe { allot_governor_check(governor.0) }, ALLOT_ERROR_PANICKED);
    assert_eq!(governor.release(tenant, grant), ALLOT_OK);
}

// The page itself.

#[test]
fn every_rule_of_the_contract_names_a_test_that_exists() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let here = std::fs::read_to_string(folder.join("tests/contract.rs")).unwrap();
    let rules = page.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    let mut seen = 0;
    for rule in rules {
        let shown = rule.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let Some(name) = shown.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else {
            continue;
        };
        if name == "drop_fn" || name.starts_with("cargo ") {
            continue;
        }
        let is_test = here.contains(&format!("fn {name}()"));
        let is_file = folder.join(format!("tests/{name}.rs")).exists();
        assert!(is_test || is_file, "no test `{name}` for: {rule}");
        seen += 1;
    }
    assert!(seen > 25, "{seen} rules were found");
}
