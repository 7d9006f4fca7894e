//! `allot demo`: one minute of four tenants on one machine, twice. First everything is simply
//! taken; then a governor is asked. Nothing that is printed is typed by hand.
//!
//! - `machine.toml`: the machine; `load.rs`: the minute, from a seed
//! - `ungoverned.rs`, `governed.rs`: the two runs, the second with the independent books of
//!   `crate::ledger`; `timeline.rs`: what was held when
//! - `text.rs`, `picture.rs`: for people; `json.rs`: for programs

mod governed;
mod json;
mod load;
mod picture;
mod text;
mod timeline;
mod ungoverned;

use std::io::IsTerminal;
use std::path::Path;

use allotment_config::{Setup, parse};

use self::governed::{Governed, Timing};
use self::load::Load;
use self::picture::Ink;
use self::ungoverned::Ungoverned;
use crate::args::DemoArgs;
use crate::failure::CliError;

/// The seed of the minute that is shown where none is asked for.
pub const SEED: u64 = 42;

const MACHINE: &str = include_str!("machine.toml");

/// Both runs of a minute.
struct Minute {
    seed: u64,
    setup: Setup,
    without: Ungoverned,
    with: Governed,
    timing: Timing,
}

/// What is to be printed, and whether every promise was kept.
#[derive(Debug)]
pub struct Told {
    /// Ends in a new line.
    pub text: String,
    /// False if the independent books found a fault: then the command should fail.
    pub is_sound: bool,
}

/// Prints the minute that was asked for.
///
/// # Errors
///
/// If the independent books found a fault: then the governor broke a promise.
pub fn run(options: &DemoArgs) -> Result<(), CliError> {
    let told = demo(options).map_err(|error| CliError::new(error.to_string()))?;
    print!("{}", told.text);
    if told.is_sound {
        return Ok(());
    }
    Err(CliError::new("the independent books found a broken promise; please report it"))
}

/// Lives through the minute and tells of it. Takes about half a second.
fn demo(options: &DemoArgs) -> Result<Told, Box<dyn std::error::Error>> {
    let minute = Minute::of(options.seed)?;
    let text =
        if options.json { json::json(&minute) } else { text::text(&minute, ink(options.ascii)) };
    Ok(Told { text, is_sound: minute.is_sound() })
}

impl Minute {
    fn of(seed: u64) -> Result<Minute, Box<dyn std::error::Error>> {
        let setup = parse(MACHINE, Path::new("machine.toml"))?;
        let load = Load::of(seed);
        let without = ungoverned::run(&load, setup.capacity_bytes, setup.tenants.len());
        let with = governed::run(&load, &setup)?;
        let timing = governed::time(&load, &setup)?;
        Ok(Minute { seed, setup, without, with, timing })
    }

    /// Whether the independent books found nothing to complain about.
    fn is_sound(&self) -> bool {
        let with = &self.with;
        with.over_bytes == 0 && with.leaked_bytes == 0 && with.broken == 0
    }
}

/// What the terminal can show: colour only on a terminal and unless NO_COLOR is set, blocks only
/// where the locale says UTF-8.
fn ink(ascii: bool) -> Ink {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    if ascii || !(locale.contains("utf-8") || locale.contains("utf8")) {
        Ink::Ascii
    } else if set("NO_COLOR").is_some() || !std::io::stdout().is_terminal() {
        Ink::Shade
    } else {
        Ink::Color
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_the_one_the_load_is_made_for() {
        let setup = parse(MACHINE, Path::new("machine.toml")).unwrap();
        let names: Vec<&str> = setup.tenants.iter().map(|tenant| tenant.name.as_str()).collect();
        assert_eq!(names, ["chat", "coder", "images", "indexer"]);
        assert_eq!((load::CHAT, load::CODER, load::IMAGES, load::INDEXER), (0, 1, 2, 3));
    }

    #[test]
    fn many_minutes_are_sound_and_worth_telling() {
        for seed in [SEED, 1, 2, 3, 7] {
            let setup = parse(MACHINE, Path::new("machine.toml")).unwrap();
            let load = Load::of(seed);
            let without = ungoverned::run(&load, setup.capacity_bytes, setup.tenants.len());
            assert!(without.out_of_memory_ns.is_some(), "seed {seed}: nothing to save");
            let with = governed::run(&load, &setup).unwrap();
            let faults = (with.over_bytes, with.leaked_bytes, with.broken);
            assert_eq!(faults, (0, 0, 0), "seed {seed}");
            assert_eq!(with.got[load::CHAT].denied, 0, "seed {seed}: chat was refused");
            assert!(with.got[load::INDEXER].evicted > 0, "seed {seed}: nothing went back");
            assert!(with.refused.is_some(), "seed {seed}: no denial to explain");
        }
    }

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let told = |seed| {
            let mut minute = Minute::of(seed).unwrap();
            minute.timing = Timing { decisions: 1, ns_per_decision: 1.0 };
            (text::text(&minute, Ink::Ascii), json::json(&minute))
        };
        assert_eq!(told(5), told(5));
    }

    #[test]
    fn the_text_fits_a_terminal() {
        let minute = Minute::of(SEED).unwrap();
        assert!(minute.with.refused.as_ref().is_some_and(|refused| refused.by_pool));
        let plain = text::text(&minute, Ink::Ascii);
        assert!(plain.is_ascii(), "{plain}");
        for ink in [Ink::Ascii, Ink::Shade] {
            for line in text::text(&minute, ink).lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
        assert!(plain.lines().count() <= 48, "{} lines", plain.lines().count());
    }
}
