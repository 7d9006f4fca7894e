//! Why a request would be refused, and what would have to happen.

use crate::denial::{allot_account_kind, allot_denial_reason, number};
use crate::governor::allot_governor;
use crate::grant::allot_grant;
use crate::guard::call;
use crate::pointer::{Buffer, Versioned, out_optional, out_struct_optional, read};
use crate::request::allot_request_spec;
use crate::status::{ALLOT_OK, allot_status};
use crate::tenant::allot_tenant;
use allotment::Explanation;
use std::ffi::c_char;

/// Holders named in an explanation, at most.
pub const ALLOT_HOLDERS_MAX: u32 = 5;
/// Victims and pins listed in an explanation one by one, at most; totals count all.
pub const ALLOT_LISTED_MAX: u32 = 16;

/// What would decide a request now. Begin with ALLOT_EXPLANATION_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_explanation {
    /// sizeof(allot_explanation).
    pub struct_size: u32,
    /// The check that refuses; 0: the request would be granted at once.
    pub reason: allot_denial_reason,
    /// The account that refuses.
    pub account: u64,
    /// What that is.
    pub account_kind: allot_account_kind,
    /// 1: the same request can succeed later without a change of configuration.
    pub waiting_can_help: u32,
    /// Bytes asked for.
    pub asked_bytes: u64,
    /// Bytes missing at the account that refuses.
    pub short_bytes: u64,
    /// Bytes in use there, guarantees that are not used included.
    pub used_bytes: u64,
    /// Its limit in force: bytes, or grants for ALLOT_REASON_GRANT_COUNT.
    pub limit: u64,
    /// Bytes of the grants that allot_request would evict.
    pub plan_bytes: u64,
    /// Bytes still missing after that; 0: the request would be granted.
    pub plan_missing_bytes: u64,
    /// Bytes of grants in the way that are pinned or kept alive.
    pub pinned_bytes: u64,
    /// Grants that allot_request would evict.
    pub plan_grants: u32,
    /// Grants in the way that are pinned or kept alive.
    pub pinned_grants: u32,
    /// Entries of holders.
    pub holders_count: u32,
    /// Entries of victims.
    pub victims_count: u32,
    /// Entries of pinned.
    pub pinned_count: u32,
    /// 0.
    pub reserved: u32,
    /// The largest holders below the account that refuses, largest first.
    pub holders: [allot_tenant; 5],
    /// Bytes that each of them holds.
    pub holder_bytes: [u64; 5],
    /// The first grants that would be evicted, in that order.
    pub victims: [allot_grant; 16],
    /// Bytes that each of them holds.
    pub victim_bytes: [u64; 16],
    /// The first grants in the way that are pinned or kept alive.
    pub pinned: [allot_grant; 16],
}

// SAFETY: numbers only, none of them padded.
unsafe impl Versioned for allot_explanation {
    const SIZE_MIN: usize = 568;
}

impl Default for allot_explanation {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reason: 0,
            account: 0,
            account_kind: 0,
            waiting_can_help: 0,
            asked_bytes: 0,
            short_bytes: 0,
            used_bytes: 0,
            limit: 0,
            plan_bytes: 0,
            plan_missing_bytes: 0,
            pinned_bytes: 0,
            plan_grants: 0,
            pinned_grants: 0,
            holders_count: 0,
            victims_count: 0,
            pinned_count: 0,
            reserved: 0,
            holders: [0; 5],
            holder_bytes: [0; 5],
            victims: [0; 16],
            victim_bytes: [0; 16],
            pinned: [0; 16],
        }
    }
}

impl From<&Explanation> for allot_explanation {
    fn from(explanation: &Explanation) -> Self {
        let (account_kind, account) = number(explanation.account);
        let Explanation { evictions: plan, pins, holders, pinned, .. } = explanation;
        let (holders, holders_count) = list(holders.iter().map(|holder| holder.tenant.as_u64()));
        let (holder_bytes, _) = list(explanation.holders.iter().map(|holder| holder.bytes));
        let (victims, victims_count) = list(plan.victims.iter().map(|v| v.grant.as_u64()));
        let (victim_bytes, _) = list(plan.victims.iter().map(|victim| victim.bytes));
        let (pinned, pinned_count) = list(pinned.iter().map(|grant| grant.as_u64()));
        Self {
            reason: explanation.reason.map_or(0, |reason| reason.code().into()),
            account,
            account_kind,
            waiting_can_help: explanation.waiting_can_help.into(),
            asked_bytes: explanation.asked_bytes,
            short_bytes: explanation.short_bytes,
            used_bytes: explanation.used_bytes,
            limit: explanation.limit,
            plan_bytes: plan.bytes,
            plan_missing_bytes: plan.missing_bytes,
            pinned_bytes: pins.bytes,
            plan_grants: plan.grants,
            pinned_grants: pins.grants,
            holders_count,
            victims_count,
            pinned_count,
            holders,
            holder_bytes,
            victims,
            victim_bytes,
            pinned,
            ..Self::default()
        }
    }
}

/// The first of some numbers, and how many they are.
fn list<const MAX: usize>(numbers: impl Iterator<Item = u64>) -> ([u64; MAX], u32) {
    let mut listed = [0; MAX];
    let mut count = 0;
    for (place, number) in listed.iter_mut().zip(numbers) {
        *place = number;
        count += 1;
    }
    (listed, count)
}

/// Says what would decide a request now: the account and check that refuses, who holds the most,
/// what would be evicted for it, what is in the way, and whether waiting can help. As a struct, and
/// as text for people: at most buffer_size bytes with a NUL, and in *out_length how long the text
/// is without it. Changes nothing. Exact at rest.
///
/// Owns: the caller the buffer. Threads: any. Blocks: on the administrative mutex; allocates; steps
/// grow with accounts and grants. Returns: ALLOT_OK; ALLOT_TRUNCATED, with *out_explanation written
/// as well; errors as for allot_try_request. out_explanation and out_length may be NULL, buffer
/// with size 0. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_explain(
    governor: *mut allot_governor,
    request: *const allot_request_spec,
    out_explanation: *mut allot_explanation,
    buffer: *mut c_char,
    buffer_size: u64,
    out_length: *mut u64,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let request = read(request)?.checked()?;
            let out_explanation = out_struct_optional(out_explanation)?;
            let wants_text = buffer_size > 0 || !out_length.is_null();
            let buffer = Buffer::new(buffer, buffer_size)?;
            let out_length = out_optional(out_length)?;
            let explanation = governor.inner.explain(&request)?;
            if let Some(out_explanation) = out_explanation {
                out_explanation.write(&(&explanation).into());
            }
            match wants_text {
                true => Ok(buffer.write(&explanation.to_string(), out_length)),
                false => Ok(ALLOT_OK),
            }
        })
    }
}
