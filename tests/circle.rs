//! Who waits in a circle: the reduction against every order of finishing, and what a governor says.

use allotment::internals::circle::{Party, circle};
use allotment::os::ManualClock;
use allotment::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

const MIB: u64 = 1 << 20;
const FOREVER: Duration = Duration::from_secs(1 << 30);

// The reduction against every order.

/// A tenant by its bytes: held, evictable, and each of its waits.
type Naive = (u64, u64, Vec<u64>);

/// Who can finish in some order: tries them all, one after the other.
fn finish(free: u64, tenants: &[Naive], done: &mut BTreeSet<usize>, all: &mut BTreeSet<usize>) {
    for (at, (held, evictable, waits)) in tenants.iter().enumerate() {
        let fits = waits.is_empty() || waits.iter().any(|&bytes| bytes <= free);
        if !done.contains(&at) && fits {
            done.insert(at);
            all.insert(at);
            // What may be evicted of one that waits was free from the start.
            let back = if waits.is_empty() { *held } else { held - evictable };
            finish(free + back, tenants, done, all);
            done.remove(&at);
        }
    }
}

fn naive(free: u64, tenants: &[Naive]) -> Vec<u32> {
    let evictable = tenants.iter().filter(|t| !t.2.is_empty()).map(|t| t.1).sum::<u64>();
    let mut finished = BTreeSet::new();
    finish(free + evictable, tenants, &mut BTreeSet::new(), &mut finished);
    let stuck = (0..tenants.len()).filter(|at| !finished.contains(at));
    let holding: Vec<u32> =
        stuck.filter(|&at| tenants[at].0 > tenants[at].1).map(|at| at as u32).collect();
    if holding.len() < 2 { Vec::new() } else { holding }
}

fn reduced(free: u64, tenants: &[Naive]) -> Vec<u32> {
    let party = |(at, (held, evictable, waits)): (usize, &Naive)| Party {
        tenant: at as u32,
        held_bytes: *held,
        evictable_bytes: *evictable,
        wanted_bytes: waits.iter().copied().min().unwrap_or(0),
    };
    let mut parties: Vec<Party> = tenants.iter().enumerate().map(party).collect();
    circle(free, &mut parties).iter().map(|party| party.tenant).collect()
}

fn tenant() -> impl Strategy<Value = Naive> {
    let waits = prop::collection::vec(1..30u64, 0..3);
    (0..12u64, 0..12u64, waits).prop_map(|(held, part, waits)| (held, part.min(held), waits))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn it_finds_whom_no_order_serves(
        free in 0..10u64,
        tenants in prop::collection::vec(tenant(), 0..6),
    ) {
        prop_assert_eq!(reduced(free, &tenants), naive(free, &tenants));
    }
}

#[test]
fn what_one_that_does_not_wait_holds_comes_back_once() {
    assert_eq!(reduced(0, &[(10, 0, vec![]), (20, 0, vec![15]), (20, 0, vec![15])]), [1, 2]);
    assert_eq!(reduced(5, &[(10, 0, vec![]), (20, 0, vec![15]), (20, 0, vec![15])]), []);
}

#[test]
fn the_property_meets_circles() {
    assert_eq!(reduced(0, &[(6, 0, vec![2]), (4, 0, vec![1])]), [0, 1]);
    assert_eq!(
        reduced(1, &[(6, 0, vec![2]), (4, 0, vec![1])]),
        [],
        "one is served, then the other"
    );
    assert_eq!(reduced(0, &[(6, 1, vec![2]), (4, 0, vec![1])]), [], "one byte may be evicted");
    assert_eq!(reduced(0, &[(6, 0, vec![2]), (4, 0, vec![])]), [], "one does not wait");
    assert_eq!(reduced(0, &[(6, 0, vec![2]), (0, 0, vec![1])]), [], "one waits for itself alone");
    assert_eq!(reduced(0, &[(6, 0, vec![2]), (0, 0, vec![1]), (4, 0, vec![1])]), [0, 2]);
}

// What a governor says.

struct World {
    governor: Governor,
    clock: ManualClock,
}

fn world(capacity_mb: u64) -> World {
    let clock = ManualClock::new();
    let config = GovernorConfig {
        tenants_max: 16,
        grants_max: 4_096,
        quantum_bytes: 0,
        pool_pressure: false,
        clock: clock.clone().into(),
        ..GovernorConfig::new(capacity_mb * MIB)
    };
    World { governor: Governor::new(config).unwrap(), clock }
}

impl World {
    fn register(&self, number: u128, change: impl Fn(&mut TenantConfig)) -> TenantHandle {
        let mut config = TenantConfig::new(TenantId::from_u128(number), format!("t{number}"));
        config.isolation = Isolation::Hard;
        change(&mut config);
        self.governor.register_tenant(config).unwrap()
    }

    fn hold(&self, tenant: TenantHandle, mb: u64) -> Grant<'_> {
        self.governor.request(&fixed(tenant, mb)).unwrap()
    }

    fn wait(&self, tenant: TenantHandle, mb: u64) -> Ticket<'_> {
        let mut ticket = self.governor.enqueue(&fixed(tenant, mb), FOREVER).unwrap();
        assert!(ticket.poll().is_none(), "it waits");
        ticket
    }
}

/// What nobody else may take.
fn fixed(tenant: TenantHandle, mb: u64) -> Request {
    Request::new(tenant, AllocationType::ModelLoad, mb * MIB)
}

#[test]
fn two_that_wait_for_each_other_are_named_until_one_gives_way() {
    let world = world(100);
    let (one, two) = (world.register(1, |_| {}), world.register(2, |_| {}));
    let (_a, b) = (world.hold(one, 60), world.hold(two, 40));
    let _first = world.wait(one, 20);
    assert_eq!(world.governor.circular_wait(), None, "the other one does not wait");
    let second = world.wait(two, 10);
    let circle = world.governor.circular_wait().unwrap();
    assert_eq!((circle.account, circle.tenants.as_slice()), (AccountName::Pool, &[one, two][..]));
    assert_eq!((circle.held_bytes, circle.wanted_bytes), (100 * MIB, 30 * MIB));
    assert_eq!(
        circle.to_string(),
        "t1, t2 wait in a circle: they hold 100 MiB of the pool and wait for 30.0 MiB more, which \
         only they hold; one of them has to give something back or stop waiting"
    );
    let explained = world.governor.explain(&fixed(one, 1)).unwrap();
    assert_eq!(explained.circle.as_ref(), Some(&circle));
    assert!(explained.to_string().ends_with(&format!("\n  {circle}")), "{explained}");
    let three = world.register(3, |_| {});
    assert_eq!(world.governor.explain(&fixed(three, 1)).unwrap().circle, None);
    drop(second);
    assert_eq!(world.governor.circular_wait(), None, "it waits no more");
    let _second = world.wait(two, 10);
    assert!(world.governor.circular_wait().is_some());
    b.shrink(5 * MIB).unwrap();
    // Five are free now, for whom nobody of the two asks.
    assert!(world.governor.circular_wait().is_some());
    drop(b);
    assert_eq!(world.governor.circular_wait(), None);
}

#[test]
fn one_that_does_not_wait_may_end_it() {
    let world = world(100);
    let tenants = [1, 2, 3].map(|number| world.register(number, |_| {}));
    let _held: Vec<Grant> = tenants.iter().map(|&tenant| world.hold(tenant, 33)).collect();
    let _waits = [world.wait(tenants[0], 30), world.wait(tenants[1], 30)];
    assert_eq!(world.governor.circular_wait(), None, "the third may give 33 back");
    let _third = world.wait(tenants[2], 2);
    assert_eq!(world.governor.circular_wait().unwrap().names, ["t1", "t2", "t3"]);
}

#[test]
fn who_waits_at_its_own_limit_is_in_no_circle() {
    let world = world(100);
    let one = world.register(1, |config| config.limit_bytes = Some(60 * MIB));
    let two = world.register(2, |_| {});
    let _held = [world.hold(one, 60), world.hold(two, 40)];
    let _waits = [world.wait(one, 10), world.wait(two, 20)];
    assert_eq!(world.governor.circular_wait(), None);
}

#[test]
fn a_guarantee_is_no_help_to_others() {
    let world = world(100);
    let one = world.register(1, |config| config.guarantee_bytes = 30 * MIB);
    let (two, three) = (world.register(2, |_| {}), world.register(3, |_| {}));
    let _held = [world.hold(one, 30), world.hold(two, 35), world.hold(three, 35)];
    let _waits = [world.wait(two, 25), world.wait(three, 25)];
    let circle = world.governor.circular_wait().unwrap();
    assert_eq!(circle.tenants, [two, three], "though the first one could give back 30 MiB");
}

#[test]
fn what_may_be_evicted_is_no_part_of_a_circle() {
    let world = world(100);
    let one = world.register(1, |_| {});
    let two = world.register(2, |config| config.priority = Priority::Low);
    world.governor.on_reclaim(|_| ReclaimAnswer::Busy);
    let _fixed = world.hold(one, 60);
    let cached = Request::new(two, AllocationType::Cache, 40 * MIB);
    let _cached = world.governor.request(&cached).unwrap();
    let _waits = [world.wait(one, 20), world.wait(two, 10)];
    assert!(world.governor.circular_wait().is_some(), "its owner is busy with it");
    world.clock.advance_ns(2_000_000_000);
    assert_eq!(world.governor.circular_wait(), None, "it may be asked for again");
}

#[test]
fn a_circle_below_the_limit_of_a_group_is_found() {
    let world = world(1_000);
    let group = GroupConfig { limit_bytes: Some(100 * MIB), ..GroupConfig::new("team") };
    let group = world.governor.register_group(group).unwrap();
    let inside = |config: &mut TenantConfig| config.parent = Some(group);
    let (one, two) = (world.register(1, inside), world.register(2, inside));
    let _other = world.hold(world.register(3, |_| {}), 500);
    let _held = [world.hold(one, 60), world.hold(two, 40)];
    let _waits = [world.wait(one, 20), world.wait(two, 10)];
    let circle = world.governor.circular_wait().unwrap();
    assert_eq!((circle.account_name.as_str(), &circle.tenants[..]), ("team", &[one, two][..]));
}

#[test]
fn one_of_several_waits_that_others_do_not_hold_up_is_a_way_out() {
    let world = world(100);
    let one = world.register(1, |config| config.limit_bytes = Some(60 * MIB));
    let two = world.register(2, |_| {});
    let _held = [world.hold(one, 55), world.hold(two, 45)];
    let _waits = [world.wait(one, 5), world.wait(two, 10)];
    assert!(world.governor.circular_wait().is_some());
    let _own = world.wait(one, 10);
    assert_eq!(world.governor.circular_wait(), None, "its own limit is in the way of that one");
}

#[test]
fn what_is_set_aside_for_a_waiter_is_no_more_wanted() {
    let world = world(100);
    let [one, two, three] = [1, 2, 3].map(|number| world.register(number, |_| {}));
    let _held = [world.hold(one, 10), world.hold(two, 58), world.hold(three, 12)];
    let _long = world.wait(one, 30);
    world.clock.advance_ns(60_000_000_000);
    world.governor.balance();
    assert_eq!(world.governor.unclaimed_bytes(), 0, "20 are set aside");
    let (meter, usage) = (world.governor.meter(one), world.governor.usage(one).unwrap());
    assert_eq!(meter.unwrap().used_bytes, 10 * MIB, "which is not in use");
    assert_eq!((usage.used_bytes, usage.set_aside_bytes), (10 * MIB, 20 * MIB));
    let _other = world.wait(two, 15);
    assert_eq!(world.governor.circular_wait(), None, "12 of the third one would do");
    let _third = world.wait(three, 20);
    assert_eq!(world.governor.circular_wait().unwrap().wanted_bytes, (10 + 15 + 20) * MIB);
}
