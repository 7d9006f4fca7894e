//! A ticket that several threads wait for, poll, cancel and are told of at once: one of them gets
//! its answer, and nothing is lost.
//!
//! ```text
//! answers taken + cancellations = tickets
//! bytes of grants whose release was not told to anybody = 0
//! drop_fn calls = callbacks that were taken
//! ```

use allot::governor::*;
use allot::grant::*;
use allot::request::*;
use allot::status::*;
use allot::tenant::*;
use allot::ticket::*;
use allot::usage::*;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[expect(clippy::disallowed_types, reason = "no part of the core's models")]
type Count = std::sync::atomic::AtomicU64;

const ROUNDS: u64 = 1_500;
const SECOND_NS: u64 = 1_000_000_000;

/// A governor as threads share it.
#[derive(Clone, Copy)]
struct Shared {
    governor: *mut allot_governor,
    tenant: allot_tenant,
}

// SAFETY: any thread may call a governor.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// What became of the tickets.
#[derive(Default)]
struct Tally {
    taken: Count,
    cancelled: Count,
    let_go: Count,
}

fn add(count: &Count) {
    // Relaxed: read after the threads were joined, or the governor has ended.
    count.fetch_add(1, Ordering::Relaxed);
}

fn read(count: &Count) -> u64 {
    // Relaxed: as above.
    count.load(Ordering::Relaxed)
}

impl Shared {
    fn new() -> Self {
        let config = allot_config { capacity_bytes: 1_000, ..allot_config::default() };
        let who = allot_tenant_config { id: [1; 16], ..allot_tenant_config::default() };
        let (mut governor, mut tenant) = (null_mut(), 0);
        // SAFETY: all are valid.
        unsafe {
            assert_eq!(allot_governor_new(&raw const config, &raw mut governor), ALLOT_OK);
            let registered = allot_tenant_register(governor, &raw const who, &raw mut tenant);
            assert_eq!(registered, ALLOT_OK);
        }
        Self { governor, tenant }
    }

    fn spec(self, bytes: u64) -> allot_request_spec {
        allot_request_spec { tenant: self.tenant, bytes, ..allot_request_spec::default() }
    }

    fn hold_all(self) -> allot_grant {
        let (spec, mut grant) = (self.spec(1_000), 0);
        // SAFETY: all are valid.
        let status = unsafe { allot_request(self.governor, &spec, &raw mut grant, null_mut()) };
        assert_eq!(status, ALLOT_OK);
        grant
    }

    fn stand_in_line(self) -> allot_ticket {
        let (spec, mut grant, mut ticket) = (self.spec(600), 0, 0);
        let (out_grant, out_ticket) = (&raw mut grant, &raw mut ticket);
        // SAFETY: all are valid.
        let status = unsafe {
            allot_enqueue(self.governor, &spec, 60 * SECOND_NS, out_grant, out_ticket, null_mut())
        };
        assert_eq!(status, ALLOT_QUEUED);
        ticket
    }

    fn release(self, grant: allot_grant) {
        // SAFETY: it is valid.
        assert_eq!(unsafe { allot_grant_release(self.governor, self.tenant, grant) }, ALLOT_OK);
    }

    /// What to do with an answer of a poll or a wait; says whether the ticket has ended.
    fn answered(self, status: allot_status, grant: allot_grant, tally: &Tally) -> bool {
        match status {
            ALLOT_OK => {
                add(&tally.taken);
                self.release(grant);
                true
            }
            ALLOT_QUEUED => false,
            status => {
                assert_eq!(status, ALLOT_ERROR_STALE_TICKET);
                true
            }
        }
    }

    fn wait(self, ticket: allot_ticket, tally: &Tally) {
        let mut grant = 0;
        let out_grant = &raw mut grant;
        // SAFETY: all are valid.
        let status = unsafe {
            allot_ticket_wait(self.governor, ticket, 60 * SECOND_NS, out_grant, null_mut())
        };
        assert!(self.answered(status, grant, tally), "nobody waits for a minute");
    }

    fn poll(self, ticket: allot_ticket, tally: &Tally) {
        let mut grant = 0;
        loop {
            let out_grant = &raw mut grant;
            // SAFETY: all are valid.
            let status = unsafe { allot_ticket_poll(self.governor, ticket, out_grant, null_mut()) };
            if self.answered(status, grant, tally) {
                return;
            }
            std::thread::yield_now();
        }
    }

    fn cancel(self, ticket: allot_ticket, tally: &Tally) {
        // SAFETY: it is valid.
        match unsafe { allot_ticket_cancel(self.governor, ticket) } {
            ALLOT_OK => add(&tally.cancelled),
            status => assert_eq!(status, ALLOT_ERROR_STALE_TICKET),
        }
    }

    /// What the callback has taken is released by it, on its own thread.
    fn settle(self) {
        let mut pool = allot_pool::default();
        for _ in 0..60_000 {
            // SAFETY: all are valid.
            assert_eq!(unsafe { allot_pool_usage(self.governor, &raw mut pool) }, ALLOT_OK);
            if (pool.live_bytes, pool.waiters) == (0, 0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{} bytes live, {} waiters", pool.live_bytes, pool.waiters);
    }

    fn be_told(self, ticket: allot_ticket, told: &Told<'_>) -> u64 {
        let user_data = (&raw const *told).cast_mut().cast();
        let (function, drop_fn): (allot_ticket_fn, _) = (Some(poll_when_told), Some(let_go as _));
        // SAFETY: it is valid, and `told` outlives the governor.
        let status =
            unsafe { allot_ticket_on_ready(self.governor, ticket, function, user_data, drop_fn) };
        assert!([ALLOT_OK, ALLOT_ERROR_STALE_TICKET].contains(&status), "{status}");
        u64::from(status == ALLOT_OK)
    }
}

/// What a callback is told with.
struct Told<'a> {
    shared: Shared,
    tally: &'a Tally,
}

extern "C-unwind" fn poll_when_told(
    _: *mut allot_governor,
    ticket: allot_ticket,
    user_data: *mut c_void,
) {
    // SAFETY: it is a `Told`.
    let told = unsafe { &*user_data.cast::<Told<'_>>() };
    told.shared.poll(ticket, told.tally);
}

extern "C-unwind" fn let_go(user_data: *mut c_void) {
    // SAFETY: it is a `Told`.
    add(&unsafe { &*user_data.cast::<Told<'_>>() }.tally.let_go);
}

#[test]
fn one_of_all_gets_the_answer_and_nothing_is_lost() {
    let (shared, tally) = (Shared::new(), Tally::default());
    let told = Told { shared, tally: &tally };
    let mut callbacks = 0;
    for round in 0..ROUNDS {
        let first = shared.hold_all();
        let ticket = shared.stand_in_line();
        // Each who takes part, in turns: alone, in pairs, all at once.
        let parts = 1 + round % 15;
        if parts & 8 != 0 {
            callbacks += shared.be_told(ticket, &told);
        }
        std::thread::scope(|scope| {
            if parts & 1 != 0 {
                scope.spawn(|| shared.wait(ticket, &tally));
            }
            if parts & 2 != 0 {
                scope.spawn(|| shared.poll(ticket, &tally));
            }
            if parts & 4 != 0 {
                scope.spawn(|| shared.cancel(ticket, &tally));
            }
            scope.spawn(|| shared.release(first));
        });
        if parts == 8 {
            // Only the callback takes it.
            shared.wait(ticket, &tally);
        }
        // SAFETY: it has ended, whoever ended it.
        let again = unsafe { allot_ticket_cancel(shared.governor, ticket) };
        assert_eq!(again, ALLOT_ERROR_STALE_TICKET);
        let ended = read(&tally.taken) + read(&tally.cancelled);
        assert!(ended <= round + 1, "a ticket has two answers");
        shared.settle();
    }
    // SAFETY: it is freed once.
    unsafe { allot_governor_free(shared.governor) };
    assert_eq!(read(&tally.taken) + read(&tally.cancelled), ROUNDS);
    assert_eq!(read(&tally.let_go), callbacks);
}
