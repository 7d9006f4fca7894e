// Scenarios of `src/core/admission.rs`: whole requests, from the account's state to the published
// grant. Included by `admission.rs`, where they hold, and by `core_mutants.rs`, where they fail.
//
// `FALSE DENIAL` is what a scenario says when a request was refused although it fitted at every
// instant.

include!("scene.rs");

use super::core::queue::Queue;
use super::core::sync::AtomicU64;

fn assert_true(answer: Result<Granted, No>) {
    let fair = matches!(answer, Ok(_) | Err(No::Contended));
    assert!(fair, "FALSE DENIAL: {answer:?}");
}

/// A request too large takes a slot and is refused; one that fits is not refused with it.
fn a_large_request_refuses_no_small_one(of: &str, capacity: u64, limit: u64) {
    let name = format!("admission::a_large_refused_request_of_{of}_refuses_no_small_one");
    both_ways(&name, bound(1, 2), move |roles| {
        let scene = Arc::new(Scene::new(capacity, &[], &[(ROOT, limit, 0, 0)]));
        let request = |bytes| move |scene: &Scene| scene.admit(1, CACHE, bytes);
        let (large, small) = roles.race(&scene, request(5), request(4));
        assert_true(small);
        assert!(large.is_err(), "OVER-COMMIT: 5 of 4");
        scene.check();
    });
}

pub fn a_large_refused_request_of_the_pool_refuses_no_small_one() {
    a_large_request_refuses_no_small_one("the_pool", 4, ANY);
}

pub fn a_large_refused_request_of_a_tenant_refuses_no_small_one() {
    a_large_request_refuses_no_small_one("a_tenant", 8, 4);
}

/// The same where grants are counted: one look does not decide there.
pub fn a_large_refused_request_of_a_counting_tenant_refuses_no_small_one() {
    let name = "admission::a_large_refused_request_of_a_counting_tenant_refuses_no_small_one";
    both_ways(name, bound(1, 2), |roles| {
        let scene = Scene::new(8, &[], &[(ROOT, 4, 0, 0)]);
        scene.core.accounts.configure(1, &settings(4, 0, 0, 1 << INFERENCE)).unwrap();
        let scene = Arc::new(scene);
        let request = |bytes| move |scene: &Scene| scene.admit(1, CACHE, bytes);
        let (large, small) = roles.race(&scene, request(5), request(4));
        assert_true(small);
        assert!(large.is_err(), "OVER-COMMIT: 5 of 4");
        scene.check();
    });
}

/// The number of grants is limited to 2 and 1 is held: a request that is refused for its bytes is
/// counted for a while, and refuses nobody for that.
pub fn an_undecided_request_is_not_counted_against_others() {
    let name = "admission::an_undecided_request_is_not_counted_against_others";
    both_ways(name, bound(4, ALL), |roles| {
        let scene = Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]);
        scene.core.tenant(1).queues[usize::from(CACHE)].set_grants_max(Some(2));
        scene.core.accounts.configure(1, &settings(ANY, 0, 0, 1 << CACHE)).unwrap();
        scene.fill(1, 1, 1);
        let scene = Arc::new(scene);
        let request = |bytes| move |scene: &Scene| scene.admit(1, CACHE, bytes);
        let (small, large) = roles.race(&scene, request(1), request(4));
        assert_true(small);
        assert!(large.is_err());
        scene.check();
    });
}

/// A type becomes counted while requests run: each live grant is counted, once.
pub fn grants_are_counted_from_the_moment_they_are_limited() {
    let name = "admission::grants_are_counted_from_the_moment_they_are_limited";
    both_ways(name, bound(2, 2), |roles| {
        let scene = Arc::new(Scene::new(8, &[], &[(ROOT, ANY, 0, 0)]));
        let first = scene.admit(1, CACHE, 1).unwrap();
        let limit = |scene: &Scene| {
            let queue = &scene.core.tenant(1).queues[usize::from(CACHE)];
            scene.core.accounts.configure(1, &settings(ANY, 0, 0, 1 << CACHE)).unwrap();
            queue.set_grants_max(Some(8));
            let owner = Owner::new(1, 1, CACHE);
            for slot in scene.core.slots(owner).collect::<Vec<_>>() {
                while !scene.core.count_existing(slot, owner) {
                    thread::yield_now();
                }
            }
        };
        let exchange = move |scene: &Scene| {
            let second = scene.admit(1, CACHE, 1).unwrap();
            scene.release(1, CACHE, first);
            second
        };
        let ((), second) = roles.race(&scene, limit, exchange);
        let queue = &scene.core.tenant(1).queues[usize::from(CACHE)];
        assert_eq!(queue.counted(), 1, "LOST COUNT: the second one is live");
        scene.release(1, CACHE, second);
        assert_eq!(queue.counted(), 0, "LOST COUNT");
        scene.check();
    });
}

/// A guarantee rises while another tenant asks: whoever comes second is refused, and the guarantee,
/// once promised, is there.
pub fn a_guarantee_that_rises_is_kept_against_requests() {
    both_ways("admission::a_guarantee_that_rises_is_kept_against_requests", bound(1, 1), |roles| {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)]));
        let raise = |scene: &Scene| {
            let raised = scene.core.accounts.configure(1, &settings(ANY, 3, 0, 0)).is_ok();
            if raised {
                assert_true(scene.admit(1, CACHE, 3));
            }
            raised
        };
        let (raised, theirs) = roles.race(&scene, raise, |scene| scene.admit(2, CACHE, 2));
        assert!(!(raised && theirs.is_ok()), "OVER-COMMIT: 3 promised and 2 granted of 4");
        scene.check();
    });
}

/// The capacity is lowered below what is in use while the tenant that uses it releases and asks
/// again. Once it is lowered what is released does not come back.
pub fn a_lowered_capacity_admits_no_growth() {
    both_ways("admission::a_lowered_capacity_admits_no_growth", bound(2, 2), |roles| {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]));
        let grant = scene.admit(1, CACHE, 3).unwrap();
        let lowered = Arc::new(AtomicU64::new(0));
        let was_lowered = lowered.clone();
        let lower = move |scene: &Scene| {
            scene.core.accounts.configure(ROOT, &settings(2, 0, 0, 0)).unwrap();
            scene.core.scarcity.set_excess(true);
            lowered.store(1, Ordering::Release);
        };
        let release_and_ask = move |scene: &Scene| {
            let before = was_lowered.load(Ordering::Acquire) == 1;
            assert!(scene.release(1, CACHE, grant));
            let again = scene.admit(1, CACHE, 3).is_ok();
            assert!(!(before && again), "OVER-COMMIT: 3 of 2");
            again
        };
        let ((), again) = roles.race(&scene, lower, release_and_ask);
        scene.core.accounts.collect(ROOT, u64::MAX);
        assert!(scene.admit(1, CACHE, 3).is_err(), "OVER-COMMIT: 3 of 2");
        assert_eq!(scene.used(1), if again { 3 } else { 0 });
        scene.check();
    });
}

/// A slot changes hands while a request of the last tenant is in flight: what it got is its own,
/// and the slot waits; else it is refused.
pub fn a_request_of_the_last_tenant_never_reaches_the_next() {
    let name = "admission::a_request_of_the_last_tenant_never_reaches_the_next";
    both_ways(name, bound(3, 3), |roles| {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]));
        let request = |scene: &Scene| scene.admit(1, CACHE, 2).is_ok();
        let (reused, granted) = roles.race(&scene, Scene::hand_over, request);
        assert!(!(granted && reused), "two tenants in one slot");
        let segments = 0..scene.core.grants.segments_seen();
        let mut owners = segments.map(|index| scene.core.grants.segment(index).owner());
        let last = owners.any(|owner| owner == Owner::new(1, 1, CACHE));
        assert!(!(last && reused), "LEFT BEHIND: slots of the last tenant's");
        assert_eq!(scene.used(1), if granted { 2 } else { 0 });
        scene.check();
    });
}

impl Scene {
    /// Unregisters the first tenant and gives its slot to another one, if nothing is in the way.
    fn hand_over(&self) -> bool {
        let (accounts, tenant) = (&self.core.accounts, self.core.tenant(1));
        accounts.close(1);
        let close = |queue: &Queue| {
            queue.shed(&self.core.grants, true);
            queue.close()
        };
        let reused = accounts.is_drained(1)
            && tenant.queues.iter().all(close)
            && accounts.open(1, ROOT, &settings(ANY, 2, 0, 0)).is_ok();
        if reused {
            tenant.begin(2, 2);
        }
        reused
    }
}
