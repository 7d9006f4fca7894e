//! Headers of GGUF files: any bytes are refused with a message that names the file and a byte
//! within it, or read as a reader of a few lines reads them, which trusts every number.

#![no_main]

use allot_cli::fuzzing::{Gguf, Numbers, Rows, read_gguf};
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;

const NAME: &str = "x.gguf";

fuzz_target!(|file: &[u8]| {
    let mut rows = Rows::default();
    match read_gguf(file, NAME, file.len() as u64, &mut rows) {
        Ok(header) => {
            is_as_read_again(&header, file);
            for (layer, told) in rows.layers() {
                assert!(layer < 1_024, "layer {layer}: {told:?}");
            }
        }
        Err(error) => names_a_byte(&error.to_string(), file.len()),
    }
});

fn names_a_byte(message: &str, file_bytes: usize) {
    let rest = message.strip_prefix("x.gguf: at byte ");
    let place = rest.and_then(|rest| rest.split_once(": ")?.0.parse::<usize>().ok());
    assert!(place.is_some_and(|place| place <= file_bytes), "names no byte: {message}");
}

fn is_as_read_again(header: &Gguf, file: &[u8]) {
    let mut naive = Naive { rest: &file[8..], numbers: HashMap::new() };
    let (tensors, keys) = (naive.u64(), naive.u64());
    (0..keys).for_each(|_| naive.key());
    for (name, value) in &header.keys {
        if let Numbers::One(value) = value {
            assert_eq!(naive.numbers.get(name).copied().unwrap_or(*value), *value, "{name}");
        }
    }
    assert_eq!(header.tensors, tensors);
    let sizes: Vec<Option<u64>> = (0..tensors).map(|_| naive.tensor()).collect();
    if let Some(sizes) = sizes.into_iter().collect::<Option<Vec<u64>>>() {
        assert_eq!(header.weights_bytes, sizes.iter().sum::<u64>());
    }
    assert!(header.weights_bytes <= naive.rest.len() as u64);
}

struct Naive<'a> {
    rest: &'a [u8],
    /// Values of kind u32 or u64.
    numbers: HashMap<String, u64>,
}

impl<'a> Naive<'a> {
    fn bytes(&mut self, length: u64) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(length as usize);
        self.rest = rest;
        bytes
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes(4).try_into().expect("four bytes"))
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes(8).try_into().expect("eight bytes"))
    }

    fn text(&mut self) -> String {
        let length = self.u64();
        String::from_utf8(self.bytes(length).to_vec()).expect("names are UTF-8")
    }

    fn key(&mut self) {
        let name = self.text();
        let number = match self.u32() {
            4 => u64::from(self.u32()),
            10 => self.u64(),
            kind => return self.value(kind),
        };
        self.numbers.insert(name, number);
    }

    fn value(&mut self, kind: u32) {
        let length = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 => self.u64(),
            9 => {
                let kind = self.u32();
                return (0..self.u64()).for_each(|_| self.value(kind));
            }
            10..=12 => 8,
            kind => panic!("a value of kind {kind} was read"),
        };
        self.bytes(length);
    }

    /// Its bytes, of types that have no blocks.
    fn tensor(&mut self) -> Option<u64> {
        self.text();
        let dimensions = self.u32();
        let values: u64 = (0..dimensions).map(|_| self.u64()).product();
        let kind = self.u32();
        self.u64();
        match kind {
            0 => Some(values * 4),
            1 | 30 => Some(values * 2),
            _ => None,
        }
    }
}
