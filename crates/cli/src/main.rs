//! The command `allot`.

pub mod report;

fn main() {
    let runs: Vec<report::RunReport> = Vec::new();
    for show in [report::table, report::json, report::html] {
        println!("{}", show(&runs));
    }
}
