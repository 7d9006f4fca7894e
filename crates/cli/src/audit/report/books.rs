//! The books: what each account holds by the records so far, and what became of it, for whom.
//!
//! ```text
//! B1  held(account, type) = sum of granted and grown - sum of shrunk and ended
//! B2  sum over accounts and types of held = gauge
//! B3  what a Balance record says = held, while nothing was lost
//! ```
//!
//! Where records are missing (a gap, damage, a log that began while its governor was at work) B1
//! cannot be known: the next record of an account says what it uses, and what differs from the
//! books is booked then, as bytes of an unknown type or as bytes that have gone. If the log began
//! late and lost nothing since, they were held from its beginning on.

use std::collections::{BTreeMap, HashMap};

use allotment::audit::{Body, Configured, STATED_TOPIC};
use allotment::{AuditMode, Event, EventKind, TenantId};

use super::super::pages::{both_clocks, clock_ns};
use super::super::roster::{Party, Roster, Told};
use super::super::when::{self, Dial};
use super::gauge::Gauge;
use super::period::Period;
use super::series::{Counts, Series, Step};

/// Allocation types, and one for bytes of which the type is not known.
pub const TYPES: usize = 5;
/// The type that is not known.
pub const UNKNOWN_TYPE: usize = 4;
/// No account holds more.
const BYTES_MAX: u64 = (1 << 48) - 1;
/// A century of hours and more: from 1970, which is what a clock that was never set shows.
const PERIODS_MAX: u64 = 1_000_000;
/// Faults of the books that are told.
const FAULTS_MAX: usize = 10;

/// Whose figures these are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// A tenant, by its id: two that had it one after the other are one.
    Tenant(TenantId),
    /// An account of which nobody said whose it is, by the number of the sitting and its own.
    Account(u64, u32),
    /// A group, by its path.
    Group(String),
}

/// What is known of an owner, and its figures.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// What people call it.
    pub name: String,
    /// The path of the group that it was in last.
    pub group: Option<String>,
    /// By allocation type; a group has none.
    pub types: [Option<Series>; TYPES],
    /// All of it.
    pub sum: Series,
}

/// Bytes and grants of an account, of one type.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    bytes: u64,
    grants: u64,
}

/// An account of the sitting.
struct Account {
    cells: [Cell; TYPES],
    /// Which of all losses it has been set right after.
    losses: u64,
    handle: u64,
    owner: Owner,
    groups: Vec<String>,
}

/// What is said of the whole.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// Records read.
    pub records: u64,
    /// Times that a writer began.
    pub sittings: u64,
    /// The first and the last time of day.
    pub first_ns: Option<i128>,
    /// See `first_ns`.
    pub last_ns: Option<i128>,
    /// Whether times are those of the clock, since the log says nothing of the day.
    pub has_no_day: bool,
    /// Events lost, and how many of them in sittings in which those may be about bytes.
    pub events_lost: u64,
    /// See `events_lost`.
    pub events_lost_of_bytes: u64,
    /// Requests without room in the log.
    pub requests_refused: u64,
    /// Their bytes.
    pub refused_bytes: u64,
    /// Whether a log began while its governor was at work.
    pub began_late: bool,
    /// Where the log is damaged.
    pub damage: Vec<String>,
    /// Where the books do not add up.
    pub faults: Vec<String>,
    /// How many times an account was set right, and by how many bytes.
    pub corrections: u64,
    /// See `corrections`.
    pub corrected_bytes: u64,
}

/// See the top of this file.
pub struct Books {
    /// How time is cut.
    pub period: Period,
    /// Everybody.
    pub sheets: BTreeMap<Owner, Sheet>,
    /// All of it, as the sheets have it.
    pub sum: Series,
    /// All of it, told independently.
    pub gauge: Gauge,
    /// The rest.
    pub story: Story,
    roster: Roster,
    accounts: HashMap<u32, Account>,
    dial: Dial,
    /// Whether the sitting has had its times of day.
    is_dialled: bool,
    /// The last time of this sitting, by the governor's clock.
    clock_ns: u64,
    /// When the books were opened with balances. Threads tell of what they did a moment later, and
    /// what was done before that is in the balances.
    opened_ns: u64,
    /// Grows with every loss that may be about bytes.
    losses: u64,
    /// When this sitting began, if it did so late and nothing was lost since: what is not in the
    /// books was held since then.
    late_ns: Option<u64>,
    /// Whether balances are taken over: the log begins within a sitting.
    is_opening: bool,
    /// Whether the sitting has had an event.
    has_events: bool,
    mode: Option<AuditMode>,
    /// Whether groups were told of after accounts that may be in them.
    has_new_groups: bool,
}

impl Books {
    /// Empty books; `dial` is what the log says of the time of day first.
    pub fn new(period: Period, dial: Dial) -> Self {
        let story = Story { has_no_day: !dial.is_set(), ..Story::default() };
        Self {
            period,
            sheets: BTreeMap::new(),
            sum: Series::default(),
            gauge: Gauge::new(period),
            story,
            roster: Roster::default(),
            accounts: HashMap::new(),
            dial,
            is_dialled: false,
            clock_ns: 0,
            opened_ns: 0,
            losses: 0,
            late_ns: None,
            is_opening: true,
            has_events: false,
            mode: None,
            has_new_groups: false,
        }
    }

    /// Takes a record.
    pub fn take(&mut self, body: &Body) {
        self.story.records += 1;
        if let Body::Opened { .. } = body {
            self.begin_sitting();
        }
        if let Some((clock_ns, unix_ns)) = both_clocks(body)
            && !self.is_dialled
        {
            // Once for a sitting, or its clock would not be even.
            self.dial.set(clock_ns, unix_ns);
            self.is_dialled = true;
        }
        if let Some(clock_ns) = clock_ns(body)
            && !self.go_to(clock_ns)
        {
            return self.fault(format!(
                "a record at {}, {PERIODS_MAX} periods away from others: choose a longer --period",
                when::short(self.dial.unix_ns(clock_ns))
            ));
        }
        match body {
            Body::Event(event) => {
                let time_ns = event.time_ns.max(self.opened_ns);
                self.take_event(&Event { time_ns, ..*event });
            }
            Body::Text(part) => {
                if let Some(told) = self.roster.take(part) {
                    self.take_text(&told);
                }
            }
            Body::Gap { count: 0, .. } => self.begin_after_losses(),
            Body::Gap { count, .. } => self.take_gap(*count),
            Body::Refused { requests, bytes, .. } => {
                let story = &mut self.story;
                story.requests_refused = story.requests_refused.saturating_add(*requests);
                story.refused_bytes = story.refused_bytes.saturating_add(*bytes);
            }
            Body::Balance { account, allocation_type, bytes, grants, .. } => {
                let kind = usize::from(*allocation_type).min(UNKNOWN_TYPE);
                self.take_balance(*account, kind, Cell { bytes: *bytes, grants: *grants });
            }
            _ => {}
        }
    }

    /// Records are missing here.
    pub fn damage(&mut self, what: String) {
        self.story.damage.push(what);
        (self.losses, self.late_ns) = (self.losses + 1, None);
    }

    /// The log ends.
    pub fn finish(&mut self) {
        self.check_held();
        let (number, after_ns) = self.place(self.clock_ns);
        let bytes = self.gauge.total();
        self.gauge.change(self.dial.unix_ns(self.clock_ns), -bytes);
        let sheets = self.sheets.values_mut();
        for series in sheets.flat_map(|sheet| {
            sheet.types.iter_mut().flatten().chain(std::iter::once(&mut sheet.sum))
        }) {
            series.close(number, after_ns);
        }
        self.sum.close(number, after_ns);
    }

    /// Answers false for a time that is too far from others, and stays where it was.
    fn go_to(&mut self, clock_ns: u64) -> bool {
        let clock_ns = clock_ns.max(self.opened_ns);
        let unix_ns = self.dial.unix_ns(clock_ns);
        let story = &mut self.story;
        let first = self.period.at(story.first_ns.unwrap_or(unix_ns));
        if first.abs_diff(self.period.at(unix_ns)) > PERIODS_MAX {
            return false;
        }
        self.clock_ns = self.clock_ns.max(clock_ns);
        story.first_ns = Some(story.first_ns.map_or(unix_ns, |first| first.min(unix_ns)));
        story.last_ns = Some(story.last_ns.map_or(unix_ns, |last| last.max(unix_ns)));
        true
    }

    /// A writer begins: the governor before it is gone, and so is all that was held.
    fn begin_sitting(&mut self) {
        self.check_held();
        let total = self.gauge.total();
        self.gauge.change(self.dial.unix_ns(self.clock_ns), -total);
        for account in self.numbers() {
            for kind in 0..TYPES {
                let bytes = -i128::from(self.accounts[&account].cells[kind].bytes);
                self.book(account, kind, self.clock_ns, bytes, Counts::default());
            }
        }
        self.accounts.clear();
        self.roster.clear();
        self.story.sittings += 1;
        (self.clock_ns, self.opened_ns) = (0, 0);
        (self.losses, self.late_ns) = (0, None);
        (self.is_dialled, self.is_opening, self.has_events) = (false, false, false);
        self.mode = None;
    }

    /// The numbers of all accounts, in order.
    fn numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.accounts.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    /// B2.
    fn check_held(&mut self) {
        let cells = self.accounts.values().flat_map(|account| &account.cells);
        let held: i128 = cells.map(|cell| i128::from(cell.bytes)).sum();
        let total = self.gauge.total();
        if held != total {
            self.fault(format!(
                "all accounts hold {held} bytes together, and the total is {total}"
            ));
        }
    }

    /// Groups that were told of after their members: these are told apart from now on.
    fn renew_groups(&mut self) {
        if std::mem::take(&mut self.has_new_groups) {
            for number in self.numbers() {
                self.bind(number);
            }
        }
    }

    fn take_text(&mut self, told: &Told) {
        match &told.configured {
            Some(Configured::Governor(config)) => {
                self.mode = Some(config.audit);
                // It begins where another log of the same governor has ended: all is said.
                self.is_opening |= told.topic == STATED_TOPIC && !self.has_events;
            }
            Some(configured) => {
                let is_late = told.topic == STATED_TOPIC && !self.has_events && !self.is_opening;
                if is_late {
                    self.begin_after_losses();
                }
                let account = configured.account();
                self.bind(account);
                self.has_new_groups |= told.is_new && matches!(configured, Configured::Group(..));
            }
            None => {}
        }
    }

    /// What was held before the first event is not known. A segment in the middle of a log says
    /// nothing new.
    fn begin_after_losses(&mut self) {
        if self.losses == 0 && !self.has_events {
            self.story.began_late = true;
            (self.losses, self.late_ns) = (1, Some(self.clock_ns));
        }
    }

    fn take_gap(&mut self, count: u64) {
        let story = &mut self.story;
        story.events_lost = story.events_lost.saturating_add(count);
        // Where the log comes first, only what moves no bytes is ever lost.
        if self.mode != Some(AuditMode::FailClosed) {
            story.events_lost_of_bytes = story.events_lost_of_bytes.saturating_add(count);
            (self.losses, self.late_ns) = (self.losses + 1, None);
        }
    }

    fn take_balance(&mut self, account: u32, kind: usize, said: Cell) {
        if said.bytes > BYTES_MAX {
            return self.fault(format!("a balance of {} bytes: impossible", said.bytes));
        }
        self.renew_groups();
        let held = self.account(account).cells[kind];
        if self.is_opening && !self.has_events {
            self.opened_ns = self.clock_ns;
            let bytes = i128::from(said.bytes) - i128::from(held.bytes);
            self.account(account).cells[kind] = said;
            self.gauge.change(self.dial.unix_ns(self.clock_ns), bytes);
            self.book(account, kind, self.clock_ns, bytes, Counts::default());
        } else if self.losses == 0 && (held.bytes, held.grants) != (said.bytes, said.grants) {
            let name = self.roster.name(account);
            let what = format!(
                "{name} holds {} bytes in {} grants by its records, and the log's own balance is \
                 {} in {}",
                held.bytes, held.grants, said.bytes, said.grants
            );
            self.fault(what);
        }
    }

    fn fault(&mut self, what: String) {
        if self.story.faults.len() < FAULTS_MAX {
            self.story.faults.push(what);
        }
    }

    fn take_event(&mut self, event: &Event) {
        self.has_events = true;
        if !event.tells_use() {
            return;
        }
        let kind = usize::from(event.allocation_type).min(UNKNOWN_TYPE);
        let Event { account, bytes, used_bytes, time_ns, .. } = *event;
        if bytes.max(used_bytes) > BYTES_MAX {
            return self
                .fault(format!("a record of {bytes} bytes, {used_bytes} in use: impossible"));
        }
        self.renew_groups();
        self.set_right(event);
        let counts = counts(event);
        match event.kind {
            EventKind::Granted => self.come(event, kind, 1, counts),
            EventKind::Grown => self.come(event, kind, 0, counts),
            EventKind::Shrunk => self.go(event, kind, 0, counts),
            EventKind::Denied => self.book(account, kind, time_ns, 0, counts),
            _ => self.go(event, kind, 1, counts),
        }
    }

    /// Bytes come.
    fn come(&mut self, event: &Event, kind: usize, grants: u64, counts: Counts) {
        let Event { account, bytes, time_ns, .. } = *event;
        let cell = &mut self.account(account).cells[kind];
        (cell.bytes, cell.grants) = (cell.bytes + bytes, cell.grants.saturating_add(grants));
        self.gauge.change(self.dial.unix_ns(time_ns), bytes.into());
        self.book(account, kind, time_ns, bytes.into(), counts);
    }

    /// Bytes go: of their type, and of the unknown ones if there are not as many.
    fn go(&mut self, event: &Event, kind: usize, grants: u64, counts: Counts) {
        let Event { account, bytes, time_ns, .. } = *event;
        let losses = self.losses;
        let cells = &mut self.account(account).cells;
        let known = bytes.min(cells[kind].bytes);
        cells[kind].bytes -= known;
        cells[kind].grants = cells[kind].grants.saturating_sub(grants);
        let unknown = (bytes - known).min(cells[UNKNOWN_TYPE].bytes);
        cells[UNKNOWN_TYPE].bytes -= unknown;
        self.book(account, kind, time_ns, -i128::from(known), counts);
        self.book(account, UNKNOWN_TYPE, time_ns, -i128::from(unknown), Counts::default());
        let gone = if losses == 0 { bytes } else { known + unknown };
        self.gauge.change(self.dial.unix_ns(time_ns), -i128::from(gone));
        if losses == 0 && known + unknown < bytes {
            let name = self.roster.name(account);
            let what = format!("{name} gave back {bytes} bytes and held {known} of this type");
            self.fault(what);
        }
    }

    /// After a loss, and before an event: what the account used until then, by its own account.
    fn set_right(&mut self, event: &Event) {
        let losses = self.losses;
        let account = self.account(event.account);
        if account.losses == losses {
            return;
        }
        account.losses = losses;
        let used_bytes = match event.kind {
            EventKind::Denied => event.used_bytes,
            EventKind::Granted | EventKind::Grown => event.used_bytes.saturating_sub(event.bytes),
            _ => event.used_bytes + event.bytes,
        };
        let held: u64 = account.cells.iter().map(|cell| cell.bytes).sum();
        let mut gone = held.saturating_sub(used_bytes);
        let come = used_bytes.saturating_sub(held);
        self.story.corrections += u64::from(gone + come > 0);
        self.story.corrected_bytes += gone + come;
        if come > 0 {
            let since_ns = self.late_ns.unwrap_or(event.time_ns);
            self.correct(event.account, UNKNOWN_TYPE, since_ns, come.into());
        }
        // Who goes first when memory is short is the likeliest to have gone.
        for kind in (0..TYPES).rev() {
            let part = gone.min(self.account(event.account).cells[kind].bytes);
            gone -= part;
            if part > 0 {
                self.correct(event.account, kind, event.time_ns, -i128::from(part));
            }
        }
    }

    fn correct(&mut self, account: u32, kind: usize, clock_ns: u64, bytes: i128) {
        let cell = &mut self.account(account).cells[kind];
        cell.bytes = u64::try_from(i128::from(cell.bytes) + bytes).unwrap_or(0);
        self.gauge.change(self.dial.unix_ns(clock_ns), bytes);
        self.book(account, kind, clock_ns, bytes, Counts::default());
    }

    /// The account of a number, as it is known by now.
    fn account(&mut self, number: u32) -> &mut Account {
        if !self.accounts.contains_key(&number) {
            self.bind(number);
        }
        self.accounts.get_mut(&number).expect("bound just now")
    }

    /// Who has this number from now on. What was held under it before is another's, unless nobody
    /// knew whose it was.
    fn bind(&mut self, number: u32) {
        let (handle, owner) = self.owner(number);
        let groups = self.roster.groups(number);
        if let Owner::Tenant(_) | Owner::Account(..) = owner {
            let sheet = self.sheets.entry(owner.clone()).or_default();
            sheet.name = self.roster.name(number);
            sheet.group = groups.first().cloned();
        }
        let old = self.accounts.get_mut(&number);
        if let Some(old) = old
            && (&old.owner, &old.groups) == (&owner, &groups)
        {
            old.handle = handle;
            return;
        }
        let before = self.accounts.get(&number).map_or([Cell::default(); TYPES], |old| old.cells);
        let is_other = self
            .accounts
            .get(&number)
            .is_some_and(|old| old.handle != handle && !matches!(old.owner, Owner::Account(..)));
        for (kind, cell) in before.iter().enumerate() {
            self.book(number, kind, self.clock_ns, -i128::from(cell.bytes), Counts::default());
        }
        let cells = if is_other { [Cell::default(); TYPES] } else { before };
        let losses = self.accounts.get(&number).map_or(0, |old| old.losses);
        self.accounts.insert(number, Account { cells, losses, handle, owner, groups });
        for (kind, cell) in cells.iter().enumerate() {
            self.book(number, kind, self.clock_ns, cell.bytes.into(), Counts::default());
        }
        if is_other {
            let left: i128 = before.iter().map(|cell| i128::from(cell.bytes)).sum();
            self.gauge.change(self.dial.unix_ns(self.clock_ns), -left);
        }
    }

    /// Whose a number is, as the log says by now, with its handle.
    fn owner(&self, number: u32) -> (u64, Owner) {
        match self.roster.get(number) {
            Some(Party { id: Some(id), handle, .. }) => (*handle, Owner::Tenant(*id)),
            Some(Party { handle, name, .. }) => {
                let above = self.roster.groups(number).into_iter().next();
                let path = above.map_or(name.clone(), |above| format!("{above}/{name}"));
                (*handle, Owner::Group(path))
            }
            None => (0, Owner::Account(self.story.sittings, number)),
        }
    }

    /// Books a change, and what happened, wherever it belongs.
    fn book(&mut self, number: u32, kind: usize, clock_ns: u64, bytes: i128, counts: Counts) {
        if bytes == 0 && counts == Counts::default() {
            return;
        }
        let (period, after_ns) = self.place(clock_ns);
        let step = Step { number: period, after_ns, bytes, counts };
        let Some(Account { owner, groups, .. }) = self.accounts.get(&number) else { return };
        let sheet = self.sheets.entry(owner.clone()).or_default();
        sheet.types[kind].get_or_insert_default().step(&step);
        sheet.sum.step(&step);
        for group in groups {
            let path = || Owner::Group(group.clone());
            self.sheets.entry(path()).or_default().sum.step(&step);
        }
        self.sum.step(&step);
    }

    /// The period of a time, and how far into it that is.
    fn place(&self, clock_ns: u64) -> (i64, i128) {
        let unix_ns = self.dial.unix_ns(clock_ns);
        let number = self.period.at(unix_ns);
        (number, unix_ns - self.period.start(number).unwrap_or(0))
    }
}

/// What an event counts as.
fn counts(event: &Event) -> Counts {
    let mut counts = Counts::default();
    match event.kind {
        EventKind::Granted => counts.granted = 1,
        EventKind::Denied => counts.denied = 1,
        EventKind::Grown => counts.grown = 1,
        EventKind::Shrunk => counts.shrunk = 1,
        EventKind::Released => counts.released = 1,
        EventKind::ReservationExpired => counts.expired = 1,
        EventKind::Evicted => (counts.evicted, counts.evicted_bytes) = (1, event.bytes),
        _ => {}
    }
    counts
}
