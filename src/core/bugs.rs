//! Deliberate mistakes, which tests plant to see that they would be found: each is one line of the
//! file that it is in.
//!
//! Only a build whose atomics count steps knows them (`--cfg allot_steps`, see `sync.rs`), and
//! there a thread of the machine plants them for itself. In any other build [`planted`] is `false`
//! when it is compiled, and nothing is left of it.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "`mistake` says what each is")]
pub enum Bug {
    BatchHalfKept,
    BatchUnseen,
    CountKept,
    CountTransient,
    PaymentLost,
    MarkKept,
    AddThenRollBack,
    LimitBeforeVersion,
    TrimmedWhileMarked,
    TrimWithoutVersion,
    HandBackLost,
    Uncertified,
    GuaranteeUnpaid,
    GroupLimitIgnored,
    ClosedWhileGranting,
    GenerationUnchecked,
    ReleasedTwice,
    GrowthForgotten,
    GuaranteeEvicted,
    FreedBeforeUsed,
    EvictedTwice,
    PinIgnored,
    ServedTwice,
    ServedLate,
    CancelledKept,
    NoteIgnored,
    CapacityIgnored,
    ForceForgets,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::BatchHalfKept,
        Self::BatchUnseen,
        Self::CountKept,
        Self::CountTransient,
        Self::PaymentLost,
        Self::MarkKept,
        Self::AddThenRollBack,
        Self::LimitBeforeVersion,
        Self::TrimmedWhileMarked,
        Self::TrimWithoutVersion,
        Self::HandBackLost,
        Self::Uncertified,
        Self::GuaranteeUnpaid,
        Self::GroupLimitIgnored,
        Self::ClosedWhileGranting,
        Self::GenerationUnchecked,
        Self::ReleasedTwice,
        Self::GrowthForgotten,
        Self::GuaranteeEvicted,
        Self::FreedBeforeUsed,
        Self::EvictedTwice,
        Self::PinIgnored,
        Self::ServedTwice,
        Self::ServedLate,
        Self::CancelledKept,
        Self::NoteIgnored,
        Self::CapacityIgnored,
        Self::ForceForgets,
    ];

    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::BatchHalfKept => "batch-half-kept",
            Self::BatchUnseen => "batch-unseen",
            Self::CountKept => "count-kept",
            Self::CountTransient => "count-transient",
            Self::PaymentLost => "payment-lost",
            Self::MarkKept => "mark-kept",
            Self::AddThenRollBack => "add-then-roll-back",
            Self::LimitBeforeVersion => "limit-before-version",
            Self::TrimmedWhileMarked => "trimmed-while-marked",
            Self::TrimWithoutVersion => "trim-without-version",
            Self::HandBackLost => "hand-back-lost",
            Self::Uncertified => "uncertified",
            Self::GuaranteeUnpaid => "guarantee-unpaid",
            Self::GroupLimitIgnored => "group-limit-ignored",
            Self::ClosedWhileGranting => "closed-while-granting",
            Self::GenerationUnchecked => "generation-unchecked",
            Self::ReleasedTwice => "released-twice",
            Self::GrowthForgotten => "growth-forgotten",
            Self::GuaranteeEvicted => "guarantee-evicted",
            Self::FreedBeforeUsed => "freed-before-used",
            Self::EvictedTwice => "evicted-twice",
            Self::PinIgnored => "pin-ignored",
            Self::ServedTwice => "served-twice",
            Self::ServedLate => "served-late",
            Self::CancelledKept => "cancelled-kept",
            Self::NoteIgnored => "note-ignored",
            Self::CapacityIgnored => "capacity-ignored",
            Self::ForceForgets => "force-forgets",
        }
    }

    /// What is wrong with it.
    pub fn mistake(self) -> &'static str {
        match self {
            Self::BatchHalfKept => "a batch that is refused keeps what it was granted before",
            Self::BatchUnseen => "a refusal counts as true although a batch is in flight",
            Self::CountKept => "a request that is refused stays in the number of grants",
            Self::CountTransient => "a number of grants that may yet fall refuses for certain",
            Self::PaymentLost => "a payment of the parent is not added to the claim",
            Self::MarkKept => "a purchase that comes to nothing leaves its mark",
            Self::AddThenRollBack => "a charge adds first, and gives back what was too much",
            Self::LimitBeforeVersion => {
                "the limit is read before the version that it has to belong to"
            }
            Self::TrimmedWhileMarked => "claim is taken away while a payment is on its way",
            Self::TrimWithoutVersion => "claim is taken away without a new version",
            Self::HandBackLost => "claim that was taken away does not come to the parent",
            Self::Uncertified => "an ancestor's refusal counts as true whatever is idle below it",
            Self::GuaranteeUnpaid => "a higher guarantee is promised before it is paid for",
            Self::GroupLimitIgnored => "a group gives more than its limit",
            Self::ClosedWhileGranting => {
                "a tenant is unregistered as idle that was just granted something"
            }
            Self::GenerationUnchecked => "a grant's full generation is not compared",
            Self::ReleasedTwice => "a release leaves the grant live",
            Self::GrowthForgotten => "a grant that has grown does not know it",
            Self::GuaranteeEvicted => "eviction takes a tenant below its guarantee",
            Self::FreedBeforeUsed => "bytes are on their way no more before they have left the use",
            Self::EvictedTwice => "a victim that its owner released is taken out of use once more",
            Self::PinIgnored => "a pinned grant is evicted",
            Self::ServedTwice => "a waiter is charged twice",
            Self::ServedLate => "a waiter that gave up while it was served keeps the bytes",
            Self::CancelledKept => "a waiter that gives up keeps the bytes it was just served",
            Self::NoteIgnored => "who leaves the line does not look for a note",
            Self::CapacityIgnored => "a capacity below the one before changes nothing",
            Self::ForceForgets => "unregistering by force leaves a grant that somebody is changing",
        }
    }
}

#[cfg(allot_steps)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a mistake, or takes it out, for what the calling thread of the machine does.
#[cfg(allot_steps)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether this mistake is to be made.
#[cfg(allot_steps)]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether this mistake is to be made: no.
#[cfg(not(allot_steps))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}
