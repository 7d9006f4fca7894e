//! What the header is to C and what the library is to Rust are the same: structs with their fields
//! and what they begin as, and all numbers.

#![cfg(unix)]

#[expect(dead_code, reason = "functions are not asked for here")]
mod header;
#[expect(dead_code, reason = "valgrind and the shared library are not needed here")]
mod toolchain;

use allot::denial::allot_denial;
use allot::events::{allot_event, allot_event_reader};
use allot::explain::allot_explanation;
use allot::governor::allot_config;
use allot::group::allot_group_config;
use allot::pressure::allot_balance_report;
use allot::reclaim::allot_victim;
use allot::request::allot_request_spec;
use allot::status::TEXTS;
use allot::tenant::allot_tenant_config;
use allot::usage::{allot_pool, allot_usage};
use allot::version::{allot_abi_version, allot_version};
use allotment::{
    AllocationType, BATCH_MAX, DenialReason, EventKind, EventRead, Governor, GovernorConfig,
    Isolation, Policy, Pressure, Priority, ReclaimAnswer, TenantConfig, TenantId, Unregister,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::fmt::Debug;
use std::mem::offset_of;
use std::time::Duration;
use toolchain::{Build, c_compilers, cpp_compilers, finish, manifest, scratch};

const RUN_MAX: Duration = Duration::from_secs(10);

// What Rust says.

/// The bytes a struct begins as.
fn bytes<T: Default + Copy>() -> String {
    let begun = T::default();
    // SAFETY: `lines_of` has seen that there is no padding.
    let bytes =
        unsafe { std::slice::from_raw_parts((&raw const begun).cast::<u8>(), size_of::<T>()) };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

/// The lines of a struct.
macro_rules! lines_of {
    ($name:ident: $($field:ident)*) => {{
        let (name, size) = (stringify!($name), size_of::<$name>());
        let in_fields: usize = [$(size_of_field(|of: &$name| &of.$field)),*].iter().sum();
        assert_eq!(in_fields, size, "{name} has padding, or a field that is not compared");
        let begins = bytes::<$name>();
        let mut lines = vec![format!("struct {name}: {size} bytes, begins as {begins}")];
        $(
            let (field, offset) = (stringify!($field), offset_of!($name, $field));
            let size = size_of_field(|of: &$name| &of.$field);
            lines.push(format!("field {name}.{field}: {size} bytes at {offset}"));
        )*
        lines.push(format!("end {name}: {in_fields} bytes in fields"));
        lines
    }};
}

fn configurations() -> Vec<Vec<String>> {
    vec![
        lines_of!(allot_config: struct_size tenants_max capacity_bytes groups_max grants_max
            ghost_keys_max events_max waiters_max victims_max patience_ns quantum_bytes
            headroom_bytes busy_cooldown_ns promise_ns freed_shows_ns idle_claim_ns
            inactive_limit_ns pool_pressure warning_percent high_percent critical_percent
            hysteresis_percent high_relief_percent critical_relief_percent clock),
        lines_of!(allot_group_config: struct_size reserved name name_length parent guarantee_bytes
            limit_bytes),
        lines_of!(allot_tenant_config: struct_size priority id name name_length parent
            guarantee_bytes limit_bytes burst_bytes isolation policy grants_max rate_interval_ns
            rate_bucket_depth),
        lines_of!(allot_request_spec: struct_size allocation_type tenant bytes key cookie ttl_ns
            cost flags),
    ]
}

fn answers() -> Vec<Vec<String>> {
    vec![
        lines_of!(allot_denial: struct_size reason account account_kind waiting_can_help
            asked_bytes short_bytes available_bytes limit retry_after_ns pinned_bytes pinned_first
            pinned_grants reserved),
        lines_of!(allot_victim: struct_size allocation_type tenant grant bytes cookie key),
        lines_of!(allot_balance_report: struct_size pressure live_bytes freed_bytes deferred_bytes
            evicted_grants reservations_expired),
        lines_of!(allot_usage: struct_size priority tenant id used_bytes set_aside_bytes
            measured_bytes unaccounted_bytes peak_bytes claimed_bytes guarantee_bytes limit_bytes
            share_bytes granted denied evicted evicted_bytes isolation limit_lowered),
        lines_of!(allot_pool: struct_size pressure capacity_bytes live_bytes claimed_bytes
            measured_bytes unaccounted_bytes share_bytes shortfalls reclaim_timeouts
            reclaim_panics groups tenants waiters reserved),
        lines_of!(allot_explanation: struct_size reason account account_kind waiting_can_help
            asked_bytes short_bytes used_bytes limit plan_bytes plan_missing_bytes pinned_bytes
            plan_grants pinned_grants holders_count victims_count pinned_count reserved holders
            holder_bytes victims victim_bytes pinned),
        lines_of!(allot_event_reader: struct_size reserved position lost lost_now),
        lines_of!(allot_event: struct_size kind sequence time_ns grant bytes detail used_bytes
            account allocation_type from to reason cost),
    ]
}

/// `ALLOT_SLOT`.
fn slot(handle: u64) -> u32 {
    (handle & 0xff_ffff) as u32
}

/// Numbers by their names, but those of statuses, which have a table.
macro_rules! numbers {
    ($($module:ident: $($name:ident)*;)*) => {
        vec![$($((stringify!($name), i128::from(allot::$module::$name))),*),*]
    };
}

fn limits_and_choices() -> Vec<(&'static str, i128)> {
    numbers! {
        version: ALLOT_ABI_VERSION;
        governor: ALLOT_UNLIMITED ALLOT_FOREVER ALLOT_UNKNOWN ALLOT_ANY_COUNT
            ALLOT_CLOCK_MONOTONIC ALLOT_CLOCK_MANUAL;
        group: ALLOT_NAME_BYTES_MAX;
        explain: ALLOT_HOLDERS_MAX ALLOT_LISTED_MAX;
        request: ALLOT_REQUEST_EVICTABLE ALLOT_REQUEST_PINNED ALLOT_BATCH_MAX ALLOT_MODEL_LOAD
            ALLOT_INFERENCE ALLOT_CACHE ALLOT_BACKGROUND;
        tenant: ALLOT_PRIORITY_LOW ALLOT_PRIORITY_NORMAL ALLOT_PRIORITY_HIGH
            ALLOT_PRIORITY_CRITICAL ALLOT_ISOLATION_NONE ALLOT_ISOLATION_SOFT ALLOT_ISOLATION_HARD
            ALLOT_POLICY_LRU ALLOT_POLICY_LFU ALLOT_POLICY_TTL ALLOT_POLICY_SIZE
            ALLOT_POLICY_HYBRID ALLOT_UNREGISTER_IF_IDLE ALLOT_UNREGISTER_DRAIN
            ALLOT_UNREGISTER_FORCE;
    }
}

fn what_is_told() -> Vec<(&'static str, i128)> {
    numbers! {
        denial: ALLOT_REASON_TENANT_LIMIT ALLOT_REASON_GROUP_LIMIT ALLOT_REASON_CAPACITY
            ALLOT_REASON_GRANT_COUNT ALLOT_REASON_RATE_LIMIT ALLOT_REASON_SLOTS_EXHAUSTED
            ALLOT_REASON_CONTENDED ALLOT_REASON_WAITED_TOO_LONG ALLOT_REASON_WAITERS_EXHAUSTED
            ALLOT_REASON_AUDIT_FULL ALLOT_ACCOUNT_POOL ALLOT_ACCOUNT_GROUP ALLOT_ACCOUNT_TENANT;
        reclaim: ALLOT_RECLAIM_FREED ALLOT_RECLAIM_DEFERRED ALLOT_RECLAIM_BUSY;
        pressure: ALLOT_PRESSURE_NORMAL ALLOT_PRESSURE_HIGH ALLOT_PRESSURE_CRITICAL;
        events: ALLOT_EVENT_GRANTED ALLOT_EVENT_DENIED ALLOT_EVENT_GROWN ALLOT_EVENT_SHRUNK
            ALLOT_EVENT_RELEASED ALLOT_EVENT_EVICTED ALLOT_EVENT_REGISTERED
            ALLOT_EVENT_UNREGISTERED ALLOT_EVENT_LIMITS_CHANGED ALLOT_EVENT_PRESSURE_CHANGED
            ALLOT_EVENT_CAPACITY_CHANGED ALLOT_EVENT_RESERVATION_EXPIRED ALLOT_EVENT_LEAK
            ALLOT_EVENT_RECLAIM_TIMED_OUT ALLOT_EVENT_RECLAIM_PANICKED ALLOT_EVENT_FREED_NOT_SEEN
            ALLOT_EVENT_QUEUED ALLOT_EVENT_WITHDRAWN ALLOT_EVENT_TAKEN
            ALLOT_EVENT_RECLAIM_ANSWERED ALLOT_EVENT_EMERGENCY;
    }
}

/// Those of `TEXTS`.
fn statuses() -> Vec<(&'static str, i128)> {
    TEXTS.iter().map(|(number, name, _)| (name.to_str().unwrap(), i128::from(*number))).collect()
}

/// Those of the version that cargo builds.
fn version() -> Vec<(&'static str, i128)> {
    let parts = [
        ("ALLOT_VERSION_MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("ALLOT_VERSION_MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("ALLOT_VERSION_PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ];
    parts.map(|(name, number)| (name, number.parse().unwrap())).to_vec()
}

fn all_numbers() -> BTreeMap<&'static str, i128> {
    let all = [limits_and_choices(), what_is_told(), statuses(), version()].concat();
    let count = all.len();
    let numbers: BTreeMap<_, _> = all.into_iter().collect();
    assert_eq!(numbers.len(), count, "a number is listed twice");
    numbers
}

// What C says.

/// For `layout.c`: everything in the header, by the header's own words.
fn list(header: &str) -> String {
    let mut list = String::new();
    for (name, fields) in header::structs(header) {
        list += &format!("STRUCT({name}, {}_INIT)\n", name.to_uppercase());
        list.extend(fields.iter().map(|field| format!("FIELD({name}, {field})\n")));
        list += &format!("END({name})\n");
    }
    for (name, value) in header::constants(header) {
        let kind = if value.starts_with('"') { "TEXT" } else { "NUMBER" };
        list += &format!("{kind}({name})\n");
    }
    list
}

#[test]
fn c_and_cpp_see_what_rust_does() {
    let path = scratch("layout.list");
    std::fs::write(&path, list(&header::text())).unwrap();
    let mut expected: Vec<String> = [configurations(), answers()].concat().concat();
    let numbers = all_numbers();
    expected.extend(numbers.iter().map(|(name, number)| format!("number {name}: {number}")));
    expected.push(format!("text ALLOT_VERSION: {}", env!("CARGO_PKG_VERSION")));
    expected.push(format!("slot: {}", slot(0x1234_5678_9abc_def0)));
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let builds = c_compilers().into_iter().map(|c| (c, "c99"));
    for (compiler, standard) in builds.chain(cpp_compilers().into_iter().map(|c| (c, "c++17"))) {
        let source = Build::of(&[manifest("tests/layout.c")]).by(compiler).like(standard);
        let program = source.with(&[&format!("-DLAYOUT_LIST=\"{}\"", path.display())]).program();
        let said = finish(&mut program.command(), RUN_MAX).success();
        let said: BTreeSet<&str> = said.lines().collect();
        let only_c: Vec<_> = said.difference(&expected).collect();
        let only_rust: Vec<_> = expected.difference(&said).collect();
        assert!(
            only_c.is_empty() && only_rust.is_empty(),
            "{compiler} -std={standard}\nonly C: {only_c:#?}\nonly Rust: {only_rust:#?}"
        );
    }
}

#[test]
fn every_struct_of_the_header_has_a_macro_to_begin_with() {
    let header = header::text();
    let structs = header::structs(&header);
    assert!(structs.len() >= 12, "{} structs were found in the header", structs.len());
    for (name, fields) in &structs {
        assert_eq!(fields.first().map(String::as_str), Some("struct_size"), "{name}");
    }
    let of = |(name, _): &(String, _)| format!("{}_INIT", name.to_uppercase());
    let expected: BTreeSet<String> = structs.iter().map(of).collect();
    assert_eq!(header::beginnings(&header).into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn every_macro_of_the_header_is_compared() {
    let header = header::text();
    let constants = header::constants(&header);
    let mut seen: BTreeSet<&str> = constants.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(seen.len(), constants.len(), "a number is defined twice");
    let beginnings = header::beginnings(&header);
    seen.extend(beginnings.iter().map(String::as_str));
    seen.extend(["ALLOT_H", "ALLOT_SLOT"]);
    for line in header.lines() {
        let Some(rest) = line.trim_start().strip_prefix("#define ") else { continue };
        let name = rest.split([' ', '(']).next().unwrap();
        assert!(seen.contains(name), "{name} is not compared");
    }
}

// What the numbers stand for.

/// `ALLOT_REASON_GRANT_COUNT` for `GrantCount`.
fn constant(prefix: &str, variant: &impl Debug) -> String {
    let mut name = prefix.to_string();
    for (at, letter) in format!("{variant:?}").char_indices() {
        if at > 0 && letter.is_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// All numbers with the prefix are those of the variants, and the other way round.
#[track_caller]
fn same<V: Debug>(prefix: &str, variants: impl IntoIterator<Item = V>, code: impl Fn(V) -> u8) {
    let variants = variants.into_iter();
    let of_core = variants.map(|variant| (constant(prefix, &variant), i128::from(code(variant))));
    let of_core: BTreeMap<String, i128> = of_core.collect();
    let numbers = all_numbers().into_iter().filter(|(name, _)| name.starts_with(prefix));
    let of_header: BTreeMap<String, i128> =
        numbers.map(|(name, number)| (name.to_string(), number)).collect();
    assert_eq!(of_header, of_core, "{prefix}");
}

#[test]
fn numbers_are_those_of_the_governor() {
    use DenialReason::*;
    let reasons = [
        TenantLimit,
        GroupLimit,
        Capacity,
        GrantCount,
        RateLimit,
        SlotsExhausted,
        Contended,
        WaitedTooLong,
        WaitersExhausted,
        AuditFull,
    ];
    same("ALLOT_REASON_", reasons, DenialReason::code);
    same("ALLOT_PRIORITY_", Priority::ALL, |priority| priority as u8);
    let isolations = [Isolation::None, Isolation::Soft, Isolation::Hard];
    same("ALLOT_ISOLATION_", isolations, |isolation| isolation as u8);
    same("ALLOT_POLICY_", Policy::ALL, |policy| policy as u8);
    same("ALLOT_PRESSURE_", Pressure::ALL, |pressure| pressure as u8);
    let answers = [ReclaimAnswer::Freed, ReclaimAnswer::Deferred, ReclaimAnswer::Busy];
    same("ALLOT_RECLAIM_", answers, |answer| answer as u8);
    let ways = [Unregister::IfIdle, Unregister::Drain, Unregister::Force];
    same("ALLOT_UNREGISTER_", ways, |how| how as u8);
    for kind in AllocationType::ALL {
        let name = constant("ALLOT_", &kind);
        assert_eq!(all_numbers()[name.as_str()], kind as i128, "{name}");
    }
    assert_eq!(all_numbers()["ALLOT_BATCH_MAX"], BATCH_MAX as i128);
}

#[test]
fn the_slot_of_a_handle_is_what_events_call_it() {
    let config = GovernorConfig { events_max: 16, ..GovernorConfig::new(1 << 30) };
    let governor = Governor::new(config).unwrap();
    let id = TenantId::from_u128(1);
    let tenant = governor.register_tenant(TenantConfig::new(id, "chat")).unwrap();
    let mut events = governor.events();
    let registered = std::iter::from_fn(|| match events.read() {
        EventRead::Event(event) => Some(event),
        _ => None,
    });
    let slots: Vec<u32> = registered
        .filter(|event| event.kind == EventKind::Registered)
        .map(|event| event.account)
        .collect();
    assert_eq!(slots, [slot(tenant.as_u64())]);
}

#[test]
fn events_are_those_of_the_governor_but_the_calls_of_its_log() {
    use EventKind::*;
    let calls = [
        Asked,
        Intended,
        Touched,
        Pinned,
        KeptAlive,
        Committed,
        Declined,
        Balanced,
        PressureReported,
        Measured,
        Polled,
        Tried,
    ];
    let told = EventKind::ALL.into_iter().filter(|kind| !calls.contains(kind));
    same("ALLOT_EVENT_", told, |kind| kind as u8);
}

#[test]
fn every_status_has_a_number_of_its_own_and_a_text() {
    let numbers: BTreeSet<i128> = statuses().into_iter().map(|(_, number)| number).collect();
    assert_eq!(numbers.len(), TEXTS.len(), "a number stands for two statuses");
    let names: BTreeSet<&str> = statuses().into_iter().map(|(name, _)| name).collect();
    for (name, value) in header::constants(&header::text()) {
        let is_status = value.starts_with('-') || name.starts_with("ALLOT_ERROR_");
        assert!(!is_status || names.contains(name.as_str()), "{name} has no text");
    }
    for (number, name, text) in TEXTS {
        let (name, text) = (name.to_str().unwrap(), text.to_str().unwrap());
        assert!(!text.is_empty() && !text.contains('\n'), "{name}: {text:?}");
        assert_eq!(name.starts_with("ALLOT_ERROR_"), *number < 0, "{name} is {number}");
    }
}

#[test]
fn the_library_says_the_version_of_the_header() {
    // SAFETY: a text with a NUL that is valid for ever.
    let said = unsafe { CStr::from_ptr(allot_version()) };
    assert_eq!(said.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
    assert_eq!(allot_abi_version(), allot::version::ALLOT_ABI_VERSION);
}
