//! What fills the screen instead of the table: one tenant in detail, and the keys.

use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr;

use super::bar;
use super::details::{Details, Evicted};
use super::draw::{SIGNS, Scene, bar_spans, fit, fit_right};
use super::known::{Known, Tenant};
use super::palette::Palette;
use crate::report::human::{bytes, count, plural};

const KEY_WIDTH: usize = 18;
/// Stands for a space at which no line is broken.
const TOGETHER: &str = "\u{a0}";
const LABEL_WIDTH: usize = 16;
const PAIR_WIDTH: usize = 38;

const KEYS: [(&str, &str); 12] = [
    ("up, down, j, k", "choose a tenant; Page up, Page down, Home, End go further"),
    ("Enter", "open it: what it holds, what was refused, evicted, recorded"),
    ("Escape", "go back, or take the filter away"),
    ("left, right, < >", "sort by the next column"),
    ("r", "turn the order around"),
    ("/", "filter by name or group; Enter keeps it, Escape takes it away"),
    ("t", "groups as a tree"),
    ("f", "freeze the chosen tenant, or thaw it; asks first, needs the scope admin"),
    ("? h", "these keys"),
    ("q, Control-C", "quit"),
    ("", ""),
    ("", "Figures are those of the dashboard, from GET /v1/watch, once a second."),
];

/// The keys and the signs, on as many lines as a width needs. Where the screen has fewer, it says
/// so.
pub fn help<'a>(palette: Palette, width: usize, height: usize) -> Vec<Line<'a>> {
    let sign = |(part, what): (bar::Part, &str)| format!("{} {what}", part.character());
    let signs = SIGNS.map(|one| sign(one).replace(' ', TOGETHER)).join(", ");
    let keys = KEYS.into_iter().map(|(key, what)| (key, what.to_string()));
    let mut out = vec![Line::default()];
    for (key, what) in keys.chain([("bars", signs)]) {
        for (place, line) in wrapped(&what, width.saturating_sub(KEY_WIDTH)).into_iter().enumerate()
        {
            let key = fit(if place == 0 { key } else { "" }, KEY_WIDTH);
            out.push(Line::from(vec![Span::styled(key, palette.strong()), Span::raw(line)]));
        }
    }
    if out.len() > height && height > 0 {
        out.truncate(height - 1);
        out.push(Line::styled("a taller terminal shows the rest", palette.warning()));
    }
    out
}

/// A text on lines of so many cells, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one from the beginning");
        if !last.is_empty() && last.width() + 1 + word.width() > width {
            lines.push(word.to_string());
        } else {
            last.push_str(if last.is_empty() { "" } else { " " });
            last.push_str(word);
        }
    }
    lines.into_iter().map(|line| line.replace(TOGETHER, " ")).collect()
}

/// How long ago a time of the server's clock is.
pub fn ago(known: &Known, time_ms: u64) -> String {
    match known.time_ms.saturating_sub(time_ms) / 1000 {
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds @ 120..7200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

/// One tenant, as lines that may be more than the screen has.
pub fn details<'a>(tenant: &Tenant, scene: &Scene<'_>, width: usize) -> Vec<Line<'a>> {
    let (known, palette) = (scene.known, scene.palette);
    let scale = bar::scale(known);
    let title = match tenant.id() {
        Some(id) => format!("{}  {}", tenant.name, super::known::clean(id, 64)),
        None => tenant.name.clone(),
    };
    let hold = if tenant.is_held() { format!("  {}", tenant.about.hold) } else { String::new() };
    let mut out = vec![Line::from(vec![
        Span::styled(title, palette.strong()),
        Span::styled(hold, palette.warning()),
    ])];
    out.push(Line::from(bar_spans(&bar::of_tenant(tenant, known, scale, width), palette)));
    out.extend(figures(tenant, scene, width));
    let Some(details) = scene.details else {
        out.extend([Line::default(), Line::styled("details are coming", palette.quiet())]);
        return out;
    };
    let said = details.alerts.iter().map(|said| ("alert", said));
    let said = said.chain(details.advice.iter().map(|said| ("advice", said)));
    for (kind, said) in said {
        out.push(Line::styled(format!("{kind}: {}", said.text), palette.warning()));
    }
    section(&mut out, palette, "Holds".to_string(), held(details, palette), "it holds nothing");
    let refusals = details.denials.iter().map(|one| {
        let times =
            if one.times > 1 { format!("{} times, ", count(one.times)) } else { String::new() };
        Line::from(format!("{}{}: {}", times, ago(known, one.time_ms), one.text))
    });
    section(&mut out, palette, "Last refusals".to_string(), refusals.collect(), "none");
    let evictions = details.evictions.iter().map(|one| Line::from(evicted(one, known)));
    let title = evicted_title(&details.evictions);
    section(&mut out, palette, title, evictions.collect(), "nothing had to go");
    let events = details.events.iter().map(|event| {
        let amount = event.bytes.map(bytes);
        let reason = event.reason.as_ref().map(|reason| format!("by {reason}"));
        let parts = [event.of_type.clone(), amount, reason];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let text = format!(
            "{} {} {}",
            fit(&ago(known, event.time_ms), 12),
            fit(&event.kind, 16),
            parts.join(", ")
        );
        Line::from(text.replace('_', " "))
    });
    section(&mut out, palette, "Events".to_string(), events.collect(), "none");
    out
}

fn section<'a>(
    out: &mut Vec<Line<'a>>,
    palette: Palette,
    title: String,
    lines: Vec<Line<'a>>,
    none: &'a str,
) {
    out.push(Line::styled(title, palette.strong()));
    if lines.is_empty() {
        out.push(Line::styled(format!("  {none}"), palette.quiet()));
    }
    let indented = lines.into_iter().map(|mut line| {
        line.spans.insert(0, Span::raw("  "));
        line
    });
    out.extend(indented);
}

fn evicted_title(evictions: &[Evicted]) -> String {
    let sum = evictions.iter().fold(0u64, |sum, one| sum.saturating_add(one.bytes));
    let title = "Evicted, last minute";
    match evictions.len() as u64 {
        0 => title.to_string(),
        grants => format!("{title}: {} in {}", bytes(sum), plural(grants, "grant")),
    }
}

fn evicted(one: &Evicted, known: &Known) -> String {
    let how = match (one.freed, one.asked) {
        (false, _) => ", asked, not yet free",
        (true, true) => ", given back",
        (true, false) => "",
    };
    let what = format!("{} {}", one.kind, one.model);
    format!("{} of {}{how}, {}", bytes(one.bytes), what.trim(), ago(known, one.time_ms))
}

fn held<'a>(details: &Details, palette: Palette) -> Vec<Line<'a>> {
    if details.held.is_empty() {
        return Vec::new();
    }
    let row = |cells: [&str; 6]| {
        let [kind, model, grants, size, pinned, lease] = cells;
        let figures = [(grants, 8), (size, 10), (pinned, 10), (lease, 12)];
        let figures = figures.map(|(cell, width)| fit_right(cell, width)).concat();
        format!("{} {}{figures}", fit(kind, 12), fit(model, 22))
    };
    let head = row(["Type", "Model", "Grants", "Bytes", "Pinned", "Lease ends"]);
    let mut out = vec![Line::styled(head, palette.quiet())];
    for one in &details.held {
        let pinned = if one.pinned_bytes > 0 { bytes(one.pinned_bytes) } else { "-".to_string() };
        let model = if one.model.is_empty() { "-" } else { &one.model };
        let lease = format!("{} s", one.expires_in_ms / 1000);
        let (grants, size) = (count(one.grants), bytes(one.bytes));
        let kind = one.kind.replace('_', " ");
        out.push(Line::from(row([&kind, model, &grants, &size, &pinned, &lease])));
    }
    if details.held_left_out > 0 {
        out.push(Line::from(format!("and {} more", count(details.held_left_out))));
    }
    out
}

/// Names and values side by side, as many pairs as a line has room for.
fn figures<'a>(tenant: &Tenant, scene: &Scene<'_>, width: usize) -> Vec<Line<'a>> {
    let (known, details) = (scene.known, scene.details);
    let (about, figures) = (&tenant.about, &tenant.figures);
    let or = |value: Option<u64>, none: &str| value.map_or_else(|| none.to_string(), bytes);
    let counted = details.map(|details| &details.tenant);
    let peak = counted.map_or(0, |counted| counted.peak_bytes).max(figures.used_bytes);
    let above = Some(tenant.above_bytes(known)).filter(|above| *above > 0);
    let granted = counted.map_or(0, |counted| counted.granted_requests);
    let pairs = [
        ("Used", bytes(figures.used_bytes)),
        ("Most at once", bytes(peak)),
        ("Evictable", bytes(figures.evictable_bytes)),
        ("Claimed, idle", bytes(tenant.idle_bytes())),
        ("Guarantee", bytes(about.guarantee_bytes)),
        ("Fair share", or(tenant.fair_bytes(known), "all wants fit")),
        ("Above fair share", or(above, "no")),
        ("Limit", or(about.limit_bytes, "none")),
        ("Burst limit", or(about.burst_bytes, "none")),
        ("Limit in force", or(figures.ceiling_bytes, "the pool's")),
        ("Grants", count(figures.grants)),
        ("Waiting", plural(figures.waiting, "request")),
        ("Granted", plural(granted, "request")),
        ("Refused", plural(figures.denied, "request")),
        (
            "Evicted",
            format!("{}, {}", plural(figures.evicted, "grant"), bytes(figures.evicted_bytes)),
        ),
        ("Priority", about.priority.clone()),
        ("Isolation", counted.map_or_else(String::new, |counted| counted.isolation.clone())),
        ("Group", tenant.group.clone().unwrap_or_else(|| "none".to_string())),
    ];
    let beside = (width / PAIR_WIDTH).max(1);
    let line = |pairs: &[(&'static str, String)]| {
        let pair = |(name, value): &(&'static str, String)| {
            let value = fit(value, PAIR_WIDTH - LABEL_WIDTH - 2);
            let name = Span::styled(fit(name, LABEL_WIDTH) + " ", scene.palette.quiet());
            [name, Span::raw(value + " ")]
        };
        Line::from(pairs.iter().flat_map(pair).collect::<Vec<_>>())
    };
    pairs.chunks(beside).map(line).collect()
}
