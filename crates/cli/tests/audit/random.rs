//! Reports of random logs against a naive computation: all changes are kept, sorted by their time
//! and swept once for each row and period.

use std::collections::BTreeMap;

use allotment::audit::{Body, JournalOptions, RECORD_WORDS};
use allotment::{Event, EventKind};
use proptest::prelude::*;
use serde_json::Value;

use super::command::audit;
use super::scribe::{
    SECOND_NS, START_S, Scratch, Scribe, group_preamble, handle, options, tenant_preamble,
};

const HOUR_NS: i128 = 3_600_000_000_000;
const TENANTS: u32 = 4;
/// Account 20 is a group, account 21 one in it.
const GROUPS: [(u32, &str, Option<u32>); 2] = [(20, "g", None), (21, "h", Some(20))];

/// Numbers that look random and are the same in every run (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % count
    }
}

/// Something that happened, as the log has it.
#[derive(Clone, Debug)]
struct Fact {
    at_ns: i128,
    bytes: i128,
    tenant: u64,
    kind: u8,
    groups: Vec<&'static str>,
    event: Option<EventKind>,
    /// Only because the log ends.
    is_end: bool,
}

#[derive(Clone, Debug)]
struct Live {
    account: u32,
    kind: u8,
    grant: u64,
    bytes: u64,
    since_ns: u64,
}

/// Who has an account.
#[derive(Clone, Copy, Debug)]
struct Seat {
    tenant: u64,
    generation: u32,
    group: Option<u32>,
}

/// A log, and all that is true of it.
struct World<'s> {
    scratch: &'s Scratch,
    chance: Chance,
    keeps_one: bool,
    facts: Vec<Fact>,
    end_ns: i128,
    opened_ns: i128,
}

impl World<'_> {
    fn write(&mut self) {
        let mut unix_ns = START_S * SECOND_NS;
        for _ in 0..1 + self.chance.below(3) {
            // Only the last sitting ends with the log.
            self.facts.iter_mut().for_each(|fact| fact.is_end = false);
            self.opened_ns = 0;
            self.sitting(unix_ns);
            // The next begins later, or on a clock that was set back.
            let late = self.chance.below(2 * 3_600) * SECOND_NS;
            unix_ns = self.end_ns as u64 + late - 1_800 * SECOND_NS;
        }
    }

    fn sitting(&mut self, unix_ns: u64) {
        let keep_segments_max = self.keeps_one.then_some(1);
        let options = JournalOptions { keep_segments_max, ..options() };
        let mut scribe = Scribe::open_at(self.scratch, options, unix_ns);
        for (account, name, above) in GROUPS {
            scribe.group(account, name, above);
        }
        let mut seats = BTreeMap::new();
        let mut live: Vec<Live> = Vec::new();
        for account in 1..=TENANTS {
            self.sit_down(&mut scribe, &mut seats, account);
        }
        for _ in 0..self.chance.below(120) {
            match self.chance.below(12) {
                0 => scribe.wait_s(self.chance.below(2_400)),
                1 => self.rotate(&mut scribe, &seats, &live),
                2 => {
                    let account = 1 + self.chance.below(TENANTS.into()) as u32;
                    if live.iter().all(|grant| grant.account != account) {
                        self.sit_down(&mut scribe, &mut seats, account);
                    }
                }
                _ => self.event(&mut scribe, &seats, &mut live),
            }
            scribe.clock_ns += self.chance.below(3 * SECOND_NS);
        }
        self.end_ns = i128::from(unix_ns + scribe.clock_ns);
        for grant in live {
            let bytes = -i128::from(grant.bytes);
            let fact = self.fact(&seats, &grant, self.end_ns, bytes, None);
            self.facts.push(Fact { is_end: true, ..fact });
        }
        scribe.seal();
    }

    fn sit_down(&mut self, scribe: &mut Scribe, seats: &mut BTreeMap<u32, Seat>, account: u32) {
        let tenant = loop {
            let tenant = 1 + self.chance.below(7);
            if seats.values().all(|seat: &Seat| seat.tenant != tenant) {
                break tenant;
            }
        };
        let generation = seats.get(&account).map_or(1, |seat| seat.generation + 1);
        let group = [None, Some(20), Some(21)][self.chance.below(3) as usize];
        scribe.tenant(account, generation, tenant.into(), &format!("t{tenant}"), group);
        seats.insert(account, Seat { tenant, generation, group });
    }

    fn fact(
        &self,
        seats: &BTreeMap<u32, Seat>,
        of: &Live,
        at_ns: i128,
        bytes: i128,
        event: Option<EventKind>,
    ) -> Fact {
        let Seat { tenant, group, .. } = seats[&of.account];
        let groups = match group {
            None => vec![],
            Some(20) => vec!["g"],
            Some(_) => vec!["g", "g/h"],
        };
        Fact { at_ns, bytes, tenant, kind: of.kind, groups, event, is_end: false }
    }

    /// A grant, a growth, a shrinking, an end or a denial: told a moment after it happened.
    fn event(&mut self, scribe: &mut Scribe, seats: &BTreeMap<u32, Seat>, live: &mut Vec<Live>) {
        let now_ns = scribe.clock_ns;
        let at_ns = now_ns.saturating_sub(self.chance.below(SECOND_NS));
        let bytes = 1 + self.chance.below(1 << 30);
        let old = (!live.is_empty()).then(|| self.chance.below(live.len() as u64) as usize);
        let (kind, of, bytes) = match (self.chance.below(5), old) {
            (0 | 1, _) | (_, None) => {
                let account = 1 + self.chance.below(TENANTS.into()) as u32;
                let kind = self.chance.below(4) as u8;
                let grant = handle(self.facts.len() as u32 + 1, 1);
                let grant = Live { account, kind, grant, bytes, since_ns: at_ns };
                let is_denied = self.chance.below(4) == 0;
                if is_denied {
                    (EventKind::Denied, grant, bytes)
                } else {
                    live.push(grant.clone());
                    (EventKind::Granted, grant, bytes)
                }
            }
            (2, Some(old)) => {
                live[old].bytes += bytes;
                (EventKind::Grown, live[old].clone(), bytes)
            }
            (3, Some(old)) if live[old].bytes > 1 => {
                let bytes = 1 + self.chance.below(live[old].bytes - 1);
                live[old].bytes -= bytes;
                (EventKind::Shrunk, live[old].clone(), bytes)
            }
            (_, Some(old)) => {
                use EventKind::{Evicted, Released, ReservationExpired};
                let how = [Evicted, Released, ReservationExpired][self.chance.below(3) as usize];
                let grant = live.swap_remove(old);
                let bytes = grant.bytes;
                (how, grant, bytes)
            }
        };
        // What happens to one grant happens in order.
        let at_ns = at_ns.max(of.since_ns);
        if let Some(grant) = live.iter_mut().find(|grant| grant.grant == of.grant) {
            grant.since_ns = at_ns;
        }
        let used_bytes = live.iter().filter(|l| l.account == of.account).map(|l| l.bytes).sum();
        let (account, allocation_type, grant) = (of.account, of.kind, of.grant);
        let event = Event::new(kind, at_ns);
        scribe.event(Event { account, allocation_type, grant, bytes, used_bytes, ..event });
        let change = match kind {
            EventKind::Denied => 0,
            EventKind::Granted | EventKind::Grown => i128::from(bytes),
            _ => -i128::from(bytes),
        };
        let at_ns = i128::from(scribe.start_unix_ns + at_ns).max(self.opened_ns);
        let fact = self.fact(seats, &Live { bytes, ..of }, at_ns, change, Some(kind));
        self.facts.push(fact);
    }

    /// The next segment begins with what its reader has to know; older ones may go.
    fn rotate(&mut self, scribe: &mut Scribe, seats: &BTreeMap<u32, Seat>, live: &[Live]) {
        let mut cells: BTreeMap<(u32, u8), (u64, u64)> = BTreeMap::new();
        for grant in live {
            let cell = cells.entry((grant.account, grant.kind)).or_default();
            *cell = (cell.0 + grant.bytes, cell.1 + 1);
        }
        let clock_ns = scribe.clock_ns;
        let balance = |(&(account, allocation_type), &(bytes, grants)): (&_, &_)| Body::Balance {
            clock_ns,
            account,
            allocation_type,
            bytes,
            grants,
        };
        let mut preamble = Vec::new();
        for (&account, seat) in seats {
            let name = format!("t{}", seat.tenant);
            preamble.extend(tenant_preamble(
                account,
                seat.generation,
                seat.tenant,
                &name,
                seat.group,
            ));
        }
        for (account, name, above) in GROUPS {
            preamble.extend(group_preamble(account, name, above));
        }
        preamble.extend(cells.iter().map(balance));
        let now = scribe.moment();
        scribe.journal.rotate(now, preamble).unwrap();
        if self.keeps_one {
            self.facts.clear();
            let at_ns = i128::from(now.unix_ns);
            // What is told later of an earlier moment is in these balances.
            self.opened_ns = if live.is_empty() { 0 } else { at_ns };
            for grant in live {
                let fact = self.fact(seats, grant, at_ns, grant.bytes.into(), None);
                self.facts.push(fact);
            }
        }
    }
}

/// What a row should say: byte-nanoseconds, peak, held, granted, denied, evicted, their bytes.
fn expected(facts: &[Fact], from_ns: i128, to_ns: i128) -> [i128; 7] {
    let within = |fact: &&Fact| (from_ns..to_ns).contains(&fact.at_ns);
    let before: i128 = facts.iter().filter(|f| f.at_ns < from_ns).map(|f| f.bytes).sum();
    let (mut told, mut peak) = (0, before);
    for fact in facts {
        told += fact.bytes;
        if within(&fact) && fact.bytes != 0 {
            peak = peak.max(told);
        }
    }
    let mut sorted: Vec<(i128, i128)> = facts.iter().map(|f| (f.at_ns, f.bytes)).collect();
    sorted.sort_by_key(|(at, _)| *at);
    let (mut held, mut since, mut byte_ns) = (0, from_ns, 0);
    for (at, bytes) in sorted {
        let at = at.clamp(from_ns, to_ns);
        byte_ns += held * (at - since);
        (held, since) = (held + bytes, at);
    }
    byte_ns += held * (to_ns - since);
    let is_held = |fact: &&Fact| fact.at_ns < to_ns && !(fact.is_end && fact.at_ns >= from_ns);
    let held = facts.iter().filter(is_held).map(|fact| fact.bytes).sum();
    let count = |kind| {
        let of_kind = facts.iter().filter(within).filter(|fact| fact.event == Some(kind));
        of_kind.fold((0, 0), |(count, bytes), fact| (count + 1, bytes - fact.bytes))
    };
    let (evicted, evicted_bytes) = count(EventKind::Evicted);
    let (granted, denied) = (count(EventKind::Granted).0, count(EventKind::Denied).0);
    [byte_ns, peak, held, granted, denied, evicted, evicted_bytes]
}

fn said(row: &Value) -> [i128; 7] {
    let byte_ns = row["byte_seconds"].as_str().unwrap().replace('.', "").parse().unwrap();
    let number = |key: &str| row[key].as_i64().unwrap().into();
    let keys = ["peak_bytes", "held_bytes", "granted", "denied", "evicted", "evicted_bytes"];
    let [peak, held, granted, denied, evicted, evicted_bytes] = keys.map(number);
    [byte_ns, peak, held, granted, denied, evicted, evicted_bytes]
}

/// The facts that a row is about.
fn facts_of(facts: &[Fact], row: &Value) -> Vec<Fact> {
    let name = row["name"].as_str().unwrap();
    let names = ["model-load", "inference", "cache", "background"];
    let kind = row["type"].as_str().map(|kind| names.iter().position(|n| *n == kind).unwrap());
    let is_about = |fact: &&Fact| match row["scope"].as_str().unwrap() {
        "total" => true,
        "group" => fact.groups.contains(&name),
        "tenant" => format!("t{}", fact.tenant) == name,
        _ => format!("t{}", fact.tenant) == name && Some(usize::from(fact.kind)) == kind,
    };
    facts.iter().filter(is_about).cloned().collect()
}

/// Checks every row of a report; answers how many byte-nanoseconds its totals have.
fn check(world: &World<'_>, options: &str, period_ns: Option<(i128, i128)>) -> i128 {
    let folder = world.scratch.log();
    let report = audit("report", &folder, &format!("{options} --json")).json(0);
    assert_eq!(
        (&report["adds_up"], &report["is_exact"]),
        (&true.into(), &true.into()),
        "{options}"
    );
    let mut total = 0;
    for period in report["periods"].as_array().unwrap() {
        let hour = || {
            let from: jiff::Timestamp = period["from"].as_str().unwrap().parse().unwrap();
            (from.as_nanosecond(), from.as_nanosecond() + HOUR_NS)
        };
        let (from_ns, to_ns) = period_ns.unwrap_or_else(hour);
        for row in period["rows"].as_array().unwrap() {
            let facts = facts_of(&world.facts, row);
            let expected = expected(&facts, from_ns, to_ns);
            assert_eq!(said(row), expected, "{options}, {}: {row}", period["from"]);
        }
        let rows = period["rows"].as_array().unwrap();
        total += said(rows.last().unwrap())[0];
        let types = rows.iter().filter(|row| row["scope"] == "type");
        assert_eq!(types.map(|row| said(row)[0]).sum::<i128>(), said(rows.last().unwrap())[0]);
    }
    total
}

/// Whoever runs more sets PROPTEST_CASES.
fn config() -> ProptestConfig {
    let default = match std::env::var_os("PROPTEST_CASES") {
        None => ProptestConfig::with_cases(40),
        Some(_) => ProptestConfig::default(),
    };
    ProptestConfig { failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn reports_are_what_a_naive_computation_has(seed: u64, keeps_one: bool) {
        let scratch = Scratch::new();
        let mut world = World {
            scratch: &scratch,
            chance: Chance(seed),
            keeps_one,
            facts: Vec::new(),
            end_ns: 0,
            opened_ns: 0,
        };
        world.write();
        let total = check(&world, "", Some((0, u64::MAX.into())));
        prop_assert_eq!(check(&world, "--period hour", None), total);
        // From a moment within to another, which may be after the end.
        let from = world.end_ns - i128::from(world.chance.below(7_200 * SECOND_NS));
        let to = from + 1 + i128::from(world.chance.below(7_200 * SECOND_NS));
        let time = |ns| jiff::Timestamp::from_nanosecond(ns).unwrap();
        let period = format!("--period {}/{}", time(from), time(to));
        check(&world, &period, Some((from, to)));
    }
    #[test]
    fn whatever_a_log_says_it_is_read_to_its_end(seed: u64) {
        let scratch = Scratch::new();
        let mut scribe = Scribe::open(&scratch, options());
        let mut chance = Chance(seed);
        for (account, name, above) in [(1, "a", Some(2)), (2, "b", Some(1)), (3, "c", Some(3))] {
            scribe.group(account, name, above);
        }
        for _ in 0..chance.below(200) {
            let mut words = [(); RECORD_WORDS].map(|()| {
                let bits = 1 + chance.below(64);
                chance.below(u64::MAX) >> (64 - bits)
            });
            let kinds = [1 + chance.below(32), 128 + chance.below(12)];
            let kind = kinds[chance.below(2) as usize];
            words[1] = chance.below(6) << 32 | chance.below(6) << 24 | kind;
            words[6] = chance.below(12);
            // Some are for the journal alone.
            scribe.journal.append(&words).ok();
        }
        scribe.seal();
        let looks = [
            ("show", "--calls"),
            ("show", "--json"),
            ("report", ""),
            ("report", "--json"),
            ("report", "--csv"),
        ];
        for (verb, options) in looks {
            let answer = audit(verb, &scratch.log(), options);
            prop_assert!(answer.code <= 1, "{verb} {options}: {}", answer.complaint);
        }
    }
}
