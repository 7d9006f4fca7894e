//! The header of a safetensors file, and the index of a model that stands in several.
//!
//! ```text
//! length u64 | {"name": {"dtype": "BF16", "shape": [4, 8], "data_offsets": [0, 64]}, ...}
//! | data: every byte belongs to exactly one tensor
//! ```
//!
//! The tensors are read one after the other and only their places are kept, so that nothing is
//! allocated by a number that the file only claims: the JSON is read as it comes, within the length
//! of the file. The library for this format wants the whole file in one slice, and says what is
//! wrong without saying where.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::rows::{Kind, Matrix, Rows};
use super::shown;
use crate::failure::CliError;

/// Longest header, as the format has it.
const HEADER_BYTES_MAX: u64 = 100_000_000;
/// Most tensors of a file; models of many experts have some thousand in each.
const TENSORS_MAX: usize = 262_144;
const NAME_BYTES_MAX: usize = 1_024;
const DIMENSIONS_MAX: usize = 8;
/// Longest index: that of a model of a hundred thousand tensors has 10 MiB.
const INDEX_BYTES_MAX: u64 = 64 << 20;
/// Most files of a model.
pub const FILES_MAX: usize = 4_096;

/// Types of values and their bits.
const TYPES: [(&str, u64); 22] = [
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("BOOL", 8),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("C64", 64),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

/// What a header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Safetensors {
    /// How many tensors there are in this file.
    pub tensors: u64,
    /// What their data takes.
    pub weights_bytes: u64,
}

/// Reads the header of a file of `file_bytes` bytes; `file` is what complaints call it, and `rows`
/// learns of the tensors that tell a shape. Takes 16 bytes for each tensor, and as much as the
/// longest text in the header.
///
/// # Errors
///
/// What is wrong, and of which tensor.
pub fn read(
    mut from: impl Read,
    file: &str,
    file_bytes: u64,
    rows: &mut Rows,
) -> Result<Safetensors, CliError> {
    let fault = |why: String| CliError::new(format!("{file}: {why}"));
    let mut length = [0; 8];
    if file_bytes < 8 {
        return Err(fault(format!(
            "at byte 0: the file ends within the length of the header: it has {file_bytes} bytes"
        )));
    }
    from.read_exact(&mut length).map_err(|cause| CliError::file(Path::new(file), &cause))?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_BYTES_MAX {
        return Err(fault(format!(
            "at byte 0: the header has {length} bytes; at most {HEADER_BYTES_MAX}"
        )));
    }
    let Some(data_bytes) = (file_bytes - 8).checked_sub(length) else {
        let left = file_bytes - 8;
        return Err(fault(format!(
            "at byte 8: the header has {length} bytes, but the file ends after {left}; it is torn: \
             fetch it again"
        )));
    };
    let mut header = Header { rows, tensors: 0, places: Vec::new(), fault: None };
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(from.take(length)));
    let read = (&mut header).deserialize(&mut json).and_then(|()| json.end());
    if let Some(why) = header.fault {
        return Err(fault(why));
    }
    read.map_err(|error| fault(format!("the header at byte 8: {error}")))?;
    check_places(header.places, data_bytes).map_err(fault)?;
    Ok(Safetensors { tensors: header.tensors as u64, weights_bytes: data_bytes })
}

/// Every byte belongs to exactly one tensor.
fn check_places(mut places: Vec<(u64, u64)>, data_bytes: u64) -> Result<(), String> {
    places.sort_unstable();
    let mut end = 0;
    for (begin, next) in places {
        if begin != end {
            return Err(format!(
                "a tensor begins at byte {begin} of the data, where the one before ends at {end}"
            ));
        }
        end = next;
    }
    if end == data_bytes {
        return Ok(());
    }
    Err(format!(
        "the tensors end at byte {end} of the data, of which the file has {data_bytes}; it is \
         torn: fetch it again"
    ))
}

/// What is learned of the tensors, one by one.
struct Header<'a> {
    rows: &'a mut Rows,
    tensors: usize,
    /// From which byte of the data to which.
    places: Vec<(u64, u64)>,
    /// Why the reading ended, in words of ours.
    fault: Option<String>,
}

impl Header<'_> {
    fn tensor(&mut self, name: &str, entry: &Entry) -> Result<(), String> {
        let fault = |why: String| format!("tensor `{}` {why}", shown(name));
        let Some((_, bits)) = TYPES.iter().find(|(known, _)| *known == entry.dtype) else {
            let dtype = shown(&entry.dtype);
            return Err(fault(format!("is of type `{dtype}`, whose size is not known here")));
        };
        let Entry { shape: Shape(shape), data_offsets: (begin, end), .. } = entry;
        let values = shape.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
        let size_bits = values.and_then(|values| values.checked_mul(*bits));
        let size_bytes = size_bits.filter(|bits| bits.is_multiple_of(8)).map(|bits| bits / 8);
        let Some(size_bytes) = size_bytes else {
            return Err(fault(format!("of shape {shape:?} has no whole number of bytes")));
        };
        if end.checked_sub(*begin) != Some(size_bytes) {
            return Err(fault(format!(
                "has the bytes from {begin} to {end}; those of its shape {shape:?} are {size_bytes}"
            )));
        }
        if self.tensors == TENSORS_MAX {
            return Err(fault(format!("is one too many; at most {TENSORS_MAX} in a file")));
        }
        self.tensors += 1;
        // One without a value has no place.
        if size_bytes > 0 {
            self.places.push((*begin, *end));
        }
        if let [rows, columns] = shape[..] {
            let kind = if entry.dtype == "U8" { Kind::Bytes } else { Kind::Plain };
            self.rows.add(name, Matrix { rows, columns, kind }).map_err(fault)?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Header<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Header<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name.len() > NAME_BYTES_MAX {
                let bytes = name.len();
                self.fault = Some(format!(
                    "tensor `{}` has a name of {bytes} bytes; at most {NAME_BYTES_MAX}",
                    shown(&name)
                ));
                return Err(A::Error::custom(""));
            }
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let entry = map.next_value::<Entry>().map_err(|error| {
                self.fault = Some(format!("tensor `{}`: {error}", shown(&name)));
                error
            })?;
            if let Err(why) = self.tensor(&name, &entry) {
                self.fault = Some(why);
                return Err(A::Error::custom(""));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

/// Sizes of a tensor, a few at most.
struct Shape(Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Few;

        impl<'de> Visitor<'de> for Few {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {DIMENSIONS_MAX} whole numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Shape, A::Error> {
                let mut sizes = Vec::new();
                while let Some(size) = sequence.next_element()? {
                    if sizes.len() == DIMENSIONS_MAX {
                        return Err(A::Error::invalid_length(sizes.len() + 1, &self));
                    }
                    sizes.push(size);
                }
                Ok(Shape(sizes))
            }
        }
        json.deserialize_seq(Few)
    }
}

/// The files that an index names, `file` is what complaints call it. Takes as much as the names.
///
/// # Errors
///
/// What is wrong with it.
pub fn files_of_index(from: impl Read, file: &str) -> Result<BTreeSet<String>, CliError> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: Files,
    }
    let index: Index = serde_json::from_reader(BufReader::new(from.take(INDEX_BYTES_MAX)))
        .map_err(|error| CliError::new(format!("{file}: {error}")))?;
    let Files(files) = index.weight_map;
    // Only beside the index: a model must not lead anywhere else.
    let outside = files.iter().find(|name| {
        Path::new(name).file_name().is_none_or(|own| own != name.as_str())
            || !name.ends_with(".safetensors")
    });
    match outside {
        Some(name) => Err(CliError::new(format!(
            "{file}: `weight_map` names `{}`, which is no .safetensors file in the same folder",
            shown(name)
        ))),
        None if files.is_empty() => {
            Err(CliError::new(format!("{file}: `weight_map` names no files")))
        }
        None => Ok(files),
    }
}

struct Files(BTreeSet<String>);

impl<'de> Deserialize<'de> for Files {
    fn deserialize<D: serde::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Files;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "names of at most {FILES_MAX} files by names of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Files, A::Error> {
                let mut files = BTreeSet::new();
                while let Some((_, name)) = map.next_entry::<IgnoredAny, String>()? {
                    files.insert(name);
                    if files.len() > FILES_MAX {
                        return Err(A::Error::invalid_length(files.len(), &self));
                    }
                }
                Ok(Files(files))
            }
        }
        json.deserialize_map(Names)
    }
}
