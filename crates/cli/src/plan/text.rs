//! The plan for people: what the models are, what fits of each alone and of all together, and the
//! answer in one sentence.

use std::fmt::Write;

use super::fit::{Fit, alone};
use super::model::Model;
use super::{Plan, Shape};
use crate::report::columns::Grid;
use crate::report::human::{bytes, count, plural};
use crate::report::table;

const ABSENT: &str = "-";

/// The whole text, ending in a new line.
pub fn text(plan: &Plan) -> String {
    let mut out = table::text(&models(&plan.models));
    for model in &plan.models {
        let stated = model.is_stated.then(|| "what a token takes was stated".to_string());
        let notes: Vec<String> = stated.into_iter().chain(model.shape.notes.clone()).collect();
        if !notes.is_empty() {
            let _ = writeln!(out, "{}: {}", model.name, notes.join("; "));
        }
    }
    let budget = bytes(plan.asked.budget_bytes);
    let _ = write!(out, "\nOne model alone under {budget}\n{}", table::text(&each_alone(plan)));
    if plan.models.len() > 1 {
        let all = plural(plan.models.len() as u64, "model");
        let _ = write!(
            out,
            "\nAll {all} at the same time under {budget}\n{}",
            table::text(&all_together(plan))
        );
    }
    beyond(&mut out, plan);
    let _ = writeln!(out, "\n{}", verdict(plan));
    out
}

fn models(models: &[Model]) -> Grid {
    let headers = vec![
        ("Model", false),
        ("Weights", true),
        ("Layers", true),
        ("KV heads", true),
        ("Head size", true),
        ("KV of a token", true),
        ("Made for", true),
    ];
    let number = |number: Option<u64>| number.map_or(ABSENT.to_string(), count);
    let row = |model: &Model| {
        let shape = &model.shape;
        let context = shape.context_max.map(|tokens| plural(tokens, "token"));
        vec![
            model.name.clone(),
            bytes(model.weights_bytes),
            number(shape.layers),
            number(shape.kv_heads),
            head_size(shape),
            bytes(model.kv_bytes_per_token),
            context.unwrap_or(ABSENT.to_string()),
        ]
    };
    Grid { headers, rows: models.iter().map(row).collect() }
}

fn head_size(shape: &Shape) -> String {
    match (shape.latent, shape.key_length, shape.value_length) {
        (Some(latent), ..) => format!("{} latent", count(latent)),
        (_, Some(keys), Some(values)) if keys != values => format!("{keys} + {values}"),
        (_, Some(keys), _) => count(keys),
        _ => ABSENT.to_string(),
    }
}

/// The columns that every fit has.
fn columns(plan: &Plan) -> Vec<(&'static str, bool)> {
    let mut columns = vec![("KV of a request", true), ("Requests", true), ("Stays free", true)];
    if plan.asked.requests.is_some() {
        columns.push(("Asked for", true));
    }
    columns
}

fn cells(plan: &Plan, fit: &Fit) -> Vec<String> {
    let mut cells = vec![
        of(fit.request_bytes),
        fit.requests.map_or("any number".to_string(), count),
        of(fit.free_bytes),
    ];
    if let Some(requests) = plan.asked.requests {
        cells.push(match fit.short_bytes {
            0 => format!("{} fit", count(requests)),
            short => format!("{}: {} short", count(requests), of(short)),
        });
    }
    cells
}

fn each_alone(plan: &Plan) -> Grid {
    let mut headers = vec![("Model", false), ("Context", true)];
    headers.extend(columns(plan));
    let mut rows = Vec::new();
    for model in &plan.models {
        for fit in alone(model, &plan.asked) {
            let mut row = vec![model.name.clone(), count(fit.context)];
            row.extend(cells(plan, &fit));
            rows.push(row);
        }
    }
    Grid { headers, rows }
}

fn all_together(plan: &Plan) -> Grid {
    let mut headers = vec![("Context", true), ("Weights", true)];
    headers.extend(columns(plan));
    let row = |fit: &Fit| {
        let mut row = vec![count(fit.context), of(fit.weights_bytes)];
        row.extend(cells(plan, fit));
        row
    };
    Grid { headers, rows: plan.together.iter().map(row).collect() }
}

/// Contexts that a model was not made for.
fn beyond(out: &mut String, plan: &Plan) {
    let longest = plan.longest().context;
    for model in &plan.models {
        if let Some(made_for) = model.shape.context_max.filter(|made_for| *made_for < longest) {
            let (longest, made_for) = (count(longest), count(made_for));
            let name = &model.name;
            let _ = writeln!(out, "\n{name} was made for {made_for} tokens, not for {longest}.");
        }
    }
}

/// The answer, with every byte.
pub fn verdict(plan: &Plan) -> String {
    let fit = plan.longest();
    let models = plural(plan.models.len() as u64, "model");
    let requests = plural(plan.asked.requests.unwrap_or(1), "request");
    let each = if plan.models.len() > 1 { " each" } else { "" };
    let tokens = plural(fit.context, "token");
    if !fit.fits() {
        let short = whole(fit.short_bytes);
        return format!(
            "Does not fit: {models} with {requests}{each} of {tokens} need {} bytes, {} more than \
             the budget of {}.",
            count(whole(fit.short_bytes + u128::from(plan.asked.budget_bytes))),
            count(short),
            count(plan.asked.budget_bytes)
        );
    }
    let planned = plan.requests();
    let taken = fit.weights_bytes + u128::from(planned) * fit.request_bytes;
    let free = u128::from(plan.asked.budget_bytes) - taken;
    let planned = plural(planned, "request");
    format!("Fits: {models} with {planned}{each} of {tokens}; {} stays free.", of(free))
}

fn of(amount: u128) -> String {
    bytes(whole(amount))
}

/// What is beyond 16 EiB is not told apart.
fn whole(amount: u128) -> u64 {
    u64::try_from(amount).unwrap_or(u64::MAX)
}
