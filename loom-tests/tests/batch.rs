//! Loom models of `src/core/batch.rs`. The scenarios and what they claim are in
//! `scenarios/batch.rs`; that they can fail is shown in `core_mutants.rs`.
#![cfg(allot_loom)]

use allotment::internals as core;

#[expect(unused, reason = "the scene is set for three files")]
mod scenario {
    include!("scenarios/batch.rs");
}

loom_tests::models! {
    a_refused_batch_refuses_no_request
    a_refused_batch_refuses_no_request_of_the_pool
    a_refused_batch_refuses_no_growth
    a_refused_batch_refuses_no_batch
    of_two_batches_that_do_not_fit_together_none_is_torn
}
