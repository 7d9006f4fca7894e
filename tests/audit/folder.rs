//! Folders, keys and files that are not what a log needs: refused, with words that help.

use super::*;

fn refusal(scratch: &Scratch, key: &Key, options: JournalOptions) -> String {
    Journal::open(&scratch.log(), key, options, at(1)).unwrap_err().to_string()
}

#[test]
fn one_writer() {
    let scratch = Scratch::new();
    let journal = scratch.open(small());
    let text = refusal(&scratch, &key(), small());
    assert!(text.contains(&format!("written by process {}", std::process::id())), "{text}");
    let tail = |folder: &Path| verify(folder, &key(), None).unwrap().tail.unwrap();
    assert!(tail(&scratch.log()).is_writer_active);
    drop(journal);
    assert!(!tail(&scratch.log()).is_writer_active);
    scratch.open(small());
}

#[test]
fn foreign_files_are_left_alone() {
    for (name, bytes) in [
        ("notes.txt", &b"shopping"[..]),
        ("1.audit", b""),
        (&super::name(1), b"not the beginning of a segment, and longer than a header would be"),
        (&super::name(1), &[7; 400]),
    ] {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.log()).unwrap();
        std::fs::write(scratch.log().join(name), bytes).unwrap();
        let text = refusal(&scratch, &key(), small());
        assert!(text.contains("is not part of an audit log"), "{name}: {text}");
        let error = verify(&scratch.log(), &key(), None).unwrap_err();
        assert!(matches!(error, AuditError::Foreign { .. }), "{name}: {error}");
        assert_eq!(std::fs::read(scratch.log().join(name)).unwrap(), bytes);
    }
}

#[test]
fn nothing_there() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.log()).unwrap();
    let error = verify(&scratch.log(), &key(), None).unwrap_err();
    assert!(matches!(error, AuditError::Missing { .. }), "{error}");
    let error = Reader::open(&scratch.log(), None).unwrap_err();
    assert!(matches!(error, AuditError::Missing { .. }), "{error}");
    let error = verify(&scratch.0.join("elsewhere"), &key(), None).unwrap_err();
    assert!(error.to_string().contains("check the path"), "{error}");
}

#[test]
fn a_folder_that_cannot_be_written() {
    let scratch = Scratch::new();
    std::fs::write(scratch.0.join("file"), "").unwrap();
    let error = Journal::open(&scratch.0.join("file/log"), &key(), small(), at(1)).unwrap_err();
    assert!(error.to_string().contains("cannot create"), "{error}");
    // Refused to everybody, whatever their rights.
    if cfg!(target_os = "linux") {
        let error = Journal::open(Path::new("/proc/log"), &key(), small(), at(1)).unwrap_err();
        assert!(matches!(error, AuditError::Io { .. }), "{error}");
    }
}

#[test]
fn what_guards_the_log_stays_outside() {
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.log().join(".below")).unwrap();
    let file = scratch.log().join(".below/key");
    let inside = Key::generate(&file).unwrap();
    let text = refusal(&scratch, &inside, small());
    assert!(text.contains("the key") && text.contains("keep it elsewhere"), "{text}");
    let head_file = Some(scratch.log().join("head"));
    let text = refusal(&scratch, &key(), JournalOptions { head_file, ..small() });
    assert!(text.contains("the head file") && text.contains("keep it elsewhere"), "{text}");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&file, scratch.0.join("link")).unwrap();
        let linked = Key::load(&scratch.0.join("link")).unwrap();
        assert!(refusal(&scratch, &linked, small()).contains("the key"));
    }
    assert!(!scratch.segment(1).exists());
}

#[test]
fn options_have_bounds() {
    let scratch = Scratch::new();
    let wrong = [
        ("segment_bytes_max", JournalOptions { segment_bytes_max: 1_727, ..small() }),
        ("segment_bytes_max", JournalOptions { segment_bytes_max: (1 << 30) + 1, ..small() }),
        ("buffer_records_max", JournalOptions { buffer_records_max: 2_047, ..small() }),
        ("keep_segments_max", JournalOptions { keep_segments_max: Some(0), ..small() }),
        ("checkpoint_records_max", JournalOptions { checkpoint_records_max: 0, ..small() }),
    ];
    for (field, options) in wrong {
        let text = refusal(&scratch, &key(), options);
        assert!(text.starts_with(field) && text.contains("out of range; choose"), "{text}");
    }
    assert!(!scratch.log().exists());
}
