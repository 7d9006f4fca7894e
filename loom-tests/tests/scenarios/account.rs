// Scenarios of `src/core/account.rs`. Included twice: by `account.rs`, which runs them against the
// library and expects them to hold, and by `account_mutants.rs`, which runs them against broken
// copies and expects them to fail. Whoever includes this file has the code under test in
// `super::account`.
//
// A scenario names the claim it proves. `FALSE DENIAL` is what it says when a request was refused
// although it fitted at every instant; `OVER-COMMIT` when more is held than a limit ever allowed.

use super::account::{Accounts, LEVELS, Obstacle, ROOT, Settings, Trimmed};
use allotment::internals::pressure::Pressure;
use allotment::internals::word::Purpose;
use loom::sync::{Arc, Mutex};
use loom_tests::{ALL, bound, thread};

/// (parent, limit, guarantee) of an account.
type Node = (u32, u64, u64);

/// Accounts, and beside them a ledger of what is held that no thread can tear.
struct Pool {
    accounts: Accounts,
    ledger: std::sync::Mutex<Ledger>,
    admin: Mutex<()>,
}

struct Ledger {
    held: Vec<u64>,
    /// The highest limit each account ever had.
    ceilings: Vec<u64>,
    parents: Vec<u32>,
}

fn settings(limit: u64, guarantee: u64) -> Settings {
    Settings { limits: [limit; LEVELS], guarantee, ..Settings::default() }
}

fn model(claim: &str, bound: Option<usize>, f: impl Fn() + Send + Sync + 'static) {
    loom_tests::model(&format!("account::{claim}"), bound, f);
}

impl Pool {
    /// Groups have the indices from 1, tenants those after them; all have generation 1. One more
    /// tenant may be opened.
    fn new(capacity: u64, quantum: u64, groups: &[Node], tenants: &[Node]) -> Arc<Self> {
        let (groups_max, tenants_max) = (groups.len() as u32, tenants.len() as u32 + 1);
        let accounts = Accounts::new(capacity, groups_max, tenants_max, quantum);
        let mut ledger = Ledger { held: vec![0], ceilings: vec![capacity], parents: vec![ROOT] };
        for (index, &(parent, limit, guarantee)) in (1..).zip(groups.iter().chain(tenants)) {
            accounts.open(index, parent, &settings(limit, guarantee)).expect("room at the start");
            ledger.add(parent, limit);
        }
        Arc::new(Self { accounts, ledger: std::sync::Mutex::new(ledger), admin: Mutex::new(()) })
    }

    fn charge(&self, index: u32, bytes: u64) -> Result<(), Obstacle> {
        self.charge_as(index, 1, bytes)
    }

    fn charge_as(&self, index: u32, generation: u32, bytes: u64) -> Result<(), Obstacle> {
        self.accounts.charge(index, generation, 0, bytes).inspect(|()| {
            self.ledger.lock().unwrap().enter(index, bytes);
        })
    }

    /// As the hot path does, which goes on in another way where this comes to nothing.
    fn charge_at_once(&self, index: u32, generation: u32, bytes: u64) -> bool {
        let account = self.accounts.get(index);
        let what = (bytes, Purpose::Request);
        let again = || self.accounts.charge_again(index, generation, what);
        let used = self.accounts.charge_at_once(account, generation, what, again);
        if used.is_some() {
            self.ledger.lock().unwrap().enter(index, bytes);
        }
        used.is_some()
    }

    /// The machine reports a level; nobody else changes it.
    fn report(&self, level: Pressure) {
        let before = self.accounts.gauge();
        assert!(self.accounts.change_gauge(before, before.reported(level)));
    }

    fn uncharge(&self, index: u32, bytes: u64) {
        self.ledger.lock().unwrap().held[index as usize] -= bytes;
        self.accounts.uncharge(index, bytes);
    }

    /// Charges and releases again, if there is room.
    fn use_once(&self, index: u32, bytes: u64) {
        if self.charge(index, bytes).is_ok() {
            self.uncharge(index, bytes);
        }
    }

    /// Leaves so many bytes of idle claim with a tenant that had none.
    fn make_idle(&self, index: u32, bytes: u64) {
        self.charge(index, bytes).unwrap();
        self.uncharge(index, bytes);
    }

    fn configure(&self, index: u32, limit: u64, guarantee: u64) -> Result<(), Obstacle> {
        let _admin = self.admin.lock().unwrap();
        self.ledger.lock().unwrap().raise_ceiling(index, limit);
        self.accounts.configure(index, &settings(limit, guarantee))
    }

    /// Closes the slot and, if it is drained, gives it away under another parent.
    fn close_and_reuse(&self, index: u32, parent: u32, guarantee: u64) -> Result<u32, Obstacle> {
        let _admin = self.admin.lock().unwrap();
        self.accounts.close(index);
        if !self.accounts.is_drained(index) {
            return Err(Obstacle::Contended);
        }
        self.ledger.lock().unwrap().parents[index as usize] = parent;
        self.accounts.open(index, parent, &settings(20, guarantee))
    }

    /// At rest: the invariants hold, and every byte is where the ledger says.
    fn check(&self) {
        self.accounts.assert_at_rest();
        let ledger = self.ledger.lock().unwrap();
        for index in self.accounts.tenants() {
            let (used, held) = (self.accounts.used(index), ledger.held[index as usize]);
            assert_eq!(used, held, "I3 account {index}: used {used}, held {held}");
        }
    }

    /// After everything was released and trimmed, only guarantees are left: no byte is stranded.
    fn check_nothing_stranded(&self, guaranteed: u64) {
        self.accounts.collect(ROOT, u64::MAX);
        self.check();
        let used = self.accounts.used(ROOT);
        assert_eq!(used, guaranteed, "STRANDED: {used} used of the root, {guaranteed} guaranteed");
    }
}

impl Ledger {
    fn add(&mut self, parent: u32, limit: u64) {
        self.held.push(0);
        self.parents.push(parent);
        self.ceilings.push(limit);
    }

    fn raise_ceiling(&mut self, account: u32, limit: u64) {
        let ceiling = &mut self.ceilings[account as usize];
        *ceiling = limit.max(*ceiling);
    }

    fn enter(&mut self, index: u32, bytes: u64) {
        self.held[index as usize] += bytes;
        for (account, &ceiling) in self.ceilings.iter().enumerate() {
            let held = self.held_below(account as u32);
            assert!(held <= ceiling, "OVER-COMMIT: account {account} holds {held} of {ceiling}");
        }
    }

    fn held_below(&self, account: u32) -> u64 {
        let below = |&i: &usize| self.is_below(i as u32, account);
        (0..self.held.len()).filter(below).map(|i| self.held[i]).sum()
    }

    fn is_below(&self, index: u32, account: u32) -> bool {
        index == account || index != ROOT && self.is_below(self.parents[index as usize], account)
    }
}

fn assert_not_denied(answer: Result<(), Obstacle>) {
    assert!(!matches!(answer, Err(Obstacle::Full { .. })), "FALSE DENIAL: {answer:?}");
}

/// Runs `f` beside the caller.
fn beside<T: 'static>(pool: &Arc<Pool>, f: impl FnOnce(&Pool) -> T + 'static) -> Thread<T> {
    let pool = pool.clone();
    thread::spawn(move || f(&pool))
}

type Thread<T> = thread::JoinHandle<T>;

/// Runs `one` beside the caller, and with `ALLOT_LOOM=full` also `two`: three threads take minutes.
fn beside_if_full(
    pool: &Arc<Pool>,
    one: impl FnOnce(&Pool) + 'static,
    two: impl FnOnce(&Pool) + 'static,
) -> Vec<Thread<()>> {
    let mut threads = vec![beside(pool, one)];
    if loom_tests::full() {
        threads.push(beside(pool, two));
    }
    threads
}

fn join(threads: Vec<Thread<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

// ---- A denial is true.

/// Tenant 1 can never hold more than 80 of 100 bytes, and 50 at a time, whoever of its requests
/// wins: the purchase of the one that loses is on its way, not in use.
fn race_for_a_limit(name: &str, quantum: u64) {
    model(name, bound(1, 2), move || {
        let pool = Pool::new(100, quantum, &[], &[(ROOT, 80, 0), (ROOT, 100, 0)]);
        let one = beside(&pool, |pool| pool.charge(1, 50));
        let two = beside(&pool, |pool| pool.charge(1, 50));
        assert_not_denied(pool.charge(2, 50));
        let both = [one.join().unwrap(), two.join().unwrap()];
        assert!(both.iter().any(Result::is_err), "OVER-COMMIT: {both:?}");
        pool.check();
    });
}

pub fn requests_racing_for_a_limit_deny_nobody_else() {
    race_for_a_limit("requests_racing_for_a_limit_deny_nobody_else", 0);
}

pub fn a_quantum_bought_in_vain_denies_nobody_else() {
    race_for_a_limit("a_quantum_bought_in_vain_denies_nobody_else", 30);
}

/// The idle bytes of tenant 1 leave its claim before they reach the root.
pub fn bytes_being_handed_back_deny_nobody() {
    model("bytes_being_handed_back_deny_nobody", bound(2, 2), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 0), (ROOT, 10, 0)]);
        pool.make_idle(1, 5);
        let balancer = beside(&pool, |pool| pool.accounts.trim(1));
        assert_not_denied(pool.charge(2, 10));
        balancer.join().unwrap();
        pool.check();
    });
}

pub fn a_request_beyond_the_limit_denies_no_smaller_one() {
    model("a_request_beyond_the_limit_denies_no_smaller_one", None, || {
        let pool = Pool::new(50, 0, &[], &[(ROOT, 10, 0)]);
        let large = beside(&pool, |pool| pool.charge(1, 20));
        assert_not_denied(pool.charge(1, 6));
        assert!(large.join().unwrap().is_err());
        pool.check();
    });
}

pub fn a_large_refused_request_denies_no_small_one() {
    model("a_large_refused_request_denies_no_small_one", bound(1, 2), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 0), (ROOT, 50, 0)]);
        let large = beside(&pool, |pool| pool.charge(2, 20));
        assert_not_denied(pool.charge(1, 6));
        assert!(large.join().unwrap().is_err());
        pool.check();
    });
}

/// The payment goes through a group: its sibling below the group must not see it as use.
pub fn a_payment_on_its_way_through_a_group_denies_no_sibling() {
    model("a_payment_on_its_way_through_a_group_denies_no_sibling", bound(1, 1), || {
        let pool = Pool::new(200, 100, &[(ROOT, 100, 0)], &[(1, 100, 0), (1, 100, 0)]);
        let other = beside(&pool, |pool| pool.charge(2, 50));
        assert_not_denied(pool.charge(3, 50));
        assert_not_denied(other.join().unwrap());
        pool.check();
    });
}

/// 4 idle bytes of a group move down to its tenant while the root, which is short of them,
/// refuses somebody else and looks.
pub fn idle_bytes_of_a_group_that_move_down_deny_nobody() {
    model("idle_bytes_of_a_group_that_move_down_deny_nobody", bound(4, 4), || {
        let tenants = [(1, 10, 0), (1, 5, 0), (ROOT, 10, 0)];
        let pool = Pool::new(10, 0, &[(ROOT, 10, 0)], &tenants);
        pool.make_idle(2, 5);
        assert_eq!(pool.accounts.trim(2), Trimmed::Freed(5));
        pool.charge(3, 1).unwrap();
        let sibling = beside(&pool, |pool| {
            let _ = pool.charge(3, 5);
            pool.charge(3, 3)
        });
        assert_not_denied(pool.charge(4, 6));
        assert_not_denied(sibling.join().unwrap());
        pool.check();
    });
}

/// Tenant 2 holds idle claim. Use moves from tenant 1 to tenant 2 while tenant 3 is refused and
/// looks: it sees 1 before and 2 after the move, both in use, and yet 5 bytes were always free.
pub fn use_that_moves_between_tenants_denies_nobody() {
    model("use_that_moves_between_tenants_denies_nobody", bound(2, 3), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 0), (ROOT, 10, 0), (ROOT, 10, 0)]);
        pool.charge(1, 5).unwrap();
        pool.make_idle(2, 5);
        let mover = beside(&pool, |pool| {
            pool.uncharge(1, 5);
            let _ = pool.charge(2, 5);
        });
        assert_not_denied(pool.charge(3, 5));
        mover.join().unwrap();
        pool.check();
    });
}

/// As above, there and back and there again: each of two looks finds both in use.
pub fn use_that_moves_to_and_fro_denies_nobody() {
    model("use_that_moves_to_and_fro_denies_nobody", bound(1, 2), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 0), (ROOT, 10, 0), (ROOT, 10, 0)]);
        pool.charge(1, 5).unwrap();
        pool.make_idle(2, 5);
        let mover = beside(&pool, |pool| {
            for (from, to) in [(1, 2), (2, 1), (1, 2)] {
                pool.uncharge(from, 5);
                if pool.charge(to, 5).is_err() {
                    break;
                }
            }
        });
        assert_not_denied(pool.charge(3, 5));
        mover.join().unwrap();
        pool.check();
    });
}

/// The limit falls and rises again while it always suffices: no use that an earlier limit allowed
/// ever met the low one.
pub fn limits_that_always_suffice_deny_nobody() {
    model("limits_that_always_suffice_deny_nobody", bound(2, 2), || {
        let pool = Pool::new(50, 0, &[], &[(ROOT, 12, 0)]);
        pool.charge(1, 6).unwrap();
        let admin = beside(&pool, |pool| {
            pool.configure(1, 11, 0).unwrap();
            pool.uncharge(1, 6);
            pool.configure(1, 5, 0).unwrap();
            pool.configure(1, 11, 0).unwrap();
            pool.charge(1, 6)
        });
        assert_not_denied(pool.charge(1, 5));
        assert_not_denied(admin.join().unwrap());
        pool.check();
    });
}

/// Limit 11, under pressure 5.
fn limits_by_level() -> Settings {
    Settings { limits: [11, 5, 5], ..settings(11, 0) }
}

pub fn pressure_that_rises_after_a_release_denies_nobody() {
    model("pressure_that_rises_after_a_release_denies_nobody", None, || {
        let pool = Pool::new(50, 0, &[], &[(ROOT, 11, 0)]);
        pool.accounts.configure(1, &limits_by_level()).unwrap();
        pool.charge(1, 6).unwrap();
        let other = beside(&pool, |pool| {
            pool.uncharge(1, 6);
            pool.report(Pressure::High);
        });
        assert_not_denied(pool.charge(1, 5));
        other.join().unwrap();
        pool.check();
    });
}

pub fn pressure_that_comes_and_goes_denies_nobody() {
    model("pressure_that_comes_and_goes_denies_nobody", bound(3, 4), || {
        let pool = Pool::new(50, 0, &[], &[(ROOT, 11, 0)]);
        pool.accounts.configure(1, &limits_by_level()).unwrap();
        pool.charge(1, 6).unwrap();
        let other = beside(&pool, |pool| {
            pool.uncharge(1, 6);
            pool.report(Pressure::High);
            pool.report(Pressure::Normal);
            pool.charge(1, 6)
        });
        assert_not_denied(pool.charge(1, 5));
        assert_not_denied(other.join().unwrap());
        pool.check();
    });
}

/// As `bytes_being_handed_back_deny_nobody`, for an administrator who raises a guarantee.
pub fn bytes_being_handed_back_refuse_no_guarantee() {
    model("bytes_being_handed_back_refuse_no_guarantee", bound(2, 2), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 0), (ROOT, 10, 0)]);
        pool.make_idle(1, 5);
        let balancer = beside(&pool, |pool| pool.accounts.trim(1));
        assert_not_denied(pool.configure(2, 10, 10));
        balancer.join().unwrap();
        pool.check();
    });
}

pub fn a_registration_denies_nobody() {
    model("a_registration_denies_nobody", bound(4, 5), || {
        let pool = Pool::new(100, 40, &[], &[(ROOT, 100, 0)]);
        let newcomer = beside(&pool, |pool| {
            pool.ledger.lock().unwrap().add(ROOT, 100);
            assert_not_denied(pool.accounts.open(2, ROOT, &settings(100, 20)).map(|_| ()));
            pool.charge(2, 50)
        });
        assert_not_denied(pool.charge(1, 50));
        assert_not_denied(newcomer.join().unwrap());
        pool.check();
    });
}

// ---- Nothing is over-committed, nothing is lost.

pub fn two_tenants_that_fit_share_a_quantum() {
    model("two_tenants_that_fit_share_a_quantum", bound(1, 2), || {
        let pool = Pool::new(100, 80, &[], &[(ROOT, 100, 0), (ROOT, 100, 0)]);
        let other = beside(&pool, |pool| pool.charge(2, 60));
        assert_not_denied(pool.charge(1, 40));
        assert_not_denied(other.join().unwrap());
        pool.check();
    });
}

/// Two requests of tenant 1, of which the larger can not be paid for.
pub fn nobody_uses_a_claim_before_it_is_paid() {
    model("nobody_uses_a_claim_before_it_is_paid", bound(5, 7), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 0), (ROOT, 10, 0)]);
        pool.charge(2, 8).unwrap();
        let large = beside(&pool, |pool| pool.charge(1, 5));
        let small = pool.charge(1, 3);
        assert!(small.is_err() && large.join().unwrap().is_err(), "OVER-COMMIT: {small:?}");
        pool.check();
    });
}

/// The claim is trimmed away for tenant 2 while tenant 1 takes it into use.
pub fn a_trim_and_a_charge_never_both_have_the_claim() {
    model("a_trim_and_a_charge_never_both_have_the_claim", bound(2, 2), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 0), (ROOT, 10, 0)]);
        pool.make_idle(1, 5);
        let other = beside(&pool, |pool| pool.charge(2, 8));
        let mine = pool.charge(1, 5);
        let both = (mine, other.join().unwrap());
        assert!(!matches!(both, (Ok(()), Ok(()))), "OVER-COMMIT: {both:?}");
        pool.check();
    });
}

/// As above, by the short way.
pub fn a_trim_and_a_charge_at_once_never_both_have_the_claim() {
    model("a_trim_and_a_charge_at_once_never_both_have_the_claim", bound(3, ALL), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 0), (ROOT, 10, 0)]);
        pool.make_idle(1, 5);
        let other = beside(&pool, |pool| pool.charge(2, 8));
        let mine = pool.charge_at_once(1, 1, 5);
        let theirs = other.join().unwrap();
        assert!(!(mine && theirs.is_ok()), "OVER-COMMIT: 5 and 8 of 10");
        pool.check();
    });
}

/// As many trims as there are versions, and as many releases, while a charge sleeps that has read
/// a claim of 8 bytes: the used word looks the same again, and the claim is 5.
fn sleep_through_trims(name: &str, bound: Option<usize>, charge: fn(&Pool)) {
    model(name, bound, move || {
        let pool = Pool::new(20, 0, &[], &[(ROOT, 10, 0), (ROOT, 20, 0)]);
        pool.charge(1, 8).unwrap();
        pool.uncharge(1, 4);
        let other = beside(&pool, |pool| {
            pool.accounts.trim(1);
            for _ in 0..3 {
                pool.use_once(1, 1);
                pool.accounts.trim(1);
            }
            pool.use_once(1, 1);
            pool.charge(2, 15)
        });
        charge(&pool);
        let _ = other.join().unwrap();
        pool.check();
    });
}

pub fn a_charge_that_slept_through_all_trim_versions_notices() {
    let name = "a_charge_that_slept_through_all_trim_versions_notices";
    sleep_through_trims(name, bound(1, 1), |pool| {
        let _ = pool.charge(1, 4);
    });
}

pub fn a_charge_at_once_that_slept_through_all_trim_versions_notices() {
    let name = "a_charge_at_once_that_slept_through_all_trim_versions_notices";
    sleep_through_trims(name, bound(2, 3), |pool| {
        pool.charge_at_once(1, 1, 4);
    });
}

/// As many configurations as there are versions, while a charge sleeps between the used word and
/// the record: what it reads of the record was in force, but not at that version.
fn sleep_through_configurations(name: &str, usual: usize, claim: u64, charge: fn(&Pool)) {
    model(name, bound(usual, usual + 1), move || {
        let pool = Pool::new(50, 0, &[], &[(ROOT, 10, 0)]);
        if claim > 0 {
            pool.make_idle(1, claim);
        }
        pool.charge(1, 1).unwrap();
        let admin = beside(&pool, |pool| {
            pool.configure(1, 10, 0).unwrap();
            pool.configure(1, 10, 0).unwrap();
            pool.configure(1, 3, 0).unwrap();
            let used = pool.accounts.used(1);
            pool.configure(1, 3, 0).unwrap();
            used
        });
        charge(&pool);
        let most = admin.join().unwrap().max(3);
        let used = pool.accounts.used(1);
        assert!(used <= most, "OVER-COMMIT: {used} in use, {most} when the limit fell");
        pool.check();
    });
}

pub fn a_charge_that_slept_through_all_config_versions_notices() {
    let name = "a_charge_that_slept_through_all_config_versions_notices";
    sleep_through_configurations(name, 1, 0, |pool| {
        let _ = pool.charge(1, 5);
    });
}

pub fn a_charge_at_once_that_slept_through_all_config_versions_notices() {
    let name = "a_charge_at_once_that_slept_through_all_config_versions_notices";
    sleep_through_configurations(name, 2, 6, |pool| {
        pool.charge_at_once(1, 1, 5);
    });
}

/// The capacity falls under two requests: use never grows beyond it afterwards.
pub fn no_charge_passes_a_lowered_capacity() {
    model("no_charge_passes_a_lowered_capacity", bound(3, 4), || {
        let pool = Pool::new(200, 40, &[], &[(ROOT, 200, 0), (ROOT, 200, 0)]);
        pool.charge(1, 60).unwrap();
        let most = Arc::new(std::sync::Mutex::new(0));
        let lowered = most.clone();
        let other = beside(&pool, move |pool| {
            pool.configure(ROOT, 80, 0).unwrap();
            *lowered.lock().unwrap() = pool.accounts.used(ROOT).max(80);
        });
        let _ = pool.charge(2, 70);
        other.join().unwrap();
        let (used, most) = (pool.accounts.used(ROOT), *most.lock().unwrap());
        assert!(used <= most, "OVER-COMMIT: {used} in use, {most} when the capacity fell");
        pool.check();
    });
}

/// A quantum is bought while the capacity falls below it: what nobody uses of it has gone when the
/// capacity is in force, and carries no charge.
pub fn nothing_bought_before_carries_use_beyond_a_lowered_capacity() {
    let name = "nothing_bought_before_carries_use_beyond_a_lowered_capacity";
    model(name, bound(2, 3), || {
        let pool = Pool::new(60, 40, &[], &[(ROOT, 60, 0)]);
        pool.charge(1, 2).unwrap();
        let idle = pool.accounts.claim(1) - 2;
        let other = beside(&pool, |pool| {
            pool.configure(ROOT, 10, 0).unwrap();
            pool.accounts.settle(ROOT, thread::yield_now);
            pool.charge(1, 9)
        });
        let _ = pool.charge(1, idle + 1);
        let late = other.join().unwrap();
        assert!(late.is_err(), "OVER-COMMIT: 11 bytes at least, 10 when the capacity fell");
        pool.check();
    });
}

pub fn three_levels_stay_in_balance() {
    model("three_levels_stay_in_balance", bound(2, 3), || {
        let tenants = [(1, 100, 20), (1, 100, 0), (ROOT, 120, 0)];
        let pool = Pool::new(120, 40, &[(ROOT, 100, 40)], &tenants);
        let other = beside(&pool, |pool| pool.use_once(2, 50));
        pool.use_once(4, 70);
        other.join().unwrap();
        pool.check_nothing_stranded(40);
    });
}

// ---- A guarantee holds.

pub fn a_request_within_its_guarantee_is_granted_whatever_others_do() {
    let name = "a_request_within_its_guarantee_is_granted_whatever_others_do";
    model(name, bound(3, 2), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 4), (ROOT, 10, 0)]);
        pool.make_idle(1, 6);
        let others = beside_if_full(
            &pool,
            |pool| assert_not_denied(pool.charge(2, 6)),
            |pool| pool.configure(1, 9, 4).unwrap(),
        );
        let charged = pool.charge(1, 4);
        // With as few versions as here a configuration and a trim look like all of them.
        let slept = loom_tests::full() && charged == Err(Obstacle::Contended);
        assert!(charged.is_ok() || slept, "4 bytes are guaranteed: {charged:?}");
        join(others);
        pool.check();
    });
}

pub fn a_guarantee_raised_during_requests_is_paid_for() {
    model("a_guarantee_raised_during_requests_is_paid_for", bound(1, 2), || {
        let pool = Pool::new(10, 0, &[], &[(ROOT, 10, 0), (ROOT, 10, 0)]);
        let other = beside(&pool, |pool| {
            let _ = pool.charge(2, 6);
        });
        if pool.configure(1, 10, 5).is_ok() {
            pool.charge(1, 2).expect("5 bytes are guaranteed, and none are in use");
        }
        other.join().unwrap();
        pool.check();
    });
}

pub fn a_guarantee_raised_and_lowered_again_strands_nothing() {
    model("a_guarantee_raised_and_lowered_again_strands_nothing", bound(2, 3), || {
        let pool = Pool::new(100, 20, &[], &[(ROOT, 100, 20), (ROOT, 100, 0)]);
        let other = beside(&pool, |pool| pool.use_once(1, 40));
        let _ = pool.configure(1, 100, 50);
        pool.configure(1, 100, 0).unwrap();
        other.join().unwrap();
        pool.check_nothing_stranded(0);
    });
}

/// A guarantee that is paid for when it is looked at, and no more when it is to be put in force:
/// the configuration is refused, and what there was goes on as before.
pub fn a_refused_configuration_leaves_the_short_way_open() {
    model("a_refused_configuration_leaves_the_short_way_open", bound(2, 2), || {
        let pool = Pool::new(4, 0, &[], &[(ROOT, 4, 0), (ROOT, 4, 0)]);
        pool.make_idle(1, 4);
        let other = beside(&pool, |pool| {
            pool.accounts.trim(1);
            pool.charge(2, 4).is_ok()
        });
        let configured = pool.configure(1, 4, 4);
        if other.join().unwrap() {
            pool.uncharge(2, 4);
        }
        if configured.is_err() {
            pool.make_idle(1, 4);
            assert!(pool.charge_at_once(1, 1, 4), "SHUT: nothing is in the way");
        }
        pool.check();
    });
}

pub fn of_two_configurations_one_is_in_force_whole() {
    model("of_two_configurations_one_is_in_force_whole", None, || {
        let pool = Pool::new(20, 0, &[], &[(ROOT, 10, 2)]);
        let other = beside(&pool, |pool| pool.configure(1, 10, 8).unwrap());
        pool.configure(1, 6, 0).unwrap();
        other.join().unwrap();
        let now = pool.accounts.settings(1);
        assert!(now == settings(10, 8) || now == settings(6, 0), "MIXED RECORD: {now:?}");
        pool.check_nothing_stranded(now.guarantee);
    });
}

// ---- Closing, and the next tenant in the same slot.

/// Tenant 3 moves from group 1 to group 2; the request of its predecessor is under way.
fn reuse(name: &str, guarantee: u64) {
    model(name, bound(2, 2), move || {
        let groups = [(ROOT, 20, 0), (ROOT, 20, 0)];
        let pool = Pool::new(40, 0, &groups, &[(1, 20, guarantee)]);
        let admin = beside(&pool, |pool| {
            let next = pool.close_and_reuse(3, 2, 0);
            if let Ok(generation) = next
                && pool.charge_as(3, generation, 3).is_ok()
            {
                pool.uncharge(3, 3);
            }
            next
        });
        let answer = pool.charge(3, 5);
        let reused = admin.join().unwrap();
        assert!(!(reused.is_ok() && answer.is_ok()), "WRONG TENANT: {answer:?} and {reused:?}");
        pool.check();
    });
}

pub fn a_payment_of_the_last_tenant_never_reaches_the_next() {
    reuse("a_payment_of_the_last_tenant_never_reaches_the_next", 0);
}

pub fn a_charge_of_the_last_tenant_never_reaches_the_next() {
    reuse("a_charge_of_the_last_tenant_never_reaches_the_next", 5);
}

/// The next tenant has claim for what its predecessor asks for, so nothing has to be bought.
pub fn a_charge_at_once_of_the_last_tenant_never_reaches_the_next() {
    let name = "a_charge_at_once_of_the_last_tenant_never_reaches_the_next";
    // Loom overlooks the order in which the whole of one comes before the other, if that one starts
    // the other.
    for exchanged in [false, true] {
        let name = if exchanged { format!("{name}, roles exchanged") } else { name.to_string() };
        model(&name, bound(3, 4), move || {
            let groups = [(ROOT, 20, 0), (ROOT, 20, 0)];
            let pool = Pool::new(40, 0, &groups, &[(1, 20, 5)]);
            let charge = |pool: &Pool| pool.charge_at_once(3, 1, 5);
            let reuse = |pool: &Pool| pool.close_and_reuse(3, 2, 5);
            let (charged, reused) = if exchanged {
                let charges = beside(&pool, charge);
                let reused = reuse(&pool);
                (charges.join().unwrap(), reused)
            } else {
                let admin = beside(&pool, reuse);
                (charge(&pool), admin.join().unwrap())
            };
            assert!(!(reused.is_ok() && charged), "WRONG TENANT: {reused:?}");
            pool.check();
        });
    }
}

pub fn a_slot_is_reused_only_after_the_last_release() {
    model("a_slot_is_reused_only_after_the_last_release", bound(2, 2), || {
        let groups = [(ROOT, 20, 0), (ROOT, 20, 0)];
        let pool = Pool::new(40, 2, &groups, &[(1, 20, 3)]);
        pool.charge(3, 5).unwrap();
        let admin = beside(&pool, |pool| pool.close_and_reuse(3, 2, 4));
        pool.uncharge(3, 5);
        let answer = pool.charge(3, 2);
        let reused = admin.join().unwrap();
        assert!(!(reused.is_ok() && answer.is_ok()), "WRONG TENANT: {answer:?} and {reused:?}");
        pool.check();
    });
}

pub fn a_release_during_the_close_strands_nothing() {
    model("a_release_during_the_close_strands_nothing", None, || {
        let pool = Pool::new(20, 2, &[(ROOT, 20, 0)], &[(1, 20, 3)]);
        pool.charge(2, 5).unwrap();
        let admin = beside(&pool, |pool| pool.accounts.close(2));
        pool.uncharge(2, 5);
        admin.join().unwrap();
        assert!(pool.accounts.is_drained(2), "STRANDED: the closed account is not empty");
        pool.check_nothing_stranded(0);
    });
}

pub fn a_payment_during_the_close_strands_nothing() {
    model("a_payment_during_the_close_strands_nothing", bound(5, 6), || {
        let pool = Pool::new(20, 2, &[(ROOT, 20, 0)], &[(1, 20, 0)]);
        let admin = beside(&pool, |pool| pool.accounts.close(2));
        pool.use_once(2, 5);
        admin.join().unwrap();
        assert!(pool.accounts.is_drained(2), "STRANDED: the closed account is not empty");
        pool.check_nothing_stranded(0);
    });
}
