// Scenarios of the gauge of `src/core/pressure.rs`, which lies in `account.rs`. Included by
// `pressure.rs`, where they hold, and by `core_mutants.rs`, where they fail.

use super::core::account::Accounts;
use super::core::pressure::{Gauge, Pressure, Thresholds};
use loom::sync::Arc;
use loom_tests::{model, thread};

const THRESHOLDS: Thresholds = Thresholds {
    warning_percent: 80,
    high_percent: 90,
    critical_percent: 95,
    hysteresis_percent: 5,
};

fn accounts() -> Arc<Accounts> {
    Arc::new(Accounts::new(100, 0, 1, 0))
}

/// Changes the gauge as the balancer and the monitor do.
fn change(accounts: &Accounts, to: impl Fn(Gauge) -> Gauge) {
    loop {
        let before = accounts.gauge();
        if accounts.change_gauge(before, to(before)) {
            return;
        }
    }
}

fn fill(accounts: &Accounts, live: u64) {
    change(accounts, |gauge| gauge.filled(&THRESHOLDS, live, 100));
}

fn report(accounts: &Accounts, level: Pressure) {
    change(accounts, |gauge| gauge.reported(level));
}

/// What the machine reports and what the fill says are told by different threads: neither is lost.
pub fn a_report_and_a_fill_are_both_in_force() {
    model("pressure::a_report_and_a_fill_are_both_in_force", None, || {
        let accounts = accounts();
        let other = accounts.clone();
        let monitor = thread::spawn(move || report(&other, Pressure::High));
        fill(&accounts, 96);
        monitor.join().unwrap();
        let gauge = accounts.gauge();
        let both = (gauge.fill(), gauge.machine(), gauge.is_warned());
        assert_eq!(both, (Pressure::Critical, Pressure::High, true), "LOST REPORT");
    });
}

/// Whoever looks while both change sees a level that is the worse of the two it stands for, and
/// finds it to rise as long as both do.
pub fn the_level_in_force_is_the_worse_of_the_two() {
    model("pressure::the_level_in_force_is_the_worse_of_the_two", Some(3), || {
        let accounts = accounts();
        let (one, two) = (accounts.clone(), accounts.clone());
        let monitor = thread::spawn(move || report(&one, Pressure::High));
        let balancer = thread::spawn(move || fill(&two, 96));
        let seen = [accounts.gauge(), accounts.gauge()];
        for gauge in seen {
            assert_eq!(gauge.level(), gauge.fill().max(gauge.machine()), "LOST REPORT");
        }
        assert!(seen[0].level() <= seen[1].level(), "LOST REPORT: it fell to {seen:?}");
        monitor.join().unwrap();
        balancer.join().unwrap();
        assert_eq!(accounts.gauge().level(), Pressure::Critical, "LOST REPORT");
    });
}
