//! `src/core/account.rs` against an oracle that knows nothing of claims: it computes from the tree
//! what every account needs, and from that whether a request fits. With one thread every answer of
//! the counting must be the oracle's, to the byte.

use allotment::internals::account::{Accounts, DEPTH_MAX, LEVELS, Obstacle, ROOT, Settings};
use allotment::internals::pressure::{Gauge, Pressure};
use allotment::internals::word::{BYTES_MAX, Purpose};
use proptest::prelude::*;

const GROUPS: u32 = 6;
const TENANTS: u32 = 8;
const ACCOUNTS: u32 = 1 + GROUPS + TENANTS;

/// What the oracle remembers of a slot.
#[derive(Clone)]
struct Node {
    parent: u32,
    generation: u32,
    open: bool,
    limits: [u64; LEVELS],
    guarantee: u64,
    used: u64,
}

struct Oracle {
    nodes: Vec<Node>,
    level: usize,
}

impl Oracle {
    fn new(capacity: u64) -> Self {
        let unused = Node {
            parent: ROOT,
            generation: 0,
            open: false,
            limits: [0; LEVELS],
            guarantee: 0,
            used: 0,
        };
        let mut nodes = vec![unused; ACCOUNTS as usize];
        nodes[0] = Node { open: true, limits: [capacity; LEVELS], ..nodes[0].clone() };
        Self { nodes, level: 0 }
    }

    fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    fn limit(&self, index: u32) -> u64 {
        self.node(index).limits[self.level]
    }

    /// What the account needs at least: its guarantee, or what is in use there.
    fn need(&self, index: u32) -> u64 {
        self.in_use(index).max(self.node(index).guarantee)
    }

    /// Bytes of grants, or what the children need.
    fn in_use(&self, index: u32) -> u64 {
        let children = (1..ACCOUNTS).filter(|&child| self.node(child).parent == index);
        match index > GROUPS {
            true => self.node(index).used,
            false => children.map(|child| self.need(child)).sum(),
        }
    }

    fn charge(&self, index: u32, bytes: u64) -> Result<(), Obstacle> {
        let (used, limit) = (self.node(index).used, self.limit(index));
        if bytes > limit.saturating_sub(used) {
            return Err(Obstacle::Full { account: index, asked: bytes, used, limit });
        }
        let needed = (used + bytes).max(self.node(index).guarantee);
        self.pay(index, needed - self.need(index))
    }

    fn guarantee(&self, index: u32, guarantee: u64) -> Result<(), Obstacle> {
        let needed = self.in_use(index).max(guarantee);
        self.pay(index, needed.saturating_sub(self.need(index)))
    }

    /// Whether every ancestor has room for `asked` bytes more of `index`.
    fn pay(&self, index: u32, mut asked: u64) -> Result<(), Obstacle> {
        let mut at = index;
        while asked > 0 && at != ROOT {
            at = self.node(at).parent;
            let (used, limit) = (self.in_use(at), self.limit(at));
            if asked > limit.saturating_sub(used) {
                return Err(Obstacle::Full { account: at, asked, used, limit });
            }
            asked = (used + asked).max(self.node(at).guarantee) - self.need(at);
        }
        Ok(())
    }

    fn path(&self, index: u32) -> Vec<u32> {
        let up = |&at: &u32| (at != ROOT).then(|| self.node(at).parent);
        std::iter::successors(Some(index), up).collect()
    }

    fn has_children(&self, index: u32) -> bool {
        let child = |n: &Node| n.parent == index && n.generation > 0 && (n.open || n.used > 0);
        self.nodes[1..].iter().any(child)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Open { index: u32, parent: u32, limits: [u64; LEVELS], guarantee: u64 },
    Close { index: u32 },
    Charge { index: u32, bytes: u64 },
    Uncharge { index: u32, part: u64 },
    Trim { index: u32 },
    Configure { index: u32, limits: [u64; LEVELS], guarantee: u64 },
    Level { level: usize },
    Collect { index: u32, needed: u64 },
}

/// The counting and the oracle, side by side.
struct Pair {
    accounts: Accounts,
    oracle: Oracle,
}

impl Pair {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Open { index, parent, limits, guarantee } => {
                self.open(index, parent, limits, guarantee);
            }
            Step::Close { index } => self.close(index),
            Step::Charge { index, bytes } => self.charge(index, bytes),
            Step::Uncharge { index, part } => self.uncharge(index, part),
            Step::Trim { index } => {
                self.accounts.trim(index);
            }
            Step::Configure { index, limits, guarantee } => {
                self.configure(index, limits, guarantee);
            }
            Step::Level { level } => {
                let to = Gauge::default().reported(Pressure::ALL[level]);
                assert!(self.accounts.change_gauge(self.accounts.gauge(), to));
                self.oracle.level = level;
            }
            Step::Collect { index, needed } => {
                self.accounts.collect(index, needed);
            }
        }
        self.compare();
    }

    fn compare(&self) {
        self.accounts.assert_at_rest();
        for index in 0..ACCOUNTS {
            let (used, in_use) = (self.accounts.used(index), self.oracle.in_use(index));
            let exact = index > GROUPS;
            assert!(used == in_use || used > in_use && !exact, "account {index}: {used}, {in_use}");
        }
    }

    fn open(&mut self, index: u32, parent: u32, limits: [u64; LEVELS], guarantee: u64) {
        let node = self.oracle.node(index).clone();
        let fitting = self.oracle.node(parent).open
            && self.accounts.depth(parent) < DEPTH_MAX
            && parent != index;
        if node.open || !fitting || self.oracle.has_children(index) {
            return;
        }
        let settings = settings(limits, guarantee);
        if node.used > 0 {
            assert!(!self.accounts.is_drained(index));
            assert_eq!(self.accounts.open(index, parent, &settings), Err(Obstacle::Contended));
            return;
        }
        let generation = node.generation + 1;
        let closed = Node { parent, generation, limits: [0; LEVELS], guarantee: 0, ..node };
        self.oracle.nodes[index as usize] = closed.clone();
        let expected = self.oracle.guarantee(index, guarantee);
        let before = self.uses();
        let answer = self.accounts.open(index, parent, &settings);
        self.compare_answers(index, &before, answer.map(|_| ()), expected);
        if answer.is_ok() {
            assert_eq!(answer, Ok(generation));
            self.oracle.nodes[index as usize] = Node { open: true, limits, guarantee, ..closed };
        }
    }

    fn close(&mut self, index: u32) {
        if !self.oracle.node(index).open || index <= GROUPS && self.oracle.has_children(index) {
            return;
        }
        self.accounts.close(index);
        // What a closed child held last goes back when somebody asks.
        for child in (1..ACCOUNTS).filter(|&child| self.oracle.node(child).parent == index) {
            self.accounts.is_drained(child);
        }
        let node = &mut self.oracle.nodes[index as usize];
        *node = Node { open: false, limits: [0; LEVELS], guarantee: 0, ..node.clone() };
        assert_eq!(self.accounts.is_drained(index), self.oracle.node(index).used == 0);
    }

    fn charge(&mut self, index: u32, bytes: u64) {
        let node = self.oracle.node(index).clone();
        if node.generation == 0 {
            return;
        }
        let charge = |generation, counted| self.accounts.charge(index, generation, counted, bytes);
        if node.generation > 1 {
            assert_eq!(charge(node.generation - 1, 0), Err(Obstacle::Closed));
        }
        if !node.open {
            assert_eq!(charge(node.generation, 0), Err(Obstacle::Closed));
            return;
        }
        assert_eq!(charge(node.generation, 1), Err(Obstacle::Changed));
        let expected = self.oracle.charge(index, bytes);
        let before = self.uses();
        let answer = charge(node.generation, 0);
        self.compare_answers(index, &before, answer, expected);
        if answer.is_ok() {
            self.oracle.nodes[index as usize].used += bytes;
        }
    }

    fn uncharge(&mut self, index: u32, part: u64) {
        let used = self.oracle.node(index).used;
        if used > 0 {
            let bytes = 1 + part % used;
            self.accounts.uncharge(index, bytes);
            self.oracle.nodes[index as usize].used -= bytes;
        }
    }

    fn configure(&mut self, index: u32, limits: [u64; LEVELS], guarantee: u64) {
        let guarantee = if index == ROOT { 0 } else { guarantee };
        if !self.oracle.node(index).open {
            return;
        }
        let expected = self.oracle.guarantee(index, guarantee);
        let before = self.uses();
        let answer = self.accounts.configure(index, &settings(limits, guarantee));
        self.compare_answers(index, &before, answer, expected);
        if answer.is_ok() {
            let node = &mut self.oracle.nodes[index as usize];
            *node = Node { limits, guarantee, ..node.clone() };
        }
    }

    fn uses(&self) -> Vec<u64> {
        (0..ACCOUNTS).map(|index| self.accounts.used(index)).collect()
    }

    /// The answers are the same, with one exception: where the limit of an ancestor was lowered
    /// below what is in use there, a tenant may still use again what it has paid for.
    fn compare_answers(
        &self,
        index: u32,
        before: &[u64],
        answer: Result<(), Obstacle>,
        expected: Result<(), Obstacle>,
    ) {
        let ancestors = &self.oracle.path(index)[1..];
        let over = |&&at: &&u32| before[at as usize] > self.oracle.limit(at);
        if answer.is_ok() && ancestors.iter().any(|at| over(&at)) {
            for at in ancestors.iter().filter(over) {
                let (was, used) = (before[*at as usize], self.accounts.used(*at));
                assert!(used <= was, "I1 account {at}: {used} in use, was {was}, beyond its limit");
            }
        } else {
            assert_eq!(answer, expected, "account {index}");
        }
    }
}

fn settings(limits: [u64; LEVELS], guarantee: u64) -> Settings {
    Settings { limits, guarantee, ..Settings::default() }
}

fn bytes() -> impl Strategy<Value = u64> {
    prop_oneof![
        8 => 0..=40_u64,
        1 => Just(BYTES_MAX / 2),
        1 => (0..4_u64).prop_map(|less| BYTES_MAX - less),
    ]
}

/// Limits that do not rise with the pressure.
fn limits() -> impl Strategy<Value = [u64; LEVELS]> {
    let kind = prop_oneof![4 => 20..=120_u64, 1 => bytes()];
    (kind, 0..=10_u64, 0..=10_u64)
        .prop_map(|(limit, less, lesser)| [limit, limit - limit.min(less), limit.min(lesser * 8)])
}

fn step() -> impl Strategy<Value = Step> {
    let account = 0..ACCOUNTS;
    let inner = 0..=GROUPS;
    let tenant = GROUPS + 1..ACCOUNTS;
    let slot = 1..ACCOUNTS;
    let request =
        prop_oneof![12 => 1..=40_u64, 1 => bytes().prop_map(|b| b.max(1)), 1 => Just(u64::MAX)];
    let guarantee = prop_oneof![6 => 0..=12_u64, 4 => Just(0), 1 => bytes()];
    prop_oneof![
        6 => (slot.clone(), inner.clone(), limits(), guarantee.clone()).prop_map(
            |(index, parent, limits, guarantee)| Step::Open { index, parent, limits, guarantee }
        ),
        1 => slot.prop_map(|index| Step::Close { index }),
        16 => (tenant.clone(), request).prop_map(|(index, bytes)| Step::Charge { index, bytes }),
        8 => (tenant, any::<u64>()).prop_map(|(index, part)| Step::Uncharge { index, part }),
        3 => account.clone().prop_map(|index| Step::Trim { index }),
        3 => (account, limits(), guarantee).prop_map(
            |(index, limits, guarantee)| Step::Configure { index, limits, guarantee }
        ),
        1 => (0..LEVELS).prop_map(|level| Step::Level { level }),
        1 => (inner, bytes()).prop_map(|(index, needed)| Step::Collect { index, needed }),
    ]
}

fn capacity() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 60..=200_u64, 1 => (0..4_u64).prop_map(|less| BYTES_MAX - less)]
}

/// Opens every slot, each group below an earlier one and tenants anywhere.
fn planting() -> impl Strategy<Value = Vec<Step>> {
    let slot = |index: u32| {
        let parent = 0..index.min(GROUPS + 1);
        (parent, limits(), 0..=8_u64).prop_map(move |(parent, limits, guarantee)| Step::Open {
            index,
            parent,
            limits,
            guarantee,
        })
    };
    (1..ACCOUNTS).map(slot).collect::<Vec<_>>()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_the_oracles(
        capacity in capacity(),
        quantum in prop_oneof![Just(0_u64), Just(16), Just(BYTES_MAX)],
        planting in planting(),
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let accounts = Accounts::new(capacity, GROUPS, TENANTS, quantum);
        let mut pair = Pair { accounts, oracle: Oracle::new(capacity) };
        for step in planting.iter().chain(&steps) {
            pair.step(step);
        }
        // Nothing is stranded: what is idle comes back to the last byte.
        pair.accounts.collect(ROOT, u64::MAX);
        pair.compare();
        for index in 0..=GROUPS {
            prop_assert_eq!(pair.accounts.used(index), pair.oracle.in_use(index));
        }
    }
}

/// What was paid for while the capacity was high is not used beyond it once it is low.
#[test]
fn idle_claim_does_not_outlive_the_capacity() {
    let accounts = Accounts::new(10, 0, 1, 0);
    let tenant = accounts.tenants_begin();
    accounts.open(tenant, ROOT, &settings([10; LEVELS], 0)).unwrap();
    accounts.charge(tenant, 1, 0, 10).unwrap();
    accounts.uncharge(tenant, 10);
    accounts.configure(ROOT, &settings([5; LEVELS], 0)).unwrap();
    let full = Obstacle::Full { account: ROOT, asked: 8, used: 0, limit: 5 };
    assert_eq!(accounts.charge(tenant, 1, 0, 8), Err(full));
    accounts.assert_at_rest();
}

/// A tenant `DEPTH_MAX` levels down; on every level a sibling holds idle claim that has to be
/// collected before the limit of that level allows the request.
#[test]
fn every_ancestor_may_have_to_collect_once() {
    let accounts = Accounts::new(10, DEPTH_MAX - 1, DEPTH_MAX, 0);
    let group = |depth: u32| depth;
    for depth in 1..DEPTH_MAX {
        accounts.open(group(depth), group(depth - 1), &settings([10; LEVELS], 0)).unwrap();
    }
    let asking = accounts.tenants_begin();
    accounts.open(asking, group(DEPTH_MAX - 1), &settings([10; LEVELS], 0)).unwrap();
    for depth in 0..DEPTH_MAX - 1 {
        let sibling = asking + 1 + depth;
        accounts.open(sibling, group(depth), &settings([10; LEVELS], 0)).unwrap();
        accounts.charge(sibling, 1, 0, 1).unwrap();
        accounts.uncharge(sibling, 1);
    }
    assert_eq!(accounts.used(ROOT), u64::from(DEPTH_MAX) - 1);
    accounts.charge(asking, 1, 0, 10).expect("all ten bytes are free");
    accounts.assert_at_rest();
}

/// Nothing counted, an open account: then the limit is told without a look at the record, at every
/// level if it is the same at all of them, and else at the lowest.
#[test]
fn the_usual_charge_is_told_its_limit() {
    let accounts = Accounts::new(1_000, 0, 1, 0);
    let tenant = accounts.tenants_begin();
    let guaranteed = settings([100; LEVELS], 50);
    accounts.open(tenant, ROOT, &guaranteed).unwrap();
    let cases = [
        (guaranteed, [true; LEVELS]),
        (Settings { counted: 1, ..guaranteed }, [true; LEVELS]),
        (Settings { paced: true, ..guaranteed }, [true; LEVELS]),
        (Settings { share_weight: 1, ..guaranteed }, [true, false, false]),
        (Settings { share_weight: 1, paced: true, ..guaranteed }, [true, false, false]),
        (settings([100, 100, 60], 50), [true, false, false]),
        (settings([100, 90, 100], 50), [true, false, false]),
    ];
    let account = accounts.get(tenant);
    for ((settings, usual), purpose) in
        cases.into_iter().flat_map(|case| [Purpose::Request, Purpose::Growth].map(|p| (case, p)))
    {
        accounts.configure(tenant, &settings).unwrap();
        // What is counted or paced is each request, not what it grows by.
        let closely = settings.counted > 0 || settings.paced;
        for (level, at_level) in usual.into_iter().enumerate() {
            let usual = at_level && !(closely && purpose == Purpose::Request);
            let to = Gauge::default().reported(Pressure::ALL[level]);
            assert!(accounts.change_gauge(accounts.gauge(), to));
            let used = accounts.used(tenant);
            let said = format!("{purpose:?}, {settings:?} at {level}");
            let refusal = |bytes| accounts.own_refusal(account, 1, bytes);
            let refused = (at_level && !closely).then_some((used, 100));
            assert_eq!(refusal(101 - used), refused, "{said}");
            assert_eq!(refusal(100 - used), None, "{said}");
            assert_eq!(accounts.own_refusal(account, 2, 101), None, "{said}: of another");
            assert!(accounts.looks_full(account, 101 - used), "{said}");
            assert_eq!(accounts.looks_full(account, 100 - used), closely, "{said}");
            let at_once = |generation, bytes| {
                let what = (bytes, purpose);
                let again = || accounts.charge_again(tenant, generation, what);
                accounts.charge_at_once(account, generation, what, again)
            };
            let charge = |generation| at_once(generation, 1);
            assert_eq!(charge(2), None, "{said}: of another");
            assert_eq!(charge(1), usual.then_some(used + 1), "{said}");
            let charge_to = |bytes| {
                let bytes = bytes - accounts.used(tenant);
                let used = at_once(1, bytes);
                accounts.uncharge(tenant, used.map_or(0, |_| bytes));
                used
            };
            assert_eq!(charge_to(50), usual.then_some(50), "{said}: all that is paid for");
            assert_eq!(charge_to(51), None, "{said}: that has to be bought");
        }
    }
    accounts.close(tenant);
    assert_eq!(accounts.own_refusal(account, 1, 1), None);
    for purpose in [Purpose::Request, Purpose::Growth] {
        assert_eq!(accounts.charge_at_once(account, 1, (0, purpose), || Some(0)), None);
    }
    accounts.assert_at_rest();
}

/// A purchase takes a quantum, so that the next charges need none, but no more than it needs and an
/// eighth of what the parent has left.
#[test]
fn a_purchase_is_large_only_in_plenty() {
    for (capacity, bought) in [(10_000, 100), (730, 100), (729, 99), (80, 18), (10, 10)] {
        let accounts = Accounts::new(capacity, 0, 1, 100);
        let tenant = accounts.tenants_begin();
        accounts.open(tenant, ROOT, &settings([BYTES_MAX; LEVELS], 0)).unwrap();
        accounts.charge(tenant, 1, 0, 10).unwrap();
        assert_eq!((accounts.used(tenant), accounts.claim(tenant)), (10, bought), "of {capacity}");
        assert_eq!(accounts.claim(ROOT), capacity);
        accounts.assert_at_rest();
    }
}

/// Two tenants below a group of 20 in a pool of 30, and one beside it.
fn family() -> (Accounts, [u32; 3]) {
    let accounts = Accounts::new(30, 1, 3, 0);
    let tenants = [0, 1, 2].map(|n| accounts.tenants_begin() + n);
    accounts.open(1, ROOT, &settings([20; LEVELS], 0)).unwrap();
    for (tenant, parent) in tenants.into_iter().zip([1, 1, ROOT]) {
        accounts.open(tenant, parent, &settings([15; LEVELS], 0)).unwrap();
    }
    (accounts, tenants)
}

/// Whoever is short is told so by a look, which may err, and for certain once what is idle has been
/// collected.
#[test]
fn short_is_who_lacks_bytes_that_are_in_use() {
    let (accounts, [one, two, beside]) = family();
    let full = |account, asked, used, limit| Some(Obstacle::Full { account, asked, used, limit });
    accounts.charge(two, 1, 0, 12).unwrap();
    accounts.uncharge(two, 7);
    assert_eq!(accounts.shortage(one, 15), full(1, 15, 12, 20), "the claim of the other is idle");
    assert_eq!(accounts.surely_short(one, 15), None, "it is just enough");
    assert_eq!(accounts.shortage(one, 15), None);
    assert_eq!(accounts.shortage(one, 16), full(one, 16, 0, 15));
    assert_eq!(accounts.surely_short(one, 16), Some(one), "its own limit");
    accounts.charge(two, 1, 0, 7).unwrap();
    assert_eq!(accounts.shortage(one, 8), None);
    assert_eq!(accounts.surely_short(one, 8), None);
    assert_eq!(accounts.shortage(one, 9), full(1, 9, 12, 20));
    assert_eq!(accounts.surely_short(one, 9), Some(1), "the group's limit");
    accounts.charge(one, 1, 0, 8).unwrap();
    assert_eq!(accounts.surely_short(beside, 10), None);
    assert_eq!(accounts.shortage(beside, 11), full(ROOT, 11, 20, 30));
    assert_eq!(accounts.surely_short(beside, 11), Some(ROOT), "the capacity");
    accounts.uncharge(one, 3);
    assert_eq!(accounts.shortage(one, 3), None, "it has paid for them");
    assert_eq!(accounts.surely_short(beside, 11), None, "nobody uses them");
    accounts.assert_at_rest();
}

/// What can ever be used: the limits of all ancestors, less what is promised to others there.
#[test]
fn no_more_is_attainable_than_every_limit_leaves() {
    let (accounts, [one, two, beside]) = family();
    for (tenant, bytes) in [(one, 20), (two, 20), (beside, 30)] {
        assert!(accounts.may_attain(tenant, bytes), "whatever its own limit");
        assert!(!accounts.may_attain(tenant, bytes + 1));
        assert!(!accounts.may_attain(tenant, 100));
        assert_eq!(accounts.attainable(tenant, false), 15);
    }
    accounts.configure(two, &settings([20; LEVELS], 4)).unwrap();
    assert_eq!((accounts.attainable(two, false), accounts.attainable(two, true)), (20, 20));
    accounts.configure(one, &settings([20, 30, 10], 3)).unwrap();
    assert_eq!((accounts.attainable(one, false), accounts.attainable(one, true)), (20, 16));
    assert_eq!(accounts.attainable(two, true), 17);
    // What the group keeps for its tenants, the pool has promised to the group only if it is the
    // group's own guarantee.
    assert_eq!(accounts.attainable(beside, true), 15);
    accounts.configure(beside, &settings([30; LEVELS], 0)).unwrap();
    accounts.configure(1, &settings([20; LEVELS], 8)).unwrap();
    assert_eq!((accounts.attainable(beside, false), accounts.attainable(beside, true)), (30, 22));
    assert!(accounts.may_attain(beside, 30));
    accounts.assert_at_rest();
}

/// A tenant two groups down, of whose claim so much is idle on each level: nothing of the inner
/// group's, 5 of the outer one's, 3 of its own. Beside it one that holds idle claim of the pool.
fn idle_below() -> (Accounts, [u32; 4]) {
    let accounts = Accounts::new(100, 2, 2, 0);
    let (tenant, beside) = (accounts.tenants_begin(), accounts.tenants_begin() + 1);
    for (index, parent) in [(1, ROOT), (2, 1), (tenant, 2), (beside, ROOT)] {
        accounts.open(index, parent, &settings([50; LEVELS], 0)).unwrap();
    }
    accounts.charge(tenant, 1, 0, 10).unwrap();
    accounts.charge(beside, 1, 0, 9).unwrap();
    accounts.uncharge(tenant, 5);
    accounts.trim(tenant);
    accounts.trim(2);
    accounts.uncharge(tenant, 3);
    accounts.uncharge(beside, 9);
    let indices = [1, 2, tenant, beside];
    assert_eq!(indices.map(|index| accounts.claim(index)), [10, 5, 5, 9]);
    (accounts, indices)
}

#[test]
fn idle_claim_goes_as_far_up_as_it_is_asked_to() {
    let claims = |accounts: &Accounts, indices: [u32; 4]| indices.map(|i| accounts.claim(i));

    let (accounts, all) = idle_below();
    let tenant = all[2];
    assert_eq!(accounts.hand_up(tenant).freed, 3 + 3 + 8, "of the three levels");
    assert_eq!(claims(&accounts, all), [2, 2, 2, 9]);
    assert!(!accounts.hand_up(tenant).any());

    let (accounts, all) = idle_below();
    accounts.trim(tenant);
    assert!(accounts.collect_above(tenant, 1, 48), "it has come as far as the outer group");
    assert_eq!(claims(&accounts, all), [10, 2, 2, 9]);
    assert!(!accounts.collect_above(tenant, 1, 49));
    assert!(accounts.collect_above(tenant, ROOT, 89), "and now to the pool");
    assert_eq!(claims(&accounts, all), [2, 2, 2, 9]);

    let (accounts, all) = idle_below();
    assert!(accounts.collect(1, u64::MAX));
    assert_eq!(claims(&accounts, all), [10, 2, 2, 9], "all that is below it, not its own");
    accounts.settle(ROOT, || panic!("nothing is on its way"));
    assert_eq!(claims(&accounts, all), [2, 2, 2, 0]);

    let (accounts, all) = idle_below();
    accounts.settle(1, || panic!("nothing is on its way"));
    assert_eq!(claims(&accounts, all), [10, 2, 2, 9], "not what is elsewhere");
    accounts.assert_at_rest();
}

/// What was lowered takes idle claim away where it would carry use beyond the limit, and leaves it
/// where there is room.
#[test]
fn a_lowered_limit_takes_idle_claim_only_if_nothing_is_left() {
    let (accounts, [outer, inner, tenant, _]) = idle_below();
    accounts.configure(outer, &settings([6; LEVELS], 0)).unwrap();
    assert_eq!((accounts.claim(inner), accounts.claim(tenant)), (5, 5), "one byte is left");
    accounts.configure(outer, &settings([5; LEVELS], 0)).unwrap();
    assert_eq!((accounts.claim(inner), accounts.claim(tenant)), (2, 2));
    accounts.assert_at_rest();
}

/// An account is closed if no more is in use than it is allowed to; else nothing has changed.
#[test]
fn an_account_is_closed_within_a_use() {
    let (accounts, [one, ..]) = family();
    accounts.configure(one, &settings([15; LEVELS], 3)).unwrap();
    accounts.charge(one, 1, 0, 5).unwrap();
    assert!(!accounts.close_within(one, 4));
    accounts.charge(one, 1, 0, 1).expect("it is open still");
    assert!(accounts.close_within(one, 6));
    assert_eq!(accounts.charge(one, 1, 0, 1), Err(Obstacle::Closed));
    assert_eq!(accounts.settings(one), settings([0; LEVELS], 0), "nothing is left to it");
    assert!(!accounts.is_drained(one));
    accounts.uncharge(one, 6);
    assert!(accounts.is_drained(one));
}

#[test]
#[should_panic(expected = "V3 account 0: used 4, sum of claims 5")]
fn bytes_that_nobody_has_claimed_are_noticed() {
    let (accounts, [.., beside]) = family();
    accounts.charge(beside, 1, 0, 5).unwrap();
    accounts.uncharge(ROOT, 1);
    accounts.assert_at_rest();
}
