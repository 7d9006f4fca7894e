//! The header of a GGUF file: the keys that tell the shape of a model, and its tensors.
//!
//! ```text
//! "GGUF" | version u32 | number of tensors u64 | number of keys u64
//! each key     name | kind u32 | value                       name, text: length u64 | bytes
//! each tensor  name | dimensions u32, each u64 | type u32 | offset u64
//! padding to the alignment | data
//! ```
//!
//! - here: the order of things, and what must hold between them
//! - `gguf/bytes.rs`: numbers and texts, each within bounds, and where they stand
//! - `gguf/types.rs`: the types of tensors and their blocks
//!
//! Nothing that the file claims is believed: every count has a bound, nothing is allocated by a
//! number that was only read, a tensor has to lie within the file, and all of them together cannot
//! take more than its data. Of the values those are kept that tell a shape, [`KEPT_MAX`] at most.

mod bytes;
mod types;

use std::collections::BTreeMap;
use std::io::Read;

use self::bytes::Bytes;
use super::numbers::Numbers;
use super::rows::{Kind, Matrix, Rows};
use super::shown;
use crate::failure::CliError;

/// Most keys of a file; usual are less than a hundred.
const KEYS_MAX: u64 = 4_096;
/// Most tensors of a file; usual are less than two thousand.
const TENSORS_MAX: u64 = 65_536;
/// Most elements of an array; vocabularies have a few hundred thousand.
const ARRAY_MAX: u64 = 1 << 24;
/// How deep arrays may stand in arrays.
const ARRAY_DEPTH_MAX: usize = 4;
/// Longest value that is a text; templates have a few ten thousand bytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// Longest name of an architecture.
const ARCHITECTURE_BYTES_MAX: u64 = 64;
/// Most dimensions of a tensor.
const DIMENSIONS_MAX: u32 = 4;
/// Most values that are kept.
const KEPT_MAX: usize = 64;
/// Most layers, and so most elements of an array that is kept.
pub const LAYERS_MAX: u64 = 1_024;
const ALIGNMENT: u64 = 32;
const ALIGNMENT_MAX: u64 = 1 << 16;

/// What follows the name of the architecture in keys that tell a shape.
const SHAPE_KEYS: [&str; 15] = [
    "block_count",
    "context_length",
    "embedding_length",
    "full_attention_interval",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.indexer.key_length",
    "attention.key_length",
    "attention.key_length_swa",
    "attention.kv_lora_rank",
    "attention.shared_kv_layers",
    "attention.sliding_window",
    "attention.value_length",
    "attention.value_length_swa",
    "rope.dimension_count",
];
const PLAIN_KEYS: [&str; 4] =
    ["general.alignment", "split.count", "split.no", "split.tensors.count"];

/// What a header says.
#[derive(Debug, Default)]
pub struct Gguf {
    /// Of the keys, those that tell a shape.
    pub keys: BTreeMap<String, Numbers>,
    /// The name before the keys of the shape; not in every part of a model.
    pub architecture: Option<String>,
    /// How many tensors there are in this file.
    pub tensors: u64,
    /// What their data takes.
    pub weights_bytes: u64,
}

/// Reads the header of a file of `file_bytes` bytes; `file` is what complaints call it, and `rows`
/// learns of the tensors that tell a shape. Takes a few hundred KiB at most.
///
/// # Errors
///
/// What is wrong, and at which byte.
pub fn read(
    from: impl Read,
    file: &str,
    file_bytes: u64,
    rows: &mut Rows,
) -> Result<Gguf, CliError> {
    let mut bytes = Bytes::new(from, file, file_bytes);
    let (tensors, keys) = counts(&mut bytes)?;
    let mut header = Gguf { tensors, ..Gguf::default() };
    for _ in 0..keys {
        key(&mut bytes, &mut header)?;
    }
    let alignment = alignment(&bytes, &header)?;
    let mut last = Last { end_bytes: 0, name: String::new() };
    for _ in 0..tensors {
        tensor(&mut bytes, &mut header, alignment, &mut last, rows)?;
    }
    // The data begins at the next multiple of the alignment.
    let begin = bytes.at().next_multiple_of(alignment);
    let data_bytes = file_bytes.saturating_sub(begin);
    if last.end_bytes > data_bytes {
        return Err(bytes.fault(format!(
            "tensor `{}` ends {} bytes into the data, of which the file has {data_bytes}; it is \
             torn: fetch it again",
            shown(&last.name),
            last.end_bytes
        )));
    }
    if header.weights_bytes > data_bytes {
        return Err(bytes.fault(format!(
            "the tensors take {} bytes together, but there are {data_bytes} bytes of data",
            header.weights_bytes
        )));
    }
    Ok(header)
}

/// The tensor that reaches furthest into the data.
struct Last {
    end_bytes: u64,
    name: String,
}

/// The numbers of tensors and of keys.
fn counts(bytes: &mut Bytes<'_, impl Read>) -> Result<(u64, u64), CliError> {
    let magic = bytes.array::<4>("the word `GGUF`")?;
    if magic != *b"GGUF" {
        let magic = magic.escape_ascii();
        return Err(bytes.fault(format!("begins with `{magic}`, not with `GGUF`")));
    }
    let version = bytes.u32("the version")?;
    if matches!(version.swap_bytes(), 2..=3) {
        return Err(bytes.fault("is a file for big-endian machines; convert it".to_string()));
    }
    if !(2..=3).contains(&version) {
        return Err(bytes.fault(format!("is of version {version}; versions 2 and 3 are read")));
    }
    let tensors = bytes.count("tensors", TENSORS_MAX)?;
    let keys = bytes.count("keys", KEYS_MAX)?;
    Ok((tensors, keys))
}

fn key(bytes: &mut Bytes<'_, impl Read>, header: &mut Gguf) -> Result<(), CliError> {
    let name = bytes.name("a key")?;
    let kind = bytes.u32("the kind of a value")?;
    if name == "general.architecture" {
        if kind != TEXT {
            return Err(wrong_kind(bytes, &name, kind, "a text"));
        }
        if header.architecture.is_some() {
            return Err(bytes.fault(format!("key `{name}` is there twice")));
        }
        let text = bytes.text("the architecture", ARCHITECTURE_BYTES_MAX)?;
        header.architecture = Some(text);
        return Ok(());
    }
    let is_of_shape = || name.split_once('.').is_some_and(|(_, key)| SHAPE_KEYS.contains(&key));
    if !PLAIN_KEYS.contains(&&*name) && !is_of_shape() {
        return skip(bytes, kind, &name, 0);
    }
    let value = numbers(bytes, kind, &name)?;
    if header.keys.len() == KEPT_MAX {
        return Err(bytes.fault(format!("has more than {KEPT_MAX} keys that tell a shape")));
    }
    if header.keys.contains_key(&name) {
        return Err(bytes.fault(format!("key `{name}` is there twice")));
    }
    header.keys.insert(name, value);
    Ok(())
}

/// The kinds of values.
const BOOL: u32 = 7;
const TEXT: u32 = 8;
const ARRAY: u32 = 9;
const KINDS: [(&str, u64); 13] = [
    ("u8", 1),
    ("i8", 1),
    ("u16", 2),
    ("i16", 2),
    ("u32", 4),
    ("i32", 4),
    ("f32", 4),
    ("bool", 1),
    ("text", 0),
    ("array", 0),
    ("u64", 8),
    ("i64", 8),
    ("f64", 8),
];

fn kind_name(kind: u32) -> &'static str {
    KINDS.get(kind as usize).map_or("unknown", |(name, _)| name)
}

fn wrong_kind(bytes: &Bytes<'_, impl Read>, name: &str, kind: u32, expected: &str) -> CliError {
    let (name, kind_name) = (shown(name), kind_name(kind));
    bytes.fault(format!("key `{name}` is of kind {kind} ({kind_name}); {expected} is expected"))
}

/// A whole number, or an array of them, one for each layer.
fn numbers(bytes: &mut Bytes<'_, impl Read>, kind: u32, name: &str) -> Result<Numbers, CliError> {
    if kind != ARRAY {
        return Ok(Numbers::One(number(bytes, kind, name)?));
    }
    let kind = bytes.u32("the kind of an array's elements")?;
    let length = bytes.length(&format!("key `{name}`"), LAYERS_MAX)?;
    let mut each = Vec::new();
    for _ in 0..length {
        each.push(number(bytes, kind, name)?);
    }
    Ok(Numbers::Each(each))
}

fn number(bytes: &mut Bytes<'_, impl Read>, kind: u32, name: &str) -> Result<u64, CliError> {
    let what = "a number";
    let value = match kind {
        0 => i128::from(bytes.array::<1>(what)?[0]),
        1 => i128::from(i8::from_le_bytes(bytes.array(what)?)),
        2 => i128::from(u16::from_le_bytes(bytes.array(what)?)),
        3 => i128::from(i16::from_le_bytes(bytes.array(what)?)),
        4 => i128::from(bytes.u32(what)?),
        5 => i128::from(i32::from_le_bytes(bytes.array(what)?)),
        BOOL => i128::from(bytes.array::<1>(what)?[0]),
        10 => i128::from(bytes.u64(what)?),
        11 => i128::from(i64::from_le_bytes(bytes.array(what)?)),
        _ => return Err(wrong_kind(bytes, name, kind, "a whole number")),
    };
    u64::try_from(value)
        .map_err(|_| bytes.fault(format!("key `{name}` is {value}; it must not be below 0")))
}

/// Passes over a value of any kind.
fn skip(
    bytes: &mut Bytes<'_, impl Read>,
    kind: u32,
    name: &str,
    depth: usize,
) -> Result<(), CliError> {
    let what = format!("the value of key `{}`", shown(name));
    match kind {
        TEXT => {
            let length = bytes.length(&what, TEXT_BYTES_MAX)?;
            bytes.pass(length, &what)
        }
        ARRAY if depth == ARRAY_DEPTH_MAX => Err(bytes.fault(format!(
            "key `{}` has arrays in arrays, more than {ARRAY_DEPTH_MAX} deep",
            shown(name)
        ))),
        ARRAY => {
            let kind = bytes.u32("the kind of an array's elements")?;
            let length = bytes.length(&what, ARRAY_MAX)?;
            match KINDS.get(kind as usize) {
                Some((_, size)) if *size > 0 => bytes.pass(size * length, &what),
                // Each element takes some bytes, and these have a bound.
                _ => (0..length).try_for_each(|_| skip(bytes, kind, name, depth + 1)),
            }
        }
        _ => match KINDS.get(kind as usize) {
            Some((_, size)) => bytes.pass(*size, &what),
            None => Err(wrong_kind(bytes, name, kind, "one from 0 to 12")),
        },
    }
}

fn alignment(bytes: &Bytes<'_, impl Read>, header: &Gguf) -> Result<u64, CliError> {
    match header.keys.get("general.alignment") {
        None => Ok(ALIGNMENT),
        Some(Numbers::One(alignment))
            if alignment.is_power_of_two() && *alignment <= ALIGNMENT_MAX =>
        {
            Ok(*alignment)
        }
        Some(other) => Err(bytes.fault(format!(
            "key `general.alignment` is {other}; it must be a power of two, {ALIGNMENT_MAX} at most"
        ))),
    }
}

fn tensor(
    bytes: &mut Bytes<'_, impl Read>,
    header: &mut Gguf,
    alignment: u64,
    last: &mut Last,
    rows: &mut Rows,
) -> Result<(), CliError> {
    let name = bytes.name("the name of a tensor")?;
    let fault =
        |bytes: &Bytes<'_, _>, why: String| bytes.fault(format!("tensor `{}` {why}", shown(&name)));
    let dimensions = bytes.u32("a number of dimensions")?;
    if dimensions > DIMENSIONS_MAX {
        let why = format!("has {dimensions} dimensions; at most {DIMENSIONS_MAX}");
        return Err(fault(bytes, why));
    }
    let mut sizes = [1; DIMENSIONS_MAX as usize];
    for size in &mut sizes[..dimensions as usize] {
        *size = bytes.u64("a dimension")?;
    }
    let number = bytes.u32("the type of a tensor")?;
    let Some(kind) = types::of(number) else {
        let why = format!("is of type {number}, whose size is not known here");
        return Err(fault(bytes, why));
    };
    if !sizes[0].is_multiple_of(kind.block_values) {
        let why = format!(
            "has rows of {} values; {} has {} in a block",
            sizes[0], kind.name, kind.block_values
        );
        return Err(fault(bytes, why));
    }
    let values = sizes.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
    let size_bytes = values
        .map(|values| values / kind.block_values)
        .and_then(|blocks| blocks.checked_mul(kind.block_bytes));
    let offset = bytes.u64("the offset of a tensor")?;
    let end_bytes = size_bytes.and_then(|size| offset.checked_add(size));
    let (Some(size_bytes), Some(end_bytes)) = (size_bytes, end_bytes) else {
        let why = format!("of {sizes:?} values at offset {offset} ends beyond 2^64 bytes");
        return Err(fault(bytes, why));
    };
    if !offset.is_multiple_of(alignment) {
        let why = format!("begins at offset {offset}, which is no multiple of {alignment}");
        return Err(fault(bytes, why));
    }
    let sum = header.weights_bytes.checked_add(size_bytes);
    header.weights_bytes = sum.ok_or_else(|| fault(bytes, "is beyond 2^64 bytes".to_string()))?;
    if dimensions == 2 {
        // The first dimension is the one within a row.
        let matrix = Matrix { rows: sizes[1], columns: sizes[0], kind: Kind::Plain };
        rows.add(&name, matrix).map_err(|why| fault(bytes, why))?;
    }
    if end_bytes > last.end_bytes {
        *last = Last { end_bytes, name };
    }
    Ok(())
}
