//! Which of the mutants that `scripts/plant.py` has planted is chosen. A module of the library only
//! in the copy that is built for that.

use std::sync::atomic::{AtomicU32, Ordering};

static CHOSEN: AtomicU32 = AtomicU32::new(u32::MAX);

const fn none() -> u32 {
    0
}

fn chosen() -> u32 {
    let seen = CHOSEN.load(Ordering::Relaxed);
    if seen == u32::MAX { choose() } else { seen }
}

fn choose() -> u32 {
    let number = std::env::var("PLANTED").map_or(0, |n| n.parse().unwrap());
    CHOSEN.store(number, Ordering::Relaxed);
    number
}

/// Before `main`: to choose allocates, and some tests count what is allocated.
extern "C" fn choose_first() {
    choose();
}

#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_os = "macos"), unsafe(link_section = ".init_array"))]
#[used]
static CHOOSE_FIRST: extern "C" fn() = choose_first;

/// The number of the mutant; 0 is none. In what the compiler evaluates nothing is planted.
#[inline]
pub const fn planted() -> u32 {
    std::intrinsics::const_eval_select((), none, chosen)
}
