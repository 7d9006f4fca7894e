//! Headers of safetensors files: any bytes are refused with a message that names the file, or are a
//! JSON object whose tensors have all bytes of the data, each once. The same bytes as an
//! index are read or refused.

#![no_main]

use allot_cli::fuzzing::{Rows, files_of_index, read_safetensors};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const NAME: &str = "x.safetensors";

fuzz_target!(|file: &[u8]| {
    let mut rows = Rows::default();
    match read_safetensors(file, NAME, file.len() as u64, &mut rows) {
        Ok(header) => {
            let (length, rest) = file.split_at(8);
            let length = u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize;
            let (json, data) = rest.split_at(length);
            assert_eq!(header.weights_bytes, data.len() as u64);
            has_each_byte_once(json, data.len(), header.tensors);
        }
        Err(error) => names_the_file(&error.to_string(), NAME),
    }
    match files_of_index(file, "x.json") {
        Ok(files) => assert!(files.iter().all(|file| !file.contains('/'))),
        Err(error) => names_the_file(&error.to_string(), "x.json"),
    }
});

fn names_the_file(message: &str, name: &str) {
    let rest = message.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
    assert!(rest.is_some_and(|rest| !rest.is_empty()), "names no file: {message}");
}

fn has_each_byte_once(json: &[u8], data_bytes: usize, tensors: u64) {
    // What is passed over (metadata, further fields) is not held to be text.
    let Ok(value) = serde_json::from_slice::<Value>(json) else { return };
    let Value::Object(object) = value else { panic!("what was read is an object") };
    let named = object.iter().filter(|(name, _)| *name != "__metadata__");
    let mut owners = vec![0_u8; data_bytes];
    let mut count = 0;
    for (_, entry) in named {
        count += 1;
        let offset = |at: usize| entry["data_offsets"][at].as_u64().expect("a place") as usize;
        owners[offset(0)..offset(1)].iter_mut().for_each(|owners| *owners += 1);
    }
    // A name that is there twice is one here.
    assert!(count <= tensors && owners.iter().all(|owners| *owners <= 1));
    assert!(count < tensors || owners.iter().all(|owners| *owners == 1));
}
