//! Configurations as texts of the log: what a governor, a tenant or a group was set up as, in lines
//! of `key=value`, for people and for a replay.
//!
//! ```text
//! C1  parse(text(c)) = c, but for the governor's clock, which is not part of the text
//! C2  lines that are not known are passed over: a later version may write more
//! ```
//!
//! A name stands last, since it may hold anything, new lines included.

use crate::config::{
    AuditMode, GovernorConfig, GroupConfig, Isolation, Priority, TenantConfig, TenantId,
};
use crate::core::handle::{GroupHandle, TenantHandle};
use crate::core::policy::Policy;
use crate::core::rate::RateLimit;
use crate::details::Detail;
use std::fmt::Write;
use std::str::FromStr;

/// The topic of a configuration that takes effect: the id of its text is the `detail` of the event
/// that follows, or 0 for the governor's own.
pub const CONFIGURED_TOPIC: u8 = 1;
/// The topic of a configuration as it stands when a segment, or a log, begins.
pub const STATED_TOPIC: u8 = 2;
/// The same of an account that was unregistered and holds something still.
pub const CLOSED_TOPIC: u8 = 3;
/// The topic of a configuration that was refused: the id of its text is the `detail` of the event
/// that follows.
pub const TRIED_TOPIC: u8 = 4;
/// The topic of what the program that has the governor says of itself ([`AuditLog::note`]); its id
/// counts them. It is no [`Configured`].
///
/// [`AuditLog::note`]: super::AuditLog::note
pub const NOTED_TOPIC: u8 = 5;
/// Bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 4_096;

/// What somebody is configured to, as a log tells it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Configured {
    /// The governor, as it was created; its clock is not told.
    Governor(GovernorConfig),
    /// A tenant. Handles are those of the governor that was recorded.
    Tenant(TenantHandle, TenantConfig),
    /// A group.
    Group(GroupHandle, GroupConfig),
}

struct Number {
    key: &'static str,
    get: fn(&GovernorConfig) -> u64,
    set: fn(&mut GovernorConfig, u64),
}

macro_rules! numbers {
    ($($field:ident),*) => {
        [$(Number {
            key: stringify!($field),
            get: |config| config.$field as u64,
            // What does not fit into the field is out of its range as well.
            set: |config, value| config.$field = value as _,
        }),*]
    };
}

/// The fields of a governor's configuration that are numbers.
const NUMBERS: [Number; 22] = numbers![
    capacity_bytes,
    tenants_max,
    groups_max,
    grants_max,
    ghost_keys_max,
    events_max,
    waiters_max,
    patience_ns,
    quantum_bytes,
    headroom_bytes,
    victims_max,
    busy_cooldown_ns,
    promise_ns,
    freed_shows_ns,
    idle_claim_ns,
    inactive_limit_ns,
    warning_percent,
    high_percent,
    critical_percent,
    hysteresis_percent,
    high_relief_percent,
    critical_relief_percent
];

impl From<Detail> for Configured {
    fn from(detail: Detail) -> Self {
        match detail {
            Detail::Tenant(handle, config) => Self::Tenant(handle, config),
            Detail::Group(handle, config) => Self::Group(handle, config),
            Detail::Tried(detail) => Self::from(*detail),
        }
    }
}

impl Configured {
    /// The account it is about, as events call it; 0: the pool.
    pub fn account(&self) -> u32 {
        match self {
            Self::Governor(_) => 0,
            Self::Tenant(handle, _) => handle.index(),
            Self::Group(handle, _) => handle.index(),
        }
    }

    /// Its lines.
    pub fn text(&self) -> String {
        match self {
            Self::Governor(config) => governor_text(config),
            Self::Tenant(handle, config) => tenant_text(*handle, config),
            Self::Group(handle, config) => group_text(*handle, config),
        }
    }

    /// What a text says; `None` if it is no configuration.
    ///
    /// ```
    /// use allotment::audit::Configured;
    /// use allotment::GovernorConfig;
    ///
    /// let text = Configured::Governor(GovernorConfig::new(24 << 30)).text();
    /// let Some(Configured::Governor(config)) = Configured::parse(&text) else { panic!() };
    /// assert_eq!(config.capacity_bytes, 24 << 30);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (what, rest) = text.split_once('\n')?;
        let (lines, name) = match rest.split_once("name=") {
            Some((lines, name)) if lines.is_empty() || lines.ends_with('\n') => (lines, name),
            _ => (rest, ""),
        };
        let lines = Lines(lines);
        match what {
            "governor" => parse_governor(&lines).map(Self::Governor),
            "tenant" => parse_tenant(&lines, name),
            "group" => parse_group(&lines, name),
            _ => None,
        }
    }
}

/// Lines of `key=value`.
struct Lines<'t>(&'t str);

impl<'t> Lines<'t> {
    fn get(&self, key: &str) -> Option<&'t str> {
        self.0.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    }

    fn number<N: FromStr>(&self, key: &str) -> Option<N> {
        self.get(key)?.parse().ok()
    }

    /// A handle, written as people see it.
    fn handle(&self, key: &str) -> Option<u64> {
        u64::from_str_radix(self.get(key)?, 16).ok()
    }
}

fn governor_text(config: &GovernorConfig) -> String {
    let mut text = "governor\n".to_string();
    for number in &NUMBERS {
        line(&mut text, number.key, (number.get)(config));
    }
    line(&mut text, "pool_pressure", config.pool_pressure);
    line(&mut text, "audit", config.audit as u8);
    line(&mut text, "audit_calls", config.audit_calls);
    text
}

fn parse_governor(lines: &Lines<'_>) -> Option<GovernorConfig> {
    let mut config = GovernorConfig::new(lines.number("capacity_bytes")?);
    for number in &NUMBERS {
        if let Some(value) = lines.number(number.key) {
            (number.set)(&mut config, value);
        }
    }
    config.pool_pressure = lines.number("pool_pressure").unwrap_or(config.pool_pressure);
    let modes = [AuditMode::Off, AuditMode::DropAndCount, AuditMode::FailClosed];
    let mode = lines.number::<usize>("audit").and_then(|mode| modes.get(mode).copied());
    config.audit = mode.unwrap_or(config.audit);
    config.audit_calls = lines.number("audit_calls").unwrap_or(config.audit_calls);
    Some(config)
}

fn tenant_text(handle: TenantHandle, config: &TenantConfig) -> String {
    let mut text = "tenant\n".to_string();
    line(&mut text, "handle", handle);
    line(&mut text, "id", config.id);
    optional(&mut text, "parent", config.parent);
    line(&mut text, "guarantee_bytes", config.guarantee_bytes);
    optional(&mut text, "limit_bytes", config.limit_bytes);
    optional(&mut text, "burst_bytes", config.burst_bytes);
    line(&mut text, "priority", config.priority as u8);
    line(&mut text, "isolation", config.isolation as u8);
    line(&mut text, "policy", config.policy);
    for (kind, max) in config.grants_max.iter().enumerate() {
        optional(&mut text, &format!("grants_max.{kind}"), *max);
    }
    if let Some(rate) = config.rate {
        line(&mut text, "rate_interval_ns", rate.interval_ns());
        line(&mut text, "rate_bucket_depth", rate.bucket_depth());
    }
    line(&mut text, "name", kept(&config.name));
    text.pop();
    text
}

fn parse_tenant(lines: &Lines<'_>, name: &str) -> Option<Configured> {
    let handle = TenantHandle::from_u64(lines.handle("handle")?);
    let id = TenantId::parse_str(lines.get("id")?).ok()?;
    let isolations = [Isolation::None, Isolation::Soft, Isolation::Hard];
    let rate = lines.number("rate_interval_ns").zip(lines.number("rate_bucket_depth"));
    let config = TenantConfig {
        id,
        name: name.to_string(),
        parent: lines.handle("parent").map(GroupHandle::from_u64),
        guarantee_bytes: lines.number("guarantee_bytes")?,
        limit_bytes: lines.number("limit_bytes"),
        burst_bytes: lines.number("burst_bytes"),
        priority: *Priority::ALL.get(lines.number::<usize>("priority")?)?,
        isolation: *isolations.get(lines.number::<usize>("isolation")?)?,
        policy: lines.number::<Policy>("policy")?,
        grants_max: [0, 1, 2, 3].map(|kind| lines.number(&format!("grants_max.{kind}"))),
        rate: rate.and_then(|(ns, depth)| RateLimit::from_interval(ns, depth).ok()),
    };
    Some(Configured::Tenant(handle, config))
}

fn group_text(handle: GroupHandle, config: &GroupConfig) -> String {
    let mut text = "group\n".to_string();
    line(&mut text, "handle", handle);
    optional(&mut text, "parent", config.parent);
    line(&mut text, "guarantee_bytes", config.guarantee_bytes);
    optional(&mut text, "limit_bytes", config.limit_bytes);
    line(&mut text, "name", kept(&config.name));
    text.pop();
    text
}

fn parse_group(lines: &Lines<'_>, name: &str) -> Option<Configured> {
    let handle = GroupHandle::from_u64(lines.handle("handle")?);
    let config = GroupConfig {
        name: name.to_string(),
        parent: lines.handle("parent").map(GroupHandle::from_u64),
        guarantee_bytes: lines.number("guarantee_bytes")?,
        limit_bytes: lines.number("limit_bytes"),
    };
    Some(Configured::Group(handle, config))
}

fn line(text: &mut String, key: &str, value: impl std::fmt::Display) {
    // To write into a string cannot fail.
    let _ = writeln!(text, "{key}={value}");
}

fn optional(text: &mut String, key: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        line(text, key, value);
    }
}

fn kept(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let tenant = TenantConfig {
            parent: Some(GroupHandle::new(3, 1, 2)),
            guarantee_bytes: 1,
            limit_bytes: Some(2),
            burst_bytes: Some(3),
            priority: Priority::Critical,
            isolation: Isolation::Hard,
            policy: Policy::Size,
            grants_max: [None, Some(4), None, Some(0)],
            rate: RateLimit::new(7, 9).ok(),
            ..TenantConfig::new(TenantId::from_u128(77), "a name=of\nlines\n")
        };
        let governor = GovernorConfig {
            pool_pressure: false,
            warning_percent: 60,
            audit: AuditMode::FailClosed,
            inactive_limit_ns: 5,
            ..GovernorConfig::new(123)
        };
        let group = GroupConfig { limit_bytes: Some(u64::MAX), ..GroupConfig::new("") };
        let all = [
            Configured::Governor(governor),
            Configured::Tenant(TenantHandle::new(3, 4, 5), tenant),
            Configured::Group(GroupHandle::new(3, 4, 5), group),
            Configured::Tenant(
                TenantHandle::new(255, u32::MAX, 5),
                TenantConfig::new(TenantId::from_u128(0), "x"),
            ),
        ];
        for configured in all {
            let text = configured.text();
            let read = Configured::parse(&text).expect("a configuration");
            assert_eq!(read.text(), text);
            match (&read, &configured) {
                (Configured::Governor(_), Configured::Governor(_)) => {}
                (Configured::Tenant(at, read), Configured::Tenant(is, written)) => {
                    assert_eq!((at, format!("{read:?}")), (is, format!("{written:?}")));
                }
                (Configured::Group(at, read), Configured::Group(is, written)) => {
                    assert_eq!((at, format!("{read:?}")), (is, format!("{written:?}")));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_configuration_is_none_and_lines_of_later_versions_are_passed_over() {
        for text in ["", "tenant", "tenant\n", "comet\nname=x", "group\nhandle=zz\n"] {
            assert!(Configured::parse(text).is_none(), "{text:?}");
        }
        let later = "group\nhandle=1\nguarantee_bytes=5\ncolour=red\nname=g";
        let Some(Configured::Group(handle, group)) = Configured::parse(later) else { panic!() };
        assert_eq!((handle.as_u64(), group.guarantee_bytes, group.name.as_str()), (1, 5, "g"));
    }
}
