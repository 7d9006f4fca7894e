//! The document: everything in it is written here, numbers and words.

use crate::caches::{MOKA, OURS, QUICK_CACHE};
use crate::keys::Keys;
use crate::lacks::PEERS;
use crate::machine::{Machine, version};
use crate::rounds::{Plan, SPREAD_MAX};
use crate::sections::Measured;
use crate::tables::{self, number};
use std::fmt::Write;

/// The whole document.
pub fn text(machine: &Machine, plan: &Plan, measured: &Measured) -> String {
    [
        head(machine, plan, measured),
        section("Bars", &tables::promised(measured)),
        section("One thread", &one_thread(measured)),
        section("Two threads", &two_threads(measured)),
        section("Many tenants, many grants, denials", &scale(measured)),
        section("The slowest answers", &slowest(measured)),
        section("Memory", &memory(measured)),
        section("Eviction on recorded keys", &recorded(measured)),
        section("What the peers are, and what they do not do", &peers()),
        section("How it is measured", &method(plan, measured)),
    ]
    .join("\n")
}

fn section(title: &str, text: &str) -> String {
    format!("## {title}\n\n{text}")
}

fn head(machine: &Machine, plan: &Plan, measured: &Measured) -> String {
    let Machine { date, commit, processor, cores, memory, system, compiler } = machine;
    let noisy: usize = measured.series().iter().map(|(_, series)| series.noisy()).sum();
    let quiet = if noisy == 0 {
        "The machine was quiet: in no round that counts did the bare pair spread beyond the bound."
    } else {
        "The machine was not quiet: some rounds count although the bare pair spread beyond the \
         bound. The table at the end says which."
    };
    format!(
        "# Benchmarks\n\n\
         What Allotment costs, beside the least it could cost and beside what one would use \
         instead. This page is written by `benches/peers/run`; nothing in it is typed by hand.\n\n\
         | | |\n|---|---|\n\
         | date | {date} |\n| commit | {commit} |\n\
         | machine | {processor}, {cores} cores, {memory} |\n\
         | system | {system} |\n| compiler | {compiler} |\n\
         | each figure | median of {} rounds |\n\n{quiet}\n",
        plan.rounds
    )
}

fn one_thread(measured: &Measured) -> String {
    format!(
        "Each side takes and gives back {} bytes. The bare pair is a `fetch_add` and a \
         `fetch_sub` of one word. Growth is compared with our growth inside the guarantee, all \
         else with our request and release inside it. `MultiTenantMemoryManager` is our own \
         facade, for who compares a facade with a facade.\n\n{}",
        crate::bare::BYTES,
        tables::one_thread(&measured.alone)
    )
}

fn two_threads(measured: &Measured) -> String {
    format!(
        "Nanoseconds are those of one thread for one operation while the other does the same: \
         throughput is two over that. The first row is one thread by itself. What is awaited is \
         awaited in two tasks of a runtime of two threads.\n\n{}",
        tables::two_threads(&measured.together)
    )
}

fn scale(measured: &Measured) -> String {
    let evicted: Vec<String> =
        measured.evicted_per_request.iter().map(|count| format!("{count:.3}")).collect();
    format!(
        "{}\n{}\nEvictions for each of these requests, by the governor's own count: {}.\n\n\
         A pool that 10,000 tenants have filled to the last page refuses what fits into no \
         tenant's rest, after it has looked at every account. While one thread does that again \
         and again, another takes and gives back a page; without the storm, the first thread does \
         bare pairs of its own. Inside a guarantee nothing is taken away; beyond it each denial \
         collects the idle page, which the next request has to buy again.\n\n{}\n{}",
        tables::plain("many tenants", &measured.crowd),
        tables::plain("one victim", &measured.victims),
        evicted.join(", "),
        tables::plain("denials", &measured.denials),
        tables::plain("storm", &measured.storm),
    )
}

fn slowest(measured: &Measured) -> String {
    let tail = &measured.tail;
    format!(
        "{} threads, each with a tenant of its own, share one pool that is full of what may be \
         evicted. Each answer is timed by itself. In the first load, which the bar is about, a \
         thread keeps every eighth grant and drops the others at once: {:.3} evictions for each \
         request. In the second it keeps all. The bare pairs are under the same load.\n\n\
         Whoever is sent off its core in the middle waits until others have had theirs, whatever \
         it was doing. That happens to an operation as often as it takes long: a stretch of bare \
         pairs about as long as a request that evicts shows how much of that load's tail is the \
         system's.\n\n{}",
        tail.threads,
        tail.evicted_per_request,
        tables::slowest(tail)
    )
}

fn memory(measured: &Measured) -> String {
    format!(
        "Growth of what the process has in memory while tenants are registered and grants are \
         taken, divided by their number; and what the governor says itself.\n\n{}",
        tables::memory(&measured.memory)
    )
}

fn recorded(measured: &Measured) -> String {
    let Some(keys) = &measured.keys else {
        return "Not measured here: the recorded traces were not at hand.\n".to_string();
    };
    let [fast, finds, both] = keys.holds_at();
    let heads: Vec<&str> = heads(keys);
    let heads = match heads.as_slice() {
        [] => String::new(),
        names => format!(" Of {} only the head is played.", names.join(", ")),
    };
    format!(
        "One thread plays each trace through an empty cache: a key that is not found is put in. \
         Room for as many entries as the percentage of different keys says, each counting 1.\
         {heads} Every library as it comes: its own hasher, shards and policy unless the column \
         says otherwise. Ours is a `HashMap` from key to grant and value, a touch for each hit, a \
         request for each miss, and a handler that takes out what is evicted. The others may be \
         shared by threads; ours may be where the map stands behind a mutex. moka works off what \
         it puts aside now and then, by itself; one column makes it do so after each insert.\n\n\
         {OURS} is at least as fast as {MOKA} at {fast} of {all} points, finds at least the mean \
         of {MOKA} and {QUICK_CACHE} at {finds}, and does both at {both}. Over all points it makes \
         {speed} times the requests per second of {MOKA}.\n\n{tables}",
        all = keys.0.len(),
        speed = number(keys.to_moka().median),
        tables = tables::recorded(keys),
    )
}

fn heads(keys: &Keys) -> Vec<&'static str> {
    let mut names: Vec<&str> = keys.0.iter().filter(|p| p.is_head).map(|p| p.trace).collect();
    names.dedup();
    names
}

fn peers() -> String {
    let mut text = String::new();
    for peer in PEERS {
        let of = peer.package.map(|package| format!(" ({package} {})", version(package)));
        writeln!(text, "- **{}**{}: {}", peer.name, of.unwrap_or_default(), peer.about)
            .expect("text can be added to text");
    }
    text
}

fn method(plan: &Plan, measured: &Measured) -> String {
    format!(
        "`benches/peers/run` builds all sides with one profile, measures them in one process and \
         writes this page. `ALLOT_TRACES` names the folder of the recorded traces if it is not \
         `../shared/traces`.\n\n\
         A section is measured in {} rounds. In a round all sides take turns, each for about {} ms \
         in batches of which the median counts; before each of them and at the end the bare pair \
         is read. Where a section has two threads each has a core of its own, and the bare pair is \
         read on one thread and on two in turns, each its own line, so that a core that is not \
         free is noticed. If readings lie more than {:.0} % apart, the round was disturbed and is \
         done again, at most {} times in a section. Ratios are taken within a round; of figures \
         and ratios the median counts, and the lowest and highest are shown. Events, audit and \
         rate limit are off unless a row says otherwise.\n\n{}",
        plan.rounds,
        plan.side_ms,
        100.0 * SPREAD_MAX,
        plan.repeats_max,
        tables::noise(measured)
    )
}
