//! The counting: what every account uses, what it has paid its parent for, and the one place where
//! bytes are charged.
//!
//! An account is a tenant, a group or the whole; account 0, the root, *is* the global pool and its
//! limit is the capacity. Units are anonymous here: nothing in this file knows what a byte is for.
//!
//! ```text
//! used word    releases | trim version | config version | used
//!              every charge exchanges it, every release subtracts from it
//! claim word   closed | marks | claim
//!              changed only when claim is bought or handed back
//!
//! V1  used(a) <= claim(a)            V2  claim(a) >= guarantee(a)
//! V3  used(p) = sum of claim(c) over the children c of p + payments in flight
//! I1  a charge commits only if used + bytes <= limit, the limit of the config version it exchanges
//! ```
//!
//! Beside them stand the *pass*, by which the usual charge (`hot_path.rs`) is told the limit
//! without a look at the record, and a count of changes:
//!
//! ```text
//! pass         closely | levels | nothing guaranteed | config version | limit
//! P1  a pass of the version in the used word has that version's limit, or 0; it says that nothing
//!     is guaranteed only if that is so; and it says `closely` if requests are counted or paced
//!     written after the exchange that makes the version current, and before the next one: whoever
//!     reads the word first has this pass or the one before, which is of another version
//! P2  who reads one count of changes before and after an exchange has seen the latest versions
//!     counted before a version is bumped; versions come round only after as many changes of their
//!     kind, of which one may have been counted before and bumped after the first look. The kinds
//!     have half of the count each: a charge would have to sleep through 2^32 trims to miss them
//! P3  the record of the next version is written over that of the one before this, and may never be
//!     in force: what a record says counts if the version is the same afterwards, by the exchange
//!     of the used word or by another look at it (`in_force`)
//! ```
//!
//! **Charge.** Read used word, config record, claim word. Over the limit: denied, if the version
//! still stands. Within the claim: exchange the used word, and that is the whole hot path, inside
//! the guarantee and beyond it. Otherwise *buy* first: mark the claim word, charge the parent for
//! what is missing (and at best a quantum more), add it to the claim, take the mark away. A parent
//! is paid before its child shows anything, so no level is ever short of what is below it.
//!
//! **Release.** One subtraction, which also counts itself in the word's highest bits. The claim
//! stays; what is above max(used, guarantee) is *idle*.
//!
//! **Trim.** Hands idle claim back: lower the claim (and mark it), then bump the trim version of
//! the used word, then subtract from the parent and count the return. Whoever read the higher claim
//! fails its exchange of the used word: lowering is the only change that needs the version. Who
//! finds a mark leaves what is idle to whoever has set it, and that one looks again afterwards.
//!
//! **Denied above the tenant.** True only if nothing was on its way: no mark, no idle claim below
//! the refusing account, nothing handed back and nothing released between two looks (`certify`,
//! the one path whose steps grow with the number of accounts). Else what is idle is collected and
//! the charge tried again, a bounded number of rounds, and then the answer is
//! [`Obstacle::Contended`].
//!
//! On the same line stand two figures that nothing depends on, because it is written anyway: a
//! clock of operations, which loses a tick when two threads tick at once, and the highest use.
//!
//! Steps of a charge: at most [`CHARGE_TURNS_MAX`] turns of the exchange loop in each of
//! [`CHARGE_ROUNDS_MAX`] rounds, whatever other threads do. Release: one step.

use super::bugs::{Bug, planted};
use super::pressure::Gauge;
use super::region::{Table, Zeroed};
use super::sync::{AtomicU32, AtomicU64, Ordering};
use super::word::{
    Above, BYTES_MAX, CONFIG_VERSIONS, ClaimWord, Head, Pass, Purpose, TRIM_VERSIONS, UsedWord,
};
use crossbeam_utils::CachePadded;

/// The account that is the whole.
pub const ROOT: u32 = 0;
/// Levels below the root: groups in groups, then the tenant. Few under loom, whose models are
/// small.
pub const DEPTH_MAX: u32 = if cfg!(allot_loom) { 2 } else { 6 };
/// Turns of the exchange loop of one attempt, all levels together.
pub const CHARGE_TURNS_MAX: u32 = 64;
/// The same of a charge that is given up if the claim does not suffice.
pub const CHARGE_AT_ONCE_TURNS_MAX: u32 = 8;
/// Attempts of a charge that ancestors refused while bytes were on their way: each ancestor may
/// have to collect once, even if nobody else is at work.
pub const CHARGE_ROUNDS_MAX: u32 = DEPTH_MAX + 1;
/// Looks at the record in force while the account is configured again and again, before what was
/// seen is taken as it is.
pub const RECORD_LOOKS_MAX: u32 = 8;
/// Parts in which what is in use below a group is told: what is released during a look is missed in
/// one of them.
const USE_PARTS: usize = if cfg!(allot_loom) { 2 } else { 64 };
/// Looks of a trim: one after each mark of its own, and of purchases that came first. One under
/// loom, whose models are small.
pub const TRIM_LOOKS_MAX: u32 = if cfg!(allot_loom) { 1 } else { 4 };
/// Turns in which a trim tries to bump the trim version.
pub const TRIM_TURNS_MAX: u32 = 3;
/// What a trim adds to the count of changes.
const TRIM: u64 = 1;
/// What a configuration adds to it.
const CONFIGURATION: u64 = 1 << 32;
/// A purchase takes at most this part of the parent's room beyond what it needs.
const QUANTUM_SHARE: u64 = 8;
/// Pressure levels a limit is kept for.
pub const LEVELS: usize = 3;

/// One version of an account's configuration. Two of them take turns, by the parity of the
/// config version; all fields are published by the exchange of the used word that makes the
/// record current.
struct Record {
    head: AtomicU64,
    limits: [AtomicU64; LEVELS],
    guarantee: AtomicU64,
    share_weight: AtomicU64,
    traits: AtomicU64,
}

/// The counting record of a tenant, a group or the whole. What the hot path reads and writes lies
/// on its first line.
#[repr(C, align(64))]
pub struct Account {
    used: AtomicU64,
    claim: AtomicU64,
    /// Configurations begun, above trims begun, so that a charge that slept through as many of one
    /// kind as there are versions notices.
    changes: AtomicU64,
    /// A [`Pass`].
    pass: AtomicU64,
    peak: AtomicU64,
    /// Hand-backs received from children, and charges that were taken back.
    returned: AtomicU64,
    clock: AtomicU32,
    generation: AtomicU32,
    /// [`Above`].
    above: AtomicU32,
    lines: [Line; 2],
}

/// A record on a line of its own, and beside it what eviction counts.
#[repr(align(64))]
struct Line {
    record: Record,
    beside: AtomicU64,
}

/// Bytes guaranteed to the children of an account.
struct Promised(AtomicU64);

// SAFETY: an atomic only; all zero is an account without children.
unsafe impl Zeroed for Promised {
    fn empty() -> Self {
        Self(AtomicU64::new(0))
    }
}

#[cfg(not(allot_loom))]
const _: () = assert!(size_of::<Account>() == 3 * 64, "what changes, then a record on each line");

// SAFETY: atomics only; all zero is an account nobody ever registered.
unsafe impl Zeroed for Account {
    fn empty() -> Self {
        let zero = || AtomicU64::new(0);
        let record = || Record {
            head: zero(),
            limits: [zero(), zero(), zero()],
            guarantee: zero(),
            share_weight: zero(),
            traits: zero(),
        };
        let line = || Line { record: record(), beside: zero() };
        Self {
            used: zero(),
            claim: zero(),
            changes: zero(),
            pass: zero(),
            peak: zero(),
            returned: zero(),
            clock: AtomicU32::new(0),
            generation: AtomicU32::new(0),
            above: AtomicU32::new(0),
            lines: [line(), line()],
        }
    }
}

/// What an administrator sets of an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// The ceiling at each pressure level, in bytes, at most [`BYTES_MAX`].
    pub limits: [u64; LEVELS],
    /// The floor: always granted, paid for in advance.
    pub guarantee: u64,
    /// Weight of the fair share that caps the account at the highest level; 0: no such cap.
    pub share_weight: u64,
    /// Priority and isolation, opaque here.
    pub traits: u64,
    /// One bit for each allocation type whose grants are counted.
    pub counted: u8,
    /// Whether the rate of requests is limited; by how much is not known here.
    pub paced: bool,
}

impl Settings {
    /// What the usual charge is told of them: whether requests are counted or paced, and whether
    /// the limit is the same whatever is known of pressure, or else pressure is at the lowest
    /// level.
    fn pass(&self, word: UsedWord, closed: bool) -> Pass {
        let any_level = self.share_weight == 0 && self.limits.iter().all(|&l| l == self.limits[0]);
        let mut pass = Pass::new(word, if closed { 0 } else { self.limits[0] }, any_level);
        if self.counted != 0 || self.paced {
            pass = pass.closely();
        }
        if closed || self.guarantee == 0 { pass.without_guarantee() } else { pass }
    }
}

/// Why a charge did not happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// `account` has no room for `asked` bytes: `used` of `limit` are in use.
    Full {
        /// The account that refused; the charged one or an ancestor.
        account: u32,
        /// Bytes it was asked for.
        asked: u64,
        /// Bytes in use there.
        used: u64,
        /// Its limit in force.
        limit: u64,
    },
    /// The account was closed, or belongs to somebody else by now.
    Closed,
    /// Which types are counted has changed since the caller looked.
    Changed,
    /// The bound of steps ran out before the answer was certain.
    Contended,
}

/// What a trim did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trimmed {
    /// No idle claim.
    Nothing,
    /// So many bytes went back to the parent.
    Freed(u64),
    /// Bytes were on their way already, or the idle claim was taken into use.
    Busy,
}

/// What a trim of an account and those above it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HandedUp {
    /// Bytes that went up, in all levels together.
    pub freed: u64,
    /// Whether bytes were on their way somewhere, so that idle claim may be left.
    pub busy: bool,
}

impl HandedUp {
    /// Whether there was idle claim, or may have been.
    pub fn any(self) -> bool {
        self.busy || self.freed > 0
    }
}

/// The words of an account as a charge reads them, in this order.
struct View<'a> {
    account: &'a Account,
    record: &'a Record,
    changes: u64,
    word: UsedWord,
    head: Head,
    limit: u64,
    top: u64,
}

/// All accounts: the root, then groups, then tenants.
pub struct Accounts {
    table: Table<Account>,
    groups_max: u32,
    /// Of the root and the groups: what is guaranteed to their children, in all.
    promised: Table<Promised>,
    groups_seen: AtomicU32,
    tenants_seen: AtomicU32,
    quantum: u64,
    /// Whether idle claim of others was collected since somebody asked.
    collected: CachePadded<AtomicU32>,
    /// A [`Gauge`].
    gauge: CachePadded<AtomicU32>,
    water: CachePadded<AtomicU64>,
}

impl Account {
    #[inline]
    fn used(&self) -> UsedWord {
        // Acquire: pairs with the Release half of every exchange of this word, so that the record
        // and the claim read next are not older than the version read here.
        UsedWord(self.used.load(Ordering::Acquire))
    }

    #[inline]
    fn exchange(&self, from: UsedWord, to: UsedWord) -> bool {
        // SeqCst: Release publishes the record or the lowered claim to whoever acquires the new
        // version in `used`; Acquire orders the checks that follow after the exchange; in order
        // with the look for waiters that comes after it (S1 of `scarcity.rs`).
        // Relaxed on failure: the caller reads everything again.
        let (success, failure) = (Ordering::SeqCst, Ordering::Relaxed);
        self.used.compare_exchange(from.0, to.0, success, failure).is_ok()
    }

    /// What [`Bug::AddThenRollBack`] does.
    fn add_and_roll_back(&self, bytes: u64) {
        // SeqCst: as in `subtract`.
        self.used.fetch_add(bytes, Ordering::SeqCst);
        self.subtract(bytes);
    }

    #[inline]
    fn subtract(&self, bytes: u64) {
        // SeqCst: Release, so that whoever charges these bytes again (acquiring in `used`) comes
        // after everything their holder did; Acquire keeps the release sequence readable both
        // ways; in order with the look for waiters that comes after it (S1 of `scarcity.rs`).
        let before = UsedWord(self.used.fetch_add(UsedWord::release(bytes), Ordering::SeqCst));
        debug_assert!(before.used() >= bytes, "more released than used");
    }

    #[inline]
    fn claim(&self) -> ClaimWord {
        // Acquire: pairs with the Release half of `change_claim`.
        ClaimWord(self.claim.load(Ordering::Acquire))
    }

    /// The used word after a mark of this thread went: who has found the mark, and left something
    /// idle to it, had taken that out of use before.
    fn used_in_order(&self) -> UsedWord {
        // SeqCst: as in `used`, and in order with the SeqCst in `change_claim` before it; pairs
        // with the SeqCst in `subtract` and `claim_in_order` of the other thread.
        UsedWord(self.used.load(Ordering::SeqCst))
    }

    /// The claim word after this thread took something out of use: a mark that it finds there goes
    /// before `used_in_order` is read by who has set it.
    fn claim_in_order(&self) -> ClaimWord {
        // SeqCst: as in `claim`, and in order with the SeqCst in `subtract` before it; pairs with
        // the SeqCst in `change_claim` and `used_in_order` of the other thread.
        ClaimWord(self.claim.load(Ordering::SeqCst))
    }

    /// Adds `change` (bytes, marks, or the negative of either) to the claim word.
    fn change_claim(&self, change: u64) -> ClaimWord {
        // SeqCst: Release publishes the payment before the bytes show; Acquire orders what is paid
        // next after the mark. Pairs with the Acquire in `claim`; in order with the look for
        // waiters that comes after it (S1 of `scarcity.rs`).
        ClaimWord(self.claim.fetch_add(change, Ordering::SeqCst))
    }

    fn mark(&self) -> ClaimWord {
        self.change_claim(ClaimWord::MARK)
    }

    fn unmark(&self) {
        self.change_claim(ClaimWord::MARK.wrapping_neg());
    }

    #[inline]
    fn changes(&self) -> u64 {
        // Acquire: pairs with the Release half of `note_change`, which comes before the used word
        // is given another version.
        self.changes.load(Ordering::Acquire)
    }

    /// Counts a [`TRIM`] or a [`CONFIGURATION`].
    fn note_change(&self, kind: u64) {
        // AcqRel: pairs with the Acquire in `changes`; counted before the version is bumped.
        self.changes.fetch_add(kind, Ordering::AcqRel);
    }

    #[inline]
    fn pass(&self) -> Pass {
        // Acquire: pairs with the Release in `configure_as`; the generation read next is not older.
        Pass(self.pass.load(Ordering::Acquire))
    }

    fn returned(&self) -> u64 {
        // Acquire: pairs with the Release half in `count_return`; the bytes it counted have left
        // the used word that is read after this.
        self.returned.load(Ordering::Acquire)
    }

    /// Counts bytes that have left the used word and were no release.
    fn count_return(&self) {
        // AcqRel: Release pairs with the Acquire in `returned`; counted after the bytes left, and
        // before the mark goes under which they came, so a scan sees the one or the other.
        self.returned.fetch_add(1, Ordering::AcqRel);
    }

    #[inline]
    fn above(&self) -> Above {
        // Acquire: pairs with the Release in `open`; what is above belongs to the generation seen.
        Above(self.above.load(Ordering::Acquire))
    }

    #[inline]
    fn parent(&self) -> u32 {
        self.above().parent()
    }

    #[inline]
    fn generation(&self) -> u32 {
        // Acquire: pairs with the Release in `open`, which stores the parent first.
        self.generation.load(Ordering::Acquire)
    }

    #[inline]
    fn record(&self, word: UsedWord) -> &Record {
        &self.lines[(word.config_version() & 1) as usize].record
    }

    /// Bytes of this account being evicted ([`super::word::OnTheWay`]); kept by `evict.rs`.
    pub fn freeing(&self) -> &AtomicU64 {
        &self.lines[0].beside
    }

    /// Bytes that requests refused by this account are short of; kept by `evict.rs`.
    pub fn demand(&self) -> &AtomicU64 {
        &self.lines[1].beside
    }

    /// The next tick of the account's clock, the time by which recency is told: two plain accesses,
    /// no read-modify-write.
    #[inline]
    pub fn tick(&self) -> u32 {
        let next = self.clock().wrapping_add(1);
        // Relaxed: a lost tick makes two operations look simultaneous, no more.
        self.clock.store(next, Ordering::Relaxed);
        next
    }

    /// Takes a tick back.
    pub fn untick(&self) {
        // Relaxed: as in `tick`.
        self.clock.store(self.clock().wrapping_sub(1), Ordering::Relaxed);
    }

    /// Operations so far; wraps.
    #[inline]
    pub fn clock(&self) -> u32 {
        // Relaxed: as in `tick`.
        self.clock.load(Ordering::Relaxed)
    }

    /// Notes that `used` bytes are in use now.
    #[inline]
    pub fn note_used(&self, used: u64) {
        if used > self.peak() {
            // Relaxed: a statistic; the maximum is kept whoever comes first.
            self.peak.fetch_max(used, Ordering::Relaxed);
        }
    }

    /// The most bytes in use at once.
    #[inline]
    pub fn peak(&self) -> u64 {
        // Relaxed: a statistic.
        self.peak.load(Ordering::Relaxed)
    }

    /// Forgets the most that the last owner of the slot used; the caller holds the administrative
    /// mutex.
    pub fn forget_peak(&self) {
        // Relaxed: a statistic.
        self.peak.store(0, Ordering::Relaxed);
    }

    /// The guarantee in force, 0 once the account is closed.
    #[inline]
    fn guarantee(&self, word: UsedWord) -> u64 {
        self.record(word).promise()
    }

    /// What `read` finds in the record that was in force at one instant of this call. Whoever is
    /// overtaken by a configuration may have read the next one, which is written before it is in
    /// force and may never be: then it looks again, up to [`RECORD_LOOKS_MAX`] times. It does so,
    /// too, if the version may have come round to the same bits (P2).
    #[inline]
    fn in_force<T>(&self, read: impl Fn(&Record) -> T) -> T {
        let mut looks = 1;
        loop {
            let changes = self.changes();
            let word = self.used();
            let value = read(self.record(word));
            let same = self.used().config_version() == word.config_version();
            let since = self.changes().wrapping_sub(changes) / CONFIGURATION;
            if same && since + 1 < CONFIG_VERSIONS.into() || looks == RECORD_LOOKS_MAX {
                return value;
            }
            looks += 1;
        }
    }
}

impl Record {
    #[inline]
    fn head(&self) -> Head {
        // Acquire: pairs with the Release in `write`; who sees a rewritten head also sees that the
        // used word has moved to the other record before.
        Head(self.head.load(Ordering::Acquire))
    }

    #[inline]
    fn guarantee(&self) -> u64 {
        // Acquire: pairs with the Release in `write`, as in `head`.
        self.guarantee.load(Ordering::Acquire)
    }

    /// The guarantee, 0 of an account that is closed.
    #[inline]
    fn promise(&self) -> u64 {
        if self.head().closed() { 0 } else { self.guarantee() }
    }

    #[inline]
    fn limit(&self, level: usize) -> u64 {
        // Acquire: pairs with the Release in `write`, as in `head`.
        self.limits[level].load(Ordering::Acquire)
    }

    #[inline]
    fn share_weight(&self) -> u64 {
        // Acquire: pairs with the Release in `write`, as in `head`.
        self.share_weight.load(Ordering::Acquire)
    }

    #[inline]
    fn traits(&self) -> u64 {
        // Acquire: pairs with the Release in `write`, as in `head`.
        self.traits.load(Ordering::Acquire)
    }

    /// Fills the record that is not current. One writer at a time.
    fn write(&self, settings: &Settings, head: Head) {
        // Release: pairs with the Acquire of each getter; a reader that sees any of these values
        // also sees the exchange that made the other record current before they were written.
        let order = Ordering::Release;
        debug_assert!(settings.limits.iter().all(|&limit| limit <= BYTES_MAX));
        for (limit, bytes) in self.limits.iter().zip(settings.limits) {
            limit.store(bytes, order);
        }
        self.guarantee.store(settings.guarantee, order);
        self.share_weight.store(settings.share_weight, order);
        self.traits.store(settings.traits, order);
        self.head.store(head.0, order);
    }
}

impl View<'_> {
    /// Whether the record read is the one in force: an answer that rests on its head is true.
    fn is_current(&self) -> bool {
        let version = self.account.used().config_version();
        version == self.word.config_version() && self.record.head() == self.head
    }

    /// Room for more, in use and limit alone.
    #[inline]
    fn room(&self) -> u64 {
        self.limit.min(self.top).saturating_sub(self.word.used())
    }

    /// Takes `bytes` into use if nothing has moved since the view was read.
    #[inline(always)]
    fn commit(&self, accounts: &Accounts, bytes: u64) -> Result<bool, Obstacle> {
        if !self.account.exchange(self.word, self.word.plus(bytes)) {
            return Ok(false);
        }
        match accounts.confirm(self.account, self.changes, bytes) {
            true => Ok(true),
            false => Err(Obstacle::Contended),
        }
    }
}

impl Accounts {
    /// A root with `capacity` and room for so many groups and tenants; a purchase of claim takes
    /// up to `quantum` more than it needs while there is plenty.
    pub fn new(capacity: u64, groups_max: u32, tenants_max: u32, quantum: u64) -> Self {
        let accounts = Self {
            table: Table::new(1 + groups_max as usize + tenants_max as usize),
            groups_max,
            promised: Table::new(1 + groups_max as usize),
            groups_seen: AtomicU32::new(0),
            tenants_seen: AtomicU32::new(0),
            quantum,
            collected: CachePadded::new(AtomicU32::new(0)),
            gauge: CachePadded::new(AtomicU32::new(0)),
            water: CachePadded::new(AtomicU64::new(0)),
        };
        let settings = Settings { limits: [capacity; LEVELS], ..Settings::default() };
        for line in &accounts.table[ROOT].lines {
            line.record.write(&settings, Head::new(0, 0, 0, false));
        }
        accounts
    }

    /// The account at `index`.
    ///
    /// # Safety
    ///
    /// There is one.
    #[inline(always)]
    pub unsafe fn at(&self, index: u32) -> &Account {
        // SAFETY: as the caller promises.
        unsafe { self.table.at(index) }
    }

    /// Takes `bytes` out of use that were charged.
    #[inline(always)]
    pub fn uncharge_at_once(&self, account: &Account, bytes: u64) {
        account.subtract(bytes);
    }

    /// The account at `index`.
    #[inline]
    pub fn get(&self, index: u32) -> &Account {
        &self.table[index]
    }

    /// Index of the first tenant.
    #[inline]
    pub fn tenants_begin(&self) -> u32 {
        1 + self.groups_max
    }

    /// Indices of all accounts that were ever groups.
    pub fn groups(&self) -> std::ops::Range<u32> {
        // Acquire: pairs with the Release in `notice`: an account that may hold claim is seen.
        1..1 + self.groups_seen.load(Ordering::Acquire)
    }

    /// Indices of all accounts that were ever tenants.
    pub fn tenants(&self) -> std::ops::Range<u32> {
        // Acquire: pairs with the Release in `notice`, as above.
        let seen = self.tenants_seen.load(Ordering::Acquire);
        self.tenants_begin()..self.tenants_begin() + seen
    }

    /// Tenants and groups there is room for, as (groups, tenants).
    pub fn capacity(&self) -> (u32, u32) {
        (self.groups_max, self.table.capacity() - 1 - self.groups_max)
    }

    /// Whether the account has children rather than grants.
    pub fn is_inner(&self, index: u32) -> bool {
        index < self.tenants_begin()
    }

    /// What is known of pressure; its level chooses among limits.
    #[inline]
    pub fn gauge(&self) -> Gauge {
        // Acquire: pairs with the Release in `change_gauge`.
        Gauge(self.gauge.load(Ordering::Acquire))
    }

    /// Changes what is known of pressure, unless another thread has; says whether it did.
    pub fn change_gauge(&self, from: Gauge, to: Gauge) -> bool {
        // AcqRel: pairs with the Acquire in `gauge`: who sees a level sees the shares computed for
        // it. Relaxed on failure: read again.
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        self.gauge.compare_exchange(from.0, to.0, success, failure).is_ok()
    }

    /// The pressure level in force.
    #[inline]
    pub fn level(&self) -> usize {
        self.gauge().level() as usize
    }

    /// Sets the water level of the fair shares: bytes for each unit of weight.
    pub fn set_water(&self, bytes: u64) {
        // Release: pairs with the Acquire in `water`.
        self.water.store(bytes, Ordering::Release);
    }

    /// The water level of the fair shares: share = guarantee + weight x water.
    #[inline]
    pub fn water(&self) -> u64 {
        // Acquire: pairs with the Release in `set_water`.
        self.water.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn limit_in_force(&self, record: &Record) -> u64 {
        match self.level() {
            0 => record.limit(0),
            level => self.limit_under_pressure(record, level),
        }
    }

    #[cold]
    #[inline(never)]
    fn limit_under_pressure(&self, record: &Record, level: usize) -> u64 {
        let limit = record.limit(level);
        if level + 1 == LEVELS { self.limit_when_critical(record, limit) } else { limit }
    }

    fn limit_when_critical(&self, record: &Record, limit: u64) -> u64 {
        match record.share_weight() {
            0 => limit,
            weight => {
                let share = record.guarantee().saturating_add(weight.saturating_mul(self.water()));
                limit.min(share)
            }
        }
    }

    #[inline(always)]
    fn view(&self, index: u32) -> View<'_> {
        let account = &self.table[index];
        let changes = account.changes();
        let word = account.used();
        let record = account.record(word);
        let head = record.head();
        let limit = self.limit_in_force(record);
        let group = self.is_inner(index) && index != ROOT;
        let limit = if group && planted(Bug::GroupLimitIgnored) { BYTES_MAX } else { limit };
        let word = if planted(Bug::LimitBeforeVersion) { account.used() } else { word };
        // The guarantee counts even while a trim that will be taken back has lowered the claim.
        let top = match index {
            ROOT => BYTES_MAX,
            _ => record.guarantee().max(account.claim().claim()),
        };
        View { account, record, changes, word, head, limit, top }
    }

    /// Whether a charge that has just been committed is good: had a version come round to the same
    /// bits while its thread slept, the exchange would have succeeded by mistake (P2). Gives the
    /// bytes back otherwise.
    #[inline(always)]
    fn confirm(&self, account: &Account, changes: u64, bytes: u64) -> bool {
        account.changes() == changes || self.confirm_changed(account, changes, bytes)
    }

    #[cold]
    #[inline(never)]
    fn confirm_changed(&self, account: &Account, changes: u64, bytes: u64) -> bool {
        let since = account.changes().wrapping_sub(changes);
        // One of each kind that was counted before the first look may have bumped its version after
        // it.
        let slept = |begun: u64| begun + 1;
        let good = slept(since % CONFIGURATION) < TRIM_VERSIONS
            && slept(since / CONFIGURATION) < CONFIG_VERSIONS.into();
        if !good {
            account.subtract(bytes);
            // They are idle now: who has read them as used, to refuse somebody here or in line,
            // looks again.
            account.count_return();
            self.note_collected();
        }
        good
    }

    /// Charges `bytes` to an account of the given generation, whose counted types are `counted`.
    ///
    /// Steps: a dozen accesses and one read-modify-write when the claim suffices.
    #[inline]
    pub fn charge(
        &self,
        index: u32,
        generation: u32,
        counted: u8,
        bytes: u64,
    ) -> Result<(), Obstacle> {
        let view = self.view(index);
        let same = view.head == Head::new(generation, view.head.stamp(), counted, false);
        if same && bytes <= view.room() && view.commit(self, bytes)? {
            return Ok(());
        }
        self.charge_slow(index, generation, counted, bytes)
    }

    /// The usual charge: within the claim, while nothing moves, and for no request that is counted
    /// or paced. Answers the bytes in use then; if another thread was faster, what `again` says,
    /// which is [`Accounts::charge_again`] by way of a function that is told as little as possible.
    ///
    /// Steps: seven accesses and one read-modify-write; more while others charge the same account.
    #[inline(always)]
    pub fn charge_at_once(
        &self,
        account: &Account,
        generation: u32,
        (bytes, purpose): (u64, Purpose),
        again: impl FnOnce() -> Option<u64>,
    ) -> Option<u64> {
        let changes = account.changes();
        let word = account.used();
        let then = word.used() + bytes;
        let pass = account.pass();
        // Each is read where it is needed: a value kept meanwhile is a store before the exchange.
        if !pass.admits(purpose, word, then)
            || !pass.holds_at(self.gauge().level_bits())
            || account.generation() != generation
            || then > account.claim().claim()
        {
            return None;
        }
        if !account.exchange(word, word.plus(bytes)) {
            return again();
        }
        self.confirm(account, changes, bytes).then_some(then)
    }

    /// Whether a request of `bytes` looks to be beyond the limit, or is counted or paced: then
    /// nothing has to be prepared for the usual charge.
    #[inline(always)]
    pub fn looks_full(&self, account: &Account, bytes: u64) -> bool {
        account.pass().looks_full(account.used().used() + bytes)
    }

    /// The use and the limit at one instant, if a request of `bytes` was beyond it then, and is
    /// neither counted nor paced. At the lowest pressure level, or where the limit is the same at
    /// all of them.
    ///
    /// Steps: seven accesses.
    #[inline(always)]
    pub fn own_refusal(
        &self,
        account: &Account,
        generation: u32,
        bytes: u64,
    ) -> Option<(u64, u64)> {
        let changes = account.changes();
        let before = self.gauge().level_bits();
        let (word, pass) = (account.used(), account.pass());
        let level = before | self.gauge().level_bits();
        let limit = pass.limit_of(word).filter(|_| pass.holds_at(level))?;
        let full = word.used() + bytes > limit;
        // The limit is that of the word's version (P1), and nothing has changed since (P2).
        let certain = account.generation() == generation && account.changes() == changes;
        (full && certain).then_some((word.used(), limit))
    }

    /// The usual charge after another thread was faster.
    #[cold]
    pub fn charge_again(
        &self,
        index: u32,
        generation: u32,
        (bytes, purpose): (u64, Purpose),
    ) -> Option<u64> {
        for _ in 1..CHARGE_AT_ONCE_TURNS_MAX {
            let view = self.view(index);
            let head = view.head;
            let counted = purpose == Purpose::Request && head.counted() != 0;
            let usual = head.generation() == generation && !head.closed() && !counted;
            if !usual || bytes > view.room() {
                return None;
            }
            if view.commit(self, bytes).ok()? {
                return Some(view.word.used() + bytes);
            }
        }
        None
    }

    /// Like [`Accounts::charge`], but takes the first refusal for an answer: what is idle below an
    /// ancestor that refuses is not looked for. Right where it has been collected already. Buys
    /// nothing beyond the need: what is idle of the payer afterwards another has bought.
    ///
    /// Steps: bounded by a constant.
    pub fn charge_once(
        &self,
        index: u32,
        generation: u32,
        counted: u8,
        bytes: u64,
    ) -> Result<(), Obstacle> {
        let payer = Payer { index, identity: Some((generation, counted)), quantum: 0 };
        let mut turns = CHARGE_TURNS_MAX;
        self.attempt(payer, bytes, bytes, &mut turns).map(|_| ())
    }

    /// The account that would refuse a charge of `bytes` now, by a look at it and those above: its
    /// use and its limit are of one instant. None while that is configured again and again.
    pub fn shortage(&self, index: u32, bytes: u64) -> Option<Obstacle> {
        let (mut at, mut asked) = (index, bytes);
        for _ in 0..=DEPTH_MAX {
            let mut looks = 0;
            let (wanted, top) = loop {
                let view = self.view(at);
                let wanted = view.word.used().saturating_add(asked);
                if wanted <= view.limit {
                    break (wanted, view.top);
                }
                // The limit that was read may never be in force (P3).
                let full = self.refusal(at, &view, asked);
                looks += 1;
                if full.is_some() || looks == RECORD_LOOKS_MAX {
                    return full;
                }
            };
            if wanted <= top {
                return None;
            }
            asked = wanted - top;
            at = self.parent(at);
        }
        None
    }

    /// Whether a charge of `bytes` does not fit at one instant of this call for certain, and which
    /// account has no room then. What is idle is collected to find out.
    ///
    /// Steps: grow with the number of accounts.
    pub fn surely_short(&self, index: u32, bytes: u64) -> Option<u32> {
        let Obstacle::Full { account, .. } = self.shortage(index, bytes)? else { return None };
        if account == index {
            return Some(index);
        }
        self.collect(account, bytes);
        self.certify(account, index, Need::More(bytes)).map(|_| account)
    }

    #[cold]
    #[inline(never)]
    fn charge_slow(
        &self,
        index: u32,
        generation: u32,
        counted: u8,
        bytes: u64,
    ) -> Result<(), Obstacle> {
        for _ in 0..CHARGE_ROUNDS_MAX {
            let mut turns = CHARGE_TURNS_MAX;
            let identity = Some((generation, counted));
            let payer = Payer { index, identity, quantum: self.quantum };
            match self.attempt(payer, bytes, bytes, &mut turns) {
                Ok(_) => return Ok(()),
                Err(obstacle) => self.clear(obstacle, index, Need::More(bytes))?,
            }
        }
        Err(Obstacle::Contended)
    }

    /// Collects what is idle below an ancestor that refused. Not only what it was asked for: the
    /// trims may take the claim of `index` too, and then all that it needs has to be bought.
    ///
    /// # Errors
    ///
    /// The obstacle, if it is not an ancestor's refusal or certainly true.
    fn clear(&self, obstacle: Obstacle, index: u32, need: Need) -> Result<(), Obstacle> {
        match obstacle {
            Obstacle::Full { account, .. } if account != index => {
                if planted(Bug::Uncertified) {
                    return Err(obstacle);
                }
                self.certify(account, index, need).map_or(Ok(()), Err)?;
                self.collect(account, need.bytes());
                Ok(())
            }
            _ => Err(obstacle),
        }
    }

    /// One attempt to charge at least `min` and at best `want` bytes, holding marks only while
    /// bytes are on their way. Looks at no other account than the ancestors.
    fn attempt(&self, payer: Payer, want: u64, min: u64, turns: &mut u32) -> Result<u64, Obstacle> {
        let account = &self.table[payer.index];
        while *turns > 0 {
            *turns -= 1;
            let view = self.view(payer.index);
            if let Some(obstacle) = payer.obstacle(view.head) {
                if view.is_current() {
                    return Err(obstacle);
                }
                continue;
            }
            let wanted = view.word.used().saturating_add(min);
            if wanted > view.limit {
                if planted(Bug::AddThenRollBack) {
                    account.add_and_roll_back(min);
                }
                match self.refusal(payer.index, &view, min) {
                    Some(full) => return Err(full),
                    None => continue,
                }
            }
            if view.room() >= min {
                let Some(within) = self.within_above(payer, &view, min) else { continue };
                within?;
                let bytes = min + (want - min).min((view.room() - min) / QUANTUM_SHARE);
                match view.commit(self, bytes) {
                    Ok(true) => return Ok(bytes),
                    Ok(false) => continue,
                    Err(obstacle) => return Err(obstacle),
                }
            }
            let marked = account.mark();
            let stranger = payer.identity.is_some_and(|(g, _)| g != account.generation());
            if marked.closed() || stranger {
                account.unmark();
                return Err(Obstacle::Closed);
            }
            let missing = wanted - view.top;
            self.pay(account, payer.quantum, missing, turns)?;
        }
        Err(Obstacle::Contended)
    }

    /// Refuses if an account above a payer is beyond a limit which was lowered: what is idle of the
    /// payer then is on its way up, and nobody's to take, save as far as a guarantee keeps it on
    /// this side. Not asked of a tenant: nobody else takes what is idle of it. None if one of them
    /// was configured meanwhile: what was read of it is of no instant, or never in force (P3).
    fn within_above(
        &self,
        payer: Payer,
        view: &View<'_>,
        min: u64,
    ) -> Option<Result<(), Obstacle>> {
        if payer.identity.is_some() || payer.index == ROOT {
            return Some(Ok(()));
        }
        let mut at = payer.index;
        let mut kept = view.word.used().saturating_add(min) <= view.record.guarantee();
        for _ in 0..DEPTH_MAX {
            if kept || at == ROOT {
                break;
            }
            at = self.parent(at);
            let above = self.view(at);
            let guarantee = above.record.guarantee();
            let (used, limit) = self.use_and_limit(&above)?;
            if used > limit {
                return Some(Err(Obstacle::Full { account: at, asked: min, used, limit }));
            }
            kept = used <= guarantee;
        }
        Some(Ok(()))
    }

    /// Adds at least `min` and at best `quantum` bytes of the parent to the claim of an account
    /// that the caller has marked, and takes the mark away.
    fn pay(
        &self,
        account: &Account,
        quantum: u64,
        min: u64,
        turns: &mut u32,
    ) -> Result<(), Obstacle> {
        let parent = Payer { index: account.parent(), identity: None, quantum };
        let bought = self.attempt(parent, min.max(quantum), min, turns);
        if planted(Bug::MarkKept) && bought.is_err() {
            return bought.map(|_| ());
        }
        let bought =
            bought.map(|bytes| bytes - u64::from(planted(Bug::PaymentLost) && bytes > min));
        account.change_claim(bought.unwrap_or(0).wrapping_sub(ClaimWord::MARK));
        bought.map(|_| ())
    }

    /// The refusal of `asked` bytes that a view suggests, if it was true at one instant of this
    /// call.
    fn refusal(&self, index: u32, view: &View<'_>, asked: u64) -> Option<Obstacle> {
        let (used, limit) = self.use_and_limit(view)?;
        let full = used.saturating_add(asked) > limit;
        full.then_some(Obstacle::Full { account: index, asked, used, limit })
    }

    /// Bytes in use and the limit of one instant: record, level and use belong together.
    fn use_and_limit(&self, view: &View<'_>) -> Option<(u64, u64)> {
        let word = view.account.used();
        // The limit was the same before and after the word was read.
        let same = word.config_version() == view.word.config_version()
            && self.limit_in_force(view.record) == view.limit
            && view.record.head() == view.head;
        same.then_some((word.used(), view.limit))
    }

    /// Takes `bytes` out of use. One step; the claim stays with the account.
    #[inline]
    pub fn uncharge(&self, index: u32, bytes: u64) {
        self.table[index].subtract(bytes);
    }

    /// Hands the idle claim of an account back to its parent. Bounded.
    pub fn trim(&self, index: u32) -> Trimmed {
        let account = &self.table[index];
        let mut freed = 0;
        for _ in 0..TRIM_LOOKS_MAX {
            match self.trim_once(account) {
                // What came free meanwhile its owner has left to this thread.
                Ok(bytes) => freed += bytes,
                Err(left) if freed == 0 => return left,
                Err(_) => break,
            }
        }
        if freed > 0 { Trimmed::Freed(freed) } else { Trimmed::Busy }
    }

    /// Bytes that went up, none if others were faster; an error if there is nothing to do here, or
    /// for others to do.
    fn trim_once(&self, account: &Account) -> Result<u64, Trimmed> {
        let word = account.used_in_order();
        let guarantee = account.guarantee(word);
        let claim = account.claim_in_order();
        if claim.marks() > 0 && !planted(Bug::TrimmedWhileMarked) {
            return Err(Trimmed::Busy);
        }
        let idle = claim.claim().saturating_sub(word.used().max(guarantee));
        if idle == 0 {
            return Err(Trimmed::Nothing);
        }
        let lowered = claim.0 - idle + ClaimWord::MARK;
        // AcqRel: pairs with the Acquire in `claim`; the mark excludes other trims. Relaxed on
        // failure: somebody else is at work here.
        let (success, failure) = (Ordering::AcqRel, Ordering::Relaxed);
        if account.claim.compare_exchange(claim.0, lowered, success, failure).is_err() {
            return Ok(0);
        }
        account.note_change(TRIM);
        if !self.forbid_higher_claim(account) {
            account.change_claim(idle.wrapping_sub(ClaimWord::MARK));
            return Ok(0);
        }
        self.hand_back(account, idle);
        Ok(idle)
    }

    /// Bumps the trim version, unless use or guarantee have grown into what was taken away.
    fn forbid_higher_claim(&self, account: &Account) -> bool {
        for _ in 0..TRIM_TURNS_MAX {
            let word = account.used();
            let needed = word.used().max(account.guarantee(word));
            if needed > account.claim().claim() {
                return false;
            }
            if planted(Bug::TrimWithoutVersion) {
                return true;
            }
            if account.exchange(word, word.next_trim()) {
                return true;
            }
        }
        false
    }

    fn hand_back(&self, account: &Account, bytes: u64) {
        let bytes = if planted(Bug::HandBackLost) { 0 } else { bytes };
        let parent = &self.table[account.parent()];
        parent.subtract(bytes);
        parent.count_return();
        account.unmark();
    }

    /// The most that `index` can ever use without a change of configuration: what its limits and
    /// those above it leave it. With `all` the guarantees of others are known too. Exact while
    /// nobody configures.
    pub fn attainable(&self, index: u32, all: bool) -> u64 {
        let limit = |account| self.highest_limit(account);
        let (mut most, mut at) = (limit(index), index);
        for _ in 0..DEPTH_MAX {
            if at == ROOT {
                break;
            }
            let parent = self.parent(at);
            let promised =
                if all { self.promised(parent).saturating_sub(self.guarantee(at)) } else { 0 };
            most = most.min(limit(parent).saturating_sub(promised));
            at = parent;
        }
        most
    }

    /// Whether no limit above `index` forbids it to use so many bytes at any time.
    #[inline]
    pub fn may_attain(&self, index: u32, bytes: u64) -> bool {
        let mut at = index;
        for _ in 0..DEPTH_MAX {
            if at == ROOT {
                break;
            }
            at = self.parent(at);
            if bytes > self.highest_limit(at) {
                return false;
            }
        }
        true
    }

    /// Whether `ancestor` is above `index`.
    pub fn is_below(&self, index: u32, ancestor: u32) -> bool {
        let mut at = index;
        for _ in 0..DEPTH_MAX {
            if at == ROOT {
                return false;
            }
            at = self.table[at].parent();
            if at == ancestor {
                return true;
            }
        }
        false
    }

    /// The refusal by `account` of what `index` below it needs, if it was true at one instant of
    /// this call: nothing below was on its way or idle. Steps grow with the number of accounts.
    ///
    /// That instant lies between the two looks. What was in use when it was looked at was still in
    /// use then, because the second look finds that nothing was released in between. What the
    /// request asks of `account` is computed between them too: an attempt that met a trim may have
    /// asked for more than it needs.
    fn certify(&self, account: u32, index: u32, need: Need) -> Option<Obstacle> {
        let returned = self.table[account].returned();
        let view = self.view(account);
        let (used, limit) = self.use_and_limit(&view)?;
        let first = self.look_below(account)?;
        let asked = self.missing(account, index, need)?;
        let second = self.look_below(account)?;
        // What is in use may have been idle when `used` was read, and the limit higher since: it
        // has to be in force still.
        let stands = self.use_and_limit(&view).is_some();
        let same = stands && first == second && self.table[account].returned() == returned;
        // Above a limit that was lowered, an account still gives what nothing is asked of it for.
        let full = asked > 0 && used.saturating_add(asked) > limit;
        (same && full).then_some(Obstacle::Full { account, asked, used, limit })
    }

    /// Bytes that `account` has to give for a need of `index` while nothing below it is idle.
    fn missing(&self, account: u32, index: u32, need: Need) -> Option<u64> {
        let (mut at, mut need) = (index, need);
        for _ in 0..DEPTH_MAX {
            let word = self.table[at].used();
            need = Need::More(need.beyond(word.used(), self.table[at].guarantee(word)));
            at = self.table[at].parent();
            if at == account {
                return Some(need.bytes());
            }
        }
        None
    }

    /// A fingerprint of all that can lower what is needed below `account`; `None` if bytes are on
    /// their way or idle there.
    fn look_below(&self, account: u32) -> Option<u64> {
        let mut fingerprint = 0u64;
        // From the top down, so that what a group passes on to a child after it was looked at had
        // to be bought or handed back before, which shows in marks and counters.
        for depth in 1..=DEPTH_MAX {
            for group in self.groups().filter(|&g| self.depth(g) == depth) {
                if self.is_below(group, account) {
                    let returned = mix(group, self.table[group].returned());
                    let looked = mix(group, look_at(&self.table[group])?).rotate_left(32);
                    fingerprint = returned.wrapping_add(looked).wrapping_add(fingerprint);
                }
            }
        }
        let tenants = self.tenants();
        for (tenant, cell) in tenants.clone().zip(self.table.range(tenants)) {
            if account == ROOT || self.is_below(tenant, account) {
                fingerprint = mix(tenant, look_at(cell)?).wrapping_add(fingerprint);
            }
        }
        Some(fingerprint)
    }

    /// Bytes that were in use below a group at one instant of this call, or are guaranteed there
    /// and were not: nothing that was idle or on its way. Fewer if others release meanwhile: what
    /// a part of the accounts has in which they do does not count.
    ///
    /// That instant lies between two looks. What the first finds in use was in use then, because
    /// the second finds that nothing of that part was released in between; so no byte is counted at
    /// two accounts. Steps grow with the number of accounts.
    pub fn surely_used(&self, group: u32) -> u64 {
        let looks = [self.look_at_use(group), self.look_at_use(group)];
        let parts = looks[0].iter().zip(&looks[1]);
        let same = parts.filter(|(first, second)| first.fingerprint == second.fingerprint);
        same.fold(0, |sum: u64, (first, second)| {
            sum.saturating_add(first.used).saturating_add(second.unused)
        })
    }

    fn look_at_use(&self, group: u32) -> [UseBelow; USE_PARTS] {
        let mut parts = [UseBelow::default(); USE_PARTS];
        for index in self.groups().chain(self.tenants()) {
            if !self.is_below(index, group) {
                continue;
            }
            let part = &mut parts[index as usize % USE_PARTS];
            let account = &self.table[index];
            let word = account.used();
            let bare = account.pass().is_unguaranteed(word);
            let guarantee = if bare { 0 } else { account.guarantee(word) };
            // After the guarantee: it is that of this version (P3).
            let versions = word.config_version() << 16 | account.used().config_version();
            let unused = guarantee.saturating_sub(word.used());
            // Of a tenant counts what is in use, of a group what is not: what was released matters
            // where the one is beyond the guarantee and the other within it.
            let matters = match self.is_inner(index) {
                true => {
                    part.unused = part.unused.saturating_add(unused);
                    unused > 0
                }
                false => {
                    part.used = part.used.saturating_add(word.used() + unused);
                    unused == 0
                }
            };
            let released = if matters { word.releases() + 1 } else { 0 };
            let looked = mix(index, (released << 32) | versions);
            part.fingerprint = part.fingerprint.wrapping_add(looked);
        }
        parts
    }

    /// Trims below `account` until it has room for `needed` bytes or nothing idle is left; false if
    /// bytes were on their way somewhere, so that some may be left. Who had bought what is idle
    /// does not find it any more: that there was some is noted ([`Accounts::has_collected`]).
    pub fn collect(&self, account: u32, needed: u64) -> bool {
        let mut settled = true;
        for tenant in self.tenants() {
            if self.is_below(tenant, account) {
                let trimmed = self.trim_for_others(tenant);
                settled &= trimmed != Trimmed::Busy;
                if matches!(trimmed, Trimmed::Freed(_))
                    && self.collect_above(tenant, account, needed)
                {
                    return true;
                }
            }
        }
        for depth in (1..=DEPTH_MAX).rev() {
            for group in self.groups().filter(|&g| self.depth(g) == depth) {
                if self.is_below(group, account) {
                    settled &= self.trim_for_others(group) != Trimmed::Busy;
                }
            }
        }
        settled
    }

    /// Trims what another may have bought.
    fn trim_for_others(&self, index: u32) -> Trimmed {
        let trimmed = self.trim(index);
        if matches!(trimmed, Trimmed::Freed(_)) {
            self.note_collected();
        }
        trimmed
    }

    /// Notes that claim went up which another may have bought.
    pub fn note_collected(&self) {
        // Release: pairs with the Acquire in `has_collected`: what went up is seen then.
        self.collected.store(1, Ordering::Release);
    }

    /// Whether idle claim was collected since this was taken note of: whoever was refused before
    /// may fit now, and who had bought that claim cannot know.
    pub fn has_collected(&self) -> bool {
        // Acquire: pairs with the Release in `note_collected`.
        self.collected.load(Ordering::Acquire) != 0
    }

    /// Takes note of it: whoever does looks next who fits.
    pub fn take_collected(&self) -> bool {
        // AcqRel: pairs with the Release in `note_collected`; what is noted later is another note.
        self.has_collected() && self.collected.swap(0, Ordering::AcqRel) != 0
    }

    /// Trims an account and those above it.
    pub fn hand_up(&self, index: u32) -> HandedUp {
        let mut up = HandedUp { freed: 0, busy: false };
        let mut at = index;
        for _ in 0..DEPTH_MAX {
            if at == ROOT {
                break;
            }
            // Before what is idle goes: then the slot may come to lie below another group.
            let parent = self.parent(at);
            match self.trim(at) {
                Trimmed::Freed(bytes) => up.freed += bytes,
                Trimmed::Busy => up.busy = true,
                Trimmed::Nothing => {}
            }
            at = parent;
        }
        up
    }

    /// Passes what came back from `index` on to `account`; says whether that is enough.
    pub fn collect_above(&self, index: u32, account: u32, needed: u64) -> bool {
        let mut at = self.table[index].parent();
        for _ in 0..DEPTH_MAX {
            if at == account || at == ROOT {
                break;
            }
            self.trim(at);
            at = self.table[at].parent();
        }
        self.room(account) >= needed
    }

    /// Puts other settings in force. The caller holds the administrative mutex.
    ///
    /// # Errors
    ///
    /// [`Obstacle::Full`] if a higher guarantee cannot be paid for, [`Obstacle::Contended`] if that
    /// is not certain; nothing has changed then.
    pub fn configure(&self, index: u32, settings: &Settings) -> Result<(), Obstacle> {
        self.configure_as(index, settings, self.table[index].generation(), None)?;
        if self.is_inner(index) && self.room(index) == 0 {
            // Idle claim below must not carry use beyond a limit that was lowered. What is on its
            // way there the caller waits for, by `settle`.
            self.collect(index, 1);
        }
        Ok(())
    }

    /// Takes away all that is idle below `account`, what is on its way there too: while another
    /// thread is buying or handing back, `wait` is called. That is for a bounded number of that
    /// thread's own steps, but it may be off its core: for administrative verbs.
    pub fn settle(&self, account: u32, wait: impl Fn()) {
        let below = |&index: &u32| self.is_below(index, account);
        let trim_at_last = |index| {
            while self.trim(index) == Trimmed::Busy {
                wait();
            }
        };
        self.tenants().filter(below).for_each(trim_at_last);
        for depth in (1..=DEPTH_MAX).rev() {
            self.groups()
                .filter(|&group| self.depth(group) == depth)
                .filter(below)
                .for_each(trim_at_last);
        }
    }

    /// The same for a generation; or to close the account, if no more than `close` is in use.
    fn configure_as(
        &self,
        index: u32,
        settings: &Settings,
        generation: u32,
        close: Option<u64>,
    ) -> Result<(), Obstacle> {
        let account = &self.table[index];
        let closed = close.is_some();
        loop {
            let word = account.used();
            let used = word.used();
            let over = |&most: &u64| used > most && !planted(Bug::ClosedWhileGranting);
            if let Some(limit) = close.filter(over) {
                return Err(Obstacle::Full { account: index, asked: 0, used, limit });
            }
            if index != ROOT && account.claim().claim() < settings.guarantee {
                // Again from the start: a trim may take it back before it is promised.
                if !planted(Bug::GuaranteeUnpaid) {
                    self.buy_guarantee(index, settings.guarantee)?;
                    continue;
                }
            }
            let stamp = account.record(word).head().stamp();
            let next = word.next_config();
            let head = Head::new(generation, stamp.wrapping_add(1), settings.counted, closed);
            account.record(next).write(settings, head);
            let before = account.guarantee(word);
            account.note_change(CONFIGURATION);
            if account.exchange(word, next) {
                // Release: pairs with the Acquire in `pass`; who sees it sees the generation. Until
                // then the one before lets nothing pass. Not sooner: the version may never come.
                account.pass.store(settings.pass(next, closed).0, Ordering::Release);
                if index != ROOT {
                    self.note_promise(account.parent(), before, account.guarantee(next));
                }
                return Ok(());
            }
        }
    }

    /// Keeps the sum of what is guaranteed to the children of `parent`.
    fn note_promise(&self, parent: u32, before: u64, after: u64) {
        let change = after.wrapping_sub(before);
        // Relaxed: a figure of its own; the administrative mutex keeps others from changing it.
        self.promised[parent].0.fetch_add(change, Ordering::Relaxed);
    }

    /// What is guaranteed to the children of an account, in all.
    fn promised(&self, account: u32) -> u64 {
        // Relaxed: as in `note_promise`.
        self.promised[account].0.load(Ordering::Relaxed)
    }

    /// Pays for the missing part of a guarantee before it is promised.
    fn buy_guarantee(&self, index: u32, guarantee: u64) -> Result<(), Obstacle> {
        let account = &self.table[index];
        for _ in 0..CHARGE_ROUNDS_MAX {
            let missing = guarantee.saturating_sub(account.claim().claim());
            if missing == 0 {
                return Ok(());
            }
            let mut turns = CHARGE_TURNS_MAX;
            account.mark();
            match self.pay(account, 0, missing, &mut turns) {
                Ok(()) => return Ok(()),
                Err(obstacle) => self.clear(obstacle, index, Need::Guarantee(guarantee))?,
            }
        }
        Err(Obstacle::Contended)
    }

    /// Refuses every further charge. The caller holds the administrative mutex.
    pub fn close(&self, index: u32) {
        let closed = self.close_within(index, u64::MAX);
        debug_assert!(closed, "no account uses more than it can");
    }

    /// Refuses every further charge if no more than `most` bytes are in use at that moment; says
    /// whether. The caller holds the administrative mutex.
    pub fn close_within(&self, index: u32, most: u64) -> bool {
        let account = &self.table[index];
        let generation = account.generation();
        let settings = Settings { limits: [0; LEVELS], guarantee: 0, ..self.settings(index) };
        // A guarantee of zero needs no payment.
        if self.configure_as(index, &settings, generation, Some(most)).is_err() {
            return false;
        }
        // AcqRel: pairs with the AcqRel of the mark in `attempt`: whoever marks later sees the
        // flag, whoever marked earlier is seen by `is_drained`.
        account.claim.fetch_or(ClaimWord::CLOSED, Ordering::AcqRel);
        self.trim(index);
        true
    }

    /// Whether a closed account holds nothing and nobody is paying for it any more.
    pub fn is_drained(&self, index: u32) -> bool {
        let account = &self.table[index];
        if account.used().used() != 0 {
            return false;
        }
        if account.claim().claim() > 0 {
            self.trim(index);
        }
        account.claim().0 == ClaimWord::CLOSED
    }

    /// Gives a slot that was never used, or is closed and drained, to a new account under
    /// `parent`; answers its generation. The caller holds the administrative mutex.
    ///
    /// # Errors
    ///
    /// [`Obstacle::Full`] or [`Obstacle::Contended`] if the guarantee cannot be paid for now,
    /// `Contended` also if the slot is not drained; the slot stays as it is then.
    pub fn open(&self, index: u32, parent: u32, settings: &Settings) -> Result<u32, Obstacle> {
        let account = &self.table[index];
        self.notice(index);
        if account.generation() == 0 {
            // AcqRel: as in `close`; a slot that was never used is closed until it is ready.
            account.claim.fetch_or(ClaimWord::CLOSED, Ordering::AcqRel);
        }
        if !self.is_drained(index) {
            return Err(Obstacle::Contended);
        }
        let generation = account.generation().checked_add(1).ok_or(Obstacle::Closed)?;
        let depth = self.depth(parent) + 1;
        debug_assert!(depth <= DEPTH_MAX && self.is_inner(parent));
        // Release: pairs with the Acquire in `above` and `generation`; the generation goes last, so
        // whoever sees it sees the parent that goes with it.
        let order = Ordering::Release;
        account.above.store(Above::new(parent, depth).0, order);
        account.generation.store(generation, order);
        self.configure_as(index, settings, generation, None).inspect_err(|_| {
            self.trim(index);
        })?;
        // AcqRel: pairs with the AcqRel of the mark in `attempt`.
        account.claim.fetch_and(!ClaimWord::CLOSED, Ordering::AcqRel);
        Ok(generation)
    }

    /// Makes every later scan include the account.
    fn notice(&self, index: u32) {
        let (seen, count) = if self.is_inner(index) {
            (&self.groups_seen, index)
        } else {
            (&self.tenants_seen, index - self.tenants_begin() + 1)
        };
        // Release: pairs with the Acquire in `groups` and `tenants`; before anything is paid.
        seen.fetch_max(count, Ordering::Release);
    }

    /// Levels between the account and the root.
    pub fn depth(&self, index: u32) -> u32 {
        self.table[index].above().depth()
    }

    /// The parent of an account other than the root.
    #[inline]
    pub fn parent(&self, index: u32) -> u32 {
        self.table[index].parent()
    }

    /// How often the slot was given away; 0: never.
    #[inline]
    pub fn generation(&self, index: u32) -> u32 {
        self.table[index].generation()
    }

    /// The head in force: generation, counted types, closed.
    #[inline]
    pub fn head(&self, index: u32) -> Head {
        self.table[index].in_force(Record::head)
    }

    /// Bytes in use.
    #[inline]
    pub fn used(&self, index: u32) -> u64 {
        self.table[index].used().used()
    }

    /// Bytes in use of all tenants together, each as it was when it was looked at.
    pub fn used_by_tenants(&self) -> u64 {
        self.table.range(self.tenants()).iter().map(|account| account.used().used()).sum()
    }

    /// The used word.
    #[inline]
    pub fn used_word(&self, index: u32) -> UsedWord {
        self.table[index].used()
    }

    /// Bytes paid for; for the root, its limit.
    #[inline]
    pub fn claim(&self, index: u32) -> u64 {
        match index {
            ROOT => self.limit(ROOT),
            _ => self.table[index].claim().claim(),
        }
    }

    /// The guarantee in force.
    #[inline]
    pub fn guarantee(&self, index: u32) -> u64 {
        self.table[index].in_force(Record::promise)
    }

    /// The limit in force at the present pressure level.
    #[inline]
    pub fn limit(&self, index: u32) -> u64 {
        self.table[index].in_force(|record| self.limit_in_force(record))
    }

    /// Priority and isolation, as they were configured.
    #[inline]
    pub fn traits(&self, index: u32) -> u64 {
        self.table[index].in_force(Record::traits)
    }

    /// Bytes below the limit that are not in use.
    #[inline]
    pub fn room(&self, index: u32) -> u64 {
        self.limit(index).saturating_sub(self.used(index))
    }

    /// The limit in force at the pressure level at which it is highest.
    #[inline]
    fn highest_limit(&self, index: u32) -> u64 {
        let highest = |r: &Record| r.limit(0).max(r.limit(1)).max(r.limit(2));
        self.table[index].in_force(highest)
    }

    /// All settings in force but the pace: of that the pass alone is told. Exact while nobody
    /// configures.
    pub fn settings(&self, index: u32) -> Settings {
        self.table[index].in_force(|record| Settings {
            limits: std::array::from_fn(|level| record.limit(level)),
            guarantee: record.guarantee(),
            share_weight: record.share_weight(),
            traits: record.traits(),
            counted: record.head().counted(),
            paced: false,
        })
    }

    /// Checks V1, V2 and V3 at rest: no call of this governor may be running.
    ///
    /// # Panics
    ///
    /// If an invariant is broken, naming account and figures.
    pub fn assert_at_rest(&self) {
        let mut claims = vec![0; self.tenants_begin() as usize];
        for index in self.groups().chain(self.tenants()) {
            let (used, claim) = (self.used(index), self.table[index].claim());
            let guarantee = self.guarantee(index);
            assert_eq!(claim.marks(), 0, "account {index}: a mark is left");
            assert!(used <= claim.claim(), "V1 account {index}: {used} > {}", claim.claim());
            assert!(claim.claim() >= guarantee, "V2 account {index}: claim {}", claim.claim());
            claims[self.parent(index) as usize] += claim.claim();
        }
        for index in std::iter::once(ROOT).chain(self.groups()) {
            let (used, sum) = (self.used(index), claims[index as usize]);
            assert_eq!(used, sum, "V3 account {index}: used {used}, sum of claims {sum}");
        }
    }
}

/// What somebody needs of an account.
#[derive(Clone, Copy)]
enum Need {
    /// So many bytes more in use.
    More(u64),
    /// So many bytes guaranteed.
    Guarantee(u64),
}

impl Need {
    fn bytes(self) -> u64 {
        match self {
            Self::More(bytes) | Self::Guarantee(bytes) => bytes,
        }
    }

    /// What the account's parent has to give for it if the account has no idle claim.
    fn beyond(self, used: u64, guarantee: u64) -> u64 {
        let needed = match self {
            Self::More(bytes) => used.saturating_add(bytes),
            Self::Guarantee(bytes) => used.max(bytes),
        };
        needed.saturating_sub(used.max(guarantee))
    }
}

/// What a look at a part of all below a group finds in use.
#[derive(Clone, Copy, Default)]
struct UseBelow {
    /// Bytes of its tenants, at least what is guaranteed to each.
    used: u64,
    /// Bytes guaranteed to the groups between that they have not paid for anybody.
    unused: u64,
    /// All that can lower the one, or raise what the other is short of.
    fingerprint: u64,
}

/// Who is charged in an attempt: the account a request names, or an ancestor that is paid.
#[derive(Clone, Copy)]
struct Payer {
    index: u32,
    /// Generation and counted types the caller relies on; an ancestor is whoever it is.
    identity: Option<(u32, u8)>,
    /// Bytes that are bought at best, if there is plenty, where fewer are needed.
    quantum: u64,
}

impl Payer {
    fn obstacle(self, head: Head) -> Option<Obstacle> {
        let stranger = self.identity.is_some_and(|(g, _)| g != head.generation());
        let changed = self.identity.is_some_and(|(_, counted)| counted != head.counted());
        match () {
            () if head.closed() || stranger => Some(Obstacle::Closed),
            () if changed => Some(Obstacle::Changed),
            () => None,
        }
    }
}

/// The versions of an account that has no bytes on their way and no idle claim.
#[inline]
fn look_at(account: &Account) -> Option<u64> {
    let word = account.used();
    // By P1, and a pass that came round since can only make more seem idle. Of many tenants most
    // have no guarantee, and then one line says it all.
    let bare = account.pass().is_unguaranteed(word);
    let guarantee = if bare { 0 } else { account.guarantee(word) };
    let claim = account.claim();
    if claim.marks() > 0 || claim.claim() > word.used().max(guarantee) {
        return None;
    }
    // What is released within the guarantee frees nothing for others.
    let released = if claim.claim() > guarantee { word.releases() } else { 0 };
    Some((released << 32) | word.config_version())
}

/// What an account adds to a fingerprint: every bit counts, and whose it is. Not a chain, in which
/// each account would wait for the one before it.
#[inline]
fn mix(index: u32, value: u64) -> u64 {
    // Odd numbers without a pattern: the increment and a multiplier of SplitMix64.
    let told_apart = value ^ u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (told_apart ^ (told_apart >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[cfg(test)]
mod tests {
    use super::super::region::tests::{assert_empty_is_zeroed, words};
    use super::*;

    words! { Account: used claim changes pass peak returned clock generation above lines }
    words! { Line: record beside }
    words! { Record: head limits guarantee share_weight traits }
    words! { Promised: 0 }

    #[test]
    fn an_empty_cell_is_a_zeroed_one() {
        assert_empty_is_zeroed::<Account>();
        assert_empty_is_zeroed::<Promised>();
    }

    fn settings(limit: u64, guarantee: u64) -> Settings {
        Settings { limits: [limit; LEVELS], guarantee, ..Settings::default() }
    }

    /// Account 1 is a group, 2 a tenant below it, 3 one beside it, with a guarantee.
    fn family() -> Accounts {
        let accounts = Accounts::new(100, 1, 2, 1);
        for (index, parent, guarantee) in [(1, ROOT, 0), (2, 1, 0), (3, ROOT, 10)] {
            assert_eq!(accounts.open(index, parent, &settings(60, guarantee)), Ok(1));
        }
        accounts
    }

    fn charge(accounts: &Accounts, index: u32, bytes: u64) {
        accounts.charge(index, 1, 0, bytes).unwrap();
    }

    #[test]
    fn what_comes_and_goes_within_the_guarantee_is_nobody_elses() {
        let accounts = family();
        let account = &accounts.table[3];
        let before = look_at(account).unwrap();
        charge(&accounts, 3, 5);
        accounts.uncharge(3, 5);
        assert_eq!(look_at(account), Some(before));
        charge(&accounts, 3, 12);
        accounts.uncharge(3, 2);
        assert_eq!(look_at(account), None, "two bytes are idle");
        charge(&accounts, 3, 2);
        let after = look_at(account).unwrap();
        assert_ne!(after, before, "somebody could have had them");
        accounts.uncharge(3, 2);
        charge(&accounts, 3, 2);
        assert_ne!(look_at(account), Some(after));
    }

    #[test]
    fn what_is_on_its_way_or_configured_anew_is_seen() {
        let accounts = family();
        let account = &accounts.table[3];
        charge(&accounts, 3, 12);
        let before = look_at(account).unwrap();
        account.mark();
        assert_eq!(look_at(account), None);
        account.unmark();
        assert_eq!(look_at(account), Some(before));
        accounts.configure(3, &settings(60, 10)).unwrap();
        assert_ne!(look_at(account), Some(before));
    }

    /// What came back to a group and went on leaves all as it was, but for the count of it.
    #[test]
    fn what_went_through_a_group_shows_in_the_fingerprint() {
        let accounts = family();
        let before = accounts.look_below(ROOT).unwrap();
        charge(&accounts, 2, 10);
        accounts.uncharge(2, 10);
        assert!(accounts.hand_up(2).freed >= 20);
        let after = accounts.look_below(ROOT).unwrap();
        assert_ne!(after, before);
        assert_eq!(accounts.look_below(ROOT), Some(after));
    }

    /// What tenants use, and what is guaranteed to tenants and groups beyond that; nothing idle.
    #[test]
    fn what_is_surely_used_is_what_the_use_is_once_nothing_is_idle() {
        let accounts = Accounts::new(200, 2, 3, 0);
        let all = [(1, ROOT, 50), (2, 1, 20), (3, 1, 10), (4, 2, 0), (5, 2, 5)];
        for (index, parent, guarantee) in all {
            assert_eq!(accounts.open(index, parent, &settings(100, guarantee)), Ok(1));
        }
        for (charges, used) in [
            ([0, 0, 0], [30, 5]),
            ([7, 9, 6], [30, 15]),
            ([12, 15, 6], [33, 21]),
            ([10, 30, 0], [45, 35]),
        ] {
            (3..).zip(charges).for_each(|(index, bytes)| charge(&accounts, index, bytes));
            assert_eq!([1, 2].map(|group| accounts.surely_used(group)), used, "{charges:?}");
            assert!(accounts.collect(ROOT, u64::MAX));
            assert_eq!([1, 2].map(|group| accounts.surely_used(group)), used, "{charges:?}");
            assert_eq!([1, 2].map(|group| accounts.used(group)), used, "{charges:?}");
            (3..).zip(charges).for_each(|(index, bytes)| accounts.uncharge(index, bytes));
        }
    }

    /// No two accounts, and no two values of one, add the same; and the highest bits change the
    /// lowest, so that a sum has no place where nothing adds up.
    #[test]
    fn all_that_is_mixed_is_told_apart() {
        let bits = (0..u64::BITS).map(|bit| 1 << bit);
        let values: Vec<u64> = (0..100).chain(bits.clone().skip(7)).collect();
        let all = (0..100).flat_map(|index| values.iter().map(move |&value| mix(index, value)));
        assert_eq!(all.collect::<std::collections::HashSet<_>>().len(), 100 * values.len());
        for high in bits.skip(32).take(30) {
            assert_ne!(mix(1, high) as u32, mix(1, 0) as u32, "{high:#x}");
        }
    }

    #[test]
    fn only_what_does_not_fit_is_certified() {
        let accounts = family();
        charge(&accounts, 2, 50);
        let full = |need| accounts.certify(ROOT, 3, Need::More(need));
        assert_eq!(full(50), None);
        let no = Obstacle::Full { account: ROOT, asked: 41, used: 60, limit: 100 };
        assert_eq!(full(51), Some(no));
        // Within its guarantee it asks nothing of the pool, which is beyond its limit now.
        accounts.configure(ROOT, &settings(40, 0)).unwrap();
        assert_eq!(full(10), None);
    }

    /// While bytes are on their way nobody can say that none are left.
    #[test]
    fn what_is_on_its_way_may_be_left() {
        let accounts = family();
        for busy in [1, 2] {
            charge(&accounts, 2, 10);
            accounts.uncharge(2, 10);
            let claim = accounts.table[busy].mark().claim();
            assert_eq!(accounts.trim(busy), Trimmed::Busy);
            assert_eq!(accounts.claim(busy), claim, "it is left alone");
            assert!(!accounts.collect(ROOT, 101), "account {busy}");
            accounts.table[busy].unmark();
            charge(&accounts, 2, 10);
            accounts.uncharge(2, 10);
            accounts.table[busy].mark();
            assert!(accounts.hand_up(2).busy, "account {busy}");
            accounts.table[busy].unmark();
            assert!(accounts.collect(ROOT, 101));
        }
    }

    /// A trim that finds that use has grown into what it took is taken back.
    #[test]
    fn no_claim_is_lowered_below_the_use() {
        let accounts = family();
        charge(&accounts, 2, 10);
        let account = &accounts.table[2];
        let word = account.used();
        account.change_claim(1_u64.wrapping_neg());
        assert!(!accounts.forbid_higher_claim(account));
        assert_eq!(account.used(), word);
        account.change_claim(1);
        assert!(accounts.forbid_higher_claim(account));
        assert_eq!(account.used(), word.next_trim());
    }

    /// A charge may be a mistake if as many trims or configurations went by as there are versions.
    /// Then a look at what is idle finds the bytes, and one that had found them in use notices.
    #[test]
    fn a_charge_that_slept_too_long_is_given_back() {
        let few = |slept: u64, kind| {
            let accounts = family();
            charge(&accounts, 2, 10);
            let account = &accounts.table[2];
            let (before, returned) = (account.changes(), account.returned());
            (0..slept).for_each(|_| account.note_change(kind));
            let good = accounts.confirm(account, before, 4);
            assert_eq!(accounts.used(2), if good { 10 } else { 6 });
            assert_eq!(account.returned() > returned, !good);
            assert_eq!(accounts.take_collected(), !good);
            good
        };
        for (kind, versions) in [(TRIM, TRIM_VERSIONS), (CONFIGURATION, CONFIG_VERSIONS.into())] {
            for slept in [0, 1, 2, versions - 2, versions - 1, versions, 2 * versions] {
                assert_eq!(few(slept, kind), slept + 1 < versions, "{slept} of {versions}");
            }
        }
    }

    #[test]
    fn a_tick_that_is_taken_back_was_none() {
        let account = Account::empty();
        assert_eq!((account.tick(), account.tick()), (1, 2));
        account.untick();
        assert_eq!((account.clock(), account.tick()), (1, 2));
    }

    /// What was read before a configuration is no answer after it, even where it says the same.
    #[test]
    fn a_view_is_of_one_configuration() {
        let accounts = family();
        charge(&accounts, 3, 12);
        let view = accounts.view(3);
        assert!(view.is_current());
        assert_eq!(accounts.use_and_limit(&view), Some((12, 60)));
        assert!(accounts.refusal(3, &view, 48).is_none());
        let full = Obstacle::Full { account: 3, asked: 49, used: 12, limit: 60 };
        assert_eq!(accounts.refusal(3, &view, 49), Some(full));
        accounts.configure(3, &settings(60, 10)).unwrap();
        assert!(!view.is_current());
        assert_eq!(accounts.use_and_limit(&view), None);
    }

    #[test]
    fn an_attempt_takes_no_more_turns_than_it_has() {
        let accounts = family();
        let payer = Payer { index: 3, identity: Some((1, 0)), quantum: 0 };
        let mut turns = 5;
        assert_eq!(accounts.attempt(payer, 3, 3, &mut turns), Ok(3));
        assert_eq!(turns, 4);
        let none = accounts.attempt(payer, 3, 3, &mut 0);
        assert_eq!(none, Err(Obstacle::Contended));
    }
}
