//! Calls of one thread on a governor and on the naive model of the tests: every answer and every
//! victim must be equal. Between them come handles that are stale, of another governor or of
//! another tenant, which are refused and change nothing; at the end nobody holds anything.

#![no_main]

#[path = "../../tests/oracle/model.rs"]
mod model;
#[path = "../../tests/oracle/pair.rs"]
mod pair;

use arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use model::Limits;
use pair::{Op, Pair};

const OPS_MAX: usize = 120;

/// How a governor is set up, and what is then done.
#[derive(Debug)]
struct Case {
    pool_pressure: bool,
    headroom: u64,
    quantum: u64,
    tenants: Vec<(usize, Limits)>,
    ops: Vec<Op>,
}

impl<'a> Arbitrary<'a> for Case {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let pool_pressure = u.arbitrary()?;
        let headroom = up_to(u, 20)?;
        let quantum = *u.choose(&[0, 7, 1 << 20])?;
        let mut tenants = Vec::new();
        for _ in 0..u.int_in_range(1..=4)? {
            tenants.push((u.int_in_range(0..=3)?, limits(u)?));
        }
        let mut ops = Vec::new();
        while !u.is_empty() && ops.len() < OPS_MAX {
            ops.push(op(u)?);
        }
        Ok(Self { pool_pressure, headroom, quantum, tenants, ops })
    }
}

fn up_to(u: &mut Unstructured<'_>, most: u64) -> Result<u64> {
    u.int_in_range(0..=most)
}

fn bytes(u: &mut Unstructured<'_>) -> Result<u64> {
    u.int_in_range(1..=150)
}

/// A place, for pair.rs to take modulo what there is.
fn place(u: &mut Unstructured<'_>) -> Result<usize> {
    u.int_in_range(0..=39)
}

fn kind(u: &mut Unstructured<'_>) -> Result<usize> {
    u.int_in_range(0..=3)
}

fn limits(u: &mut Unstructured<'_>) -> Result<Limits> {
    let guarantee = if u.arbitrary()? { up_to(u, 30)? } else { 0 };
    let beyond = if u.arbitrary()? { Some(up_to(u, 60)?) } else { None };
    Ok(Limits {
        guarantee,
        limit: beyond.map(|beyond| (guarantee + beyond).max(1)),
        burst: if u.arbitrary()? { Some(up_to(u, 30)?) } else { None },
        priority: u.int_in_range(0..=3)?,
        isolation: u.int_in_range(0..=2)?,
        count: if u.ratio(1, 8)? { Some((kind(u)?, u.int_in_range(0..=3)?)) } else { None },
    })
}

fn op(u: &mut Unstructured<'_>) -> Result<Op> {
    Ok(match u.int_in_range(0..=27)? {
        0..=5 => Op::Request {
            tenant: place(u)?,
            kind: kind(u)?,
            bytes: bytes(u)?,
            traits: u.arbitrary()?,
            evicting: u.arbitrary()?,
        },
        6 => Op::Reserve {
            tenant: place(u)?,
            kind: kind(u)?,
            bytes: bytes(u)?,
            ttl_ns: up_to(u, 100)?,
        },
        7 => {
            let mut asks = Vec::new();
            for _ in 0..u.int_in_range(0..=4)? {
                asks.push((place(u)?, kind(u)?, bytes(u)?));
            }
            Op::Batch(asks)
        }
        8 | 9 => Op::Grow { grant: place(u)?, by: bytes(u)?, evicting: u.arbitrary()? },
        10 => Op::Shrink { grant: place(u)?, by: u.int_in_range(1..=12)? },
        11 | 12 => Op::Release { grant: place(u)? },
        13 => Op::Touch { grant: place(u)? },
        14 => Op::Pin { grant: place(u)?, pinned: u.arbitrary()? },
        15 => Op::KeepAlive { grant: place(u)?, for_ns: up_to(u, 100)? },
        16 => Op::Commit { grant: place(u)? },
        17 => Op::Decline { grant: place(u)? },
        18 => Op::SetTenant { tenant: place(u)?, limits: limits(u)? },
        19 => {
            let beyond = if u.arbitrary()? { Some(up_to(u, 60)?) } else { None };
            Op::SetGroup { group: u.int_in_range(0..=2)?, guarantee: up_to(u, 50)?, beyond }
        }
        20 => Op::SetCapacity(u.int_in_range(20..=160)?),
        21 => Op::Register { parent: u.int_in_range(0..=3)?, limits: limits(u)? },
        22 => Op::Unregister { tenant: place(u)?, how: u.int_in_range(0..=2)? },
        23 => Op::Balance,
        24 => Op::Report(u.int_in_range(0..=2)?),
        25 => Op::Stale { grant: place(u)? },
        26 => Op::Foreign { tenant: place(u)?, number: u.arbitrary()? },
        _ => Op::Advance(up_to(u, 60)?),
    })
}

fuzz_target!(|case: Case| {
    let mut pair = Pair::new(case.pool_pressure, case.headroom, case.quantum, &case.tenants);
    for op in &case.ops {
        pair.apply(op);
    }
    pair.finish();
});
