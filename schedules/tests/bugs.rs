//! Every deliberate mistake (`src/core/bugs.rs`) is found; the table says after how many schedules.
//!
//! `RUSTFLAGS="--cfg allot_steps" cargo test --release -p schedules --test bugs -- --nocapture`

#[cfg(not(allot_steps))]
#[test]
fn mistakes_are_planted_in_a_build_of_their_own() {
    println!("run it as RUSTFLAGS=\"--cfg allot_steps\" cargo test --release -p schedules");
}

#[cfg(allot_steps)]
#[test]
fn every_mistake_is_found() {
    use allotment::internals::bugs::{self, Bug};
    use schedules::campaign::{self, EACH, Plan};

    /// Several times what each takes: those that need a purchase or an eviction to be interrupted
    /// at one step by two others take half a million on average, most some hundred.
    const SCHEDULES_MAX: u64 = 250_000 * EACH;
    /// Not the seed of the command: what it finds shall not be what was tried before.
    const SEED: u64 = 7;

    let plan = Plan { seed: SEED, threads: None, depth: None };
    // A mistake may well break assertions of the governor: that is one way to be found.
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    println!("\n| mistake | what is wrong | schedules |\n|---|---|---|");
    for bug in Bug::ALL {
        let run = move || {
            bugs::plant(Some(bug));
            campaign::run(plan, 0, SCHEDULES_MAX)
        };
        let (figures, found) = std::thread::spawn(run).join().expect("the campaign goes on");
        let after = match found {
            Some(_) => figures.schedules.to_string(),
            None => {
                missed.push(bug.name());
                format!("none of {}", figures.schedules)
            }
        };
        println!("| `{}` | {} | {after} |", bug.name(), bug.mistake());
    }
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
