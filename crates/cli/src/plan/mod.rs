//! `allot plan`: reads model files and says what fits.
//!
//! | file | what is there |
//! |---|---|
//! | `find` | which files a model is made of |
//! | `gguf` | the header of a GGUF file; `gguf/bytes` and `gguf/types` below it |
//! | `safetensors` | the header of a safetensors file, and the index of several |
//! | `keys` | the keys of a shape in a GGUF header and in a `config.json` |
//! | `numbers` | a number, or one for each layer |
//! | `rows` | what the tensors say of keys and values |
//! | `shape` | what a token leaves in the cache |
//! | `model` | weights and shape of a model |
//! | `fit` | what fits under a budget |
//! | `text` | for people; `json` for programs, `toml` for a governor |
//!
//! Only headers are read, never the data of tensors. Files come from anywhere, so a reader has
//! bounds for everything and refuses what is torn, absurd or contradicts itself.

mod find;
mod fit;
pub mod gguf;
mod json;
mod keys;
mod model;
pub mod numbers;
pub mod rows;
pub mod safetensors;
mod shape;
mod text;
mod toml;

use std::process::ExitCode;

use self::fit::{Asked, Fit};
pub use self::fit::{CONTEXT_MAX, REQUESTS_MAX};
use self::model::Model;
pub use self::shape::KV_BYTES_PER_TOKEN_MAX;
use self::shape::Shape;
use crate::args::PlanArgs;
use crate::failure::CliError;
use crate::machine;
use crate::replay::output;

/// The exit code where what was asked for does not fit.
const EXIT_SHORT: u8 = 1;
/// Most models of a plan.
const MODELS_MAX: usize = 64;
/// Longest part of a name that a complaint repeats, in characters.
const SHOWN_MAX: usize = 80;

/// What was asked for, and what fits.
#[derive(Debug)]
struct Plan {
    models: Vec<Model>,
    asked: Asked,
    kv_bits: u64,
    /// All models at the same time, at each context.
    together: Vec<Fit>,
}

/// Reads, reckons and prints; exit code 1 says that it does not fit.
///
/// # Errors
///
/// What is wrong with the files, or was asked for and cannot be.
pub fn run(args: &PlanArgs) -> Result<ExitCode, CliError> {
    let plan = Plan::new(args)?;
    let fits = plan.longest().fits();
    match (args.json, args.toml) {
        (true, _) => output::print(&json::json(&plan))?,
        (_, true) if fits => output::print(&toml::toml(&plan))?,
        (_, true) => eprintln!("allot: {}", text::verdict(&plan)),
        _ => output::print(&text::text(&plan))?,
    }
    Ok(if fits { ExitCode::SUCCESS } else { ExitCode::from(EXIT_SHORT) })
}

impl Plan {
    fn new(args: &PlanArgs) -> Result<Self, CliError> {
        if args.models.len() > MODELS_MAX {
            let given = args.models.len();
            return Err(CliError::new(format!("{given} models; plan at most {MODELS_MAX}")));
        }
        let found = find::models(&args.models)?;
        let names = || found.iter().map(|found| found.name.as_str());
        for stated in &args.kv_bytes_per_token {
            match &stated.model {
                None if found.len() > 1 => {
                    return Err(CliError::new(
                        "--kv-bytes-per-token does not say of which model; write NAME=BYTES",
                    ));
                }
                Some(name) if !names().any(|known| known == name) => {
                    let known = names().collect::<Vec<_>>().join(", ");
                    return Err(CliError::new(format!(
                        "--kv-bytes-per-token names the model `{name}`, which is not among {known}"
                    )));
                }
                _ => {}
            }
        }
        let read = |found| model::read(found, args.kv_bits, &args.kv_bytes_per_token);
        let models = found.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let budget_bytes = args.budget.map_or_else(machine::shared_bytes, Ok)?;
        let asked = Asked { budget_bytes, contexts: args.context.clone(), requests: args.requests };
        let together = fit::together(&models, &asked);
        Ok(Self { models, asked, kv_bits: args.kv_bits, together })
    }

    /// All models at the longest context: where this fits, the others do.
    fn longest(&self) -> &Fit {
        let longest = self.together.iter().max_by_key(|fit| fit.context);
        longest.expect("there is a context, asked for or not")
    }

    /// How many requests of each model are planned for.
    fn requests(&self) -> u64 {
        let fitting = self.longest().requests.unwrap_or(1).clamp(1, REQUESTS_MAX);
        self.asked.requests.unwrap_or(fitting)
    }
}

/// A text from a file as a complaint repeats it: on one line, and not all of it where it is long.
pub fn shown(text: &str) -> String {
    let escaped: String = text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_MAX).is_some() { escaped + "..." } else { escaped }
}
