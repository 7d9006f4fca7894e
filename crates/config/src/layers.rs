//! What is configured comes in layers: what is so by default, the file, variables, options. Later
//! ones go over earlier ones, value by value.
//!
//! The texts of all layers stand one after the other, as it were: the file, then the value of each
//! variable and option. So a single number is a place in any of them, and tells where a value, or a
//! fault, comes from.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::fault::{ConfigError, ConfigFault, Faults, Origin};
use super::overlay::{CACHE_VARIABLES, PREFIX, Setting, place};
use super::values::{Value, places, values};
use super::{Setup, check};

/// Largest file that is read, in bytes: 4 MiB.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// Layers that are put together.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    path: PathBuf,
    text: String,
    variables: Vec<Setting>,
    flags: Vec<Setting>,
    faults: Vec<ConfigFault>,
    memory_bytes: Option<u64>,
}

/// A configuration with the origin of each value.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// What is configured.
    pub setup: Setup,
    origins: HashMap<String, Origin>,
}

impl Layers {
    /// The file's text; `path` is what complaints call it.
    #[must_use]
    pub fn file(self, path: &Path, text: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), text: text.into(), ..self }
    }

    /// The file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Those of these variables that are for the configuration: `ALLOT__` and a key, in the order
    /// of their names, and over what the `CACHE_` variables say.
    #[must_use]
    pub fn variables(mut self, all: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut ours: Vec<(String, OsString)> = all
            .into_iter()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| is_ours(name))
            .collect();
        ours.sort_by(|(a, _), (b, _)| (a.starts_with(PREFIX), a).cmp(&(b.starts_with(PREFIX), b)));
        for (name, value) in ours {
            match value.into_string() {
                Ok(value) => self.variables.extend(Setting::variable(&name, value)),
                Err(_) => {
                    let message = "the value is not UTF-8; set it again".to_string();
                    self.faults.push(ConfigFault { origin: Origin::Variable(name), message });
                }
            }
        }
        self
    }

    /// What options `--set KEY=VALUE` say, in their order.
    #[must_use]
    pub fn flags<'a>(mut self, flags: impl IntoIterator<Item = &'a str>) -> Self {
        for flag in flags {
            match Setting::flag(flag) {
                Ok(setting) => self.flags.push(setting),
                Err(message) => {
                    let origin = Origin::Flag("--set".to_string());
                    self.faults.push(ConfigFault { origin, message });
                }
            }
        }
        self
    }

    /// How much memory there is, which `auto` and a capacity in percent are shares of: see
    /// [`memory_bytes`]. Without it neither can be said.
    #[must_use]
    pub fn memory(self, bytes: Option<u64>) -> Self {
        Self { memory_bytes: bytes, ..self }
    }

    /// Puts the layers together and checks what comes of it.
    ///
    /// # Errors
    ///
    /// All that is wrong, each with its place. If the file is not TOML, only why it is not.
    pub fn read(&self) -> Result<Configuration, ConfigError> {
        let (document, errors) = DeTable::parse_recoverable(&self.text);
        let faults = Faults::default();
        if !errors.is_empty() {
            for error in &errors {
                let at = error.span().map(|span| span.start.min(self.text.len()));
                faults.note(at, error.message().trim());
            }
            return Err(self.error(faults));
        }
        let mut document = document.into_inner();
        self.named_twice(&faults);
        for (begin, setting) in self.settings() {
            place(&mut document, setting, begin, &faults);
        }
        let setup = check::setup(&document, self.memory_bytes, &faults);
        if faults.count() + self.faults.len() > 0 {
            return Err(self.error(faults));
        }
        let places = places(&document);
        let lines = Lines::of(self);
        let origins = places.into_iter().map(|(key, at)| (key, lines.origin(Some(at)))).collect();
        Ok(Configuration { setup, origins })
    }

    /// Settings, and where their texts begin: behind the file's, and one byte between two.
    fn settings(&self) -> impl Iterator<Item = (usize, &Setting)> {
        let all = self.variables.iter().chain(&self.flags);
        all.scan(self.text.len() + 1, |next, setting| {
            let begin = *next;
            *next += setting.text.len() + 1;
            Some((begin, setting))
        })
    }

    /// Of two variables that set the same, nobody knows which was meant.
    fn named_twice(&self, faults: &Faults) {
        let mut seen: HashMap<String, &Setting> = HashMap::new();
        let variables = self.settings().take(self.variables.len());
        for (begin, setting) in variables.filter(|(_, setting)| is_exactly_ours(setting)) {
            let key = setting.path.join(".").to_ascii_lowercase();
            if let Some(other) = seen.insert(key, setting) {
                let message = format!("{} says the same; unset one of them", other.origin);
                faults.note(Some(begin), message);
            }
        }
    }

    fn error(&self, faults: Faults) -> ConfigError {
        let lines = Lines::of(self);
        let found = faults.into_sorted().into_iter();
        let found = found
            .map(|fault| ConfigFault { origin: lines.origin(fault.at), message: fault.message });
        ConfigError::new(found.chain(self.faults.iter().cloned()).collect())
    }
}

/// Where lines of the file and settings begin, to look up thousands of places.
struct Lines<'l> {
    layers: &'l Layers,
    ends: Vec<usize>,
    settings: Vec<(usize, &'l Setting)>,
}

impl<'l> Lines<'l> {
    fn of(layers: &'l Layers) -> Self {
        let bytes = layers.text.bytes().enumerate();
        let ends = bytes.filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { layers, ends, settings: layers.settings().collect() }
    }

    fn origin(&self, at: Option<usize>) -> Origin {
        let of_file = |line| Origin::File { path: self.layers.path.clone(), line };
        match at {
            None => of_file(0),
            Some(at) if at <= self.layers.text.len() => {
                of_file(1 + self.ends.partition_point(|end| *end < at))
            }
            Some(at) => {
                let after = self.settings.partition_point(|(begin, _)| *begin <= at);
                let found = after.checked_sub(1).map(|place| self.settings[place].1);
                found.map_or_else(|| of_file(0), |setting| setting.origin.clone())
            }
        }
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX) || CACHE_VARIABLES.iter().any(|(known, _)| *known == name)
}

fn is_exactly_ours(setting: &Setting) -> bool {
    matches!(&setting.origin, Origin::Variable(name) if name.starts_with(PREFIX))
}

impl Configuration {
    /// One of which no origins are known.
    pub fn of(setup: Setup) -> Self {
        Self { setup, origins: HashMap::new() }
    }

    /// Every value, in the order of the file, and who has set it.
    pub fn values(&self) -> Vec<Value> {
        let value = |(key, value): (String, super::Datum)| Value {
            origin: self.origins.get(&key).cloned().unwrap_or(Origin::Default),
            key,
            value,
        };
        values(&self.setup).into_iter().map(value).collect()
    }
}

/// The text of a configuration file, of [`FILE_BYTES_MAX`] at most.
///
/// # Errors
///
/// Why it cannot be read, or that it is too large or no UTF-8.
pub fn read_file(path: &Path) -> Result<String, ConfigError> {
    let refuse = |message: String| ConfigError::of_file(path.to_path_buf(), message);
    let unread = |error: std::io::Error| {
        refuse(format!("the configuration cannot be read: {}", super::in_words(&error)))
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unread)?;
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    if bytes.len() > FILE_BYTES_MAX {
        return Err(refuse(format!("the file has more than {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        let message = "this is not UTF-8; save the file as UTF-8".to_string();
        let origin = Origin::File { path: path.to_path_buf(), line };
        ConfigError::new(vec![ConfigFault { origin, message }])
    })
}

/// The memory there is for this process: that of the machine but for what is reserved, or the
/// tightest limit of a cgroup that it is in.
///
/// # Errors
///
/// What the system answers where that cannot be found out.
pub fn memory_bytes() -> Result<u64, allotment::os::OsError> {
    Ok(allotment::os::probe().sample()?.shareable_bytes())
}
