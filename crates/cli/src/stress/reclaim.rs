//! The verbs by which owners are asked for grants, and by which they answer later.

use std::time::Duration;

use allotment::{Request, Victim};

use super::owners::{Runs, TIMEOUT};
use super::tally::Outcome;
use super::verb::Verb;
use super::worker::Worker;

/// Once in so many handlers one that runs on a thread of the governor's, which takes long.
const ASIDE: u64 = 64;

impl Worker<'_> {
    pub fn reclaim_verb(&mut self, verb: Verb) -> Option<Outcome> {
        let governor = self.governor();
        let owners = &self.scene.owners;
        let aside = self.dice(ASIDE) == 0;
        let (runs, timeout) =
            if aside { (Runs::Aside, TIMEOUT) } else { (Runs::Here, Duration::ZERO) };
        let tenant = self.resident().tenant;
        let answer = match verb {
            Verb::OnReclaim => {
                governor.on_reclaim(owners.handler(Runs::Here));
                Ok(())
            }
            Verb::OnReclaimWithin => {
                governor.on_reclaim_within(timeout, owners.handler(runs));
                Ok(())
            }
            Verb::ClearOnReclaim => {
                governor.clear_on_reclaim();
                Ok(())
            }
            Verb::OnTenantReclaim => governor.on_tenant_reclaim(tenant, owners.handler(Runs::Here)),
            Verb::OnTenantReclaimWithin => {
                governor.on_tenant_reclaim_within(tenant, timeout, owners.handler(runs))
            }
            Verb::ClearOnTenantReclaim => governor.clear_on_tenant_reclaim(tenant),
            Verb::NextVictim => return Some(self.next_victim()),
            Verb::Decline => return self.decline(),
            Verb::EvictFor => return Some(self.evict_for()),
            _ => return None,
        };
        Some(answer.map_or_else(|error| self.wrong(error), |()| Outcome::Done))
    }

    fn next_victim(&mut self) -> Outcome {
        let Some(victim) = self.governor().next_victim() else { return Outcome::Nothing };
        match self.dice(4) {
            // Whoever is short next sees that nobody cared.
            0 => {}
            1 => self.decline_victim(&victim),
            _ => self.release_victim(&victim),
        }
        Outcome::Done
    }

    /// Declines what was promised, or keeps the promise; without one, what nobody asked for.
    fn decline(&mut self) -> Option<Outcome> {
        if let Some(victim) = self.scene.owners.promise() {
            if self.dice(2) == 0 {
                self.release_victim(&victim);
            }
            let answer = self.governor().decline(victim.tenant, victim.grant);
            return Some(Outcome::of(answer));
        }
        let at = self.pick()?;
        let entry = &self.book.held[at];
        Some(Outcome::of(self.governor().decline(entry.tenant, entry.id)))
    }

    fn decline_victim(&mut self, victim: &Victim) {
        let answer = self.governor().decline(victim.tenant, victim.grant);
        self.book.tally.count(Verb::Decline, Outcome::of(answer));
    }

    /// Releases what another thread holds. One without a cookie is its holder's alone.
    fn release_victim(&mut self, victim: &Victim) {
        if victim.cookie == 0 {
            return self.decline_victim(victim);
        }
        let answer = self.governor().release(victim.tenant, victim.grant);
        if let Err(fault) = self.scene.owners.note_release(victim.cookie, &answer) {
            self.report(fault);
        }
        self.book.tally.count(Verb::Release, Outcome::of(answer));
    }

    fn evict_for(&mut self) -> Outcome {
        let tenant = self.anybody();
        let kind = allotment::AllocationType::Inference;
        let request = Request::new(tenant, kind, 1 + self.dice(self.scene.share_bytes));
        match self.governor().evict_for(&request) {
            Ok(()) => Outcome::Done,
            Err(error) => self.refused(error.into()),
        }
    }
}
