//! `--wait`: who waits, for how long, and what it was told, on traces small enough to be replayed
//! by hand.

use serde_json::Value;

use crate::command::{Folder, replay, report};

/// A request of one block of its own and 100 tokens of output, each second.
fn one_each_second(count: u64) -> String {
    let line = |n: u64| {
        let at_ms = n * 1_000;
        format!(
            "{{\"timestamp\": {at_ms}, \"input_length\": 512, \"output_length\": 100, \
             \"hash_ids\": [{n}]}}\n"
        )
    };
    (0..count).map(line).collect()
}

/// 5,120 bytes of prompt and 1,000 of output; 51.2 ms and 100 ms x 100.
const ONE_TAKES_TEN: &str = "--format mooncake --kv-bytes-per-token 10 --decode-ms-per-token 100";

fn figure(of: &Value, name: &str) -> f64 {
    of[name].as_f64().unwrap_or_else(|| panic!("{name} in {of}"))
}

#[test]
fn requests_run_one_after_the_other_where_one_fits() {
    let folder = Folder::new("wait-mooncake");
    let trace = folder.plain("t.jsonl", one_each_second(5));
    let run = report(&trace, &format!("{ONE_TAKES_TEN} --capacity 10000 --wait 30s"));
    let waits = &run["waits"];
    assert_eq!((&waits["granted_at_once"], &waits["granted_after_wait"]), (&1.into(), &3.into()));
    // The fifth would begin 36.2 s after it came.
    assert_eq!((&waits["gave_up"], &waits["denied"]), (&1.into(), &0.into()));
    let seconds = |n: f64, after: f64| n * 10.0512 - after;
    assert!((figure(waits, "wait_p50_s") - seconds(2.0, 2.0)).abs() < 1e-6, "{waits}");
    assert!((figure(waits, "wait_longest_s") - seconds(3.0, 3.0)).abs() < 1e-6, "{waits}");
    // All began to wait before anybody was served.
    assert_eq!((&waits["estimates"], &waits["estimates_unknown"]), (&4.into(), &4.into()));
    assert_eq!(
        (&waits["estimates_judged"], &waits["estimate_ratio_p50"]),
        (&0.into(), &Value::Null)
    );
    assert_eq!(&run["tenants"][0]["waits"], waits);
    assert_eq!((&run["wait_max_s"], &run["denied"]), (&30.0.into(), &1.into()));
    assert_eq!(run["peak_used_bytes"], 6_120);
}

#[test]
fn estimates_are_near_the_truth_in_a_steady_flow() {
    let folder = Folder::new("wait-steady");
    let trace = folder.plain("t.jsonl", one_each_second(400));
    // Nine run at a time for 10 s: of ten who come one has to give up, in the long run.
    let options = format!("{ONE_TAKES_TEN} --capacity 56000 --wait 30s");
    let run = report(&trace, &options);
    let waits = &run["waits"];
    let told = figure(waits, "estimates") - figure(waits, "estimates_unknown");
    assert!(told > 200.0 && figure(waits, "estimates_unknown") < 10.0, "{waits}");
    assert!((0.5..=2.0).contains(&figure(waits, "estimate_ratio_p50")), "{waits}");
    let of = |name: &str| waits[name].as_u64().unwrap();
    let all = of("granted_at_once") + of("granted_after_wait") + of("gave_up") + of("denied");
    assert_eq!((all, of("denied")), (400, 0));
    assert_eq!(report(&trace, &options)["waits"], *waits, "the same run twice");
}

#[test]
fn what_can_never_be_held_is_denied_and_does_not_wait() {
    let folder = Folder::new("wait-too-large");
    let trace = folder.plain("t.jsonl", one_each_second(2));
    let run = report(&trace, &format!("{ONE_TAKES_TEN} --capacity 6000 --wait 30s"));
    let waits = &run["waits"];
    assert_eq!((&waits["denied"], &waits["estimates"]), (&2.into(), &0.into()));
    assert_eq!(waits["wait_p50_s"], Value::Null);
}

#[test]
fn a_prompt_that_is_cached_needs_no_prefill() {
    let folder = Folder::new("wait-prefix");
    let request = |at_ms| {
        format!(
            "{{\"timestamp\": {at_ms}, \"input_length\": 1024, \"output_length\": 1, \
             \"hash_ids\": [0, 1]}}\n"
        )
    };
    // The second comes once the first has ended, and finds its blocks; the third finds no room
    // beside it, even if the blocks went.
    let trace = folder.plain("t.jsonl", request(0) + &request(500) + &request(510));
    let options = "--format mooncake --kv-bytes-per-token 10 --decode-ms-per-token 100 \
                   --capacity 20495 --wait 1s";
    let run = report(&trace, options);
    assert_eq!((&run["hits"], &run["misses"]), (&4.into(), &2.into()));
    // One token and no prefill: the second runs for 100 ms.
    let waits = &run["waits"];
    assert!((figure(waits, "wait_longest_s") - 0.09).abs() < 1e-6, "{waits}");
}

/// Five requests of three tenants for three models, one after the other; a model loads for 2 s.
fn images(folder: &Folder) -> String {
    let load_times = "timestamp_anon,value,container_ip\n1.0,2000.0,a\n2.0,2000.0,b\n";
    folder.gz("basemodel_update_latency_anon.csv.gz", load_times);
    let rows = "gmt_create,exec_time_seconds,groupId,checkpoint_model_version_id\n\
        2024-11-15 16:57:50,10.0,G0,M0\n\
        2024-11-15 16:57:51,10.0,G1,M1\n\
        2024-11-15 16:57:52,10.0,G0,M0\n\
        2024-11-15 16:57:53,10.0,G2,M1\n\
        2024-11-15 16:57:54,10.0,G1,M2\n";
    folder.gz("lora.csv.gz", rows)
}

#[test]
fn a_model_that_runs_is_not_evicted_and_who_waits_for_one_runs_together() {
    let folder = Folder::new("wait-lora");
    let trace = images(&folder);
    let run = report(&trace, "--format alibaba-lora --slots 1 --policy lru --wait 30s");
    let waits = |tenant: usize| &run["tenants"][tenant]["waits"];
    // M0 runs from 0 to 12, for both requests of G0; then M1 for G1 and G2 until 24; then M2.
    assert_eq!((&waits(1)["granted_at_once"], &waits(1)["estimates"]), (&2.into(), &0.into()));
    assert_eq!(waits(2)["granted_after_wait"], 2);
    let (first, last) = (figure(waits(2), "wait_p50_s"), figure(waits(2), "wait_longest_s"));
    assert_eq!((first, last), (11.0, 20.0));
    assert_eq!(figure(waits(3), "wait_longest_s"), 9.0);
    assert_eq!((&run["hits"], &run["misses"]), (&2.into(), &3.into()));
    assert_eq!((&run["load_seconds"], &run["evicted_grants"]), (&6.0.into(), &2.into()));
    let short = report(&trace, "--format alibaba-lora --slots 1 --policy lru --wait 10500ms");
    // G1 gives up both times, G2 is served; M2 comes too late as well.
    assert_eq!(
        (&short["waits"]["gave_up"], &short["waits"]["granted_after_wait"]),
        (&2.into(), &1.into())
    );
}

#[test]
fn waits_are_in_the_table_and_on_the_page() {
    let folder = Folder::new("wait-shown");
    let trace = images(&folder);
    let page = folder.path("out.html");
    let options = format!("--format alibaba-lora --slots 1 --wait 30s --html {page}");
    let text = String::from_utf8(replay(&[&trace], &options).stdout).unwrap();
    for part in ["Gave up", "Estimates", "p99", "G1", "20.0 s"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let legend = text.split("Requests wait for up to 30 s.").nth(1).unwrap();
    for part in ["Later ", "Judged", "Elsewhere", "base-models"] {
        assert!(legend.contains(part), "{part} in {text}");
    }
    assert!(legend.lines().all(|line| line.len() <= 100), "{text}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("Requests by their wait") && page.contains("<th class=\"n\">Gave up"));
    assert!(
        page.contains("Requests wait for up to 30 s.") && page.contains("<li><b>Elsewhere</b>")
    );
    let plain = replay(&[&trace], "--format alibaba-lora --slots 1").stdout;
    let plain = String::from_utf8(plain).unwrap();
    assert!(!plain.contains("Gave up") && !plain.contains("Requests wait"));
}

#[test]
fn who_gave_up_is_drawn_and_the_estimates_say_their_ends() {
    let folder = Folder::new("wait-drawn");
    let trace = folder.plain("t.jsonl", one_each_second(400));
    let page = folder.path("out.html");
    let options = format!("{ONE_TAKES_TEN} --capacity 56000 --wait 30s --html {page}");
    let run = report(&trace, &options);
    let of = |name: &str| run["waits"][name].as_u64().unwrap();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(of("gave_up") > 0, "{run}");
    let judged = format!(
        "estimates judged <small>{} of {} ({} of these unknown)",
        of("estimates_judged"),
        of("estimates"),
        of("estimates_unknown")
    );
    let gave_up = format!("gave up <small>{} after 30 s", of("gave_up"));
    for part in [judged.as_str(), &gave_up, "8x and more", "1/8x and less"] {
        assert!(page.contains(part), "the page lacks {part}");
    }
}

#[test]
fn a_model_stands_at_its_owner_and_its_waits_at_those_who_asked() {
    let folder = Folder::new("wait-owner");
    let trace = images(&folder);
    let run = report(&trace, "--format alibaba-lora --slots 1 --policy lru --wait 10500ms");
    let owner = &run["tenants"][0];
    assert_eq!((&owner["name"], &owner["denied"]), (&"base-models".into(), &2.into()));
    assert_eq!((&owner["waits"]["gave_up"], &run["waits"]["gave_up"]), (&0.into(), &2.into()));
    // One grant for each that runs and one for each model that was loaded.
    let served =
        ["granted_at_once", "granted_after_wait"].map(|n| run["waits"][n].as_u64().unwrap());
    let loads = run["misses"].as_u64().unwrap();
    assert_eq!(run["granted"].as_u64().unwrap(), served.iter().sum::<u64>() + loads);
}

#[test]
fn a_limit_may_be_in_hours() {
    let folder = Folder::new("wait-hours");
    let trace = folder.plain("t.jsonl", one_each_second(5));
    let options = format!("{ONE_TAKES_TEN} --capacity 10000 --wait");
    let day = report(&trace, &format!("{options} 24h"));
    assert_eq!((&day["wait_max_s"], &day["waits"]["gave_up"]), (&86_400.0.into(), &0.into()));
    let text = replay(&[&trace], &format!("{options} 1440min")).stdout;
    assert!(String::from_utf8(text).unwrap().contains("Requests wait for up to 24 h."));
}
