//! Files cut off at every byte, and with every byte changed: refused or read, in bounded memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use allot_cli::fuzzing::{Rows, files_of_index, read_gguf, read_safetensors};

use crate::files::{keys_and_values, number, small_gguf, text};

/// Counts what the calling thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn held(bytes: isize) {
    // A thread that ends has no cells any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        PEAK.with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: hands everything to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        held(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        held(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `call` held beyond what was held before.
fn peak_bytes(call: impl FnOnce()) -> isize {
    let before = HELD.get();
    PEAK.set(before);
    call();
    PEAK.get() - before
}

/// More than a few small texts and a buffer, and far less than a hostile number.
const PEAK_BYTES_MAX: isize = 64 << 10;

/// Reads a file that is said to be `file_bytes` long: a word if it is refused.
type Reader = fn(&[u8], u64) -> Result<(), String>;

fn gguf(bytes: &[u8], file_bytes: u64) -> Result<(), String> {
    let read = read_gguf(bytes, "x.gguf", file_bytes, &mut Rows::default());
    read.map(drop).map_err(|why| why.to_string())
}

fn safetensors(bytes: &[u8], file_bytes: u64) -> Result<(), String> {
    let read = read_safetensors(bytes, "x.safetensors", file_bytes, &mut Rows::default());
    read.map(drop).map_err(|why| why.to_string())
}

#[track_caller]
fn assert_bounded(read: Reader, bytes: &[u8], file_bytes: u64) -> Result<(), String> {
    let mut answer = Ok(());
    let peak = peak_bytes(|| answer = read(bytes, file_bytes));
    assert!(peak <= PEAK_BYTES_MAX, "{peak} bytes for {} ({answer:?})", bytes.len());
    if let Err(why) = &answer {
        assert!(why.starts_with("x."), "names no file: {why}");
    }
    answer
}

fn cut_everywhere(read: Reader, header: &[u8], data_bytes: u64) {
    let file_bytes = header.len() as u64 + data_bytes;
    assert_eq!(assert_bounded(read, header, file_bytes), Ok(()));
    for cut in 0..header.len() {
        let shorter = assert_bounded(read, &header[..cut], cut as u64);
        assert!(shorter.is_err(), "a file of {cut} bytes was read");
        // One that became shorter while it was read.
        assert_bounded(read, &header[..cut], file_bytes).ok();
    }
    let torn = assert_bounded(read, header, file_bytes - 1).unwrap_err();
    assert!(torn.ends_with("it is torn: fetch it again"), "{torn}");
}

fn change_everywhere(read: Reader, header: &[u8], data_bytes: u64) {
    let file_bytes = header.len() as u64 + data_bytes;
    let mut refused = 0;
    for at in 0..header.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = header.to_vec();
            changed[at] ^= change;
            refused += u32::from(assert_bounded(read, &changed, file_bytes).is_err());
        }
    }
    assert!(refused as usize > header.len(), "{refused} of {} refused", 3 * header.len());
}

#[test]
fn gguf_cut_off_and_changed_at_every_byte() {
    let file = small_gguf()
        .key("tokenizer.chat_template", text("{{ messages }}"))
        .key("general.alignment", number(32));
    cut_everywhere(gguf, &file.header(), file.data_bytes());
    change_everywhere(gguf, &file.header(), file.data_bytes());
}

#[test]
fn safetensors_cut_off_and_changed_at_every_byte() {
    let file = keys_and_values(2, 32, 16);
    cut_everywhere(safetensors, &file.header(), file.data_bytes());
    change_everywhere(safetensors, &file.header(), file.data_bytes());
}

/// However much a file claims, it takes what it has.
#[test]
fn claims_take_nothing() {
    let header = small_gguf().header();
    for claim in [u64::MAX, 1 << 40, 1 << 24, 60_000] {
        // The numbers of tensors and keys, and the length of the first key.
        for at in [8, 16, 24] {
            let mut claims = header.clone();
            claims[at..at + 8].copy_from_slice(&claim.to_le_bytes());
            assert!(assert_bounded(gguf, &claims, u64::MAX).is_err(), "{claim} at {at}");
        }
        let mut claims = keys_and_values(1, 8, 8).header();
        claims[..8].copy_from_slice(&claim.to_le_bytes());
        assert!(assert_bounded(safetensors, &claims, u64::MAX).is_err(), "{claim}");
    }
}

#[test]
fn an_index_cut_off_at_every_byte() {
    let index = "{\"weight_map\": {\"a\": \"x-00001-of-00001.safetensors\"}}";
    assert_eq!(files_of_index(index.as_bytes(), "x.json").unwrap().len(), 1);
    for cut in 0..index.len() {
        let refused = files_of_index(&index.as_bytes()[..cut], "x.json").unwrap_err().to_string();
        assert!(refused.starts_with("x.json: "), "{refused}");
    }
}
