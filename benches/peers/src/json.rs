//! All figures for programs.

use crate::bars::{Bar, Need, bars};
use crate::caches::CACHES;
use crate::figures::Figure;
use crate::keys::Point;
use crate::machine::Machine;
use crate::memory::Each;
use crate::rounds::Series;
use crate::sections::Measured;
use crate::tail::{QUANTILES, Seen, Tails};
use serde_json::{Map, Value, json};

/// The whole, with an end of line.
pub fn text(machine: &Machine, measured: &Measured) -> String {
    let sections: Map<String, Value> =
        measured.series().into_iter().map(|(name, of)| (name.to_string(), series(of))).collect();
    let points = measured.keys.as_ref().map(|keys| keys.0.iter().map(point).collect::<Vec<_>>());
    let whole = json!({
        "date": machine.date,
        "commit": machine.commit,
        "processor": machine.processor,
        "cores": machine.cores,
        "memory": machine.memory,
        "system": machine.system,
        "compiler": machine.compiler,
        "bars": bars(measured).iter().map(bar).collect::<Vec<_>>(),
        "sections": sections,
        "evicted_per_request": measured.evicted_per_request,
        "slowest": slowest(&measured.tail),
        "memory_bytes": {
            "tenant": bytes(measured.memory.tenant),
            "grant": bytes(measured.memory.grant),
        },
        "keys": points,
    });
    format!("{whole:#}\n")
}

fn figure(figure: Figure) -> Value {
    json!({ "median": figure.median, "low": figure.low, "high": figure.high })
}

fn bar(bar: &Bar) -> Value {
    let (at, bound) = match bar.need {
        Need::AtMost(most) => ("at_most", most),
        Need::AtLeast(least) => ("at_least", least),
    };
    json!({
        "what": bar.what,
        "unit": bar.unit,
        at: bound,
        "got": bar.got.map(figure),
        "met": bar.is_met(),
    })
}

fn series(series: &Series) -> Value {
    let sides: Map<String, Value> =
        series.names.iter().cloned().zip(series.values.iter().map(|ns| json!(ns))).collect();
    json!({
        "ns_by_round": sides,
        "bare_ns_by_round": series.bare,
        "bare_spread_by_round": series.spreads,
        "rounds_repeated": series.repeated,
    })
}

fn slowest(tails: &Tails) -> Value {
    let answers = |(name, seen): (&String, &Seen)| {
        let mut ns = Map::new();
        for (quantile, part) in QUANTILES {
            ns.insert(quantile.to_string(), json!(seen.answers.value_at_quantile(part)));
        }
        let (count, max) = (seen.answers.len(), seen.answers.max());
        json!({
            "load": name,
            "ns": ns,
            "max_ns": max,
            "answers": count,
            "refused": seen.refused,
        })
    };
    json!({
        "threads": tails.threads,
        "evicted_per_request": tails.evicted_per_request,
        "loads": tails.series.names.iter().zip(&tails.seen).map(answers).collect::<Vec<_>>(),
    })
}

fn bytes(each: Each) -> Value {
    json!({ "resident": each.resident_bytes, "tracked": each.tracked_bytes })
}

fn point(point: &Point) -> Value {
    let (repeated, noisy, spread) = point.noise;
    let caches: Map<String, Value> = CACHES
        .iter()
        .zip(&point.played)
        .map(|((name, _), played)| {
            let speed = figure(played.speed);
            (name.to_string(), json!({ "per_s": speed, "hit_ratio": played.hit_ratio }))
        })
        .collect();
    json!({
        "trace": point.trace,
        "keys": point.keys,
        "is_head": point.is_head,
        "percent": point.percent,
        "entries": point.capacity,
        "to_moka_by_round": point.to_moka,
        "rounds_repeated": repeated,
        "rounds_noisy": noisy,
        "bare_spread_max": spread,
        "caches": caches,
    })
}
