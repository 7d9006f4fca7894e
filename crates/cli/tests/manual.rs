//! What is made from the command line: completions that shells load, and a man page for each
//! command that `allot help` names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn allot(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_allot")).args(words).output().unwrap()
}

/// What is printed by a run that has to succeed.
#[track_caller]
fn printed(words: &[&str]) -> String {
    let output = allot(words);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{words:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The commands that the help of `words` lists.
fn commands_below(words: &[&str]) -> Vec<String> {
    let help = printed(&[words, &["--help"]].concat());
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let names = list.lines().take_while(|line| !line.is_empty());
    // What goes on over several lines is indented further.
    let names = names.filter_map(|line| line.strip_prefix("  ").filter(|l| !l.starts_with(' ')));
    let names = names.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help");
    names.map(str::to_string).collect()
}

#[test]
fn each_command_has_a_page_and_no_page_is_of_no_command() {
    let mut expected = BTreeSet::from(["allot.1".to_string()]);
    for command in commands_below(&[]) {
        for below in commands_below(&[&command]) {
            expected.insert(format!("allot-{command}-{below}.1"));
        }
        expected.insert(format!("allot-{command}.1"));
    }
    assert!(expected.len() > 10, "{expected:?}");
    let folder = folder("man-pages");
    assert_eq!(printed(&["man", "--out", folder.to_str().unwrap()]), "");
    let entries = std::fs::read_dir(&folder).unwrap();
    let pages: BTreeSet<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(pages, expected);
    for page in &pages {
        let text = std::fs::read_to_string(folder.join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page} has no synopsis");
    }
    let of_allot = std::fs::read_to_string(folder.join("allot.1")).unwrap();
    assert_eq!(of_allot.trim_end(), printed(&["man"]).trim_end());
}

#[test]
fn bash_loads_its_completions_and_they_know_every_command() {
    let script = printed(&["completions", "bash"]);
    let file = folder("completions").join("allot.bash");
    std::fs::write(&file, &script).unwrap();
    let Ok(checked) = Command::new("bash").arg("-n").arg(&file).output() else {
        println!("skipped: there is no bash");
        return;
    };
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    // What bash would offer after `allot `.
    let ask = "source \"$1\"; COMP_WORDS=(allot \"\"); COMP_CWORD=1; _allot allot \"\" allot; \
               echo \"${COMPREPLY[@]}\"";
    let offered = Command::new("bash").args(["-c", ask, "-"]).arg(&file).output().unwrap();
    let offered = String::from_utf8(offered.stdout).unwrap();
    for command in commands_below(&[]) {
        assert!(offered.split_whitespace().any(|word| word == command), "{command}: {offered}");
    }
}

#[test]
fn other_shells_have_completions_and_unknown_ones_are_misuse() {
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        assert!(printed(&["completions", shell]).contains("replay"), "{shell}");
    }
    assert_eq!(allot(&["completions", "dosh"]).status.code(), Some(2));
    let nowhere = allot(&["man", "--out", "no/such/folder"]);
    assert_eq!(nowhere.status.code(), Some(2));
    let complaint = String::from_utf8(nowhere.stderr).unwrap();
    assert!(complaint.starts_with("allot: no/such/folder: no such"), "{complaint}");
}
