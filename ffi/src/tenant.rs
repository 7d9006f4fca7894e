//! Tenants: the parties whose bytes are counted.

use crate::governor::{ALLOT_ANY_COUNT, ALLOT_UNLIMITED, allot_governor};
use crate::group::{ALLOT_NAME_BYTES_MAX, allot_group, fixed, limit, parent};
use crate::guard::{Fault, call, call_held, call_held_to_end};
use crate::pointer::{Buffer, Versioned, out, out_optional, out_struct, read, reference, text};
use crate::status::{ALLOT_ERROR_CONFIG, ALLOT_ERROR_ENUM, ALLOT_NONE, ALLOT_OK, allot_status};
use allotment::{
    AccountName, Isolation, Policy, Priority, RateLimit, TenantConfig, TenantHandle, TenantId,
    Unregister,
};
use std::ffi::c_char;

/// A registered tenant of one governor, by value; never 0. Refused once the tenant is gone.
pub type allot_tenant = u64;

/// Who goes first when not all can. The weight decides fair shares.
pub type allot_priority = u32;

/// Weight 1; evicted first.
pub const ALLOT_PRIORITY_LOW: allot_priority = 0;
/// Weight 2.
pub const ALLOT_PRIORITY_NORMAL: allot_priority = 1;
/// Weight 3.
pub const ALLOT_PRIORITY_HIGH: allot_priority = 2;
/// Weight 4; evicted last.
pub const ALLOT_PRIORITY_CRITICAL: allot_priority = 3;

/// How strictly a tenant's own limits bind it. The pool's capacity binds everybody always.
pub type allot_isolation = u32;

/// The tenant's limits are ignored; its guarantee is kept.
pub const ALLOT_ISOLATION_NONE: allot_isolation = 0;
/// Up to burst_bytes while pressure is Normal, limit_bytes when it is High, the fair share when it
/// is Critical.
pub const ALLOT_ISOLATION_SOFT: allot_isolation = 1;
/// limit_bytes, whatever the pressure.
pub const ALLOT_ISOLATION_HARD: allot_isolation = 2;

/// The order in which the grants of one tenant go.
pub type allot_policy = u32;

/// Least recently touched first.
pub const ALLOT_POLICY_LRU: allot_policy = 0;
/// Least often touched first.
pub const ALLOT_POLICY_LFU: allot_policy = 1;
/// Soonest to expire first, what never expires last.
pub const ALLOT_POLICY_TTL: allot_policy = 2;
/// Largest first.
pub const ALLOT_POLICY_SIZE: allot_policy = 3;
/// Least value per byte first.
pub const ALLOT_POLICY_HYBRID: allot_policy = 4;

/// What becomes of a tenant's grants when it is unregistered.
pub type allot_unregister_how = u32;

/// Refuse while it holds grants.
pub const ALLOT_UNREGISTER_IF_IDLE: allot_unregister_how = 0;
/// No new grants; the live ones run on until they are released.
pub const ALLOT_UNREGISTER_DRAIN: allot_unregister_how = 1;
/// All grants end now.
pub const ALLOT_UNREGISTER_FORCE: allot_unregister_how = 2;

/// A tenant. Begin with ALLOT_TENANT_CONFIG_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_tenant_config {
    /// sizeof(allot_tenant_config).
    pub struct_size: u32,
    /// One of the ALLOT_PRIORITY numbers.
    pub priority: allot_priority,
    /// A UUID, in the order in which it is written. All zero: one made of the name, always the same
    /// for the same name, as the configuration file does.
    pub id: [u8; 16],
    /// What people call it: UTF-8 without NUL, at most 255 bytes. Read during the call only.
    pub name: *const c_char,
    /// Bytes of the name.
    pub name_length: u64,
    /// The group above; 0: directly below the pool.
    pub parent: allot_group,
    /// Floor in bytes: always granted, never reclaimed.
    pub guarantee_bytes: u64,
    /// Ceiling in bytes; ALLOT_UNLIMITED: the parent's.
    pub limit_bytes: u64,
    /// Higher ceiling while pressure is Normal, for ALLOT_ISOLATION_SOFT; ALLOT_UNLIMITED: the
    /// limit.
    pub burst_bytes: u64,
    /// One of the ALLOT_ISOLATION numbers.
    pub isolation: allot_isolation,
    /// One of the ALLOT_POLICY numbers.
    pub policy: allot_policy,
    /// Most live grants of each allocation type, by its number; ALLOT_ANY_COUNT: not limited.
    pub grants_max: [u32; 4],
    /// Time per request in ns; 0: the rate is not limited.
    pub rate_interval_ns: u64,
    /// Requests that may come at once when the tenant has been quiet, at least 1.
    pub rate_bucket_depth: u64,
}

// SAFETY: numbers and a pointer, none of them padded.
unsafe impl Versioned for allot_tenant_config {
    const SIZE_MIN: usize = 112;
}

impl Default for allot_tenant_config {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            priority: ALLOT_PRIORITY_NORMAL,
            id: [0; 16],
            name: std::ptr::null(),
            name_length: 0,
            parent: 0,
            guarantee_bytes: 0,
            limit_bytes: ALLOT_UNLIMITED,
            burst_bytes: ALLOT_UNLIMITED,
            isolation: ALLOT_ISOLATION_SOFT,
            policy: ALLOT_POLICY_HYBRID,
            grants_max: [ALLOT_ANY_COUNT; 4],
            rate_interval_ns: 0,
            rate_bucket_depth: 1,
        }
    }
}

impl allot_tenant_config {
    /// # Safety
    ///
    /// The name is NULL or valid.
    unsafe fn checked(&self) -> Result<TenantConfig, Fault> {
        // SAFETY: as the caller says.
        let name = unsafe { text(self.name, self.name_length, ALLOT_NAME_BYTES_MAX) }?;
        Ok(TenantConfig {
            parent: parent(self.parent),
            guarantee_bytes: self.guarantee_bytes,
            limit_bytes: limit(self.limit_bytes),
            burst_bytes: limit(self.burst_bytes),
            priority: priority(self.priority)?,
            isolation: isolation(self.isolation)?,
            policy: policy(self.policy)?,
            grants_max: self.grants_max.map(|most| (most != ALLOT_ANY_COUNT).then_some(most)),
            rate: self.rate()?,
            ..TenantConfig::new(self.tenant_id(name), name)
        })
    }

    fn tenant_id(&self, name: &str) -> TenantId {
        match TenantId::from_bytes(self.id) {
            id if id.is_nil() => id_of(name),
            id => id,
        }
    }

    fn rate(&self) -> Result<Option<RateLimit>, Fault> {
        if self.rate_interval_ns == 0 {
            return Ok(None);
        }
        let rate = RateLimit::from_interval(self.rate_interval_ns, self.rate_bucket_depth);
        let told = |error: String| Fault::Told(ALLOT_ERROR_CONFIG, error.into());
        rate.map(Some).map_err(|error| told(format!("rate: {error}")))
    }

    /// The struct for a configuration, without the name.
    fn of(config: &TenantConfig) -> Self {
        let rate = config.rate;
        Self {
            priority: config.priority as u32,
            id: *config.id.as_bytes(),
            parent: config.parent.map_or(0, |group| group.as_u64()),
            guarantee_bytes: config.guarantee_bytes,
            limit_bytes: config.limit_bytes.unwrap_or(ALLOT_UNLIMITED),
            burst_bytes: config.burst_bytes.unwrap_or(ALLOT_UNLIMITED),
            isolation: config.isolation as u32,
            policy: u32::from(config.policy.as_u8()),
            grants_max: config.grants_max.map(|most| most.unwrap_or(ALLOT_ANY_COUNT)),
            rate_interval_ns: rate.map_or(0, RateLimit::interval_ns),
            rate_bucket_depth: rate.map_or(1, RateLimit::bucket_depth),
            ..Self::default()
        }
    }
}

#[cfg(feature = "toml")]
fn id_of(name: &str) -> TenantId {
    allotment_config::id_of(name)
}

#[cfg(not(feature = "toml"))]
fn id_of(_: &str) -> TenantId {
    TenantId::nil()
}

fn priority(number: allot_priority) -> Result<Priority, Fault> {
    Priority::ALL.get(number as usize).copied().ok_or(ALLOT_ERROR_ENUM.into())
}

fn isolation(number: allot_isolation) -> Result<Isolation, Fault> {
    let all = [Isolation::None, Isolation::Soft, Isolation::Hard];
    all.get(number as usize).copied().ok_or(ALLOT_ERROR_ENUM.into())
}

fn policy(number: allot_policy) -> Result<Policy, Fault> {
    Policy::ALL.get(number as usize).copied().ok_or(ALLOT_ERROR_ENUM.into())
}

/// Registers a tenant. Its guarantee is paid for when this returns.
///
/// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK and *out_tenant;
/// ALLOT_ERROR_CONFIG for limits out of order; ALLOT_ERROR_ENUM; ALLOT_ERROR_TEXT and
/// ALLOT_ERROR_UTF8 for the name; ALLOT_ERROR_DUPLICATE_TENANT; ALLOT_ERROR_TABLE_FULL;
/// ALLOT_ERROR_GUARANTEES_EXCEED; ALLOT_ERROR_GUARANTEE_UNAVAILABLE; ALLOT_ERROR_GONE and
/// ALLOT_ERROR_FOREIGN for the parent; ALLOT_ERROR_CONTENDED if the one place left is a gone
/// tenant's, of which another thread is still asking for something: call again. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_tenant_register(
    governor: *mut allot_governor,
    config: *const allot_tenant_config,
    out_tenant: *mut allot_tenant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held(governor, |governor| {
            let config = read(config)?.checked()?;
            let out_tenant = out(out_tenant)?;
            out_tenant.write(governor.inner.register_tenant(config)?.as_u64());
            Ok(ALLOT_OK)
        })
    }
}

/// Changes a tenant while it runs: everything but id and parent, which have to be 0 or what they
/// were. A name of length 0 leaves it as it is, so what allot_tenant_get answers can be changed and
/// given back. A limit below what is used takes nothing away; further requests are denied. Requests
/// that wait and fit by it are served; who has to be evicted for them, allot_balance evicts.
///
/// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; errors as for
/// allot_tenant_register; ALLOT_ERROR_CONTENDED if another thread changed it meanwhile: call again.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_tenant_update(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    config: *const allot_tenant_config,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let plain = read(config)?;
            let config = plain.checked()?;
            let tenant = TenantHandle::from_u64(tenant);
            // These stay as they are as long as the handle is good.
            let fixed_now = governor.inner.tenant_config(tenant)?;
            if plain.id != [0; 16] && config.id != fixed_now.id {
                return Err(fixed("id"));
            }
            if config.parent.is_some() && config.parent != fixed_now.parent {
                return Err(fixed("parent"));
            }
            governor.inner.set_tenant(tenant, |now| {
                let (id, parent) = (now.id, now.parent);
                let name = std::mem::take(&mut now.name);
                *now = TenantConfig { id, parent, ..config };
                if now.name.is_empty() {
                    now.name = name;
                }
            })?;
            Ok(ALLOT_OK)
        })
    }
}

/// The configuration a tenant has now, without its name: for allot_tenant_update.
///
/// Threads: any. Blocks: on the administrative mutex; allocates. Returns: ALLOT_OK and
/// *out_config; ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_tenant_get(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    out_config: *mut allot_tenant_config,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let out_config = out_struct(out_config)?;
            let config = governor.inner.tenant_config(TenantHandle::from_u64(tenant))?;
            out_config.write(&allot_tenant_config::of(&config));
            Ok(ALLOT_OK)
        })
    }
}

/// Unregisters a tenant. Its requests that wait are answered at once: ALLOT_ERROR_GONE. While it
/// drains its reclaim callback stays, and is let go when its slot gets another tenant or the
/// governor ends.
///
/// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; ALLOT_ERROR_GRANTS_LIVE
/// with ALLOT_UNREGISTER_IF_IDLE while it holds grants; ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN;
/// ALLOT_ERROR_ENUM. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_tenant_unregister(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    how: allot_unregister_how,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_held_to_end(governor, |governor| {
            let how = match how {
                ALLOT_UNREGISTER_IF_IDLE => Unregister::IfIdle,
                ALLOT_UNREGISTER_DRAIN => Unregister::Drain,
                ALLOT_UNREGISTER_FORCE => Unregister::Force,
                _ => return Err(ALLOT_ERROR_ENUM.into()),
            };
            governor.inner.unregister_tenant(TenantHandle::from_u64(tenant), how)?;
            Ok(ALLOT_OK)
        })
    }
}

/// Finds a tenant by the 16 bytes of its id.
///
/// Threads: any. Blocks: no; lock-free. Returns: ALLOT_OK and *out_tenant; ALLOT_NONE. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_tenant_find(
    governor: *mut allot_governor,
    id: *const u8,
    out_tenant: *mut allot_tenant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let id = TenantId::from_bytes(*reference(id.cast::<[u8; 16]>())?);
            let out_tenant = out(out_tenant)?;
            let Some(tenant) = governor.inner.find(id) else { return Ok(ALLOT_NONE) };
            out_tenant.write(tenant.as_u64());
            Ok(ALLOT_OK)
        })
    }
}

/// Finds a tenant by its name; the one in the lowest slot if several have it.
///
/// Threads: any. Blocks: on the administrative mutex; steps grow with the number of accounts.
/// Returns: ALLOT_OK and *out_tenant; ALLOT_NONE; ALLOT_ERROR_TEXT; ALLOT_ERROR_UTF8. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_tenant_find_name(
    governor: *mut allot_governor,
    name: *const c_char,
    name_length: u64,
    out_tenant: *mut allot_tenant,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let name = text(name, name_length, ALLOT_NAME_BYTES_MAX)?;
            let out_tenant = out(out_tenant)?;
            let Some(tenant) = governor.inner.find_named(name) else { return Ok(ALLOT_NONE) };
            out_tenant.write(tenant.as_u64());
            Ok(ALLOT_OK)
        })
    }
}

/// What people call a tenant: at most buffer_size bytes with a NUL, and in *out_length how long the
/// name is without it.
///
/// Owns: the caller the buffer. Threads: any. Blocks: on the administrative mutex; allocates.
/// Returns: ALLOT_OK; ALLOT_TRUNCATED; ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN. buffer may be NULL
/// with size 0, out_length may be NULL. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_tenant_name(
    governor: *mut allot_governor,
    tenant: allot_tenant,
    buffer: *mut c_char,
    buffer_size: u64,
    out_length: *mut u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let buffer = Buffer::new(buffer, buffer_size)?;
            let out_length = out_optional(out_length)?;
            let tenant = TenantHandle::from_u64(tenant);
            let name = governor.inner.name(AccountName::Tenant(tenant))?;
            Ok(buffer.write(&name, out_length))
        })
    }
}
