//! Bytes in use over the minute: for each half second, what everyone held when the sum was
//! highest. Both runs are drawn from one of these.

use super::load::END_NS;

/// Moments kept.
pub const MOMENTS: usize = 120;

/// What every tenant held at a time.
#[derive(Clone, Debug)]
pub struct Timeline {
    now: Vec<u64>,
    moments: Vec<Option<Vec<u64>>>,
    /// The most bytes at one time.
    pub peak_bytes: u64,
    /// The most bytes of each tenant at one time.
    pub peaks: Vec<u64>,
}

impl Timeline {
    /// A timeline of so many tenants, with nothing in use.
    pub fn new(tenants: usize) -> Timeline {
        let zero = vec![0; tenants];
        Timeline { now: zero.clone(), moments: vec![None; MOMENTS], peak_bytes: 0, peaks: zero }
    }

    /// A tenant takes bytes.
    pub fn add(&mut self, tenant: usize, bytes: u64) {
        self.now[tenant] += bytes;
        self.peaks[tenant] = self.peaks[tenant].max(self.now[tenant]);
        self.peak_bytes = self.peak_bytes.max(self.total());
    }

    /// A tenant gives bytes back.
    pub fn subtract(&mut self, tenant: usize, bytes: u64) {
        self.now[tenant] -= bytes;
    }

    /// What all hold now.
    pub fn total(&self) -> u64 {
        self.now.iter().sum()
    }

    /// Keeps this moment if it is the highest of its half second.
    pub fn mark(&mut self, at_ns: u64) {
        let moment = ((at_ns * MOMENTS as u64 / END_NS) as usize).min(MOMENTS - 1);
        let kept = &mut self.moments[moment];
        if kept.as_ref().is_none_or(|kept| kept.iter().sum::<u64>() < self.now.iter().sum()) {
            *kept = Some(self.now.clone());
        }
    }

    /// The moments in so many columns, each the highest of what it stands for. A column in which
    /// nothing happened is as the one before.
    pub fn columns(&self, count: usize) -> Vec<Vec<u64>> {
        let mut columns = Vec::with_capacity(count);
        let mut last = vec![0; self.now.len()];
        for column in 0..count {
            let part = column * MOMENTS / count..(column + 1) * MOMENTS / count;
            let highest =
                self.moments[part].iter().flatten().max_by_key(|held| held.iter().sum::<u64>());
            last = highest.cloned().unwrap_or(last);
            columns.push(last.clone());
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_of_each_half_second_stays() {
        let mut line = Timeline::new(2);
        line.add(0, 5);
        line.mark(0);
        line.add(1, 7);
        line.mark(1);
        line.subtract(1, 7);
        line.mark(2);
        line.mark(END_NS);
        let columns = line.columns(MOMENTS);
        assert_eq!((&columns[0], &columns[1]), (&vec![5, 7], &vec![5, 7]), "gaps are filled");
        assert_eq!(columns[MOMENTS - 1], [5, 0]);
        assert_eq!((line.peak_bytes, line.total(), &line.peaks), (12, 5, &vec![5, 7]));
        assert_eq!(line.columns(30).len(), 30);
    }
}
