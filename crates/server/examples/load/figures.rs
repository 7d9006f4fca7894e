//! What was measured.

use super::Failure;
use std::fmt;
use std::time::Duration;

/// Errors that are shown; all are counted.
const SHOWN_MAX: u64 = 5;

/// Of a connection, or of all of them.
#[derive(Default)]
pub struct Figures {
    /// Requests that were granted and given back.
    pub pairs: u64,
    /// How long each request took, in ns.
    took_ns: Vec<u64>,
    errors: u64,
}

/// Of a round.
pub struct Round {
    pub pairs_per_s: f64,
    pub errors: u64,
    median: Duration,
    p99: Duration,
    longest: Duration,
}

impl Figures {
    pub fn took(&mut self, time: Duration) {
        self.took_ns.push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub fn note(&mut self, error: Failure) {
        self.errors += 1;
        if self.errors <= SHOWN_MAX {
            eprintln!("load: {error}");
        }
    }

    pub fn add(&mut self, mut other: Self) {
        self.pairs += other.pairs;
        self.errors += other.errors;
        self.took_ns.append(&mut other.took_ns);
    }

    pub fn round(mut self, time: Duration) -> Round {
        self.took_ns.sort_unstable();
        let at = |part: f64| {
            let place = (self.took_ns.len() as f64 * part) as usize;
            let place = place.min(self.took_ns.len().saturating_sub(1));
            Duration::from_nanos(self.took_ns.get(place).copied().unwrap_or(0))
        };
        Round {
            pairs_per_s: self.pairs as f64 / time.as_secs_f64(),
            errors: self.errors,
            median: at(0.5),
            p99: at(0.99),
            longest: at(1.0),
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "{:.0} pairs/s; a request takes {:.2} ms in the median, p99 {:.2} ms, at most {:.1} \
             ms; {} errors",
            self.pairs_per_s,
            ms(self.median),
            ms(self.p99),
            ms(self.longest),
            self.errors
        )
    }
}

/// Of pairs per second.
pub fn median(rounds: &[Round]) -> f64 {
    let mut rates: Vec<f64> = rounds.iter().map(|round| round.pairs_per_s).collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}
