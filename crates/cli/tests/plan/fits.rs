//! What fits under a budget, and what is short by how many bytes. The small model has weights of
//! 8,192 bytes and takes 128 bytes for each token.

use crate::files::{Folder, small_gguf};

const WEIGHTS: u64 = 8_192;
const TOKEN: u64 = 128;

fn folder(test: &str, models: &[&str]) -> Folder {
    let folder = Folder::new(test);
    models.iter().for_each(|name| {
        small_gguf().write(&folder, &format!("{name}.gguf"));
    });
    folder
}

#[test]
fn as_many_requests_as_fit_and_the_rest_stays_free() {
    let folder = folder("alone", &["small"]);
    let request = 1024 * TOKEN;
    let budget = WEIGHTS + 3 * request + 5;
    let plan = folder.json(&format!("small.gguf --budget {budget} --context 1024,2048"), 0);
    assert_eq!(plan["planned_requests"], 1, "of the longest context");
    let alone = &plan["models"][0]["alone"];
    let figures = |at: usize| {
        ["request_bytes", "requests", "free_bytes", "short_bytes"]
            .map(|key| alone[at][key].as_u64().unwrap())
    };
    assert_eq!(figures(0), [request, 3, 5, 0]);
    assert_eq!(figures(1), [2 * request, 1, request + 5, 0]);
    // With 8 bits, half.
    let words = format!("small.gguf --budget {budget} --context 1024 --kv-bits 8");
    assert_eq!(folder.json(&words, 0)["planned_requests"], 6);
}

#[test]
fn what_does_not_fit_is_short_to_the_byte() {
    let folder = folder("short", &["small"]);
    let budget = WEIGHTS + 3 * 1024 * TOKEN + 5;
    let asked = format!("small.gguf --budget {budget} --context 1024 --requests 4");
    let plan = folder.json(&asked, 1);
    assert_eq!((&plan["fits"], &plan["together"][0]["requests"]), (&false.into(), &3.into()));
    assert_eq!(plan["together"][0]["short_bytes"], 1024 * TOKEN - 5);
    let printed = folder.printed(&asked, 1);
    assert_eq!(
        printed.lines().last().unwrap(),
        "Does not fit: 1 model with 4 requests of 1,024 tokens need 532,480 bytes, 131,067 more \
         than the budget of 401,413."
    );
    // Not even the weights.
    let plan = folder.json("small.gguf --budget 8191 --context 1", 1);
    assert_eq!(plan["together"][0]["requests"], 0);
    assert_eq!(plan["together"][0]["short_bytes"], 1 + TOKEN);
    assert_eq!(plan["together"][0]["free_bytes"], 0);
    // Nothing is granted that does not fit.
    let refused = folder.plan(&format!("{asked} --toml"));
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    let complaint = String::from_utf8(refused.stderr).unwrap();
    assert!(complaint.starts_with("allot: Does not fit: "), "{complaint}");
}

#[test]
fn all_models_share_the_budget_and_each_has_as_many_requests() {
    let folder = folder("together", &["one", "two"]);
    let request = 64 * TOKEN;
    let budget = 2 * WEIGHTS + 7 * request;
    let plan = folder.json(&format!("one.gguf two.gguf --budget {budget} --context 64"), 0);
    let together = &plan["together"][0];
    assert_eq!((&together["requests"], &together["free_bytes"]), (&3.into(), &request.into()));
    assert_eq!(plan["models"][0]["alone"][0]["requests"], 8, "alone, with the other's weights");
    let printed = folder.printed(&format!("one.gguf two.gguf --budget {budget} --context 64"), 0);
    let last = printed.lines().last().unwrap();
    assert_eq!(last, "Fits: 2 models with 3 requests each of 64 tokens; 8 KiB stays free.");
}

#[test]
fn a_context_that_the_model_was_not_made_for_is_named() {
    let folder = folder("beyond", &["small"]);
    let printed = folder.printed("small.gguf --budget 1GiB --context 4096,8192", 0);
    assert!(printed.contains("small was made for 4,096 tokens, not for 8,192."), "{printed}");
    let printed = folder.printed("small.gguf --budget 1GiB --context 4096", 0);
    assert!(!printed.contains("was made for"), "{printed}");
}

#[test]
fn without_a_budget_it_is_what_this_machine_shares() {
    let folder = folder("here", &["small"]);
    let plan = folder.json("small.gguf --context 1", 0);
    let sample = allotment::os::probe().sample().unwrap();
    let budget = plan["budget_bytes"].as_u64().unwrap();
    assert!(budget > 0 && budget <= sample.total_bytes / 100 * 80, "{budget} of {sample:?}");
    assert!(sample.limit_bytes.is_none_or(|limit| budget <= limit), "{budget} of {sample:?}");
}
