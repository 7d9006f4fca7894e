//! The rows of a report, and the check that they add up.
//!
//! ```text
//! R1  in each period: sum over tenants and types of byte-seconds = that of the total, told twice
//! R2  at the end: sum over tenants and types of bytes held = the total
//! ```

use std::collections::BTreeMap;

use super::super::kind;
use super::books::{Books, Owner, UNKNOWN_TYPE};
use super::series::{Figures, Series};

/// Whose row it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A tenant's, of one allocation type.
    Type,
    /// A tenant's.
    Tenant,
    /// A group's, with all below it.
    Group,
    /// Everybody's.
    Total,
}

impl Scope {
    /// Its name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Tenant => "tenant",
            Self::Group => "group",
            Self::Total => "total",
        }
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// Whose it is.
    pub scope: Scope,
    /// Of a tenant: its id, if that is known.
    pub id: Option<String>,
    /// The name of the tenant or the path of the group.
    pub name: String,
    /// Of a tenant: the path of its group.
    pub group: Option<String>,
    /// Of a type.
    pub allocation_type: Option<&'static str>,
    /// What it is about.
    pub figures: Figures,
}

/// A period and its rows.
#[derive(Clone, Debug)]
pub struct Section {
    /// When it begins, or the log.
    pub from_ns: i128,
    /// When it ends, or the log.
    pub to_ns: i128,
    /// Tenants by name, each with its types and their sum; groups by path; the total.
    pub rows: Vec<Row>,
}

/// All rows of finished books. What does not add up becomes a fault of theirs.
pub fn sections(books: &mut Books) -> Vec<Section> {
    let end_ns = books.story.last_ns.unwrap_or(0);
    let mut by_period: BTreeMap<i64, Vec<Row>> = BTreeMap::new();
    let mut owners: Vec<&Owner> = books.sheets.keys().collect();
    let is_group = |owner: &Owner| matches!(owner, Owner::Group(_));
    owners.sort_by_key(|owner| (is_group(owner), &books.sheets[*owner].name, *owner));
    for owner in owners {
        let sheet = &books.sheets[owner];
        let (id, name) = match owner {
            Owner::Tenant(id) => (Some(id.to_string()), sheet.name.clone()),
            Owner::Account(..) => (None, sheet.name.clone()),
            Owner::Group(path) => (None, path.clone()),
        };
        let scope = if is_group(owner) { Scope::Group } else { Scope::Tenant };
        let row = Row {
            scope,
            id,
            name,
            group: sheet.group.clone(),
            allocation_type: None,
            figures: Figures::default(),
        };
        let mut push = |series: &Series, row: &Row| {
            for (number, figures) in series.figures(&books.period, end_ns) {
                by_period.entry(number).or_default().push(Row { figures, ..row.clone() });
            }
        };
        for (code, series) in sheet.types.iter().enumerate() {
            let Some(series) = series else { continue };
            let name = if code == UNKNOWN_TYPE { None } else { kind::type_name(code as u8) };
            let allocation_type = Some(name.unwrap_or("unknown"));
            push(series, &Row { scope: Scope::Type, allocation_type, ..row.clone() });
        }
        push(&sheet.sum, &row);
    }
    let totals: BTreeMap<i64, Figures> =
        books.sum.figures(&books.period, end_ns).into_iter().collect();
    let mut sections = Vec::new();
    for (number, rows) in by_period {
        if books.period.wants(number) {
            let total = totals.get(&number).copied().unwrap_or_default();
            sections.push(section(books, number, rows, total));
        }
    }
    sections
}

fn section(books: &mut Books, number: i64, mut rows: Vec<Row>, total: Figures) -> Section {
    let story = &books.story;
    let (first_ns, last_ns) = (story.first_ns.unwrap_or(0), story.last_ns.unwrap_or(0));
    let from_ns = books.period.start(number).unwrap_or(first_ns);
    let to_ns = books.period.end(number).unwrap_or(last_ns);
    let sum: i128 = of_types(&rows).map(|figures| figures.byte_ns).sum();
    let held: i128 = of_types(&rows).map(|figures| figures.held_bytes).sum();
    let told = books.gauge.byte_ns(number);
    let lowest = rows.iter().map(|row| row.figures.byte_ns).min().unwrap_or(0);
    if sum != told || total.byte_ns != told {
        books.story.faults.push(format!(
            "byte-nanoseconds do not add up: {sum} of all tenants, {} of all steps, {told} of the \
             total",
            total.byte_ns
        ));
    }
    if held != total.held_bytes {
        let total = total.held_bytes;
        books.story.faults.push(format!("tenants hold {held} bytes, and the total is {total}"));
    }
    if lowest < 0 {
        books.story.faults.push(format!("somebody held {lowest} byte-nanoseconds: less than none"));
    }
    // Who neither held nor asked for anything has no row.
    rows.retain(|row| row.figures != Figures::default());
    rows.push(Row {
        scope: Scope::Total,
        id: None,
        name: "total".to_string(),
        group: None,
        allocation_type: None,
        figures: total,
    });
    Section { from_ns, to_ns, rows }
}

fn of_types(rows: &[Row]) -> impl Iterator<Item = &Figures> {
    rows.iter().filter(|row| row.scope == Scope::Type).map(|row| &row.figures)
}
