// Scenarios of `src/core/evict.rs`, `order.rs` and `force.rs`: who evicts at once, and who
// releases, grows or closes meanwhile. Included by `evict.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// `OVER-EVICTED` is what a scenario says when more went than was needed, `BELOW GUARANTEE` when a
// tenant or group lost what it was promised.

include!("scene.rs");

/// Two roles that are the same need not be exchanged.
const ALIKE: Roles = Roles { exchanged: false };

/// E1: two requests of a tenant at its limit evict what both need, and no more. Nobody releases, so
/// every victim beyond the need is one too many.
pub fn two_short_requests_evict_what_both_need(bytes: u64) {
    let name = format!("evict::two_short_requests_evict_what_both_need({bytes})");
    model(&name, bound(1, 2), move || {
        // One victim more than both need. The claim is paid for, so all happens at the tenant.
        let limit = 2 * bytes + 2;
        let scene = Arc::new(Scene::new(limit, &[], &[(ROOT, limit, limit, 0)]));
        scene.fill(1, limit as u32 / 2, 2);
        let request = move |scene: &Scene| scene.evict_and_charge(1, 1, bytes).1;
        let (one, other) = ALIKE.race(&scene, request, request);
        let evicted = scene.evicted();
        assert!(evicted <= 2 * bytes, "OVER-EVICTED {evicted} bytes for {}", 2 * bytes);
        assert!(one.is_ok() || other.is_ok(), "somebody got what went");
        scene.check();
    });
}

/// E1 where the pool is short, so that what is freed has to go up first: one victim is enough for
/// both, and its bytes are there for who comes first.
pub fn two_requests_short_of_the_pool_evict_what_both_need() {
    model("evict::two_requests_short_of_the_pool_evict_what_both_need", bound(1, 2), || {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)]));
        scene.fill(1, 2, 2);
        let evict = |scene: &Scene| scene.evict(ROOT, 2, 1);
        ALIKE.race(&scene, evict, evict);
        let evicted = scene.evicted();
        assert!(evicted <= 2, "OVER-EVICTED {evicted} bytes for 2");
        scene.charge(2, 2).expect("what went is there");
        scene.check();
    });
}

/// E2: two evictors at once never take a tenant below its guarantee.
pub fn two_evictors_keep_a_guarantee() {
    model("evict::two_evictors_keep_a_guarantee", bound(1, 2), || {
        let scene = Arc::new(Scene::new(8, &[], &[(ROOT, ANY, 4, 0)]));
        scene.fill(1, 2, 4);
        let relieve = |scene: &Scene| scene.relieve(4);
        ALIKE.race(&scene, relieve, relieve);
        let used = scene.used(1);
        assert!(used >= 4, "BELOW GUARANTEE: {used} of 4 bytes are left");
        scene.check();
    });
}

/// E2 for a group: its tenants have no guarantee of their own. The owners promise to release, so
/// that what is leaving stays to be seen.
pub fn two_evictors_keep_the_guarantee_of_a_group() {
    model("evict::two_evictors_keep_the_guarantee_of_a_group", bound(2, 2), || {
        let group = [(ROOT, ANY, 2)];
        let tenants = [(1, ANY, 0, 0), (1, ANY, 0, 0)];
        let scene = Arc::new(Scene::answering(ReclaimAnswer::Deferred, 4, &group, &tenants));
        let grants = [2, 3].map(|tenant| scene.admit(tenant, CACHE, 2).unwrap());
        let relieve = |scene: &Scene| scene.relieve(2);
        ALIKE.race(&scene, relieve, relieve);
        let left = scene.used(2) + scene.used(3) - scene.core.freeing(1).bytes();
        assert!(left >= 2, "BELOW GUARANTEE: {left} of the group's 2 bytes will be left");
        for (tenant, grant) in [2, 3].into_iter().zip(grants) {
            assert!(scene.release(tenant, CACHE, grant));
        }
        scene.check();
    });
}

/// I3: an owner releases what an evictor is asking for. The bytes come back once, whatever the
/// answer, and are there for the next request.
pub fn a_release_and_an_eviction_count_the_bytes_once(answer: ReclaimAnswer) {
    let name = format!("evict::a_release_and_an_eviction_count_the_bytes_once({answer:?})");
    // A promise is seldom kept by the time of the charge, so that is left out: two threads that
    // both hand claim up meet in more ways than there is time for.
    let promised = answer == ReclaimAnswer::Deferred;
    both_ways(&name, bound(2, 3), move |roles| {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)];
        let scene = Arc::new(Scene::answering(answer, 4, &[], &tenants));
        let grant = scene.admit(1, CACHE, 4).unwrap();
        let release = move |scene: &Scene| scene.release(1, CACHE, grant);
        let request = move |scene: &Scene| {
            scene.evict(ROOT, 2, 4);
            !promised && scene.charge(2, 4).is_ok()
        };
        let (released, charged) = roles.race(&scene, release, request);
        assert!(released || scene.evicted() == 4, "lost");
        assert_eq!(scene.used(1), 0);
        let then = scene.charge(2, 4).is_ok();
        assert!(charged != then, "all 4 bytes are there once");
        scene.check();
    });
}

/// The owner releases while it is asked: when the evictor goes on, the bytes are back, so it does
/// not take another victim for them.
pub fn what_its_owner_releases_while_asked_is_enough() {
    both_ways("evict::what_its_owner_releases_while_asked_is_enough", bound(2, 3), |roles| {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)];
        let scene = Arc::new(Scene::new(4, &[], &tenants));
        let oldest = scene.admit(1, CACHE, 2).unwrap();
        scene.fill(1, 1, 2);
        let release = move |scene: &Scene| scene.release(1, CACHE, oldest);
        let request = |scene: &Scene| scene.evict_and_charge(ROOT, 2, 2);
        let (_, (relief, charged)) = roles.race(&scene, release, request);
        // A release that comes before or after the eviction is no part of it.
        if relief.grants == 1 && scene.evicted() == 2 {
            assert!(charged.is_ok());
        }
        assert!(scene.evicted() <= 2, "OVER-EVICTED {} bytes for 2", scene.evicted());
        scene.check();
    });
}

/// The same for its place, where the number of grants is limited: when the evictor goes on, there
/// is room for another one.
pub fn what_its_owner_releases_while_asked_is_counted_out() {
    let name = "evict::what_its_owner_releases_while_asked_is_counted_out";
    both_ways(name, bound(3, ALL), |roles| {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]));
        scene.core.accounts.configure(1, &settings(ANY, 0, 0, 1 << CACHE)).unwrap();
        let counted = |scene: &Scene| scene.core.tenant(1).queues[usize::from(CACHE)].counted();
        scene.core.tenant(1).queues[usize::from(CACHE)].set_grants_max(Some(1));
        let held = scene.admit(1, CACHE, 1).unwrap();
        let release = move |scene: &Scene| scene.release(1, CACHE, held);
        let evict = move |scene: &Scene| {
            let shortage = Scene::shortage(1, Goal::Grants(1), None);
            let relief = scene.core.make_room(&shortage, scene);
            (relief.grants, counted(scene))
        };
        let (_, (evicted, left)) = roles.race(&scene, release, evict);
        assert!(evicted == 0 || left == 0, "FALSE DENIAL: its place is taken still");
        assert_eq!(counted(&scene), 0, "LOST COUNT");
        scene.check();
    });
}

/// Bytes that were promised are on their way until they are back: nobody else goes for them.
pub fn promised_bytes_are_not_taken_twice() {
    both_ways("evict::promised_bytes_are_not_taken_twice", bound(3, ALL), |roles| {
        let mut scene = Scene::answering(ReclaimAnswer::Deferred, 4, &[], &[(ROOT, 4, 4, 0)]);
        let promised = scene.admit(1, CACHE, 2).unwrap();
        scene.fill(1, 1, 2);
        assert_eq!(scene.evict(1, 1, 2).promised, 1, "OVER-EVICTED: one promise is enough");
        scene.answer = ReclaimAnswer::Freed;
        let scene = Arc::new(scene);
        let release = move |scene: &Scene| assert!(scene.release(1, CACHE, promised));
        let request = |scene: &Scene| scene.evict_and_charge(1, 1, 2).1;
        let ((), charged) = roles.race(&scene, release, request);
        // They may not be back yet when it charges, but they do come back.
        assert!(charged.is_ok() || scene.charge(1, 2).is_ok());
        assert_eq!(scene.evicted(), 0, "OVER-EVICTED: 2 bytes were promised");
        scene.check();
    });
}

/// The same where the pool is short, so that what is released has to go up first.
pub fn bytes_promised_to_the_pool_are_not_taken_twice() {
    both_ways("evict::bytes_promised_to_the_pool_are_not_taken_twice", bound(1, 2), |roles| {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)];
        let mut scene = Scene::answering(ReclaimAnswer::Deferred, 4, &[], &tenants);
        let promised = scene.admit(1, CACHE, 2).unwrap();
        scene.fill(1, 1, 2);
        assert_eq!(scene.evict(ROOT, 2, 2).promised, 1, "OVER-EVICTED: one promise is enough");
        scene.answer = ReclaimAnswer::Freed;
        let scene = Arc::new(scene);
        let release = move |scene: &Scene| assert!(scene.release(1, CACHE, promised));
        roles.race(&scene, release, |scene| scene.evict(ROOT, 2, 2));
        assert_eq!(scene.evicted(), 0, "OVER-EVICTED: 2 bytes were promised");
        scene.check();
    });
}

/// The owner of a promised grant keeps it while another request goes for its bytes.
pub fn a_promise_is_declined_during_an_eviction() {
    both_ways("evict::a_promise_is_declined_during_an_eviction", bound(3, ALL), |roles| {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)];
        let mut scene = Scene::answering(ReclaimAnswer::Deferred, 4, &[], &tenants);
        let (slot, generation) = scene.admit(1, CACHE, 4).unwrap();
        assert_eq!(scene.evict(ROOT, 2, 4).promised, 1);
        scene.answer = ReclaimAnswer::Freed;
        let scene = Arc::new(scene);
        let owner = Owner::new(1, 1, CACHE);
        let decline = move |scene: &Scene| scene.core.decline(slot, generation, owner, 1).unwrap();
        let request = |scene: &Scene| scene.evict_and_charge(ROOT, 2, 4).1;
        roles.race(&scene, decline, request).1.unwrap_err();
        assert_eq!(scene.used(1), 4, "kept alive until 1");
        scene.check();
    });
}

/// Growth races an eviction: the bytes in use are those of the slots.
pub fn growth_and_eviction_agree_on_the_bytes() {
    both_ways("evict::growth_and_eviction_agree_on_the_bytes", bound(4, ALL), |roles| {
        let scene = Arc::new(Scene::new(8, &[], &[(ROOT, ANY, 0, 0)]));
        let (slot, generation) = scene.admit(1, CACHE, 2).unwrap();
        let owner = Owner::new(1, 1, CACHE);
        let grow = move |scene: &Scene| scene.core.grow(slot, generation, owner, 2, &Nobody);
        let (relief, grown) = roles.race(&scene, |scene| scene.relieve(1), grow);
        assert!(relief.grants == 1 || grown == Ok(Ok(())), "one of them was first");
        scene.check();
    });
}

/// Force against a request in flight: what was granted before the account closed ends, what comes
/// later is refused, and nothing stays.
pub fn force_ends_what_a_request_publishes() {
    both_ways("evict::force_ends_what_a_request_publishes", bound(3, 3), |roles| {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]));
        let unregister = |scene: &Scene| {
            scene.core.accounts.close(1);
            scene.force(1);
        };
        let _ = roles.race(&scene, unregister, |scene| scene.admit(1, CACHE, 4));
        assert_eq!(scene.used(1), 0, "LEFT BEHIND: a grant outlives force");
        assert!(scene.core.accounts.is_drained(1));
        scene.check();
    });
}

/// Force against an evictor that is asking: the bytes come back once.
pub fn force_and_an_evictor_count_the_bytes_once() {
    both_ways("evict::force_and_an_evictor_count_the_bytes_once", bound(1, 2), |roles| {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)]));
        scene.fill(1, 1, 4);
        let unregister = |scene: &Scene| {
            scene.core.accounts.close(1);
            scene.force(1);
        };
        let request = |scene: &Scene| scene.evict_and_charge(ROOT, 2, 4).1;
        let ((), charged) = roles.race(&scene, unregister, request);
        let then = scene.charge(2, 4);
        assert!(charged.is_ok() != then.is_ok(), "all 4 bytes are there once");
        scene.check();
    });
}
