// Scenarios of `src/core/wait.rs` and `waiters.rs`: somebody waits for bytes while another thread
// frees, buys, takes back or ends them. Included by `wait.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// `FORGOTTEN` is what a scenario says when a waiter that fits still waits although nobody is at
// work any more, `LOST BYTES` when bytes are left in use that nobody holds.

include!("scene.rs");

use super::core::order::MODEL_LOAD;
use super::core::wait::{Decided, Left};
use super::core::waiters::{Outcome, Ticket};

const NEVER: u64 = u64::MAX;
/// Later than the patience and every other deadline.
const LATE: u64 = 100;

impl Scene {
    /// What the front door does after bytes came free.
    fn serve_waiters(&self, now_ns: u64) {
        if self.core.scarcity.is_waited() {
            self.hand_over(now_ns);
        }
    }

    /// What it does after a request.
    fn serve_noted(&self) {
        let scarcity = &self.core.scarcity;
        if scarcity.is_waited() && (scarcity.is_unsettled() || self.core.waiting.is_noted()) {
            self.hand_over(0);
        }
    }

    fn hand_over(&self, now_ns: u64) {
        // Left to who waits; where nobody does it goes on.
        while self.core.hand_over(now_ns, &mut Decided::default()) == Left::Noted {
            if self.core.scarcity.is_waited() {
                *self.woken.lock().unwrap() = true;
                return;
            }
        }
    }

    fn enter(&self, tenant: u32, bytes: u64, deadline_ns: u64) -> Ticket {
        let ask = Self::ask(tenant, MODEL_LOAD, bytes);
        let ticket = self.core.enter_line(&ask, deadline_ns).expect("there is a place");
        self.hand_over(0);
        ticket
    }

    fn let_go(&self, tenant: u32, kind: u8, granted: Granted, now_ns: u64) {
        assert!(self.release(tenant, kind, granted));
        self.serve_waiters(now_ns);
    }

    fn give_up(&self, tenant: u32, ticket: Ticket) {
        if self.core.withdraw(ticket) {
            self.hand_over(0);
            return;
        }
        match self.core.take_outcome(ticket) {
            Outcome::Granted(slot, generation) => {
                self.let_go(tenant, MODEL_LOAD, (slot, generation), 0);
            }
            other => panic!("decided, but {other:?}"),
        }
    }

    /// The grant of a waiter that fits, once everything is at rest.
    fn served(&self, ticket: Ticket) -> Granted {
        if *self.woken.lock().unwrap() {
            self.serve_noted();
        }
        match self.core.take_outcome(ticket) {
            Outcome::Granted(slot, generation) => (slot, generation),
            other => panic!("FORGOTTEN: {other:?}"),
        }
    }

    /// At rest, with nobody in line.
    fn check_line(&self) {
        self.hand_over(LATE);
        assert_eq!(self.core.waiting.aside_bytes(), 0, "LOST BYTES: set aside");
        assert_eq!(self.core.waiting.waiters.taken(), 0, "a cell is left behind");
        assert_eq!(self.core.scarcity.waiters(), 0, "somebody is still counted");
    }
}

/// S1 and W4: whoever begins to wait while the last bytes come free finds them, or is found.
fn a_release_finds_who_begins_to_wait(holder: u32) {
    let name = format!("wait::a_release_by_{holder}_finds_who_begins_to_wait");
    both_ways(&name, bound(1, 2), move |roles| {
        let scene = Arc::new(Scene::new(2, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)]));
        let held = scene.admit(holder, CACHE, 2).unwrap();
        let release = move |scene: &Scene| scene.let_go(holder, CACHE, held, 0);
        let wait = |scene: &Scene| scene.enter(2, 2, NEVER);
        let ((), ticket) = roles.race(&scene, release, wait);
        let granted = scene.served(ticket);
        assert_eq!(scene.used(2), 2);
        scene.let_go(2, MODEL_LOAD, granted, 0);
        scene.check_line();
        scene.check();
    });
}

pub fn a_release_of_its_own_finds_who_begins_to_wait() {
    a_release_finds_who_begins_to_wait(2);
}

pub fn a_release_of_another_finds_who_begins_to_wait() {
    a_release_finds_who_begins_to_wait(1);
}

/// W5: what a request buys beyond its need does not stay with it while somebody waits for it.
pub fn what_is_bought_beyond_the_need_is_not_withheld() {
    let name = "wait::what_is_bought_beyond_the_need_is_not_withheld";
    both_ways(name, bound(1, 2), |roles| {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)];
        let scene = Arc::new(Scene::buying(8, ReclaimAnswer::Freed, 16, &[], &tenants));
        // So that there is room for both, and for a purchase of one more byte.
        let request = |scene: &Scene| {
            let granted = scene.admit(1, CACHE, 2);
            scene.serve_noted();
            granted
        };
        let (first, ticket) = roles.race(&scene, request, |s: &Scene| s.enter(2, 14, NEVER));
        let waiter = scene.served(ticket);
        assert!(first.is_ok());
        scene.let_go(1, CACHE, first.unwrap(), 0);
        scene.let_go(2, MODEL_LOAD, waiter, 0);
        scene.check_line();
        scene.check();
    });
}

/// W4 and W5: what was bought for a waiter that does not fit after all goes to one that does.
pub fn what_is_bought_in_vain_for_a_waiter_goes_to_the_next() {
    let name = "wait::what_is_bought_in_vain_for_a_waiter_goes_to_the_next";
    both_ways(name, bound(2, 3), |roles| {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 2, 0), (ROOT, ANY, 0, 0)]));
        let held = scene.admit(1, CACHE, 2).unwrap();
        let large = scene.enter(1, 4, NEVER);
        assert!(scene.release(1, CACHE, held));
        let release = |scene: &Scene| scene.serve_waiters(0);
        let others = |scene: &Scene| {
            // Of what is guaranteed, so that nothing is bought for it.
            let small = scene.admit(1, CACHE, 1);
            scene.serve_noted();
            (small, scene.enter(2, 2, NEVER))
        };
        let ((), (small, next)) = roles.race(&scene, release, others);
        let large_first = small.is_err();
        if let Ok(small) = small {
            let next = scene.served(next);
            scene.let_go(1, CACHE, small, 0);
            scene.let_go(2, MODEL_LOAD, next, 0);
        }
        let large = scene.served(large);
        scene.let_go(1, MODEL_LOAD, large, 0);
        if large_first {
            let next = scene.served(next);
            scene.let_go(2, MODEL_LOAD, next, 0);
        }
        scene.check_line();
        scene.check();
    });
}

/// W4: a growth that is refused may have taken what was bought for a waiter at that moment. Whoever
/// serves that finds all in use then, and nothing to give up; so the growth says that there is.
pub fn a_refused_growth_says_that_it_may_have_collected() {
    let name = "wait::a_refused_growth_says_that_it_may_have_collected";
    both_ways(name, bound(3, 3), |roles| {
        let scene = Arc::new(Scene::new(3, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)]));
        let (slot, generation) = scene.admit(1, CACHE, 1).unwrap();
        scene.core.scarcity.enter();
        assert!(scene.core.scarcity.settle());
        let grow = move |scene: &Scene| {
            let owner = Scene::ask(1, CACHE, 1).owner();
            scene.core.grow(slot, generation, owner, 3, &Nobody).unwrap()
        };
        let serve = |scene: &Scene| {
            let served = scene.core.accounts.charge_once(2, 1, 0, 2);
            if served.is_err() {
                scene.core.give_up_rest(2);
            }
            served
        };
        let (grown, served) = roles.race(&scene, grow, serve);
        assert!(grown.is_err(), "there are not as many bytes");
        assert!(served.is_ok() || scene.core.is_unsettled(), "FORGOTTEN: {served:?}");
        scene.core.scarcity.leave();
        scene.core.accounts.assert_at_rest();
    });
}

/// W6: a purchase that takes more than it needs, for a moment, lets nobody be overtaken.
pub fn bytes_on_their_way_let_no_later_waiter_pass() {
    model("wait::bytes_on_their_way_let_no_later_waiter_pass", bound(1, 1), || {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)];
        let scene = Arc::new(Scene::buying(8, ReclaimAnswer::Freed, 16, &[], &tenants));
        let held = scene.admit(2, CACHE, 5).unwrap();
        let first = scene.enter(1, 15, NEVER);
        let second = scene.enter(1, 14, NEVER);
        assert!(scene.release(2, CACHE, held));
        let walking = scene.clone();
        let walk = thread::spawn(move || walking.serve_waiters(0));
        // Of the 16 bytes that are free it needs one, and takes two.
        let small = scene.admit(2, CACHE, 1);
        scene.serve_noted();
        walk.join().unwrap();
        if *scene.woken.lock().unwrap() {
            scene.serve_noted();
        }
        if small.is_ok() {
            let outcome = scene.core.take_outcome(second);
            assert_eq!(outcome, Outcome::Waiting, "OVERTAKEN: the first one fits");
        }
        scene.served(first);
        scene.core.accounts.assert_at_rest();
    });
}

/// W2: a waiter that gives up while it is served has a grant or has none, and no byte is lost.
pub fn giving_up_and_being_served_agree() {
    both_ways("wait::giving_up_and_being_served_agree", bound(2, ALL), |roles| {
        let scene = Arc::new(Scene::new(2, &[], &[(ROOT, ANY, 0, 0)]));
        let held = scene.admit(1, CACHE, 2).unwrap();
        let ticket = scene.enter(1, 2, NEVER);
        let release = move |scene: &Scene| scene.let_go(1, CACHE, held, 0);
        roles.race(&scene, release, move |scene: &Scene| scene.give_up(1, ticket));
        assert_eq!(scene.used(1), 0, "LOST BYTES");
        scene.check_line();
        scene.check();
    });
}

/// The deadline passes while the bytes come free, and the next in line gets what the late one does
/// not.
pub fn coming_too_late_and_being_served_agree() {
    both_ways("wait::coming_too_late_and_being_served_agree", bound(2, ALL), |roles| {
        let scene = Arc::new(Scene::new(2, &[], &[(ROOT, ANY, 0, 0)]));
        let held = scene.admit(1, CACHE, 2).unwrap();
        let ticket = scene.enter(1, 2, 50);
        let release = move |scene: &Scene| scene.let_go(1, CACHE, held, LATE);
        let look = move |scene: &Scene| {
            if scene.core.expire(ticket) {
                scene.hand_over(LATE);
            }
        };
        roles.race(&scene, release, look);
        match scene.core.take_outcome(ticket) {
            Outcome::Granted(slot, generation) => {
                scene.let_go(1, MODEL_LOAD, (slot, generation), LATE);
            }
            Outcome::Expired => {}
            other => panic!("neither served nor late: {other:?}"),
        }
        assert_eq!(scene.used(1), 0, "LOST BYTES");
        scene.check_line();
        scene.check();
    });
}

/// What was set aside for a senior goes back when it gives up, whoever is at the line.
pub fn what_was_set_aside_goes_back() {
    both_ways("wait::what_was_set_aside_goes_back", bound(2, ALL), |roles| {
        let scene = Arc::new(Scene::new(3, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)]));
        let held = scene.admit(1, CACHE, 2).unwrap();
        let ticket = scene.enter(2, 3, NEVER);
        // It is aged now, and the byte there is is set aside for it.
        scene.hand_over(LATE);
        assert_eq!(scene.core.waiting.aside_bytes(), 1);
        let release = move |scene: &Scene| scene.let_go(1, CACHE, held, LATE);
        roles.race(&scene, release, move |scene: &Scene| scene.give_up(2, ticket));
        assert_eq!(scene.used(1) + scene.used(2), 0, "LOST BYTES");
        scene.check_line();
        scene.check();
    });
}

/// A tenant is closed while one of its requests is served: it is answered either way, and nothing
/// is left in the account.
pub fn closing_a_tenant_answers_who_waits() {
    both_ways("wait::closing_a_tenant_answers_who_waits", bound(2, 2), |roles| {
        let scene = Arc::new(Scene::new(2, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)]));
        let held = scene.admit(1, CACHE, 2).unwrap();
        let ticket = scene.enter(2, 2, NEVER);
        let release = move |scene: &Scene| scene.let_go(1, CACHE, held, 0);
        let close = |scene: &Scene| {
            scene.core.accounts.close(2);
            scene.serve_waiters(0);
        };
        roles.race(&scene, release, close);
        match scene.core.take_outcome(ticket) {
            Outcome::Granted(slot, generation) => {
                scene.let_go(2, MODEL_LOAD, (slot, generation), 0);
            }
            Outcome::Closed => {}
            other => panic!("FORGOTTEN: {other:?}"),
        }
        scene.check_line();
        assert!(scene.core.accounts.is_drained(2), "LOST BYTES in a closed account");
    });
}
