//! The plan for programs. Keys are stable, with the unit at the end; one that does not apply is
//! null. What is beyond 2^64 - 1 is that number.

use serde::Serialize;

use super::Plan;
use super::fit::{Fit, alone};
use super::model::Model;

/// Raised when a key changes its meaning or goes away; new keys do not count.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    budget_bytes: u64,
    kv_bits: u64,
    /// As asked for.
    requests: Option<u64>,
    /// All models at the same time, at the longest context.
    fits: bool,
    /// Of each model, in the configuration that grants the plan.
    planned_requests: u64,
    models: Vec<OfModel<'a>>,
    together: Vec<OfFit>,
}

#[derive(Serialize)]
struct OfModel<'a> {
    name: &'a str,
    format: &'static str,
    files: usize,
    tensors: u64,
    weights_bytes: u64,
    layers: Option<u64>,
    /// Layers whose cache grows with the text.
    caching_layers: Option<u64>,
    heads: Option<u64>,
    kv_heads: Option<u64>,
    key_length: Option<u64>,
    value_length: Option<u64>,
    latent_length: Option<u64>,
    kv_bytes_per_token: u64,
    /// It was stated rather than read.
    kv_stated: bool,
    context_tokens_max: Option<u64>,
    sliding_window_tokens: Option<u64>,
    notes: &'a [String],
    alone: Vec<OfFit>,
}

#[derive(Serialize)]
struct OfFit {
    context_tokens: u64,
    request_bytes: u64,
    /// Null: any number.
    requests: Option<u64>,
    free_bytes: u64,
    short_bytes: u64,
}

/// The plan as indented JSON, ending in a new line.
pub fn json(plan: &Plan) -> String {
    let document = Document {
        schema: SCHEMA,
        budget_bytes: plan.asked.budget_bytes,
        kv_bits: plan.kv_bits,
        requests: plan.asked.requests,
        fits: plan.longest().fits(),
        planned_requests: plan.requests(),
        models: plan.models.iter().map(|model| of_model(plan, model)).collect(),
        together: plan.together.iter().map(of_fit).collect(),
    };
    let text = serde_json::to_string_pretty(&document);
    text.expect("plain fields always have a JSON form") + "\n"
}

fn of_model<'a>(plan: &Plan, model: &'a Model) -> OfModel<'a> {
    let shape = &model.shape;
    OfModel {
        name: &model.name,
        format: model.format.name(),
        files: model.files,
        tensors: model.tensors,
        weights_bytes: model.weights_bytes,
        layers: shape.layers,
        caching_layers: shape.caching_layers,
        heads: shape.heads,
        kv_heads: shape.kv_heads,
        key_length: shape.key_length,
        value_length: shape.value_length,
        latent_length: shape.latent,
        kv_bytes_per_token: model.kv_bytes_per_token,
        kv_stated: model.is_stated,
        context_tokens_max: shape.context_max,
        sliding_window_tokens: shape.window,
        notes: &shape.notes,
        alone: alone(model, &plan.asked).iter().map(of_fit).collect(),
    }
}

fn of_fit(fit: &Fit) -> OfFit {
    let whole = |amount: u128| u64::try_from(amount).unwrap_or(u64::MAX);
    OfFit {
        context_tokens: fit.context,
        request_bytes: whole(fit.request_bytes),
        requests: fit.requests,
        free_bytes: whole(fit.free_bytes),
        short_bytes: whole(fit.short_bytes),
    }
}
