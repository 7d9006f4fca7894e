//! Rising counters over the last minute or the last hour, in fixed memory.
//!
//! ```text
//! |-- mark --|-- mark --|-- mark --|-- mark --|-- mark --|-- mark --|   a sixth of the span each
//! ^ oldest                                                    ^ now
//!
//! recent = now - oldest mark        over 5/6 to 6/6 of the span, as long as somebody looks
//! ```
//!
//! A mark is what the counters showed at the last look before its sixth began. Looks may come at
//! any time: after a pause longer than the span the window covers the time since the last look,
//! and [`Window::scale`] says by how much to shrink what was counted.

/// Marks of a window.
const MARKS: usize = 6;

/// What counters have done in the last `span_ns`.
#[derive(Clone, Debug)]
pub(super) struct Window<T> {
    marks: [(u64, T); MARKS],
    /// Number of the sixth that is going on.
    sixth: u64,
    /// The last look.
    last: (u64, T),
    span_ns: u64,
}

impl<T: Copy> Window<T> {
    /// A window that begins now.
    pub(super) fn new(span_ns: u64, now_ns: u64, value: T) -> Self {
        let sixth = now_ns / (span_ns / MARKS as u64);
        Self { marks: [(now_ns, value); MARKS], sixth, last: (now_ns, value), span_ns }
    }

    /// A look at the counters.
    pub(super) fn turn(&mut self, now_ns: u64, value: T) {
        let sixth = now_ns / (self.span_ns / MARKS as u64);
        let passed = sixth.saturating_sub(self.sixth).min(MARKS as u64);
        for back in 0..passed {
            self.marks[((sixth - back) % MARKS as u64) as usize] = self.last;
        }
        self.sixth = sixth.max(self.sixth);
        self.last = (now_ns, value);
    }

    /// What the counters showed at the last look.
    pub(super) fn newest(&self) -> T {
        self.last.1
    }

    /// What the counters showed when the window began.
    pub(super) fn oldest(&self) -> T {
        self.mark().1
    }

    /// What a count in the window is in a whole span, as a factor of at most 1.
    pub(super) fn scale(&self) -> f64 {
        let covered_ns = self.last.0.saturating_sub(self.mark().0);
        if covered_ns > self.span_ns { self.span_ns as f64 / covered_ns as f64 } else { 1.0 }
    }

    fn mark(&self) -> (u64, T) {
        self.marks[((self.sixth + 1) % MARKS as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: u64 = 60;

    #[test]
    fn what_is_older_than_the_span_is_forgotten() {
        let mut window = Window::new(SPAN, 0, 0);
        window.turn(5, 7);
        assert_eq!(7 - window.oldest(), 7);
        for now in (10..60).step_by(5) {
            window.turn(now, 7);
            assert_eq!(window.oldest(), 0, "at {now}");
        }
        // The sixth in which it happened leaves with the one that is 60 later.
        window.turn(60, 7);
        assert_eq!(window.oldest(), 7);
        assert_eq!(window.scale(), 1.0);
    }

    #[test]
    fn a_pause_is_covered_and_scaled() {
        let mut window = Window::new(SPAN, 0, 0);
        window.turn(1, 10);
        window.turn(241, 34);
        assert_eq!(34 - window.oldest(), 24, "all since the last look");
        assert_eq!(window.scale(), 0.25, "four spans have passed since then");
        window.turn(241, 34);
        assert_eq!(34 - window.oldest(), 24, "the same instant again");
        window.turn(250, 40);
        assert_eq!(40 - window.oldest(), 30);
    }

    #[test]
    fn irregular_looks_agree_with_a_list_of_all() {
        let mut window = Window::new(SPAN, 0, 0);
        let (mut now, mut value, mut seen) = (0u64, 0u64, vec![(0u64, 0u64)]);
        for step in 0..2_000u64 {
            now += step * step % 23;
            value += step % 5;
            window.turn(now, value);
            seen.push((now, value));
            // The last look before the oldest of the six sixths began.
            let begin = (now / 10).saturating_sub(5) * 10;
            let before = seen.iter().rev().find(|&&(at, _)| at < begin).unwrap_or(&seen[0]);
            assert_eq!(window.oldest(), before.1, "at {now}");
        }
    }
}
