//! What the line gave out lately, against a naive one that keeps everything.

use allotment::internals::turnover::{
    INSTANTS_ENOUGH, INSTANTS_MIN, Lately, SLOT_NS, Turnover, WINDOW_NS,
};
use proptest::prelude::*;

const SECOND_NS: u64 = 1_000_000_000;

/// One look along the line: how much later it is, whom it serves (bytes, and how long each stood
/// there), who withdrew meanwhile, and whether somebody stays who is short.
#[derive(Clone, Debug, Default)]
struct Look {
    after_ns: u64,
    served: Vec<(u64, u64)>,
    short: bool,
}

fn look() -> impl Strategy<Value = Look> {
    let after_ns = prop_oneof![
        1 => Just(0),
        5 => 1..SECOND_NS,
        2 => SECOND_NS..20 * SECOND_NS,
        1 => Just(u64::MAX / 8),
    ];
    let bytes = prop_oneof![8 => 1..1_000_u64, 1 => Just(u64::MAX / 2), 1 => Just(0)];
    let served = prop::collection::vec((bytes, 0..2 * SECOND_NS), 0..3);
    (after_ns, served, prop::bool::weighted(0.8)).prop_map(|(after_ns, served, short)| Look {
        after_ns,
        served,
        short,
    })
}

/// Everything that was waited and served, one entry for each span in which somebody was short.
#[derive(Debug, Default)]
struct Naive {
    spans: Vec<Lately>,
    now: u64,
    short: bool,
    /// Whether bytes served at this instant count.
    counts: bool,
    counted: bool,
}

impl Naive {
    fn look(&mut self, look: &Look) {
        let now = self.now.saturating_add(look.after_ns);
        if now > self.now {
            (self.counts, self.counted) = (self.short, false);
            if self.short {
                self.spans.push(Lately { waited_ns: now - self.now, ..Lately::default() });
            }
        }
        self.counts |= self.short;
        self.now = now;
        for &(bytes, stood_ns) in &look.served {
            if self.counts && now.saturating_sub(stood_ns) < now {
                if self.spans.is_empty() {
                    self.spans.push(Lately::default());
                }
                let span = self.spans.last_mut().unwrap();
                span.bytes = span.bytes.saturating_add(bytes);
                span.instants += u64::from(!self.counted);
                self.counted = true;
            }
        }
        self.short = look.short;
    }

    /// Spans taken together until they are long enough and somebody was served in them.
    fn slots(&self) -> Vec<Lately> {
        let mut slots: Vec<Lately> = Vec::new();
        for span in &self.spans {
            match slots.last_mut().filter(|s| s.waited_ns < SLOT_NS || s.instants == 0) {
                Some(slot) => *slot = sum(*slot, *span),
                None => slots.push(*span),
            }
        }
        slots
    }

    fn lately(&self, now: u64) -> Option<Lately> {
        let going_on = if self.short { now.saturating_sub(self.now) } else { 0 };
        let mut all = Lately { waited_ns: going_on, ..Lately::default() };
        for slot in self.slots().into_iter().rev().take(16) {
            let more = sum(all, slot);
            if all.instants >= INSTANTS_ENOUGH && more.waited_ns > WINDOW_NS {
                break;
            }
            all = more;
        }
        (all.instants >= INSTANTS_MIN && all.bytes > 0 && all.waited_ns > 0).then_some(all)
    }
}

fn sum(a: Lately, b: Lately) -> Lately {
    Lately {
        bytes: a.bytes.saturating_add(b.bytes),
        waited_ns: a.waited_ns.saturating_add(b.waited_ns),
        instants: a.instants + b.instants,
    }
}

fn do_look(turnover: &Turnover, now_ns: u64, look: &Look) {
    turnover.look(now_ns);
    for &(bytes, stood_ns) in &look.served {
        turnover.served(bytes, now_ns.saturating_sub(stood_ns));
    }
    if look.short {
        turnover.short();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_a_naive_one(
        looks in prop::collection::vec(look(), 1..200),
        later_ns in 0..SECOND_NS,
        bytes in any::<u64>(),
    ) {
        let (turnover, mut naive) = (Turnover::default(), Naive::default());
        for look in looks {
            naive.look(&look);
            do_look(&turnover, naive.now, &look);
            let now = naive.now.saturating_add(later_ns);
            let lately = turnover.lately(now);
            prop_assert_eq!(lately, naive.lately(now));
            let wait_ns = lately.and_then(|lately| lately.wait_ns(bytes));
            prop_assert_eq!(wait_ns.is_some(), lately.is_some());
        }
    }
}

/// Somebody is served so many bytes every so many ns, so many times; somebody else stays.
fn serve(turnover: &Turnover, now_ns: &mut u64, every_ns: u64, bytes: u64, times: u64) {
    for _ in 0..times {
        *now_ns += every_ns;
        do_look(
            turnover,
            *now_ns,
            &Look { served: vec![(bytes, every_ns)], short: true, ..Look::default() },
        );
    }
}

fn seconds_for(turnover: &Turnover, now_ns: u64, bytes: u64) -> f64 {
    turnover.lately(now_ns).unwrap().wait_ns(bytes).unwrap() as f64 / SECOND_NS as f64
}

#[test]
fn less_than_two_instants_say_nothing() {
    let turnover = Turnover::default();
    let mut now_ns = SECOND_NS;
    turnover.look(now_ns);
    turnover.short();
    assert_eq!(turnover.lately(now_ns), None);
    serve(&turnover, &mut now_ns, SECOND_NS, 10, 1);
    assert_eq!(turnover.lately(now_ns + SECOND_NS), None);
    // The same instant is no second one.
    serve(&turnover, &mut now_ns, 0, 10, 5);
    assert_eq!(turnover.lately(now_ns), None);
    serve(&turnover, &mut now_ns, SECOND_NS, 10, 1);
    assert_eq!(turnover.lately(now_ns).unwrap().wait_ns(10), Some(SECOND_NS));
}

#[test]
fn it_follows_a_change_of_the_rate_within_the_window() {
    let turnover = Turnover::default();
    let mut now_ns = 0;
    turnover.short();
    serve(&turnover, &mut now_ns, SECOND_NS / 100, 1, 10_000);
    assert!((seconds_for(&turnover, now_ns, 100) - 1.0).abs() < 0.1);
    serve(&turnover, &mut now_ns, SECOND_NS / 10, 1, 120);
    assert!((seconds_for(&turnover, now_ns, 10) - 1.0).abs() < 0.1);
}

#[test]
fn rare_and_large_lumps_are_averaged_and_a_stall_is_forgotten() {
    let turnover = Turnover::default();
    let mut now_ns = 0;
    turnover.short();
    serve(&turnover, &mut now_ns, 60 * SECOND_NS, 60, 20);
    assert!((seconds_for(&turnover, now_ns, 1) - 1.0).abs() < 0.1);
    serve(&turnover, &mut now_ns, 3_600 * SECOND_NS, 1, 1);
    assert!(seconds_for(&turnover, now_ns, 1) > 5.0);
    serve(&turnover, &mut now_ns, SECOND_NS / 2, 1, 40);
    assert!((seconds_for(&turnover, now_ns, 2) - 1.0).abs() < 0.1);
}

#[test]
fn time_in_which_nobody_is_short_does_not_count() {
    let turnover = Turnover::default();
    let mut now_ns = 0;
    turnover.short();
    serve(&turnover, &mut now_ns, SECOND_NS, 7, 3);
    let before = turnover.lately(now_ns);
    turnover.look(now_ns);
    for _ in 0..1_000 {
        now_ns += SECOND_NS;
        turnover.look(now_ns);
        // Who is served meanwhile waited for something else.
        turnover.served(1_000, 0);
    }
    assert_eq!(turnover.lately(now_ns), before);
}
