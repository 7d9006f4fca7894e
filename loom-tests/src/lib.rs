//! What all models share: how a model is run and bounded.
#![cfg(allot_loom)]

/// Runs `f` under every interleaving with at most `preemptions` preemptions (`None`: all of them)
/// and prints how many executions that were.
pub fn model(name: &str, preemptions: Option<usize>, f: impl Fn() + Send + Sync + 'static) {
    let executions = std::sync::Arc::new(std::sync::Mutex::new(0_u64));
    let counted = executions.clone();
    let started = std::time::Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.max_branches = 100_000;
    builder.check(move || {
        *counted.lock().unwrap() += 1;
        f();
    });
    let executions = *executions.lock().unwrap();
    let bound = preemptions.map_or("none".to_string(), |p| p.to_string());
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("model {name}: {executions} executions, preemption bound {bound}, {seconds:.1} s");
}

/// Whether `ALLOT_LOOM=full` asks for the higher bounds, which take minutes instead of seconds.
pub fn full() -> bool {
    std::env::var("ALLOT_LOOM").is_ok_and(|bounds| bounds == "full")
}
