//! One tenant's memory as a line of cells: what it holds, and the marks between which it may move.
//!
//! ```text
//! ████▓▓░░··G····F·······L···B
//! used      evictable    idle claim   room up to the limit; guarantee, fair share, limit, burst
//!
//! ████▓▓░░··G····F·············>      without a limit: room goes on
//! ```
//!
//! Every part is a character of its own, so that nothing is told by colour alone.

use super::known::{Known, Tenant};

/// What a cell stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Used,
    Evictable,
    Idle,
    Room,
    /// Room that no limit ends.
    Open,
    Beyond,
    Guarantee,
    Fair,
    Limit,
    Burst,
}

impl Part {
    /// What is drawn for it.
    pub fn character(self) -> char {
        match self {
            Self::Used => '█',
            Self::Evictable => '▓',
            Self::Idle => '░',
            Self::Room => '·',
            Self::Open => '>',
            Self::Beyond => ' ',
            Self::Guarantee => 'G',
            Self::Fair => 'F',
            Self::Limit => 'L',
            Self::Burst => 'B',
        }
    }
}

/// Bytes that the whole width of every bar stands for: the longest one among all. Who has no limit
/// fills seven tenths at most, so that it is seen that its room goes on.
pub fn scale(known: &Known) -> u64 {
    let capacity = known.pool.capacity_bytes.max(1);
    let tenants = known.tenants.values();
    let open = tenants.filter(|tenant| tenant.about.limit_bytes.is_none());
    let held = open.map(|tenant| tenant.figures.used_bytes.saturating_add(tenant.idle_bytes()));
    let open = held.max().unwrap_or(0).saturating_mul(10) / 7;
    let longest = known.tenants.values().map(|tenant| {
        let about = &tenant.about;
        let held = tenant.figures.used_bytes.saturating_add(tenant.idle_bytes());
        let allowed = about.limit_bytes.max(about.burst_bytes).unwrap_or(0).min(capacity);
        held.max(about.guarantee_bytes).max(allowed)
    });
    longest.max().unwrap_or(1).clamp(1, capacity).max(open)
}

/// In which of `width` cells a number of bytes ends, where `scale` bytes fill all of them.
fn cells(bytes: u64, scale: u64, width: usize) -> usize {
    let cells = (u128::from(bytes) * width as u128 + u128::from(scale) / 2) / u128::from(scale);
    cells.min(width as u128) as usize
}

/// Parts that follow each other: each takes cells up to where its bytes end. What is there at all
/// has a cell of its own as long as there are some.
fn stack(parts: &[(Part, u64)], scale: u64, width: usize) -> Vec<Part> {
    let (mut line, mut end_bytes) = (Vec::with_capacity(width), 0_u64);
    for (part, bytes) in parts {
        end_bytes = end_bytes.saturating_add(*bytes);
        let least = line.len() + usize::from(*bytes > 0);
        let end = cells(end_bytes, scale, width).max(least).min(width);
        line.resize(end.max(line.len()), *part);
    }
    line
}

/// The bar of a tenant.
pub fn of_tenant(tenant: &Tenant, known: &Known, scale: u64, width: usize) -> Vec<Part> {
    let (about, figures) = (&tenant.about, &tenant.figures);
    let evictable = figures.evictable_bytes.min(figures.used_bytes);
    let parts = [
        (Part::Used, figures.used_bytes - evictable),
        (Part::Evictable, evictable),
        (Part::Idle, tenant.idle_bytes()),
    ];
    let mut line = stack(&parts, scale, width);
    let room = cells(about.limit_bytes.unwrap_or(scale), scale, width);
    line.resize(room.max(line.len()), Part::Room);
    line.resize(width, Part::Beyond);
    if about.limit_bytes.is_none()
        && let Some(last @ Part::Room) = line.last_mut()
    {
        *last = Part::Open;
    }
    // The last one that falls on a cell is seen.
    let marks = [
        (Part::Burst, about.burst_bytes),
        (Part::Guarantee, Some(about.guarantee_bytes)),
        (Part::Fair, tenant.fair_bytes(known)),
        (Part::Limit, about.limit_bytes),
    ];
    for (part, bytes) in marks {
        let shown = bytes.filter(|bytes| *bytes > 0 && *bytes <= scale);
        let place = shown.map(|bytes| cells(bytes, scale, width).saturating_sub(1));
        if let Some(cell) = place.and_then(|place| line.get_mut(place)) {
            *cell = part;
        }
    }
    line
}

/// The bar of the pool.
pub fn of_pool(known: &Known, width: usize) -> Vec<Part> {
    let evictable = known.sum(|tenant| tenant.figures.evictable_bytes);
    let used = known.pool.used_bytes;
    let parts = [
        (Part::Used, used.saturating_sub(evictable)),
        (Part::Evictable, evictable.min(used)),
        (Part::Idle, known.sum(Tenant::idle_bytes)),
    ];
    let mut line = stack(&parts, known.pool.capacity_bytes.max(1), width);
    line.resize(width, Part::Room);
    line
}

#[cfg(test)]
mod tests {
    use super::super::known::tests::known;
    use super::*;

    fn text(line: &[Part]) -> String {
        line.iter().map(|part| part.character()).collect()
    }

    #[test]
    fn a_bar_shows_what_is_held_and_the_marks() {
        let known = known();
        // The largest is the burst limit of chat, 12 GiB: a cell is half a GiB.
        let scale = scale(&known);
        assert_eq!(scale, 12 << 30);
        let bar = |n: u32| text(&of_tenant(&known.tenants[&n], &known, scale, 24));
        assert_eq!(bar(1), "███G████▓▓░F···L       B");
        assert_eq!(bar(2), "▓▓▓▓▓▓▓▓▓▓▓F···········>");
        assert_eq!(bar(3), "██·····L   F            ");
    }

    #[test]
    fn who_has_no_limit_never_fills_its_bar() {
        let mut known = known();
        let tenant = known.tenants.get_mut(&2).unwrap();
        tenant.figures.used_bytes = 14 << 30;
        let scale = scale(&known);
        assert_eq!(scale, 20 << 30);
        let bar = text(&of_tenant(&known.tenants[&2], &known, scale, 20));
        assert!(bar.ends_with("······>") || bar.ends_with("·····>"), "{bar}");
        let limited = text(&of_tenant(&known.tenants[&1], &known, scale, 20));
        assert!(limited.contains('L') && !limited.contains('>'), "{limited}");
    }

    #[test]
    fn what_is_there_at_all_is_seen_and_no_bar_is_longer_than_its_cells() {
        let mut known = known();
        let tenant = known.tenants.get_mut(&3).unwrap();
        tenant.figures.used_bytes = 1;
        tenant.figures.claimed_bytes = 2;
        let bar = text(&of_tenant(&known.tenants[&3], &known, 12 << 30, 24));
        assert!(bar.starts_with("█░·"), "{bar}");
        let tenant = known.tenants.get_mut(&3).unwrap();
        tenant.figures.used_bytes = u64::MAX;
        tenant.figures.evictable_bytes = u64::MAX;
        tenant.figures.claimed_bytes = u64::MAX;
        let bar = of_tenant(&known.tenants[&3], &known, 1, 10);
        assert_eq!(text(&bar), "▓▓▓▓▓▓▓▓▓▓");
        for width in 0..4 {
            assert_eq!(of_tenant(&known.tenants[&1], &known, 1 << 30, width).len(), width);
            assert_eq!(of_pool(&known, width).len(), width);
        }
    }

    #[test]
    fn the_pool_is_all_of_them() {
        let bar = text(&of_pool(&known(), 16));
        assert_eq!(bar, "█████▓▓▓▓▓▓▓░···");
        assert_eq!(text(&of_pool(&Known::default(), 4)), "····");
    }
}
