//! Batches by the public interface: whole or not at all, and the denial names who was refused.

use allotment::*;

use AllocationType::{Background, Cache};

fn small() -> Governor {
    Governor::new(GovernorConfig {
        tenants_max: 8,
        groups_max: 2,
        grants_max: 256,
        pool_pressure: false,
        ..GovernorConfig::new(100)
    })
    .unwrap()
}

fn tenant(governor: &Governor, number: u128, most: Option<u32>) -> TenantHandle {
    let mut config = TenantConfig::new(TenantId::from_u128(number), "");
    config.grants_max[Cache as usize] = most;
    governor.register_tenant(config).unwrap()
}

fn denied(answer: Result<Vec<Grant<'_>>, Refusal>) -> Denial {
    *answer.unwrap_err().denial().expect("a denial")
}

#[test]
fn a_denial_names_the_tenant_that_was_refused() {
    let governor = small();
    let (one, two) = (tenant(&governor, 1, None), tenant(&governor, 2, Some(1)));
    let block = |tenant, bytes| Request::new(tenant, Cache, bytes);
    let no = denied(governor.request_all(&[block(one, 1), block(two, 1), block(two, 1)]));
    assert_eq!((no.reason, no.limit), (DenialReason::GrantCount, 1), "certain at rest");
    assert_eq!(no.account, AccountName::Tenant(two));
    let no = denied(governor.request_all(&[block(one, 40), block(two, 30), block(one, 31)]));
    assert_eq!((no.reason, no.account), (DenialReason::Capacity, AccountName::Pool));
    assert_eq!((no.asked_bytes, no.short_bytes), (101, 1), "all that is below the pool");
    assert!(!no.waiting_can_help);
    assert_eq!(governor.snapshot().live_bytes, 0);
}

#[test]
fn a_tenant_that_is_gone_is_named() {
    let governor = small();
    let (one, two) = (tenant(&governor, 1, None), tenant(&governor, 2, None));
    governor.unregister_tenant(two, Unregister::IfIdle).unwrap();
    let batch = [Request::new(one, Cache, 1), Request::new(two, Cache, 1)];
    let gone = Error::Gone { what: "tenant", number: two.as_u64() };
    assert_eq!(governor.request_all(&batch).unwrap_err(), Refusal::Misuse(gone));
    assert_eq!(governor.usage(one).unwrap().used_bytes, 0);
}

#[test]
fn all_counted_grants_of_a_batch_are_counted() {
    let governor = small();
    let one = tenant(&governor, 1, Some(3));
    let block = Request::new(one, Cache, 1);
    let other = Request::new(one, Background, 1);
    let batch = governor.request_all(&[block, other, block, block]).unwrap();
    assert_eq!(batch.len(), 4);
    assert!(governor.try_request(&block).is_err());
    drop(batch);
    for _ in 0..3 {
        let no = denied(governor.request_all(&[block; 4]));
        assert_eq!(no.reason, DenialReason::GrantCount);
        drop(governor.request_all(&[block; 3]).unwrap());
    }
    assert_eq!(governor.request_all(&[]).unwrap().len(), 0);
}

/// Two batches and a small request at once: what fits beside a refused batch is never refused as
/// if the batch had been granted.
#[test]
fn nobody_is_refused_because_of_a_batch_that_is_not_granted() {
    let governor = small();
    let (one, two) = (tenant(&governor, 1, None), tenant(&governor, 2, None));
    let three = tenant(&governor, 3, None);
    let too_large = [Request::new(one, Cache, 60), Request::new(two, Cache, 60)];
    let fits = [Request::new(three, Cache, 20), Request::new(two, Cache, 20)];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..5_000 {
                assert!(governor.request_all(&too_large).is_err());
            }
        });
        for _ in 0..5_000 {
            match governor.request_all(&fits) {
                Ok(batch) => assert_eq!(batch.len(), 2),
                answer => assert_eq!(denied(answer).reason, DenialReason::Contended),
            }
        }
    });
    assert_eq!(governor.snapshot().live_bytes, 0);
}
