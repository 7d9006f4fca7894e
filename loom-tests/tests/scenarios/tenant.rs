// Scenarios of `src/core/tenant.rs`. Included by `tenant.rs`, where they hold, and by
// `core_mutants.rs`, where they fail.

use super::core::region::Zeroed;
use super::core::tenant::Tenant;
use loom::sync::Arc;
use loom_tests::{model, thread};

/// Denials and evictions are counted by whoever meets them, and none is lost.
pub fn counts_of_slow_paths_add_up() {
    model("tenant::counts_of_slow_paths_add_up", None, || {
        let tenant = Arc::new(Tenant::empty());
        let evictors = [2, 5].map(|bytes| {
            let tenant = tenant.clone();
            thread::spawn(move || tenant.tally.note_evicted(bytes))
        });
        tenant.tally.note_denied();
        let [_, grants, bytes, _] = tenant.tally.read();
        assert!(grants <= 2 && [0, 2, 5, 7].contains(&bytes), "LOST COUNT: {grants} {bytes}");
        for evictor in evictors {
            evictor.join().unwrap();
        }
        tenant.tally.note_retired(3);
        assert_eq!(tenant.tally.read(), [1, 2, 7, 3], "LOST COUNT");
    });
}
