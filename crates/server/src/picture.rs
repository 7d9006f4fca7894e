//! What was in use over time as a picture to keep: SVG by plotters, as in the report of a replay.
//!
//! ```text
//! GET /v1/history.svg?span=minute                    of the pool       200
//! GET /v1/tenants/{tenant}/history.svg?span=hour     of a tenant       200
//! ```
//!
//! The dashboard has it saved. What it shows live it draws by itself, since that changes every
//! second and this is drawn for each who asks. Drawings are made four times too large, because
//! plotters counts in whole pixels, and scaled by their view box.

use crate::problem::Problem;
use crate::reach::Reach;
use crate::state::State;
use crate::watch::Calendar;
use crate::words::{At, Query};
use allotment::{HistoryPoint, UsageHistory};
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use plotters::prelude::*;
use serde::Deserialize;
use std::error::Error;
use std::sync::Arc;

const SCALE: u32 = 4;
const SIZE: (u32, u32) = (960, 360);
const GROUND: RGBColor = RGBColor(255, 255, 255);
const TEXT: RGBColor = RGBColor(98, 103, 111);
const GRID: RGBColor = RGBColor(226, 226, 222);
const INK: RGBColor = RGBColor(43, 95, 203);
const BOUND: RGBColor = RGBColor(27, 29, 33);
const DENIED: RGBColor = RGBColor(179, 38, 30);
const EVICTED: RGBColor = RGBColor(151, 97, 10);
/// Slots of a history.
const SLOTS: f64 = 60.0;
/// What is further apart than this many slots has a gap between.
const GAP: f64 = 2.5;
/// Above the highest of what is drawn there is so much room, as a factor.
const AIR: f64 = 1.1;

/// How far back it looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Span {
    Minute,
    #[default]
    Hour,
}

/// What is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    #[serde(default)]
    span: Span,
}

/// All that is drawn.
struct Scene {
    title: String,
    /// How many slots before now each began, with what it has.
    points: Vec<(f64, HistoryPoint)>,
    used_bytes: u64,
    /// Amounts that are marked, with their names.
    bounds: Vec<(u64, &'static str)>,
    /// What a slot is.
    slot: &'static str,
}

impl Scene {
    fn new(name: &str, span: Span, history: &UsageHistory, state: &State) -> Self {
        let (points, slot, slot_ms, words) = match span {
            Span::Minute => (&history.seconds, "s", 1e3, "the last minute"),
            Span::Hour => (&history.minutes, "min", 60e3, "the last hour"),
        };
        let calendar = Calendar::new(state);
        let ago = |point: &HistoryPoint| {
            let ms = calendar.now_ms().saturating_sub(calendar.unix_ms(point.time_ns));
            ms as f64 / slot_ms
        };
        Self {
            title: format!("{name}: memory in use, {words} (▲ refused, ● evicted)"),
            points: points.iter().map(|point| (ago(point), *point)).collect(),
            used_bytes: 0,
            bounds: Vec::new(),
            slot,
        }
    }

    /// Parts without a gap: a slot in which nobody looked is no zero.
    fn runs(&self) -> Vec<Vec<(f64, u64)>> {
        let mut runs: Vec<Vec<(f64, u64)>> = Vec::new();
        let mut last = f64::INFINITY;
        for (ago, point) in &self.points {
            if last - ago > GAP {
                runs.push(vec![(-ago.min(SLOTS), point.used_bytes)]);
            }
            let end = -(ago - 1.0).max(0.0);
            runs.last_mut().expect("the first one begins a run").push((end, point.used_bytes));
            last = *ago;
        }
        if let Some(run) = runs.last_mut().filter(|_| last <= GAP) {
            run.push((0.0, self.used_bytes));
        }
        runs
    }

    fn draw(&self) -> Result<String, Box<dyn Error>> {
        let mut svg = String::new();
        let size = (SIZE.0 * SCALE, SIZE.1 * SCALE);
        let canvas = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        canvas.fill(&GROUND)?;
        let most = self.points.iter().map(|(_, point)| point.used_bytes);
        let most = most.chain(self.bounds.iter().map(|(bytes, _)| *bytes)).max().unwrap_or(0);
        let top = most.max(self.used_bytes).max(1);
        let (shift, unit) = unit_of(top);
        let value = |bytes: u64| bytes as f64 / (1u64 << shift) as f64;
        let mut chart = ChartBuilder::on(&canvas)
            .caption(&self.title, font(14))
            .margin(14 * SCALE)
            .set_label_area_size(LabelAreaPosition::Left, 70 * SCALE)
            .set_label_area_size(LabelAreaPosition::Bottom, 28 * SCALE)
            .build_cartesian_2d(-SLOTS..0.0, 0.0..value(top) * AIR)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(GRID.stroke_width(SCALE))
            .light_line_style(TRANSPARENT)
            .axis_style(GRID.stroke_width(SCALE))
            .label_style(font(11))
            .x_labels(7)
            .y_labels(6)
            .x_label_formatter(&|x| self.time_label(*x))
            .y_label_formatter(&|y| match (y * 100.0).round() / 100.0 {
                0.0 => "0".to_string(),
                y => format!("{y} {unit}"),
            })
            .draw()?;
        for run in self.runs() {
            let line = run.into_iter().map(|(at, bytes)| (at, value(bytes)));
            let area = AreaSeries::new(line, 0.0, INK.mix(0.14));
            chart.draw_series(area.border_style(INK.stroke_width(2 * SCALE)))?;
        }
        for (bytes, name) in self.bounds.iter().filter(|(bytes, _)| *bytes > 0) {
            let ends = [(-SLOTS, value(*bytes)), (0.0, value(*bytes))];
            chart.draw_series(LineSeries::new(ends, BOUND.stroke_width(SCALE)))?;
            let place = (-SLOTS, value(*bytes) + value(top) * 0.05);
            chart.draw_series([Text::new(format!(" {name}"), place, font(11))])?;
        }
        let marks = self.points.iter().filter(|(ago, _)| *ago <= SLOTS);
        let middle = |ago: f64| -(ago - 0.5).max(0.0);
        let (low, high) = (value(top) * 0.03, value(top) * 0.08);
        for (ago, point) in marks {
            if point.denied > 0 {
                let mark = TriangleMarker::new((middle(*ago), low), 5 * SCALE, DENIED.filled());
                chart.draw_series([mark])?;
            }
            if point.evicted_bytes > 0 {
                let mark = Circle::new((middle(*ago), high), 3 * SCALE, EVICTED.filled());
                chart.draw_series([mark])?;
            }
        }
        canvas.present()?;
        drop(chart);
        drop(canvas);
        let large = format!(r#"<svg width="{}" height="{}""#, size.0, size.1);
        let small = format!(r#"<svg width="{}" height="{}" role="img""#, SIZE.0, SIZE.1);
        Ok(svg.replacen(&large, &small, 1))
    }

    fn time_label(&self, at: f64) -> String {
        if at > -0.5 { "now".to_string() } else { format!("{:.0} {} ago", -at, self.slot) }
    }

    fn answer(&self) -> Result<Response, Problem> {
        let svg = self.draw().map_err(|why| {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Problem::new(status, "machine", "it cannot be drawn", why.to_string())
        })?;
        let headers = [
            (header::CONTENT_TYPE, "image/svg+xml"),
            (header::CACHE_CONTROL, "no-store"),
            // Opened by itself it runs nothing and loads nothing.
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        Ok((headers, svg).into_response())
    }
}

fn font(points: u32) -> TextStyle<'static> {
    // 1.24 is what the backend divides by again.
    let size = f64::from(points * SCALE) * 1.24;
    ("sans-serif", size).into_font().color(&TEXT)
}

/// The unit that suits an amount: the power of two that it is, and its name.
fn unit_of(bytes: u64) -> (u32, &'static str) {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    units.into_iter().find(|(shift, _)| bytes >= 2 << shift).unwrap_or((0, "B"))
}

/// That of the pool.
pub async fn of_pool(
    Shared(state): Shared<Arc<State>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let page = state.manager.get_tenant_dashboard().await?;
    let pool = &page.global_memory_status;
    let scene = Scene::new("The pool", wanted.span, &page.history, &state);
    let bounds = vec![(pool.max_memory_bytes, "capacity")];
    Scene { used_bytes: pool.allocated_memory_bytes, bounds, ..scene }.answer()
}

/// That of a tenant.
pub async fn of_tenant(
    Shared(state): Shared<Arc<State>>,
    reach: Reach,
    At(tenant): At<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let id = reach.tenant(&state, &tenant)?;
    let usage = state.manager.get_tenant_usage(id).await?;
    let governor = state.manager.governor();
    let handle = governor.find(id).ok_or_else(|| Problem::not_found("tenant"))?;
    let config = governor.tenant_config(handle)?;
    let history = usage.history.unwrap_or_default();
    let scene = Scene::new(&usage.name, wanted.span, &history, &state);
    let bounds = [(config.limit_bytes, "limit"), (Some(config.guarantee_bytes), "guarantee")];
    let bounds = bounds.into_iter().filter_map(|(bytes, name)| Some((bytes?, name))).collect();
    Scene { used_bytes: usage.allocated_memory_bytes, bounds, ..scene }.answer()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(agos: &[f64]) -> Scene {
        let points = agos.iter().map(|ago| (*ago, HistoryPoint::default())).collect();
        let bounds = vec![(8 << 30, "limit")];
        let title = "a<b & c".to_string();
        Scene { title, points, used_bytes: 3 << 30, bounds, slot: "s" }
    }

    #[test]
    fn gaps_are_gaps_and_the_last_run_ends_with_now() {
        let runs = scene(&[30.0, 29.0, 20.0, 1.5]).runs();
        let ends: Vec<(f64, f64)> =
            runs.iter().map(|run| (run[0].0, run[run.len() - 1].0)).collect();
        assert_eq!(ends, [(-30.0, -28.0), (-20.0, -19.0), (-1.5, 0.0)]);
        assert_eq!(runs[2].last(), Some(&(0.0, 3 << 30)));
        let old = scene(&[30.0]).runs();
        assert_eq!(old[0].last(), Some(&(-29.0, 0)), "nothing is known since");
        assert!(scene(&[]).runs().is_empty());
    }

    #[test]
    fn names_are_text_and_units_suit() {
        let svg = scene(&[2.0, 1.0]).draw().unwrap();
        assert!(svg.starts_with("<svg width=\"960\"") && svg.contains("a&lt;b &amp; c"), "{svg}");
        for word in [" limit", "GiB", "now", "60 s ago"] {
            assert!(svg.contains(word), "{word}");
        }
        assert_eq!(
            [unit_of(1), unit_of(3000), unit_of(9 << 30)].map(|(_, name)| name),
            ["B", "KiB", "GiB"]
        );
    }
}
