//! Where a day begins that is a stretch of a longer one: what came before is known, and not run.
//!
//! ```text
//! B1  what is held then, and what is in line, is asked for at that moment, in its order
//! B2  limits are those that stand then
//! B3  nothing else of what came before is in the trace or among the figures
//! ```

use allotment::audit::Configured;

use super::{Diary, Told, What, untagged};
use crate::trace::workload::{Growth, Job, Request};

impl Diary {
    /// Begins the day now.
    pub(super) fn begin(&mut self, at_ns: u64) {
        self.has_begun = true;
        let before = std::mem::take(&mut self.requests);
        self.uses.clear();
        self.use_bytes.clear();
        self.growths.clear();
        self.denied.clear();
        (self.changes, self.gaps) = (0, 0);
        for told in &mut self.told {
            let used_bytes = told.used_bytes;
            *told = Told { used_bytes, peak_bytes: used_bytes, ..Told::default() };
        }
        self.peak_bytes = self.used_bytes;
        for tenant in &self.gone {
            self.configs[*tenant as usize].guarantee_bytes = 0;
        }
        self.ask_for_what_is_held(&before, at_ns);
        self.stand_in_line(&before, at_ns);
    }

    fn ask_for_what_is_held(&mut self, before: &[Request], at_ns: u64) {
        let mut held: Vec<u64> = self.grants.keys().copied().collect();
        held.sort_unstable_by_key(|grant| (self.grants[grant].begun_ns, *grant));
        for grant in held {
            let Some(mut held) = self.grants.remove(&grant) else { continue };
            self.told[held.tenant as usize].granted += 1;
            match held.what {
                What::Item(item) => {
                    self.item_bytes[item as usize] = held.bytes;
                    self.use_item(at_ns, held.tenant, item);
                }
                What::Job(place, is_told) => {
                    let Some(job) = &before[place].job else { continue };
                    let spent_ns = at_ns.saturating_sub(held.begun_ns);
                    let grown_bytes = held.bytes.saturating_sub(job.bytes);
                    let job = Job {
                        bytes: held.bytes.max(1),
                        held_ns: job.held_ns.map(|held_ns| held_ns.saturating_sub(spent_ns)),
                        growth: job.growth.as_ref().and_then(|growth| left(growth, grown_bytes)),
                        wait_ns: None,
                        ..job.clone()
                    };
                    let place = self.push_job(at_ns, held.tenant, job);
                    held.what = What::Job(place, is_told);
                }
            }
            held.begun_ns = at_ns;
            self.grants.insert(grant, held);
        }
    }

    fn stand_in_line(&mut self, before: &[Request], at_ns: u64) {
        let mut open: Vec<_> = std::mem::take(&mut self.open).into_iter().collect();
        open.sort_unstable_by_key(|(subject, _)| *subject);
        for (_, waiting) in &mut open {
            for open in waiting {
                let What::Job(place, is_told) = open.what else { continue };
                let Some(job) = before[place].job.clone() else { continue };
                let place = self.push_job(at_ns, before[place].tenant, job);
                open.what = What::Job(place, is_told);
            }
        }
        self.open = open.into_iter().collect();
    }

    fn push_job(&mut self, at_ns: u64, tenant: u32, job: Job) -> usize {
        let place = self.uses.len() as u32;
        let uses = place..place;
        self.requests.push(Request { at_ns, tenant, uses, job: Some(job), drops: None });
        self.requests.len() - 1
    }

    /// Limits that were changed before the day begins.
    pub(super) fn changed(&mut self, configured: &Configured) {
        match configured {
            Configured::Tenant(handle, config) => {
                if let Some(tenant) = self.accounts.get(&handle.index()) {
                    self.configs[*tenant as usize] = config.clone();
                }
            }
            Configured::Group(handle, config) => {
                let number = untagged(handle.as_u64());
                let mut groups = self.groups.iter_mut();
                if let Some(group) = groups.find(|(known, _)| untagged(known.as_u64()) == number) {
                    group.1 = config.clone();
                }
            }
            _ => {}
        }
    }
}

/// What is left of a growth.
fn left(growth: &Growth, grown_bytes: u64) -> Option<Growth> {
    let total_bytes = growth.total_bytes.saturating_sub(grown_bytes);
    (total_bytes > 0).then(|| Growth { total_bytes, ..growth.clone() })
}
