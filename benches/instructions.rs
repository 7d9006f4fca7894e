//! How many instructions a verb takes: a program for a simulator to count, because a count can be
//! repeated where a time cannot.
//!
//! `scripts/instructions.sh` runs it under callgrind, once for so many turns and once for twice as
//! many: the difference is what the turns cost, without what it takes to begin.
//!
//! Without arguments, as `cargo bench` runs it, it takes one turn of each case and lists them.

use allotment::*;
use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4_096;

struct Stage {
    governor: Governor,
    of: TenantHandle,
    request: Request,
    detailed: Request,
    too_much: Request,
    id: GrantId,
    word: AtomicI64,
}

type Case = (&'static str, fn(&Stage));

const CASES: [Case; 7] = [
    ("bare pair", |stage| {
        // AcqRel: what request and release pay at least; nothing else pairs with it.
        black_box(&stage.word).fetch_add(black_box(4_096), Ordering::AcqRel);
        black_box(&stage.word).fetch_sub(black_box(4_096), Ordering::AcqRel);
    }),
    ("request + release, by drop", |stage| {
        drop(stage.governor.try_request(black_box(&stage.request)));
    }),
    ("request + release, by id", |stage| {
        let id = stage.governor.try_request(black_box(&stage.request)).map(Grant::into_id);
        let _ = id.map(|id| stage.governor.release(stage.of, black_box(id)));
    }),
    ("request + release, with key and cookie", |stage| {
        drop(stage.governor.try_request(black_box(&stage.detailed)));
    }),
    ("grow + shrink", |stage| {
        let _ = stage.governor.grow(stage.of, black_box(stage.id), black_box(PAGE));
        let _ = stage.governor.shrink(stage.of, black_box(stage.id), black_box(PAGE));
    }),
    ("touch", |stage| {
        let _ = stage.governor.touch(stage.of, black_box(stage.id));
    }),
    ("denied at the own limit", |stage| {
        black_box(stage.governor.try_request(black_box(&stage.too_much)).is_err());
    }),
];

impl Stage {
    /// A tenant that has used its guarantee before, so that claim is at hand.
    fn new() -> Self {
        let governor = Governor::new(GovernorConfig::new(1 << 40)).expect("a capacity in range");
        governor.on_leak(|_| {});
        let config = TenantConfig {
            guarantee_bytes: 64 * MIB,
            limit_bytes: Some(128 * MIB),
            ..TenantConfig::new(TenantId::from_u128(1), "counted")
        };
        let of = governor.register_tenant(config).expect("room for a tenant");
        let ask = |bytes| Request::new(of, AllocationType::Cache, bytes);
        drop(governor.try_request(&ask(64 * MIB)).expect("within the limit"));
        let id = governor.try_request(&ask(PAGE)).expect("within the limit").into_id();
        Self {
            of,
            request: ask(PAGE),
            detailed: ask(PAGE).key(7).cookie(8),
            too_much: ask(129 * MIB),
            id,
            word: AtomicI64::new(0),
            governor,
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let stage = Stage::new();
    let Some(wanted) = arguments.next() else {
        for (name, turn) in CASES {
            turn(&stage);
            println!("{name}");
        }
        return;
    };
    let (_, turn) = CASES.into_iter().find(|(name, _)| *name == wanted).expect("one of the cases");
    let turns: u64 = arguments.next().expect("a number of turns").parse().expect("a number");
    (0..turns).for_each(|_| turn(&stage));
}
