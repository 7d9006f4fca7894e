//! What a Mac's page counts mean, apart from the calls that fetch them, so that every system's
//! tests check the sums.
//!
//! ```text
//! used = internal - purgeable + wired + compressor      available = total - used
//! ```
//!
//! That is what Activity Monitor calls memory used (app memory, wired, compressed). Pages of files
//! and purgeable pages count as available, since the machine drops them without writing anything.

/// Counts of pages, as `host_statistics64` gives them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MacPages {
    /// Bytes in a page of these counts.
    pub page_bytes: u64,
    /// Pages that belong to no file; purgeable ones are among them.
    pub internal: u64,
    /// Pages whose contents may be thrown away.
    pub purgeable: u64,
    /// Pages that cannot be paged out.
    pub wired: u64,
    /// Pages that hold compressed ones.
    pub compressor: u64,
}

impl MacPages {
    /// Bytes in use.
    pub const fn used_bytes(&self) -> u64 {
        let app = self.internal.saturating_sub(self.purgeable);
        (app + self.wired + self.compressor).saturating_mul(self.page_bytes)
    }

    /// Bytes that can be had without swapping, of `total_bytes` in the machine. The counts are not
    /// taken at one instant, so their sum may exceed the total: then nothing is left.
    pub const fn available_bytes(&self, total_bytes: u64) -> u64 {
        total_bytes.saturating_sub(self.used_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_laptop_of_16_gib() {
        let pages = MacPages {
            page_bytes: 16_384,
            internal: 400_000,
            purgeable: 10_000,
            wired: 150_000,
            compressor: 100_000,
        };
        assert_eq!(pages.used_bytes(), 640_000 * 16_384);
        assert_eq!(pages.available_bytes(16 << 30), (16 << 30) - 640_000 * 16_384);
    }

    #[test]
    fn counts_that_disagree_leave_nothing_rather_than_wrap() {
        let pages = MacPages { page_bytes: 4096, internal: 1, purgeable: 5, ..MacPages::default() };
        assert_eq!(pages.used_bytes(), 0);
        let full = MacPages { wired: u64::from(u32::MAX), ..pages };
        assert_eq!(full.available_bytes(8 << 30), 0);
    }
}
