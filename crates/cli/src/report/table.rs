//! A report as text for a terminal: one row for each run, its waits, the tenants, what the
//! waits count, the verdict.

use std::fmt::Write;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

use super::columns::{self, Grid};
use super::legend::{self, Legend};
use super::{RunReport, verdict};

/// Beyond this many runs (a sweep) the tenants would drown the runs.
const RUNS_WITH_TENANTS_MAX: usize = 4;

/// Columns that the legend may take.
const LEGEND_WIDTH: usize = 100;

/// Nothing but a line under the header.
const PLAIN: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('-').junction('-'));

/// All runs as text, ending in a new line.
pub fn table(runs: &[RunReport]) -> String {
    let mut out = String::new();
    if !runs.is_empty() {
        out.push_str(&text(&columns::runs(runs)));
    }
    if let Some(grid) = columns::waits(runs) {
        let _ = write!(out, "\n{}", text(&grid));
    }
    let many = runs.iter().filter(|run| run.tenants.len() > 1).count();
    if many <= RUNS_WITH_TENANTS_MAX {
        runs.iter().for_each(|run| push_tenants(&mut out, run, many > 1));
    } else {
        let _ = writeln!(out, "\n{many} runs have several tenants: --json and --html list them.");
    }
    if let Some(legend) = legend::waits(runs) {
        push_legend(&mut out, &legend);
    }
    let _ = writeln!(out, "\n{}", verdict(runs).sentence);
    out
}

fn push_tenants(out: &mut String, run: &RunReport, named: bool) {
    let Some((grid, more)) = columns::tenants(run) else { return };
    out.push('\n');
    if named {
        let size = run.size().map(|size| format!(", {size}")).unwrap_or_default();
        let _ = writeln!(out, "{}, {}{size}", run.trace, run.policy);
    }
    out.push_str(&text(&grid));
    push_more(out, more);
    if let Some((grid, more)) = columns::waits_of_tenants(run) {
        let _ = write!(out, "\n{}", text(&grid));
        push_more(out, more);
    }
}

fn push_more(out: &mut String, more: usize) {
    if more > 0 {
        let _ = writeln!(out, "... and {more} more");
    }
}

fn push_legend(out: &mut String, legend: &Legend) {
    let _ = writeln!(out, "\n{}", lines(&legend.sentence, LEGEND_WIDTH).join("\n"));
    let indent = legend.entries.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 3;
    for (name, words) in &legend.entries {
        let mut name = *name;
        for line in lines(words, LEGEND_WIDTH - indent) {
            let _ = writeln!(out, "{name:<indent$}{line}");
            name = "";
        }
    }
}

/// Words in lines of at most `width` bytes; a word that is longer has a line of its own.
fn lines(words: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// A grid as lines, ending in a new line.
pub fn text(grid: &Grid) -> String {
    let mut table = Table::new();
    table.load_style(PLAIN);
    table.set_header(grid.headers.iter().map(|(name, _)| *name));
    for row in &grid.rows {
        table.add_row(row);
    }
    for (column, (_, is_number)) in table.column_iter_mut().zip(&grid.headers) {
        column.set_padding((0, 2));
        if *is_number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::TenantReport;
    use super::*;

    fn tenant(name: &str) -> TenantReport {
        TenantReport { name: name.into(), priority: "Low".into(), ..TenantReport::default() }
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let run = |denied| RunReport { trace: "t".into(), denied, ..RunReport::default() };
        let text = table(&[run(1), run(1_000_000)]);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(" clean ")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        let end = |line: &str, cell: &str| line.find(cell).unwrap() + cell.len();
        assert_eq!(end(lines[0], " 1 "), end(lines[1], "1,000,000 "), "{text}");
        assert!(text.ends_with("every guarantee kept.\n"));
    }

    #[test]
    fn tenants_follow_for_a_few_runs_only() {
        let run = RunReport { tenants: vec![tenant("a"), tenant("b")], ..RunReport::default() };
        let few = table(&vec![run.clone(); 2]);
        assert_eq!(few.matches("Priority").count(), 2, "{few}");
        let many = table(&vec![run; 9]);
        assert!(!many.contains("Priority") && many.contains("9 runs have several tenants"));
    }

    #[test]
    fn nothing_at_all_is_still_an_answer() {
        assert_eq!(table(&[]), "\nNothing was run.\n");
    }
}
