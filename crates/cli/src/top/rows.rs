//! Which rows the table has, and in which order: by a column, those that a filter leaves, below
//! their groups if that is wanted.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::known::{Group, Known, Tenant};
use crate::report::human::{bytes, count};

/// Deepest that a group may stand: a server that tells of a circle is shown all the same.
const DEPTH_MAX: usize = 32;
/// What stands where there is nothing.
const NOTHING: &str = "-";

/// A column that rows can be sorted by, in the order of the screen. The first one stands to the
/// left of the bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Tenant,
    Used,
    Guarantee,
    Fair,
    Limit,
    Idle,
    Evictable,
    Waiting,
    Refused,
    Evicted,
    Above,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Tenant,
        Self::Used,
        Self::Guarantee,
        Self::Fair,
        Self::Limit,
        Self::Idle,
        Self::Evictable,
        Self::Waiting,
        Self::Refused,
        Self::Evicted,
        Self::Above,
    ];

    /// The one so many places to the right.
    pub fn beside(self, places: isize) -> Self {
        let at = Self::ALL.iter().position(|column| *column == self).unwrap_or(0);
        let to = (at as isize + places).rem_euclid(Self::ALL.len() as isize);
        Self::ALL[to as usize]
    }

    /// What stands above it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tenant => "Tenant",
            Self::Used => "Used",
            Self::Guarantee => "Guarantee",
            Self::Fair => "Fair share",
            Self::Limit => "Limit",
            Self::Idle => "Idle claim",
            Self::Evictable => "Evictable",
            Self::Waiting => "Waiting",
            Self::Refused => "Refused",
            Self::Evicted => "Evicted",
            Self::Above => "Above fair",
        }
    }

    /// The cell of a tenant.
    pub fn cell(self, tenant: &Tenant, known: &Known) -> String {
        let (about, figures) = (&tenant.about, &tenant.figures);
        let some = |value: u64| if value == 0 { NOTHING.to_string() } else { bytes(value) };
        let number = |value: u64| if value == 0 { NOTHING.to_string() } else { count(value) };
        match self {
            Self::Tenant => tenant.name.clone(),
            Self::Used => bytes(figures.used_bytes),
            Self::Guarantee => some(about.guarantee_bytes),
            Self::Fair => tenant.fair_bytes(known).map_or_else(|| NOTHING.to_string(), bytes),
            Self::Limit => about.limit_bytes.map_or_else(|| "none".to_string(), bytes),
            Self::Idle => some(tenant.idle_bytes()),
            Self::Evictable => some(figures.evictable_bytes),
            Self::Waiting => number(figures.waiting),
            Self::Refused => number(figures.denied),
            Self::Evicted => some(figures.evicted_bytes),
            Self::Above => some(tenant.above_bytes(known)),
        }
    }

    /// What rows are compared by. Who has no limit has the highest one.
    fn key(self, tenant: &Tenant, known: &Known) -> u64 {
        let (about, figures) = (&tenant.about, &tenant.figures);
        match self {
            Self::Tenant => 0,
            Self::Used => figures.used_bytes,
            Self::Guarantee => about.guarantee_bytes,
            Self::Fair => tenant.fair_bytes(known).map_or(0, |fair| fair.saturating_add(1)),
            Self::Limit => about.limit_bytes.unwrap_or(u64::MAX),
            Self::Idle => tenant.idle_bytes(),
            Self::Evictable => figures.evictable_bytes,
            Self::Waiting => figures.waiting,
            Self::Refused => figures.denied,
            Self::Evicted => figures.evicted_bytes,
            Self::Above => tenant.above_bytes(known),
        }
    }
}

/// What is asked of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub by: Column,
    /// The smallest first.
    pub rising: bool,
    /// What names, of tenants or groups, have in them.
    pub filter: String,
    pub tree: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { by: Column::Used, rising: false, filter: String::new(), tree: false }
    }
}

/// A row, and how deep it stands.
#[derive(Clone, Copy)]
pub enum Row<'a> {
    Group(&'a Group, usize),
    Tenant(&'a Tenant, usize),
}

impl<'a> Row<'a> {
    /// The tenant, if it is one.
    pub fn tenant(&self) -> Option<&'a Tenant> {
        match self {
            Self::Tenant(tenant, _) => Some(tenant),
            Self::Group(..) => None,
        }
    }
}

/// The rows of the table. Cost: n log n for n tenants.
pub fn rows<'a>(known: &'a Known, wanted: &Wanted) -> Vec<Row<'a>> {
    let mut tenants = filtered(known, &wanted.filter);
    tenants.sort_by_cached_key(|tenant| tenant.name.to_lowercase());
    if wanted.by != Column::Tenant {
        tenants.sort_by(|a, b| {
            let order = wanted.by.key(a, known).cmp(&wanted.by.key(b, known));
            if wanted.rising { order } else { order.reverse() }
        });
    } else if !wanted.rising {
        tenants.reverse();
    }
    if wanted.tree { tree(known, tenants) } else { flat(tenants) }
}

fn filtered<'a>(known: &'a Known, filter: &str) -> Vec<&'a Tenant> {
    let filter = filter.trim().to_lowercase();
    let has = |name: &str| name.to_lowercase().contains(&filter);
    let shown = |tenant: &&Tenant| {
        filter.is_empty() || has(&tenant.name) || tenant.group.as_deref().is_some_and(has)
    };
    known.tenants.values().filter(shown).collect()
}

fn flat(tenants: Vec<&Tenant>) -> Vec<Row<'_>> {
    tenants.into_iter().map(|tenant| Row::Tenant(tenant, 0)).collect()
}

/// What stands directly below each group.
struct Below<'a> {
    groups: BTreeMap<&'a str, Vec<&'a Group>>,
    tenants: BTreeMap<&'a str, Vec<&'a Tenant>>,
}

/// Tenants below their groups, groups by name; groups without one of these tenants are left out.
/// What names a group that is not there stands at the top, and so does a circle of groups.
fn tree<'a>(known: &'a Known, tenants: Vec<&'a Tenant>) -> Vec<Row<'a>> {
    let names: BTreeSet<&str> = known.groups.iter().map(|group| &*group.name).collect();
    let mut below = Below { groups: BTreeMap::new(), tenants: BTreeMap::new() };
    let (mut roots, mut free): (Vec<&Group>, Vec<&Tenant>) = (Vec::new(), Vec::new());
    for group in &known.groups {
        match group.parent.as_deref().filter(|parent| names.contains(parent)) {
            Some(parent) => below.groups.entry(parent).or_default().push(group),
            None => roots.push(group),
        }
    }
    for tenant in tenants {
        match tenant.about.group.as_deref().filter(|group| names.contains(group)) {
            Some(group) => below.tenants.entry(group).or_default().push(tenant),
            None => free.push(tenant),
        }
    }
    below.groups.values_mut().for_each(|groups| groups.sort_by(by_name));
    roots.sort_by(by_name);
    let mut out = Vec::new();
    roots.iter().for_each(|group| below.enter(group, 0, &mut out));
    // Who stands below a circle is reached from no root.
    let lost = std::mem::take(&mut below.tenants).into_values().flatten();
    out.extend(lost.chain(free).map(|tenant| Row::Tenant(tenant, 0)));
    out
}

fn by_name(a: &&Group, b: &&Group) -> Ordering {
    a.name.cmp(&b.name)
}

impl<'a> Below<'a> {
    /// A group with all that stands below it, if that is anybody.
    fn enter(&mut self, group: &'a Group, depth: usize, out: &mut Vec<Row<'a>>) {
        if depth >= DEPTH_MAX {
            return;
        }
        let place = out.len();
        out.push(Row::Group(group, depth));
        for child in self.groups.remove(&*group.name).unwrap_or_default() {
            self.enter(child, depth + 1, out);
        }
        let tenants = self.tenants.remove(&*group.name).unwrap_or_default();
        out.extend(tenants.into_iter().map(|tenant| Row::Tenant(tenant, depth + 1)));
        if out.len() == place + 1 {
            out.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::known::tests::{changed, known};
    use super::*;

    fn names(known: &Known, wanted: &Wanted) -> Vec<String> {
        let name = |row: &Row<'_>| match row {
            Row::Group(group, depth) => format!("{}[{}]", "  ".repeat(*depth), group.name),
            Row::Tenant(tenant, depth) => format!("{}{}", "  ".repeat(*depth), tenant.name),
        };
        rows(known, wanted).iter().map(name).collect()
    }

    #[test]
    fn every_column_sorts_both_ways() {
        let known = known();
        let by = |by, rising| names(&known, &Wanted { by, rising, ..Wanted::default() });
        for (column, expected) in [
            (Column::Tenant, ["index", "chat", "batch"]),
            (Column::Used, ["batch", "chat", "index"]),
            (Column::Guarantee, ["chat", "batch", "index"]),
            (Column::Limit, ["batch", "chat", "index"]),
            (Column::Idle, ["chat", "batch", "index"]),
            (Column::Evictable, ["batch", "chat", "index"]),
            (Column::Refused, ["batch", "chat", "index"]),
            (Column::Evicted, ["batch", "chat", "index"]),
        ] {
            assert_eq!(by(column, false), expected, "{column:?}");
        }
        assert_eq!(by(Column::Tenant, true), ["batch", "chat", "index"]);
        assert_eq!(by(Column::Used, true), ["index", "chat", "batch"]);
        // Equal ones stand by name, whatever the way.
        for column in [Column::Fair, Column::Above] {
            assert_eq!(by(column, true), ["batch", "chat", "index"], "{column:?}");
        }
        let changed = changed();
        let above = names(&changed, &Wanted { by: Column::Above, ..Wanted::default() });
        assert_eq!(above, ["chat", "index", "new"]);
    }

    #[test]
    fn columns_go_round() {
        assert_eq!(Column::Tenant.beside(-1), Column::Above);
        assert_eq!(Column::Above.beside(1), Column::Tenant);
        assert_eq!(Column::Used.beside(1), Column::Guarantee);
    }

    #[test]
    fn a_filter_looks_at_names_of_tenants_and_groups() {
        let known = known();
        let with = |filter: &str| {
            names(&known, &Wanted { filter: filter.to_string(), ..Wanted::default() })
        };
        assert_eq!(with("CH"), ["batch", "chat"]);
        assert_eq!(with(" night "), ["batch"]);
        assert!(with("nobody").is_empty());
    }

    #[test]
    fn a_tree_has_groups_above_their_tenants() {
        let known = known();
        let mut wanted = Wanted { tree: true, ..Wanted::default() };
        let expected = ["[apps]", "  [night]", "    batch", "  chat", "index"];
        assert_eq!(names(&known, &wanted), expected);
        wanted.filter = "chat".to_string();
        assert_eq!(names(&known, &wanted), ["[apps]", "  chat"]);
    }

    #[test]
    fn a_circle_of_groups_hides_nobody() {
        let mut known = known();
        known.groups[0].parent = Some("night".to_string());
        known.tenants.get_mut(&3).unwrap().about.group = Some("gone".to_string());
        let wanted = Wanted { tree: true, ..Wanted::default() };
        let mut names = names(&known, &wanted);
        names.sort();
        assert_eq!(names, ["batch", "chat", "index"]);
    }
}
