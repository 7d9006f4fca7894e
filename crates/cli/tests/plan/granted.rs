//! The configuration of a plan is granted to the last byte: weights and caches of all requests at
//! the same time, and not one more.

use std::path::Path;

use allotment::os::{Clock, ManualClock};
use allotment::{AllocationType, Request, TenantHandle};
use allotment_config::{Built, Setup, parse};
use serde_json::Value;

use crate::files::{F16, Folder, small_gguf};

fn of(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no number {key} in {value}"))
}

/// What is planned for each model: weights, and what a request takes.
fn planned(plan: &Value) -> Vec<(u64, u64)> {
    let longest = plan["together"].as_array().unwrap().len() - 1;
    let models = plan["models"].as_array().unwrap();
    let figures =
        |model| (of(model, "weights_bytes"), of(&model["alone"][longest], "request_bytes"));
    models.iter().map(figures).collect()
}

fn built(text: &str) -> (Setup, Built) {
    let setup = parse(text, Path::new("plan.toml")).unwrap_or_else(|why| panic!("{why}\n{text}"));
    let built = setup.build(Clock::from(ManualClock::new()), |config| config).unwrap();
    (setup, built)
}

#[track_caller]
fn assert_granted(folder: &Folder, words: &str) {
    let plan = folder.json(words, 0);
    let text = folder.printed(&format!("{words} --toml"), 0);
    let (setup, built) = built(&text);
    assert_eq!(setup.capacity_bytes, of(&plan, "budget_bytes"));
    let governor = &built.governor;
    let ask =
        |tenant: TenantHandle, kind, bytes| governor.request(&Request::new(tenant, kind, bytes));
    let mut held = Vec::new();
    let planned = planned(&plan);
    assert_eq!(built.tenants.len(), planned.len());
    for (tenant, (weights, _)) in built.tenants.iter().zip(&planned) {
        held.push(ask(*tenant, AllocationType::ModelLoad, *weights).unwrap());
    }
    // In turns, so that the one before has no more than its share.
    for request in 0..of(&plan, "planned_requests") {
        for (tenant, (_, request_bytes)) in built.tenants.iter().zip(&planned) {
            let granted = ask(*tenant, AllocationType::Inference, *request_bytes);
            held.push(granted.unwrap_or_else(|why| panic!("request {request}: {why}")));
        }
    }
    for (tenant, (_, request_bytes)) in built.tenants.iter().zip(&planned) {
        assert!(ask(*tenant, AllocationType::Inference, *request_bytes).is_err(), "one more");
        assert!(ask(*tenant, AllocationType::Inference, 1).is_err(), "one byte more");
    }
    let bytes: u64 = held.iter().map(|grant| grant.bytes()).sum();
    let used = governor.snapshot().live_bytes;
    let expected: u64 = planned
        .iter()
        .map(|(weights, request)| weights + of(&plan, "planned_requests") * request)
        .sum();
    assert_eq!((bytes, used), (expected, expected));
}

#[test]
fn one_model_that_fills_the_budget_to_the_last_byte() {
    let folder = Folder::new("granted-one");
    small_gguf().write(&folder, "small.gguf");
    let budget = 8_192 + 5 * 2_048 * 128;
    assert_granted(&folder, &format!("small.gguf --budget {budget} --context 1024,2048"));
    assert_granted(&folder, &format!("small.gguf --budget {budget} --context 2048 --requests 2"));
}

#[test]
fn several_models_of_different_sizes() {
    let folder = Folder::new("granted-several");
    small_gguf().write(&folder, "a \"quoted\" name.gguf".replace(' ', "_").as_str());
    small_gguf().tensor("output.weight", &[64, 1000], F16).write(&folder, "larger.gguf");
    small_gguf().write(&folder, "other/larger.gguf");
    let models = "a_\"quoted\"_name.gguf larger.gguf other/larger.gguf";
    assert_granted(&folder, &format!("{models} --budget 1MiB --context 64,256"));
    assert_granted(&folder, &format!("{models} --budget 24GiB --requests 100 --kv-bits 8"));
}

#[test]
fn as_many_grants_as_are_planned() {
    let folder = Folder::new("granted-many");
    let words: Vec<String> =
        (0..17).map(|at| small_gguf().write(&folder, &format!("m{at}.gguf"))).collect();
    let words = format!("{} --budget 1TiB --context 1 --requests 65536", words.join(" "));
    let setup = parse(&folder.printed(&format!("{words} --toml"), 0), Path::new("plan.toml"));
    assert_eq!(setup.unwrap().grants_max, Some(17 * 65_537));
}
