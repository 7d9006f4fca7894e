//! What stands on the screen: the pool, the tenants, and what the last line says.
//!
//! ```text
//! allot top  http://127.0.0.1:7180                                        live
//! Pool ████████▓▓▓▓▓░····  12 GiB of 16 GiB in use, 75.0 %
//! pressure: high   waiting 2   in the last minute: refused 5, evicted 1 GiB
//! ...
//! Tenant        Memory                    Used▼  Guarantee  Fair share  Limit
//! ```
//!
//! Columns that find no room are left out and counted, the bars get what is left, and a line that
//! is longer than the screen ends in an ellipsis: nothing goes without a sign.

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::bar::{self, Part};
use super::details::Details;
use super::keys::{Page, View};
use super::known::{Group, Known, Tenant};
use super::pages;
use super::palette::Palette;
use super::rows::{Column, Row, rows};
use crate::report::human::{bytes, count, percent, plural};

/// What the bars are made of.
pub const SIGNS: [(Part, &str); 8] = [
    (Part::Used, "stays"),
    (Part::Evictable, "evictable"),
    (Part::Idle, "idle claim"),
    (Part::Guarantee, "guarantee"),
    (Part::Fair, "fair share"),
    (Part::Limit, "limit"),
    (Part::Burst, "burst"),
    (Part::Open, "no limit"),
];

/// The smallest screen that has room for all this.
const WIDTH_MIN: u16 = 60;
const HEIGHT_MIN: u16 = 12;
/// Fewer lines than this have no room for refusals and alerts.
const HEIGHT_OF_ALERTS: u16 = 18;
const NAME_WIDTH_MIN: usize = 12;
const BAR_WIDTH_MIN: usize = 12;
/// Narrowest column of figures, with the space before it.
const COLUMN_WIDTH_MIN: usize = 10;
const INDENT: usize = 2;
/// What stands between two figures of a line.
const BETWEEN: &str = "   ";

/// Whether the server is there.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// Nobody has answered yet.
    Coming,
    Live,
    /// Why it is gone.
    Gone(String),
}

/// All that is drawn.
pub struct Scene<'a> {
    pub address: &'a str,
    pub link: &'a Link,
    pub known: &'a Known,
    pub details: Option<&'a Details>,
    pub palette: Palette,
}

/// Text in exactly so many cells; what is longer ends in an ellipsis.
pub fn fit(text: &str, width: usize) -> String {
    let whole = text.width();
    if whole <= width {
        return format!("{text}{}", " ".repeat(width - whole));
    }
    let (mut out, mut used) = (String::new(), 0);
    for character in text.chars() {
        let cells = character.width().unwrap_or(0);
        if used + cells + 1 > width {
            break;
        }
        out.push(character);
        used += cells;
    }
    if width > 0 {
        out.push('…');
        used += 1;
    }
    out + &" ".repeat(width - used)
}

/// The same to the right.
pub fn fit_right(text: &str, width: usize) -> String {
    let whole = text.width();
    if whole >= width { fit(text, width) } else { " ".repeat(width - whole) + text }
}

/// A bar, each part in its colour.
pub fn bar_spans(parts: &[Part], palette: Palette) -> Vec<Span<'static>> {
    let runs = parts.chunk_by(|a, b| a == b);
    let span = |run: &[Part]| {
        let text: String = run.iter().map(|part| part.character()).collect();
        Span::styled(text, palette.part(run[0]))
    };
    runs.map(span).collect()
}

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, view: &mut View) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let (width, height) = (area.width, area.height);
        let small = [
            format!("this terminal is too small: {width} x {height},"),
            format!("{WIDTH_MIN} x {HEIGHT_MIN} or more are needed"),
        ];
        return lines(buffer, area, small.map(Line::from).to_vec());
    }
    let (palette, width) = (scene.palette, usize::from(area.width));
    put(buffer, area, 0, title(scene, width));
    put(buffer, area, area.height - 1, foot(scene, view));
    let body = Rect { y: area.y + 1, height: area.height - 2, ..area };
    if view.help {
        return lines(buffer, body, pages::help(palette, width, usize::from(body.height)));
    }
    if scene.known.boot.is_empty() {
        return lines(buffer, body, nothing_yet(scene));
    }
    let head = head(scene, width, area.height >= HEIGHT_OF_ALERTS);
    let head_height = head.len() as u16;
    lines(buffer, body, head);
    let rest = Rect { y: body.y + head_height, height: body.height - head_height, ..body };
    match view.page {
        Page::Table => table(buffer, rest, scene, view),
        Page::Details { n, from } => {
            let all = match scene.known.tenants.get(&n) {
                Some(tenant) => pages::details(tenant, scene, width),
                None => vec![Line::from("it has left. Escape goes back to all tenants.")],
            };
            view.height = usize::from(rest.height);
            let from = from.min(all.len().saturating_sub(view.height));
            view.page = Page::Details { n, from };
            lines(buffer, rest, all.into_iter().skip(from).collect());
        }
    }
}

fn put(buffer: &mut Buffer, area: Rect, y: u16, line: Line<'_>) {
    let (end, row) = buffer.set_line(area.x, area.y + y, &line, area.width);
    if line.width() > usize::from(area.width) && end > area.x {
        buffer[(end - 1, row)].set_char('…');
    }
}

fn lines(buffer: &mut Buffer, area: Rect, lines: Vec<Line<'_>>) {
    for (y, line) in (0..area.height).zip(lines) {
        put(buffer, area, y, line);
    }
}

fn title<'a>(scene: &Scene<'_>, width: usize) -> Line<'a> {
    let palette = scene.palette;
    let (state, style) = match scene.link {
        Link::Coming => ("connecting".to_string(), palette.quiet()),
        Link::Live => ("live".to_string(), palette.pressure("normal")),
        Link::Gone(why) => (format!("gone, trying again: {why}"), palette.alarm()),
    };
    let name = format!("allot top  {}", scene.address);
    let left = width.saturating_sub(name.width());
    Line::from(vec![
        Span::styled(name, palette.strong()),
        Span::styled(fit_right(&format!("  {state}"), left), style),
    ])
}

fn nothing_yet<'a>(scene: &Scene<'_>) -> Vec<Line<'a>> {
    let why = match scene.link {
        Link::Gone(why) => why.clone(),
        Link::Coming | Link::Live => "the server has not answered yet".to_string(),
    };
    let hint = "It is tried again and again. `allot serve` starts a server.";
    vec![Line::default(), Line::styled(why, scene.palette.alarm()), Line::from(hint)]
}

/// The pool, and what happens to it.
fn head<'a>(scene: &Scene<'a>, width: usize, with_alerts: bool) -> Vec<Line<'a>> {
    let (known, palette) = (scene.known, scene.palette);
    let pool = &known.pool;
    let share = pool.used_bytes as f64 / pool.capacity_bytes.max(1) as f64;
    let (used, capacity) = (bytes(pool.used_bytes), bytes(pool.capacity_bytes));
    let words = format!("  {used} of {capacity} in use, {}", percent(share));
    let bar_width = width.saturating_sub("Pool ".len() + words.width());
    let mut first = vec![Span::styled("Pool ", palette.strong())];
    first.extend(bar_spans(&bar::of_pool(known, bar_width), palette));
    first.push(Span::raw(words));
    let lately = format!(
        "   waiting {}   in the last minute: refused {}, evicted {}",
        count(pool.waiting_requests),
        count(known.refused_lately()),
        bytes(known.evicted_bytes_lately())
    );
    let pressure =
        Span::styled(format!("pressure: {}", pool.pressure), palette.pressure(&pool.pressure));
    let mut out = vec![Line::from(first), Line::from(vec![pressure, Span::raw(lately)])];
    out.push(Line::from(sums(known, width)));
    if with_alerts {
        out.extend(alerts(scene));
    }
    out.push(Line::default());
    out
}

/// Sums over all tenants, as far as there is room for them.
fn sums(known: &Known, width: usize) -> String {
    let evictable = known.sum(|tenant| tenant.figures.evictable_bytes);
    let (above, by) = known.above_bytes();
    let mut parts = vec![
        format!("stays {}", bytes(known.pool.used_bytes.saturating_sub(evictable))),
        format!("evictable {}", bytes(evictable)),
        format!("idle claim {}", bytes(known.sum(Tenant::idle_bytes))),
        format!("unclaimed {}", bytes(known.unclaimed_bytes())),
        format!("guaranteed {}", bytes(known.sum(|tenant| tenant.about.guarantee_bytes))),
    ];
    if by > 0 {
        parts.push(format!("above fair share {} by {}", bytes(above), plural(by, "tenant")));
    }
    if parts.join(BETWEEN).width() > width {
        let cut = format!("{BETWEEN}…");
        while parts.len() > 1 && parts.join(BETWEEN).width() + cut.width() > width {
            parts.pop();
        }
        return parts.join(BETWEEN) + &cut;
    }
    parts.join(BETWEEN)
}

/// The last refusal, and the first alert or advice.
fn alerts<'a>(scene: &Scene<'a>) -> [Line<'a>; 2] {
    let (known, palette) = (scene.known, scene.palette);
    let refusal = match &known.denial {
        None => Line::styled("nobody was refused since the server started", palette.quiet()),
        Some(denial) => {
            let times = if denial.times > 1 {
                format!(", {} times", count(denial.times))
            } else {
                String::new()
            };
            let ago = pages::ago(known, denial.time_ms);
            let who = format!("last refusal: {}{times}, {ago}: ", denial.name);
            Line::from(vec![Span::styled(who, palette.warning()), Span::raw(&*denial.text)])
        }
    };
    let all = known.alerts.len() + known.advice.len();
    let more = if all > 1 { format!(" (and {} more)", all - 1) } else { String::new() };
    let alert = known.alerts.first().map(|alert| ("alert", palette.alarm(), alert));
    let advice = known.advice.first().map(|advice| ("advice", palette.warning(), advice));
    let second = match alert.or(advice) {
        None => Line::styled("no alerts", palette.quiet()),
        Some((kind, style, said)) => {
            Line::from(vec![Span::styled(format!("{kind}{more}: "), style), Span::raw(&*said.text)])
        }
    };
    [refusal, second]
}

/// Where everything stands in a row.
struct Layout {
    width: usize,
    name: usize,
    bar: usize,
    columns: Vec<(Column, usize)>,
}

impl Layout {
    /// The column that rows are sorted by always has room: going from one to the next brings each
    /// of them to the screen.
    fn new(width: usize, names: usize, by: Column) -> Self {
        let name = names.clamp(NAME_WIDTH_MIN, (width / 4).max(NAME_WIDTH_MIN));
        let mut left = width.saturating_sub(name + 1 + BAR_WIDTH_MIN);
        // A mark stands after the title of the one that rows are sorted by.
        let wanted = |column: Column| (column.title().len() + 2).max(COLUMN_WIDTH_MIN);
        let figures = &Column::ALL[1..];
        let mut shown = Vec::new();
        let others = figures.iter().filter(|column| **column != by);
        for column in figures.iter().filter(|column| **column == by).chain(others) {
            let width = wanted(*column);
            if width > left {
                break;
            }
            left -= width;
            shown.push(*column);
        }
        let columns = figures.iter().filter(|column| shown.contains(column));
        let columns = columns.map(|column| (*column, wanted(*column))).collect();
        Self { width, name, bar: BAR_WIDTH_MIN + left, columns }
    }

    /// How many columns there is no room for.
    fn hidden(&self) -> usize {
        Column::ALL.len() - 1 - self.columns.len()
    }
}

fn table(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>, view: &mut View) {
    let (known, palette) = (scene.known, scene.palette);
    let shown = rows(known, &view.wanted);
    let tenants = shown.iter().filter(|row| row.tenant().is_some()).count();
    let deepest = |row: &Row<'_>| match row {
        Row::Group(group, depth) => group.name.width() + INDENT * depth,
        Row::Tenant(tenant, depth) => shown_name(tenant).width() + INDENT * depth,
    };
    let names = shown.iter().map(deepest).max().unwrap_or(0);
    let layout = Layout::new(usize::from(area.width), names, view.wanted.by);
    put(buffer, area, 0, summary(scene, view, &layout, tenants));
    put(buffer, area, 1, heading(&layout, view, palette));
    let body = Rect { y: area.y + 2, height: area.height.saturating_sub(2), ..area };
    let chosen = shown
        .iter()
        .position(|row| row.tenant().is_some_and(|tenant| Some(tenant.n) == view.chosen));
    view.height = usize::from(body.height);
    view.top = window(view.top, view.height, chosen, shown.len());
    if shown.is_empty() {
        let why = if known.tenants.is_empty() {
            "there are no tenants yet: register one with POST /v1/tenants, or in the configuration"
        } else {
            "no tenant's name or group has this in it; Escape takes the filter away"
        };
        put(buffer, body, 0, Line::from(why));
    }
    let scale = bar::scale(known);
    let visible = shown.iter().enumerate().skip(view.top);
    for (y, (place, row)) in (0..body.height).zip(visible) {
        let line = match row {
            Row::Group(group, depth) => group_line(group, *depth, &layout, palette),
            Row::Tenant(tenant, depth) => tenant_line(tenant, *depth, &layout, scene, scale),
        };
        put(buffer, body, y, line);
        if Some(place) == chosen {
            let row = Rect { y: body.y + y, height: 1, ..body };
            buffer.set_style(row, palette.chosen());
        }
    }
}

/// The first row to draw, so that the chosen one is seen and no room is left at the end.
fn window(top: usize, height: usize, chosen: Option<usize>, rows: usize) -> usize {
    let top = top.min(rows.saturating_sub(height));
    match chosen {
        Some(chosen) if chosen < top => chosen,
        Some(chosen) if chosen >= top + height => (chosen + 1).saturating_sub(height),
        _ => top,
    }
}

/// How many tenants there are, how many columns have no room, and what the signs of the bars mean,
/// as far as there is room: the page of the keys has all of them.
fn summary<'a>(scene: &Scene<'_>, view: &View, layout: &Layout, shown: usize) -> Line<'a> {
    let all = scene.known.tenants.len();
    let filter = view.wanted.filter.trim();
    let tenants = if filter.is_empty() {
        plural(all as u64, "tenant")
    } else {
        let (shown, all) = (count(shown as u64), plural(all as u64, "tenant"));
        format!("{shown} of {all} with `{filter}`")
    };
    let mut line = Line::from(Span::styled(tenants + BETWEEN, scene.palette.strong()));
    if layout.hidden() > 0 {
        let hidden = plural(layout.hidden() as u64, "column");
        let hidden = format!("{hidden} hidden, < > or widen{BETWEEN}");
        line.push_span(Span::styled(hidden, scene.palette.warning()));
    }
    for (part, what) in SIGNS {
        let sign = part.character().to_string();
        let sign = Span::styled(sign, scene.palette.part(part));
        let what = Span::styled(format!(" {what}  "), scene.palette.quiet());
        if line.width() + sign.width() + what.width() > layout.width {
            line.push_span(Span::styled("…", scene.palette.quiet()));
            break;
        }
        line.extend([sign, what]);
    }
    line
}

/// The title of a column, with a mark if rows are sorted by it.
fn titled(column: Column, view: &View) -> String {
    let mark = match (column == view.wanted.by, view.wanted.rising) {
        (false, _) => "",
        (true, true) => "▲",
        (true, false) => "▼",
    };
    format!("{}{mark}", column.title())
}

fn heading<'a>(layout: &Layout, view: &View, palette: Palette) -> Line<'a> {
    let name = fit(&titled(Column::Tenant, view), layout.name);
    let mut text = name + " " + &fit("Memory", layout.bar);
    for (column, width) in &layout.columns {
        text += &fit_right(&titled(*column, view), *width);
    }
    Line::styled(text, palette.strong())
}

/// A name, and whether somebody holds it.
fn shown_name(tenant: &Tenant) -> String {
    if tenant.is_held() {
        format!("{} ({})", tenant.name, tenant.about.hold)
    } else {
        tenant.name.clone()
    }
}

fn tenant_line<'a>(
    tenant: &Tenant,
    depth: usize,
    layout: &Layout,
    scene: &Scene<'_>,
    scale: u64,
) -> Line<'a> {
    let (known, palette) = (scene.known, scene.palette);
    let indent = " ".repeat(INDENT * depth);
    let held = if tenant.is_held() { palette.warning() } else { Style::new() };
    // A long name is cut before what holds it.
    let hold = if tenant.is_held() { format!(" ({})", tenant.about.hold) } else { String::new() };
    let room = layout.name.saturating_sub(hold.width());
    let whole = format!("{indent}{}", tenant.name);
    let name = if whole.width() > room { fit(&whole, room) } else { whole } + &hold;
    let mut spans = vec![Span::styled(fit(&name, layout.name) + " ", held)];
    let parts = bar::of_tenant(tenant, known, scale, layout.bar);
    spans.extend(bar_spans(&parts, palette));
    for (column, width) in &layout.columns {
        let style = match column {
            Column::Above if tenant.above_bytes(known) > 0 => palette.warning(),
            Column::Waiting if tenant.figures.waiting > 0 => palette.warning(),
            _ => Style::new(),
        };
        spans.push(Span::styled(fit_right(&column.cell(tenant, known), *width), style));
    }
    Line::from(spans)
}

fn group_line<'a>(group: &Group, depth: usize, layout: &Layout, palette: Palette) -> Line<'a> {
    let name = super::known::clean(&group.name, layout.name);
    let name = format!("{}{name}", " ".repeat(INDENT * depth));
    let mut text = fit(&name, layout.name) + " " + &fit("group", layout.bar);
    for (column, width) in &layout.columns {
        let cell = match column {
            Column::Used => bytes(group.used_bytes),
            Column::Guarantee if group.guarantee_bytes > 0 => bytes(group.guarantee_bytes),
            Column::Limit => group.limit_bytes.map_or_else(|| "none".to_string(), bytes),
            Column::Idle => bytes(group.claimed_bytes.saturating_sub(group.used_bytes)),
            _ => String::new(),
        };
        text += &fit_right(&cell, *width);
    }
    Line::styled(text, palette.strong())
}

/// The last line: a question, what came of the last key, what is typed, or which keys there are.
fn foot<'a>(scene: &Scene<'_>, view: &View) -> Line<'a> {
    let palette = scene.palette;
    if let Some(question) = &view.question {
        let name = &question.name;
        // The keys come first: a name may be long.
        let text = if question.freeze {
            format!("y freezes, any other key does not: freeze {name}? It gets nothing more then")
        } else {
            format!("y thaws, any other key does not: thaw {name}? It gets memory again then")
        };
        return Line::styled(text, palette.warning());
    }
    if let Some(note) = &view.note {
        return Line::styled(note.clone(), palette.warning());
    }
    if view.typing {
        let text = format!("filter by name or group: {}_", view.wanted.filter);
        return Line::styled(text, palette.strong());
    }
    let keys = match view.page {
        _ if view.help => "any key goes back",
        Page::Details { .. } => "up, down: scroll  f: freeze, thaw  Escape: back  q: quit",
        Page::Table => "?: help  q: quit  Enter: open  f: freeze  /: filter  t: tree",
    };
    Line::styled(keys, palette.quiet())
}

#[cfg(test)]
pub mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::super::details::tests::DETAILS;
    use super::super::known::tests::{changed, known};
    use super::*;

    /// What is drawn, line by line, without what is empty at their ends.
    fn drawn(size: (u16, u16), link: &Link, known: &Known, view: &mut View) -> Vec<String> {
        let details = Details::new(DETAILS.as_bytes()).unwrap();
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        let scene = Scene {
            address: "http://127.0.0.1:7180",
            link,
            known,
            details: Some(&details),
            palette: Palette::new(false),
        };
        terminal.draw(|frame| draw(frame, &scene, view)).unwrap();
        let buffer = terminal.backend().buffer();
        assert!(buffer.content().iter().all(|cell| cell.fg == ratatui::style::Color::Reset));
        let row = |y: u16| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..size.1).map(|y| row(y).trim_end().to_string()).collect()
    }

    fn press(view: &mut View, known: &Known, code: KeyCode) {
        view.press(KeyEvent::new(code, KeyModifiers::NONE), known);
    }

    #[test]
    fn the_table_has_the_pool_above_it_and_the_keys_below() {
        let lines = drawn((80, 20), &Link::Live, &known(), &mut View::default());
        let expected = include_str!("../../tests/top/table.txt");
        assert_eq!(lines.join("\n") + "\n", expected, "\n{}", lines.join("\n"));
    }

    #[test]
    fn a_wide_screen_has_all_columns_and_a_narrow_one_fewer() {
        let (known, view) = (known(), &mut View::default());
        let heading =
            |width: u16, view: &mut View| drawn((width, 20), &Link::Live, &known, view)[8].clone();
        let wide = heading(140, view);
        assert!(Column::ALL.iter().all(|column| wide.contains(column.title())), "{wide}");
        let narrow = heading(60, view);
        assert!(narrow.contains("Guarantee") && !narrow.contains("Idle claim"), "{narrow}");
    }

    #[test]
    fn columns_without_room_are_counted_and_each_is_seen_when_rows_are_sorted_by_it() {
        let known = known();
        for (width, hidden) in [(140, 0), (90, 5), (80, 6), (60, 7)] {
            let mut seen = Vec::new();
            for by in &Column::ALL[1..] {
                let mut view = View::default();
                view.wanted.by = *by;
                let lines = drawn((width, 20), &Link::Live, &known, &mut view);
                assert!(lines[8].contains(&format!("{}▼", by.title())), "{width}: {}", lines[8]);
                let shown = Column::ALL[1..].iter().filter(|one| lines[8].contains(one.title()));
                let missing = Column::ALL.len() - 1 - shown.count();
                let sign = format!("3 tenants   {missing} columns hidden, < > or widen");
                assert_eq!(missing > 0, lines[7].starts_with(&sign), "{width}: {}", lines[7]);
                seen.push(missing);
            }
            assert_eq!(seen[0], hidden, "{width}: {seen:?}");
        }
    }

    #[test]
    fn what_is_cut_ends_in_an_ellipsis_and_the_keys_never_are() {
        let mut known = known();
        known.denial.as_mut().unwrap().text = "no ".repeat(60);
        let refusal = drawn((80, 20), &Link::Live, &known, &mut View::default())[4].clone();
        assert!(refusal.width() == 80 && refusal.ends_with('…'), "{refusal}");
        for width in [60, 80, 90] {
            let foot = |view: &mut View| drawn((width, 24), &Link::Live, &known, view)[23].clone();
            let mut view = View::default();
            assert!(foot(&mut view).ends_with("t: tree"), "{width}");
            view.page = Page::Details { n: 1, from: 0 };
            assert!(foot(&mut view).ends_with("q: quit"), "{width}");
            view = View { help: true, ..View::default() };
            let help = drawn((width, 40), &Link::Live, &known, &mut view).join("\n");
            assert!(!help.contains('…'), "{width}: {help}");
            for (part, what) in SIGNS {
                assert!(help.contains(&format!("{} {what}", part.character())), "{width}: {what}");
            }
            let short = drawn((width, 12), &Link::Live, &known, &mut view);
            assert!(short[10].contains("a taller terminal shows the rest"), "{short:?}");
        }
    }

    #[test]
    fn a_tree_a_filter_and_a_choice_are_seen() {
        let (known, mut view) = (known(), View::default());
        press(&mut view, &known, KeyCode::Char('t'));
        let lines = drawn((80, 20), &Link::Live, &known, &mut view);
        let starts = ["apps", "  night", "    batch", "  chat", "index"];
        for (line, start) in lines[9..].iter().zip(starts) {
            assert!(line.starts_with(start), "{line}");
        }
        for character in "/CHA".chars() {
            press(&mut view, &known, KeyCode::Char(character));
        }
        let lines = drawn((80, 20), &Link::Live, &known, &mut view);
        assert!(lines[7].starts_with("1 of 3 tenants with `CHA`"), "{}", lines[7]);
        assert_eq!(lines[19], "filter by name or group: CHA_");
        assert!(lines[10].starts_with("  chat") && lines[11].is_empty());
    }

    #[test]
    fn a_question_names_whom_it_is_about() {
        let (known, mut view) = (known(), View::default());
        press(&mut view, &known, KeyCode::Down);
        press(&mut view, &known, KeyCode::Char('f'));
        let foot = |view: &mut View| drawn((90, 20), &Link::Live, &known, view)[19].clone();
        assert!(
            foot(&mut view).contains("y thaws, any other key does not: thaw batch?"),
            "{}",
            foot(&mut view)
        );
        press(&mut view, &known, KeyCode::Esc);
        press(&mut view, &known, KeyCode::Down);
        press(&mut view, &known, KeyCode::Char('f'));
        assert!(foot(&mut view).contains("y freezes, any other key does not: freeze chat?"));
    }

    #[test]
    fn a_tenant_is_shown_in_detail_and_one_that_left_as_such() {
        let (known, mut view) = (known(), View::default());
        press(&mut view, &known, KeyCode::Down);
        press(&mut view, &known, KeyCode::Down);
        press(&mut view, &known, KeyCode::Enter);
        let lines = drawn((80, 44), &Link::Live, &known, &mut view);
        let expected = include_str!("../../tests/top/details.txt");
        assert_eq!(lines.join("\n") + "\n", expected, "\n{}", lines.join("\n"));
        // Nobody scrolls past the end.
        (0..99).for_each(|_| press(&mut view, &known, KeyCode::Down));
        drawn((80, 44), &Link::Live, &known, &mut view);
        assert_eq!(view.page, Page::Details { n: 1, from: 0 });
        view.page = Page::Details { n: 2, from: 0 };
        let lines = drawn((80, 20), &Link::Live, &changed(), &mut view);
        assert!(lines.iter().any(|line| line.starts_with("it has left.")), "{lines:?}");
    }

    #[test]
    fn a_server_that_is_gone_is_told_and_what_was_known_stays() {
        let gone = Link::Gone("nobody listens at http://127.0.0.1:7180".to_string());
        let lines = drawn((100, 20), &gone, &known(), &mut View::default());
        assert!(lines[0].ends_with("gone, trying again: nobody listens at http://127.0.0.1:7180"));
        assert!(lines.iter().any(|line| line.starts_with("chat")));
        let lines = drawn((100, 20), &gone, &Known::default(), &mut View::default());
        assert_eq!(lines[2], "nobody listens at http://127.0.0.1:7180");
        let lines = drawn((100, 20), &Link::Coming, &Known::default(), &mut View::default());
        assert_eq!(lines[2], "the server has not answered yet");
    }

    #[test]
    fn a_small_terminal_is_told_so_and_none_is_too_small_for_that() {
        let lines = drawn((59, 30), &Link::Live, &known(), &mut View::default());
        assert_eq!(lines[0], "this terminal is too small: 59 x 30,");
        assert_eq!(lines[1], "60 x 12 or more are needed");
        let mut view = View { help: true, ..View::default() };
        for width in (1..70).step_by(4) {
            for height in (1..15).step_by(2) {
                drawn((width, height), &Link::Live, &known(), &mut view);
                drawn((width, height), &Link::Live, &known(), &mut View::default());
            }
        }
    }

    #[test]
    fn text_takes_exactly_its_cells() {
        assert_eq!((fit("abc", 5), fit("abcdef", 4)), ("abc  ".into(), "abc…".into()));
        // Characters of two cells are never cut in half.
        assert_eq!((fit("模型模", 4), fit("模型", 4)), ("模… ".into(), "模型".into()));
        assert_eq!((fit("abc", 0), fit("abc", 1)), (String::new(), "…".into()));
        assert_eq!((fit_right("abc", 5), fit_right("abcdef", 4)), ("  abc".into(), "abc…".into()));
    }

    #[test]
    fn the_chosen_row_is_always_seen() {
        for (top, chosen, expected) in [
            (0, None, 0),
            (95, None, 90),
            (0, Some(9), 0),
            (0, Some(10), 1),
            (50, Some(20), 20),
            (0, Some(99), 90),
        ] {
            assert_eq!(window(top, 10, chosen, 100), expected, "{top} {chosen:?}");
        }
        assert_eq!(window(7, 10, Some(2), 3), 0);
        assert_eq!(window(0, 0, Some(2), 3), 3);
    }
}
