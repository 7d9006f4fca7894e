//! A log as a trace: what was asked for, and for how long it was held, whoever was denied then.
//! That is what "what if" and `tune` run through a governor that is set up otherwise.
//!
//! | in the log | in the trace |
//! |---|---|
//! | a call with a content key | a use of an item: touched if it is resident, requested if not |
//! | a touch of such a grant | the same |
//! | its release by its owner | the item is given back |
//! | any other call | a job: requested, grown, released when its time is over |
//! | a grant without a call | the same |
//!
//! How long a job holds its memory, and how it grows, is what its caller said ([`Intent`]); or else
//! what was recorded, if it was granted; or else the mean of its tenant's jobs of that type. A use
//! asks for as many bytes as that item was last asked for.

mod begin;
mod setup;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;

use allotment::audit::Configured;
use allotment::{
    AllocationType, Event, EventKind, GovernorConfig, GroupConfig, GroupHandle, Intent,
    TenantConfig, TenantId, Verb, asked,
};
use allotment_config::Setup;

use super::player::untagged;
use super::stretch::Stretch;
use super::tape::{Step, Tape};
use crate::audit::pages::first_dial;
use crate::failure::CliError;
use crate::trace::workload::{
    Growth, Items, Job, Numbering, Request, Requests, UseBytes, Workload,
};

/// What one tenant was told on the recorded day.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Grants given.
    pub granted: u64,
    /// Requests and growths refused.
    pub denied: u64,
    /// Grants taken back.
    pub evicted: u64,
    /// Requests that stood in line, and how long those waited that were served.
    pub queued: u64,
    pub waited_ns: u64,
    pub served: u64,
    /// Cost of what was asked for and not there, in ms.
    pub load_ms: u64,
    /// Most bytes held at one time.
    pub peak_bytes: u64,
    used_bytes: u64,
}

/// A recorded day: one sitting of a governor, or a stretch of it.
pub struct Day {
    /// What was asked.
    pub workload: Workload,
    /// Who was configured how, when first registered.
    pub setup: Setup,
    /// The governor's configuration.
    pub governor: GovernorConfig,
    /// When it began and ended, by the clock of its governor.
    pub begun_ns: u64,
    pub ended_ns: u64,
    /// By the number of the tenant in the workload, which is its place in `setup`.
    pub told: Vec<Told>,
    /// Most bytes held at one time by all.
    pub peak_bytes: u64,
    /// Changes of limits and capacity while it ran, which are not made again.
    pub changes: u64,
    /// Places at which events were lost.
    pub gaps: u64,
}

impl Day {
    /// The sittings of a log in which anything was asked for, as far as they are in this stretch.
    /// There is at least one.
    pub fn all(folder: &Path, stretch: &Stretch) -> Result<Vec<Self>, CliError> {
        let mut tape = Tape::open(folder, stretch.sitting)?;
        let mut dial = first_dial(folder)?;
        let begun = || Diary { has_begun: stretch.since_ns.is_none(), ..Diary::default() };
        let (mut diaries, mut diary) = (Vec::new(), begun());
        while let Some(step) = tape.next()? {
            if let Step::Opened { clock_ns, unix_ns } = step {
                dial.set(clock_ns, unix_ns);
                if diary.governor.is_some() {
                    diaries.push(std::mem::replace(&mut diary, begun()));
                }
            }
            if let Step::Event(event, _) = &step {
                let unix_ns = dial.unix_ns(event.time_ns);
                diary.is_over |= stretch.is_over(unix_ns);
                if !diary.has_begun && !diary.is_over && stretch.has_begun(unix_ns) {
                    diary.begin(event.time_ns);
                }
            }
            if !diary.is_over {
                diary.step(step);
            }
        }
        diaries.push(diary);
        let begun = diaries.into_iter().filter(|diary| diary.has_begun);
        let mut days: Vec<Self> =
            begun.map(|diary| diary.close(folder)).collect::<Result<_, _>>()?;
        days.retain(|day| day.workload.requests_len() > 0);
        if days.is_empty() {
            return Err(CliError::new(format!(
                "{}: nothing was asked for in what was chosen of this log; `allot audit show` \
                 tells what is in it",
                folder.display()
            )));
        }
        Ok(days)
    }
}

/// A grant that is held.
struct Held {
    tenant: u32,
    kind: u8,
    begun_ns: u64,
    bytes: u64,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    /// An item.
    Item(u32),
    /// The job of a request, and whether its caller said what it means to do.
    Job(usize, bool),
}

/// A call whose answer is still to come.
#[derive(Clone, Copy)]
struct Open {
    what: What,
    queued_ns: Option<u64>,
}

/// How long the jobs of a tenant and type were held.
#[derive(Clone, Copy, Default)]
struct Holds {
    jobs: u64,
    total_ns: u128,
}

#[derive(Default)]
struct Diary {
    /// Whether the stretch that is looked at has begun, and whether it is over.
    has_begun: bool,
    is_over: bool,
    /// Tenants that are not registered any more.
    gone: HashSet<u32>,
    begun_ns: Option<u64>,
    ended_ns: u64,
    governor: Option<GovernorConfig>,
    groups: Vec<(GroupHandle, GroupConfig)>,
    configs: Vec<TenantConfig>,
    /// Tenant by account.
    accounts: HashMap<u32, u32>,
    numbering: HashMap<TenantId, u32>,
    items: Items,
    item_bytes: Vec<u64>,
    item_numbering: Option<Numbering<(u32, u8, u64)>>,
    uses: Vec<u32>,
    use_bytes: Vec<u64>,
    requests: Vec<Request>,
    intents: HashMap<u32, Intent>,
    open: HashMap<(u32, u8, u64), VecDeque<Open>>,
    tickets: HashMap<u64, (u32, u64)>,
    grants: HashMap<u64, Held>,
    growths: HashMap<usize, (u64, u64, u64)>,
    holds: HashMap<(u32, u8), Holds>,
    denied: Vec<(usize, u32, u8)>,
    told: Vec<Told>,
    used_bytes: u64,
    peak_bytes: u64,
    changes: u64,
    gaps: u64,
}

impl Diary {
    fn step(&mut self, step: Step) {
        match step {
            Step::Opened { .. } => {}
            Step::Governor(config) => self.governor = Some(*config),
            Step::Stated(configured) if self.knows(&configured) => self.reconfigured(&configured),
            Step::Stated(configured) => self.registered(&configured),
            Step::Missing => self.gaps += 1,
            Step::Event(event, configured) => {
                match (event.kind, configured) {
                    (EventKind::Registered, Some(configured)) => self.registered(&configured),
                    (EventKind::LimitsChanged, Some(changed)) => self.reconfigured(&changed),
                    _ => {}
                }
                if self.has_begun {
                    self.begun_ns.get_or_insert(event.time_ns);
                }
                self.ended_ns = self.ended_ns.max(event.time_ns);
                self.event(&event);
            }
        }
    }

    fn knows(&self, configured: &Configured) -> bool {
        match configured {
            Configured::Group(handle, _) => self.groups.iter().any(|(known, _)| known == handle),
            Configured::Tenant(handle, config) => {
                let number = self.accounts.get(&handle.index());
                number.is_some_and(|&number| self.configs[number as usize].id == config.id)
            }
            _ => false,
        }
    }

    fn reconfigured(&mut self, configured: &Configured) {
        match self.has_begun {
            true => self.changes += 1,
            false => self.changed(configured),
        }
    }

    fn registered(&mut self, configured: &Configured) {
        match configured {
            Configured::Group(handle, config) => self.groups.push((*handle, config.clone())),
            Configured::Tenant(handle, config) => {
                let next = self.configs.len() as u32;
                let number = *self.numbering.entry(config.id).or_insert(next);
                if number == next {
                    self.configs.push(config.clone());
                    self.told.push(Told::default());
                }
                self.gone.remove(&number);
                self.accounts.insert(handle.index(), number);
            }
            _ => {}
        }
    }

    fn event(&mut self, event: &Event) {
        if event.kind == EventKind::CapacityChanged {
            self.changes += 1;
            if let Some(governor) = self.governor.as_mut().filter(|_| !self.has_begun) {
                governor.capacity_bytes = event.bytes;
            }
        }
        let Some(tenant) = self.accounts.get(&event.account).copied() else { return };
        match event.kind {
            EventKind::Intended => {
                let intent = Intent {
                    hold_ns: event.grant,
                    grow_bytes: event.bytes,
                    grow_step_bytes: event.detail,
                    grow_step_ns: event.used_bytes,
                };
                self.intents.insert(event.account, intent);
            }
            EventKind::Asked => self.asked(event, tenant),
            EventKind::Touched => {
                if let Some(&Held { what: What::Item(item), .. }) = self.held(event.grant) {
                    self.use_item(event.time_ns, tenant, item);
                }
            }
            EventKind::Queued => {
                self.told[tenant as usize].queued += 1;
                self.tickets.insert(event.grant, (tenant, event.time_ns));
                if let Some(open) = self.open_of(event) {
                    open.queued_ns = Some(event.time_ns);
                }
            }
            EventKind::Granted => self.granted(event, tenant),
            EventKind::Denied => self.denied(event, tenant),
            EventKind::Grown => self.grown(event, tenant),
            EventKind::Shrunk => {
                self.less(tenant, event.bytes);
                if let Some(held) = self.grants.get_mut(&untagged(event.grant)) {
                    held.bytes = held.bytes.saturating_sub(event.bytes);
                }
            }
            EventKind::Unregistered => drop(self.gone.insert(tenant)),
            EventKind::Released | EventKind::Evicted | EventKind::ReservationExpired => {
                self.ended(event, tenant);
            }
            _ => {}
        }
    }

    fn more(&mut self, tenant: u32, bytes: u64) {
        let told = &mut self.told[tenant as usize];
        told.used_bytes += bytes;
        told.peak_bytes = told.peak_bytes.max(told.used_bytes);
        self.used_bytes += bytes;
        self.peak_bytes = self.peak_bytes.max(self.used_bytes);
    }

    /// After a gap more may end than was seen to begin.
    fn less(&mut self, tenant: u32, bytes: u64) {
        let told = &mut self.told[tenant as usize];
        let known = bytes.min(told.used_bytes);
        told.used_bytes -= known;
        self.used_bytes -= known;
    }

    fn held(&self, grant: u64) -> Option<&Held> {
        self.grants.get(&untagged(grant))
    }

    fn open_of(&mut self, answer: &Event) -> Option<&mut Open> {
        let subject = (answer.account, answer.allocation_type, answer.bytes);
        self.open.get_mut(&subject)?.front_mut()
    }

    fn take_open(&mut self, answer: &Event) -> Option<Open> {
        let subject = (answer.account, answer.allocation_type, answer.bytes);
        self.open.get_mut(&subject)?.pop_front()
    }

    fn asked(&mut self, event: &Event, tenant: u32) {
        let verb = Verb::from_code(event.from);
        if matches!(verb, Some(Verb::Grow | Verb::GrowEvicting | Verb::EvictFor) | None) {
            return;
        }
        let is_pinned = event.to & asked::PINNED != 0;
        let what = if event.grant != 0 && !is_pinned {
            let item = self.item(event, tenant);
            self.told[tenant as usize].load_ms += u64::from(event.cost);
            self.use_item(event.time_ns, tenant, item);
            What::Item(item)
        } else {
            let intent = self.intents.remove(&event.account);
            let waits = matches!(verb, Some(Verb::Enqueue | Verb::RequestOrEnqueue));
            let wait_ns = waits.then_some(event.used_bytes);
            self.job(event, tenant, intent, Some(is_pinned), wait_ns)
        };
        let subject = (event.account, event.allocation_type, event.bytes);
        self.open.entry(subject).or_default().push_back(Open { what, queued_ns: None });
    }

    fn item(&mut self, event: &Event, tenant: u32) -> u32 {
        let numbering = self.item_numbering.get_or_insert_with(Numbering::new);
        let (item, is_new) = numbering.number((tenant, event.allocation_type, event.grant));
        if is_new {
            let kind = AllocationType::from_u8(event.allocation_type);
            self.items.keys.push(event.grant);
            self.items.tenants.push(tenant);
            self.items.costs_ms.push(event.cost);
            self.items.types.push(kind.unwrap_or(AllocationType::Cache));
            self.item_bytes.push(event.bytes);
        }
        self.item_bytes[item as usize] = event.bytes;
        item
    }

    fn use_item(&mut self, at_ns: u64, tenant: u32, item: u32) {
        let place = self.uses.len() as u32;
        self.uses.push(item);
        self.use_bytes.push(self.item_bytes[item as usize]);
        let uses = place..place + 1;
        self.requests.push(Request { at_ns, tenant, uses, job: None, drops: None });
    }

    fn job(
        &mut self,
        event: &Event,
        tenant: u32,
        intent: Option<Intent>,
        pinned: Option<bool>,
        wait_ns: Option<u64>,
    ) -> What {
        let kind = AllocationType::from_u8(event.allocation_type);
        let mut job = Job::new(kind.unwrap_or(AllocationType::Inference), event.bytes);
        (job.pinned, job.wait_ns) = (pinned, wait_ns);
        if let Some(intent) = intent {
            job.held_ns = (intent.hold_ns != u64::MAX).then_some(intent.hold_ns);
            job.growth = (intent.grow_bytes > 0).then_some(Growth {
                total_bytes: intent.grow_bytes,
                step_bytes: intent.grow_step_bytes.max(1),
                step_ns: intent.grow_step_ns,
            });
        }
        let place = self.uses.len() as u32;
        let (at_ns, uses) = (event.time_ns, place..place);
        self.requests.push(Request { at_ns, tenant, uses, job: Some(job), drops: None });
        What::Job(self.requests.len() - 1, intent.is_some())
    }

    fn granted(&mut self, event: &Event, tenant: u32) {
        let open = self.take_open(event);
        self.more(tenant, event.bytes);
        let told = &mut self.told[tenant as usize];
        told.granted += 1;
        if let Some(queued_ns) = open.and_then(|open| open.queued_ns) {
            told.served += 1;
            told.waited_ns += event.time_ns - queued_ns;
        }
        let what = match open {
            Some(open) => open.what,
            None => self.job(event, tenant, None, None, None),
        };
        let (kind, begun_ns, bytes) = (event.allocation_type, event.time_ns, event.bytes);
        self.grants.insert(untagged(event.grant), Held { tenant, kind, begun_ns, bytes, what });
    }

    fn denied(&mut self, event: &Event, tenant: u32) {
        self.told[tenant as usize].denied += 1;
        let open = self.take_open(event);
        // Of a growth that is denied there is no call of this kind.
        let what = match open {
            Some(open) => open.what,
            None if self.has_calls() => return,
            None => self.job(event, tenant, None, None, None),
        };
        if let What::Job(request, false) = what {
            self.denied.push((request, tenant, event.allocation_type));
        }
    }

    fn has_calls(&self) -> bool {
        self.governor.as_ref().is_some_and(|governor| governor.audit_calls)
    }

    fn grown(&mut self, event: &Event, tenant: u32) {
        self.more(tenant, event.bytes);
        let Some(held) = self.grants.get_mut(&untagged(event.grant)) else { return };
        held.bytes += event.bytes;
        if let What::Job(request, false) = held.what {
            let (total, steps, last_ns) = self.growths.entry(request).or_default();
            *total += event.bytes;
            *steps += 1;
            *last_ns = event.time_ns - held.begun_ns;
        }
    }

    fn ended(&mut self, event: &Event, tenant: u32) {
        self.less(tenant, event.bytes);
        self.told[tenant as usize].evicted += u64::from(event.kind == EventKind::Evicted);
        let Some(held) = self.grants.remove(&untagged(event.grant)) else { return };
        match held.what {
            What::Item(item) if event.kind == EventKind::Released => {
                let place = self.uses.len() as u32;
                let (at_ns, uses) = (event.time_ns, place..place);
                self.requests.push(Request { at_ns, tenant, uses, job: None, drops: Some(item) });
            }
            What::Job(request, false) => {
                let held_ns = event.time_ns - held.begun_ns;
                let holds = self.holds.entry((held.tenant, held.kind)).or_default();
                holds.jobs += 1;
                holds.total_ns += u128::from(held_ns);
                if let Some(job) = &mut self.requests[request].job {
                    job.held_ns = Some(held_ns);
                }
            }
            _ => {}
        }
    }

    fn close(mut self, folder: &Path) -> Result<Day, CliError> {
        let Some(governor) = self.governor.take() else {
            return Err(CliError::new(format!(
                "{}: the log does not say how its governor was set up; record it anew",
                folder.display()
            )));
        };
        for (request, (total_bytes, steps, last_ns)) in std::mem::take(&mut self.growths) {
            let (step_bytes, step_ns) = (total_bytes.div_ceil(steps), last_ns / steps);
            if let Some(job) = &mut self.requests[request].job {
                job.growth = Some(Growth { total_bytes, step_bytes, step_ns });
            }
        }
        for (request, tenant, kind) in std::mem::take(&mut self.denied) {
            let holds = self.holds.get(&(tenant, kind)).copied().unwrap_or_default();
            let mean_ns = holds.total_ns / u128::from(holds.jobs.max(1));
            if let Some(job) = &mut self.requests[request].job {
                job.held_ns = Some(u64::try_from(mean_ns).unwrap_or(u64::MAX));
            }
        }
        let setup = setup::of(&governor, &self.groups, &self.configs, &self.gone);
        let footprint_bytes = self.item_bytes.iter().fold(0, |sum: u64, b| sum.saturating_add(*b));
        let workload = Workload {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            tenants: setup.tenants.iter().map(|tenant| tenant.name.clone()).collect(),
            items: self.items,
            uses: self.uses,
            use_bytes: UseBytes::PerUse(self.use_bytes),
            requests: Requests::Listed(self.requests),
            footprint_bytes,
        };
        let (told, peak_bytes) = (self.told, self.peak_bytes);
        let (changes, gaps) = (self.changes, self.gaps);
        let (begun_ns, ended_ns) = (self.begun_ns.unwrap_or(0), self.ended_ns);
        Ok(Day { workload, setup, governor, begun_ns, ended_ns, told, peak_bytes, changes, gaps })
    }
}
