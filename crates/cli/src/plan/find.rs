//! Which files a model is made of: one file, the parts it was split into, or a folder.
//!
//! ```text
//! chat.gguf                            one file; also of another name, if it begins with `GGUF`
//! chat-00001-of-00003.gguf             any part names all of them
//! chat-00001-of-00003.safetensors      the same, with the config.json beside it
//! chat/                                config.json, model.safetensors or its index
//! ```
//!
//! Only regular files are opened: a pipe would never end.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::safetensors::{FILES_MAX, files_of_index};
use crate::failure::CliError;

/// The most files in a folder that are looked at.
const ENTRIES_MAX: usize = 65_536;
const NAME_CHARACTERS_MAX: usize = 100;
const INDEX: &str = "model.safetensors.index.json";

/// The files of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is called: the name of its file or folder.
    pub name: String,
    /// How its files are read.
    pub format: Format,
    /// In their order.
    pub files: Vec<PathBuf>,
    /// The `config.json` beside them.
    pub config: Option<PathBuf>,
}

/// How the files of a model are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Keys and tensors in one.
    Gguf,
    /// Tensors alone, and a `config.json` beside them.
    Safetensors,
}

impl Format {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
        }
    }
}

/// The models that paths name; parts of one model are one model.
///
/// # Errors
///
/// What is missing, or not what a model is made of.
pub fn models(paths: &[PathBuf]) -> Result<Vec<Found>, CliError> {
    let mut models: Vec<Found> = Vec::new();
    for path in paths {
        let found = model(path)?;
        if models.iter().all(|known| known.files != found.files) {
            models.push(found);
        }
    }
    let taken = models.clone();
    for (at, model) in models.iter_mut().enumerate() {
        let same = taken[..at].iter().filter(|other| other.name == model.name).count();
        if same > 0 {
            model.name = format!("{}-{}", model.name, same + 1);
        }
    }
    Ok(models)
}

fn model(path: &Path) -> Result<Found, CliError> {
    let there = fs::metadata(path).map_err(|cause| CliError::file(path, &cause))?;
    if there.is_dir() {
        return folder(path);
    }
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gguf") => Format::Gguf,
        Some("safetensors") => Format::Safetensors,
        _ if begins_with_gguf(path)? => Format::Gguf,
        _ => {
            let path = path.display();
            return Err(CliError::new(format!(
                "{path}: is no model; name a .gguf or .safetensors file, or the folder of a model"
            )));
        }
    };
    let beside = |name: &str| path.with_file_name(name);
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let file = file.unwrap_or_default();
    let (stem, files) = match Part::of(&file) {
        Some(part) => (part.stem.to_string(), parts(&part, beside)?),
        None => {
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            (stem.unwrap_or_default(), vec![path.to_path_buf()])
        }
    };
    let config = Some(beside("config.json"));
    let config = config.filter(|path| format == Format::Safetensors && path.is_file());
    // `model` says nothing: the folder does.
    let stem = if stem == "model" { name_of_folder(path.parent()).unwrap_or(stem) } else { stem };
    Ok(Found { name: printable(&stem), format, files, config })
}

fn begins_with_gguf(path: &Path) -> Result<bool, CliError> {
    let mut magic = [0; 4];
    match open(path)?.0.read_exact(&mut magic) {
        Ok(()) => Ok(&magic == b"GGUF"),
        Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(cause) => Err(CliError::file(path, &cause)),
    }
}

/// A name like `chat-00001-of-00003.gguf`.
#[derive(Debug, PartialEq, Eq)]
struct Part<'a> {
    stem: &'a str,
    count: usize,
    extension: &'a str,
}

impl<'a> Part<'a> {
    fn of(file: &'a str) -> Option<Self> {
        let (path, extension) = file.rsplit_once('.')?;
        let (path, count) = path.rsplit_once("-of-")?;
        let (stem, number) = path.rsplit_once('-')?;
        let digits = |text: &str| {
            let is_number = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<usize>().ok())?
        };
        let (number, count) = (digits(number)?, digits(count)?);
        (1..=count).contains(&number).then_some(Self { stem, count, extension })
    }
}

fn parts(part: &Part<'_>, beside: impl Fn(&str) -> PathBuf) -> Result<Vec<PathBuf>, CliError> {
    let Part { stem, count, extension } = part;
    if *count > FILES_MAX {
        return Err(CliError::new(format!(
            "{}: is one of {count} parts; at most {FILES_MAX}",
            beside(stem).display()
        )));
    }
    let name = |number| beside(&format!("{stem}-{number:05}-of-{count:05}.{extension}"));
    let files: Vec<PathBuf> = (1..=*count).map(name).collect();
    match files.iter().position(|file| !file.is_file()) {
        None => Ok(files),
        Some(at) => Err(CliError::new(format!(
            "{}: part {} of {count} is missing; fetch it",
            files[at].display(),
            at + 1
        ))),
    }
}

/// A folder as Hugging Face has it.
fn folder(path: &Path) -> Result<Found, CliError> {
    let index = path.join(INDEX);
    let files = if index.is_file() {
        let (file, _) = open(&index)?;
        let names = files_of_index(file, &index.display().to_string())?;
        let files: Vec<PathBuf> = names.iter().map(|name| path.join(name)).collect();
        if let Some(missing) = files.iter().find(|file| !file.is_file()) {
            let why = format!("is missing, which {INDEX} names; fetch it");
            return Err(CliError::new(format!("{}: {why}", missing.display())));
        }
        files
    } else if path.join("model.safetensors").is_file() {
        vec![path.join("model.safetensors")]
    } else {
        vec![only_file(path)?]
    };
    let config = Some(path.join("config.json")).filter(|path| path.is_file());
    if let [file] = &files[..] {
        // The only file may be a part, or GGUF.
        let found = model(file)?;
        let name = name_of_folder(Some(path)).unwrap_or(found.name);
        return Ok(Found { name: printable(&name), ..found });
    }
    let name = name_of_folder(Some(path)).unwrap_or_default();
    Ok(Found { name: printable(&name), format: Format::Safetensors, files, config })
}

/// The only model of a folder: a file, or the first of its parts.
fn only_file(path: &Path) -> Result<PathBuf, CliError> {
    let of_folder = |cause: std::io::Error| CliError::file(path, &cause);
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(path).map_err(of_folder)?.take(ENTRIES_MAX) {
        let file = entry.map_err(of_folder)?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_model = name.ends_with(".safetensors") || name.ends_with(".gguf");
        let is_first = Part::of(&name).is_none() || name.contains("-00001-of-");
        if is_model && is_first && file.is_file() {
            found.push(file);
        }
    }
    found.sort();
    let path = path.display();
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(CliError::new(format!(
            "{path}: has no .safetensors or .gguf file; name the folder of a model"
        ))),
        several => Err(CliError::new(format!(
            "{path}: has {several} models, {} among them; name one file",
            found[0].display()
        ))),
    }
}

fn name_of_folder(path: Option<&Path>) -> Option<String> {
    let path = path.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(fs::canonicalize(path).ok()?.file_name()?.to_string_lossy().into_owned())
}

/// A name that a tenant may have.
fn printable(name: &str) -> String {
    let name = name.chars().map(|c| if c.is_control() { '?' } else { c });
    let name: String = name.take(NAME_CHARACTERS_MAX).collect();
    if name.trim().is_empty() { "model".to_string() } else { name.trim().to_string() }
}

/// Opens a regular file; and its length.
///
/// # Errors
///
/// If it cannot be opened, or is something else.
pub fn open(path: &Path) -> Result<(File, u64), CliError> {
    let of_file = |cause: std::io::Error| CliError::file(path, &cause);
    let there = fs::metadata(path).map_err(of_file)?;
    if !there.is_file() {
        return Err(CliError::new(format!("{}: is no regular file", path.display())));
    }
    let file = File::open(path).map_err(of_file)?;
    Ok((file, there.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts() {
        let part = Part::of("a-b-00002-of-00003.gguf").unwrap();
        assert_eq!(part, Part { stem: "a-b", count: 3, extension: "gguf" });
        for name in ["a.gguf", "a-00001-of-00003", "a-1-of-3.gguf", "a-00004-of-00003.gguf", ""] {
            assert_eq!(Part::of(name), None, "{name}");
        }
        assert_eq!(Part::of("a-00000-of-00003.gguf"), None);
    }

    #[test]
    fn names_that_a_tenant_may_have() {
        assert_eq!(printable("a\nb"), "a?b");
        assert_eq!(printable(" "), "model");
        assert_eq!(printable(&"x".repeat(200)).len(), NAME_CHARACTERS_MAX);
    }
}
