// Scenarios of `src/core/batch.rs`. Included by `batch.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.
//
// `FALSE DENIAL` is what a scenario says when a request was refused because of bytes that a batch
// held on its way to being refused itself.

include!("scene.rs");

fn batch(scene: &Scene, kind: u8, asks: [(u32, u64); 2]) -> Result<(), No> {
    let asks = asks.map(|(tenant, bytes)| Scene::ask(tenant, kind, bytes));
    scene.core.admit_all(&asks, &mut [Granted::default(); 2], &Nobody).map_err(|(_, no)| no)
}

fn fair<E: Into<No>>(answer: Result<(), E>) {
    let answer = answer.map_err(E::into);
    let fair = matches!(answer, Ok(()) | Err(No::Contended));
    assert!(fair, "FALSE DENIAL: {answer:?}");
}

/// Two tenants that may use all of their limits without asking the pool.
fn paid_for() -> Arc<Scene> {
    Arc::new(Scene::new(7, &[], &[(ROOT, 4, 4, 0), (ROOT, 3, 3, 0)]))
}

/// A batch over two tenants that cannot fit charges the first one and gives it back. A request of
/// that tenant's that always fits is not refused because of that.
pub fn a_refused_batch_refuses_no_request() {
    both_ways("batch::a_refused_batch_refuses_no_request", bound(4, ALL), |roles| {
        let scene = paid_for();
        let refused = |scene: &Scene| batch(scene, CACHE, [(1, 4), (2, 4)]);
        let (refused, charged) = roles.race(&scene, refused, |scene| scene.charge(1, 1));
        fair(charged);
        assert!(refused.is_err());
        scene.check();
    });
}

/// The same for a request of another tenant's, who shares the pool.
pub fn a_refused_batch_refuses_no_request_of_the_pool() {
    both_ways("batch::a_refused_batch_refuses_no_request_of_the_pool", bound(1, 1), |roles| {
        let scene = Arc::new(Scene::new(6, &[], &[(ROOT, 4, 0, 0), (ROOT, 3, 0, 0)]));
        let refused = |scene: &Scene| batch(scene, CACHE, [(1, 4), (2, 4)]);
        let (refused, charged) = roles.race(&scene, refused, |scene| scene.charge(2, 3));
        fair(charged);
        assert!(refused.is_err());
        scene.check();
    });
}

/// The same for growth.
pub fn a_refused_batch_refuses_no_growth() {
    both_ways("batch::a_refused_batch_refuses_no_growth", bound(4, ALL), |roles| {
        let scene = paid_for();
        let (slot, generation) = scene.admit(1, INFERENCE, 1).unwrap();
        let refused = |scene: &Scene| batch(scene, CACHE, [(1, 3), (2, 4)]);
        let owner = Owner::new(1, 1, INFERENCE);
        let grow = move |scene: &Scene| {
            scene.core.grow(slot, generation, owner, 1, &Nobody).unwrap()
        };
        let (refused, grown) = roles.race(&scene, refused, grow);
        fair(grown);
        assert!(refused.is_err());
        scene.check();
    });
}

/// Two batches: one that cannot fit refuses none that can.
pub fn a_refused_batch_refuses_no_batch() {
    both_ways("batch::a_refused_batch_refuses_no_batch", bound(2, 2), |roles| {
        let scene = paid_for();
        let refused = |scene: &Scene| batch(scene, CACHE, [(1, 4), (2, 4)]);
        let fits = |scene: &Scene| batch(scene, INFERENCE, [(2, 3), (1, 1)]);
        let (refused, fits) = roles.race(&scene, refused, fits);
        fair(fits);
        assert!(refused.is_err());
        scene.check();
    });
}

/// Two batches that fit one by one and not together: each is granted whole or not at all.
pub fn of_two_batches_that_do_not_fit_together_none_is_torn() {
    let name = "batch::of_two_batches_that_do_not_fit_together_none_is_torn";
    both_ways(name, bound(2, 3), |roles| {
        let scene = paid_for();
        let one = |scene: &Scene| batch(scene, CACHE, [(1, 3), (2, 1)]);
        let other = |scene: &Scene| batch(scene, INFERENCE, [(2, 3), (1, 1)]);
        let (one, other) = roles.race(&scene, one, other);
        let granted = [one, other].iter().filter(|answer| answer.is_ok()).count() as u64;
        assert!(granted < 2, "OVER-COMMIT: 4 of 3");
        assert_eq!(scene.used(1) + scene.used(2), 4 * granted, "whole or not at all");
        scene.check();
    });
}
