//! Tables of the document, in Markdown.

use crate::bare::CONTENDED;
use crate::bars::{Bar, Need, bars};
use crate::caches::CACHES;
use crate::datafusion::{FAIR, GREEDY, TRACKED};
use crate::figures::{Figure, geometric_mean};
use crate::keys::{Keys, Point};
use crate::memory::{Each, Memory};
use crate::ours::{GROW_BEYOND, GROW_INSIDE, INSIDE};
use crate::rounds::{SPREAD_MAX, Series};
use crate::sections::Measured;
use crate::tail::{QUANTILES, Seen, Tails};
use std::fmt::Write;

/// Three digits that count, and no more than two behind the point.
pub fn number(number: f64) -> String {
    match number.abs() {
        size if size >= 1_000.0 => thousands(number.round() as i64),
        size if size >= 99.95 => format!("{number:.0}"),
        size if size >= 9.995 => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

fn thousands(number: i64) -> String {
    let digits = number.abs().to_string();
    let mut text = if number < 0 { "-".to_string() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn range(figure: Figure) -> String {
    if figure.low == figure.high {
        return "-".to_string();
    }
    format!("{} to {}", number(figure.low), number(figure.high))
}

/// A head and its rows; the first column is text, the others are numbers.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|---|{}\n", head.join(" | "), "---:|".repeat(head.len() - 1));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).expect("text can be added to text");
    }
    text
}

/// What was promised, and what is.
pub fn promised(measured: &Measured) -> String {
    let head = ["measure", "bar", "measured", "lowest to highest", "met"];
    table(&head, bars(measured).iter().map(bar_row))
}

fn bar_row(bar: &Bar) -> Vec<String> {
    let with_unit = |text: String| format!("{text} {}", bar.unit).trim_end().to_string();
    let need = match bar.need {
        Need::AtMost(most) => format!("≤ {}", number(most)),
        Need::AtLeast(least) => format!("≥ {}", number(least)),
    };
    let [got, between] = match bar.got {
        Some(got) => [with_unit(number(got.median)), range(got)],
        None => ["not measured here".to_string(), "-".to_string()],
    };
    let met = match bar.is_met() {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "-",
    };
    vec![bar.what.to_string(), with_unit(need), got, between, met.to_string()]
}

/// One thread: every side beside the bare pair and beside ours that does the same.
pub fn one_thread(series: &Series) -> String {
    let bare = Figure::of(&series.bare);
    let first = vec!["bare pair".to_string(), number(bare.median), range(bare), number(1.0)];
    let first = [first, vec!["-".to_string()]].concat();
    let rows = series.names.iter().map(|name| {
        let ours = counterpart(name);
        let to_ours = (name != ours).then(|| number(series.ratio(name, ours).median));
        let figure = series.figure(name);
        vec![
            name.clone(),
            number(figure.median),
            range(figure),
            number(series.to_bare(name).median),
            to_ours.unwrap_or_else(|| "1".to_string()),
        ]
    });
    let head = ["one thread", "ns", "lowest to highest", "÷ bare pair", "÷ ours inside"];
    table(&head, std::iter::once(first).chain(rows))
}

/// Our side that does what this one does: growth is compared with growth.
fn counterpart(name: &str) -> &'static str {
    let grows = [GREEDY, FAIR, TRACKED, GROW_INSIDE, GROW_BEYOND];
    if grows.contains(&name) { GROW_INSIDE } else { INSIDE }
}

/// Two threads: time of one thread for one operation, and how that compares.
pub fn two_threads(series: &Series) -> String {
    let rows = series.names.iter().map(|name| {
        let figure = series.figure(name);
        let against = series.ratio(name, CONTENDED).median;
        vec![name.clone(), number(figure.median), range(figure), number(against)]
    });
    let head = ["two threads", "ns on each", "lowest to highest", "÷ contended bare pair"];
    table(&head, rows)
}

/// Sides of one section by themselves.
pub fn plain(title: &str, series: &Series) -> String {
    let rows = series.names.iter().map(|name| {
        let figure = series.figure(name);
        vec![name.clone(), number(figure.median), range(figure)]
    });
    table(&[title, "ns", "lowest to highest"], rows)
}

/// The slowest answers.
pub fn slowest(tails: &Tails) -> String {
    let names = QUANTILES.map(|(name, _)| name);
    let head = [&["µs"][..], &names, &["highest", "answers", "refused"]].concat();
    let row = |(name, seen): (&String, &Seen)| {
        let at = |(_, quantile)| number(seen.answers.value_at_quantile(quantile) as f64 / 1e3);
        let mut row = vec![name.clone()];
        row.extend(QUANTILES.map(at));
        row.push(number(seen.answers.max() as f64 / 1e3));
        row.extend([seen.answers.len(), seen.refused].map(|count| thousands(count as i64)));
        row
    };
    table(&head, tails.series.names.iter().zip(&tails.seen).map(row))
}

/// Bytes of a tenant and a grant.
pub fn memory(memory: &Memory) -> String {
    let row = |name: &str, each: Each| {
        let resident = each.resident_bytes.map_or("-".to_string(), number);
        vec![name.to_string(), resident, number(each.tracked_bytes)]
    };
    let rows = [row("an idle tenant", memory.tenant), row("a grant", memory.grant)];
    table(&["bytes of", "resident", "`tracking_bytes`"], rows)
}

/// Hit ratios and speeds, a row for each trace and capacity, a column for each cache.
pub fn recorded(keys: &Keys) -> String {
    let names = CACHES.map(|(name, _)| name);
    let head = [&["trace", "entries"][..], &names].concat();
    let row = |point: &Point, of: &dyn Fn(usize) -> String| {
        let trace = format!("{}, {} %", point.trace, point.percent);
        let mut row = vec![trace, thousands(point.capacity as i64)];
        row.extend((0..names.len()).map(of));
        row
    };
    let hits = keys
        .0
        .iter()
        .map(|point| row(point, &|cache| format!("{:.2}", 100.0 * point.played[cache].hit_ratio)));
    let mean_hits = (0..names.len()).map(|cache| {
        let sum: f64 = keys.0.iter().map(|point| point.played[cache].hit_ratio).sum();
        format!("{:.2}", 100.0 * sum / keys.0.len() as f64)
    });
    let speeds = keys
        .0
        .iter()
        .map(|point| row(point, &|cache| format!("{:.2}", point.played[cache].speed.median / 1e6)));
    let mean_speeds = (0..names.len()).map(|cache| {
        let all: Vec<f64> = keys.0.iter().map(|p| p.played[cache].speed.median / 1e6).collect();
        format!("{:.2}", geometric_mean(&all))
    });
    let last = |what: &str, means: Vec<String>| {
        [vec![format!("**{what}**"), "-".to_string()], means].concat()
    };
    let hits = hits.chain([last("mean", mean_hits.collect())]);
    let speeds = speeds.chain([last("geometric mean", mean_speeds.collect())]);
    format!(
        "Hits, in percent of all requests:\n\n{}\nMillions of requests per second:\n\n{}",
        table(&head, hits),
        table(&head, speeds),
    )
}

/// How quiet it was.
pub fn noise(measured: &Measured) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let percent = |part: f64| format!("{:.1} %", 100.0 * part);
    for (section, series) in measured.series() {
        let spread = percent(Figure::of(&series.spreads).high);
        let counts = [series.repeated, series.noisy()].map(|count| count.to_string());
        rows.push([vec![section.to_string()], counts.to_vec(), vec![spread]].concat());
    }
    for point in measured.keys.iter().flat_map(|keys| &keys.0) {
        let (repeated, noisy, spread) = point.noise;
        let section = format!("{}, {} %", point.trace, point.percent);
        let counts = [repeated, noisy].map(|count| count.to_string());
        rows.push([vec![section], counts.to_vec(), vec![percent(spread)]].concat());
    }
    let disturbed = format!("above {:.0} % all the same", 100.0 * SPREAD_MAX);
    let head = ["section", "rounds done again", disturbed.as_str(), "largest spread that counts"];
    table(&head, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let shown = [0.2461, 9.99, 21.46, 302.4, 1_234.6, 1e7, -1_500.0, 99.96].map(number);
        let wanted = ["0.25", "9.99", "21.5", "302", "1,235", "10,000,000", "-1,500", "100"];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn a_bar_is_a_row() {
        let got = Figure { median: 2.31, low: 2.2, high: 2.5 };
        let bar = Bar { what: "x", need: Need::AtMost(2.4), unit: "µs", got: Some(got) };
        assert_eq!(bar_row(&bar), ["x", "≤ 2.40 µs", "2.31 µs", "2.20 to 2.50", "yes"]);
        let missed = Bar { need: Need::AtLeast(2.4), unit: "", ..bar };
        assert_eq!(bar_row(&missed)[4], "**no**");
        let absent = Bar { got: None, ..missed };
        assert_eq!(bar_row(&absent)[2..], ["not measured here", "-", "-"]);
    }

    #[test]
    fn growth_is_compared_with_growth() {
        assert_eq!(counterpart(TRACKED), GROW_INSIDE);
        assert_eq!(counterpart(crate::semaphore::SEMAPHORE), INSIDE);
    }
}
