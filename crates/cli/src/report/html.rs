//! A report as one page: no script, nothing fetched, light and dark by the reader's setting.
//!
//! From top to bottom: the verdict and the figures that matter; for a sweep, hit ratio against
//! size; each run over time (the first one open), and its waits; the table of runs and what the
//! waits in it count; the tenants.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::chart::{self, Curve, Drawn, Ink};
use super::columns::{self, Grid};
use super::legend::{self, Legend};
use super::{RunReport, human, verdict};

const STYLE: &str = include_str!("page.css");

/// Runs drawn over time; the others stand in the table.
const RUNS_DRAWN_MAX: usize = 12;

/// All runs as a self-contained page.
pub fn html(runs: &[RunReport]) -> String {
    let verdict = verdict(runs);
    let mut out = String::with_capacity(1 << 16);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(&verdict.sentence)
    );
    header(&mut out, runs, &verdict);
    sweeps(&mut out, runs);
    histories(&mut out, runs);
    all_runs(&mut out, runs);
    tenants(&mut out, runs);
    out.push_str("<footer>Made by <code>allot</code>. Every figure here was counted in the run ");
    out.push_str("itself; the ledger is kept apart from the governor it checks.</footer>\n");
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn header(out: &mut String, runs: &[RunReport], verdict: &super::Verdict) {
    let (class, sign) = if verdict.sound { ("sound", "&#10003;") } else { ("broken", "!") };
    let _ = write!(
        out,
        "<header class=\"{class}\">\n<span class=\"seal\" aria-hidden=\"true\">{sign}</span>\n\
         <div><h1>{}</h1>\n<p>{}</p></div>\n</header>\n",
        escape(&verdict.sentence),
        subject(runs)
    );
    out.push_str("<dl class=\"tiles\">\n");
    for (name, value, note) in tiles(runs) {
        let (value, note) = (escape(&value), escape(&note));
        let _ = writeln!(out, "<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>");
    }
    out.push_str("</dl>\n");
}

/// What was run, in one line of HTML.
fn subject(runs: &[RunReport]) -> String {
    let mut traces: Vec<&str> = runs.iter().map(|run| run.trace.as_str()).collect();
    traces.dedup();
    match (runs, traces.as_slice()) {
        ([run], _) => {
            let size = run.size().map(|size| format!(" against {size}")).unwrap_or_default();
            let policy = escape(&run.policy);
            format!(
                "<b>{}</b> ({}){}, policy {policy}, seed {}",
                escape(&run.trace),
                escape(&run.format),
                escape(&size),
                run.seed
            )
        }
        (many, [trace]) => format!("{} runs of <b>{}</b>", many.len(), escape(trace)),
        (many, traces) => format!("{} runs of {} traces", many.len(), traces.len()),
    }
}

type Tile = (&'static str, String, String);

fn tiles(runs: &[RunReport]) -> Vec<Tile> {
    let sum = |of: fn(&RunReport) -> u64| runs.iter().map(of).sum::<u64>();
    let requests = sum(|run| run.requests);
    let (granted, denied) = (sum(|run| run.granted), sum(|run| run.denied));
    let answers = granted + denied;
    let share = |part: u64| {
        if answers == 0 { String::new() } else { human::percent(part as f64 / answers as f64) }
    };
    let evicted_bytes = match runs {
        [run, ..] if runs.iter().all(|other| other.unit == run.unit) && run.counts_bytes() => {
            human::bytes(sum(|run| run.evicted_bytes))
        }
        _ => String::new(),
    };
    let mut tiles = vec![
        ("Requests", human::count(requests), String::new()),
        ("Granted", human::count(granted), share(granted)),
        ("Denied", human::count(denied), share(denied)),
        ("Evicted", human::count(sum(|run| run.evicted_grants)), evicted_bytes),
    ];
    if let Some(best) = runs
        .iter()
        .filter(|run| run.hit_ratio.is_some())
        .max_by(|a, b| a.hit_ratio.unwrap_or(0.0).total_cmp(&b.hit_ratio.unwrap_or(0.0)))
    {
        let name = if runs.len() > 1 { "Best hit ratio" } else { "Hit ratio" };
        let note = if runs.len() > 1 { best.policy.clone() } else { prefix_note(best) };
        tiles.push((name, best.hit_ratio.map(human::percent).unwrap_or_default(), note));
    }
    if let [run] = runs {
        let note = run.capacity_bytes.map(|capacity| format!("of {}", run.amount(capacity)));
        let peak = run.amount(run.peak_used_bytes);
        tiles.push(("Peak", peak, note.unwrap_or_default()));
    }
    let fastest = runs.iter().map(|run| run.events_per_second).fold(0.0, f64::max);
    let note = match runs {
        [run] => run.plain_lru_ratio.map(|ratio| format!("{ratio:.2}x plain LRU")),
        _ => Some("the fastest run".to_string()),
    };
    tiles.push(("Events", human::rate(fastest), note.unwrap_or_default()));
    tiles
}

fn prefix_note(run: &RunReport) -> String {
    run.prefix_hit_ratio
        .map(|ratio| format!("{} of prefixes", human::percent(ratio)))
        .unwrap_or_default()
}

/// One drawing for each trace that was run at two sizes or more.
fn sweeps(out: &mut String, runs: &[RunReport]) {
    let mut traces: Vec<&str> = Vec::new();
    for run in runs {
        if !traces.contains(&run.trace.as_str()) {
            traces.push(&run.trace);
        }
    }
    for trace in traces {
        let runs: Vec<&RunReport> = runs.iter().filter(|run| run.trace == trace).collect();
        let Some((axis, curves)) = curves(&runs) else { continue };
        let title = format!("Hit ratio against size: {}", escape(trace));
        let legend = curves.iter().enumerate().map(|(n, curve)| {
            let mean = curve.points.iter().map(|p| p.1).sum::<f64>() / curve.points.len() as f64;
            (curve.name.clone(), Ink::series(n), format!("mean {}", human::percent(mean)))
        });
        let legend: Vec<_> = legend.collect();
        card(out, &title, &legend, chart::sweep(&curves, &|size| axis.label(size)));
    }
}

/// What the sizes of a sweep are counted in.
#[derive(Clone, Copy)]
enum SizeAxis {
    Percent,
    Blocks,
    Slots,
    Bytes,
    Objects,
}

/// The first that all runs of a trace have is drawn.
const SIZE_AXES: [SizeAxis; 5] =
    [SizeAxis::Percent, SizeAxis::Blocks, SizeAxis::Slots, SizeAxis::Bytes, SizeAxis::Objects];

impl SizeAxis {
    fn size(self, run: &RunReport) -> Option<f64> {
        match self {
            SizeAxis::Percent => run.capacity_percent,
            SizeAxis::Blocks => run.capacity_blocks.map(|blocks| blocks as f64),
            SizeAxis::Slots => run.slots.map(|slots| slots as f64),
            SizeAxis::Bytes if run.counts_bytes() => run.capacity_bytes.map(|bytes| bytes as f64),
            SizeAxis::Objects => run.capacity_bytes.map(|objects| objects as f64),
            SizeAxis::Bytes => None,
        }
    }

    fn label(self, size: f64) -> String {
        match self {
            SizeAxis::Percent => format!("{} %", human::short(size)),
            SizeAxis::Blocks | SizeAxis::Slots | SizeAxis::Objects => human::count(size as u64),
            SizeAxis::Bytes => human::bytes(size as u64),
        }
    }
}

/// The curves of one trace, the best on average first; `None` unless there are two sizes.
fn curves(runs: &[&RunReport]) -> Option<(SizeAxis, Vec<Curve>)> {
    let axis =
        SIZE_AXES.into_iter().find(|axis| runs.iter().all(|run| axis.size(run).is_some()))?;
    let mut by_policy: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for run in runs {
        let at = (axis.size(run)?, run.hit_ratio?);
        by_policy.entry(&run.policy).or_default().push(at);
    }
    let mut curves: Vec<Curve> = by_policy
        .into_iter()
        .map(|(name, mut points)| {
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points.dedup_by_key(|point| point.0);
            Curve { name: name.to_string(), points }
        })
        .collect();
    let mean = |curve: &Curve| {
        curve.points.iter().map(|point| point.1).sum::<f64>() / curve.points.len() as f64
    };
    curves.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    curves.iter().any(|curve| curve.points.len() > 1).then_some((axis, curves))
}

fn histories(out: &mut String, runs: &[RunReport]) {
    let drawn: Vec<&RunReport> = runs.iter().filter(|run| run.history.points.len() > 1).collect();
    for (n, run) in drawn.iter().take(RUNS_DRAWN_MAX).enumerate() {
        if drawn.len() > 1 {
            let open = if n == 0 { " open" } else { "" };
            let size = run.size().map(|size| format!(", {size}")).unwrap_or_default();
            let title = format!("{}, {}{size}", run.trace, run.policy);
            let _ = writeln!(out, "<details{open}><summary>{}</summary>", escape(&title));
        }
        history(out, run);
        if drawn.len() > 1 {
            out.push_str("</details>\n");
        }
    }
    if drawn.len() > RUNS_DRAWN_MAX {
        let more = drawn.len() - RUNS_DRAWN_MAX;
        let _ = writeln!(out, "<p class=\"note\">{more} more runs are in the table below.</p>");
    }
}

fn history(out: &mut String, run: &RunReport) {
    let layers = chart::layers(&run.history);
    let mut legend: Vec<(String, Ink, String)> = layers
        .iter()
        .rev()
        .map(|layer| {
            // The points are samples; the tenant's own figure missed nothing.
            let exact = run.tenants.iter().find(|tenant| tenant.name == layer.name);
            let peak = exact.map_or(layer.peak_bytes, |tenant| tenant.peak_used_bytes);
            (layer.name.clone(), layer.ink, format!("peak {}", run.amount(peak)))
        })
        .collect();
    for (name, ink, most) in
        [("calm", Ink::CALM, 0), ("high", Ink::STRAINED, 1), ("critical", Ink::CHOKED, u8::MAX)]
    {
        let least = if most == u8::MAX { 2 } else { most };
        if run.history.points.iter().any(|p| (least..=most).contains(&p.pressure)) {
            legend.push((format!("pressure {name}"), ink, String::new()));
        }
    }
    let memory = chart::memory(run, &layers);
    card(out, "Memory in use", &legend, memory);
    changes(out, run);
    waited(out, run);
}

/// How long requests waited, and beside it how long they were told they would.
fn waited(out: &mut String, run: &RunReport) {
    let Some(waits) = run.waits.as_ref().filter(|waits| waits.waited() > 0) else { return };
    out.push_str("<div class=\"pair\">\n");
    let count = human::count;
    let seconds = |figure: Option<f64>| figure.map(human::seconds).unwrap_or_default();
    let mut legend = vec![
        ("served later".to_string(), Ink::series(0), count(waits.granted_after_wait)),
        ("half of them within".to_string(), Ink::GRID, seconds(waits.wait_p50_s)),
        ("99 % within".to_string(), Ink::GRID, seconds(waits.wait_p99_s)),
    ];
    let limit_s = run.wait_max_s.unwrap_or(0.0);
    if waits.gave_up > 0 {
        let note = format!("{} after {}", count(waits.gave_up), human::limit(limit_s));
        legend.push(("gave up".to_string(), Ink::DENIED, note));
    }
    let drawn = chart::waits(&run.waited, waits.gave_up, limit_s);
    card(out, "Requests by their wait", &legend, drawn);
    if let Some(median) = waits.estimate_ratio_p50 {
        let (judged, all) = (count(waits.estimates_judged), count(waits.estimates));
        let note =
            format!("{judged} of {all} ({} of these unknown)", count(waits.estimates_unknown));
        let legend = [
            ("estimates judged".to_string(), Ink::series(1), note),
            ("median".to_string(), Ink::LIMIT, format!("{median:.2}")),
        ];
        card(out, "Estimate over real wait", &legend, chart::estimates(&run.waited, median));
    }
    out.push_str("</div>\n");
}

/// What was taken and refused over time, and beside it the hit ratio where there is one.
fn changes(out: &mut String, run: &RunReport) {
    let Some(last) = run.history.points.last() else { return };
    let hits = chart::hits(&run.history);
    out.push_str(if hits.is_some() { "<div class=\"pair\">\n" } else { "<div>\n" });
    if last.evicted + last.denied > 0 {
        let legend = [
            ("evicted".to_string(), Ink::EVICTED, human::count(last.evicted)),
            ("denied".to_string(), Ink::DENIED, human::count(last.denied)),
        ];
        let bar = step(chart::bin_seconds(&run.history));
        let title = format!("Evictions and denials, each {bar}");
        card(out, &title, &legend, chart::refusals(&run.history, hits.is_none()));
    } else {
        out.push_str("<p class=\"note\">Nothing was evicted and nothing denied.</p>\n");
    }
    if let Some(drawn) = hits {
        let ratio = last.hit_ratio.map(human::percent).unwrap_or_default();
        let legend = [("hits so far".to_string(), Ink::series(0), ratio)];
        card(out, "Hit ratio", &legend, drawn);
    }
    out.push_str("</div>\n");
}

/// The width of a bar in words: `second`, `5 s`, `200 ms`, `minute`.
fn step(seconds: f64) -> String {
    match seconds {
        1.0 => "second".to_string(),
        60.0 => "minute".to_string(),
        3600.0 => "hour".to_string(),
        s if s < 1e-3 => format!("{} us", human::short(s * 1e6)),
        s if s < 1.0 => format!("{} ms", human::short(s * 1e3)),
        s if s < 60.0 => format!("{} s", human::short(s)),
        s if s < 3600.0 => format!("{} min", human::short(s / 60.0)),
        s => format!("{} h", human::short(s / 3600.0)),
    }
}

fn card(out: &mut String, title: &str, legend: &[(String, Ink, String)], drawn: Drawn) {
    let _ = writeln!(out, "<figure>\n<figcaption><h2>{title}</h2>");
    if !legend.is_empty() {
        out.push_str("<ul class=\"legend\">");
        for (name, ink, note) in legend {
            let _ = write!(
                out,
                "<li><i style=\"background:{}\"></i>{} <small>{}</small></li>",
                ink.css(),
                escape(name),
                escape(note)
            );
        }
        out.push_str("</ul>");
    }
    out.push_str("</figcaption>\n");
    match drawn {
        Ok(svg) => out.push_str(&svg),
        Err(error) => {
            let _ = writeln!(out, "<p>not drawn: {}</p>", escape(&error.to_string()));
        }
    }
    out.push_str("</figure>\n");
}

fn all_runs(out: &mut String, runs: &[RunReport]) {
    if runs.is_empty() {
        return;
    }
    out.push_str("<section><h2>Runs</h2>\n");
    push_grid(out, &columns::runs(runs));
    if let Some(grid) = columns::waits(runs) {
        push_grid(out, &grid);
    }
    if let Some(legend) = legend::waits(runs) {
        push_legend(out, &legend);
    }
    out.push_str("</section>\n");
}

fn tenants(out: &mut String, runs: &[RunReport]) {
    let many = runs.len() > 1;
    for run in runs {
        let Some((grid, more)) = columns::tenants(run) else { continue };
        let size = run.size().map(|size| format!(", {size}")).unwrap_or_default();
        let title = format!("Tenants of {}, {}{size}", run.trace, run.policy);
        if many {
            let _ = writeln!(out, "<details><summary>{}</summary>", escape(&title));
        } else {
            out.push_str("<section><h2>Tenants</h2>\n");
        }
        push_grid(out, &grid);
        push_more(out, more);
        if let Some((grid, more)) = columns::waits_of_tenants(run) {
            push_grid(out, &grid);
            push_more(out, more);
        }
        out.push_str(if many { "</details>\n" } else { "</section>\n" });
    }
}

fn push_more(out: &mut String, more: usize) {
    if more > 0 {
        let _ = writeln!(out, "<p class=\"note\">and {more} more</p>");
    }
}

fn push_legend(out: &mut String, legend: &Legend) {
    let _ = writeln!(out, "<p class=\"note\">{}</p>\n<ul class=\"note\">", legend.sentence);
    for (name, words) in &legend.entries {
        let _ = writeln!(out, "<li><b>{}</b> {}</li>", escape(name), escape(words));
    }
    out.push_str("</ul>\n");
}

fn push_grid(out: &mut String, grid: &Grid) {
    let class = |is_number: bool| if is_number { " class=\"n\"" } else { "" };
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for (name, is_number) in &grid.headers {
        let _ = write!(out, "<th{}>{name}</th>", class(*is_number));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &grid.rows {
        out.push_str("<tr>");
        for (cell, (_, is_number)) in row.iter().zip(&grid.headers) {
            let _ = write!(out, "<td{}>{}</td>", class(*is_number), escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

/// Text as HTML shows it, in elements and in quoted attributes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{History, Point, TenantReport};
    use super::*;

    fn run(trace: &str, policy: &str, percent: f64, ratio: f64) -> RunReport {
        RunReport {
            trace: trace.into(),
            policy: policy.into(),
            capacity_percent: Some(percent),
            hit_ratio: Some(ratio),
            ..RunReport::default()
        }
    }

    #[test]
    fn a_hostile_name_stays_text() {
        let name = "<script>alert('x')</script>\"&".to_string();
        let tenant = TenantReport { name: name.clone(), ..TenantReport::default() };
        let point = |s| Point { time_s: s, used_bytes: vec![1, 2], ..Point::default() };
        let run = RunReport {
            trace: name.clone(),
            policy: name.clone(),
            tenants: vec![tenant.clone(), tenant],
            history: History {
                tenants: vec![name.clone(), name],
                points: vec![point(0.0), point(1.0)],
            },
            ..RunReport::default()
        };
        let page = html(&[run.clone(), run]);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    }

    #[test]
    fn the_page_fetches_nothing() {
        let page = html(&[run("t", "lru", 1.0, 0.3), run("t", "lru", 10.0, 0.5)]);
        let rest = page.replace("http://www.w3.org/2000/svg", "");
        for word in ["http", "src=", "url(", "@import", "<link", "<script"] {
            assert!(!rest.contains(word), "the page mentions {word}");
        }
    }

    #[test]
    fn a_sweep_is_drawn_and_the_best_comes_first() {
        let runs = [
            run("t", "lru", 1.0, 0.3),
            run("t", "lru", 10.0, 0.5),
            run("t", "hybrid", 10.0, 0.6),
            run("t", "hybrid", 1.0, 0.4),
        ];
        let (_, curves) = curves(&runs.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(curves[0].name, "hybrid");
        assert_eq!(curves[0].points, [(1.0, 0.4), (10.0, 0.6)]);
        assert!(html(&runs).contains("Hit ratio against size"));
        assert!(!html(&runs[..1]).contains("Hit ratio against size"));
    }

    #[test]
    fn every_ink_is_in_the_style_sheet_for_both_themes() {
        for ink in 0..=22 {
            assert_eq!(STYLE.matches(&format!("--ink-{ink}:")).count(), 2, "ink {ink}");
        }
    }
}
