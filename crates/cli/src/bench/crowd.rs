//! Tenants that want more than there is: each keeps a thousand blocks and exchanges one at random
//! for a new one, and all together have room for nine tenths of their blocks. So one block in ten
//! has been evicted when its turn comes, gives nothing back, and the new one has to evict another.

use allotment::{
    Error, Governor, GovernorConfig, Grant, ReclaimAnswer, Refusal, Request, TenantConfig,
    TenantHandle, TenantId,
};

use super::cases::request;
use super::latency::Turn;

/// Blocks that each tenant would like to keep.
const BLOCKS: usize = 1_024;

const BLOCK_BYTES: u64 = 2 << 20;

/// How much of what all want there is.
const ROOM_PERCENT: u64 = 90;

/// A governor for so many tenants.
pub(super) fn governor(tenants: usize) -> Result<Governor, Refusal> {
    let wanted = tenants as u64 * BLOCKS as u64 * BLOCK_BYTES;
    let governor = Governor::new(GovernorConfig::new(wanted * ROOM_PERCENT / 100))?;
    governor.on_reclaim(|_| ReclaimAnswer::Freed);
    Ok(governor)
}

/// One of the tenants.
pub(super) struct Member<'g> {
    governor: &'g Governor,
    tenant: TenantHandle,
    request: Request,
    blocks: Vec<Option<Grant<'g>>>,
    /// What was asked for so far.
    pub requests: u64,
    /// How often the answer was no.
    pub denied: u64,
}

impl<'g> Member<'g> {
    /// A tenant of this number, without blocks yet.
    pub fn new(governor: &'g Governor, number: usize) -> Result<Self, Refusal> {
        let id = TenantId::from_u128(number as u128 + 1);
        let tenant = governor.register_tenant(TenantConfig::new(id, format!("t{number}")))?;
        let blocks = (0..BLOCKS).map(|_| None).collect();
        let request = request(tenant, BLOCK_BYTES);
        Ok(Self { governor, tenant, request, blocks, requests: 0, denied: 0 })
    }

    /// Takes as many blocks as there is room for, and evicts others' beyond that.
    pub fn fill(&mut self) {
        (0..BLOCKS as u64).for_each(|at| self.turn(at));
    }

    /// Blocks of this tenant that were evicted so far.
    pub fn evicted(&self) -> Result<u64, Error> {
        Ok(self.governor.usage(self.tenant)?.evicted)
    }

    /// Gives all blocks back.
    pub fn leave(&mut self) {
        self.blocks.fill_with(|| None);
    }
}

impl Turn for Member<'_> {
    fn turn(&mut self, dice: u64) {
        let block = &mut self.blocks[dice as usize % BLOCKS];
        // Released here; that of one that was evicted is over already.
        *block = None;
        self.requests += 1;
        match self.governor.request(&self.request) {
            Ok(grant) => *block = Some(grant),
            Err(_) => self.denied += 1,
        }
    }
}
