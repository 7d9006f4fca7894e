//! The command `allot`.

mod config;
mod demo;
mod ledger;
mod report;

fn main() {
    let flags: Vec<String> = std::env::args().collect();
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    let seed = flags.windows(2).find(|pair| pair[0] == "--seed").and_then(|p| p[1].parse().ok());
    let options = demo::Options {
        seed: seed.unwrap_or(demo::SEED),
        json: has("--json"),
        ascii: has("--ascii"),
    };
    match demo::demo(options) {
        Ok(told) => print!("{}", told.text),
        Err(error) => eprintln!("allot: {error}"),
    }
}
