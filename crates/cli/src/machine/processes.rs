//! The largest processes: of many, a few are kept.

/// How many are kept.
const KEPT: usize = 10;
/// How many are looked at.
pub const SEEN_MAX: usize = 65_536;
/// Longest name that is shown, in characters.
const NAME_CHARACTERS_MAX: usize = 32;

/// A process and what it keeps in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u64,
    /// What it calls itself.
    pub name: String,
    /// Linux: what is resident; Mac: its footprint, compressed memory included.
    pub bytes: u64,
}

/// The largest of those that were seen, the largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processes {
    /// How many were seen.
    pub seen: usize,
    /// The largest of them.
    pub largest: Vec<Process>,
}

impl Processes {
    /// Takes one into account; its name is asked for only if it is among the largest.
    pub fn see(&mut self, pid: u64, bytes: u64, name: impl FnOnce() -> String) {
        self.seen += 1;
        // Of equals, the one that was seen first.
        let place = self.largest.partition_point(|known| known.bytes >= bytes);
        if place == KEPT || bytes == 0 {
            return;
        }
        let printable = |c: char| if c.is_control() { '?' } else { c };
        let name = name().chars().take(NAME_CHARACTERS_MAX).map(printable).collect();
        self.largest.truncate(KEPT - 1);
        self.largest.insert(place, Process { pid, name, bytes });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_kept_the_largest_first() {
        let mut processes = Processes::default();
        for pid in 0..1_000 {
            // Each number below 1000 once, in some order.
            let bytes = pid * 7 % 1_000;
            processes.see(pid, bytes, || format!("\n{bytes}"));
        }
        let kept: Vec<u64> = processes.largest.iter().map(|process| process.bytes).collect();
        assert_eq!(kept, (990..1_000).rev().collect::<Vec<u64>>());
        assert_eq!((processes.seen, &*processes.largest[0].name), (1_000, "?999"));
    }
}
