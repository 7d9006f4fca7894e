//! A model as far as a plan needs it: what its weights take, and what a token takes in its cache.

use std::io::BufReader;

use super::find::{self, Format, Found};
use super::gguf::{self, Gguf};
use super::keys::{Config, GgufKeys};
use super::numbers::Numbers;
use super::rows::Rows;
use super::safetensors;
use super::shape::{KV_BYTES_PER_TOKEN_MAX, Shape};
use crate::args::Stated;
use crate::failure::CliError;

/// A model that was read.
#[derive(Clone, Debug)]
pub struct Model {
    /// What it is called.
    pub name: String,
    /// How its files are written.
    pub format: Format,
    /// How many files it has.
    pub files: usize,
    /// How many tensors it has.
    pub tensors: u64,
    /// What its weights take.
    pub weights_bytes: u64,
    /// What a token takes in its cache.
    pub kv_bytes_per_token: u64,
    /// Whether that was stated rather than read.
    pub is_stated: bool,
    /// How that comes about.
    pub shape: Shape,
}

/// Reads the headers of a model's files.
///
/// # Errors
///
/// What is wrong with them, or why the cache is not known.
pub fn read(found: &Found, kv_bits: u64, stated: &[Stated]) -> Result<Model, CliError> {
    let mut rows = Rows::default();
    let (tensors, weights_bytes, shape) = match found.format {
        Format::Gguf => of_gguf(found, &mut rows)?,
        Format::Safetensors => of_safetensors(found, &mut rows)?,
    };
    if tensors == 0 {
        let file = found.files[0].display();
        return Err(CliError::new(format!("{file}: has no tensors; name the file of a model")));
    }
    let of_this = |stated: &&Stated| stated.model.as_ref().is_none_or(|name| *name == found.name);
    let stated = stated.iter().find(of_this).map(|stated| stated.kv_bytes_per_token);
    let shape = match (shape, stated) {
        (shape, Some(_)) => shape.unwrap_or_default(),
        (Ok(shape), None) => shape,
        (Err(unknown), None) => {
            let name = &found.name;
            let way = format!("or state it: --kv-bytes-per-token '{name}=BYTES'");
            return Err(CliError::new(format!("{unknown}; mend it, {way}")));
        }
    };
    let kv_bytes_per_token = stated.or_else(|| shape.kv_bytes_per_token(kv_bits));
    let kv_bytes_per_token = kv_bytes_per_token.unwrap_or(u64::MAX);
    if kv_bytes_per_token > KV_BYTES_PER_TOKEN_MAX {
        let file = found.files[0].display();
        return Err(CliError::new(format!(
            "{file}: a token takes {kv_bytes_per_token} bytes in the cache; at most \
             {KV_BYTES_PER_TOKEN_MAX}"
        )));
    }
    Ok(Model {
        name: found.name.clone(),
        format: found.format,
        files: found.files.len(),
        tensors,
        weights_bytes,
        kv_bytes_per_token,
        is_stated: stated.is_some(),
        shape,
    })
}

/// Tensors, bytes of weights, and the shape or why there is none.
type Seen = (u64, u64, Result<Shape, CliError>);

fn of_gguf(found: &Found, rows: &mut Rows) -> Result<Seen, CliError> {
    let (mut tensors, mut weights_bytes) = (0_u64, 0_u64);
    let mut first: Option<Gguf> = None;
    for (at, path) in found.files.iter().enumerate() {
        let (file, file_bytes) = find::open(path)?;
        let name = path.display().to_string();
        let header = gguf::read(BufReader::new(file), &name, file_bytes, rows)?;
        check_part(&header, &name, at, found.files.len())?;
        tensors += header.tensors;
        weights_bytes = sum(&name, weights_bytes, header.weights_bytes)?;
        first.get_or_insert(header);
    }
    let header = first.unwrap_or_default();
    let file = found.files[0].display().to_string();
    if let Some(Numbers::One(expected)) = header.keys.get("split.tensors.count")
        && *expected != tensors
    {
        return Err(CliError::new(format!(
            "{file}: `split.tensors.count` is {expected}, but its parts have {tensors} tensors"
        )));
    }
    let shape = match &header.architecture {
        Some(architecture) => {
            let keys = GgufKeys { file: &file, architecture, header: &header };
            Shape::of(&keys, &rows.layers())
        }
        None => Err(CliError::new(format!("{file}: there is no `general.architecture`"))),
    };
    Ok((tensors, weights_bytes, shape))
}

/// A part says which one it is, and of how many.
fn check_part(header: &Gguf, file: &str, at: usize, count: usize) -> Result<(), CliError> {
    let of = |key| match header.keys.get(key) {
        Some(Numbers::One(number)) => Some(*number),
        _ => None,
    };
    let says_count = of("split.count").unwrap_or(1).max(1);
    if says_count != count as u64 {
        return Err(CliError::new(format!(
            "{file}: `split.count` is {says_count}, but by its name it is one of {count}"
        )));
    }
    match of("split.no") {
        Some(number) if number != at as u64 => Err(CliError::new(format!(
            "{file}: `split.no` is {number}, but by its name it is {at}"
        ))),
        _ => Ok(()),
    }
}

fn of_safetensors(found: &Found, rows: &mut Rows) -> Result<Seen, CliError> {
    let (mut tensors, mut weights_bytes) = (0, 0);
    for path in &found.files {
        let (file, file_bytes) = find::open(path)?;
        let name = path.display().to_string();
        let header = safetensors::read(file, &name, file_bytes, rows)?;
        tensors += header.tensors;
        weights_bytes = sum(&name, weights_bytes, header.weights_bytes)?;
    }
    let layers = rows.layers();
    let shape = match &found.config {
        Some(path) => {
            let (file, _) = find::open(path)?;
            let config = Config::read(file, &path.display().to_string())?;
            Shape::of(&config, &layers)
        }
        None => Shape::of_rows(&layers).ok_or_else(|| {
            let file = found.files[0].display();
            CliError::new(format!(
                "{file}: there is no config.json beside it, and no tensors with the rows of keys \
                 and values, so what a token takes is not known"
            ))
        }),
    };
    Ok((tensors, weights_bytes, shape))
}

fn sum(file: &str, bytes: u64, more: u64) -> Result<u64, CliError> {
    let sum = bytes.checked_add(more);
    sum.ok_or_else(|| CliError::new(format!("{file}: the weights take more than 2^64 bytes")))
}
