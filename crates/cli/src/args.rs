//! The command line: what can be asked for, and which options go together.
//!
//! - here: the commands, the options of `demo` and `replay`, values as people write them
//! - `args/bench.rs`: the options of `bench`
//! - `args/config.rs`: where a configuration comes from, and the options of `config`
//! - `args/doctor.rs`: the options of `doctor`
//! - `args/log.rs`: what goes with logs, recorded and read
//! - `args/manual.rs`: the options of `completions` and `man`
//! - `args/plan.rs`: the options of `plan`
//! - `args/serve.rs`: the options of `serve`
//! - `args/stress.rs`: the options of `stress`
//! - `args/token.rs`: the options of `token`
//! - `args/top.rs`: the options of `top`
//! - `args/trace.rs`: how a trace is read, for all commands that read one
//! - `args/tune.rs`: the options of `tune`

mod bench;
mod config;
mod doctor;
mod log;
mod manual;
mod plan;
#[cfg(feature = "serve")]
mod serve;
mod stress;
#[cfg(feature = "serve")]
mod token;
#[cfg(feature = "top")]
mod top;
mod trace;
mod tune;

use std::path::PathBuf;
use std::time::Duration;

use allotment::Policy;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::bench::BenchArgs;
pub use self::config::{ConfigCommand, LayerArgs, ShowArgs};
pub use self::doctor::DoctorArgs;
pub use self::manual::{CompletionsArgs, ManArgs};
pub use self::plan::{PlanArgs, Stated};
#[cfg(feature = "serve")]
pub use self::serve::{AuditFull, PlayArgs, ServeArgs};
pub use self::stress::StressArgs;
#[cfg(feature = "serve")]
pub use self::token::{IssueArgs, KeyArgs, TokenCommand};
#[cfg(feature = "top")]
pub use self::top::TopArgs;
pub use self::trace::TraceArgs;
pub use self::tune::TuneArgs;
use crate::failure::CliError;
use crate::trace::Format;
use crate::trace::part::Part;

const GIB: u64 = 1 << 30;

/// Allotment on the command line: a memory governor for many tenants of one memory.
#[derive(Debug, Parser)]
#[command(name = "allot", version, about)]
pub struct Allot {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show one minute of four tenants on one machine, without and with a governor
    Demo(DemoArgs),
    /// Look at this machine, and say whether a configuration fits it
    ///
    /// Exit code 0: it fits, or none was given; 1: it promises more than there is; 2: it is wrong.
    Doctor(DoctorArgs),
    /// Replay recorded traces through a governor and report what it did
    Replay(Box<ReplayArgs>),
    /// Say what fits of models under a budget: weights, caches and requests at the same time
    ///
    /// Reads the headers of model files, never their tensors. Exit code 0: what was asked for fits,
    /// 1: it does not, 2: a file or an option is wrong.
    Plan(PlanArgs),
    /// Prove an audit log, show it, and account for memory by it
    #[command(subcommand)]
    Audit(crate::audit::AuditCommand),
    /// Check a configuration, show what it comes to, or print the schema of its file
    ///
    /// A configuration comes in layers: defaults, the file, variables that begin with `ALLOT__`,
    /// options `--set`. docs/CONFIG.md lists every key.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Search guarantees, limits and bursts that suit a recorded trace
    Tune(Box<TuneArgs>),
    /// Measure what decisions cost on this machine, beside a bare atomic pair
    ///
    /// The bare pair is one `fetch_add` and one `fetch_sub` on a cache line: the least that
    /// counting bytes can cost. It is measured in the same rounds as all else, and every cost is
    /// shown as a ratio to it too: times differ from machine to machine, ratios hardly. A request
    /// of the first two tables takes 4 KiB, one of the third 2 MiB where memory is full.
    Bench(BenchArgs),
    /// Serve one governor to several programs over HTTP
    ///
    /// Without a configuration there are no tenants yet, and four fifths of the memory that this
    /// machine or its cgroup has are shared. A grant is a lease: its holder renews it, or its bytes
    /// go to others. Ends with SIGINT or SIGTERM, after open requests were answered.
    #[cfg(feature = "serve")]
    Serve(ServeArgs),
    /// Make keys, and issue the tokens that open `allot serve --keys` as far as their scopes say
    #[cfg(feature = "serve")]
    #[command(subcommand)]
    Token(TokenCommand),
    /// Call every verb of one governor from several threads, and prove that no byte is lost
    ///
    /// Limits and capacity change meanwhile, tenants come and go, owners answer, promise, call the
    /// governor again and panic, threads end while they hold grants. A ledger of its own is held
    /// against the governor once a second, while all threads rest; the first discrepancy ends the
    /// run with exit code 1. Each verb has at least one call in a hundred.
    Stress(StressArgs),
    /// Show what the dashboard of a server shows, in a terminal
    ///
    /// The pool, all tenants, and each in detail, as it changes; `?` lists the keys. If the server
    /// goes away it says so, and comes back with it. NO_COLOR takes the colours away.
    #[cfg(feature = "top")]
    Top(TopArgs),
    /// Print what lets a shell complete these commands
    Completions(CompletionsArgs),
    /// Print the man page, or write one for each command
    Man(ManArgs),
}

/// Options of `allot demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Which minute
    #[arg(long, value_name = "N", default_value_t = crate::demo::SEED)]
    pub seed: u64,

    /// Print figures for programs rather than a story for people
    #[arg(long)]
    pub json: bool,

    /// Draw with letters rather than blocks
    #[arg(long)]
    pub ascii: bool,
}

/// Options of `allot replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// The traces and how they are read.
    #[command(flatten)]
    pub trace: TraceArgs,

    /// Size of the pool in the unit of the trace; several make a sweep [suffixes: KiB MiB GiB TiB]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = quantity)]
    pub capacity: Vec<u64>,

    /// Size of the pool in percent of what all distinct keys would take (keys formats)
    #[arg(long, value_name = "P", value_delimiter = ',', value_parser = percent)]
    pub capacity_percent: Vec<f64>,

    /// Size of the pool in cache blocks; what is generated is then not counted (mooncake)
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = quantity)]
    pub capacity_blocks: Vec<u64>,

    /// Base models that fit at one time; running requests come on top (alibaba-lora)
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = quantity)]
    pub slots: Vec<u64>,

    /// Who is evicted first; several make a sweep [default: as --config says, else hybrid]
    #[arg(long, value_enum, value_delimiter = ',')]
    pub policy: Vec<PolicyName>,

    /// Tenants, groups and limits (TOML); needed by csv
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Replay only this part of each trace, in percent of its requests
    #[arg(long, value_name = "FROM-TO", value_parser = part)]
    pub part: Option<Part>,

    /// Where tenant ids start; the same seed gives the same run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Replay the same events from N threads as fast as possible
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = threads)]
    pub threads: u64,

    /// Let a request that finds no room wait its turn for so long, and count waits and estimates
    /// (mooncake, alibaba-lora). Figures differ from those without, where a model or the blocks of
    /// a prompt may be evicted while a request uses them: here it holds them until it ends
    /// [units: ms s min h]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub wait: Option<Duration>,

    /// Also run the keys through a plain LRU map and print our speed as a ratio to it
    #[arg(long)]
    pub compare_lru: bool,

    /// Print JSON, an array with one object per run; to FILE if one is given
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub json: Option<Option<PathBuf>>,

    /// Also write an audit log of all calls and answers to the new folder DIR; `--format audit`
    /// does it again (one trace, one size, one policy)
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,

    /// The key of the log that --record writes; made if it is not there [default: DIR.key]
    #[arg(long, value_name = "FILE", requires = "record")]
    pub key: Option<PathBuf>,

    /// Run what was recorded under the limits of FILE instead, and show who would have got what
    /// (audit). Tenants that FILE does not name stay as they were, or become as its `[defaults]`
    /// say; each sitting is run by itself, and the figures are added up
    #[arg(long, value_name = "FILE")]
    pub what_if: Option<PathBuf>,

    /// Also write a page with charts
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// The eviction policies by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyName {
    /// Least recently used
    Lru,
    /// Least frequently used
    Lfu,
    /// Soonest to expire
    Ttl,
    /// Largest
    Size,
    /// Least value per byte
    Hybrid,
}

impl PolicyName {
    /// The library's policy.
    pub fn policy(self) -> Policy {
        match self {
            Self::Lru => Policy::Lru,
            Self::Lfu => Policy::Lfu,
            Self::Ttl => Policy::Ttl,
            Self::Size => Policy::Size,
            Self::Hybrid => Policy::Hybrid,
        }
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::Lfu => "lfu",
            Self::Ttl => "ttl",
            Self::Size => "size",
            Self::Hybrid => "hybrid",
        }
    }
}

/// One size of a sweep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// Units of the trace.
    Capacity(u64),
    /// Percent of the footprint.
    Percent(f64),
    /// Cache blocks.
    Blocks(u64),
    /// Base models.
    Slots(u64),
    /// As the configuration says.
    Configured,
}

impl ReplayArgs {
    /// A replay in one thread, as the configuration says, where nobody waits.
    pub fn plain(trace: TraceArgs) -> Self {
        Self {
            trace,
            capacity: Vec::new(),
            capacity_percent: Vec::new(),
            capacity_blocks: Vec::new(),
            slots: Vec::new(),
            policy: Vec::new(),
            config: None,
            part: None,
            seed: 1,
            threads: 1,
            wait: None,
            compare_lru: false,
            json: None,
            record: None,
            key: None,
            what_if: None,
            html: None,
        }
    }

    /// The sizes of the sweep, in the order given, if they suit the format.
    pub fn sizes(&self) -> Result<Vec<Size>, CliError> {
        let given: [(&str, Vec<Size>); 4] = [
            ("--capacity", self.capacity.iter().copied().map(Size::Capacity).collect()),
            (
                "--capacity-percent",
                self.capacity_percent.iter().copied().map(Size::Percent).collect(),
            ),
            ("--capacity-blocks", self.capacity_blocks.iter().copied().map(Size::Blocks).collect()),
            ("--slots", self.slots.iter().copied().map(Size::Slots).collect()),
        ];
        let suitable = self.suitable_sizes();
        let format = self.trace.format.name();
        let mut chosen: Option<(&str, Vec<Size>)> = None;
        for (option, sizes) in given {
            if sizes.is_empty() {
                continue;
            }
            if !suitable.contains(&option) {
                let instead = suitable.join(" or ");
                return Err(CliError::new(format!(
                    "{option} does not go with --format {format}; use {instead}"
                )));
            }
            if let Some((other, _)) = chosen {
                return Err(CliError::new(format!("give {other} or {option}, not both")));
            }
            chosen = Some((option, sizes));
        }
        match chosen {
            Some((_, sizes)) => Ok(sizes),
            None if self.config.is_some() => Ok(vec![Size::Configured]),
            None => Err(CliError::new(format!(
                "--format {format} needs a size: give {}",
                suitable.join(" or ")
            ))),
        }
    }

    fn suitable_sizes(&self) -> &'static [&'static str] {
        match self.trace.format {
            Format::Mooncake => &["--capacity", "--capacity-blocks"],
            Format::AzureLlm | Format::Csv => &["--capacity"],
            Format::AlibabaLora => &["--slots"],
            _ => &["--capacity", "--capacity-percent"],
        }
    }

    /// Checks that the other options suit the format.
    pub fn check(&self) -> Result<(), CliError> {
        self.trace.check()?;
        if self.compare_lru && !self.trace.format.is_keys() {
            return Err(self.trace.keys_only("--compare-lru"));
        }
        self.check_wait()?;
        self.check_log()?;
        if self.trace.format == Format::Csv && self.config.is_none() {
            return Err(CliError::new(
                "--format csv needs --config FILE, which names tenants, guarantees and limits",
            ));
        }
        Ok(())
    }

    /// Checks that the other options suit `--wait`.
    fn check_wait(&self) -> Result<(), CliError> {
        if self.wait.is_none() {
            return Ok(());
        }
        let format = self.trace.format.name();
        if !matches!(self.trace.format, Format::Mooncake | Format::AlibabaLora) {
            return Err(CliError::new(format!(
                "--wait does not go with --format {format}; it is for mooncake and alibaba-lora, \
                 whose requests run for a while"
            )));
        }
        if self.threads > 1 {
            let threads = self.threads;
            return Err(CliError::new(format!(
                "--wait does not go with --threads {threads}: who waits does so in virtual time, \
                 on one thread"
            )));
        }
        if !self.capacity_blocks.is_empty() {
            return Err(CliError::new(
                "--wait does not go with --capacity-blocks, which leaves out what runs; give the \
                 size as --capacity BYTES",
            ));
        }
        Ok(())
    }

    /// The policies of the sweep, in the order given; none: as the configuration says.
    pub fn policies(&self) -> Vec<Option<PolicyName>> {
        match (self.policy.is_empty(), &self.config) {
            (false, _) => self.policy.iter().copied().map(Some).collect(),
            (true, Some(_)) => vec![None],
            (true, None) => vec![Some(PolicyName::Hybrid)],
        }
    }
}

/// A whole number of at least 1, with an optional binary suffix.
pub fn quantity(text: &str) -> Result<u64, String> {
    let suffixes = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", GIB), ("TiB", GIB << 10)];
    let (digits, scale) = suffixes
        .iter()
        .find_map(|(suffix, scale)| Some((text.strip_suffix(suffix)?, *scale)))
        .unwrap_or((text, 1));
    let quantity = digits.trim().parse::<u64>().ok().and_then(|count| count.checked_mul(scale));
    match quantity {
        Some(0) => Err("must be at least 1; nothing fits into 0".to_string()),
        Some(quantity) => Ok(quantity),
        None => Err("write a whole number below 2^64, such as 4096 or 8GiB".to_string()),
    }
}

/// Longest wait: a day.
const WAIT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A whole number of at least 1 with a unit.
fn time(text: &str) -> Result<Duration, String> {
    // The longer unit first: it ends like the shorter one.
    let units = [("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)];
    let split = units.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, *ms)));
    let ms = split.and_then(|(digits, ms)| digits.parse::<u64>().ok()?.checked_mul(ms));
    match ms.map(Duration::from_millis) {
        Some(time) if !time.is_zero() && time <= WAIT_MAX => Ok(time),
        _ => Err("write a whole number and its unit, from 1ms to 24h, such as 500ms, 30s, 2min \
                  or 1h"
            .to_string()),
    }
}

/// Above 0, at most 100.
fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err("write a number above 0 and at most 100, such as 0.1".to_string()),
    }
}

/// `60-100`.
fn part(text: &str) -> Result<Part, String> {
    Part::parse(text)
}

/// Most threads of a replay; more would only wait for each other.
const THREADS_MAX: u64 = 256;

fn threads(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(threads) if (1..=THREADS_MAX).contains(&threads) => Ok(threads),
        _ => Err(format!("write a number from 1 to {THREADS_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(options: &[&str]) -> ReplayArgs {
        let words = ["allot", "replay"].iter().chain(options);
        let Command::Replay(args) = Allot::try_parse_from(words).unwrap().command else {
            panic!("not a replay");
        };
        *args
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Allot::command().debug_assert();
    }

    #[test]
    fn quantities_have_binary_suffixes_and_are_never_zero() {
        assert_eq!(quantity("8GiB"), Ok(8 << 30));
        assert_eq!(quantity("4096"), Ok(4096));
        for text in ["0", "0GiB", "-1", "1.5", "", "99999999TiB"] {
            assert!(quantity(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units_and_are_never_zero() {
        assert_eq!(time("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!((time("1440min"), time("24h")), (Ok(WAIT_MAX), Ok(WAIT_MAX)));
        assert_eq!(time("2h"), time("120min"));
        for text in ["0s", "30", "s", "-1s", "1.5s", "1441min", "25h", "30 s", "99999999999999h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_sweep_keeps_the_order_given() {
        let args = replay(&["t", "--format", "keys-arc", "--capacity", "9,3", "--capacity", "7"]);
        assert_eq!(args.sizes().unwrap(), [9, 3, 7].map(Size::Capacity));
    }

    #[test]
    fn sizes_that_do_not_suit_the_format_are_refused() {
        let args = replay(&["t", "--format", "keys-arc", "--slots", "4"]);
        let failure = args.sizes().unwrap_err().to_string();
        assert!(failure.contains("use --capacity or --capacity-percent"), "{failure}");
        let args = replay(&["t", "--format", "mooncake"]);
        assert!(args.sizes().unwrap_err().to_string().contains("needs a size"));
    }
}
