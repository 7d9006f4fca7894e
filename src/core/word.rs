//! Packed words as types: what is in each, how wide, and the only arithmetic allowed on it.
//!
//! | word | fields, high bits first | kept in |
//! |---|---|---|
//! | [`UsedWord`] | releases, trim version, config version, used | `account.rs` |
//! | [`ClaimWord`] | closed, marks, claim | `account.rs` |
//! | [`Head`] | generation, stamp, counted types, closed | `account.rs` |
//! | [`OnTheWay`] | sequence, bytes | `account.rs`, used by `evict.rs` |
//! | [`CountWord`] | pending, count | `queue.rs` |
//! | [`QueueHead`] | account generation, first segment | `queue.rs` |
//! | [`SlotWord`] | state, low generation, special, bytes | `grants.rs` |
//! | [`Owner`] | account generation, account, allocation type, attached | `grants.rs` |

/// Width of a byte count in the words of an account: 256 TiB.
pub const BYTES_BITS: u32 = 48;
/// The most bytes an account can count.
pub const BYTES_MAX: u64 = (1 << BYTES_BITS) - 1;

// Under loom the versions are narrow on purpose, so that models reach their wrap-around.
#[cfg(not(allot_loom))]
const RELEASE_BITS: u32 = 6;
#[cfg(not(allot_loom))]
const TRIM_BITS: u32 = 6;
#[cfg(not(allot_loom))]
const CONFIG_BITS: u32 = 4;
#[cfg(allot_loom)]
const RELEASE_BITS: u32 = 2;
#[cfg(allot_loom)]
const TRIM_BITS: u32 = 2;
#[cfg(allot_loom)]
const CONFIG_BITS: u32 = 2;

/// A trim version that moved this often may look unmoved.
pub const TRIM_VERSIONS: u64 = 1 << TRIM_BITS;
/// A config version that moved this often may look unmoved.
pub const CONFIG_VERSIONS: u32 = 1 << CONFIG_BITS;

const RELEASES_SHIFT: u32 = 64 - RELEASE_BITS;

const _: () = assert!(BYTES_BITS + CONFIG_BITS + TRIM_BITS <= RELEASES_SHIFT);

/// `releases | trim version | config version | used`: every request exchanges it, every release
/// subtracts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsedWord(pub u64);

impl UsedWord {
    /// Bytes in use.
    #[inline]
    pub fn used(self) -> u64 {
        self.0 & BYTES_MAX
    }

    /// Which configuration is in force, modulo [`CONFIG_VERSIONS`].
    #[inline]
    pub fn config_version(self) -> u64 {
        (self.0 >> BYTES_BITS) & (u64::from(CONFIG_VERSIONS) - 1)
    }

    fn trim_version(self) -> u64 {
        (self.0 >> (BYTES_BITS + CONFIG_BITS)) & (TRIM_VERSIONS - 1)
    }

    /// How often bytes were taken out of use, modulo 2^`RELEASE_BITS`.
    pub fn releases(self) -> u64 {
        self.0 >> RELEASES_SHIFT
    }

    /// What charges and releases change: the word without its versions.
    pub fn activity(self) -> u64 {
        self.with_versions(0, 0).0
    }

    /// What to add to the word when `bytes` leave it: the release counts itself in the highest
    /// bits, where its carry is lost.
    #[inline]
    pub fn release(bytes: u64) -> u64 {
        (1 << RELEASES_SHIFT) - bytes
    }

    fn with_versions(self, trim: u64, config: u64) -> Self {
        let releases = self.releases() << RELEASES_SHIFT;
        let trim = (trim & (TRIM_VERSIONS - 1)) << (BYTES_BITS + CONFIG_BITS);
        let config = (config & (u64::from(CONFIG_VERSIONS) - 1)) << BYTES_BITS;
        Self(releases | trim | config | self.used())
    }

    /// The same word with `bytes` more in use; the caller knows that they fit.
    #[inline]
    pub fn plus(self, bytes: u64) -> Self {
        debug_assert!(self.used() + bytes <= BYTES_MAX);
        Self(self.0 + bytes)
    }

    /// The same bytes under the next trim version.
    pub fn next_trim(self) -> Self {
        self.with_versions(self.trim_version() + 1, self.config_version())
    }

    /// The same bytes under the next configuration.
    pub fn next_config(self) -> Self {
        self.with_versions(self.trim_version(), self.config_version() + 1)
    }
}

/// `closed | marks | claim`: what the account has paid its parent for, and whether bytes are on
/// their way between the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClaimWord(pub u64);

impl ClaimWord {
    /// One payment or hand-back on its way.
    pub const MARK: u64 = 1 << BYTES_BITS;
    /// The account is closed to new payments.
    pub const CLOSED: u64 = 1 << 63;

    /// Bytes paid for.
    #[inline]
    pub fn claim(self) -> u64 {
        self.0 & BYTES_MAX
    }

    /// Payments and hand-backs on their way: at most one a thread, 32,767 in all.
    #[inline]
    pub fn marks(self) -> u64 {
        (self.0 & !Self::CLOSED) >> BYTES_BITS
    }

    /// Whether the account takes no more payments.
    #[inline]
    pub fn closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }
}

/// `generation | stamp | counted types | closed`: the first word of a config record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head(pub u64);

impl Head {
    const CLOSED: u64 = 1;
    const COUNTED_SHIFT: u32 = 1;
    const STAMP_SHIFT: u32 = 5;
    const STAMP_MASK: u64 = (1 << 27) - 1;

    /// Packs a record's head; the stamp wraps at 2^27.
    pub fn new(generation: u32, stamp: u32, counted: u8, closed: bool) -> Self {
        let stamp = (u64::from(stamp) & Self::STAMP_MASK) << Self::STAMP_SHIFT;
        let counted = u64::from(counted & 0xf) << Self::COUNTED_SHIFT;
        Self((u64::from(generation) << 32) | stamp | counted | u64::from(closed))
    }

    /// Whose record this is.
    #[inline]
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// How often the account was configured.
    #[inline]
    pub fn stamp(self) -> u32 {
        ((self.0 >> Self::STAMP_SHIFT) & Self::STAMP_MASK) as u32
    }

    /// One bit for each allocation type whose grants are counted.
    #[inline]
    pub fn counted(self) -> u8 {
        ((self.0 >> Self::COUNTED_SHIFT) & 0xf) as u8
    }

    /// Whether the account refuses everything.
    #[inline]
    pub fn closed(self) -> bool {
        self.0 & Self::CLOSED != 0
    }
}

/// What bytes are charged for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A new grant.
    Request,
    /// One that there is.
    Growth,
}

/// `closely | levels | nothing guaranteed | config version | limit`: all that the usual charge, and
/// a look at what is idle, need of the record in force.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass(pub u64);

impl Pass {
    /// The sign: what is compared with a limit at once.
    const CLOSELY: u64 = 1 << 63;
    const LEVELS_SHIFT: u32 = 61;
    const UNGUARANTEED: u64 = 1 << 60;
    const VERSION: u64 = (CONFIG_VERSIONS as u64 - 1) << BYTES_BITS;

    /// The pass of the configuration in `word`: charges up to `limit`, at any pressure level or
    /// only at the lowest. With a limit of 0 none.
    pub fn new(word: UsedWord, limit: u64, any_level: bool) -> Self {
        debug_assert!(limit <= BYTES_MAX);
        let levels = if any_level { 0 } else { 3 << Self::LEVELS_SHIFT };
        Self(levels | word.config_version() << BYTES_BITS | limit)
    }

    /// The same, which says that nothing is guaranteed.
    pub fn without_guarantee(self) -> Self {
        Self(self.0 | Self::UNGUARANTEED)
    }

    /// The same, by which no request is the usual one: each is looked at more closely.
    pub fn closely(self) -> Self {
        Self(self.0 | Self::CLOSELY)
    }

    /// Whether it is known that the configuration in `word` guarantees nothing.
    #[inline]
    pub fn is_unguaranteed(self, word: UsedWord) -> bool {
        let known = (self.0 ^ word.0) & Self::VERSION == 0;
        known && self.0 & Self::UNGUARANTEED != 0
    }

    /// The limit: 0 if nothing may be charged, negative if no request is the usual one.
    #[inline(always)]
    fn limit_for(self, purpose: Purpose) -> i64 {
        let sign = if purpose == Purpose::Request { Self::CLOSELY } else { 0 };
        (self.0 & (sign | BYTES_MAX)) as i64
    }

    /// The limit of the configuration in `word`, if there are usual requests.
    #[inline(always)]
    pub fn limit_of(self, word: UsedWord) -> Option<u64> {
        let known = (self.0 ^ word.0) & Self::VERSION == 0;
        let limit = self.limit_for(Purpose::Request);
        (known && limit > 0).then_some(limit as u64)
    }

    /// Whether a request that makes `used` bytes of what is in use is none of the usual ones,
    /// whatever configuration is in force.
    #[inline(always)]
    pub fn looks_full(self, used: u64) -> bool {
        self.limit_for(Purpose::Request) < used as i64
    }

    /// Whether `used` bytes are within the limit of the configuration in `word`.
    #[inline(always)]
    pub fn admits(self, purpose: Purpose, word: UsedWord, used: u64) -> bool {
        used as i64 <= self.limit_for(purpose) && (self.0 ^ word.0) & Self::VERSION == 0
    }

    /// Whether the limit is that of this level, the lowest of which is 0.
    #[inline(always)]
    pub fn holds_at(self, level: u32) -> bool {
        u64::from(level) & self.0 >> Self::LEVELS_SHIFT == 0
    }
}

/// `depth | parent`: where an account stands in the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Above(pub u32);

impl Above {
    const PARENT_BITS: u32 = 24;

    /// Below `parent`, `depth` levels below the root.
    pub fn new(parent: u32, depth: u32) -> Self {
        debug_assert!(parent >> Self::PARENT_BITS == 0 && depth < 1 << 8);
        Self(depth << Self::PARENT_BITS | parent)
    }

    /// The account above; the root's own is the root.
    #[inline]
    pub fn parent(self) -> u32 {
        self.0 & ((1 << Self::PARENT_BITS) - 1)
    }

    /// Levels below the root.
    #[inline]
    pub fn depth(self) -> u32 {
        self.0 >> Self::PARENT_BITS
    }
}

/// `sequence | bytes`: bytes being evicted. The sequence makes an exchange fail if anything was
/// added since the word was read, also when the same amount has left in between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OnTheWay(pub u64);

impl OnTheWay {
    /// Bytes claimed from their holders and not yet returned.
    #[inline]
    pub fn bytes(self) -> u64 {
        self.0 & BYTES_MAX
    }

    /// The word after `bytes` more were claimed.
    #[inline]
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes).wrapping_add(1 << BYTES_BITS))
    }
}

/// `pending | count`: grants of one type, where their number is limited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CountWord(pub u64);

impl CountWord {
    /// One request that was counted and is not yet decided.
    pub const PENDING: u64 = 1 << 32;

    /// Grants counted, undecided requests included.
    #[inline]
    pub fn count(self) -> u64 {
        self.0 & (Self::PENDING - 1)
    }

    /// Requests that were counted and are not yet decided.
    #[inline]
    pub fn pending(self) -> u64 {
        self.0 >> 32
    }
}

/// `account generation | first segment`: where the chain of a queue begins, and whose it is. The
/// generation keeps a request that slept since an earlier tenant from linking a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueHead(pub u64);

impl QueueHead {
    const CLOSED: u64 = u32::MAX as u64;

    /// The head of a queue of the given generation that begins with segment `first`.
    pub fn new(generation: u32, first: Option<u32>) -> Self {
        Self((u64::from(generation) << 32) | first.map_or(0, |index| u64::from(index) + 1))
    }

    /// The same queue, empty and closed to new segments.
    pub fn closed(self) -> Self {
        Self(self.0 | Self::CLOSED)
    }

    /// Whether no segment may be linked until the next tenant begins.
    pub fn is_closed(self) -> bool {
        self.0 & Self::CLOSED == Self::CLOSED
    }

    /// Whether an account of this generation may link segments; generation 0 was never registered.
    pub fn admits(self, generation: u32) -> bool {
        generation != 0 && (self.0 >> 32) as u32 == generation && !self.is_closed()
    }

    /// The first segment, if there is one.
    pub fn first(self) -> Option<u32> {
        if self.is_closed() { None } else { (self.0 as u32).checked_sub(1) }
    }

    /// The head of the same queue with another first segment.
    pub fn with_first(self, first: Option<u32>) -> Self {
        Self::new((self.0 >> 32) as u32, first)
    }
}

/// Width of a grant's size: 16 TiB.
pub const GRANT_BITS: u32 = 44;
/// The most bytes one grant can hold.
pub const GRANT_BYTES_MAX: u64 = (1 << GRANT_BITS) - 1;
// Under loom two generations share their low bits, so that models reach the confusion.
#[cfg(not(allot_loom))]
const SLOT_GENERATION_BITS: u32 = 16;
#[cfg(allot_loom)]
const SLOT_GENERATION_BITS: u32 = 1;

const SPECIAL: u64 = 1 << GRANT_BITS;
const LOW_SHIFT: u32 = GRANT_BITS + 1;
const STATE_SHIFT: u32 = LOW_SHIFT + SLOT_GENERATION_BITS;
const _: () = assert!(STATE_SHIFT + 3 <= 64);

/// What a grant slot is doing. The transitions are drawn in `grants.rs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Holds nothing; may be reserved.
    Free = 0,
    /// Being filled by the one thread that reserved it.
    Reserved = 1,
    /// A grant its owner holds.
    Live = 2,
    /// Chosen as a victim; its owner is being asked.
    Evicting = 3,
    /// Taken from its owner for good; its evictor is returning the bytes.
    Ending = 4,
    /// Held still by one thread that resizes, releases or changes it.
    Tuning = 5,
    /// Released by its owner while it was being evicted; the evictor frees the slot.
    Gone = 6,
    /// Its owner has promised to release it.
    Deferred = 7,
}

/// `state | low generation | special | bytes`: all that decides about a grant, in one word. What
/// is compared at once stands together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotWord(pub u64);

impl SlotWord {
    /// Packs a slot's word.
    #[inline]
    pub fn new(state: State, generation: u32, bytes: u64) -> Self {
        debug_assert!(bytes <= GRANT_BYTES_MAX);
        Self((state as u64) << STATE_SHIFT | Self::low(generation) << LOW_SHIFT | bytes)
    }

    /// What the slot is doing.
    #[inline]
    pub fn state(self) -> State {
        match self.0 >> STATE_SHIFT {
            0 => State::Free,
            1 => State::Reserved,
            2 => State::Live,
            3 => State::Evicting,
            4 => State::Ending,
            5 => State::Tuning,
            6 => State::Gone,
            _ => State::Deferred,
        }
    }

    /// Bytes the grant holds.
    #[inline]
    pub fn bytes(self) -> u64 {
        self.0 & GRANT_BYTES_MAX
    }

    /// Whether the fields say more about evicting this grant than the word does: it is pinned,
    /// kept alive, uncommitted, of a type that stays, or it expires.
    #[inline]
    pub fn special(self) -> bool {
        self.0 & SPECIAL != 0
    }

    /// The same grant, marked special or not.
    #[inline]
    pub fn with_special(self, special: bool) -> Self {
        Self(if special { self.0 | SPECIAL } else { self.0 & !SPECIAL })
    }

    /// Whether the low bits of `generation` are the ones in this word.
    #[inline]
    pub fn may_be(self, generation: u32) -> bool {
        Self::low((self.0 >> LOW_SHIFT) as u32) == Self::low(generation)
    }

    /// Whether the word is that of a live grant with the low bits of `generation`.
    #[inline(always)]
    pub fn is_live_of(self, generation: u32) -> bool {
        let live = (State::Live as u64) << SLOT_GENERATION_BITS;
        self.0 >> LOW_SHIFT == live | Self::low(generation)
    }

    /// The word of a live grant that is held still.
    #[inline(always)]
    pub fn held(self) -> Self {
        debug_assert_eq!(self.state(), State::Live);
        Self(self.0 ^ ((State::Live as u64 ^ State::Tuning as u64) << STATE_SHIFT))
    }

    /// The same grant in another state.
    #[inline]
    pub fn with_state(self, state: State) -> Self {
        Self((self.0 & !(7 << STATE_SHIFT)) | ((state as u64) << STATE_SHIFT))
    }

    /// The same grant with another size.
    #[inline]
    pub fn with_bytes(self, bytes: u64) -> Self {
        debug_assert!(bytes <= GRANT_BYTES_MAX);
        Self((self.0 & !GRANT_BYTES_MAX) | bytes)
    }

    /// The same grant with `bytes` more, which fit.
    #[inline(always)]
    pub fn plus(self, bytes: u64) -> Self {
        debug_assert!(bytes <= GRANT_BYTES_MAX - self.bytes());
        Self(self.0 + bytes)
    }

    /// The same grant with `bytes` less, which it has.
    #[inline(always)]
    pub fn minus(self, bytes: u64) -> Self {
        debug_assert!(bytes <= self.bytes());
        Self(self.0 - bytes)
    }

    /// The bits of a generation that the word has room for.
    #[inline(always)]
    fn low(generation: u32) -> u64 {
        u64::from(generation) & ((1 << SLOT_GENERATION_BITS) - 1)
    }
}

/// `account generation | account | allocation type | attached`: whose grants a segment holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner(pub u64);

impl Owner {
    /// A segment that belongs to nobody.
    pub const NOBODY: Self = Self(0);

    /// The owner of the grants of one allocation type of one account.
    #[inline]
    pub fn new(account: u32, generation: u32, allocation_type: u8) -> Self {
        debug_assert!(account < 1 << 24);
        let low = (u64::from(account) << 8) | (u64::from(allocation_type & 3) << 1) | 1;
        Self((u64::from(generation) << 32) | low)
    }

    /// Index of the account.
    #[inline]
    pub fn account(self) -> u32 {
        (self.0 as u32) >> 8
    }

    /// Generation of the account.
    #[inline]
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Number of the allocation type.
    #[inline]
    pub fn allocation_type(self) -> u8 {
        ((self.0 >> 1) & 3) as u8
    }

    /// Whether the account is this one.
    #[inline]
    pub fn is_of(self, account: u32, generation: u32) -> bool {
        self.0 >> 8 == u64::from(generation) << 24 | u64::from(account)
    }
}
