//! What tracking costs in memory: bytes for each tenant and each grant, and that the governor's own
//! figure is honest against what the process really uses.
//!
//! One test, so that nothing else of this process moves its resident memory meanwhile.

use allotment::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TENANTS: u64 = 10_000;
const GRANTS: u64 = 500_000;
const TENANT_BYTES_MAX: u64 = 5 * KIB / 2;
const GRANT_BYTES_MAX: u64 = 96;

/// Bytes of this process in memory; nothing where the system does not say.
fn resident_bytes() -> Option<u64> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * KIB)
}

/// How tracked and resident bytes have grown since a beginning.
struct Growth {
    tracked: u64,
    resident: Option<u64>,
}

impl Growth {
    fn since(governor: &Governor, tracked: u64, resident: Option<u64>) -> Self {
        let grown = |now: u64, then: u64| now.saturating_sub(then);
        let resident = resident_bytes().zip(resident).map(|(now, then)| grown(now, then));
        Self { tracked: governor.tracking_bytes() - tracked, resident }
    }

    fn check(&self, what: &str, count: u64, each_max: u64) {
        let Self { tracked, resident } = *self;
        let each = tracked as f64 / count as f64;
        println!("{what}: {tracked} bytes tracked ({each:.1} each), resident {resident:?}");
        assert!(tracked <= count * each_max, "{what}: {each:.1} bytes each, not {each_max}");
        let Some(resident) = resident else { return println!("skipped: no /proc/self/status") };
        let honest = tracked * 3 / 2 + 8 * MIB;
        assert!(resident <= honest, "{what}: {resident} bytes resident, {tracked} tracked");
    }
}

#[test]
fn tracking_costs_little_and_says_how_much() {
    let mut ids = vec![GrantId::from_u64(1); GRANTS as usize];
    let begin = resident_bytes();
    let governor = Governor::new(GovernorConfig::new(1 << 40)).unwrap();
    let empty = governor.tracking_bytes();
    let created = resident_bytes().zip(begin).map(|(now, then)| now.saturating_sub(then));
    println!("empty, default sizes: {empty} bytes tracked, resident {created:?}");
    assert!(created.is_none_or(|bytes| bytes < 4 * MIB), "tables are touched on demand");

    let (tenants, first): (Vec<_>, Vec<_>) = tenants_with_a_grant(&governor).into_iter().unzip();
    let growth = Growth::since(&governor, empty, begin);
    growth.check("10,000 tenants with a grant each", TENANTS, TENANT_BYTES_MAX);

    let request = |of| Request::new(of, AllocationType::Cache, 1);
    let (resident, tracked) = (resident_bytes(), governor.tracking_bytes());
    for (id, &of) in ids.iter_mut().zip(tenants.iter().cycle()) {
        *id = governor.try_request(&request(of)).unwrap().into_id();
    }
    let growth = Growth::since(&governor, tracked, resident);
    growth.check("500,000 grants over all tenants", GRANTS, GRANT_BYTES_MAX);

    for (&id, &of) in first.iter().chain(&ids).zip(tenants.iter().cycle()) {
        governor.release(of, id).unwrap();
    }
    drop(governor);
    grants_of_one_tenant(&mut ids);
}

fn tenants_with_a_grant(governor: &Governor) -> Vec<(TenantHandle, GrantId)> {
    let with_a_grant = |number: u64| {
        let id = TenantId::from_u128(number.into());
        let of = governor.register_tenant(TenantConfig::new(id, format!("app {number}"))).unwrap();
        let grant = governor.try_request(&Request::new(of, AllocationType::Cache, 1)).unwrap();
        (of, grant.into_id())
    };
    (1..=TENANTS).map(with_a_grant).collect()
}

fn grants_of_one_tenant(ids: &mut [GrantId]) {
    let governor = Governor::new(GovernorConfig::new(1 << 40)).unwrap();
    let of = governor.register_tenant(TenantConfig::new(TenantId::from_u128(1), "one")).unwrap();
    let request = Request::new(of, AllocationType::Cache, 1);
    let (resident, tracked) = (resident_bytes(), governor.tracking_bytes());
    for id in &mut *ids {
        *id = governor.try_request(&request).unwrap().into_id();
    }
    let growth = Growth::since(&governor, tracked, resident);
    growth.check("500,000 grants of one tenant", GRANTS, GRANT_BYTES_MAX);
    for &id in &*ids {
        governor.release(of, id).unwrap();
    }
}
