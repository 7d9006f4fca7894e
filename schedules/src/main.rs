//! Runs schedules and says what they came to.
//!
//! ```text
//! RUSTFLAGS="--cfg allot_steps" cargo run --release -p schedules -- --schedules 1000000 --seed 1
//!     --threads N     programs of so many threads (2 to 4; else of all these)
//!     --pct DEPTH     depth of the schedules by priority (2 to 7; else 3 to 5)
//!     --workers N     threads of the machine that run schedules (else as many as it has cores)
//!     --first N       begins at this schedule: with --schedules 1 it is one run again
//!     --resume FILE   keeps what was done in this file, and goes on where it says
//!     --bug NAME      with this mistake in the governor; `list` names them
//! ```
//!
//! Exit code 1: a history has no explanation, or too few histories overlap; what replays it is
//! printed. Exit code 2: the command is not understood.

#[cfg(not(allot_steps))]
fn main() {
    println!("run it as RUSTFLAGS=\"--cfg allot_steps\" cargo run --release -p schedules");
}

#[cfg(allot_steps)]
fn main() -> std::process::ExitCode {
    match schedules::command::run(std::env::args().skip(1)) {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::from(1),
        Err(problem) => {
            eprintln!("{problem}");
            std::process::ExitCode::from(2)
        }
    }
}
