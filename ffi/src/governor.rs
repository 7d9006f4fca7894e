//! The governor: made from a struct or from text, shared by counting, and its clock.

use crate::guard::{Answer, Fault, Stamp, call, call_alone, check_stamp, give_back, new_stamp};
use crate::pointer::{Out, Versioned, out, read};
use crate::status::{ALLOT_ERROR_CONFIG, ALLOT_ERROR_ENUM, ALLOT_OK, allot_status};
use crate::ticket::Tickets;
use allotment::os::{Clock, ManualClock};
use allotment::{Governor, GovernorConfig};
use std::ffi::c_char;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[expect(clippy::disallowed_types, reason = "no part of the core's models")]
type Flag = std::sync::atomic::AtomicBool;

/// Bytes without a bound: no limit.
pub const ALLOT_UNLIMITED: u64 = 0xffff_ffff_ffff_ffff;
/// A time that never comes, in ns.
pub const ALLOT_FOREVER: u64 = 0xffff_ffff_ffff_ffff;
/// A number that is not known.
pub const ALLOT_UNKNOWN: u64 = 0xffff_ffff_ffff_ffff;
/// A count without a bound.
pub const ALLOT_ANY_COUNT: u32 = 0xffff_ffff;

/// Where a governor's time comes from.
pub type allot_clock = u32;

/// The clock of the system that is never set back.
pub const ALLOT_CLOCK_MONOTONIC: allot_clock = 0;
/// A clock that stands still until allot_clock_advance_ns: with it and one thread the same calls
/// give the same answers.
pub const ALLOT_CLOCK_MANUAL: allot_clock = 1;

/// A governor: many tenants share its memory. Opaque, and counted: allot_governor_new answers one
/// reference, allot_governor_retain adds one, allot_governor_free takes one away, and the last one
/// ends it. Any thread may call it; a thread that calls it has to have a reference until the call
/// has returned.
pub struct allot_governor {
    stamp: Stamp,
    pub(crate) inner: Arc<Governor>,
    manual: Option<ManualClock>,
    has_callbacks: Flag,
    pub(crate) tickets: Tickets,
}

impl allot_governor {
    fn new(
        config: GovernorConfig,
        make: impl FnOnce(GovernorConfig) -> Result<Governor, Fault>,
    ) -> Result<Arc<Self>, Fault> {
        let manual = match &config.clock {
            Clock::Manual(manual) => Some(manual.clone()),
            _ => None,
        };
        let governor = make(config)?;
        Ok(Arc::new(Self {
            stamp: Stamp::new(new_stamp()),
            inner: Arc::new(governor),
            manual,
            has_callbacks: Flag::new(false),
            tickets: Tickets::default(),
        }))
    }

    #[inline(always)]
    pub(crate) fn stamp(&self) -> u64 {
        // Relaxed: nothing else is read on its account.
        self.stamp.load(Ordering::Relaxed)
    }

    pub(crate) fn mark_broken(&self, broken: u64) {
        // Relaxed: nothing else is read on its account.
        self.stamp.fetch_or(broken, Ordering::Relaxed);
    }

    /// A reference of the library's own.
    pub(crate) fn hold(&self) -> Arc<Self> {
        let this: *const Self = self;
        // SAFETY: there is no governor outside of an `Arc`, and the caller has a reference.
        unsafe {
            Arc::increment_strong_count(this);
            Arc::from_raw(this)
        }
    }

    /// The same for a call that may run the caller's functions, which may free the governor.
    #[inline(always)]
    pub(crate) fn hold_for_callbacks(&self) -> Option<Arc<Self>> {
        // Acquire: pairs with the Release in `expect_callbacks`.
        self.has_callbacks.load(Ordering::Acquire).then(|| self.hold())
    }

    /// From now on calls may run the caller's functions.
    pub(crate) fn expect_callbacks(&self) {
        // Release: pairs with the Acquire in `hold_for_callbacks`.
        self.has_callbacks.store(true, Ordering::Release);
    }
}

impl Drop for allot_governor {
    fn drop(&mut self) {
        // Relaxed: for who calls it although it has no reference, if that can be seen at all.
        self.stamp.store(0, Ordering::Relaxed);
        self.tickets.end_all();
    }
}

/// How a governor is set up. Begin with ALLOT_CONFIG_INIT, and set capacity_bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_config {
    /// sizeof(allot_config).
    pub struct_size: u32,
    /// Most tenants registered at once, 1 to 2^20. Costs address space, not memory.
    pub tenants_max: u32,
    /// Bytes to share, 1 to 2^48 - 1. Has no default.
    pub capacity_bytes: u64,
    /// Most groups registered at once, up to 2^16.
    pub groups_max: u32,
    /// Most live grants, 1 to 2^23. Costs address space, not memory.
    pub grants_max: u32,
    /// Content keys whose frequency is remembered after eviction, up to 2^28; 0: none.
    pub ghost_keys_max: u32,
    /// Events kept for readers, up to 2^24, rounded up to a power of two; 0: none are recorded.
    pub events_max: u32,
    /// Most requests that wait at once, up to 2^16; 0: nobody can wait.
    pub waiters_max: u32,
    /// Most victims evicted for one request, at least 1.
    pub victims_max: u32,
    /// How long a waiter may be passed over by smaller ones before bytes are set aside for it, ns.
    pub patience_ns: u64,
    /// Bytes of claim bought beyond the need while the pool is far from full.
    pub quantum_bytes: u64,
    /// Bytes freed beyond a shortage when victims are evicted for it.
    pub headroom_bytes: u64,
    /// For how long a victim whose owner answered busy is left alone, in ns.
    pub busy_cooldown_ns: u64,
    /// Within what time a deferred or polled victim has to be released, in ns, at least 1;
    /// ALLOT_FOREVER: it may take for ever.
    pub promise_ns: u64,
    /// Within what time memory that was said to be freed has to show in measurements, in ns.
    pub freed_shows_ns: u64,
    /// After what time without a request a tenant's idle claim goes back, in ns; ALLOT_FOREVER:
    /// never.
    pub idle_claim_ns: u64,
    /// After what time without a request a tenant's ceiling comes down to what it holds while
    /// memory is short, in ns; ALLOT_FOREVER: never.
    pub inactive_limit_ns: u64,
    /// 1: the fill of the pool counts as pressure; 0: only what is reported does.
    pub pool_pressure: u32,
    /// Percent of capacity at which a warning is raised.
    pub warning_percent: u32,
    /// Percent of capacity at which pressure is High.
    pub high_percent: u32,
    /// Percent of capacity at which pressure is Critical.
    pub critical_percent: u32,
    /// Percentage points below a threshold at which its level ends.
    pub hysteresis_percent: u32,
    /// Percent of live bytes a step of the balancer frees at High.
    pub high_relief_percent: u32,
    /// Percent of live bytes a step of the balancer frees at Critical.
    pub critical_relief_percent: u32,
    /// Where time comes from: one of the ALLOT_CLOCK numbers.
    pub clock: allot_clock,
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_config {
    const SIZE_MIN: usize = 136;
}

impl Default for allot_config {
    fn default() -> Self {
        let plain = GovernorConfig::new(1);
        Self {
            struct_size: size_of::<Self>() as u32,
            tenants_max: plain.tenants_max,
            capacity_bytes: 0,
            groups_max: plain.groups_max,
            grants_max: plain.grants_max,
            ghost_keys_max: plain.ghost_keys_max,
            events_max: plain.events_max,
            waiters_max: plain.waiters_max,
            victims_max: plain.victims_max,
            patience_ns: plain.patience_ns,
            quantum_bytes: plain.quantum_bytes,
            headroom_bytes: plain.headroom_bytes,
            busy_cooldown_ns: plain.busy_cooldown_ns,
            promise_ns: plain.promise_ns,
            freed_shows_ns: plain.freed_shows_ns,
            idle_claim_ns: plain.idle_claim_ns,
            inactive_limit_ns: plain.inactive_limit_ns,
            pool_pressure: plain.pool_pressure.into(),
            warning_percent: plain.warning_percent.into(),
            high_percent: plain.high_percent.into(),
            critical_percent: plain.critical_percent.into(),
            hysteresis_percent: plain.hysteresis_percent.into(),
            high_relief_percent: plain.high_relief_percent.into(),
            critical_relief_percent: plain.critical_relief_percent.into(),
            clock: ALLOT_CLOCK_MONOTONIC,
        }
    }
}

impl allot_config {
    fn checked(&self) -> Result<GovernorConfig, Fault> {
        Ok(GovernorConfig {
            tenants_max: self.tenants_max,
            groups_max: self.groups_max,
            grants_max: self.grants_max,
            ghost_keys_max: self.ghost_keys_max,
            events_max: self.events_max,
            waiters_max: self.waiters_max,
            patience_ns: self.patience_ns,
            quantum_bytes: self.quantum_bytes,
            headroom_bytes: self.headroom_bytes,
            victims_max: self.victims_max,
            busy_cooldown_ns: self.busy_cooldown_ns,
            promise_ns: self.promise_ns,
            freed_shows_ns: self.freed_shows_ns,
            idle_claim_ns: self.idle_claim_ns,
            inactive_limit_ns: self.inactive_limit_ns,
            pool_pressure: flag(self.pool_pressure)?,
            warning_percent: percent("warning_percent", self.warning_percent)?,
            high_percent: percent("high_percent", self.high_percent)?,
            critical_percent: percent("critical_percent", self.critical_percent)?,
            hysteresis_percent: percent("hysteresis_percent", self.hysteresis_percent)?,
            high_relief_percent: percent("high_relief_percent", self.high_relief_percent)?,
            critical_relief_percent: percent(
                "critical_relief_percent",
                self.critical_relief_percent,
            )?,
            clock: match self.clock {
                ALLOT_CLOCK_MONOTONIC => Clock::monotonic(),
                ALLOT_CLOCK_MANUAL => Clock::Manual(ManualClock::new()),
                _ => return Err(ALLOT_ERROR_ENUM.into()),
            },
            ..GovernorConfig::new(self.capacity_bytes)
        })
    }
}

/// A number that says yes or no.
pub(crate) fn flag(number: u32) -> Result<bool, Fault> {
    match number {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ALLOT_ERROR_ENUM.into()),
    }
}

fn percent(field: &str, percent: u32) -> Result<u8, Fault> {
    u8::try_from(percent).map_err(|_| {
        let message = format!("{field}: {percent} is out of range; use 0 to 100");
        Fault::Told(ALLOT_ERROR_CONFIG, message.into())
    })
}

/// Makes a governor over config->capacity_bytes.
///
/// Owns: the caller gets one reference, to be given back by allot_governor_free. Threads: any.
/// Blocks: no; reserves address space. Returns: ALLOT_OK; ALLOT_ERROR_CONFIG for a value out of
/// range, which allot_error_message names; ALLOT_ERROR_ENUM. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_governor_new(
    config: *const allot_config,
    out_governor: *mut *mut allot_governor,
) -> allot_status {
    call_alone(|| {
        // SAFETY: the contract of the header.
        let config = unsafe { read(config) }?.checked()?;
        // SAFETY: the contract of the header.
        let out_governor = unsafe { out(out_governor) }?;
        let made = allot_governor::new(config, |config| Ok(Governor::new(config)?))?;
        Ok(answer(made, out_governor))
    })
}

fn answer(made: Arc<allot_governor>, out_governor: Out<*mut allot_governor>) -> allot_status {
    out_governor.write(Arc::into_raw(made).cast_mut());
    ALLOT_OK
}

/// Makes a governor from the text of a configuration file (docs/CONFIG.md), with all its groups and
/// tenants registered: allot_tenant_find_name and allot_group_find_name find them. What such a text
/// cannot say is taken from config, which may be NULL; capacity, thresholds of pressure and most
/// grants come from the text.
///
/// The text is UTF-8 of at most 16 MiB, without NUL. It is not kept.
///
/// Owns: the caller gets one reference, to be given back by allot_governor_free. Threads: any.
/// Blocks: no. Returns: ALLOT_OK; ALLOT_ERROR_CONFIG, and allot_error_message says in which line
/// what is wrong; ALLOT_ERROR_UNSUPPORTED from a library without it. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_governor_new_toml(
    text: *const c_char,
    text_length: u64,
    config: *const allot_config,
    out_governor: *mut *mut allot_governor,
) -> allot_status {
    call_alone(|| {
        // SAFETY: the contract of the header.
        let text = unsafe { crate::pointer::text(text, text_length, TOML_BYTES_MAX) }?;
        let config = match config.is_null() {
            true => allot_config::default(),
            // SAFETY: the contract of the header.
            false => unsafe { read(config) }?,
        };
        // SAFETY: the contract of the header.
        let out_governor = unsafe { out(out_governor) }?;
        let made = allot_governor::new(config.checked()?, |config| from_toml(text, config))?;
        Ok(answer(made, out_governor))
    })
}

const TOML_BYTES_MAX: u64 = 16 << 20;

#[cfg(not(feature = "toml"))]
fn from_toml(_: &str, _: GovernorConfig) -> Result<Governor, Fault> {
    Err(crate::status::ALLOT_ERROR_UNSUPPORTED.into())
}

#[cfg(feature = "toml")]
fn from_toml(text: &str, config: GovernorConfig) -> Result<Governor, Fault> {
    let setup = allotment_config::parse(text, std::path::Path::new("configuration"))
        .map_err(|error| Fault::Told(ALLOT_ERROR_CONFIG, error.to_string().into()))?;
    let clock = config.clock.clone();
    let built = setup.build(clock, |read| GovernorConfig {
        capacity_bytes: read.capacity_bytes,
        tenants_max: config.tenants_max.max(setup.tenants.len() as u32),
        groups_max: config.groups_max.max(setup.groups.len() as u32),
        grants_max: setup.grants_max.unwrap_or(config.grants_max),
        pool_pressure: read.pool_pressure,
        warning_percent: read.warning_percent,
        high_percent: read.high_percent,
        critical_percent: read.critical_percent,
        hysteresis_percent: read.hysteresis_percent,
        ..config
    })?;
    Ok(built.governor)
}

/// Adds a reference, for another thread or owner to give back.
///
/// Owns: one more reference, to be given back by allot_governor_free. Threads: any. Blocks: no.
/// Returns: ALLOT_OK. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_governor_retain(governor: *mut allot_governor) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            std::mem::forget(governor.hold());
            Ok(ALLOT_OK)
        })
    }
}

/// Gives one reference back. The last one ends the governor: tickets are cancelled, functions of
/// the caller's are let go (drop_fn), and if grants are live one line on standard error says whose.
/// NULL does nothing. In a fork of the process that made it nothing happens: it is the parent's.
///
/// Owns: takes the reference. Threads: any, also within a callback; a call or a callback that is
/// under way keeps the governor until it has returned, and what belongs to it until its drop_fn.
/// Blocks: no; waits for no callback. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_governor_free(governor: *mut allot_governor) {
    if governor.is_null() {
        return;
    }
    // SAFETY: the contract of the header.
    unsafe {
        crate::guard::call_to_end(governor, |governor| {
            // SAFETY: the caller gives its reference up.
            let reference = Arc::from_raw(std::ptr::from_ref(governor));
            give_back(reference);
            Ok(ALLOT_OK)
        })
    };
}

/// Whether the governor is well.
///
/// Threads: any. Blocks: no. Returns: ALLOT_OK, ALLOT_ERROR_FORKED in a fork of the process that
/// made it, ALLOT_ERROR_PANICKED if a call has panicked. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_governor_check(governor: *mut allot_governor) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            check_stamp(governor.stamp())?;
            Ok(ALLOT_OK)
        })
    }
}

/// Changes the capacity while everything runs. Below what is in use nothing is taken away: requests
/// are denied until enough was released or evicted.
///
/// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; ALLOT_ERROR_CONFIG for 0
/// or more than 2^48 - 1 bytes; ALLOT_ERROR_GUARANTEES_EXCEED. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_governor_set_capacity(
    governor: *mut allot_governor,
    capacity_bytes: u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            governor.inner.set_capacity(capacity_bytes)?;
            Ok(ALLOT_OK)
        })
    }
}

/// The time by the governor's clock, in ns since it was made: that of events.
///
/// Threads: any. Blocks: no. Returns: ALLOT_OK and *out_now_ns. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_clock_now_ns(
    governor: *mut allot_governor,
    out_now_ns: *mut u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            out(out_now_ns)?.write(governor.inner.clock().now_ns());
            Ok(ALLOT_OK)
        })
    }
}

/// Moves a clock of ALLOT_CLOCK_MANUAL on; it stops at 2^64 - 1.
///
/// Threads: any. Blocks: no. Returns: ALLOT_OK; ALLOT_ERROR_UNSUPPORTED for another clock.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_clock_advance_ns(
    governor: *mut allot_governor,
    by_ns: u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| -> Answer {
            let manual = governor.manual.as_ref();
            let manual = manual.ok_or(Fault::from(crate::status::ALLOT_ERROR_UNSUPPORTED))?;
            manual.advance_ns(by_ns);
            Ok(ALLOT_OK)
        })
    }
}
