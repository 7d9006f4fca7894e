//! `allot config`: what is configured, before anything runs by it.
//!
//! [`layers`] puts file, variables and options together.

use std::io::{self, Write};
use std::process::ExitCode;

use allotment_config::{
    Configuration, Datum, Layers, Origin, Value, memory_bytes, read_file, schema,
};
use serde_json::json;

use crate::args::{ConfigCommand, LayerArgs, ShowArgs};
use crate::failure::CliError;

/// The exit code of a configuration that can be read and is not sound.
const UNSOUND: u8 = 1;

/// Does what `allot config` was asked for.
///
/// # Errors
///
/// That the file cannot be read, or to `show`, that it is not sound.
pub fn run(command: &ConfigCommand) -> Result<ExitCode, CliError> {
    match command {
        ConfigCommand::Check(args) => check(args),
        ConfigCommand::Show(args) => show(args).map(|()| ExitCode::SUCCESS),
        ConfigCommand::Schema => {
            let schema = serde_json::from_str::<serde_json::Value>(&schema());
            print(&format!("{:#}\n", schema.expect("the schema is JSON")))
        }
    }
}

/// The file, the variables of this process and the options, on this machine.
///
/// # Errors
///
/// That the file cannot be read.
pub fn layers(args: &LayerArgs) -> Result<Layers, CliError> {
    let layers = match &args.config {
        Some(path) => {
            let text = read_file(path).map_err(|error| CliError::new(error.to_string()))?;
            Layers::default().file(path, text)
        }
        None => Layers::default(),
    };
    let layers = layers.variables(std::env::vars_os());
    let layers = layers.flags(args.settings.iter().map(String::as_str));
    // Where it is unknown, a capacity that needs it is refused.
    Ok(layers.memory(memory_bytes().ok()))
}

fn check(args: &LayerArgs) -> Result<ExitCode, CliError> {
    let layers = layers(args)?;
    match layers.read() {
        Ok(configuration) => print(&format!("sound: {}\n", summary(&configuration))),
        Err(error) => {
            let count = error.count();
            let what = if count == 1 { "fault" } else { "faults" };
            print(&format!("{error}\n{count} {what}\n"))?;
            Ok(ExitCode::from(UNSOUND))
        }
    }
}

/// `24.0 GiB to 3 tenants in 1 group`.
pub fn summary(configuration: &Configuration) -> String {
    let setup = &configuration.setup;
    let count = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let gib = setup.capacity_bytes as f64 / f64::from(1 << 30);
    let tenants = count(setup.tenants.len(), "tenant");
    format!("{gib:.1} GiB to {tenants} in {}", count(setup.groups.len(), "group"))
}

fn show(args: &ShowArgs) -> Result<(), CliError> {
    let configuration = layers(&args.layers)?.read();
    let configuration = configuration.map_err(|error| CliError::new(error.to_string()))?;
    let mut values = configuration.values();
    values.retain(|value| args.effective || value.origin != Origin::Default);
    let text = if args.json { json_text(&values) } else { columns(&values) };
    print(&text).map(|_| ())
}

fn json_text(values: &[Value]) -> String {
    let values: Vec<_> = values
        .iter()
        .map(|value| {
            let origin = value.origin.to_string();
            json!({ "key": value.key, "value": json_value(&value.value), "origin": origin })
        })
        .collect();
    format!("{:#}\n", json!({ "values": values }))
}

fn json_value(value: &Datum) -> serde_json::Value {
    match value {
        Datum::Missing => serde_json::Value::Null,
        Datum::Flag(flag) => json!(flag),
        Datum::Count(number) | Datum::Bytes(number) => json!(number),
        Datum::Real(number) => json!(number),
        Datum::Text(text) => json!(text),
    }
}

fn columns(values: &[Value]) -> String {
    let shown = |value: &Value| (value.key.clone(), value.value.to_string());
    let shown: Vec<(String, String)> = values.iter().map(shown).collect();
    let width = |of: fn(&(String, String)) -> &String| {
        shown.iter().map(|row| of(row).chars().count()).max().unwrap_or(0)
    };
    let (keys, texts) = (width(|row| &row.0), width(|row| &row.1));
    let rows = shown.iter().zip(values);
    let rows =
        rows.map(|((key, text), value)| format!("{key:keys$}  {text:texts$}  {}\n", value.origin));
    rows.collect()
}

fn print(text: &str) -> Result<ExitCode, CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CliError::new(format!("the output cannot be written: {error}")))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
