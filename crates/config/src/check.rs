//! What must hold between the parts of a configuration: names are unique, groups exist and do not
//! contain themselves, floors fit under ceilings, and guarantees add up to what is there.

use uuid::Uuid;

use super::reader::{Fault, Reader, suggestion};
use super::{
    BUCKET_MAX, BYTES_MAX, Defaults, GRANTS_MAX, Group, ISOLATIONS, POLICIES, PRIORITIES,
    RATE_KEYS, RATES, Setup, TYPE_KEYS, Tenant, default_keys, id_of,
};
use allotment::{Isolation, Policy, Priority, RateLimit};

/// Groups may stand in groups this deep; the tenant is the level below.
const GROUP_DEPTH_MAX: usize = 5;

/// The groups, every parent before its children, and beside each the place of its table.
pub fn groups(
    readers: &[Reader<'_>],
    capacity_bytes: u64,
) -> Result<(Vec<Group>, Vec<usize>), Fault> {
    let names = unique_names(readers, "group")?;
    let parents = readers
        .iter()
        .map(|reader| member_of(reader, "parent", &names))
        .collect::<Result<Vec<_>, Fault>>()?;
    let order = parents_first(readers, &names, &parents)?;
    let mut groups = Vec::with_capacity(order.len());
    for &at in &order {
        let reader = &readers[at];
        let guarantee_bytes = size(reader, "guarantee", capacity_bytes)?.unwrap_or(0);
        let limit_bytes = size(reader, "limit", capacity_bytes)?;
        floor_under_ceiling(reader, &names[at], guarantee_bytes, limit_bytes)?;
        let parent = parents[at].and_then(|parent| order.iter().position(|&o| o == parent));
        groups.push(Group { name: names[at].clone(), parent, guarantee_bytes, limit_bytes });
    }
    Ok((groups, order.iter().map(|&at| readers[at].place("guarantee").start).collect()))
}

/// The tenants, in the order of the file.
pub fn tenants(
    readers: &[Reader<'_>],
    groups: &[Group],
    capacity_bytes: u64,
) -> Result<Vec<Tenant>, Fault> {
    let names = unique_names(readers, "tenant")?;
    let groups: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let mut tenants: Vec<Tenant> = Vec::with_capacity(readers.len());
    for (reader, name) in readers.iter().zip(names) {
        let tenant = tenant(reader, name, &groups, capacity_bytes)?;
        if let Some(other) = tenants.iter().find(|other| other.id == tenant.id) {
            let message = format!(
                "tenants `{}` and `{}` have the same id {}",
                other.name, tenant.name, tenant.id
            );
            return Err(Fault::at(reader.place("id"), message));
        }
        tenants.push(tenant);
    }
    Ok(tenants)
}

/// What tenants have that the file does not name. How many will come is not known, so nothing can
/// be set aside for each.
pub fn defaults(
    top: &Reader<'_>,
    groups: &[Group],
    capacity_bytes: u64,
) -> Result<Option<Defaults>, Fault> {
    let Some(reader) = top.table("defaults", "[defaults]", default_keys())? else {
        return Ok(None);
    };
    let groups: Vec<String> = groups.iter().map(|group| group.name.clone()).collect();
    let tenant = tenant(&reader, "[defaults]".to_string(), &groups, capacity_bytes)?;
    if tenant.guarantee_bytes > 0 {
        let message = format!(
            "`guarantee` under [defaults] is {} bytes; it must be 0, as nobody knows how many \
             tenants will come; name under [[tenants]] those that are to have one",
            tenant.guarantee_bytes
        );
        return Err(Fault::at(reader.place("guarantee"), message));
    }
    Ok(Some(Defaults(Tenant { name: String::new(), id: Uuid::nil(), ..tenant })))
}

fn tenant(
    reader: &Reader<'_>,
    name: String,
    groups: &[String],
    capacity_bytes: u64,
) -> Result<Tenant, Fault> {
    let guarantee_bytes = size(reader, "guarantee", capacity_bytes)?.unwrap_or(0);
    let limit_bytes = size(reader, "limit", capacity_bytes)?;
    let burst_bytes = size(reader, "burst", capacity_bytes)?;
    floor_under_ceiling(reader, &name, guarantee_bytes, limit_bytes)?;
    match (burst_bytes, limit_bytes) {
        (Some(_), None) => {
            let message = format!("`{name}` has a `burst` but no `limit` for it to exceed");
            return Err(Fault::at(reader.place("burst"), message));
        }
        (Some(burst), Some(limit)) if burst < limit => {
            let message =
                format!("`{name}` has a burst of {burst} bytes, below its limit of {limit} bytes");
            return Err(Fault::at(reader.place("burst"), message));
        }
        _ => {}
    }
    Ok(Tenant {
        id: identity(reader, &name)?,
        group: member_of(reader, "group", groups)?,
        guarantee_bytes,
        limit_bytes,
        burst_bytes,
        priority: reader.choice("priority", &PRIORITIES)?.unwrap_or(Priority::Normal),
        isolation: reader.choice("isolation", &ISOLATIONS)?.unwrap_or(Isolation::Soft),
        policy: reader.choice("policy", &POLICIES)?.unwrap_or(Policy::Hybrid),
        grants_max: grants_max(reader)?,
        rate: rate(reader)?,
        name,
    })
}

fn identity(reader: &Reader<'_>, name: &str) -> Result<Uuid, Fault> {
    let Some(text) = reader.text("id")? else { return Ok(id_of(name)) };
    Uuid::parse_str(&text).map_err(|_| {
        let message = format!("`id` is `{text}`, which is not a UUID; leave it out to derive one");
        Fault::at(reader.place("id"), message)
    })
}

fn grants_max(reader: &Reader<'_>) -> Result<[Option<u32>; 4], Fault> {
    let mut most = [None; 4];
    if let Some(table) = reader.table("grants_max", "grants_max", &TYPE_KEYS)? {
        for (place, key) in most.iter_mut().zip(TYPE_KEYS) {
            *place = table.number(key, 0..=GRANTS_MAX)?.map(|most| most as u32);
        }
    }
    Ok(most)
}

fn rate(reader: &Reader<'_>) -> Result<Option<RateLimit>, Fault> {
    let Some(table) = reader.table("rate", "rate", &RATE_KEYS)? else { return Ok(None) };
    let Some(requests_per_second) = table.real("requests_per_second", RATES)? else {
        let message = "`rate` needs `requests_per_second`";
        return Err(Fault::at(table.span, message));
    };
    let bucket_depth = table.number("bucket_depth", 1..=BUCKET_MAX)?.unwrap_or(1);
    // Rounded up, so that the rate kept is never above the one asked for.
    let interval_ns = (1e9 / requests_per_second).ceil() as u64;
    RateLimit::from_interval(interval_ns, bucket_depth)
        .map(Some)
        .map_err(|error| Fault::at(table.span.clone(), format!("`rate`: {error}")))
}

/// Guarantees of the members of each group, and of all that stand in none, fit into what is above
/// them. `group_places` and `tenant_readers` say where to point.
pub fn guarantees(
    setup: &Setup,
    group_places: &[usize],
    tenant_readers: &[Reader<'_>],
) -> Result<(), Fault> {
    let sum = |above: Option<usize>| -> u128 {
        let groups = setup.groups.iter().filter(|group| group.parent == above);
        let tenants = setup.tenants.iter().filter(|tenant| tenant.group == above);
        groups.map(|group| u128::from(group.guarantee_bytes)).sum::<u128>()
            + tenants.map(|tenant| u128::from(tenant.guarantee_bytes)).sum::<u128>()
    };
    for (at, group) in setup.groups.iter().enumerate() {
        let promised = sum(Some(at));
        if promised > u128::from(group.guarantee_bytes) {
            let message = format!(
                "the members of group `{}` are guaranteed {promised} bytes together, but the \
                 group itself only {}; raise the group's guarantee or lower theirs",
                group.name, group.guarantee_bytes
            );
            return Err(Fault { at: Some(group_places[at]), message });
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
        return Err(Fault { at: largest.map(|(_, r)| r.place("guarantee").start), message });
    }
    Ok(())
}

fn unique_names(readers: &[Reader<'_>], kind: &str) -> Result<Vec<String>, Fault> {
    let mut names: Vec<String> = Vec::with_capacity(readers.len());
    for reader in readers {
        let name = reader.name("name")?;
        if names.contains(&name) {
            let message = format!("there are two {kind}s named `{name}`; rename one");
            return Err(Fault::at(reader.place("name"), message));
        }
        names.push(name);
    }
    Ok(names)
}

/// The place of the named group, if a group is named.
fn member_of(reader: &Reader<'_>, key: &str, groups: &[String]) -> Result<Option<usize>, Fault> {
    let Some(wanted) = reader.text(key)? else { return Ok(None) };
    match groups.iter().position(|name| *name == wanted) {
        Some(at) => Ok(Some(at)),
        None => {
            let known: Vec<&str> = groups.iter().map(String::as_str).collect();
            let hint = suggestion(&wanted, &known);
            let message = format!("`{key}` names the group `{wanted}`, which is not there{hint}");
            Err(Fault::at(reader.place(key), message))
        }
    }
}

/// Places of groups in an order in which every parent comes before its children.
fn parents_first(
    readers: &[Reader<'_>],
    names: &[String],
    parents: &[Option<usize>],
) -> Result<Vec<usize>, Fault> {
    let mut depths = Vec::with_capacity(parents.len());
    for (at, reader) in readers.iter().enumerate() {
        let mut depth = 1;
        let mut above = parents[at];
        while let Some(parent) = above {
            depth += 1;
            above = parents[parent];
            if depth > parents.len() {
                let message = format!("group `{}` contains itself; break the circle", names[at]);
                return Err(Fault::at(reader.place("parent"), message));
            }
        }
        if depth > GROUP_DEPTH_MAX {
            let message = format!(
                "group `{}` stands {depth} deep; groups may stand {GROUP_DEPTH_MAX} deep",
                names[at]
            );
            return Err(Fault::at(reader.place("parent"), message));
        }
        depths.push(depth);
    }
    let mut order: Vec<usize> = (0..parents.len()).collect();
    order.sort_by_key(|&at| depths[at]);
    Ok(order)
}

fn size(reader: &Reader<'_>, key: &str, capacity_bytes: u64) -> Result<Option<u64>, Fault> {
    match reader.size(key, Some(capacity_bytes))? {
        Some(bytes) if bytes > BYTES_MAX => {
            let message = format!("`{key}` is {bytes} bytes; it must be 0 to {BYTES_MAX}");
            Err(Fault::at(reader.place(key), message))
        }
        bytes => Ok(bytes),
    }
}

fn floor_under_ceiling(
    reader: &Reader<'_>,
    name: &str,
    guarantee_bytes: u64,
    limit_bytes: Option<u64>,
) -> Result<(), Fault> {
    match limit_bytes {
        Some(0) => {
            let message = format!("`{name}` has a limit of 0 bytes; give it 1 at least, or none");
            Err(Fault::at(reader.place("limit"), message))
        }
        Some(limit) if guarantee_bytes > limit => {
            let message = format!(
                "`{name}` is guaranteed {guarantee_bytes} bytes, above its limit of {limit} bytes"
            );
            Err(Fault::at(reader.place("guarantee"), message))
        }
        _ => Ok(()),
    }
}
