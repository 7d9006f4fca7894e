//! Requests that stand in line, in one thread, with a clock that is moved by hand.
//!
//! ```text
//! L1  used(tenant) = what its grants hold and what was handed to its tickets; so for the whole
//! L2  nothing is handed out beyond capacity or limit
//! L3  whoever waits alone and fits is served; whoever is late has an answer
//! L4  once there is room for all, all are served, each with what it asked for, and each once
//! ```

#![no_main]

use allotment::os::ManualClock;
use allotment::*;
use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::time::Duration;

const TENANTS: usize = 3;
const CAPACITY: u64 = 100;
const OPS_MAX: usize = 100;

/// Numbers are taken modulo what there is.
#[derive(Arbitrary, Debug)]
enum Op {
    Enqueue { tenant: u8, bytes: u8, wait_ns: u8, above: bool },
    Request { tenant: u8, bytes: u8 },
    Release(u8),
    Grow(u8, u8),
    Shrink(u8, u8),
    Poll(u8),
    Cancel(u8),
    LookAfter(u8),
    Advance(u8),
    Capacity(u8),
    Limit(u8, Option<u8>),
    Report(u8),
    Balance,
}

#[derive(Debug)]
struct Case {
    priorities: [u8; TENANTS],
    quantum_bytes: u64,
    ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let priorities = u.arbitrary()?;
        let quantum_bytes = *u.choose(&[0, 7, 1 << 20])?;
        let mut ops = Vec::new();
        while !u.is_empty() && ops.len() < OPS_MAX {
            ops.push(u.arbitrary()?);
        }
        Ok(Self { priorities, quantum_bytes, ops })
    }
}

struct Held {
    tenant: usize,
    id: GrantId,
    bytes: u64,
}

struct Standing {
    tenant: usize,
    bytes: u64,
    deadline_ns: u64,
    ticket: OwnedTicket,
}

struct Line {
    governor: Arc<Governor>,
    clock: ManualClock,
    tenants: [TenantHandle; TENANTS],
    limits: [Option<u64>; TENANTS],
    capacity: u64,
    held: Vec<Held>,
    standing: Vec<Standing>,
}

impl Line {
    fn new(case: &Case) -> Self {
        let clock = ManualClock::new();
        let governor = Governor::new(GovernorConfig {
            tenants_max: 4,
            groups_max: 1,
            grants_max: 512,
            waiters_max: 64,
            patience_ns: 50,
            quantum_bytes: case.quantum_bytes,
            pool_pressure: false,
            clock: clock.clone().into(),
            ..GovernorConfig::new(CAPACITY)
        });
        let governor = Arc::new(governor.expect("sound limits"));
        governor.on_leak(|_| {});
        let tenant = |at: usize| {
            let priority = Priority::ALL[usize::from(case.priorities[at] % 4)];
            let id = TenantId::from_u128(1 + at as u128);
            governor.register_tenant(TenantConfig { priority, ..TenantConfig::new(id, "") })
        };
        let tenants = [0, 1, 2].map(|at| tenant(at).expect("room for three"));
        let limits = [None; TENANTS];
        let (held, standing) = (Vec::new(), Vec::new());
        Self { governor, clock, tenants, limits, capacity: CAPACITY, held, standing }
    }

    /// What nobody may take away: models are not evicted.
    fn ask(&self, tenant: usize, bytes: u64) -> Request {
        Request::new(self.tenants[tenant], AllocationType::ModelLoad, bytes)
    }

    fn enqueue(&mut self, tenant: usize, bytes: u64, wait_ns: u64, above: bool) {
        let request = self.ask(tenant, bytes);
        let wait_max = Duration::from_nanos(wait_ns);
        let ticket = match above {
            true => self.governor.request_or_enqueue_owned(&request, wait_max),
            false => self.governor.enqueue_owned(&request, wait_max),
        };
        if let Ok(ticket) = ticket {
            let deadline_ns = self.clock.now_ns() + wait_ns;
            self.standing.push(Standing { tenant, bytes, deadline_ns, ticket });
        }
    }

    /// Takes the answer, if there is one.
    fn poll(&mut self, at: usize) {
        let now_ns = self.clock.now_ns();
        let standing = &mut self.standing[at];
        let (tenant, bytes) = (standing.tenant, standing.bytes);
        let (granted, ready) = (standing.ticket.is_granted(), standing.ticket.is_ready());
        let is_late = now_ns >= standing.deadline_ns;
        match standing.ticket.poll() {
            Some(Ok(grant)) => {
                assert_eq!((grant.bytes(), grant.tenant()), (bytes, self.tenants[tenant]));
                self.held.push(Held { tenant, id: grant.into_id(), bytes });
            }
            Some(Err(refusal)) => {
                let reason = refusal.denial().map(|denial| denial.reason);
                assert_eq!(reason, Some(DenialReason::WaitedTooLong));
                assert!(is_late && !granted, "refused before its time, or after it was served");
            }
            None => return assert!(!ready && !is_late, "no answer, although there is one"),
        }
        assert!(standing.ticket.poll().is_none(), "a second answer");
        drop(self.standing.remove(at));
    }

    fn on_grant(&mut self, at: usize, change: &Op) {
        let Held { tenant, id, bytes } = self.held[at];
        let (tenant, governor) = (self.tenants[tenant], &self.governor);
        match *change {
            Op::Grow(_, by) => {
                let by = 1 + u64::from(by % 40);
                if governor.grow(tenant, id, by).is_ok() {
                    self.held[at].bytes += by;
                }
            }
            Op::Shrink(_, by) => {
                let by = 1 + u64::from(by % 40);
                assert_eq!(governor.shrink(tenant, id, by).is_ok(), by < bytes);
                self.held[at].bytes -= if by < bytes { by } else { 0 };
            }
            _ => {
                assert_eq!(governor.release(tenant, id), Ok(Released::Returned));
                self.held.swap_remove(at);
            }
        }
    }

    fn apply(&mut self, op: &Op) {
        let place = |at: u8, len: usize| (len > 0).then(|| usize::from(at) % len);
        match *op {
            Op::Enqueue { tenant, bytes, wait_ns, above } => {
                let (tenant, bytes) = (usize::from(tenant) % TENANTS, 1 + u64::from(bytes % 120));
                self.enqueue(tenant, bytes, u64::from(wait_ns) * 4, above);
            }
            Op::Request { tenant, bytes } => {
                let (tenant, bytes) = (usize::from(tenant) % TENANTS, 1 + u64::from(bytes % 120));
                if let Ok(grant) = self.governor.request(&self.ask(tenant, bytes)) {
                    self.held.push(Held { tenant, id: grant.into_id(), bytes });
                }
            }
            Op::Release(at) | Op::Grow(at, _) | Op::Shrink(at, _) => {
                if let Some(at) = place(at, self.held.len()) {
                    self.on_grant(at, op);
                }
            }
            Op::Poll(at) | Op::Cancel(at) | Op::LookAfter(at) => {
                let Some(at) = place(at, self.standing.len()) else { return };
                match op {
                    Op::Poll(_) => self.poll(at),
                    Op::Cancel(_) => self.standing.remove(at).ticket.cancel(),
                    _ => self.standing[at].ticket.look_after(),
                }
            }
            Op::Advance(ns) => {
                self.clock.advance_ns(ns.into());
            }
            Op::Capacity(bytes) => self.set_capacity(20 + u64::from(bytes)),
            Op::Limit(tenant, bytes) => {
                let limit = bytes.map(|bytes| 1 + u64::from(bytes));
                self.set_limit(usize::from(tenant) % TENANTS, limit);
            }
            Op::Report(level) => {
                // Of tenants without isolation beyond their limit, High changes nothing.
                self.governor.report_pressure(Pressure::ALL[usize::from(level % 2)]);
            }
            Op::Balance => drop(self.governor.balance()),
        }
    }

    fn set_capacity(&mut self, bytes: u64) {
        self.governor.set_capacity(bytes).expect("nothing is guaranteed");
        self.capacity = bytes;
    }

    fn set_limit(&mut self, tenant: usize, limit: Option<u64>) {
        let changed = self.governor.set_tenant(self.tenants[tenant], |c| c.limit_bytes = limit);
        changed.expect("limits in order");
        self.limits[tenant] = limit;
    }

    fn used(&self, tenant: usize) -> u64 {
        let held = self.held.iter().filter(|held| held.tenant == tenant).map(|held| held.bytes);
        let handed = self.standing.iter().filter(|s| s.tenant == tenant && s.ticket.is_granted());
        held.sum::<u64>() + handed.map(|standing| standing.bytes).sum::<u64>()
    }

    /// After each step; `before` is what each tenant used before it.
    fn check(&self, before: [u64; TENANTS]) {
        let used = [0, 1, 2].map(|tenant| self.used(tenant));
        let snapshot = self.governor.snapshot();
        for (tenant, &handle) in self.tenants.iter().enumerate() {
            let usage = self.governor.usage(handle).expect("it is registered");
            assert_eq!(usage.used_bytes, used[tenant], "L1: tenant {tenant}");
            let limit = self.limits[tenant].unwrap_or(u64::MAX);
            assert!(used[tenant] <= limit.max(before[tenant]), "L2: tenant {tenant}");
        }
        let (sum, sum_before) = (used.iter().sum::<u64>(), before.iter().sum::<u64>());
        assert_eq!(snapshot.live_bytes, sum, "L1: the whole");
        assert!(sum <= self.capacity.max(sum_before), "L2: the whole");
        // Who is late stands there, with what was set aside for it, until somebody looks.
        let waiting: Vec<_> = self.standing.iter().filter(|s| !s.ticket.is_granted()).collect();
        if let [alone] = waiting[..]
            && !alone.ticket.is_ready()
        {
            let limit = self.limits[alone.tenant].unwrap_or(u64::MAX);
            let fits = sum + alone.bytes <= self.capacity;
            let allowed = used[alone.tenant] + alone.bytes <= limit;
            assert!(!(fits && allowed), "L3: {} bytes fit, and wait", alone.bytes);
        }
    }

    /// L4: with room for all.
    fn finish(mut self) {
        (0..TENANTS).for_each(|tenant| self.set_limit(tenant, None));
        self.set_capacity(1 << 20);
        while !self.held.is_empty() {
            self.on_grant(0, &Op::Release(0));
        }
        while !self.standing.is_empty() {
            let left = self.standing.len();
            self.poll(0);
            assert!(self.standing.len() < left, "L4: it still waits");
        }
        while !self.held.is_empty() {
            self.on_grant(0, &Op::Release(0));
        }
        let snapshot = self.governor.snapshot();
        assert_eq!((snapshot.live_bytes, self.governor.waiters()), (0, 0));
        assert!(snapshot.tenants.iter().all(|tenant| tenant.set_aside_bytes == 0));
    }
}

fuzz_target!(|case: Case| {
    let mut line = Line::new(&case);
    for op in &case.ops {
        let before = [0, 1, 2].map(|tenant| line.used(tenant));
        line.apply(op);
        line.check(before);
    }
    line.finish();
});
