//! One trace at one size under one policy: build the governor, drive it, check it, report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use allotment::os::{Clock, ManualClock};
use allotment::{Governor, GovernorConfig, GrantId, GroupConfig, ReclaimAnswer, Victim};

use super::books::{OwnBooks, note_taken};
use super::history::{Sampler, asked_bytes};
use super::loads::LoadSums;
use super::patient::Patient;
use super::plain_lru;
use super::plan::Plan;
use super::progress::Progress;
use super::recorder::Recorder;
use super::roster::Roster;
use super::shared_books::{SharedBooks, WorkerBooks};
use super::time::Time;
use super::waits::WaitSums;
use super::worker::{Floor, Tally, Worker, misuse};
use crate::args::{PolicyName, ReplayArgs, Size};
use crate::failure::CliError;
use crate::ledger::Ledger;
use crate::report::{History, RunReport, TenantReport};
use crate::trace::Format;
use crate::trace::workload::Workload;

/// Items given back between two looks whether the log keeps up.
const LOOK_EVERY: usize = 4_096;

/// The policy of a run whose configuration names one for each tenant.
const CONFIGURED: &str = "configured";

/// One point of a sweep.
pub struct SingleRun<'a> {
    /// The options.
    pub args: &'a ReplayArgs,
    /// The trace.
    pub workload: &'a Arc<Workload>,
    /// The governor to replay it against.
    pub plan: Plan,
    /// The size, as it was asked for.
    pub size: Size,
    /// The policy; none: as the configuration says.
    pub policy: Option<PolicyName>,
}

/// What came out of the loop.
struct Played {
    tally: Tally,
    ledger: Ledger,
    resident: Vec<Option<GrantId>>,
    history: History,
    seconds: f64,
    leaked_bytes: u64,
    /// By tenant; empty where nobody waits.
    waits: Vec<WaitSums>,
    /// By tenant; empty where they are not counted.
    loads: Vec<LoadSums>,
}

impl SingleRun<'_> {
    /// Replays and reports.
    pub fn report(&self, progress: &Progress) -> Result<RunReport, CliError> {
        let clock = ManualClock::new();
        let (governor, roster) = self.governor(&clock)?;
        let governor = Arc::new(governor);
        let to = self.args.record_to();
        let recorder = to.map(|to| Recorder::start(&governor, &to)).transpose()?;
        let floor = Floor {
            workload: self.workload,
            governor: &*governor,
            roster: &roster,
            time: Time::Virtual(&clock),
            with_jobs: self.plan.with_jobs,
            balance_every_ns: self.plan.balance_every_ns,
            workers: self.args.threads as usize,
            recorder: recorder.as_ref(),
        };
        let mut played = match (self.args.wait, floor.workers) {
            (Some(wait_max), _) => self.play_waiting(&floor, wait_max, progress)?,
            (None, 1) => self.play(&floor, progress)?,
            (None, _) => self.play_together(&floor, progress)?,
        };
        let tracking_bytes = governor.tracking_bytes();
        self.give_back(&floor, &mut played)?;
        if let Some(recorder) = recorder {
            recorder.close()?;
        }
        Ok(self.filled(&played, tracking_bytes))
    }

    /// The governor and its tenants: those of the configuration at once, those of a trace later.
    fn governor(&self, clock: &ManualClock) -> Result<(Governor, Roster), CliError> {
        let plan = &self.plan;
        let clock = Clock::Manual(clock.clone());
        if let Some(setup) = &plan.setup {
            let built = setup
                .build(clock, |config| self.recorded(plan.based(config)))
                .map_err(|error| misuse(&error))?;
            let handles = plan.places.iter().map(|place| built.tenants[*place]).collect();
            return Ok((built.governor, Roster::registered(handles)));
        }
        let plain = GovernorConfig::new(plan.capacity_bytes);
        let config = GovernorConfig {
            tenants_max: plan.tenants.len() as u32,
            groups_max: plan.groups.len() as u32,
            grants_max: plan.grants_max,
            ghost_keys_max: plan.ghost_keys_max,
            headroom_bytes: plan.headroom_bytes,
            clock,
            pool_pressure: false,
            waiters_max: plan.waiters_max.unwrap_or(plain.waiters_max),
            ..plain
        };
        let governor = Governor::new(self.recorded(config)).map_err(|error| misuse(&error))?;
        let mut groups = Vec::new();
        for group in &plan.groups {
            let config = GroupConfig {
                parent: group.parent.map(|parent| groups[parent]),
                guarantee_bytes: group.guarantee_bytes,
                limit_bytes: group.limit_bytes,
                ..GroupConfig::new(&group.name)
            };
            groups.push(governor.register_group(config).map_err(|error| misuse(&error))?);
        }
        let policy = self.policy.unwrap_or(PolicyName::Hybrid).policy();
        let roster = Roster::new(plan.tenants.clone(), groups, policy, self.args.seed);
        Ok((governor, roster))
    }

    fn recorded(&self, config: GovernorConfig) -> GovernorConfig {
        if self.args.record.is_some() { Recorder::configured(config) } else { config }
    }

    /// The loop in this thread.
    fn play(&self, floor: &Floor<'_>, progress: &Progress) -> Result<Played, CliError> {
        floor.governor.on_reclaim(|victim: &Victim| {
            note_taken(victim);
            ReclaimAnswer::Freed
        });
        let books = OwnBooks::new(self.workload, Ledger::new(self.plan.bounds()));
        let mut worker = Worker::new(floor, 0, books);
        let mut sampler = Sampler::new(self.workload, &asked_bytes(self.workload));
        let bar = progress.bar(self.workload.requests_len() as u64, "replaying");
        let began = Instant::now();
        worker.run(Some((&mut sampler, &bar)))?;
        let seconds = began.elapsed().as_secs_f64();
        bar.finish_and_clear();
        worker.release_rest()?;
        let (tally, books, waits) = worker.close();
        let loads = books.loads().to_vec();
        let (resident, ledger) = books.close();
        let history = sampler.close();
        let leaked_bytes = 0;
        Ok(Played { tally, ledger, resident, history, seconds, leaked_bytes, waits, loads })
    }

    /// The loop in this thread, where requests wait their turn.
    fn play_waiting(
        &self,
        floor: &Floor<'_>,
        wait_max: Duration,
        progress: &Progress,
    ) -> Result<Played, CliError> {
        floor.governor.on_reclaim(|victim: &Victim| {
            note_taken(victim);
            ReclaimAnswer::Freed
        });
        let books = OwnBooks::new(self.workload, Ledger::new(self.plan.bounds()));
        let mut patient = Patient::new(floor, wait_max, books);
        let mut sampler = Sampler::new(self.workload, &asked_bytes(self.workload));
        let bar = progress.bar(self.workload.requests_len() as u64, "replaying");
        let began = Instant::now();
        patient.run(&mut sampler, &bar)?;
        let seconds = began.elapsed().as_secs_f64();
        bar.finish_and_clear();
        let (tally, books, waits) = patient.close();
        let (resident, ledger) = books.close();
        let history = sampler.close();
        let (leaked_bytes, loads) = (0, Vec::new());
        Ok(Played { tally, ledger, resident, history, seconds, leaked_bytes, waits, loads })
    }

    /// The loop in several threads, as fast as they can.
    fn play_together(&self, floor: &Floor<'_>, progress: &Progress) -> Result<Played, CliError> {
        let workload = Arc::clone(self.workload);
        let shared = Arc::new(SharedBooks::new(workload, self.plan.bounds(), floor.workers));
        let to_books = Arc::clone(&shared);
        floor.governor.on_reclaim(move |victim: &Victim| {
            to_books.take(victim);
            ReclaimAnswer::Freed
        });
        let mut sampler = Sampler::new(self.workload, &asked_bytes(self.workload));
        let bar = progress.bar(self.workload.requests_len() as u64, "replaying");
        let mut tally = Tally::default();
        let began = Instant::now();
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..floor.workers)
                .map(|number| {
                    let shared = &shared;
                    scope.spawn(move || one_worker(floor, shared, number, None))
                })
                .collect();
            let mut outcomes = vec![one_worker(floor, &shared, 0, Some((&mut sampler, &bar)))];
            for other in others {
                outcomes.push(other.join().unwrap_or_else(|_| {
                    Err(CliError::new("a worker stopped unexpectedly; see the message above"))
                }));
            }
            outcomes.into_iter().try_for_each(|outcome| outcome.map(|other| tally.add(&other)))
        })?;
        let seconds = began.elapsed().as_secs_f64();
        bar.finish_and_clear();
        let (resident, ledger) = shared.close();
        let history = sampler.close();
        let (leaked_bytes, waits, loads) = (0, Vec::new(), Vec::new());
        Ok(Played { tally, ledger, resident, history, seconds, leaked_bytes, waits, loads })
    }

    /// Compares the governor's sum with the ledger's, gives everything back, and compares again.
    fn give_back(&self, floor: &Floor<'_>, played: &mut Played) -> Result<(), CliError> {
        let live_bytes = floor.governor.snapshot().live_bytes;
        played.leaked_bytes = played.ledger.leaked_bytes(live_bytes);
        for (item, grant) in played.resident.iter().enumerate() {
            let Some(grant) = grant else { continue };
            if item % LOOK_EVERY == 0 {
                floor.keep_up()?;
            }
            let tenant = self.workload.items.tenant(item as u32);
            let handle = floor.roster.handle(floor.governor, tenant)?;
            floor.governor.release(handle, *grant).map_err(|error| misuse(&error))?;
        }
        let rest_bytes = floor.governor.snapshot().live_bytes;
        played.leaked_bytes = played.leaked_bytes.max(rest_bytes);
        Ok(())
    }

    fn filled(&self, played: &Played, tracking_bytes: u64) -> RunReport {
        let plan = &self.plan;
        let Played { tally, ledger, .. } = played;
        let workload = self.workload;
        let observed = ledger.observed();
        let requests = workload.requests_len() as u64;
        let has_items = workload.items.len() > 0;
        let waits = self.args.wait.map(|_| WaitSums::total(&played.waits));
        let events_per_second = requests as f64 / played.seconds.max(f64::MIN_POSITIVE);
        let plain = self
            .args
            .compare_lru
            .then(|| plain_lru::events_per_second(workload, plan.capacity_bytes));
        RunReport {
            trace: workload.name.clone(),
            format: self.args.trace.format.name().to_string(),
            policy: self.policy.map_or(CONFIGURED, PolicyName::name).to_string(),
            unit: (self.args.trace.format.is_keys())
                .then(|| self.args.trace.unit().name().to_string()),
            capacity_bytes: Some(plan.capacity_bytes),
            capacity_percent: match self.size {
                Size::Percent(percent) => Some(percent),
                _ => None,
            },
            capacity_blocks: match self.size {
                Size::Blocks(count) => Some(count),
                _ => None,
            },
            slots: match self.size {
                Size::Slots(count) => Some(count),
                _ => None,
            },
            requests,
            granted: ledger.tenants().iter().map(|tenant| tenant.granted).sum(),
            denied: ledger.tenants().iter().map(|tenant| tenant.denied).sum(),
            evicted_grants: observed.evicted_grants,
            evicted_bytes: observed.evicted_bytes,
            hits: has_items.then_some(tally.hits),
            misses: has_items.then_some(tally.misses),
            hit_ratio: tally.hit_ratio(),
            prefix_hit_ratio: (self.args.trace.format == Format::Mooncake)
                .then(|| tally.prefix_hits as f64 / workload.uses.len().max(1) as f64),
            load_seconds: (self.args.trace.format == Format::AlibabaLora)
                .then(|| tally.load_ms as f64 / 1e3),
            peak_used_bytes: observed.peak_bytes,
            overcommit_bytes: observed.overcommit_bytes,
            leaked_bytes: played.leaked_bytes,
            guarantee_violations: observed.guarantee_violations,
            tracking_bytes,
            events_per_second,
            plain_lru_ratio: plain.map(|plain| events_per_second / plain),
            threads: self.args.threads,
            seed: self.args.seed,
            wait_max_s: self.args.wait.map(|wait_max| wait_max.as_secs_f64()),
            waits: waits.as_ref().map(WaitSums::report),
            tenants: self.tenant_reports(played),
            history: played.history.clone(),
            waited: waits.map(WaitSums::drawn).unwrap_or_default(),
        }
    }

    fn tenant_reports(&self, played: &Played) -> Vec<TenantReport> {
        let plan = &self.plan;
        let has_times = !self.workload.items.costs_ms.is_empty();
        let waits = played.waits.iter().map(|sums| Some(sums.report()));
        let waits = waits.chain(std::iter::repeat(None));
        let loads = played.loads.iter().map(Some).chain(std::iter::repeat(None));
        let told = plan.tenants.iter().zip(played.ledger.tenants()).zip(waits).zip(loads);
        told.map(|(((tenant, sums), waits), loads)| TenantReport {
            name: tenant.name.clone(),
            group: tenant.group.map(|group| plan.groups[group].name.clone()),
            priority: tenant.priority.name().to_string(),
            isolation: tenant.isolation.name().to_string(),
            granted: sums.granted,
            denied: sums.denied,
            evicted: sums.evicted,
            load_seconds: loads.filter(|_| has_times).map(LoadSums::load_seconds),
            rebuild_seconds: loads.map(LoadSums::rebuild_seconds),
            peak_used_bytes: sums.peak_used_bytes,
            guarantee_bytes: tenant.guarantee_bytes,
            limit_bytes: tenant.limit_bytes,
            waits,
        })
        .collect()
    }
}

/// One of several workers, on its own thread.
fn one_worker(
    floor: &Floor<'_>,
    shared: &SharedBooks,
    number: usize,
    lead: Option<(&mut Sampler, &indicatif::ProgressBar)>,
) -> Result<Tally, CliError> {
    let mut worker = Worker::new(floor, number, WorkerBooks::new(shared, number));
    worker.run(lead)?;
    worker.release_rest()?;
    Ok(worker.close().0)
}
