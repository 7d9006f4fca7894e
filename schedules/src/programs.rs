//! What the threads of a schedule do: small random programs over a small random world.

use crate::random::Random;
use crate::specification::{Ask, BATCH_MAX, Group, KINDS, NO_LIMIT, State, Tenant};

/// One call. Grants and tickets are picked among those known when it is made, by a number taken
/// modulo how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `try_request`.
    Try(Ask),
    /// `request`, which may evict.
    Request(Ask),
    /// `request_all`.
    Batch([Option<Ask>; BATCH_MAX]),
    /// `grow`.
    Grow(u64, u16),
    /// `shrink`.
    Shrink(u64, u16),
    /// `release`; the grant stays known if so said, so that it may be released again.
    Release(u64, bool),
    /// `set_capacity`.
    Capacity(u16),
    /// `set_tenant`: limit and guarantee.
    Configure(u8, u16, u16),
    /// `set_group`: the limit.
    Bound(u8, u16),
    /// `unregister_tenant`.
    Unregister(u8, Leaving),
    /// `enqueue`.
    Enqueue(Ask),
    /// A look at a ticket.
    Poll(u64),
    /// A ticket is dropped.
    Cancel(u64),
    /// A look at what a tenant uses.
    Look(u8),
}

/// What becomes of the grants of a tenant that is unregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// There must be none.
    Idle,
    /// They stay until they are released.
    Drain,
    /// They end.
    Force,
}

/// A world and what is done in it.
#[derive(Clone, Debug)]
pub struct Program {
    /// Capacity, groups and tenants.
    pub begin: State,
    /// How many tenants and groups there are.
    pub tenants: u8,
    /// The same.
    pub groups: u8,
    /// Bytes of claim bought beyond the need.
    pub quantum: u16,
    /// Done before the threads start.
    pub before: Vec<Action>,
    /// Done by each thread.
    pub threads: Vec<Vec<Action>>,
}

/// What a program is about: different calls come often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Theme {
    Charging,
    Evicting,
    Configuring,
    Waiting,
    Batches,
    Everything,
}

const THEMES: [Theme; 6] = [
    Theme::Charging,
    Theme::Evicting,
    Theme::Configuring,
    Theme::Waiting,
    Theme::Batches,
    Theme::Everything,
];
const CACHE: u8 = 2;

struct Author {
    random: Random,
    theme: Theme,
    capacity: u16,
    tenants: u8,
    groups: u8,
    counted: bool,
}

/// The program number `number` of a seed, for so many threads, or 2 to 4.
pub fn write(seed: u64, number: u64, threads: Option<usize>) -> Program {
    let mut random = Random::new(seed, number);
    let theme = random.pick(&THEMES);
    let tenants = 1 + random.below(3) as u8;
    let groups = random.below(2) as u8;
    let capacity = 6 + random.below(20) as u16;
    let counted = random.one_in(8) && theme != Theme::Batches;
    let mut author = Author { random, theme, capacity, tenants, groups, counted };
    let begin = author.world();
    // More threads have less each: what matters is how many calls there are at once.
    let threads = threads.unwrap_or_else(|| author.random.pick(&[2, 2, 2, 3, 3, 4]));
    let most = [5, 4, 3][threads.clamp(2, 4) - 2];
    let before = (0..author.random.below(5)).map(|_| author.filling()).collect();
    let one = |author: &mut Author| {
        let length = 2 + author.random.below(most - 1);
        (0..length).map(|_| author.action()).collect()
    };
    Program {
        begin,
        tenants,
        groups,
        quantum: author.random.pick(&[0, 0, 3, 64]),
        before,
        threads: (0..threads).map(|_| one(&mut author)).collect(),
    }
}

impl Author {
    fn world(&mut self) -> State {
        let mut left = self.capacity;
        let mut groups = Vec::new();
        for _ in 0..self.groups {
            let guarantee = self.share(&mut left);
            let limit = self.limit(guarantee);
            groups.push(Group { limit, guarantee });
        }
        let mut inside = groups.first().map_or(0, |group| group.guarantee);
        let mut tenants = Vec::new();
        for _ in 0..self.tenants {
            let group = (self.groups > 0 && !self.random.one_in(3)).then_some(0);
            let guarantee = self.share(if group.is_some() { &mut inside } else { &mut left });
            let limit = self.limit(guarantee);
            let count = (self.counted && self.random.one_in(2))
                .then(|| (CACHE, 1 + self.random.below(2) as u8));
            let priority = self.random.below(3) as u8;
            tenants.push(Tenant {
                group,
                limit,
                guarantee,
                priority,
                count,
                closed: false,
                used: 0,
            });
        }
        State::new(self.capacity, &groups, &tenants)
    }

    /// A part of what is left to be guaranteed.
    fn share(&mut self, left: &mut u16) -> u16 {
        let share =
            if self.random.one_in(2) { self.random.below(u64::from(*left / 2 + 1)) } else { 0 };
        *left -= share as u16;
        share as u16
    }

    fn limit(&mut self, guarantee: u16) -> u16 {
        match self.random.below(5) {
            0..3 => NO_LIMIT,
            _ => (guarantee + 1 + self.random.below(u64::from(self.capacity)) as u16).max(2),
        }
    }

    fn bytes(&mut self) -> u16 {
        let most = if self.random.one_in(3) { self.capacity } else { self.capacity / 3 };
        1 + self.random.below(u64::from(most)) as u16
    }

    fn tenant(&mut self) -> u8 {
        self.random.below(u64::from(self.tenants)) as u8
    }

    fn ask(&mut self) -> Ask {
        let evictable = self.theme == Theme::Evicting || self.random.one_in(3);
        let kind =
            if evictable || self.counted { CACHE } else { self.random.below(KINDS as u64) as u8 };
        let pinned = self.random.one_in(10);
        Ask { tenant: self.tenant(), kind, bytes: self.bytes(), pinned }
    }

    /// A call before the threads start.
    fn filling(&mut self) -> Action {
        let ask = self.ask();
        match self.random.below(5) {
            0 => Action::Shrink(self.random.next(), ask.bytes),
            1 if self.theme == Theme::Configuring => self.configuration(),
            1 if self.theme == Theme::Charging => Action::Release(self.random.next(), false),
            _ => Action::Try(ask),
        }
    }

    fn action(&mut self) -> Action {
        let usual = !self.random.one_in(2);
        match self.theme {
            Theme::Evicting if usual => Action::Request(self.ask()),
            Theme::Configuring if usual => self.configuration(),
            Theme::Waiting if usual => self.waiting(),
            Theme::Batches if usual => self.batch(),
            Theme::Everything if usual => match self.random.below(3) {
                0 => self.configuration(),
                1 => self.waiting(),
                _ => Action::Request(self.ask()),
            },
            _ => self.charge(),
        }
    }

    fn charge(&mut self) -> Action {
        // A batch shows before it is decided; and what was paid for before a limit was lowered
        // shows after that.
        let looks = matches!(self.theme, Theme::Charging | Theme::Evicting | Theme::Waiting);
        match self.random.below(16) {
            0..6 => Action::Try(self.ask()),
            6..8 => Action::Grow(self.random.next(), 1 + self.random.below(4) as u16),
            8..10 => Action::Shrink(self.random.next(), 1 + self.random.below(4) as u16),
            10..12 if looks => Action::Look(self.tenant()),
            _ => Action::Release(self.random.next(), self.random.one_in(3)),
        }
    }

    fn configuration(&mut self) -> Action {
        match self.random.below(8) {
            0 => Action::Capacity(1 + self.random.below(2 * u64::from(self.capacity)) as u16),
            // A little more or less: what is asked for just fits, or just does not.
            1..3 => Action::Capacity(self.capacity - 3 + self.random.below(7) as u16),
            3..6 => {
                let mut left = self.capacity;
                let guarantee = self.share(&mut left);
                Action::Configure(self.tenant(), self.limit(guarantee), guarantee)
            }
            6 if self.groups > 0 => Action::Bound(0, self.limit(self.capacity / 2)),
            6 => Action::Capacity(self.capacity),
            _ => {
                let how = self.random.pick(&[Leaving::Idle, Leaving::Drain, Leaving::Force]);
                Action::Unregister(self.tenant(), how)
            }
        }
    }

    fn waiting(&mut self) -> Action {
        match self.random.below(8) {
            0..3 => {
                // Never evicted: it may be there before it is seen.
                let ask = Ask { kind: 0, pinned: false, ..self.ask() };
                Action::Enqueue(ask)
            }
            3 => Action::Poll(self.random.next()),
            4..6 => Action::Cancel(self.random.next()),
            _ => Action::Release(self.random.next(), false),
        }
    }

    fn batch(&mut self) -> Action {
        let length = 2 + self.random.below(BATCH_MAX as u64 - 1) as usize;
        let asks = std::array::from_fn(|at| {
            let ask = self.ask();
            (at < length).then_some(Ask { pinned: false, ..ask })
        });
        Action::Batch(asks)
    }
}
