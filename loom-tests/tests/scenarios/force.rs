// Scenarios of `src/core/force.rs`: what administration ends while an owner or an evictor is at it.
// Included by `force.rs`, where they hold, and by `core_mutants.rs`, where they fail.
//
// `LOST BYTES` is what a scenario says when bytes are left in use that nobody holds.

include!("scene.rs");

use super::core::grants::flag;

/// The owner of all grants here.
fn cache() -> Owner {
    Owner::new(1, 1, CACHE)
}

impl Scene {
    /// Ends a grant whose owner has freed it when nobody waited for that any more.
    fn end_late(&self, granted: Granted) -> bool {
        loop {
            if let Some(ended) = self.core.end_late(granted, cache(), &Nobody) {
                return ended;
            }
            thread::yield_now();
        }
    }

    /// What the front door does with a reservation in time.
    fn commit(&self, (slot, generation): Granted) -> bool {
        let grants = &self.core.grants;
        let Ok(held) = grants.hold(slot, generation, cache()) else { return false };
        let mut fields = grants.fields(slot);
        fields.flags &= !flag::UNCOMMITTED;
        fields.expires_ns = 0;
        grants.let_go_with(held, &fields);
        true
    }
}

/// A promise that is kept late, by a callback, while the owner releases as well: the bytes come
/// back once.
pub fn a_late_end_and_a_release_count_the_bytes_once() {
    both_ways("force::a_late_end_and_a_release_count_the_bytes_once", bound(3, ALL), |roles| {
        let tenants = [(ROOT, 4, 4, 0)];
        let scene = Scene::answering(ReclaimAnswer::Deferred, 4, &[], &tenants);
        let granted = scene.admit(1, CACHE, 4).unwrap();
        assert_eq!(scene.evict(1, 1, 4).promised, 1);
        let scene = Arc::new(scene);
        let late = move |scene: &Scene| scene.end_late(granted);
        let release = move |scene: &Scene| scene.release(1, CACHE, granted);
        let (late, released) = roles.race(&scene, late, release);
        assert!(late || released, "LOST BYTES: nobody ended it");
        assert_eq!(scene.used(1), 0, "LOST BYTES");
        scene.check();
    });
}

/// The same for a grant that is live again, while an evictor goes for it anew.
pub fn a_late_end_and_an_eviction_count_the_bytes_once() {
    both_ways("force::a_late_end_and_an_eviction_count_the_bytes_once", bound(3, 3), |roles| {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, 4, 0, 0)]));
        let granted = scene.admit(1, CACHE, 4).unwrap();
        let late = move |scene: &Scene| scene.end_late(granted);
        let (late, relief) = roles.race(&scene, late, |scene: &Scene| scene.relieve(4));
        assert!(late || relief.grants == 1, "LOST BYTES: nobody ended it");
        assert_eq!(scene.used(1), 0, "LOST BYTES");
        scene.check();
    });
}

/// The time of a reservation runs out while its owner commits it: it is committed and lives, or its
/// owner is told that it is gone.
pub fn a_reservation_that_runs_out_while_it_is_committed_is_one_or_the_other() {
    let name = "force::a_reservation_that_runs_out_while_it_is_committed_is_one_or_the_other";
    both_ways(name, bound(4, ALL), |roles| {
        let scene = Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]);
        let ask = Scene::ask(1, CACHE, 4);
        let fields = Fields { expires_ns: 5, flags: flag::UNCOMMITTED, ..ask.fields };
        let granted = scene.core.admit(&Ask { fields, ..ask }, &Nobody).unwrap();
        let scene = Arc::new(scene);
        let expire = move |scene: &Scene| scene.core.end_expired(granted, cache(), 9, &Nobody);
        let (expired, committed) = roles.race(&scene, expire, move |s: &Scene| s.commit(granted));
        assert!(!(expired && committed), "LOST GRANT: committed, and gone");
        assert_eq!(scene.used(1), if expired { 0 } else { 4 }, "LOST BYTES");
        assert!(expired || committed, "one of them was first");
        scene.check();
    });
}

/// An owner releases twice while it is unregistered by force: the bytes come back once.
pub fn force_and_two_releases_count_the_bytes_once() {
    model("force::force_and_two_releases_count_the_bytes_once", bound(1, 2), || {
        let scene = Arc::new(Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]));
        let granted = scene.admit(1, CACHE, 4).unwrap();
        let releases = [0, 1].map(|_| {
            let scene = scene.clone();
            thread::spawn(move || scene.release(1, CACHE, granted))
        });
        scene.core.accounts.close(1);
        scene.force(1);
        let released = releases.map(|release| release.join().unwrap());
        assert_ne!(released, [true, true], "ENDED TWICE");
        assert_eq!(scene.used(1), 0, "LOST BYTES");
        assert!(scene.core.accounts.is_drained(1), "LOST BYTES: the closed account is not empty");
        scene.check();
    });
}
