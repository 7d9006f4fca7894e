//! What is done on one thread. Each case has a governor of its own, and checks every answer: a
//! quick answer that is wrong is no answer.

use std::hint::black_box;

use allotment::{
    AllocationType, DenialReason, Governor, GovernorConfig, Grant, ReclaimAnswer, Refusal,
    Released, Request, TenantConfig, TenantHandle, TenantId,
};

use super::bare::Bare;

const MIB: u64 = 1 << 20;

/// Bytes of one grant. They are numbers only: the governor never touches the memory.
pub(super) const GRANT_BYTES: u64 = 4_096;

/// A tenant's guarantee, where it has one, or its limit.
pub(super) const FLOOR_BYTES: u64 = 64 * MIB;

/// Grants among which a victim is found.
const KEPT: u64 = 10_000;

/// One of the things that are measured.
pub(super) struct Case {
    /// The name in the JSON form.
    pub key: &'static str,
    /// The name in the table.
    pub name: &'static str,
    /// Does it so many times; says whether every answer was the right one.
    pub turns: Box<dyn FnMut(u64) -> bool>,
}

fn case(key: &'static str, name: &'static str, turns: impl FnMut(u64) -> bool + 'static) -> Case {
    Case { key, name, turns: Box::new(turns) }
}

/// All of them, the bare pair first.
pub(super) fn all() -> Result<Vec<Case>, Refusal> {
    let bare = Bare::default();
    let inside = "request_release_inside";
    let beyond = "request_release_beyond";
    Ok(vec![
        case("bare_pair", "bare pair", move |turns| (0..turns).all(|_| bare.pair())),
        request_release(inside, "request + release, inside the guarantee", FLOOR_BYTES)?,
        request_release(beyond, "request + release, beyond it", 0)?,
        grow_shrink("grow_shrink_inside", "grow + shrink, inside the guarantee", FLOOR_BYTES)?,
        grow_shrink("grow_shrink_beyond", "grow + shrink, beyond it", 0)?,
        touch()?,
        denied()?,
        evict()?,
    ])
}

/// A governor with plenty of memory.
pub(super) fn plenty() -> Result<Governor, Refusal> {
    governor(1 << 40)
}

fn governor(capacity_bytes: u64) -> Result<Governor, Refusal> {
    let governor = Governor::new(GovernorConfig::new(capacity_bytes))?;
    // What a case still holds when all is done goes with its governor: that is no news.
    governor.on_leak(|_| ());
    Ok(governor)
}

/// A tenant with idle claim at hand: guaranteed, or left by a grant that was released.
pub(super) fn tenant(
    governor: &Governor,
    number: usize,
    guarantee_bytes: u64,
) -> Result<TenantHandle, Refusal> {
    let id = TenantId::from_u128(number as u128 + 1);
    let config = TenantConfig { guarantee_bytes, ..TenantConfig::new(id, format!("t{number}")) };
    let tenant = governor.register_tenant(config)?;
    drop(governor.request(&request(tenant, FLOOR_BYTES))?);
    Ok(tenant)
}

/// For so many bytes of a cache.
pub(super) fn request(tenant: TenantHandle, bytes: u64) -> Request {
    Request::new(tenant, AllocationType::Cache, bytes)
}

/// Requests and releases once; says whether it was granted and returned.
#[inline]
pub(super) fn once(governor: &Governor, request: &Request) -> bool {
    match governor.request(black_box(request)) {
        Ok(grant) => matches!(grant.release(), Ok(Released::Returned)),
        Err(_) => false,
    }
}

fn request_release(
    key: &'static str,
    name: &'static str,
    guarantee_bytes: u64,
) -> Result<Case, Refusal> {
    let governor = plenty()?;
    let request = request(tenant(&governor, 0, guarantee_bytes)?, GRANT_BYTES);
    Ok(case(key, name, move |turns| (0..turns).all(|_| once(&governor, &request))))
}

fn grow_shrink(
    key: &'static str,
    name: &'static str,
    guarantee_bytes: u64,
) -> Result<Case, Refusal> {
    let governor = plenty()?;
    let tenant = tenant(&governor, 0, guarantee_bytes)?;
    let id = governor.request(&request(tenant, GRANT_BYTES))?.into_id();
    Ok(case(key, name, move |turns| {
        (0..turns).all(|_| {
            let bytes = black_box(GRANT_BYTES);
            governor.grow(tenant, black_box(id), bytes).is_ok()
                && governor.shrink(tenant, black_box(id), bytes).is_ok()
        })
    }))
}

fn touch() -> Result<Case, Refusal> {
    let governor = plenty()?;
    let tenant = tenant(&governor, 0, 0)?;
    let id = governor.request(&request(tenant, GRANT_BYTES))?.into_id();
    Ok(case("touch", "touch", move |turns| {
        (0..turns).all(|_| governor.touch(tenant, black_box(id)).is_ok())
    }))
}

/// By the verb that only looks, and does not evict the tenant's own.
fn denied() -> Result<Case, Refusal> {
    let governor = plenty()?;
    let config = TenantConfig::new(TenantId::from_u128(1), "full");
    let config = TenantConfig { limit_bytes: Some(FLOOR_BYTES), ..config };
    let tenant = governor.register_tenant(config)?;
    governor.request(&request(tenant, FLOOR_BYTES))?.into_id();
    let request = request(tenant, GRANT_BYTES);
    Ok(case("denied", "denied at the own limit", move |turns| {
        (0..turns).all(|_| {
            let refusal = governor.try_request(black_box(&request)).err();
            let denial = refusal.as_ref().and_then(Refusal::denial);
            denial.is_some_and(|denial| denial.reason == DenialReason::TenantLimit)
        })
    }))
}

/// The pool is full before every request, so each has to evict at least one grant; and all of them
/// together evict as many as they are, so each evicts exactly one.
fn evict() -> Result<Case, Refusal> {
    let governor = governor(KEPT * GRANT_BYTES)?;
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    let config = TenantConfig::new(TenantId::from_u128(1), "cache");
    let tenant = governor.register_tenant(config)?;
    let request = request(tenant, GRANT_BYTES);
    for _ in 0..KEPT {
        governor.request(&request)?.into_id();
    }
    let count = move |governor: &Governor| {
        let usage = governor.usage(tenant).ok()?;
        (usage.used_bytes == KEPT * GRANT_BYTES).then_some(usage.evicted)
    };
    Ok(case("evict", "request that evicts one of 10,000", move |turns| {
        let Some(before) = count(&governor) else { return false };
        let keep = |_| governor.request(black_box(&request)).map(Grant::into_id).is_ok();
        (0..turns).all(keep) && count(&governor) == Some(before + turns)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_the_right_one() {
        for mut case in all().unwrap() {
            assert!((case.turns)(1_000), "{}", case.name);
        }
    }
}
