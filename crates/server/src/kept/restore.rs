//! At a start: what was kept goes over the configuration, where that has not changed since.

use super::{KeptGroup, KeptTenant, Key, Record, Remembered, Stamps};
use crate::state::{State, at_once};
use allotment::{GroupConfig, Isolation, MemoryError, Policy, Priority, RateLimit, TenantConfig};
use allotment_config::Setup;

/// Groups stand in groups this deep at most.
const DEPTH_MAX: usize = 6;

/// What came of what was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Tenants and groups as requests have left them.
    pub restored: usize,
    /// What the configuration says otherwise since, which wins.
    pub outdated: Vec<String>,
    /// What cannot be done now, and why; it is kept for a start at which it can.
    pub refused: Vec<String>,
}

impl State {
    /// Makes of a server that has just begun with `setup` what was kept of the one before, and
    /// keeps everything from here on. `file` is the text of the file.
    pub fn restore(&self, remembered: Remembered, setup: &Setup, file: &str) -> Restored {
        let mut done = Restored::default();
        let document = remembered.document(file).is_some();
        let records: Vec<Record> = remembered.open.entries.all().cloned().collect();
        *self.kept.open() = Some(remembered.open);
        let mut usable = Vec::new();
        let stamps = Stamps::of(setup);
        for record in records {
            let (over, what) = match &record {
                Record::Tenant(tenant) => (&tenant.over, format!("tenant `{}`", tenant.name)),
                Record::TenantGone { id, over } => (over, format!("tenant {id}")),
                Record::Group(KeptGroup { name, over, .. }) | Record::GroupGone { name, over } => {
                    (over, format!("group `{name}`"))
                }
                Record::Document { .. } if document => continue,
                Record::Document { .. } => {
                    self.outdated(&record, "the text put by a request".to_string(), &mut done);
                    continue;
                }
                Record::Forget(_) => continue,
            };
            let now = stamps.of_record(&record);
            match *over == now {
                true => usable.push((record, what)),
                false => self.outdated(&record, what, &mut done),
            }
        }
        self.put_back(&usable, &mut done);
        done
    }

    fn outdated(&self, record: &Record, what: String, done: &mut Restored) {
        done.outdated.push(what);
        let key: Key = record.key();
        let _ = self.kept.put(Record::Forget(key), super::If::Done);
    }

    /// First who has left makes room, then groups from the top down, then tenants. What is refused
    /// because others have not yet given up what it needs is tried again.
    fn put_back(&self, records: &[(Record, String)], done: &mut Restored) {
        let mut left: Vec<&(Record, String)> = records.iter().collect();
        let rank = |record: &Record| match record {
            Record::TenantGone { .. } => 0,
            Record::Group(_) => 1,
            Record::Tenant(_) => 2,
            _ => 3,
        };
        left.sort_by_key(|(record, _)| rank(record));
        let mut refusals = Vec::new();
        for _ in 0..=DEPTH_MAX {
            refusals.clear();
            let before = left.len();
            left.retain(|(record, what)| match self.put_one_back(record) {
                Ok(()) => {
                    done.restored += 1;
                    false
                }
                Err(why) => {
                    refusals.push(format!("{what}: {why}"));
                    true
                }
            });
            if left.len() == before {
                break;
            }
        }
        done.refused = refusals;
    }

    fn put_one_back(&self, record: &Record) -> Result<(), String> {
        let governor = self.manager.governor();
        let of_governor = |error: allotment::Error| error.to_string();
        match record {
            Record::TenantGone { id, .. } => match at_once(self.manager.unregister_tenant(*id)) {
                Ok(()) | Err(MemoryError::UnknownTenant(_)) => Ok(()),
                Err(error) => Err(error.to_string()),
            },
            Record::GroupGone { name, .. } => match governor.find_group(name) {
                Some(group) => governor.unregister_group(group).map_err(of_governor),
                None => Ok(()),
            },
            Record::Group(kept) => self.put_group_back(kept),
            Record::Tenant(kept) => self.put_tenant_back(kept),
            Record::Document { .. } | Record::Forget(_) => Ok(()),
        }
    }

    fn put_group_back(&self, kept: &KeptGroup) -> Result<(), String> {
        let governor = self.manager.governor();
        let parent = match &kept.parent {
            Some(name) => Some(governor.find_group(name).ok_or(format!("no group `{name}`"))?),
            None => None,
        };
        let wanted = GroupConfig {
            parent,
            guarantee_bytes: kept.guarantee_bytes,
            limit_bytes: kept.limit_bytes,
            ..GroupConfig::new(&kept.name)
        };
        let answer = match governor.find_group(&kept.name) {
            Some(group) => governor.set_group(group, |config| {
                config.guarantee_bytes = wanted.guarantee_bytes;
                config.limit_bytes = wanted.limit_bytes;
            }),
            None => governor.register_group(wanted).map(|_| ()),
        };
        answer.map_err(|error| error.to_string())
    }

    fn put_tenant_back(&self, kept: &KeptTenant) -> Result<(), String> {
        let governor = self.manager.governor();
        let parent = match &kept.group {
            Some(name) => Some(governor.find_group(name).ok_or(format!("no group `{name}`"))?),
            None => None,
        };
        let wanted = kept.config(parent)?;
        let there = governor.find(kept.id).is_some();
        let other = governor.find_named(&kept.name);
        let other = other.and_then(|tenant| governor.tenant_config(tenant).ok());
        if other.is_some_and(|other| other.id != kept.id) {
            return Err("another tenant has that name".to_string());
        }
        let answer = if there {
            let change = |config: &mut TenantConfig| {
                *config = TenantConfig { parent: config.parent, ..wanted.clone() };
            };
            at_once(self.manager.update_tenant_bytes(kept.id, change))
        } else {
            at_once(self.manager.register_tenant_bytes(wanted))
        };
        answer.map_err(|error| error.to_string())
    }
}

impl KeptTenant {
    fn config(&self, parent: Option<allotment::GroupHandle>) -> Result<TenantConfig, String> {
        let unknown = |what: &str, word: &str| format!("unknown {what} `{word}`");
        let priority = Priority::ALL.into_iter().find(|value| value.name() == self.priority);
        let isolations = [Isolation::None, Isolation::Soft, Isolation::Hard];
        let isolation = isolations.into_iter().find(|value| value.name() == self.isolation);
        let policies = [Policy::Lru, Policy::Lfu, Policy::Ttl, Policy::Size, Policy::Hybrid];
        let policy = policies.into_iter().find(|value| value.name() == self.policy);
        Ok(TenantConfig {
            parent,
            guarantee_bytes: self.guarantee_bytes,
            limit_bytes: self.limit_bytes,
            burst_bytes: self.burst_bytes,
            priority: priority.ok_or_else(|| unknown("priority", &self.priority))?,
            isolation: isolation.ok_or_else(|| unknown("isolation", &self.isolation))?,
            policy: policy.ok_or_else(|| unknown("policy", &self.policy))?,
            grants_max: self.grants_max,
            rate: self.rate_ns.map(rate).transpose()?,
            ..TenantConfig::new(self.id, &self.name)
        })
    }
}

fn rate((interval_ns, tolerance_ns): (u64, u64)) -> Result<RateLimit, String> {
    let depth = 1 + tolerance_ns / interval_ns.max(1);
    RateLimit::from_interval(interval_ns, depth).map_err(|error| error.to_string())
}
