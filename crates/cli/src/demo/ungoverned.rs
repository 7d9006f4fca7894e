//! The minute without a governor: everything that is wished for is simply taken.

use super::load::{Load, Step};
use super::timeline::Timeline;

/// How it would have gone, had memory no end.
#[derive(Debug)]
pub struct Ungoverned {
    /// What was taken, when.
    pub timeline: Timeline,
    /// When the capacity was first exceeded, on a real machine the end of the story.
    pub out_of_memory_ns: Option<u64>,
}

/// Lives through the load.
pub fn run(load: &Load, capacity_bytes: u64, tenants: usize) -> Ungoverned {
    let mut timeline = Timeline::new(tenants);
    let mut out_of_memory_ns = None;
    let mut held = vec![false; load.wishes.len()];
    for event in &load.events {
        let wish = &load.wishes[event.wish];
        match (event.step, held[event.wish]) {
            (Step::Use, false) => timeline.add(wish.tenant, wish.bytes),
            (Step::Done, true) => timeline.subtract(wish.tenant, wish.bytes),
            _ => {}
        }
        held[event.wish] = event.step == Step::Use;
        timeline.mark(event.at_ns);
        if timeline.total() > capacity_bytes {
            out_of_memory_ns.get_or_insert(event.at_ns);
        }
    }
    Ungoverned { timeline, out_of_memory_ns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_given_back() {
        let run = run(&Load::of(1), 24 << 30, 4);
        assert_eq!(run.timeline.total(), 0);
        assert!(run.timeline.peak_bytes > 24 << 30, "the story needs a machine that is too small");
        assert!(run.out_of_memory_ns.is_some());
    }
}
