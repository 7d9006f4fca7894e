//! What is found, with which seeds, threads, weights and starts.

use crate::command::{Folder, cost, csv, outcome, printed, tuned};

#[test]
fn an_even_split_is_bettered_on_the_part_not_tuned_on() {
    let folder = Folder::new("better");
    let trace = folder.file("t.csv", csv());
    for seed in [1, 2, 3] {
        let options = format!("--format csv --capacity 1000 --evaluations 60 --seed {seed}");
        let report = tuned(&[&trace], &options);
        assert_eq!((&report["proposed"], &report["evaluations"]), (&"found".into(), &60.into()));
        assert!(cost(&report, "found") < cost(&report, "even split") / 2.0, "{report}");
        assert_eq!(report["train_requests"], 1170);
        assert_eq!(report["held_out_requests"], 780);
        for tenant in outcome(&report, "found")["tenants"].as_array().unwrap() {
            assert_eq!((&tenant["isolation"], &tenant["weight"]), (&"soft".into(), &2.0.into()));
        }
    }
}

#[test]
fn the_same_seed_finds_the_same_with_any_number_of_threads() {
    let folder = Folder::new("deterministic");
    let trace = folder.file("t.csv", csv());
    let run = |seed: u64, threads: u64| {
        let options = "--format csv --capacity 800 --evaluations 50";
        printed("tune", &[&trace], &format!("{options} --seed {seed} --threads {threads} --json"))
    };
    let one = run(4, 1);
    assert_eq!(one, run(4, 1));
    assert_eq!(one, run(4, 3));
    assert_eq!(one, run(4, 64));
    assert_ne!(one.replace("\"seed\": 4", ""), run(5, 1).replace("\"seed\": 5", ""));
}

#[test]
fn where_nothing_is_better_the_start_is_proposed() {
    let folder = Folder::new("nothing-better");
    let trace = folder.file("t.csv", csv());
    let start = "capacity = 5000\n\n[[tenants]]\nname = \"web\"\nlimit = 4000\n\n\
        [[tenants]]\nname = \"batch\"\n\n[[tenants]]\nname = \"cache\"\npriority = \"low\"\n";
    let config = folder.file("start.toml", start);
    let options = format!("--format csv --config {config} --evaluations 30");
    let report = tuned(&[&trace], &options);
    assert_eq!(report["proposed"], "start");
    assert_eq!((cost(&report, "start"), cost(&report, "found")), (0.0, 0.0));
    assert_eq!(report["who_pays"].as_array().unwrap().len(), 0);
    assert_eq!(report["config"], start, "as it was, in the order of the manual");
    let text = printed("tune", &[&trace], &options);
    assert!(text.contains("Nothing better was found"), "{text}");
    // Without a configuration it is the even split, hard as it is shown.
    let report = tuned(&[&trace], "--format csv --capacity 9000 --evaluations 20");
    assert_eq!(report["proposed"], "even split");
    let split = report["config"].as_str().unwrap();
    assert_eq!(split.matches("limit = 3000\nisolation = \"hard\"\n").count(), 3, "{split}");
}

#[test]
fn one_run_judges_the_start_alone() {
    let folder = Folder::new("one-run");
    let trace = folder.file("t.csv", csv());
    let report = tuned(&[&trace], "--format csv --capacity 1000 --evaluations 1");
    assert_eq!(report["evaluations"], 1);
    for tenant in outcome(&report, "found")["tenants"].as_array().unwrap() {
        assert_eq!((&tenant["limit_bytes"], &tenant["burst_bytes"]), (&333.into(), &().into()));
    }
}

#[test]
fn only_named_tenants_are_moved_and_only_as_far_as_their_group_has_room() {
    let folder = Folder::new("named");
    let trace = folder.file("t.csv", csv());
    let start = "capacity = 900\n\
        [[groups]]\nname = \"g\"\nguarantee = 100\n\
        [defaults]\nlimit = 150\nisolation = \"hard\"\n\
        [[tenants]]\nname = \"web\"\ngroup = \"g\"\nlimit = 300\n\
        [[tenants]]\nname = \"never seen\"\nguarantee = 64\n";
    let config = folder.file("start.toml", start);
    let options = format!("--format csv --config {config} --evaluations 100 --weight batch=0.5");
    let report = tuned(&[&trace], &options);
    assert_eq!(report["proposed"], "found");
    let tenants = outcome(&report, "found")["tenants"].as_array().unwrap();
    let names: Vec<_> = tenants.iter().map(|tenant| tenant["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["web", "batch", "cache"]);
    for other in &tenants[1..] {
        assert_eq!((&other["limit_bytes"], &other["isolation"]), (&150.into(), &"hard".into()));
    }
    assert!(tenants[0]["guarantee_bytes"].as_u64().unwrap() <= 100);
    let text = report["config"].as_str().unwrap();
    assert!(text.contains("[defaults]\nlimit = 150\nisolation = \"hard\"\n"), "{text}");
    assert!(text.contains("name = \"never seen\"\nguarantee = 64\n"), "{text}");
}

#[test]
fn keys_have_tenants_too() {
    let folder = Folder::new("keys");
    // Tenant 1 goes around in 30 keys, tenant 2 in 5: an even half is too little for the first.
    let keys = (0..3000_u32).map(|at| match at % 2 {
        0 => 0x100 + at / 2 % 30,
        _ => 0x200 + at / 2 % 5,
    });
    let trace = folder.file("t", keys.flat_map(u32::to_be_bytes).collect::<Vec<u8>>());
    let options = "--format keys-u32 --tenant-shift 8 --capacity 40 --evaluations 60";
    let report = tuned(&[&trace], &format!("{options} --rebuild-weight 1000"));
    assert_eq!((&report["unit"], &report["proposed"]), (&"objects".into(), &"found".into()));
    assert!(cost(&report, "even split") > 100.0 && cost(&report, "found") < 10.0, "{report}");
    let text = printed("tune", &[&trace], &format!("{options} --rebuild-weight 1000"));
    assert!(text.contains("2 tenants share 40 objects."), "{text}");
}
