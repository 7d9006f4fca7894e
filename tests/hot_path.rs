//! The hot path neither allocates nor makes a system call, among 1,000 tenants: requests granted
//! inside the guarantee, beyond it and after buying claim, denied by the own limit, by a number or
//! by the pool; grow, shrink, touch and release.
//!
//! Allocations are counted by the allocator. System calls are forbidden by the kernel: the same
//! loop runs in a child process under strict seccomp, where any call but `read`, `write` and `exit`
//! kills it. Each check has its control. Time comes from a manual clock; where the machine's clock
//! is read (a rate limit, a time to live, events), it is read through the C library.

use allotment::os::ManualClock;
use allotment::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

const MIB: u64 = 1 << 20;
const TENANTS: u64 = 1_000;

/// The system's allocator, counting the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as promised by the caller.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

/// A governor among whose many tenants four play a part.
struct Stage {
    governor: Governor,
    guaranteed: TenantHandle,
    elastic: TenantHandle,
    limited: TenantHandle,
    paced: TenantHandle,
}

impl Stage {
    fn new(audit: AuditMode, audit_calls: bool) -> Self {
        let config = GovernorConfig {
            clock: ManualClock::new().into(),
            audit,
            audit_calls,
            // Enough for all that happens, where nothing may be overwritten.
            events_max: if audit == AuditMode::FailClosed { 1 << 15 } else { 1_024 },
            ..GovernorConfig::new(4 * TENANTS * MIB)
        };
        let governor = Governor::new(config).unwrap();
        let tenant = |number: u64| TenantConfig::new(TenantId::from_u128(number.into()), "of many");
        let register = |config: TenantConfig| governor.register_tenant(config).unwrap();
        let guaranteed = register(TenantConfig { guarantee_bytes: 64 * MIB, ..tenant(1) });
        // At Critical, which its own use brings about, its fair share would bind it otherwise.
        let elastic = register(TenantConfig { isolation: Isolation::None, ..tenant(2) });
        let limited = register(TenantConfig { limit_bytes: Some(8 * MIB), ..tenant(3) });
        let rate = Some(RateLimit::new(1_000_000_000, 1 << 40).unwrap());
        let grants_max = [Some(1), Some(1), Some(1), Some(1)];
        let paced = register(TenantConfig { rate, grants_max, ..tenant(4) });
        for number in 5..=TENANTS {
            let other = register(tenant(number));
            // Leaves idle claim behind, for others to collect.
            drop(governor.try_request(&Request::new(other, AllocationType::Cache, MIB)).unwrap());
        }
        Self { governor, guaranteed, elastic, limited, paced }
    }

    /// Every path once, for every allocation type; answers how many went as they should.
    fn act(&self) -> u32 {
        AllocationType::ALL.iter().map(|&kind| self.act_with(kind)).sum()
    }

    fn act_with(&self, kind: AllocationType) -> u32 {
        let of = |tenant, bytes| Request::new(tenant, kind, bytes).key(7).cost(3);
        let capacity = self.governor.config().capacity_bytes;
        let mut right = 0;
        right += self.live(&of(self.guaranteed, MIB), self.guaranteed);
        right += self.live(&of(self.elastic, MIB), self.elastic);
        right += self.live(&of(self.limited, MIB), self.limited);
        right += self.live(&of(self.paced, MIB), self.paced);
        // Buys all there is, from 1,000 idle claims.
        let most = capacity - 64 * MIB - 8 * MIB;
        right += self.live(&of(self.elastic, most), self.elastic);
        right += self.denied(&of(self.elastic, capacity), DenialReason::Capacity);
        right += self.denied(&of(self.limited, 9 * MIB), DenialReason::TenantLimit);
        if let Ok(one) = self.governor.try_request(&of(self.paced, 1)) {
            right += self.denied(&of(self.paced, 1), DenialReason::GrantCount);
            drop(one);
        }
        right
    }

    /// A grant's life, with a growth that is refused.
    fn live(&self, request: &Request, of: TenantHandle) -> u32 {
        let governor = &self.governor;
        let Ok(grant) = governor.try_request(request) else { return 0 };
        let id = grant.into_id();
        let grown = governor.grow(of, id, MIB).is_ok();
        let too_much = governor.grow(of, id, 8 * TENANTS * MIB).is_err();
        let shrunk = governor.shrink(of, id, MIB).is_ok();
        let touched = governor.touch(of, id).is_ok();
        let told = governor.bytes_of(of, id).is_ok_and(|bytes| bytes >= MIB);
        let released = governor.release(of, id) == Ok(Released::Returned);
        let stale = governor.release(of, id).is_err() && governor.touch(of, id).is_err();
        u32::from(grown && too_much && shrunk && touched && told && released && stale)
    }

    fn denied(&self, request: &Request, reason: DenialReason) -> u32 {
        let answer = self.governor.try_request(request);
        u32::from(matches!(answer, Err(Refusal::Denied(no)) if no.reason == reason))
    }
}

/// What is recorded.
const AUDITS: [(AuditMode, bool); 4] = [
    (AuditMode::Off, false),
    (AuditMode::DropAndCount, true),
    (AuditMode::FailClosed, false),
    (AuditMode::FailClosed, true),
];

/// Paths of one act.
const PATHS: u32 = 4 * 8;

#[test]
fn the_hot_path_allocates_nothing() {
    for (audit, calls) in AUDITS {
        let stage = Stage::new(audit, calls);
        // Also the first time, when segments are taken and pages touched.
        for round in 0..10 {
            let mut right = 0;
            let counted = allocations(|| right = stage.act());
            assert_eq!((right, counted), (PATHS, 0), "round {round}, {audit:?}, calls {calls}");
        }
        if audit == AuditMode::FailClosed {
            let full = Request::new(stage.guaranteed, AllocationType::Cache, 1);
            while stage.governor.try_request(&full).is_ok() {}
            let mut denied = 0;
            let counted = allocations(|| denied = stage.denied(&full, DenialReason::AuditFull));
            assert_eq!((denied, counted), (1, 0), "without room for records");
        }
    }
    let counted = allocations(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(counted, 1, "control");
}

#[cfg(not(target_os = "linux"))]
#[test]
fn the_hot_path_makes_no_system_call() {
    println!("skipped: strict seccomp is a thing of Linux");
}

#[cfg(target_os = "linux")]
mod caged {
    use super::*;

    /// How a child ended.
    #[derive(Debug, PartialEq, Eq)]
    enum End {
        Exit(i32),
        Killed(i32),
    }

    const NO_CAGE: i32 = 77;

    fn exit(code: i32) -> ! {
        // SAFETY: ends the only thread of a child; `exit` is the one way out of the cage.
        unsafe { libc::syscall(libc::SYS_exit, code) };
        unreachable!("the process has ended")
    }

    /// Runs `f` in a child process in which every system call kills. `f` must not panic, lock or
    /// allocate: the child is a copy of this one thread among others.
    fn in_a_cage(f: impl FnOnce() -> i32) -> End {
        // SAFETY: the child does nothing that other threads of the parent could be amid of.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "{}", std::io::Error::last_os_error());
        if child == 0 {
            // SAFETY: takes numbers only.
            let refused =
                unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) } != 0;
            exit(if refused { NO_CAGE } else { f() });
        }
        let mut status = 0;
        // SAFETY: `status` lives; the child is this process's own and is waited for once.
        let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(ended, child, "{}", std::io::Error::last_os_error());
        if libc::WIFEXITED(status) {
            End::Exit(libc::WEXITSTATUS(status))
        } else {
            End::Killed(libc::WTERMSIG(status))
        }
    }

    #[test]
    fn the_hot_path_makes_no_system_call() {
        let control = in_a_cage(|| {
            // SAFETY: has no arguments.
            unsafe { libc::syscall(libc::SYS_getpid) };
            0
        });
        if control == End::Exit(NO_CAGE) {
            println!("skipped: this machine has no strict seccomp");
            return;
        }
        assert_eq!(control, End::Killed(libc::SIGKILL), "control");
        assert_eq!(in_a_cage(|| 5), End::Exit(5), "control");
        for (audit, calls) in AUDITS {
            let stage = Stage::new(audit, calls);
            let right = in_a_cage(|| (0..10).map(|_| stage.act()).min().map_or(0, |n| n as i32));
            assert_eq!(right, End::Exit(PATHS as i32), "{audit:?}, calls {calls}");
        }
    }
}
