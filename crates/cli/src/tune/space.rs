//! What may be moved, and within what: guarantee, limit and burst of each tenant that is tuned.
//!
//! ```text
//! S1  guarantee(t) <= limit(t) <= burst(t) <= capacity
//! S2  sum of guarantees of an account's children <= its own guarantee (of the whole: the capacity)
//! S3  groups, isolation, priority, policy, rate, counts and tenants not tuned are as in the start
//! ```
//!
//! Every move keeps S1 by taking along what stands in its way and S2 by stopping at the room that
//! is left, so that no candidate has to be thrown away. Sizes that are moved are multiples of a
//! unit, 1/512 of the capacity or a little more: what comes out can be read and remembered.
//!
//! What would have no effect is not moved: limit and burst of a tenant without isolation, the burst
//! of a hard one.

use allotment::Isolation;
use allotment_config::{Setup, Tenant};

use crate::dice::Dice;

/// The capacity is at least so many units.
const UNITS_MIN: u64 = 256;

/// What one tenant may have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// Always.
    pub guarantee_bytes: u64,
    /// At most; none: the capacity.
    pub limit_bytes: Option<u64>,
    /// While memory is plentiful; none: the limit.
    pub burst_bytes: Option<u64>,
}

impl Share {
    fn of(tenant: &Tenant) -> Self {
        Self {
            guarantee_bytes: tenant.guarantee_bytes,
            limit_bytes: tenant.limit_bytes,
            burst_bytes: tenant.burst_bytes,
        }
    }
}

/// A candidate: the shares of the tenants that are tuned, in their order.
pub type Shares = Vec<Share>;

/// One of the three figures of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// Its guarantee.
    Guarantee,
    /// Its limit.
    Limit,
    /// Its burst.
    Burst,
}

/// A step from one candidate to the next. Tenants are places among those that are tuned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// One figure more.
    Up(usize, Knob),
    /// One figure less.
    Down(usize, Knob),
    /// From the first to the second.
    Over(usize, usize, Knob),
    /// One figure back to that of the start.
    Back(usize, Knob),
}

/// All candidates.
pub struct Space {
    start: Setup,
    /// Places of the tenants that are tuned.
    tuned: Vec<usize>,
    unit_bytes: u64,
}

impl Space {
    /// Around `start`; only the tenants at `tuned` are moved.
    pub fn new(start: Setup, tuned: Vec<usize>) -> Self {
        let unit_bytes = 1 << (start.capacity_bytes / UNITS_MIN).max(1).ilog2();
        Self { start, tuned, unit_bytes }
    }

    /// The smallest step.
    pub fn unit_bytes(&self) -> u64 {
        self.unit_bytes
    }

    /// The largest step that is worth a try: a quarter of the capacity.
    pub fn step_bytes_max(&self) -> u64 {
        (self.start.capacity_bytes / 4).max(self.unit_bytes)
    }

    /// The candidate that changes nothing.
    pub fn start(&self) -> Shares {
        self.tuned.iter().map(|at| Share::of(&self.start.tenants[*at])).collect()
    }

    /// The candidate in which everybody may have everything and nobody is sure of anything.
    pub fn open(&self) -> Shares {
        let open = Share { guarantee_bytes: 0, limit_bytes: None, burst_bytes: None };
        vec![open; self.tuned.len()]
    }

    /// Any candidate: guarantees up to a random sum, limits and bursts anywhere above.
    pub fn random(&self, dice: &mut Dice) -> Shares {
        let capacity_bytes = self.start.capacity_bytes;
        let mut shares = self.open();
        // Each guarantee is up to this part of what is left; 0: there are none.
        let part = dice.between(0, 4);
        for at in 0..shares.len() {
            if let Some(most) = self.room_bytes(&shares, at).checked_div(part) {
                self.set(&mut shares, at, Knob::Guarantee, dice.between(0, most + 1));
            }
            if dice.between(0, 4) > 0 {
                let least = shares[at].guarantee_bytes.max(1);
                let limit_bytes = dice.between(least, capacity_bytes.max(least) + 1);
                self.set(&mut shares, at, Knob::Limit, limit_bytes);
            }
            if dice.between(0, 2) > 0 {
                let least = shares[at].limit_bytes.unwrap_or(capacity_bytes);
                let burst_bytes = dice.between(least, capacity_bytes.max(least) + 1);
                self.set(&mut shares, at, Knob::Burst, burst_bytes);
            }
        }
        shares
    }

    /// Every move there is.
    pub fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for at in 0..self.tuned.len() {
            for &knob in self.knobs(at) {
                moves.extend([Move::Up(at, knob), Move::Down(at, knob), Move::Back(at, knob)]);
                let others = (0..self.tuned.len()).filter(|other| *other != at);
                let others = others.filter(|other| self.knobs(*other).contains(&knob));
                moves.extend(others.map(|other| Move::Over(at, other, knob)));
            }
        }
        moves
    }

    /// The candidate a move away; the same where the move is at an end.
    pub fn moved(&self, from: &Shares, step: Move, step_bytes: u64) -> Shares {
        let mut shares = from.clone();
        match step {
            Move::Up(at, knob) => self.add(&mut shares, at, knob, step_bytes),
            Move::Down(at, knob) => self.subtract(&mut shares, at, knob, step_bytes),
            Move::Over(from, to, knob) => {
                self.subtract(&mut shares, from, knob, step_bytes);
                self.add(&mut shares, to, knob, step_bytes);
            }
            Move::Back(at, knob) => {
                let start = Share::of(&self.start.tenants[self.tuned[at]]);
                self.place(&mut shares, at, knob, self.value(&start, knob));
            }
        }
        shares
    }

    /// How many figures differ from those of the start: of two that cost the same, the one that
    /// changes less is better.
    pub fn changes(&self, shares: &Shares) -> usize {
        let changed = |(now, start): (&Share, Share)| {
            usize::from(now.guarantee_bytes != start.guarantee_bytes)
                + usize::from(now.limit_bytes != start.limit_bytes)
                + usize::from(now.burst_bytes != start.burst_bytes)
        };
        shares.iter().zip(self.start()).map(changed).sum()
    }

    /// The configuration of a candidate.
    pub fn setup(&self, shares: &Shares) -> Setup {
        let mut setup = self.start.clone();
        for (at, share) in self.tuned.iter().zip(shares) {
            let tenant = &mut setup.tenants[*at];
            tenant.guarantee_bytes = share.guarantee_bytes;
            tenant.limit_bytes = share.limit_bytes;
            tenant.burst_bytes = share.burst_bytes;
        }
        setup
    }

    fn isolation(&self, at: usize) -> Isolation {
        self.start.tenants[self.tuned[at]].isolation
    }

    /// What has an effect on a tenant.
    fn knobs(&self, at: usize) -> &'static [Knob] {
        match self.isolation(at) {
            Isolation::None => &[Knob::Guarantee],
            Isolation::Hard => &[Knob::Guarantee, Knob::Limit],
            Isolation::Soft => &[Knob::Guarantee, Knob::Limit, Knob::Burst],
        }
    }

    /// The largest guarantee that a tenant can have while the others keep theirs.
    fn room_bytes(&self, shares: &Shares, at: usize) -> u64 {
        let Setup { capacity_bytes, groups, tenants, .. } = &self.start;
        let above = tenants[self.tuned[at]].group;
        let all_bytes = above.map_or(*capacity_bytes, |group| groups[group].guarantee_bytes);
        let mut guarantees: Vec<u64> = tenants.iter().map(|t| t.guarantee_bytes).collect();
        for (place, share) in self.tuned.iter().zip(shares) {
            guarantees[*place] = share.guarantee_bytes;
        }
        guarantees[self.tuned[at]] = 0;
        let beside = tenants.iter().zip(guarantees).filter(|(tenant, _)| tenant.group == above);
        let of_groups = groups.iter().filter(|group| group.parent == above);
        let taken_bytes = beside.map(|(_, guarantee_bytes)| guarantee_bytes).sum::<u64>()
            + of_groups.map(|group| group.guarantee_bytes).sum::<u64>();
        all_bytes.saturating_sub(taken_bytes)
    }

    fn value(&self, share: &Share, knob: Knob) -> u64 {
        let limit_bytes = share.limit_bytes.unwrap_or(self.start.capacity_bytes);
        match knob {
            Knob::Guarantee => share.guarantee_bytes,
            Knob::Limit => limit_bytes,
            Knob::Burst => share.burst_bytes.unwrap_or(limit_bytes),
        }
    }

    fn add(&self, shares: &mut Shares, at: usize, knob: Knob, step_bytes: u64) {
        let bytes = self.value(&shares[at], knob).saturating_add(step_bytes);
        self.set(shares, at, knob, bytes);
    }

    fn subtract(&self, shares: &mut Shares, at: usize, knob: Knob, step_bytes: u64) {
        let bytes = self.value(&shares[at], knob).saturating_sub(step_bytes);
        self.set(shares, at, knob, bytes);
    }

    /// Sets one figure to the nearest multiple of the unit.
    fn set(&self, shares: &mut Shares, at: usize, knob: Knob, bytes: u64) {
        let unit_bytes = self.unit_bytes;
        let even = |bytes: u64| bytes / unit_bytes * unit_bytes;
        let bytes = match knob {
            Knob::Guarantee => even(bytes + unit_bytes / 2).min(even(self.room_bytes(shares, at))),
            Knob::Limit | Knob::Burst => even(bytes + unit_bytes / 2).max(unit_bytes),
        };
        self.place(shares, at, knob, bytes);
    }

    /// Sets one figure and takes along what stands in its way.
    fn place(&self, shares: &mut Shares, at: usize, knob: Knob, bytes: u64) {
        let capacity_bytes = self.start.capacity_bytes;
        let room_bytes = self.room_bytes(shares, at);
        let share = &mut shares[at];
        match knob {
            Knob::Guarantee => {
                share.guarantee_bytes = bytes.min(room_bytes);
                let floor_bytes = share.guarantee_bytes;
                share.limit_bytes = share.limit_bytes.map(|limit| limit.max(floor_bytes));
            }
            Knob::Limit => {
                share.limit_bytes = (bytes < capacity_bytes).then_some(bytes);
                share.guarantee_bytes = share.guarantee_bytes.min(bytes);
            }
            Knob::Burst => share.burst_bytes = Some(bytes.min(capacity_bytes)),
        }
        let limit_bytes = share.limit_bytes;
        let is_above = |burst: &u64| limit_bytes.is_some_and(|limit| *burst > limit);
        share.burst_bytes = share.burst_bytes.filter(is_above);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use allotment::os::{Clock, ManualClock};
    use allotment_config::{parse, write};
    use proptest::prelude::*;

    use super::*;

    /// Groups with room and without, every isolation, sizes that are no multiples of anything.
    const START: &str = "capacity = 1000003\ngrants_max = 64\n\
        [[groups]]\nname = \"g\"\nguarantee = 300001\nlimit = 700000\n\
        [[groups]]\nname = \"in g\"\nparent = \"g\"\nguarantee = 100000\n\
        [[tenants]]\nname = \"a\"\ngroup = \"g\"\nguarantee = 77777\nlimit = 99999\n\
        [[tenants]]\nname = \"b\"\ngroup = \"in g\"\nlimit = 5\nburst = 900000\n\
        [[tenants]]\nname = \"kept\"\ngroup = \"in g\"\nguarantee = 60000\n\
        [[tenants]]\nname = \"c\"\nisolation = \"hard\"\nlimit = 1000003\n\
        [[tenants]]\nname = \"d\"\nisolation = \"none\"\nguarantee = 500001\n";

    fn space(text: &str, tuned: Vec<usize>) -> Space {
        Space::new(parse(text, Path::new("start.toml")).unwrap(), tuned)
    }

    /// The checks of the file are S1 and S2: a candidate has to pass them as a file.
    fn keeps_the_constraints(space: &Space, shares: &Shares) -> Result<(), TestCaseError> {
        let setup = space.setup(shares);
        let text = write(&setup);
        let read = parse(&text, Path::new("candidate.toml"));
        prop_assert_eq!(read.map_err(|error| TestCaseError::fail(error.to_string()))?, setup);
        let most = space.start.capacity_bytes;
        for share in shares {
            let sizes = share.limit_bytes.into_iter().chain(share.burst_bytes);
            prop_assert!(sizes.max().is_none_or(|bytes| bytes <= most), "{}", text);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn every_candidate_keeps_the_constraints(
            seed in any::<u64>(),
            steps in proptest::collection::vec((any::<usize>(), 0..11_u32), 1..60),
        ) {
            let space = space(START, vec![0, 1, 3, 4]);
            let moves = space.moves();
            for begin in [space.start(), space.open(), space.random(&mut Dice(seed))] {
                keeps_the_constraints(&space, &begin)?;
                let mut shares = begin;
                for (number, halvings) in &steps {
                    let step_bytes = (space.step_bytes_max() >> halvings).max(1);
                    shares = space.moved(&shares, moves[number % moves.len()], step_bytes);
                    keeps_the_constraints(&space, &shares)?;
                    let kept = &space.setup(&shares).tenants[2];
                    prop_assert_eq!(kept, &space.start.tenants[2]);
                }
                let clock = Clock::Manual(ManualClock::new());
                let built = space.setup(&shares).build(clock, |config| config);
                prop_assert!(built.is_ok(), "{}", write(&space.setup(&shares)));
            }
        }
    }

    #[test]
    fn the_start_changes_nothing() {
        let space = space(START, vec![0, 1, 3, 4]);
        assert_eq!(space.setup(&space.start()), space.start);
        assert_eq!(space.changes(&space.start()), 0);
        assert_eq!(space.changes(&space.open()), 6);
    }

    #[test]
    fn a_move_takes_along_what_stands_in_its_way() {
        let text = "capacity = 1024\n\
            [[tenants]]\nname = \"a\"\nguarantee = 100\nlimit = 200\nburst = 300\n\
            [[tenants]]\nname = \"b\"\nguarantee = 800\n";
        let space = space(text, vec![0, 1]);
        assert_eq!(space.unit_bytes(), 4);
        let share = |guarantee_bytes, limit_bytes, burst_bytes| Share {
            guarantee_bytes,
            limit_bytes,
            burst_bytes,
        };
        let start = space.start();
        let moved = |step, step_bytes| space.moved(&start, step, step_bytes)[0].clone();
        assert_eq!(moved(Move::Up(0, Knob::Guarantee), 64), share(164, Some(200), Some(300)));
        assert_eq!(moved(Move::Up(0, Knob::Guarantee), 512), share(224, Some(224), Some(300)));
        assert_eq!(moved(Move::Down(0, Knob::Limit), 160), share(40, Some(40), Some(300)));
        assert_eq!(moved(Move::Up(0, Knob::Limit), 128), share(100, Some(328), None));
        assert_eq!(moved(Move::Up(0, Knob::Limit), 1024), share(100, None, None));
        assert_eq!(moved(Move::Down(0, Knob::Burst), 256), share(100, Some(200), None));
        let over = space.moved(&start, Move::Over(1, 0, Knob::Guarantee), 256);
        assert_eq!(over, [share(356, Some(356), None), share(544, None, None)]);
        let back = space.moved(&over, Move::Back(0, Knob::Guarantee), 4);
        assert_eq!(back[0], share(100, Some(356), None));
        assert_eq!(
            space.moved(&back, Move::Back(0, Knob::Limit), 4)[0],
            share(100, Some(200), None)
        );
    }

    #[test]
    fn what_has_no_effect_is_not_moved() {
        let space = space(START, vec![3, 4]);
        let moves = space.moves();
        assert!(moves.contains(&Move::Up(0, Knob::Limit)));
        assert!(!moves.contains(&Move::Up(0, Knob::Burst)), "a hard one");
        assert!(!moves.contains(&Move::Up(1, Knob::Limit)), "one without isolation");
        assert!(!moves.contains(&Move::Over(0, 1, Knob::Limit)));
        assert!(moves.contains(&Move::Over(0, 1, Knob::Guarantee)));
    }
}
