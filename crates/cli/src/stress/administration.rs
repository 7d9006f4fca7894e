//! The verbs that change who is registered, under what limits, in how large a pool.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use allotment::{
    Error, GroupConfig, Isolation, Policy, Priority, RateLimit, TenantConfig, TenantHandle,
    Unregister,
};

use super::count;
use super::fault::Fault;
use super::scene::{GROUPS_MAX, GUESTS_MAX, Resident};
use super::tally::Outcome;
use super::verb::Verb;
use super::worker::Worker;

/// Once in so many changes the caller's own part of it panics.
const PANIC: u64 = 128;

/// Once in so many changes of the capacity it is low.
const LOW: u64 = 8;

impl Worker<'_> {
    pub fn administration_verb(&mut self, verb: Verb) -> Option<Outcome> {
        match verb {
            Verb::RegisterTenant => self.register_tenant(),
            Verb::UnregisterIfIdle => self.unregister(Unregister::IfIdle),
            Verb::UnregisterDrain => self.unregister(Unregister::Drain),
            Verb::UnregisterForce => self.unregister(Unregister::Force),
            Verb::SetTenant => Some(self.set_tenant()),
            Verb::TenantConfig => Some(self.tenant_config()),
            Verb::RegisterGroup => self.register_group(),
            Verb::UnregisterGroup => self.unregister_group(),
            Verb::SetGroup => Some(self.set_group()),
            Verb::GroupConfig => Some(self.group_config()),
            Verb::SetCapacity => Some(self.set_capacity()),
            Verb::Find | Verb::FindNamed | Verb::FindGroup => Some(self.find(verb)),
            _ => None,
        }
    }

    fn register_tenant(&mut self) -> Option<Outcome> {
        if self.book.guests.len() >= GUESTS_MAX {
            return None;
        }
        let dice = self.book.dice.next();
        let groups = &self.scene.groups;
        let parent = match dice & 3 {
            0 => None,
            1 if !self.book.groups.is_empty() => self.book.groups.last().copied(),
            of => Some(groups[of as usize % groups.len()]),
        };
        // An id that is taken, once in a while.
        let id = if dice >> 2 & 63 == 0 {
            allotment::TenantId::from_u128(1)
        } else {
            self.scene.fresh_id()
        };
        let share = self.scene.share_bytes;
        let config = TenantConfig {
            parent,
            guarantee_bytes: if dice >> 8 & 3 == 0 { (dice >> 16) % (share / 64) } else { 0 },
            limit_bytes: (dice >> 10 & 1 == 0).then_some(share / 4),
            priority: Priority::ALL[(dice >> 12 & 3) as usize],
            ..TenantConfig::new(id, "guest")
        };
        Some(match self.governor().register_tenant(config) {
            Ok(guest) => {
                self.book.guests.push(guest);
                self.scene.show(guest, dice >> 32);
                Outcome::Done
            }
            Err(error) => self.tolerated(error),
        })
    }

    fn unregister(&mut self, how: Unregister) -> Option<Outcome> {
        let guest = match how {
            // The one that has had least time to take something.
            Unregister::IfIdle => self.book.guests.pop()?,
            _ if self.book.guests.is_empty() => return None,
            _ => self.book.guests.remove(0),
        };
        if how == Unregister::Force {
            self.scene.note_forced(guest);
        }
        match self.governor().unregister_tenant(guest, how) {
            Ok(()) => Some(Outcome::Done),
            Err(Error::GrantsLive { .. }) if how == Unregister::IfIdle => {
                self.book.guests.push(guest);
                Some(Outcome::Misuse)
            }
            Err(error) => Some(self.wrong(error)),
        }
    }

    fn set_tenant(&mut self) -> Outcome {
        let resident = *self.resident();
        let dice = self.book.dice.next();
        if dice.is_multiple_of(PANIC) {
            return self.set_tenant_panicking(resident.tenant);
        }
        let share = self.scene.share_bytes;
        let answer = self
            .governor()
            .set_tenant(resident.tenant, |config| edit(config, &resident, share, dice >> 8));
        answer.map_or_else(|error| self.tolerated(error), |()| Outcome::Done)
    }

    /// A caller that panics while it edits a configuration leaves everything as it was.
    fn set_tenant_panicking(&mut self, tenant: TenantHandle) -> Outcome {
        let governor = self.governor();
        let edit = |_: &mut TenantConfig| resume_unwind(Box::new("an editor that panics"));
        let edited = catch_unwind(AssertUnwindSafe(|| governor.set_tenant(tenant, edit)));
        match edited {
            Err(_) => count::one(&self.scene.owners.answers.panics_of_others),
            Ok(_) => self.report(Fault::new("panics of an editor that reach the caller", 1, 0)),
        }
        Outcome::Nothing
    }

    fn tenant_config(&mut self) -> Outcome {
        let resident = *self.resident();
        match self.governor().tenant_config(resident.tenant) {
            Ok(config) if resident.kind == 0 => {
                let seen = config.guarantee_bytes;
                if seen != resident.guarantee_bytes {
                    let fault = Fault::new("configured guarantee", resident.guarantee_bytes, seen);
                    self.report(fault.of_tenant(config.name));
                }
                Outcome::Done
            }
            Ok(_) => Outcome::Done,
            Err(error) => self.wrong(error),
        }
    }

    fn register_group(&mut self) -> Option<Outcome> {
        if self.book.groups.len() >= GROUPS_MAX {
            return None;
        }
        let parent = match self.dice(3) {
            0 => None,
            _ => Some(self.scene.groups[self.dice(3) as usize]),
        };
        let limit_bytes = Some(self.scene.share_bytes);
        let config = GroupConfig { parent, limit_bytes, ..GroupConfig::new("guests") };
        Some(match self.governor().register_group(config) {
            Ok(group) => {
                self.book.groups.push(group);
                Outcome::Done
            }
            Err(error) => self.tolerated(error),
        })
    }

    fn unregister_group(&mut self) -> Option<Outcome> {
        if self.book.groups.is_empty() {
            return None;
        }
        let group = self.book.groups.remove(0);
        match self.governor().unregister_group(group) {
            Ok(()) => Some(Outcome::Done),
            Err(Error::HasChildren { .. }) => {
                self.book.groups.push(group);
                Some(Outcome::Misuse)
            }
            Err(error) => Some(self.wrong(error)),
        }
    }

    fn set_group(&mut self) -> Outcome {
        let (group, capacity) = (self.scene.groups[0], self.scene.capacity_bytes);
        let low = self.dice(LOW) == 0;
        let limit = capacity / if low { 8 } else { 2 };
        let answer = self.governor().set_group(group, |config| config.limit_bytes = Some(limit));
        answer.map_or_else(|error| self.tolerated(error), |()| Outcome::Done)
    }

    fn group_config(&mut self) -> Outcome {
        let group = self.scene.groups[self.dice(3) as usize];
        let answer = self.governor().group_config(group);
        answer.map_or_else(|error| self.wrong(error), |_| Outcome::Done)
    }

    fn set_capacity(&mut self) -> Outcome {
        let capacity = self.scene.capacity_bytes;
        let to = match self.dice(LOW) {
            0 => capacity / 2 + self.dice(capacity / 2),
            _ => capacity,
        };
        let answer = self.scene.bound.set_capacity(self.governor(), to);
        answer.map_or_else(|error| self.tolerated(error), |()| Outcome::Done)
    }

    fn find(&mut self, verb: Verb) -> Outcome {
        let number = self.dice(self.scene.residents.len() as u64 + 1);
        let governor = self.governor();
        let (found, expected) = match verb {
            Verb::FindGroup => {
                let name = ["left", "right", "inner", "nobody"][number as usize % 4];
                let expected = self.scene.groups.get(number as usize % 4);
                let found = governor.find_group(name);
                (found.map(|g| g.as_u64()), expected.map(|g| g.as_u64()))
            }
            _ => {
                let expected = self.scene.residents.get(number as usize);
                let found = match verb {
                    Verb::Find => {
                        governor.find(allotment::TenantId::from_u128(u128::from(number) + 1))
                    }
                    _ => governor.find_named(&format!("t{number}")),
                };
                (found.map(|t| t.as_u64()), expected.map(|resident| resident.tenant.as_u64()))
            }
        };
        if found != expected {
            let [expected, found] = [expected, found].map(Option::unwrap_or_default);
            self.report(Fault::new(format!("{} of number {number}", verb.name()), expected, found));
        }
        Outcome::some(found)
    }

    /// What an administrator may be told while others work.
    fn tolerated(&self, error: Error) -> Outcome {
        match error {
            Error::Contended
            | Error::DuplicateTenant(_)
            | Error::GuaranteesExceed { .. }
            | Error::GuaranteeUnavailable { .. }
            | Error::TableFull { .. } => Outcome::Misuse,
            error => self.wrong(error),
        }
    }
}

/// Changes what is not promised to stay.
fn edit(config: &mut TenantConfig, resident: &Resident, share: u64, dice: u64) {
    config.policy =
        [Policy::Lru, Policy::Lfu, Policy::Ttl, Policy::Size, Policy::Hybrid][(dice % 5) as usize];
    let low = dice >> 8 & 7 == 0;
    match resident.kind {
        1 => config.priority = Priority::ALL[(dice >> 12 & 3) as usize],
        2 => config.limit_bytes = Some(if low { share / 2 } else { 2 * share }),
        3 => config.burst_bytes = Some(if low { share } else { 3 * share }),
        4 => config.guarantee_bytes = (dice >> 16) % (share / 4),
        5 => config.grants_max[2] = (!low).then_some(4 + (dice >> 16 & 15) as u32),
        6 => config.rate = if low { RateLimit::new(10_000, 8).ok() } else { None },
        7 => config.isolation = if low { Isolation::Soft } else { Isolation::None },
        _ => {}
    }
}
