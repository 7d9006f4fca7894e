//! The configuration file: who shares the memory, and what each may have. docs/CONFIG.md lists
//! every key.
//!
//! - here: [`Setup`], what the file says once it has been read and found sound; [`Setup::build`],
//!   which makes a governor of it
//! - `layers.rs`: file, variables and options, one over the other; `overlay.rs`: how the latter
//!   name a key
//! - `keys.rs`: every key, its kind and bounds; `schema.rs`: a JSON Schema of them
//! - `reader.rs`: TOML with a place for every complaint; `size.rs`: sizes
//! - `check.rs`: what must hold between the parts; `cache.rs`: the section `[cache]`
//! - `fault.rs`: what is wrong; `values.rs`: what is configured, with the origin of each value
//! - `write.rs`: the same file again from a [`Setup`]
//! - `scale.rs`: the same for a smaller or a larger memory
//!
//! ```text
//! sum of guarantees of an account's children <= its own guarantee (of the whole: the capacity)
//! guarantee <= limit <= burst
//! warning <= high <= critical, hysteresis < warning
//! ```
//!
//! ```
//! use std::path::Path;
//!
//! use allotment::os::Clock;
//! use allotment::{AllocationType, Request};
//!
//! let text = r#"
//!     capacity = "24GiB"
//!     [[tenants]]
//!     name = "chat"
//!     limit = "10GiB"
//! "#;
//! let setup = allotment_config::parse(text, Path::new("allot.toml"))?;
//! let built = setup.build(Clock::monotonic(), |config| config)?;
//! let chat = built.tenants[0];
//! let grant = built.governor.request(&Request::new(chat, AllocationType::Cache, 6 << 30))?;
//! assert_eq!(grant.bytes(), 6 << 30);
//! let above_limit = Request::new(chat, AllocationType::Cache, 11 << 30);
//! assert!(built.governor.request(&above_limit).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod check;
mod fault;
mod keys;
mod layers;
mod overlay;
mod reader;
mod scale;
mod schema;
mod size;
mod values;
mod write;

use std::collections::HashSet;
use std::path::Path;

use allotment::os::Clock;
use allotment::{
    Governor, GovernorConfig, GroupConfig, GroupHandle, Isolation, Policy, Priority, RateLimit,
    TenantConfig, TenantHandle,
};
use uuid::Uuid;

pub use self::cache::CacheSettings;
pub use self::check::{SHARED_PERCENT, shared_bytes};
pub use self::fault::{ConfigError, ConfigFault, Origin};
pub use self::layers::{Configuration, FILE_BYTES_MAX, Layers, memory_bytes, read_file};
pub use self::reader::suggestion;
pub use self::schema::schema;
pub use self::values::{Datum, Difference, Value, bare, differences};
pub use self::write::write;

const PRIORITIES: [(&str, Priority); 4] = [
    ("critical", Priority::Critical),
    ("high", Priority::High),
    ("normal", Priority::Normal),
    ("low", Priority::Low),
];
const ISOLATIONS: [(&str, Isolation); 3] =
    [("none", Isolation::None), ("soft", Isolation::Soft), ("hard", Isolation::Hard)];
const POLICIES: [(&str, Policy); 5] = [
    ("lru", Policy::Lru),
    ("lfu", Policy::Lfu),
    ("ttl", Policy::Ttl),
    ("size", Policy::Size),
    ("hybrid", Policy::Hybrid),
];

/// Bytes of a size as people write it: `"8GiB"`, `"1.5 GB"`, `"4096"`.
///
/// # Errors
///
/// What is wrong with it, in words.
///
/// ```
/// assert_eq!(allotment_config::parse_size("8GiB"), Ok(8 << 30));
/// assert!(allotment_config::parse_size("eight").is_err());
/// ```
pub fn parse_size(text: &str) -> Result<u64, String> {
    size::parse(text, None)
}

/// A configuration that has been read and found sound. Sizes are bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// The memory that is shared.
    pub capacity_bytes: u64,
    /// The most grants that live at one time; `None` for the library's default.
    pub grants_max: Option<u32>,
    /// When memory counts as short.
    pub pressure: Pressure,
    /// How large caches may become.
    pub cache: CacheSettings,
    /// Groups, every parent before its children.
    pub groups: Vec<Group>,
    /// Tenants, in the order of the file.
    pub tenants: Vec<Tenant>,
    /// What tenants have that the file does not name; none: there are no others.
    pub defaults: Option<Defaults>,
}

/// When memory counts as short, in percent of the capacity.
#[derive(Clone, Debug, PartialEq)]
pub struct Pressure {
    /// From here on there are warnings.
    pub warning_percent: u8,
    /// From here on pressure is High.
    pub high_percent: u8,
    /// From here on pressure is Critical.
    pub critical_percent: u8,
    /// How far use must fall below a threshold before the pressure falls.
    pub hysteresis_percent: u8,
    /// Whether the pool's own fill counts, or only what the machine reports.
    pub pool: bool,
}

/// A group of tenants or of further groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Its name, unique among groups.
    pub name: String,
    /// The group it is in, by its place in `Setup::groups`.
    pub parent: Option<usize>,
    /// What its members can always have together.
    pub guarantee_bytes: u64,
    /// What they can have at most together.
    pub limit_bytes: Option<u64>,
}

/// A tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenant {
    /// Its name, unique among tenants.
    pub name: String,
    /// Its identity; of the name where the file gives none.
    pub id: Uuid,
    /// The group it is in, by its place in `Setup::groups`.
    pub group: Option<usize>,
    /// What it can always have.
    pub guarantee_bytes: u64,
    /// What it can have at most.
    pub limit_bytes: Option<u64>,
    /// What it can have at most while memory is plentiful.
    pub burst_bytes: Option<u64>,
    /// Who yields to whom.
    pub priority: Priority,
    /// How strictly its limits hold.
    pub isolation: Isolation,
    /// Which of its grants goes first.
    pub policy: Policy,
    /// The most live grants of each allocation type, in the order ModelLoad, Inference, Cache,
    /// Background.
    pub grants_max: [Option<u32>; 4],
    /// How often it may ask.
    pub rate: Option<RateLimit>,
}

/// What a tenant has of which only the name is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults(Tenant);

impl Defaults {
    /// The tenant of this name.
    pub fn tenant(&self, name: &str) -> Tenant {
        Tenant { name: name.to_string(), id: id_of(name), ..self.0.clone() }
    }
}

/// A governor with everyone registered.
pub struct Built {
    /// The governor.
    pub governor: Governor,
    /// One handle for each group, in the order of the `Setup`.
    pub groups: Vec<GroupHandle>,
    /// One handle for each tenant, in the order of the `Setup`.
    pub tenants: Vec<TenantHandle>,
}

/// Reads a configuration file. Fails with the file, the line and what to do about it, for
/// everything that is wrong.
pub fn load(path: &Path) -> Result<Setup, ConfigError> {
    parse(&read_file(path)?, path)
}

/// Why a file cannot be read: the usual causes in plain words, others in those of the system.
pub fn in_words(cause: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match cause.kind() {
        ErrorKind::NotFound => "no such file; check the path".to_string(),
        ErrorKind::PermissionDenied => "not readable; check its permissions".to_string(),
        ErrorKind::IsADirectory => "is a folder; name a file".to_string(),
        _ => cause.to_string(),
    }
}

/// Reads a configuration from text alone; `path` is what complaints call it.
pub fn parse(text: &str, path: &Path) -> Result<Setup, ConfigError> {
    Layers::default().file(path, text).read().map(|configuration| configuration.setup)
}

impl Default for Pressure {
    fn default() -> Pressure {
        Pressure {
            warning_percent: 80,
            high_percent: 90,
            critical_percent: 95,
            hysteresis_percent: 5,
            pool: true,
        }
    }
}

impl Setup {
    /// The only tenants that there can be; none: those that are not named have defaults.
    pub fn only_names(&self) -> Option<HashSet<String>> {
        let names = || self.tenants.iter().map(|tenant| tenant.name.clone()).collect();
        self.defaults.is_none().then(names)
    }

    /// Registers the groups; their handles, in the order of [`Setup::groups`].
    ///
    /// # Errors
    ///
    /// What the governor refuses; of a file that was read, only where it has groups already.
    pub fn register_groups(
        &self,
        governor: &Governor,
    ) -> Result<Vec<GroupHandle>, allotment::Error> {
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            groups.push(governor.register_group(GroupConfig {
                parent: group.parent.map(|at| groups[at]),
                guarantee_bytes: group.guarantee_bytes,
                limit_bytes: group.limit_bytes,
                ..GroupConfig::new(&group.name)
            })?);
        }
        Ok(groups)
    }

    /// Sets what the file says of the governor itself: capacity, tables, thresholds of pressure.
    pub fn tune(&self, config: &mut GovernorConfig) {
        config.capacity_bytes = self.capacity_bytes;
        config.tenants_max = config.tenants_max.max(self.tenants.len() as u32);
        config.groups_max = config.groups_max.max(self.groups.len() as u32);
        config.grants_max = self.grants_max.unwrap_or(config.grants_max);
        config.pool_pressure = self.pressure.pool;
        config.warning_percent = self.pressure.warning_percent;
        config.high_percent = self.pressure.high_percent;
        config.critical_percent = self.pressure.critical_percent;
        config.hysteresis_percent = self.pressure.hysteresis_percent;
    }

    /// A governor of this capacity with every group and tenant registered, set up otherwise as
    /// `adapt` says. Fails only where the library is stricter than the file's own checks.
    pub fn build(
        &self,
        clock: Clock,
        adapt: impl FnOnce(GovernorConfig) -> GovernorConfig,
    ) -> Result<Built, allotment::Error> {
        let mut config = GovernorConfig { clock, ..GovernorConfig::new(self.capacity_bytes) };
        self.tune(&mut config);
        let governor = Governor::new(adapt(config))?;
        let groups = self.register_groups(&governor)?;
        let mut tenants = Vec::with_capacity(self.tenants.len());
        for tenant in &self.tenants {
            tenants.push(governor.register_tenant(tenant.config(&groups))?);
        }
        Ok(Built { governor, groups, tenants })
    }
}

impl Tenant {
    /// A tenant of which nothing is said but its name.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_string(),
            id: id_of(name),
            group: None,
            guarantee_bytes: 0,
            limit_bytes: None,
            burst_bytes: None,
            priority: Priority::Normal,
            isolation: Isolation::Soft,
            policy: Policy::Hybrid,
            grants_max: [None; 4],
            rate: None,
        }
    }

    /// As the governor registers it, with the handles of all groups.
    pub fn config(&self, groups: &[GroupHandle]) -> TenantConfig {
        TenantConfig {
            parent: self.group.map(|at| groups[at]),
            guarantee_bytes: self.guarantee_bytes,
            limit_bytes: self.limit_bytes,
            burst_bytes: self.burst_bytes,
            priority: self.priority,
            isolation: self.isolation,
            policy: self.policy,
            grants_max: self.grants_max,
            rate: self.rate,
            ..TenantConfig::new(self.id, &self.name)
        }
    }
}

/// The identity of a tenant of which only the name is known: always the same for the same name.
/// A UUID of version 8, two FNV-1a hashes with different beginnings wide.
pub fn id_of(name: &str) -> Uuid {
    let hash = |mut state: u64| {
        for byte in name.bytes() {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        // The last bytes of a name must reach the high bits too.
        state ^= state >> 32;
        state.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let (high, low) = (hash(0xcbf2_9ce4_8422_2325), hash(0x6c62_272e_07bb_0142));
    let bits = u128::from(high) << 64 | u128::from(low);
    uuid::Builder::from_custom_bytes(bits.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests;
