//! A configuration as the text of a file: [`parse`] reads it back to an equal one.
//!
//! ```text
//! W1  parse(write(setup)) = setup          for every setup that `parse` can deliver
//! W2  what is as by default is not written, but `capacity` and names
//! ```
//!
//! Keys stand in the order of docs/CONFIG.md, groups and tenants in their own. A size is written in
//! the largest binary unit of which it is a whole number: `"6GiB"`, `"1536MiB"`, else in bytes.

use std::fmt::{Display, Write};
use std::path::Path;

use allotment::{Isolation, Policy, Priority, RateLimit};

use super::keys::TYPE_KEYS;
use super::{
    CacheSettings, Group, ISOLATIONS, POLICIES, PRIORITIES, Pressure, Setup, Tenant, id_of, parse,
};

/// The text of the file, ending in a new line.
pub fn write(setup: &Setup) -> String {
    let mut text = Text(String::new());
    text.key("capacity", size(setup.capacity_bytes));
    text.key_if("grants_max", setup.grants_max);
    pressure(&mut text, &setup.pressure);
    cache(&mut text, &setup.cache);
    for group in &setup.groups {
        text.table("[[groups]]");
        text.key("name", quoted(&group.name));
        text.key_if("parent", name_of(&setup.groups, group.parent));
        text.key_if("guarantee", above_0(group.guarantee_bytes).map(size));
        text.key_if("limit", group.limit_bytes.map(size));
    }
    if let Some(defaults) = &setup.defaults {
        text.table("[defaults]");
        share(&mut text, &defaults.0, &setup.groups);
    }
    for tenant in &setup.tenants {
        text.table("[[tenants]]");
        text.key("name", quoted(&tenant.name));
        let id = (tenant.id != id_of(&tenant.name)).then(|| quoted(&tenant.id.to_string()));
        text.key_if("id", id);
        share(&mut text, tenant, &setup.groups);
    }
    text.0
}

/// Lines of `key = value`, in tables.
struct Text(String);

impl Text {
    fn table(&mut self, name: &str) {
        let _ = writeln!(self.0, "\n{name}");
    }

    fn key(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn key_if(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.key(key, value);
        }
    }
}

fn pressure(text: &mut Text, pressure: &Pressure) {
    let usual = Pressure::default();
    if *pressure == usual {
        return;
    }
    text.table("[pressure]");
    for (key, percent, usual) in [
        ("warning", pressure.warning_percent, usual.warning_percent),
        ("high", pressure.high_percent, usual.high_percent),
        ("critical", pressure.critical_percent, usual.critical_percent),
        ("hysteresis", pressure.hysteresis_percent, usual.hysteresis_percent),
    ] {
        text.key_if(key, (percent != usual).then_some(percent));
    }
    text.key_if("pool", (pressure.pool != usual.pool).then_some(pressure.pool));
}

fn cache(text: &mut Text, cache: &CacheSettings) {
    let usual = CacheSettings::default();
    if *cache == usual {
        return;
    }
    text.table("[cache]");
    text.key_if("limit", cache.bytes_max.map(size));
    for (key, value, usual) in [
        ("memory_percent", cache.memory_percent.into(), usual.memory_percent.into()),
        ("max_items", cache.max_items, usual.max_items),
        ("tenant_max_items", cache.tenant_max_items, usual.tenant_max_items),
        ("mimir_max_items", cache.mimir_max_items, usual.mimir_max_items),
    ] {
        text.key_if(key, (value != usual).then_some(value));
    }
    for (key, value, usual) in [
        ("memory_threshold", cache.memory_threshold, usual.memory_threshold),
        ("eviction_threshold", cache.eviction_threshold, usual.eviction_threshold),
    ] {
        text.key_if(key, (value != usual).then(|| format!("{value:?}")));
    }
    text.key_if("eviction_policy", word(&POLICIES, cache.eviction_policy, Policy::Hybrid));
}

/// What a tenant has, whoever it is.
fn share(text: &mut Text, tenant: &Tenant, groups: &[Group]) {
    text.key_if("group", name_of(groups, tenant.group));
    text.key_if("guarantee", above_0(tenant.guarantee_bytes).map(size));
    text.key_if("limit", tenant.limit_bytes.map(size));
    text.key_if("burst", tenant.burst_bytes.map(size));
    text.key_if("priority", word(&PRIORITIES, tenant.priority, Priority::Normal));
    text.key_if("isolation", word(&ISOLATIONS, tenant.isolation, Isolation::Soft));
    text.key_if("policy", word(&POLICIES, tenant.policy, Policy::Hybrid));
    let counts = TYPE_KEYS.iter().zip(tenant.grants_max);
    let counts = counts.filter_map(|(key, most)| Some(format!("{key} = {}", most?)));
    let counts = counts.collect::<Vec<_>>().join(", ");
    text.key_if("grants_max", (!counts.is_empty()).then(|| format!("{{ {counts} }}")));
    text.key_if("rate", tenant.rate.map(rate));
}

fn above_0(bytes: u64) -> Option<u64> {
    (bytes > 0).then_some(bytes)
}

fn name_of(groups: &[Group], place: Option<usize>) -> Option<String> {
    place.map(|at| quoted(&groups[at].name))
}

/// The word for a value that is not the usual one.
fn word<T: Copy + PartialEq>(words: &[(&str, T)], value: T, usual: T) -> Option<String> {
    let known = words.iter().find(|(_, other)| *other == value && value != usual);
    known.map(|(word, _)| quoted(word))
}

/// A text as TOML writes it, with what has to be escaped.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A size as people write it, in quotes if it has a unit.
pub(crate) fn size(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let whole = units.iter().find(|(_, bits)| bytes > 0 && bytes.trailing_zeros() >= *bits);
    match whole {
        Some((unit, bits)) => format!("\"{}{unit}\"", bytes >> bits),
        None => bytes.to_string(),
    }
}

fn rate(rate: RateLimit) -> String {
    written_rate(&rate_parts(rate))
}

fn written_rate((number, depth): &(String, u64)) -> String {
    let depth = if *depth > 1 { format!(", bucket_depth = {depth}") } else { String::new() };
    format!("{{ requests_per_second = {number}{depth} }}")
}

/// Requests a second, and how many at once. The file has a rate, the library an interval of whole
/// nanoseconds: the shortest rate that is read back as this interval.
pub(crate) fn rate_parts(rate: RateLimit) -> (String, u64) {
    let depth = 1 + rate.tolerance_ns / rate.interval_ns.max(1);
    let exact = 1e9 / rate.interval_ns as f64;
    // A little above is rounded up to the same interval where a little below is not.
    let near = [exact, exact.next_up(), exact.next_up().next_up()];
    let rounded = (0..=12).map(|digits| format!("{exact:.digits$}"));
    let candidates = rounded.chain(near.iter().map(f64::to_string)).map(|number| (number, depth));
    let mut candidates = candidates.filter(|parts| is_read_as(&written_rate(parts), rate));
    candidates.next().unwrap_or_else(|| (exact.to_string(), depth))
}

fn is_read_as(text: &str, rate: RateLimit) -> bool {
    let file = format!("capacity = 1\n[defaults]\nrate = {text}\n");
    let setup = parse(&file, Path::new("rate")).ok();
    setup.and_then(|setup| setup.defaults).is_some_and(|usual| usual.0.rate == Some(rate))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::Defaults;
    use super::super::keys::{BUCKET_MAX, BYTES_MAX, GRANTS_MAX};
    use super::*;
    use uuid::Uuid;

    fn read(text: &str) -> Setup {
        parse(text, Path::new("written.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Sizes around what people write, and any others.
    fn sizes(most: u64) -> impl Strategy<Value = u64> {
        let round = (0..40_u32, 1..2000_u64).prop_map(|(bits, count)| count << bits);
        prop_oneof![round, any::<u64>()].prop_map(move |bytes| bytes % most)
    }

    fn names() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z]{1,8}", "\\PC{1,12}", Just("a\"b\\c\n\t\u{7f}'".to_string())]
            .prop_map(|name| if name.trim().is_empty() { format!("{name}x") } else { name })
    }

    fn rates() -> impl Strategy<Value = Option<RateLimit>> {
        let interval_ns = prop_oneof![1..2_000_u64, 1..=1_000_000_000_000_u64];
        let rate = (interval_ns, prop_oneof![Just(1), 1..=BUCKET_MAX])
            .prop_map(|(interval_ns, depth)| RateLimit::from_interval(interval_ns, depth).unwrap());
        proptest::option::of(rate)
    }

    fn tenants(group_count: usize) -> impl Strategy<Value = Tenant> {
        let words = (
            select(PRIORITIES.map(|(_, value)| value).to_vec()),
            select(ISOLATIONS.map(|(_, value)| value).to_vec()),
            select(POLICIES.map(|(_, value)| value).to_vec()),
        );
        let counts = proptest::array::uniform4(proptest::option::of(0..=GRANTS_MAX as u32));
        let bounds = proptest::option::of((sizes(BYTES_MAX), proptest::option::of(sizes(1 << 47))));
        let id = proptest::option::of(any::<u128>());
        (names(), id, proptest::option::of(0..group_count.max(1)), bounds, words, counts, rates())
            .prop_map(move |(name, id, group, bounds, words, grants_max, rate)| {
                let limit_bytes = bounds.map(|(limit, _)| limit + 1);
                let burst = bounds.and_then(|(limit, more)| Some(limit + 1 + more?));
                Tenant {
                    id: id.map_or_else(|| id_of(&name), Uuid::from_u128),
                    name,
                    group: group.filter(|at| *at < group_count),
                    guarantee_bytes: 0,
                    limit_bytes,
                    burst_bytes: burst.map(|burst| burst.min(BYTES_MAX)),
                    priority: words.0,
                    isolation: words.1,
                    policy: words.2,
                    grants_max,
                    rate,
                }
            })
    }

    fn pressures() -> impl Strategy<Value = Pressure> {
        (1..=100_u8, 1..=100_u8, 1..=100_u8, 0..=99_u8, any::<bool>()).prop_map(
            |(a, b, c, hysteresis, pool)| {
                let mut percents = [a, b, c];
                percents.sort_unstable();
                Pressure {
                    warning_percent: percents[0],
                    high_percent: percents[1],
                    critical_percent: percents[2],
                    hysteresis_percent: hysteresis % percents[0],
                    pool,
                }
            },
        )
    }

    fn caches() -> impl Strategy<Value = CacheSettings> {
        let items = || prop_oneof![Just(1_000_u32), 1..=1_u32 << 23];
        let policy = select(POLICIES.map(|(_, value)| value).to_vec());
        let limit = proptest::option::of(1..=BYTES_MAX);
        let percents = (1..=100_u8, limit);
        (percents, items(), items(), items(), 0.01..=1.0, 0.01..=1.0, policy).prop_map(
            |(percents, max_items, tenant_max_items, mimir_max_items, a, b, policy)| {
                CacheSettings {
                    memory_percent: percents.0,
                    bytes_max: percents.1,
                    max_items,
                    tenant_max_items,
                    mimir_max_items,
                    memory_threshold: f64::min(a, b),
                    eviction_threshold: f64::max(a, b),
                    eviction_policy: policy,
                }
            },
        )
    }

    /// Two levels of groups, parents first, each with a guarantee that the one above has room for.
    fn groups(count: usize, capacity_bytes: u64) -> Vec<Group> {
        let guarantee_bytes = capacity_bytes / 4;
        let group = |at: usize| Group {
            name: format!("group {at}"),
            parent: (at > 0).then_some(0),
            guarantee_bytes: if at == 0 { guarantee_bytes } else { guarantee_bytes / 8 },
            limit_bytes: (at % 2 == 1).then_some(guarantee_bytes + 1),
        };
        (0..count).map(group).collect()
    }

    fn setups() -> impl Strategy<Value = Setup> {
        let grants_max = proptest::option::of(1..=GRANTS_MAX as u32);
        let capacity = sizes(BYTES_MAX).prop_map(|bytes| bytes + 1);
        (capacity, grants_max, pressures(), caches(), 0..4_usize).prop_flat_map(
            |(capacity_bytes, grants_max, pressure, cache, group_count)| {
                let tenants = proptest::collection::vec(tenants(group_count), 0..5);
                let defaults = proptest::option::of(tenants_without_name(group_count));
                (tenants, defaults).prop_map(move |(mut tenants, defaults)| {
                    for (at, tenant) in tenants.iter_mut().enumerate() {
                        let derived = tenant.id == id_of(&tenant.name);
                        tenant.name.push_str(&at.to_string());
                        if derived {
                            tenant.id = id_of(&tenant.name);
                        }
                        if tenant.group.is_none() {
                            let room = capacity_bytes / 16;
                            tenant.guarantee_bytes = tenant.limit_bytes.unwrap_or(room).min(room);
                        }
                    }
                    let groups = groups(group_count, capacity_bytes);
                    let (pressure, cache) = (pressure.clone(), cache.clone());
                    Setup { capacity_bytes, grants_max, pressure, cache, groups, tenants, defaults }
                })
            },
        )
    }

    fn tenants_without_name(group_count: usize) -> impl Strategy<Value = Defaults> {
        tenants(group_count)
            .prop_map(|usual| Defaults(Tenant { name: String::new(), id: Uuid::nil(), ..usual }))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(setup in setups()) {
            let text = write(&setup);
            prop_assert_eq!(read(&text), setup, "{}", text);
        }
    }

    #[test]
    fn sizes_are_written_as_people_do() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "\"1KiB\""),
            (6 << 30, "\"6GiB\""),
            (3 << 29, "\"1536MiB\""),
            ((6 << 30) + 1, "6442450945"),
            (2 << 40, "\"2TiB\""),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn only_what_differs_is_written() {
        let text = "capacity = \"24GiB\"\n\n[pressure]\nhigh = 85\n\n[[groups]]\nname = \"g\"\n\n\
            [defaults]\nlimit = \"2GiB\"\n\n\
            [[tenants]]\nname = \"a\"\n\n\
            [[tenants]]\nname = \"b\"\ngroup = \"g\"\nlimit = \"6GiB\"\npriority = \"low\"\n\
            grants_max = { cache = 7 }\nrate = { requests_per_second = 12.5 }\n";
        assert_eq!(write(&read(text)), text);
    }
}
