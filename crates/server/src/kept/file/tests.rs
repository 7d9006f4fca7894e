//! The file cut, damaged, foreign, newer, refused by the disk.

use super::super::{Key, Record};
use super::*;
use uuid::Uuid;

/// A folder of this test alone.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("allot-kept-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("state")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn gone(n: u128) -> Record {
    Record::TenantGone { id: Uuid::from_u128(n), over: Some("entry".to_string()) }
}

/// The numbers of the tenants that a file says have gone.
fn numbers(entries: &Entries) -> Vec<u128> {
    let of = |record: &Record| match record.key() {
        Key::Tenant(id) => id.as_u128(),
        _ => 0,
    };
    entries.all().map(of).collect()
}

fn put(opened: &mut Opened, record: Record) -> io::Result<()> {
    let _ = opened.entries.put(record.clone());
    opened.file.append(&record, &opened.entries)
}

/// A file with these records, closed again.
fn written(path: &Path, count: u128) -> Vec<u8> {
    let mut opened = KeptFile::open(path).unwrap();
    for n in 1..=count {
        put(&mut opened, gone(n)).unwrap();
    }
    drop(opened);
    fs::read(path).unwrap()
}

#[test]
fn what_was_appended_is_read_again() {
    let folder = Folder::new("again");
    let path = folder.file();
    let mut opened = KeptFile::open(&path).unwrap();
    assert!(opened.is_new);
    for n in [1, 2, 3, 2] {
        put(&mut opened, gone(n)).unwrap();
    }
    put(&mut opened, Record::Forget(Key::Tenant(Uuid::from_u128(1)))).unwrap();
    drop(opened);
    let opened = KeptFile::open(&path).unwrap();
    assert_eq!((numbers(&opened.entries), opened.cut_bytes), (vec![3, 2], 0));
    assert!(!opened.is_new);
}

#[test]
fn at_whatever_byte_it_is_cut_whole_records_are_kept() {
    let folder = Folder::new("cut");
    let path = folder.file();
    let bytes = written(&path, 3);
    let first = 1 + bytes.iter().position(|byte| *byte == b'\n').unwrap();
    for length in first..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let opened = KeptFile::open(&path).unwrap();
        let ended = bytes[first..length].iter().filter(|byte| **byte == b'\n').count() as u128;
        // A record that lacks its end of line alone is whole.
        let whole = ended + u128::from(bytes[length] == b'\n' && length > first);
        assert_eq!(numbers(&opened.entries), (1..=whole).collect::<Vec<_>>(), "{length}");
        let ends = bytes[..length].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        let cut = if whole > ended { 0 } else { length - ends };
        assert_eq!(opened.cut_bytes, cut as u64, "{length}");
    }
}

#[test]
fn any_byte_that_is_changed_is_found() {
    let folder = Folder::new("changed");
    let path = folder.file();
    let bytes = written(&path, 3);
    let lines: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at] == b'\n').map(|at| at + 1).collect();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&path, &changed).unwrap();
        let answer = KeptFile::open(&path);
        match lines.iter().position(|end| at < *end).unwrap() {
            // What is not the last record may not be lost without a word.
            0..=2 => {
                let error = answer.err().unwrap_or_else(|| panic!("byte {at}")).to_string();
                assert!(error.contains("no state file") || error.contains("is damaged"), "{error}");
            }
            _ => {
                let opened = answer.unwrap();
                assert_eq!(numbers(&opened.entries), [1, 2], "byte {at}");
                assert!(opened.cut_bytes > 0, "byte {at}");
            }
        }
    }
}

#[test]
fn a_record_that_is_missing_or_comes_twice_is_damage() {
    let folder = Folder::new("missing");
    let path = folder.file();
    let text = String::from_utf8(written(&path, 3)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for order in [vec![0, 1, 3], vec![0, 1, 1, 2, 3], vec![0, 2, 1, 3], vec![0, 1, 2, 3, 3]] {
        let text: String = order.iter().map(|at| format!("{}\n", lines[*at])).collect();
        fs::write(&path, text).unwrap();
        let error = KeptFile::open(&path).err().unwrap_or_else(|| panic!("{order:?}")).to_string();
        assert!(error.contains("is damaged, and others follow"), "{order:?}: {error}");
    }
}

#[track_caller]
fn refuses(path: &Path, part: &str) {
    let before = fs::read(path).ok();
    let error = KeptFile::open(path).err().expect("it must be refused").to_string();
    assert!(error.contains(part), "{error}");
    assert_eq!(fs::read(path).ok(), before, "what is refused is left alone");
}

#[test]
fn other_files_are_refused_and_left_alone() {
    let folder = Folder::new("foreign");
    let path = folder.file();
    for foreign in [&b"capacity = 1\n"[..], b"\xff\xfe", b"{}\n", b"\n", b"{\"crc\":\"\xff"] {
        fs::write(&path, foreign).unwrap();
        refuses(&path, "is no state file of allot");
    }
    let newer = First::Begin { format: FORMAT.to_string(), version: VERSION + 1 };
    fs::write(&path, line(0, &newer)).unwrap();
    refuses(&path, "version 2 of allot-state, and this program reads up to version 1");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refuses(&path, "is no file");
    let large = folder.0.join("large");
    File::create(&large).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    let error = KeptFile::open(&large).err().unwrap().to_string();
    assert!(error.contains("more than the 268435456 that are read"), "{error}");
    let nowhere = KeptFile::open(&folder.0.join("no/folder/state")).err().unwrap().to_string();
    assert!(nowhere.contains("no/folder/state.lock"), "{nowhere}");
}

#[test]
fn one_server_at_a_time() {
    let folder = Folder::new("lock");
    let path = folder.file();
    let first = KeptFile::open(&path).unwrap();
    let error = KeptFile::open(&path).err().unwrap().to_string();
    assert!(error.contains("another server keeps its state there"), "{error}");
    drop(first);
    assert!(KeptFile::open(&path).is_ok());
}

#[test]
fn it_grows_to_a_bound_and_is_written_anew() {
    let folder = Folder::new("grows");
    let path = folder.file();
    let mut opened = KeptFile::open(&path).unwrap();
    for n in 0..2_000 {
        put(&mut opened, gone(n % 3)).unwrap();
        let size = fs::metadata(&path).unwrap().len();
        assert!(size <= GROWS_BYTES, "{size}");
    }
    drop(opened);
    assert_eq!(numbers(&KeptFile::open(&path).unwrap().entries), [2, 0, 1]);
}

#[test]
fn after_an_error_of_the_disk_everything_is_written_anew() {
    let folder = Folder::new("error");
    let path = folder.file();
    let mut opened = KeptFile::open(&path).unwrap();
    put(&mut opened, gone(1)).unwrap();
    // A folder stands where the file is written anew, and nothing can be appended.
    let beside = with_ending(&opened.file.path, ".new");
    fs::create_dir(&beside).unwrap();
    opened.file.file = File::open(&path).unwrap();
    assert!(put(&mut opened, gone(2)).is_err());
    assert!(opened.file.is_behind());
    assert!(put(&mut opened, gone(3)).is_err(), "the disk is as before");
    fs::remove_dir(&beside).unwrap();
    put(&mut opened, gone(4)).unwrap();
    assert!(!opened.file.is_behind());
    drop(opened);
    assert_eq!(numbers(&KeptFile::open(&path).unwrap().entries), [1, 2, 3, 4]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let folder = Folder::new("full");
    let path = folder.file();
    let mut opened = KeptFile::open(&path).unwrap();
    opened.file.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = put(&mut opened, gone(1)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(opened.file.is_behind());
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_kept() {
    let folder = Folder::new("link");
    let (real, link) = (folder.0.join("real"), folder.file());
    fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    written(&link, 2);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(numbers(&KeptFile::open(&real).unwrap().entries), [1, 2]);
    fs::remove_file(&real).unwrap();
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&link, &link).unwrap();
    assert!(KeptFile::open(&link).is_err(), "a link to itself");
}
