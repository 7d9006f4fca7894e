//! What one thread holds, by its own account of the answers it got: handed to the next thread when
//! it ends, and added up at quiet points.

use allotment::{EventMark, GrantId, GroupHandle, OwnedGrant, OwnedTicket, TenantHandle, Ticket};

use super::cells::Cookie;
use super::scene::CELLS;
use super::tally::Tally;
use super::verb::Deck;
use crate::dice::Dice;

/// Grants of one thread.
pub(super) const HELD_MAX: usize = 384;

/// Reservations of one thread that wait to be committed.
pub(super) const RESERVED_MAX: usize = 32;

/// Places in line of one thread.
pub(super) const TICKETS_MAX: usize = 8;

/// Grants of one thread that nobody ever releases.
pub(super) const LEAKED_MAX: usize = 8;

/// A grant as its holder knows it.
pub(super) struct Entry {
    pub tenant: TenantHandle,
    pub id: GrantId,
    pub cookie: Cookie,
    pub bytes: u64,
    /// The live object, where the holder keeps it rather than the number alone.
    pub owned: Option<OwnedGrant>,
}

/// A reservation; a brief one runs out before anybody could count on it.
pub(super) struct Reserved {
    pub entry: Entry,
    pub brief: bool,
}

/// What was asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub tenant: TenantHandle,
    pub cookie: Cookie,
    pub bytes: u64,
}

/// A place in line.
pub(super) struct Place<'g> {
    pub asked: Asked,
    pub ticket: Line<'g>,
}

/// Its ticket, of either sort.
pub(super) enum Line<'g> {
    Borrowed(Ticket<'g>),
    Owned(OwnedTicket),
}

/// All of one thread.
pub(super) struct Book<'g> {
    pub dice: Dice,
    pub deck: Deck,
    /// Decks that were played.
    pub decks: u64,
    pub tally: Tally,
    /// Records that nobody uses.
    pub free: Vec<u32>,
    pub held: Vec<Entry>,
    pub reserved: Vec<Reserved>,
    pub places: Vec<Place<'g>>,
    /// The governor says that they have ended, and nobody has said so who would know.
    pub doubtful: Vec<Entry>,
    pub leaked: Vec<Entry>,
    pub guests: Vec<TenantHandle>,
    pub groups: Vec<GroupHandle>,
    /// Where it reads events next.
    pub mark: EventMark,
    /// A grant that was returned, to be named again.
    pub ended: Option<(TenantHandle, GrantId)>,
    /// Cards that could not be played.
    pub skipped: u64,
    /// Threads that ended while they held grants.
    pub visitors: u64,
}

impl Book<'_> {
    pub fn new(number: u64, dice: Dice) -> Self {
        let first = number as u32 * CELLS;
        Self {
            dice,
            deck: Deck::new(),
            decks: 0,
            tally: Tally::new(),
            free: (first..first + CELLS).rev().collect(),
            held: Vec::with_capacity(HELD_MAX + 1),
            reserved: Vec::new(),
            places: Vec::new(),
            doubtful: Vec::new(),
            leaked: Vec::new(),
            guests: Vec::new(),
            groups: Vec::new(),
            mark: EventMark::default(),
            ended: None,
            skipped: 0,
            visitors: 0,
        }
    }

    /// Whether it may ask for so many more.
    pub fn has_room(&self, more: usize) -> bool {
        self.held.len() + more <= HELD_MAX && self.free.len() >= more
    }
}
