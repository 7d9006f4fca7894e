//! The demo for people: two pictures, what they mean, who got what, one denial explained, and
//! whether every promise was kept. Fits 80 columns.

use super::Minute;
use super::governed::Refused;
use super::load::{CHAT, INDEXER};
use super::picture::{Ink, picture};
use crate::report::human;

const WIDTH: usize = 78;
const NEXT: [(&str, &str); 3] = [
    ("allot demo --seed 7", "another minute"),
    ("allot demo --json", "the same for programs, with every half second"),
    ("allot replay --help", "a trace of your own, as table, JSON or page"),
];

/// The whole text, ending in a new line.
pub(super) fn text(minute: &Minute, ink: Ink) -> String {
    let mut lines = Vec::new();
    head(&mut lines, minute, ink);
    lines.push(String::new());
    table(&mut lines, minute, ink);
    lines.push(String::new());
    story(&mut lines, minute);
    if let Some(refused) = &minute.with.refused {
        lines.push(String::new());
        denial(&mut lines, minute, refused, ink);
    }
    lines.push(String::new());
    verdict(&mut lines, minute, ink);
    lines.push(String::new());
    lines.push("Next".to_string());
    lines.extend(NEXT.map(|(command, what)| format!("  {command:<22}{}", ink.soft(what))));
    lines.join("\n") + "\n"
}

fn head(lines: &mut Vec<String>, minute: &Minute, ink: Ink) {
    let Minute { setup, without, with, .. } = minute;
    let capacity = setup.capacity_bytes;
    let title = format!(
        "{} tenants, one machine of {}, one minute",
        setup.tenants.len(),
        human::bytes(capacity)
    );
    lines.push(format!("{}  {}", ink.strong(&title), ink.soft(&format!("(seed {})", minute.seed))));
    lines.push("The same wishes twice: simply taken, and asked for.".to_string());
    lines.push(String::new());
    lines.push(format!("{:12}{:<33}{}", "", "without a governor", "with one"));
    lines.extend(picture(ink, capacity, &without.timeline, &with.timeline));
    let peak = without.timeline.peak_bytes;
    let (left, left_good) = match without.out_of_memory_ns {
        Some(at_ns) => (format!("out of memory at {}", second(at_ns)), false),
        None => ("never out of memory".to_string(), true),
    };
    let most = with.timeline.peak_bytes;
    let (right, right_good) = match with.over_bytes {
        0 => ("never over".to_string(), true),
        over => (format!("over by {}", human::bytes(over)), false),
    };
    let (left, right) = (format!("{left:<33}"), right);
    lines.push(format!(
        "{:12}{}{}",
        "",
        ink.verdict(&left, left_good),
        ink.verdict(&right, right_good)
    ));
    let over = match peak.saturating_sub(capacity) {
        0 => format!("{} at the peak", human::bytes(peak)),
        over => format!("{} too much at the peak", human::bytes(over)),
    };
    lines.push(format!("{:12}{over:<33}{} at the peak", "", human::bytes(most)));
}

fn table(lines: &mut Vec<String>, minute: &Minute, ink: Ink) {
    let header = format!(
        "  {:<9}{:<10}{:<10}{:>10}{:>11}{:>9}{:>8}{:>9}",
        "tenant", "priority", "isolation", "guarantee", "peak", "granted", "denied", "evicted"
    );
    lines.push(ink.soft(&header));
    for (at, tenant) in minute.setup.tenants.iter().enumerate() {
        let got = &minute.with.got[at];
        lines.push(format!(
            "{} {:<9}{:<10}{:<10}{:>10}{:>11}{:>9}{:>8}{:>9}",
            ink.sign(at),
            tenant.name,
            tenant.priority.name(),
            tenant.isolation.name(),
            human::bytes(tenant.guarantee_bytes),
            human::bytes(minute.with.timeline.peaks[at]),
            human::count(got.granted),
            human::count(got.denied),
            human::count(got.evicted),
        ));
    }
}

/// What the table means, said only where it is so.
fn story(lines: &mut Vec<String>, minute: &Minute) {
    let Minute { setup, with, .. } = minute;
    let (chat, got) = (&setup.tenants[CHAT], &with.got[CHAT]);
    let refused = match got.denied {
        0 => format!("asked {} and was never refused", times(got.granted)),
        denied => format!("was refused {}, {}", times(denied), within(with.broken)),
    };
    let hits = human::count(got.hits);
    let first = format!("{} {refused}; {hits} turns found their context.", chat.name);
    let (indexer, got) = (&setup.tenants[INDEXER], &with.got[INDEXER]);
    let second = format!(
        "{} lived on idle memory, up to {}, and gave {} back when memory got short.",
        indexer.name,
        human::bytes(with.timeline.peaks[INDEXER]),
        human::bytes(got.evicted_bytes)
    );
    let lost_ms: u64 = with.got.iter().map(|got| got.evicted_cost_ms).sum();
    let third = format!(
        "Building again all that was evicted would take {}.",
        human::seconds(lost_ms as f64 / 1e3)
    );
    lines.extend(wrapped(&[first, second, third].join(" "), WIDTH, 0));
}

fn times(count: u64) -> String {
    human::plural(count, "time")
}

fn within(broken: u64) -> &'static str {
    if broken == 0 { "never within its guarantee" } else { "within its guarantee too" }
}

fn denial(lines: &mut Vec<String>, minute: &Minute, refused: &Refused, ink: Ink) {
    let title = format!(
        "One no, explained: {} asked for {} ({}) at {}",
        minute.setup.tenants[refused.tenant].name,
        human::bytes(refused.bytes),
        refused.kind.name(),
        second(refused.at_ns)
    );
    lines.push(ink.strong(&title));
    for line in refused.explanation.lines() {
        lines.extend(wrapped(line, WIDTH - 2, 2).into_iter().map(|line| format!("  {line}")));
    }
}

fn verdict(lines: &mut Vec<String>, minute: &Minute, ink: Ink) {
    let with = &minute.with;
    let amount = |bytes: u64| if bytes == 0 { "0".to_string() } else { human::bytes(bytes) };
    let sentence = format!(
        "{} over, {} leaked, {} guarantees broken",
        amount(with.over_bytes),
        amount(with.leaked_bytes),
        human::count(with.broken)
    );
    let sentence = ink.verdict(&sentence, minute.is_sound());
    lines.push(format!("Independent ledger: {sentence}."));
    let cost = format!(
        "{} decisions, {:.0} ns each on this machine, with every reuse, release and eviction; the \
         governor itself needs {}.",
        human::count(minute.timing.decisions),
        minute.timing.ns_per_decision,
        human::bytes(minute.with.tracking_bytes)
    );
    lines.extend(wrapped(&cost, WIDTH, 0));
}

fn second(at_ns: u64) -> String {
    format!("{:.1} s", at_ns as f64 / 1e9)
}

/// A line in pieces of so many characters at most, broken at spaces, with its indentation kept
/// and further pieces indented by `hang` more.
fn wrapped(line: &str, width: usize, hang: usize) -> Vec<String> {
    let indent = &line[..line.len() - line.trim_start().len()];
    let mut lines: Vec<String> = Vec::new();
    let mut current = String::new();
    for word in line.split_whitespace() {
        let needed = current.chars().count() + 1 + word.chars().count();
        if !current.trim().is_empty() && needed > width {
            lines.push(std::mem::take(&mut current));
        }
        if current.is_empty() {
            current = format!("{indent}{:1$}", "", if lines.is_empty() { 0 } else { hang });
        } else {
            current.push(' ');
        }
        current.push_str(word);
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrapped("  one two three", 9, 2), ["  one two", "    three"]);
        assert_eq!(wrapped("", 9, 2), [""]);
        assert_eq!(wrapped("averylongword", 5, 2), ["averylongword"]);
    }
}
