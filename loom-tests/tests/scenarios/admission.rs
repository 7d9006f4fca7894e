// Scenarios of `src/core/admission.rs`: whole requests, from the account's state to the published
// grant. Included by `admission.rs`, where they hold, and by `core_mutants.rs`, where they fail.
//
// `FALSE DENIAL` is what a scenario says when a request was refused although it fitted at every
// instant.

include!("scene.rs");

fn assert_true(answer: Result<Granted, No>) {
    let fair = matches!(answer, Ok(_) | Err(No::Contended));
    assert!(fair, "FALSE DENIAL: {answer:?}");
}

/// A request too large takes a slot and is refused; one that fits is not refused with it.
pub fn a_large_refused_request_refuses_no_small_one() {
    model("admission::a_large_refused_request_refuses_no_small_one", bound(1, 2), || {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]));
        let other = scene.clone();
        let thread = thread::spawn(move || other.admit(1, CACHE, 5));
        assert_true(scene.admit(1, CACHE, 4));
        assert!(thread.join().unwrap().is_err());
        scene.check();
    });
}

/// The number of grants is limited to 2 and 1 is held: a request that is refused for its bytes is
/// counted for a while, and refuses nobody for that.
pub fn an_undecided_request_is_not_counted_against_others() {
    model("admission::an_undecided_request_is_not_counted_against_others", bound(3, 4), || {
        let scene = Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]);
        scene.core.tenant(1).queues[usize::from(CACHE)].set_grants_max(Some(2));
        scene.core.accounts.configure(1, &settings(ANY, 0, 0, 1 << CACHE)).unwrap();
        scene.fill(1, 1, 1);
        let scene = Arc::new(scene);
        let other = scene.clone();
        let thread = thread::spawn(move || other.admit(1, CACHE, 4));
        assert_true(scene.admit(1, CACHE, 1));
        assert!(thread.join().unwrap().is_err());
        scene.check();
    });
}

/// A type becomes counted while requests run: each live grant is counted, once.
pub fn grants_are_counted_from_the_moment_they_are_limited() {
    model("admission::grants_are_counted_from_the_moment_they_are_limited", bound(2, 3), || {
        let scene = Arc::new(Scene::new(8, &[], &[(ROOT, ANY, 0, 0)]));
        let first = scene.admit(1, CACHE, 1).unwrap();
        let other = scene.clone();
        let thread = thread::spawn(move || {
            let second = other.admit(1, CACHE, 1).unwrap();
            other.release(1, CACHE, first);
            second
        });
        let queue = &scene.core.tenant(1).queues[usize::from(CACHE)];
        scene.core.accounts.configure(1, &settings(ANY, 0, 0, 1 << CACHE)).unwrap();
        queue.set_grants_max(Some(8));
        let owner = Owner::new(1, 1, CACHE);
        for slot in scene.core.slots(owner).collect::<Vec<_>>() {
            while !scene.core.count_existing(slot, owner) {
                thread::yield_now();
            }
        }
        let second = thread.join().unwrap();
        assert_eq!(queue.counted(), 1, "LOST COUNT: the second one is live");
        scene.release(1, CACHE, second);
        assert_eq!(queue.counted(), 0);
        scene.check();
    });
}

/// A guarantee rises while another tenant asks: whoever comes second is refused, and the guarantee,
/// once promised, is there.
pub fn a_guarantee_that_rises_is_kept_against_requests() {
    model("admission::a_guarantee_that_rises_is_kept_against_requests", bound(2, 3), || {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)]));
        let other = scene.clone();
        let thread = thread::spawn(move || other.admit(2, CACHE, 2));
        let raised = scene.core.accounts.configure(1, &settings(ANY, 3, 0, 0)).is_ok();
        if raised {
            assert_true(scene.admit(1, CACHE, 3));
        }
        let theirs = thread.join().unwrap();
        assert!(!(raised && theirs.is_ok()), "OVER-COMMIT: 3 promised and 2 granted of 4");
        scene.check();
    });
}

/// The capacity is lowered while a tenant releases and asks again: never is more in use than was.
pub fn a_lowered_capacity_admits_no_growth() {
    model("admission::a_lowered_capacity_admits_no_growth", bound(2, 3), || {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]));
        let grant = scene.admit(1, CACHE, 3).unwrap();
        let other = scene.clone();
        let thread = thread::spawn(move || {
            assert!(other.release(1, CACHE, grant));
            other.admit(1, CACHE, 3).is_ok()
        });
        let core = &scene.core;
        core.accounts.configure(ROOT, &settings(2, 0, 0, 0)).unwrap();
        core.excess.set(true);
        core.accounts.collect(ROOT, u64::MAX);
        let again = thread.join().unwrap();
        core.accounts.collect(ROOT, u64::MAX);
        let then = scene.admit(1, CACHE, 3);
        assert!(then.is_err(), "OVER-COMMIT: 3 of 2");
        assert_eq!(scene.used(1), if again { 3 } else { 0 });
        scene.check();
    });
}

/// A slot changes hands while a request of the last tenant is in flight: what it got is its own,
/// and the slot waits; else it is refused.
pub fn a_request_of_the_last_tenant_never_reaches_the_next() {
    model("admission::a_request_of_the_last_tenant_never_reaches_the_next", bound(2, 3), || {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]));
        let other = scene.clone();
        let thread = thread::spawn(move || other.admit(1, CACHE, 2));
        let accounts = &scene.core.accounts;
        accounts.close(1);
        let tenant = scene.core.tenant(1);
        let closed = || {
            tenant.queues.iter().all(|queue| {
                queue.shed(&scene.core.grants, true);
                queue.close()
            })
        };
        let reused = accounts.is_drained(1)
            && closed()
            && accounts.open(1, ROOT, &settings(ANY, 2, 0, 0)).is_ok();
        if reused {
            tenant.begin(2, 2);
        }
        let granted = thread.join().unwrap().is_ok();
        assert!(!(granted && reused), "two tenants in one slot");
        let segments = 0..scene.core.grants.segments_seen();
        let mut owners = segments.map(|index| scene.core.grants.segment(index).owner());
        let last = owners.any(|owner| owner == Owner::new(1, 1, CACHE));
        assert!(!(last && reused), "LEFT BEHIND: slots of the last tenant's");
        assert_eq!(scene.used(1), if granted { 2 } else { 0 });
        scene.check();
    });
}
