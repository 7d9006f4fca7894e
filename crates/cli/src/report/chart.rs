//! The page's drawings, as SVG text by plotters.
//!
//! Colours are not drawn but named: [`Ink`] n becomes `var(--ink-n)`, which the page's style
//! sheet sets once for light and once for dark. Drawings are made four times too large, because
//! plotters counts in whole pixels, and scaled by their view box.

use std::error::Error;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::{History, Point, RunReport, Waited, human};

/// A drawing, or why there is none.
pub type Drawn = Result<String, Box<dyn Error>>;

/// The most areas that are stacked; further tenants are added up as the last one.
pub const LAYERS_MAX: usize = 12;

/// The thresholds that are drawn, as shares of the capacity.
const BANDS: [(f64, f64, Ink); 3] =
    [(0.80, 0.90, Ink::WARNING), (0.90, 0.95, Ink::HIGH), (0.95, 1.0, Ink::CRITICAL)];

const SCALE: u32 = 4;
const WIDE: (u32, u32) = (1000 * SCALE, 360 * SCALE);
const HALF: (u32, u32) = (490 * SCALE, 220 * SCALE);
const BINS_MAX: usize = 60;

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// A colour by its place in the style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ink(u8);

impl Ink {
    /// Words and figures.
    pub const TEXT: Ink = Ink(12);
    /// Axes.
    pub const GRID: Ink = Ink(13);
    /// The capacity.
    pub const LIMIT: Ink = Ink(14);
    /// The band from the warning on.
    pub const WARNING: Ink = Ink(15);
    /// The band of High pressure.
    pub const HIGH: Ink = Ink(16);
    /// The band of Critical pressure.
    pub const CRITICAL: Ink = Ink(17);
    /// Normal pressure.
    pub const CALM: Ink = Ink(18);
    /// Denials.
    pub const DENIED: Ink = Ink(19);
    /// Evictions.
    pub const EVICTED: Ink = Ink(20);
    /// High pressure.
    pub const STRAINED: Ink = Ink(21);
    /// Critical pressure.
    pub const CHOKED: Ink = Ink(22);

    /// The colour of the n-th of several things; the last one serves all that follow.
    pub fn series(n: usize) -> Ink {
        Ink(n.min(LAYERS_MAX - 1) as u8)
    }

    /// The name of the colour, for style sheets.
    pub fn css(self) -> String {
        format!("var(--ink-{})", self.0)
    }

    fn color(self) -> RGBColor {
        RGBColor(1, 2, self.0)
    }
}

/// One area of the stack: a tenant, or the last of them together.
#[derive(Debug)]
pub struct Layer {
    /// The tenant's name, or how many there are.
    pub name: String,
    /// Its colour.
    pub ink: Ink,
    /// The most bytes at one time.
    pub peak_bytes: u64,
    used_bytes: Vec<u64>,
}

/// The areas of a history, bottom first: all tenants in their order, or, of many, those with
/// the highest peaks and one for the rest.
pub fn layers(history: &History) -> Vec<Layer> {
    let column = |at: usize| -> Vec<u64> {
        history.points.iter().map(|p| p.used_bytes.get(at).copied().unwrap_or(0)).collect()
    };
    let peak = |used: &[u64]| used.iter().copied().max().unwrap_or(0);
    let mut order: Vec<usize> = (0..history.tenants.len()).collect();
    let mut rest = Vec::new();
    if order.len() > LAYERS_MAX {
        order.sort_by_key(|&at| std::cmp::Reverse(peak(&column(at))));
        rest = order.split_off(LAYERS_MAX - 1);
    }
    let mut layers: Vec<Layer> = order
        .iter()
        .enumerate()
        .map(|(n, &at)| layer(history.tenants[at].clone(), n, column(at)))
        .collect();
    if !rest.is_empty() {
        let mut sum = vec![0u64; history.points.len()];
        for at in &rest {
            sum.iter_mut().zip(column(*at)).for_each(|(total, used)| *total += used);
        }
        layers.push(layer(format!("{} others", rest.len()), LAYERS_MAX - 1, sum));
    }
    layers
}

fn layer(name: String, n: usize, used_bytes: Vec<u64>) -> Layer {
    let peak_bytes = used_bytes.iter().copied().max().unwrap_or(0);
    Layer { name, ink: Ink::series(n), peak_bytes, used_bytes }
}

/// Bytes in use over time: stacked areas, the capacity, the pressure bands, and below them a
/// ribbon that says what the pressure was.
pub fn memory(run: &RunReport, layers: &[Layer]) -> Drawn {
    let (history, capacity_bytes) = (&run.history, run.capacity_bytes);
    draw(WIDE, |canvas| {
        let clock = Clock::of(history);
        let stack = stacked(layers, history.points.len());
        let top = stack.last().map_or(0, |line| line.iter().copied().max().unwrap_or(0));
        let scale = ByteScale::of(top.max(capacity_bytes.unwrap_or(0)), run.counts_bytes());
        let y_max = scale.value(top).max(capacity_bytes.map_or(0.0, |c| scale.value(c))) * 1.06;
        let (upper, lower) = canvas.split_vertically(WIDE.1 - 14 * SCALE);
        let mut chart = frame(&upper, 0.0..clock.end, y_max.max(f64::MIN_POSITIVE), 58)?;
        if let Some(capacity) = capacity_bytes {
            bands(&mut chart, clock.end, scale.value(capacity))?;
        }
        mesh(&mut chart, &|x| clock.label(*x), &|y| scale.label(*y))?;
        areas(&mut chart, &clock, &scale, layers, &stack, history)?;
        if let Some(capacity) = capacity_bytes {
            thresholds(&mut chart, clock.end, scale.value(capacity))?;
        }
        ribbon(&lower, &clock, history)
    })
}

/// Denials and evictions, counted in bins of equal time; as wide as the page or half of it.
pub fn refusals(history: &History, is_wide: bool) -> Drawn {
    let size = if is_wide { (WIDE.0, HALF.1) } else { HALF };
    draw(size, |canvas| {
        let clock = Clock::of(history);
        let denied = binned(history, |point| point.denied);
        let evicted = binned(history, |point| point.evicted);
        let most = denied.iter().chain(&evicted).copied().max().unwrap_or(0);
        let mut chart = frame(canvas, 0.0..clock.end, most.max(4) as f64 * 1.1, 8)?;
        mesh(&mut chart, &|x| clock.label(*x), &|y| si(*y))?;
        let width = clock.value(bin_seconds(history));
        let both = [&denied, &evicted].iter().all(|series| series.iter().any(|n| *n > 0));
        let share = if both { 0.38 } else { 0.76 };
        let right_half = if both { 0.5 } else { 0.12 };
        for (series, ink, from) in
            [(evicted, Ink::EVICTED, 0.12), (denied, Ink::DENIED, right_half)]
        {
            let bars = series.iter().enumerate().filter(|(_, n)| **n > 0).map(|(bin, n)| {
                let left = ((bin as f64 + from) * width).min(clock.end);
                let right = (left + share * width).min(clock.end);
                Rectangle::new([(left, 0.0), (right, *n as f64)], ink.color().filled())
            });
            chart.draw_series(bars)?;
        }
        Ok(())
    })
}

/// The seconds that one bar of [`refusals`] stands for: a round figure, of which the run has at
/// most sixty.
pub fn bin_seconds(history: &History) -> f64 {
    const STEPS: [f64; 13] =
        [1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0, 86400.0];
    let end = history.points.last().map_or(0.0, |point| point.time_s);
    let least = end / BINS_MAX as f64;
    if least <= 0.5 {
        let decade = 10f64.powf(least.max(1e-9).log10().floor());
        return [1.0, 2.0, 5.0, 10.0]
            .map(|n| n * decade)
            .into_iter()
            .find(|s| *s >= least)
            .unwrap_or(1.0);
    }
    STEPS.into_iter().find(|step| *step >= least).unwrap_or(least)
}

/// The hit ratio over time. `None` where the history has none.
pub fn hits(history: &History) -> Option<Drawn> {
    let ratios: Vec<(f64, f64)> = history
        .points
        .iter()
        .filter_map(|point| Some((point.time_s, point.hit_ratio? * 100.0)))
        .collect();
    if ratios.len() < 2 {
        return None;
    }
    Some(draw(HALF, |canvas| {
        let clock = Clock::of(history);
        let most = ratios.iter().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
        let mut chart = frame(canvas, 0.0..clock.end, (most * 1.15).min(104.0), 8)?;
        mesh(&mut chart, &|x| clock.label(*x), &|y| format!("{y:.0} %"))?;
        let line = ratios.iter().map(|(time, ratio)| (clock.value(*time), *ratio));
        chart.draw_series(LineSeries::new(line, Ink::series(0).color().stroke_width(8)))?;
        Ok(())
    }))
}

/// Bars of a histogram, without those for what is beyond its ends.
const BARS: usize = 30;
/// Doublings to either side of 1 that are drawn of a ratio; what is beyond has a bar at the end.
const DOUBLINGS: f64 = 3.0;

/// Bars of equal width, side by side.
struct Bars {
    left: f64,
    width: f64,
    counts: Vec<u64>,
    ink: Ink,
}

impl Bars {
    fn right(&self) -> f64 {
        self.left + self.width * self.counts.len() as f64
    }
}

/// Requests by how long they waited until they were served, and apart from them, behind the limit,
/// those who gave up.
pub fn waits(waited: &Waited, gave_up: u64, limit_s: f64) -> Drawn {
    let longest = waited.waits_s.iter().copied().fold(0.0, f64::max);
    let end = if gave_up > 0 { longest.max(limit_s) } else { longest }.max(f64::MIN_POSITIVE);
    let (counts, width) = (counted(waited.waits_s.iter().map(|s| s / end)), end / BARS as f64);
    let mut bars = vec![Bars { left: 0.0, width, counts, ink: Ink::series(0) }];
    if gave_up > 0 {
        bars.push(Bars { left: end + width, width, counts: vec![gave_up], ink: Ink::DENIED });
    }
    let clock = Clock::up_to(end);
    let label = |x: f64| if x > end { String::new() } else { clock.label(clock.value(x)) };
    histogram(&bars, None, 16, &label)
}

/// Estimates by how many times the real wait they were, with a line at their median.
pub fn estimates(waited: &Waited, median: f64) -> Drawn {
    let (span, width) = (2.0 * DOUBLINGS, 2.0 * DOUBLINGS / BARS as f64);
    let place = |ratio: f64| (ratio.log2() + DOUBLINGS).clamp(-width, span + width);
    let is_within = |place: &f64| (0.0..span).contains(place);
    let places: Vec<f64> = waited.ratios.iter().map(|ratio| place(*ratio)).collect();
    let below = places.iter().filter(|place| **place < 0.0).count() as u64;
    let beyond = places.iter().filter(|place| **place >= span).count() as u64;
    let within = counted(places.iter().copied().filter(is_within).map(|place| place / span));
    let counts = [vec![below], within, vec![beyond]].concat();
    let bars = [Bars { left: -width, width, counts, ink: Ink::series(1) }];
    histogram(&bars, Some(place(median)), 44, &ratio_label)
}

/// `1/2x`, `1x`, `2x`, and the ends: `8x and more`.
fn ratio_label(place: f64) -> String {
    let doublings = place - DOUBLINGS;
    let times = human::short(2f64.powf(doublings.abs()));
    let ratio = if doublings < 0.0 { format!("1/{times}x") } else { format!("{times}x") };
    match doublings {
        d if d <= -DOUBLINGS => format!("{ratio} and less"),
        d if d >= DOUBLINGS => format!("{ratio} and more"),
        _ => ratio,
    }
}

/// How many values from 0 to 1 fall into each of [`BARS`] equal parts.
fn counted(values: impl Iterator<Item = f64>) -> Vec<u64> {
    let mut counts = vec![0; BARS];
    values.for_each(|value| counts[((value * BARS as f64) as usize).min(BARS - 1)] += 1);
    counts
}

/// Bars from left to right, and a line across; `right` is left free for the last label.
fn histogram(bars: &[Bars], line: Option<f64>, right: u32, label: &dyn Fn(f64) -> String) -> Drawn {
    draw(HALF, |canvas| {
        let most = bars.iter().flat_map(|bars| &bars.counts).copied().max().unwrap_or(0).max(4);
        let most = most as f64 * 1.1;
        let ends = bars.first().map_or(0.0, |bars| bars.left)..bars.last().map_or(1.0, Bars::right);
        let mut chart = frame(canvas, ends, most, right)?;
        mesh(&mut chart, &|x| label(*x), &|y| si(*y))?;
        for Bars { left, width, counts, ink } in bars {
            let drawn = counts.iter().enumerate().filter(|(_, n)| **n > 0).map(|(bar, n)| {
                let left = left + (bar as f64 + 0.12) * width;
                let corners = [(left, 0.0), (left + 0.76 * width, *n as f64)];
                Rectangle::new(corners, ink.color().filled())
            });
            chart.draw_series(drawn)?;
        }
        let line = line.map(|x| vec![(x, 0.0), (x, most)]).unwrap_or_default();
        chart.draw_series(LineSeries::new(line, Ink::LIMIT.color().stroke_width(8)))?;
        Ok(())
    })
}

/// One curve of a sweep: a policy's hit ratio at each size.
#[derive(Debug)]
pub struct Curve {
    /// The policy.
    pub name: String,
    /// Size and hit ratio (0 to 1), in order of size.
    pub points: Vec<(f64, f64)>,
}

/// Hit ratio against size, one curve for each policy; sizes stand on a logarithmic axis, each
/// labelled by `size_label`.
pub fn sweep(curves: &[Curve], size_label: &dyn Fn(f64) -> String) -> Drawn {
    draw((WIDE.0, 300 * SCALE), |canvas| {
        let mut sizes: Vec<f64> = curves.iter().flat_map(|c| &c.points).map(|p| p.0).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        let low = sizes.first().copied().unwrap_or(1.0).max(f64::MIN_POSITIVE).log2();
        let high = sizes.last().copied().unwrap_or(1.0).max(f64::MIN_POSITIVE).log2();
        let span = (high - low).max(0.5);
        let place = |size: f64| (size.max(f64::MIN_POSITIVE).log2() - low) / span;
        let best = curves.iter().flat_map(|c| &c.points).map(|p| p.1).fold(0.01, f64::max);
        let mut chart = ChartBuilder::on(canvas)
            .margin_top(8 * SCALE)
            .margin_right(12 * SCALE)
            .set_label_area_size(LabelAreaPosition::Left, 58 * SCALE)
            .set_label_area_size(LabelAreaPosition::Bottom, 26 * SCALE)
            .build_cartesian_2d(-0.02..1.02, 0.0..(best * 115.0).min(104.0))?;
        mesh_y(&mut chart, &|y| format!("{y:.0} %"))?;
        size_axis(&mut chart, canvas, &sizes, &place, size_label)?;
        for (n, curve) in curves.iter().enumerate() {
            let color = Ink::series(n).color();
            let line: Vec<(f64, f64)> =
                curve.points.iter().map(|(size, ratio)| (place(*size), ratio * 100.0)).collect();
            chart.draw_series(LineSeries::new(line.clone(), color.stroke_width(8)))?;
            chart.draw_series(line.iter().map(|at| Circle::new(*at, 13, color.filled())))?;
        }
        Ok(())
    })
}

fn size_axis(
    chart: &mut Chart<'_, '_>,
    canvas: &Canvas<'_>,
    sizes: &[f64],
    place: &dyn Fn(f64) -> f64,
    label: &dyn Fn(f64) -> String,
) -> Result<(), Box<dyn Error>> {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    let style = text(11).pos(Pos::new(HPos::Center, VPos::Top));
    let mut free_from = i32::MIN;
    for size in sizes {
        let (x, y) = chart.backend_coord(&(place(*size), 0.0));
        let label = label(*size);
        let half = (label.len() as i32 * 7 + 10) * SCALE as i32 / 2;
        let tick = [(x, y), (x, y + 4 * SCALE as i32)];
        canvas.draw(&PathElement::new(tick, Ink::GRID.color().stroke_width(SCALE)))?;
        if x - half >= free_from {
            canvas.draw_text(&label, &style, (x, y + 8 * SCALE as i32))?;
            free_from = x + half;
        }
    }
    Ok(())
}

fn draw(size: (u32, u32), paint: impl FnOnce(&Canvas<'_>) -> Result<(), Box<dyn Error>>) -> Drawn {
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        paint(&canvas)?;
        canvas.present().map_err(|error| error.to_string())?;
    }
    Ok(name_colors(&svg.replacen(
        &format!(r#"<svg width="{}" height="{}""#, size.0, size.1),
        "<svg role=\"img\"",
        1,
    )))
}

/// Turns `"#0102nn"` into `"var(--ink-nn)"`. Text cannot contain the quotation mark.
fn name_colors(svg: &str) -> String {
    const MARK: &str = "\"#0102";
    let mut out = String::with_capacity(svg.len());
    let mut rest = svg;
    while let Some(at) = rest.find(MARK) {
        let (before, from) = rest.split_at(at);
        let digits = from.get(MARK.len()..MARK.len() + 2).unwrap_or("");
        out.push_str(before);
        match u8::from_str_radix(digits, 16) {
            Ok(ink) => {
                out.push('"');
                out.push_str(&Ink(ink).css());
                rest = &from[MARK.len() + 2..];
            }
            Err(_) => {
                out.push_str(MARK);
                rest = &from[MARK.len()..];
            }
        }
    }
    out + rest
}

fn text(points: u32) -> TextStyle<'static> {
    // 1.24 is what the backend divides by again.
    let size = f64::from(points * SCALE) * 1.24;
    ("sans-serif", size).into_font().color(&Ink::TEXT.color())
}

fn frame<'a, 'b>(
    canvas: &'a Canvas<'b>,
    x: Range<f64>,
    y_max: f64,
    right: u32,
) -> Result<Chart<'a, 'b>, Box<dyn Error>> {
    Ok(ChartBuilder::on(canvas)
        .margin_top(8 * SCALE)
        .margin_right(right * SCALE)
        .set_label_area_size(LabelAreaPosition::Left, 58 * SCALE)
        .set_label_area_size(LabelAreaPosition::Bottom, 26 * SCALE)
        .build_cartesian_2d(x, 0.0..y_max)?)
}

fn mesh(
    chart: &mut Chart<'_, '_>,
    x_label: &dyn Fn(&f64) -> String,
    y_label: &dyn Fn(&f64) -> String,
) -> Result<(), Box<dyn Error>> {
    let grid = Ink::GRID.color().stroke_width(SCALE);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(grid)
        .axis_style(grid)
        .x_labels(9)
        .y_labels(6)
        .label_style(text(11))
        .set_tick_mark_size(LabelAreaPosition::Left, 6 * SCALE)
        .set_tick_mark_size(LabelAreaPosition::Bottom, 6 * SCALE)
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label)
        .draw()?;
    Ok(())
}

fn mesh_y(
    chart: &mut Chart<'_, '_>,
    y_label: &dyn Fn(&f64) -> String,
) -> Result<(), Box<dyn Error>> {
    let grid = Ink::GRID.color().stroke_width(SCALE);
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .light_line_style(TRANSPARENT)
        .bold_line_style(grid)
        .axis_style(grid)
        .y_labels(6)
        .label_style(text(11))
        .set_tick_mark_size(LabelAreaPosition::Left, 6 * SCALE)
        .y_label_formatter(&y_label)
        .draw()?;
    Ok(())
}

fn bands(chart: &mut Chart<'_, '_>, x_max: f64, capacity: f64) -> Result<(), Box<dyn Error>> {
    for (from, to, ink) in BANDS {
        let corners = [(0.0, from * capacity), (x_max, to * capacity)];
        chart.draw_series([Rectangle::new(corners, ink.color().filled())])?;
    }
    Ok(())
}

fn areas(
    chart: &mut Chart<'_, '_>,
    clock: &Clock,
    scale: &ByteScale,
    layers: &[Layer],
    stack: &[Vec<u64>],
    history: &History,
) -> Result<(), Box<dyn Error>> {
    let line = |used: &[u64]| -> Vec<(f64, f64)> {
        let at = |(p, y): (&Point, &u64)| (clock.value(p.time_s), scale.value(*y));
        history.points.iter().zip(used).map(at).collect()
    };
    for (n, layer) in layers.iter().enumerate() {
        let mut outline = line(&stack[n]);
        outline.extend(line(&stack[n + 1]).into_iter().rev());
        chart.draw_series([Polygon::new(outline, layer.ink.color())])?;
    }
    // An edge of its own colour keeps a peak visible that is narrower than a pixel.
    for (layer, edge) in layers.iter().zip(&stack[1..]) {
        chart.draw_series(LineSeries::new(line(edge), layer.ink.color().stroke_width(3)))?;
    }
    Ok(())
}

fn thresholds(chart: &mut Chart<'_, '_>, x_max: f64, capacity: f64) -> Result<(), Box<dyn Error>> {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    let left = Pos::new(HPos::Left, VPos::Center);
    let beside = (5 * SCALE as i32, 0);
    for (share, _, _) in BANDS {
        let y = share * capacity;
        let ends = [(0.0, y), (x_max, y)];
        chart.draw_series(DashedLineSeries::new(
            ends,
            12,
            16,
            Ink::LIMIT.color().stroke_width(3),
        ))?;
        let label = format!("{:.0} %", share * 100.0);
        let at = EmptyElement::at((x_max, y));
        chart.draw_series([at + Text::new(label, beside, text(9).pos(left))])?;
    }
    let ends = [(0.0, capacity), (x_max, capacity)];
    chart.draw_series(LineSeries::new(ends, Ink::LIMIT.color().stroke_width(7)))?;
    let strong = Ink::LIMIT.color();
    let at = EmptyElement::at((x_max, capacity));
    chart.draw_series([at + Text::new("capacity", beside, text(10).color(&strong).pos(left))])?;
    Ok(())
}

/// One bar along the bottom, coloured by the pressure from each point to the next.
fn ribbon(area: &Canvas<'_>, clock: &Clock, history: &History) -> Result<(), Box<dyn Error>> {
    use plotters::style::text_anchor::{HPos, Pos, VPos};
    let mut chart = ChartBuilder::on(area)
        .margin_right(58 * SCALE)
        .margin_bottom(8 * SCALE)
        .set_label_area_size(LabelAreaPosition::Left, 58 * SCALE)
        .build_cartesian_2d(0.0..clock.end, 0.0..1.0)?;
    let ink = |pressure: u8| match pressure {
        0 => Ink::CALM,
        1 => Ink::STRAINED,
        _ => Ink::CHOKED,
    };
    let place = (50 * SCALE as i32, 3 * SCALE as i32);
    area.draw_text("pressure", &text(10).pos(Pos::new(HPos::Right, VPos::Center)), place)?;
    let mut from = 0;
    for to in 1..history.points.len() {
        let (first, last) = (&history.points[from], &history.points[to]);
        if last.pressure == first.pressure && to + 1 < history.points.len() {
            continue;
        }
        let corners = [(clock.value(first.time_s), 0.0), (clock.value(last.time_s), 1.0)];
        chart.draw_series([Rectangle::new(corners, ink(first.pressure).color().filled())])?;
        from = to;
    }
    Ok(())
}

/// `stack[n + 1]` is the upper edge of layer n, `stack[n]` its lower one.
fn stacked(layers: &[Layer], points: usize) -> Vec<Vec<u64>> {
    let mut stack = vec![vec![0u64; points]];
    for layer in layers {
        let below = &stack[stack.len() - 1];
        stack.push(below.iter().zip(&layer.used_bytes).map(|(a, b)| a + b).collect());
    }
    stack
}

/// How much a running total rose in each stretch of [`bin_seconds`].
fn binned(history: &History, total: impl Fn(&Point) -> u64) -> Vec<u64> {
    let step = bin_seconds(history);
    let mut bins = vec![0u64; BINS_MAX];
    let mut before = 0;
    for point in &history.points {
        let bin = ((point.time_s / step) as usize).min(BINS_MAX - 1);
        bins[bin] += total(point).saturating_sub(before);
        before = total(point);
    }
    bins
}

fn si(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", human::short(v / 1e6)),
        v if v >= 1e3 => format!("{} k", human::short(v / 1e3)),
        v => human::short(v),
    }
}

/// The axis of time, in the unit that suits the length of the run.
struct Clock {
    unit_seconds: f64,
    unit: &'static str,
    end: f64,
}

impl Clock {
    fn of(history: &History) -> Clock {
        Self::up_to(history.points.last().map_or(0.0, |point| point.time_s))
    }

    fn up_to(seconds: f64) -> Clock {
        let (unit_seconds, unit) = match seconds {
            s if s >= 3.0 * 86_400.0 => (86_400.0, "d"),
            s if s >= 3.0 * 3_600.0 => (3_600.0, "h"),
            s if s >= 180.0 => (60.0, "min"),
            s if s >= 1.0 => (1.0, "s"),
            s if s >= 1e-3 => (1e-3, "ms"),
            _ => (1e-6, "us"),
        };
        Clock { unit_seconds, unit, end: (seconds / unit_seconds).max(1e-3) }
    }

    fn value(&self, seconds: f64) -> f64 {
        seconds / self.unit_seconds
    }

    fn label(&self, value: f64) -> String {
        format!("{} {}", human::short(value), self.unit)
    }
}

/// The axis of bytes, in the unit that suits the largest.
struct ByteScale {
    shift: u32,
    unit: &'static str,
}

impl ByteScale {
    fn of(bytes: u64, counts_bytes: bool) -> ByteScale {
        let (shift, unit) = match bytes {
            _ if !counts_bytes => (0, ""),
            b if b >= 2 << 40 => (40, "TiB"),
            b if b >= 2 << 30 => (30, "GiB"),
            b if b >= 2 << 20 => (20, "MiB"),
            b if b >= 2 << 10 => (10, "KiB"),
            _ => (0, "B"),
        };
        ByteScale { shift, unit }
    }

    fn value(&self, bytes: u64) -> f64 {
        bytes as f64 / (1u64 << self.shift) as f64
    }

    fn label(&self, value: f64) -> String {
        if self.unit.is_empty() {
            si(value)
        } else {
            format!("{} {}", human::short(value), self.unit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(tenants: usize) -> History {
        let point = |second: usize| Point {
            time_s: second as f64,
            used_bytes: (0..tenants).map(|t| ((t + second) as u64) << 30).collect(),
            denied: second as u64,
            ..Point::default()
        };
        let tenants = (0..tenants).map(|t| format!("tenant {t}")).collect();
        History { tenants, points: (0..10).map(point).collect() }
    }

    fn run(history: History, capacity_bytes: Option<u64>) -> RunReport {
        RunReport { history, capacity_bytes, ..RunReport::default() }
    }

    #[test]
    fn many_tenants_become_twelve_layers() {
        assert_eq!(layers(&history(12)).len(), 12);
        let of_many = layers(&history(40));
        assert_eq!(of_many.len(), LAYERS_MAX);
        assert_eq!(of_many[0].name, "tenant 39");
        assert_eq!(of_many[11].name, "29 others");
        let all: u64 = history(40).points[9].used_bytes.iter().sum();
        let stack = stacked(&of_many, 10);
        assert_eq!(stack[LAYERS_MAX][9], all);
    }

    #[test]
    fn colours_are_named_not_drawn() {
        let run = run(history(3), Some(40 << 30));
        let svg = memory(&run, &layers(&run.history)).unwrap();
        assert!(svg.contains("var(--ink-0)") && svg.contains("var(--ink-14)"));
        assert!(!svg.contains("#0102"), "a colour was left unnamed");
        assert_eq!(name_colors("\"#0102zz\" \"#010203\""), "\"#0102zz\" \"var(--ink-3)\"");
    }

    #[test]
    fn empty_and_single_point_histories_are_drawn() {
        for history in
            [History::default(), History { points: vec![Point::default()], ..history(2) }]
        {
            let run = run(history, None);
            memory(&run, &layers(&run.history)).unwrap();
            refusals(&run.history, true).unwrap();
            assert!(hits(&run.history).is_none());
        }
    }

    #[test]
    fn waits_and_estimates_are_counted_whole() {
        let waited = Waited { waits_s: vec![0.1, 5.0, 30.0], ratios: vec![0.0, 1.0, 1e9] };
        assert!(waits(&Waited::default(), 0, 30.0).is_ok());
        let bars = |svg: &str, ink: Ink| svg.matches(&format!("fill=\"{}\"", ink.css())).count();
        let drawn = waits(&waited, 0, 30.0).unwrap();
        assert_eq!((bars(&drawn, Ink::series(0)), bars(&drawn, Ink::DENIED)), (3, 0));
        let drawn = waits(&waited, 7, 30.0).unwrap();
        assert_eq!((bars(&drawn, Ink::series(0)), bars(&drawn, Ink::DENIED)), (3, 1));
        let drawn = estimates(&waited, 1.0).unwrap();
        assert_eq!(bars(&drawn, Ink::series(1)), 3);
        assert!(drawn.contains("8x and more") && drawn.contains("1/8x and less"), "{drawn}");
        let counts = counted([0.0, 0.5, 1.0, f64::NAN].into_iter());
        assert_eq!((counts[0], counts[BARS / 2], counts[BARS - 1]), (2, 1, 1));
        assert_eq!(counts.iter().sum::<u64>(), 4);
    }

    #[test]
    fn bins_add_up() {
        assert_eq!(binned(&history(1), |point| point.denied).iter().sum::<u64>(), 9);
    }
}
