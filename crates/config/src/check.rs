//! What must hold between the parts of a configuration: names are unique, groups exist and do not
//! contain themselves, floors fit under ceilings, and guarantees add up to what is there.

use allotment::{Isolation, Policy, Priority, RateLimit};
use uuid::Uuid;

use super::fault::Faults;
use super::keys::{TOP, TYPE_KEYS};
use super::reader::{Reader, Whole, suggestion};
use super::{
    Defaults, Group, ISOLATIONS, POLICIES, PRIORITIES, Pressure, Setup, Tenant, cache, id_of,
};
use toml::de::DeTable;

/// Groups may stand in groups this deep; the tenant is the level below.
const GROUP_DEPTH_MAX: usize = 5;
/// What is shared of the machine's memory where nothing is said, in percent.
pub const SHARED_PERCENT: u64 = 80;

/// The groups, every parent before its children, beside each the place of its table, and whether
/// they can be relied on.
struct Groups {
    list: Vec<Group>,
    places: Vec<usize>,
    sound: bool,
}

/// What a document says on a machine of so much memory. What is wrong goes to `faults`; what is
/// answered then is of no use.
pub fn setup(document: &DeTable<'_>, memory_bytes: Option<u64>, faults: &Faults) -> Setup {
    let top = Reader::new(document, 0..0, &TOP, faults);
    let capacity = capacity(&top, memory_bytes);
    // Where the capacity is unknown, so is every share of it; that is one fault, not many.
    let shared_bytes = capacity.unwrap_or(u64::MAX >> 16);
    let (cache, share_of) = (cache::read(&top, shared_bytes), Some(shared_bytes));
    let whole = Whole { share_of, auto: memory_bytes.map(|bytes| cache.limit_bytes(bytes)) };
    let group_readers = top.tables("groups");
    let tenant_readers = top.tables("tenants");
    let groups = groups(&group_readers, whole, faults);
    let tenants = tenants(&tenant_readers, &groups.list, whole);
    let setup = Setup {
        capacity_bytes: capacity.unwrap_or(1),
        grants_max: top.number("grants_max").map(|most| most as u32),
        pressure: pressure(&top),
        cache,
        defaults: defaults(&top, &groups.list, whole),
        groups: groups.list,
        tenants,
    };
    if capacity.is_some() && groups.sound {
        guarantees(&setup, &groups.places, &tenant_readers, faults);
    }
    setup
}

/// What is shared of so much memory where nothing is said.
pub fn shared_bytes(memory_bytes: u64) -> u64 {
    memory_bytes / 100 * SHARED_PERCENT
}

fn capacity(top: &Reader<'_>, memory_bytes: Option<u64>) -> Option<u64> {
    let auto = memory_bytes.map(|bytes| shared_bytes(bytes).max(1));
    if top.get("capacity").is_some() {
        return top.size("capacity", Whole { share_of: memory_bytes, auto });
    }
    if auto.is_none() {
        let message = "there is no `capacity`; write for example capacity = \"24GiB\"";
        top.faults.note(None, message);
    }
    auto
}

fn pressure(top: &Reader<'_>) -> Pressure {
    let mut pressure = Pressure::default();
    let Some(reader) = top.table("pressure") else { return pressure };
    let before = reader.faults.count();
    for (key, place) in [
        ("warning", &mut pressure.warning_percent),
        ("high", &mut pressure.high_percent),
        ("critical", &mut pressure.critical_percent),
        ("hysteresis", &mut pressure.hysteresis_percent),
    ] {
        if let Some(percent) = reader.number(key) {
            *place = percent as u8;
        }
    }
    pressure.pool = reader.flag("pool").unwrap_or(pressure.pool);
    if reader.faults.count() > before {
        return pressure;
    }
    let Pressure {
        warning_percent: warning, high_percent: high, critical_percent: critical, ..
    } = pressure;
    if warning > high || high > critical {
        let message =
            format!("warning {warning}, high {high}, critical {critical}: they must not fall");
        reader.faults.at(reader.span.clone(), message);
    }
    if pressure.hysteresis_percent >= warning {
        let message = format!(
            "`hysteresis` is {}; it must be below `warning`, which is {warning}",
            pressure.hysteresis_percent
        );
        reader.complain("hysteresis", message);
    }
    pressure
}

fn groups(readers: &[Reader<'_>], whole: Whole, faults: &Faults) -> Groups {
    let before = faults.count();
    let names = unique_names(readers, "group");
    let parents: Vec<_> =
        readers.iter().map(|reader| member_of(reader, "parent", &names)).collect();
    let order = parents_first(readers, &names, &parents);
    let mut list = Vec::with_capacity(order.len());
    for &at in &order {
        let reader = &readers[at];
        let guarantee_bytes = reader.size("guarantee", whole).unwrap_or(0);
        let limit_bytes = reader.size("limit", whole);
        floor_under_ceiling(reader, &names[at], guarantee_bytes, limit_bytes);
        let parent = parents[at].and_then(|parent| order.iter().position(|&o| o == parent));
        list.push(Group { name: names[at].clone(), parent, guarantee_bytes, limit_bytes });
    }
    let places = order.iter().map(|&at| readers[at].place("guarantee").start).collect();
    Groups { list, places, sound: faults.count() == before }
}

/// The tenants, in the order of the file.
fn tenants(readers: &[Reader<'_>], groups: &[Group], whole: Whole) -> Vec<Tenant> {
    let names = unique_names(readers, "tenant");
    let groups: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let mut tenants: Vec<Tenant> = Vec::with_capacity(readers.len());
    let mut ids = std::collections::HashMap::with_capacity(readers.len());
    for (reader, name) in readers.iter().zip(names) {
        let tenant = tenant(reader, name, &groups, whole);
        if let Some(other) = ids.insert(tenant.id, tenants.len()) {
            let other: &Tenant = &tenants[other];
            // Of two without a name the names are told already.
            if other.name != tenant.name {
                let message = format!(
                    "tenants `{}` and `{}` have the same id {}",
                    other.name, tenant.name, tenant.id
                );
                reader.complain("id", message);
            }
        }
        tenants.push(tenant);
    }
    tenants
}

/// What tenants have that the file does not name. How many will come is not known, so nothing can
/// be set aside for each.
fn defaults(top: &Reader<'_>, groups: &[Group], whole: Whole) -> Option<Defaults> {
    let reader = top.table("defaults")?;
    let groups: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let tenant = share(&reader, "[defaults]".to_string(), Uuid::nil(), &groups, whole);
    if tenant.guarantee_bytes > 0 {
        let message = format!(
            "`guarantee` under [defaults] is {} bytes; it must be 0, as nobody knows how many \
             tenants will come; name under [[tenants]] those that are to have one",
            tenant.guarantee_bytes
        );
        reader.complain("guarantee", message);
    }
    Some(Defaults(Tenant { name: String::new(), ..tenant }))
}

fn tenant(reader: &Reader<'_>, name: String, groups: &[String], whole: Whole) -> Tenant {
    let id = identity(reader, &name);
    share(reader, name, id, groups, whole)
}

/// What a tenant has, whoever it is.
fn share(reader: &Reader<'_>, name: String, id: Uuid, groups: &[String], whole: Whole) -> Tenant {
    let group = member_of(reader, "group", groups);
    let guarantee_bytes = reader.size("guarantee", whole).unwrap_or(0);
    let limit_bytes = reader.size("limit", whole);
    let burst_bytes = reader.size("burst", whole);
    floor_under_ceiling(reader, &name, guarantee_bytes, limit_bytes);
    match (burst_bytes, limit_bytes) {
        (Some(_), None) if reader.get("limit").is_none() => {
            let message = format!("`{name}` has a `burst` but no `limit` for it to exceed");
            reader.complain("burst", message);
        }
        (Some(burst), Some(limit)) if burst < limit => {
            let message =
                format!("`{name}` has a burst of {burst} bytes, below its limit of {limit} bytes");
            reader.complain("burst", message);
        }
        _ => {}
    }
    Tenant {
        id,
        group,
        guarantee_bytes,
        limit_bytes,
        burst_bytes,
        priority: reader.choice("priority", &PRIORITIES).unwrap_or(Priority::Normal),
        isolation: reader.choice("isolation", &ISOLATIONS).unwrap_or(Isolation::Soft),
        policy: reader.choice("policy", &POLICIES).unwrap_or(Policy::Hybrid),
        grants_max: grants_max(reader),
        rate: rate(reader),
        name,
    }
}

fn identity(reader: &Reader<'_>, name: &str) -> Uuid {
    let Some(text) = reader.text("id") else { return id_of(name) };
    Uuid::parse_str(&text).unwrap_or_else(|_| {
        let message = format!("`id` is `{text}`, which is not a UUID; leave it out to derive one");
        reader.complain("id", message);
        id_of(name)
    })
}

fn grants_max(reader: &Reader<'_>) -> [Option<u32>; 4] {
    let Some(table) = reader.table("grants_max") else { return [None; 4] };
    TYPE_KEYS.map(|key| table.number(key).map(|most| most as u32))
}

fn rate(reader: &Reader<'_>) -> Option<RateLimit> {
    let table = reader.table("rate")?;
    let bucket_depth = table.number("bucket_depth").unwrap_or(1);
    let Some(requests_per_second) = table.real("requests_per_second") else {
        if table.get("requests_per_second").is_none() {
            table.faults.at(table.span.clone(), "`rate` needs `requests_per_second`");
        }
        return None;
    };
    // Rounded up, so that the rate kept is never above the one asked for.
    let interval_ns = (1e9 / requests_per_second).ceil() as u64;
    match RateLimit::from_interval(interval_ns, bucket_depth) {
        Ok(rate) => Some(rate),
        Err(error) => {
            table.faults.at(table.span.clone(), format!("`rate`: {error}"));
            None
        }
    }
}

/// Guarantees of the members of each group, and of all that stand in none, fit into what is above
/// them. `group_places` and `tenant_readers` say where to point.
fn guarantees(
    setup: &Setup,
    group_places: &[usize],
    tenant_readers: &[Reader<'_>],
    faults: &Faults,
) {
    let sum = |above: Option<usize>| -> u128 {
        let groups = setup.groups.iter().filter(|group| group.parent == above);
        let tenants = setup.tenants.iter().zip(tenant_readers).filter(|(tenant, reader)| {
            // One whose group is not there counts nowhere.
            tenant.group == above && (tenant.group.is_some() || reader.get("group").is_none())
        });
        groups.map(|group| u128::from(group.guarantee_bytes)).sum::<u128>()
            + tenants.map(|(tenant, _)| u128::from(tenant.guarantee_bytes)).sum::<u128>()
    };
    for (at, group) in setup.groups.iter().enumerate() {
        let promised = sum(Some(at));
        if promised > u128::from(group.guarantee_bytes) {
            let message = format!(
                "the members of group `{}` are guaranteed {promised} bytes together, but the \
                 group itself only {}; raise the group's guarantee or lower theirs",
                group.name, group.guarantee_bytes
            );
            faults.note(Some(group_places[at]), message);
        }
    }
    let promised = sum(None);
    if promised > u128::from(setup.capacity_bytes) {
        let largest = setup
            .tenants
            .iter()
            .zip(tenant_readers)
            .filter(|(tenant, _)| tenant.group.is_none())
            .max_by_key(|(tenant, _)| tenant.guarantee_bytes);
        let message = format!(
            "the guarantees add up to {promised} bytes, {} more than the capacity of {}; lower one",
            promised - u128::from(setup.capacity_bytes),
            setup.capacity_bytes
        );
        faults.note(largest.map(|(_, reader)| reader.place("guarantee").start), message);
    }
}

/// Names, those that are missing as nothing.
fn unique_names(readers: &[Reader<'_>], kind: &str) -> Vec<String> {
    let mut seen = std::collections::HashSet::with_capacity(readers.len());
    let named = |reader: &Reader<'_>| {
        let name = reader.name("name").unwrap_or_default();
        if !name.is_empty() && !seen.insert(name.clone()) {
            reader.complain("name", format!("there are two {kind}s named `{name}`; rename one"));
        }
        name
    };
    readers.iter().map(named).collect()
}

/// The place of the named group, if a group is named.
fn member_of(reader: &Reader<'_>, key: &str, groups: &[String]) -> Option<usize> {
    let wanted = reader.text(key)?;
    let found = groups.iter().position(|name| *name == wanted);
    if found.is_none() {
        let known: Vec<&str> = groups.iter().map(String::as_str).collect();
        let hint = suggestion(&wanted, &known);
        let message = format!("`{key}` names the group `{wanted}`, which is not there{hint}");
        reader.complain(key, message);
    }
    found
}

/// Places of groups in an order in which every parent comes before its children; groups that
/// contain themselves are left out.
fn parents_first(
    readers: &[Reader<'_>],
    names: &[String],
    parents: &[Option<usize>],
) -> Vec<usize> {
    let mut depths = Vec::with_capacity(parents.len());
    for (at, reader) in readers.iter().enumerate() {
        let mut depth = 1;
        let mut above = parents[at];
        while let Some(parent) = above.filter(|_| depth <= parents.len()) {
            depth += 1;
            above = parents[parent];
        }
        if above.is_some() {
            let message = format!("group `{}` contains itself; break the circle", names[at]);
            reader.complain("parent", message);
            depth = usize::MAX;
        } else if depth > GROUP_DEPTH_MAX {
            let message = format!(
                "group `{}` stands {depth} deep; groups may stand {GROUP_DEPTH_MAX} deep",
                names[at]
            );
            reader.complain("parent", message);
        }
        depths.push(depth);
    }
    let mut order: Vec<usize> = (0..parents.len()).filter(|&at| depths[at] < usize::MAX).collect();
    order.sort_by_key(|&at| depths[at]);
    order
}

fn floor_under_ceiling(
    reader: &Reader<'_>,
    name: &str,
    guarantee_bytes: u64,
    limit_bytes: Option<u64>,
) {
    if let Some(limit) = limit_bytes.filter(|limit| guarantee_bytes > *limit) {
        let message = format!(
            "`{name}` is guaranteed {guarantee_bytes} bytes, above its limit of {limit} bytes"
        );
        reader.complain("guarantee", message);
    }
}
