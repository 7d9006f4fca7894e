// Scenarios of `src/core/evict.rs`, `order.rs` and `force.rs`: who evicts at once, and who
// releases, grows or closes meanwhile. Included by `evict.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// `OVER-EVICTED` is what a scenario says when more went than was needed, `BELOW GUARANTEE` when a
// tenant or group lost what it was promised.

include!("scene.rs");

/// E1: two requests of a tenant at its limit evict what both need, and no more. Nobody releases, so
/// every victim beyond the need is one too many.
pub fn two_short_requests_evict_what_both_need(bytes: u64) {
    let name = format!("evict::two_short_requests_evict_what_both_need({bytes})");
    model(&name, bound(2, 3), move || {
        // One victim more than both need. The claim is paid for, so all happens at the tenant.
        let limit = 2 * bytes + 2;
        let scene = Arc::new(Scene::new(limit, &[], &[(ROOT, limit, limit, 0)]));
        scene.fill(1, limit as u32 / 2, 2);
        let other = scene.clone();
        let thread = thread::spawn(move || other.evict_and_charge(1, 1, bytes));
        let mine = scene.evict_and_charge(1, 1, bytes);
        let theirs = thread.join().unwrap();
        let evicted = scene.evicted();
        assert!(evicted <= 2 * bytes, "OVER-EVICTED {evicted} bytes for {}", 2 * bytes);
        assert!(mine.1.is_ok() || theirs.1.is_ok(), "somebody got what went");
        scene.check();
    });
}

/// E1 where the pool is short, so that what is freed has to go up first. Only one of them charges,
/// the other comes too late for that.
pub fn two_requests_short_of_the_pool_evict_what_both_need() {
    model("evict::two_requests_short_of_the_pool_evict_what_both_need", bound(1, 2), || {
        let scene = Arc::new(Scene::new(6, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)]));
        scene.fill(1, 3, 2);
        let other = scene.clone();
        let thread = thread::spawn(move || other.evict(ROOT, 2, 2));
        let (_, mine) = scene.evict_and_charge(ROOT, 2, 2);
        thread.join().unwrap();
        let evicted = scene.evicted();
        assert!(evicted <= 4, "OVER-EVICTED {evicted} bytes for 4");
        assert!(mine.is_ok(), "nobody else took what went");
        scene.check();
    });
}

/// E2: two evictors at once never take a tenant below its guarantee.
pub fn two_evictors_keep_a_guarantee() {
    model("evict::two_evictors_keep_a_guarantee", bound(1, 2), || {
        let scene = Arc::new(Scene::new(8, &[], &[(ROOT, ANY, 4, 0)]));
        scene.fill(1, 2, 4);
        let other = scene.clone();
        let thread = thread::spawn(move || other.relieve(4));
        scene.relieve(4);
        thread.join().unwrap();
        let used = scene.used(1);
        assert!(used >= 4, "BELOW GUARANTEE: {used} of 4 bytes are left");
        scene.check();
    });
}

/// E2 for a group: its tenants have no guarantee of their own. The owners promise to release, so
/// that what is leaving stays to be seen.
pub fn two_evictors_keep_the_guarantee_of_a_group() {
    model("evict::two_evictors_keep_the_guarantee_of_a_group", bound(2, 3), || {
        let group = [(ROOT, ANY, 2)];
        let tenants = [(1, ANY, 0, 0), (1, ANY, 0, 0)];
        let scene = Arc::new(Scene::answering(ReclaimAnswer::Deferred, 4, &group, &tenants));
        let grants = [2, 3].map(|tenant| scene.admit(tenant, CACHE, 2).unwrap());
        let other = scene.clone();
        let thread = thread::spawn(move || other.relieve(2));
        scene.relieve(2);
        thread.join().unwrap();
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
    model(&name, bound(2, 3), move || {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)];
        let scene = Arc::new(Scene::answering(answer, 4, &[], &tenants));
        let grant = scene.admit(1, CACHE, 4).unwrap();
        let other = scene.clone();
        let thread = thread::spawn(move || other.evict_and_charge(ROOT, 2, 4).1);
        let released = scene.release(1, CACHE, grant);
        let mine = thread.join().unwrap();
        assert!(released || scene.evicted() == 4, "lost");
        assert_eq!(scene.used(1), 0);
        let then = scene.charge(2, 4);
        assert!(mine.is_ok() != then.is_ok(), "all 4 bytes are there once");
        scene.check();
    });
}

/// The owner releases while it is asked: when the evictor goes on, the bytes are back, so it does
/// not take another victim for them.
pub fn what_its_owner_releases_while_asked_is_enough() {
    model("evict::what_its_owner_releases_while_asked_is_enough", bound(2, 3), || {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)];
        let scene = Arc::new(Scene::new(4, &[], &tenants));
        let oldest = scene.admit(1, CACHE, 2).unwrap();
        scene.fill(1, 1, 2);
        let other = scene.clone();
        let thread = thread::spawn(move || other.evict_and_charge(ROOT, 2, 2));
        scene.release(1, CACHE, oldest);
        let (relief, charged) = thread.join().unwrap();
        let asked_oldest = relief.grants == 1;
        // A release that comes before or after the eviction is no part of it.
        if asked_oldest && scene.evicted() == 2 {
            assert!(charged.is_ok());
        }
        assert!(scene.evicted() <= 2, "OVER-EVICTED {} bytes for 2", scene.evicted());
        scene.check();
    });
}

/// Bytes that were promised are on their way until they are back: nobody else goes for them.
pub fn promised_bytes_are_not_taken_twice() {
    model("evict::promised_bytes_are_not_taken_twice", bound(2, 3), || {
        let mut scene = Scene::answering(ReclaimAnswer::Deferred, 4, &[], &[(ROOT, 4, 4, 0)]);
        let promised = scene.admit(1, CACHE, 2).unwrap();
        scene.fill(1, 1, 2);
        assert_eq!(scene.evict(1, 1, 2).promised, 1);
        scene.answer = ReclaimAnswer::Freed;
        let scene = Arc::new(scene);
        let other = scene.clone();
        let thread = thread::spawn(move || other.evict_and_charge(1, 1, 2).1);
        assert!(scene.release(1, CACHE, promised));
        // They may not be back yet when it charges, but they do come back.
        let charged = thread.join().unwrap();
        assert!(charged.is_ok() || scene.charge(1, 2).is_ok());
        assert_eq!(scene.evicted(), 0, "OVER-EVICTED: 2 bytes were promised");
        scene.check();
    });
}

/// The same where the pool is short, so that what is released has to go up first.
pub fn bytes_promised_to_the_pool_are_not_taken_twice() {
    model("evict::bytes_promised_to_the_pool_are_not_taken_twice", bound(1, 2), || {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)];
        let mut scene = Scene::answering(ReclaimAnswer::Deferred, 4, &[], &tenants);
        let promised = scene.admit(1, CACHE, 2).unwrap();
        scene.fill(1, 1, 2);
        assert_eq!(scene.evict(ROOT, 2, 2).promised, 1);
        scene.answer = ReclaimAnswer::Freed;
        let scene = Arc::new(scene);
        let other = scene.clone();
        let thread = thread::spawn(move || other.evict(ROOT, 2, 2));
        assert!(scene.release(1, CACHE, promised));
        thread.join().unwrap();
        assert_eq!(scene.evicted(), 0, "OVER-EVICTED: 2 bytes were promised");
        scene.check();
    });
}

/// The owner of a promised grant keeps it while another one releases its own.
pub fn a_promise_is_declined_during_an_eviction() {
    model("evict::a_promise_is_declined_during_an_eviction", bound(2, 3), || {
        let tenants = [(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)];
        let mut scene = Scene::answering(ReclaimAnswer::Deferred, 4, &[], &tenants);
        let (slot, generation) = scene.admit(1, CACHE, 4).unwrap();
        assert_eq!(scene.evict_and_charge(ROOT, 2, 4).0.promised, 1);
        scene.answer = ReclaimAnswer::Freed;
        let scene = Arc::new(scene);
        let other = scene.clone();
        let owner = Owner::new(1, 1, CACHE);
        let thread = thread::spawn(move || other.evict_and_charge(ROOT, 2, 4).1);
        scene.core.decline(slot, generation, owner, 1).unwrap();
        thread.join().unwrap().unwrap_err();
        assert_eq!(scene.used(1), 4, "kept alive until 1");
        scene.check();
    });
}

/// Growth races an eviction: the bytes in use are those of the slots.
pub fn growth_and_eviction_agree_on_the_bytes() {
    model("evict::growth_and_eviction_agree_on_the_bytes", bound(2, 3), || {
        let scene = Arc::new(Scene::new(8, &[], &[(ROOT, ANY, 0, 0)]));
        let (slot, generation) = scene.admit(1, CACHE, 2).unwrap();
        let other = scene.clone();
        let owner = Owner::new(1, 1, CACHE);
        let thread = thread::spawn(move || other.core.grow(slot, generation, owner, 2));
        let relief = scene.relieve(1);
        let grown = thread.join().unwrap();
        assert!(relief.grants == 1 || grown == Ok(Ok(())), "one of them was first");
        scene.check();
    });
}

/// Force against a request in flight: what was granted before the account closed ends, what comes
/// later is refused, and nothing stays.
pub fn force_ends_what_a_request_publishes() {
    model("evict::force_ends_what_a_request_publishes", bound(2, 3), || {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]));
        let other = scene.clone();
        let thread = thread::spawn(move || other.admit(1, CACHE, 4));
        scene.core.accounts.close(1);
        for slot in scene.core.slots(Owner::new(1, 1, CACHE)).collect::<Vec<_>>() {
            while !scene.core.end_by_force(slot, Owner::new(1, 1, CACHE)) {
                thread::yield_now();
            }
        }
        let _ = thread.join().unwrap();
        assert_eq!(scene.used(1), 0, "LEFT BEHIND: a grant outlives force");
        assert!(scene.core.accounts.is_drained(1));
        scene.check();
    });
}

/// Force against an evictor that is asking, and the owner's own release: the bytes come back once.
pub fn force_and_an_evictor_count_the_bytes_once() {
    model("evict::force_and_an_evictor_count_the_bytes_once", bound(1, 2), || {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)]));
        scene.fill(1, 1, 4);
        let other = scene.clone();
        let thread = thread::spawn(move || other.evict_and_charge(ROOT, 2, 4));
        scene.core.accounts.close(1);
        for slot in scene.core.slots(Owner::new(1, 1, CACHE)).collect::<Vec<_>>() {
            while !scene.core.end_by_force(slot, Owner::new(1, 1, CACHE)) {
                thread::yield_now();
            }
        }
        let (_, theirs) = thread.join().unwrap();
        let then = scene.charge(2, 4);
        assert!(theirs.is_ok() != then.is_ok(), "all 4 bytes are there once");
        scene.check();
    });
}
