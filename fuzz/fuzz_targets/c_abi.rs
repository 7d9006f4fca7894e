//! Calls of the C ABI with any bytes as structs, sizes, numbers and texts. Pointers are what the
//! header asks for: NULL, misaligned, or valid for what is said beside them, to the byte, so that
//! AddressSanitizer sees each byte beyond. A call answers with a status that it may have, an error
//! changes nothing, and at the end the books add up.
//!
//! Left out are calls that block or make threads: waiting for a ticket, being told of it, reclaim
//! with a timeout.

#![no_main]

use allot::denial::*;
use allot::events::*;
use allot::explain::*;
use allot::governor::*;
use allot::grant::*;
use allot::group::*;
use allot::message::*;
use allot::pressure::*;
use allot::reclaim::*;
use allot::request::*;
use allot::snapshot::*;
use allot::status::*;
use allot::tenant::*;
use allot::ticket::*;
use allot::usage::*;
use arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{c_char, c_void};
use std::mem::offset_of;
use std::ptr::{null, null_mut};

const CALLS_MAX: usize = 60;
/// Tables are at most this large: a governor is made for each case.
const TABLE_MAX: u32 = 1 << 6;
const ALIGN: usize = 16;

/// Memory of the caller's of a size to the byte.
struct Memory {
    base: *mut u8,
    layout: Layout,
    /// Where the pointer points: past the beginning, if it is misaligned; nowhere: NULL.
    shift: Option<usize>,
}

impl Memory {
    fn new(bytes: &[u8], shift: Option<usize>) -> Self {
        let size = (bytes.len() + shift.unwrap_or(0)).max(1);
        let layout = Layout::from_size_align(size, ALIGN).unwrap();
        // SAFETY: it is not empty, and large enough for the bytes behind the shift.
        let base = unsafe {
            let base = alloc_zeroed(layout);
            assert!(!base.is_null());
            base.add(shift.unwrap_or(0)).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            base
        };
        Self { base, layout, shift }
    }

    fn pointer<T>(&self) -> *mut T {
        match self.shift {
            None => null_mut(),
            Some(shift) => self.base.wrapping_add(shift).cast(),
        }
    }

    fn number(&self) -> u64 {
        // SAFETY: only asked of what was made for a number.
        unsafe { self.pointer::<u64>().read_unaligned() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was made with this layout.
        unsafe { dealloc(self.base, self.layout) }
    }
}

/// The caller, and what it was given.
struct Caller<'a> {
    u: Unstructured<'a>,
    governor: *mut allot_governor,
    handles: Vec<u64>,
    grants: Vec<(u64, u64)>,
    tickets: Vec<u64>,
    /// Names that structs point to.
    names: Vec<Memory>,
}

/// What is asked for as bytes of a struct.
trait Struct: Default + Copy {
    /// Where a name and its length stand.
    const NAME: Option<(usize, usize)> = None;
}

impl Struct for allot_config {}
impl Struct for allot_request_spec {}
impl Struct for allot_denial {}
impl Struct for allot_victim {}
impl Struct for allot_balance_report {}
impl Struct for allot_usage {}
impl Struct for allot_pool {}
impl Struct for allot_explanation {}
impl Struct for allot_event {}
impl Struct for allot_event_reader {}
impl Struct for allot_group_config {
    const NAME: Option<(usize, usize)> =
        Some((offset_of!(allot_group_config, name), offset_of!(allot_group_config, name_length)));
}
impl Struct for allot_tenant_config {
    const NAME: Option<(usize, usize)> =
        Some((offset_of!(allot_tenant_config, name), offset_of!(allot_tenant_config, name_length)));
}

/// Arguments.
impl Caller<'_> {
    /// Mostly what it should be; seldom nothing, or misaligned.
    fn shift(&mut self) -> Result<Option<usize>> {
        Ok(match self.u.int_in_range(0..=31)? {
            0 => None,
            1 => Some(self.u.int_in_range(1..=7)?),
            _ => Some(0),
        })
    }

    fn place(&mut self) -> Result<Memory> {
        let shift = self.shift()?;
        Ok(Memory::new(&[0xa5; 8], shift))
    }

    fn bytes(&mut self, most: usize) -> Result<Vec<u8>> {
        let length = self.u.int_in_range(0..=most)?;
        (0..length).map(|_| self.u.arbitrary()).collect()
    }

    fn text(&mut self) -> Result<(Memory, u64)> {
        let bytes = match self.u.int_in_range(0..=3)? {
            0 => b"chat".to_vec(),
            1 => b"team".to_vec(),
            _ => self.bytes(300)?,
        };
        Ok((Memory::new(&bytes, Some(0)), bytes.len() as u64))
    }

    /// A size, a count, a time: small ones are likely.
    fn amount(&mut self) -> Result<u64> {
        Ok(match self.u.int_in_range(0..=7)? {
            0 => self.u.arbitrary()?,
            1 => u64::MAX,
            2 => 0,
            _ => self.u.int_in_range(1..=2_000)?,
        })
    }

    /// A handle of any kind that was given out, or any number.
    fn handle(&mut self) -> Result<u64> {
        if self.handles.is_empty() || self.u.ratio(1, 16)? {
            return self.u.arbitrary();
        }
        Ok(*self.u.choose(&self.handles)?)
    }

    fn grant(&mut self) -> Result<(u64, u64)> {
        if self.grants.is_empty() || self.u.ratio(1, 16)? {
            return Ok((self.handle()?, self.handle()?));
        }
        Ok(*self.u.choose(&self.grants)?)
    }

    fn ticket(&mut self) -> Result<u64> {
        if self.tickets.is_empty() || self.u.ratio(1, 16)? {
            return self.u.arbitrary();
        }
        Ok(*self.u.choose(&self.tickets)?)
    }

    fn governor(&mut self) -> Result<*mut allot_governor> {
        Ok(if self.u.ratio(1, 64)? { null_mut() } else { self.governor })
    }

    /// The bytes of a struct: as it is to begin with, or any; some of its words any; of a size that
    /// it says itself, mostly its own.
    fn words<T: Struct>(&mut self, first: T) -> Result<Vec<u8>> {
        let own = size_of::<T>();
        // SAFETY: structs of the header have no padding.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const first).cast::<u8>(), own) };
        let mut bytes = bytes.to_vec();
        for _ in 0..self.u.int_in_range(0..=3)? {
            let place = self.u.int_in_range(1..=own / 4 - 1)? * 4;
            let wide = place % 8 == 0 && self.u.arbitrary()?;
            let word = if self.u.arbitrary()? { self.handle()? } else { self.amount()? };
            let word = &word.to_le_bytes()[..if wide { 8 } else { 4 }];
            bytes[place..place + word.len()].copy_from_slice(word);
        }
        if self.u.ratio(1, 12)? {
            let size = match self.u.int_in_range(0..=3)? {
                0 => own.saturating_sub(8),
                1 => own + 8,
                2 => self.u.int_in_range(0..=4_200)?,
                _ => self.u.int_in_range(0..=own)?,
            };
            bytes.resize(size.max(4), 0);
            if self.u.ratio(1, 4)? {
                *bytes.last_mut().unwrap() ^= 1;
            }
            bytes[..4].copy_from_slice(&(size as u32).to_le_bytes());
        }
        Ok(bytes)
    }

    /// Where a struct points to a name, the name is there.
    fn name<T: Struct>(&mut self, bytes: &mut [u8]) -> Result<()> {
        let Some((pointer, length)) = T::NAME.filter(|(_, length)| bytes.len() >= length + 8)
        else {
            return Ok(());
        };
        let (name, name_length) = self.text()?;
        let address = name.pointer::<u8>() as u64;
        bytes[pointer..pointer + 8].copy_from_slice(&address.to_le_bytes());
        bytes[length..length + 8].copy_from_slice(&name_length.to_le_bytes());
        self.names.push(name);
        Ok(())
    }

    fn given<T: Struct>(&mut self, first: T) -> Result<Memory> {
        let mut bytes = self.words(first)?;
        self.name::<T>(&mut bytes)?;
        let shift = self.shift()?;
        Ok(Memory::new(&bytes, shift))
    }

    fn request(&mut self) -> Result<(Memory, u64)> {
        let tenant = self.handle()?;
        let allocation_type = self.u.int_in_range(0..=3)?;
        let (bytes, flags) = (self.amount()?, self.u.int_in_range(0..=3)?);
        let plain =
            allot_request_spec { tenant, allocation_type, bytes, flags, ..Default::default() };
        let memory = self.given(plain)?;
        // What became of the tenant in the bytes.
        let at = offset_of!(allot_request_spec, tenant);
        let size = memory.layout.size() - memory.shift.unwrap_or(0);
        let says = memory.pointer::<u8>().wrapping_add(at).cast::<u64>();
        let is_there = memory.shift.is_some() && size >= at + 8;
        // SAFETY: it is there.
        let tenant = if is_there { unsafe { says.read_unaligned() } } else { 0 };
        Ok((memory, tenant))
    }
}

// Answers.

fn check(status: allot_status) -> allot_status {
    let known = TEXTS.iter().any(|(number, ..)| *number == status);
    assert!(known, "{status} is no status");
    let never = [
        ALLOT_ERROR_PANICKED,
        ALLOT_ERROR_NOT_A_GOVERNOR,
        ALLOT_ERROR_FORKED,
        ALLOT_ERROR_THREAD,
        ALLOT_ERROR_OTHER,
        ALLOT_ERROR_BUSY,
        ALLOT_ERROR_CONTENDED,
    ];
    assert!(!never.contains(&status), "{status} of one thread");
    status
}

extern "C-unwind" fn reclaim(
    _: *mut allot_governor,
    victim: *const allot_victim,
    answer: *mut c_void,
) -> allot_reclaim_answer {
    // SAFETY: it is valid during the call.
    let victim = unsafe { *victim };
    assert!(victim.bytes > 0 && victim.grant != 0);
    match answer as u64 {
        3 => (victim.cookie ^ victim.bytes) as u32 % 4,
        answer => answer as u32,
    }
}

extern "C-unwind" fn pressure(_: *mut allot_governor, level: u32, _: *mut c_void) {
    assert!(level <= ALLOT_PRESSURE_CRITICAL);
}

/// Calls.
impl Caller<'_> {
    fn pool(&self) -> allot_pool {
        let mut pool = allot_pool::default();
        // SAFETY: both are valid.
        assert_eq!(unsafe { allot_pool_usage(self.governor, &raw mut pool) }, ALLOT_OK);
        pool
    }

    /// An answer of a call that had such a pool before it: an error changes nothing.
    fn answered(&self, before: &allot_pool, status: allot_status) -> allot_status {
        if check(status) < 0 {
            let what = |pool: &allot_pool| {
                (pool.capacity_bytes, pool.live_bytes, pool.tenants, pool.groups, pool.pressure)
            };
            assert_eq!(
                what(&self.pool()),
                what(before),
                "an error, {status}, has changed something"
            );
        }
        status
    }

    fn administer(&mut self, call: u8) -> Result<allot_status> {
        let (governor, handle) = (self.governor()?, self.handle()?);
        let out = self.place()?;
        // SAFETY: what is passed is as the header says.
        let status = unsafe {
            match call {
                0 => {
                    let config = self.given(allot_tenant_config::default())?;
                    allot_tenant_register(governor, config.pointer(), out.pointer())
                }
                1 => {
                    let config = self.given(allot_group_config::default())?;
                    allot_group_register(governor, config.pointer(), out.pointer())
                }
                2 => {
                    let config = self.given(allot_tenant_config::default())?;
                    allot_tenant_update(governor, handle, config.pointer())
                }
                3 => {
                    let config = self.given(allot_group_config::default())?;
                    allot_group_update(governor, handle, config.pointer())
                }
                4 => {
                    let config = self.given(allot_tenant_config::default())?;
                    allot_tenant_get(governor, handle, config.pointer())
                }
                5 => allot_tenant_unregister(governor, handle, self.u.int_in_range(0..=3)?),
                6 => allot_group_unregister(governor, handle),
                7 => {
                    let (name, length) = self.text()?;
                    allot_tenant_find_name(governor, name.pointer(), length, out.pointer())
                }
                8 => {
                    let (name, length) = self.text()?;
                    allot_group_find_name(governor, name.pointer(), length, out.pointer())
                }
                9 => {
                    let id = Memory::new(&[self.u.int_in_range(0..=2)?; 16], Some(0));
                    allot_tenant_find(governor, id.pointer(), out.pointer())
                }
                _ => allot_governor_set_capacity(governor, self.amount()?),
            }
        };
        if matches!(call, 0 | 1 | 7..=9) && status == ALLOT_OK {
            self.handles.push(out.number());
        }
        Ok(status)
    }

    fn ask(&mut self, call: u8) -> Result<allot_status> {
        let governor = self.governor()?;
        let (spec, tenant) = self.request()?;
        let (out, ticket) = (self.place()?, self.place()?);
        let denial = self.given(allot_denial::default())?;
        let (request, grant, denial) = (spec.pointer(), out.pointer(), denial.pointer());
        // SAFETY: what is passed is as the header says.
        let status = unsafe {
            match call {
                0 => allot_try_request(governor, request, grant, denial),
                1 => allot_reserve(governor, request, self.amount()?, grant, denial),
                2 => {
                    let wait_ns = self.amount()?;
                    allot_enqueue(governor, request, wait_ns, grant, ticket.pointer(), denial)
                }
                3 => allot_acquire(governor, request, 0, grant, denial),
                4 => allot_attainable(governor, request, out.pointer()),
                5 => allot_estimate_wait(governor, request, out.pointer()),
                6 => {
                    let size = self.u.int_in_range(0..=600)?;
                    let buffer = Memory::new(&vec![0xa5; size as usize], Some(0));
                    let explanation = self.given(allot_explanation::default())?;
                    let (explanation, text) = (explanation.pointer(), buffer.pointer::<c_char>());
                    allot_explain(governor, request, explanation, text, size, out.pointer())
                }
                _ => allot_request(governor, request, grant, denial),
            }
        };
        match (status, call) {
            (ALLOT_OK, 0..=3 | 7..) => {
                self.grants.push((tenant, out.number()));
                self.handles.push(out.number());
            }
            (ALLOT_QUEUED, _) => self.tickets.push(ticket.number()),
            _ => {}
        }
        Ok(status)
    }

    fn ask_together(&mut self) -> Result<allot_status> {
        let governor = self.governor()?;
        let count = self.u.int_in_range(0..=4)?;
        let (mut bytes, mut tenants) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (tenant, size) = (self.handle()?, self.amount()?);
            let spec = allot_request_spec {
                tenant,
                bytes: size,
                allocation_type: 2,
                ..Default::default()
            };
            let first = self.words(spec)?;
            let stride = u32::from_le_bytes(*first.first_chunk().unwrap()) as usize;
            // All of one size, or the last is of another; there is room for all of the first's.
            bytes.extend(first);
            let own = bytes.len().div_ceil(stride.max(4)) * stride.max(4);
            bytes.resize(own, 0);
            tenants.push(tenant);
        }
        let stride = bytes.first_chunk().map_or(0, |size| u32::from_le_bytes(*size)) as usize;
        bytes.resize(bytes.len().max(stride * count), 0);
        let requests = Memory::new(&bytes, Some(0));
        let out = Memory::new(&vec![0; 8 * count], Some(0));
        // SAFETY: there are so many of both.
        let status = unsafe {
            let (requests, grants) = (requests.pointer(), out.pointer::<u64>());
            allot_request_all(governor, requests, count as u64, grants, null_mut())
        };
        if status == ALLOT_OK {
            for at in 0..count {
                // SAFETY: so many were written.
                let (grant, spec) = unsafe {
                    let spec = requests.pointer::<u8>().add(at * stride);
                    let tenant = spec.add(offset_of!(allot_request_spec, tenant)).cast::<u64>();
                    (out.pointer::<u64>().add(at).read(), tenant.read_unaligned())
                };
                self.grants.push((spec, grant));
            }
        }
        Ok(status)
    }

    fn hold(&mut self, call: u8) -> Result<allot_status> {
        let (governor, (tenant, grant)) = (self.governor()?, self.grant()?);
        let (amount, out) = (self.amount()?, self.place()?);
        let denial = self.given(allot_denial::default())?;
        let denial = denial.pointer();
        // SAFETY: what is passed is as the header says.
        Ok(unsafe {
            match call {
                0 => allot_grant_grow(governor, tenant, grant, amount, denial),
                1 => allot_grant_grow_evicting(governor, tenant, grant, amount, denial),
                2 => allot_grant_shrink(governor, tenant, grant, amount),
                3 => allot_grant_true_up(governor, tenant, grant, amount, denial),
                4 => allot_grant_touch(governor, tenant, grant),
                5 => allot_grant_pin(governor, tenant, grant),
                6 => allot_grant_unpin(governor, tenant, grant),
                7 => allot_grant_keep_alive(governor, tenant, grant, amount),
                8 => allot_grant_commit(governor, tenant, grant),
                9 => allot_grant_decline(governor, tenant, grant),
                10 => allot_grant_bytes(governor, tenant, grant, out.pointer()),
                _ => allot_grant_release(governor, tenant, grant),
            }
        })
    }

    fn wait(&mut self, call: u8) -> Result<allot_status> {
        let (governor, ticket, out) = (self.governor()?, self.ticket()?, self.place()?);
        let denial = self.given(allot_denial::default())?;
        // SAFETY: what is passed is as the header says.
        let status = unsafe {
            match call {
                0 => allot_ticket_cancel(governor, ticket),
                1 => allot_ticket_estimate(governor, ticket, out.pointer()),
                _ => allot_ticket_poll(governor, ticket, out.pointer(), denial.pointer()),
            }
        };
        if call > 1 && status == ALLOT_OK {
            // Whose it is, the end finds out.
            self.grants.push((0, out.number()));
            self.handles.push(out.number());
        }
        Ok(status)
    }

    fn look(&mut self, call: u8) -> Result<allot_status> {
        let (governor, handle, out) = (self.governor()?, self.handle()?, self.place()?);
        // SAFETY: what is passed is as the header says; callbacks take any pointer.
        Ok(unsafe {
            match call {
                0 => allot_pool_usage(governor, self.given(allot_pool::default())?.pointer()),
                1 => {
                    let usage = self.given(allot_usage::default())?;
                    allot_tenant_usage(governor, handle, usage.pointer())
                }
                2 => allot_next_victim(governor, self.given(allot_victim::default())?.pointer()),
                3 => {
                    let report = self.given(allot_balance_report::default())?;
                    allot_balance(governor, self.u.int_in_range(0..=2)?, report.pointer())
                }
                4 => allot_report_pressure(governor, self.u.int_in_range(0..=3)?),
                5 => allot_pressure(governor, out.pointer()),
                6 => allot_report_measured(governor, handle, self.amount()?),
                7 => allot_report_measured_process(governor, self.amount()?),
                8 => {
                    let reader = self.given(allot_event_reader::default())?;
                    let event = self.given(allot_event::default())?;
                    allot_events_read(governor, reader.pointer(), event.pointer())
                }
                9 => {
                    let answer = self.u.int_in_range(0..=4)? as *mut c_void;
                    let function: allot_reclaim_fn =
                        if answer.is_null() { None } else { Some(reclaim) };
                    match self.u.arbitrary()? {
                        true => allot_on_reclaim(governor, 0, function, answer, None),
                        false => {
                            allot_tenant_on_reclaim(governor, handle, 0, function, answer, None)
                        }
                    }
                }
                10 => allot_on_pressure(governor, Some(pressure), null_mut(), None),
                11 => allot_clock_now_ns(governor, out.pointer()),
                12 => allot_tenant_name_of(self, governor, handle)?,
                13 => self.snapshot(governor)?,
                _ => allot_clock_advance_ns(governor, self.amount()? % 100_000),
            }
        })
    }

    fn snapshot(&mut self, governor: *mut allot_governor) -> Result<allot_status> {
        let (out, place) = (self.place()?, self.u.int_in_range(0..=9)?);
        let size = self.u.int_in_range(0..=40)?;
        let buffer = Memory::new(&vec![0xa5; size as usize], Some(0));
        let usage = self.given(allot_usage::default())?;
        // SAFETY: what is passed is as the header says.
        unsafe {
            let status = allot_snapshot_take(governor, out.pointer());
            if status != ALLOT_OK {
                return Ok(status);
            }
            let snapshot = out.number() as *mut allot_snapshot;
            let mut pool = allot_pool::default();
            assert_eq!(allot_snapshot_pool(snapshot, &raw mut pool), ALLOT_OK);
            let mut sum = 0;
            for place in 0..pool.tenants.into() {
                let mut usage = allot_usage::default();
                assert_eq!(allot_snapshot_tenant(snapshot, place, &raw mut usage), ALLOT_OK);
                assert!(usage.used_bytes <= usage.claimed_bytes, "V1");
                sum += usage.used_bytes;
            }
            assert!(sum <= pool.live_bytes, "tenants use {sum} of {} bytes", pool.live_bytes);
            check(allot_snapshot_tenant(snapshot, place, usage.pointer()));
            let (text, length) = (buffer.pointer(), null_mut());
            check(allot_snapshot_tenant_name(snapshot, place, text, size, length));
            check(allot_snapshot_group_name(snapshot, place, text, size, length));
            allot_snapshot_free(snapshot);
        }
        Ok(ALLOT_OK)
    }

    fn call(&mut self) -> Result<()> {
        let before = self.pool();
        let kind = self.u.int_in_range(0..=15)?;
        let status = match kind {
            0..=2 => {
                let call = self.u.int_in_range(0..=10)?;
                self.administer(call)?
            }
            3..=7 => {
                let call = self.u.int_in_range(0..=10)?;
                self.ask(call)?
            }
            8 => self.ask_together()?,
            9..=11 => {
                let call = self.u.int_in_range(0..=12)?;
                self.hold(call)?
            }
            12 => {
                let call = self.u.int_in_range(0..=3)?;
                self.wait(call)?
            }
            _ => {
                let call = self.u.int_in_range(0..=14)?;
                self.look(call)?
            }
        };
        if self.answered(&before, status) < 0 {
            let buffer = Memory::new(&[0xa5; 40], Some(0));
            // SAFETY: it has so many bytes.
            check(unsafe { allot_error_message(buffer.pointer(), 40, null_mut()) });
        }
        Ok(())
    }
}

fn allot_tenant_name_of(
    caller: &mut Caller<'_>,
    governor: *mut allot_governor,
    handle: u64,
) -> Result<allot_status> {
    let (size, length) = (caller.u.int_in_range(0..=20)?, caller.place()?);
    let buffer = Memory::new(&vec![0xa5; size as usize], Some(0));
    // SAFETY: what is passed is as the header says.
    Ok(unsafe { allot_tenant_name(governor, handle, buffer.pointer(), size, length.pointer()) })
}

/// Tables are cut to what is quickly made; what is out of range stays so.
fn cut(bytes: &mut [u8]) {
    for at in [
        offset_of!(allot_config, tenants_max),
        offset_of!(allot_config, groups_max),
        offset_of!(allot_config, grants_max),
        offset_of!(allot_config, ghost_keys_max),
        offset_of!(allot_config, events_max),
        offset_of!(allot_config, waiters_max),
    ] {
        if let Some(word) = bytes.get_mut(at..at + 4) {
            let size = u32::from_le_bytes(*word.first_chunk().unwrap());
            if size <= 1 << 28 {
                word.copy_from_slice(&size.min(TABLE_MAX).to_le_bytes());
            }
        }
    }
}

/// A governor of a configuration of any bytes, or of a text; none: it was refused.
fn governor(caller: &mut Caller<'_>) -> Result<*mut allot_governor> {
    let plain =
        allot_config { capacity_bytes: 5_000, clock: ALLOT_CLOCK_MANUAL, ..Default::default() };
    let mut bytes = caller.words(plain)?;
    cut(&mut bytes);
    let (shift, out) = (caller.shift()?, caller.place()?);
    let config = Memory::new(&bytes, shift);
    let in_words = caller.u.ratio(1, 8)?;
    let mut text = b"capacity = \"1MiB\"\n[[tenants]]\nname = \"chat\"\n".to_vec();
    if in_words && caller.u.arbitrary()? {
        text.extend(caller.bytes(200)?);
    }
    let given = Memory::new(&text, Some(0));
    let config = if in_words && config.shift.is_none() { null() } else { config.pointer() };
    // SAFETY: what is passed is as the header says.
    let status = check(unsafe {
        match in_words {
            true => {
                let length = text.len() as u64;
                allot_governor_new_toml(given.pointer(), length, config, out.pointer())
            }
            false => allot_governor_new(config, out.pointer()),
        }
    });
    Ok(if status == ALLOT_OK { out.number() as *mut allot_governor } else { null_mut() })
}

/// Gives everything back; then there is nothing left.
fn end(caller: &Caller<'_>) {
    let governor = caller.governor;
    // SAFETY: the governor is there until it is freed.
    unsafe {
        check(allot_on_reclaim(governor, 0, None, null_mut(), None));
        for &ticket in &caller.tickets {
            check(allot_ticket_cancel(governor, ticket));
        }
        let tenants = caller.handles.iter().copied();
        let named = caller.grants.iter().filter(|(tenant, _)| *tenant != 0);
        for &(tenant, grant) in named {
            check(allot_grant_release(governor, tenant, grant));
        }
        for &(_, grant) in caller.grants.iter().filter(|(tenant, _)| *tenant == 0) {
            for tenant in tenants.clone() {
                check(allot_grant_release(governor, tenant, grant));
            }
        }
        let pool = caller.pool();
        assert_eq!((pool.live_bytes, pool.waiters), (0, 0), "not all was given back");
        for handle in tenants.clone() {
            check(allot_tenant_unregister(governor, handle, ALLOT_UNREGISTER_FORCE));
        }
        for handle in caller.handles.iter().rev() {
            check(allot_group_unregister(governor, *handle));
        }
        let pool = caller.pool();
        assert_eq!((pool.live_bytes, pool.groups, pool.reclaim_panics), (0, 0, 0));
        allot_governor_free(governor);
    }
}

fn run(bytes: &[u8]) -> Result<()> {
    let mut caller = Caller {
        u: Unstructured::new(bytes),
        governor: null_mut(),
        handles: Vec::new(),
        grants: Vec::new(),
        tickets: Vec::new(),
        names: Vec::new(),
    };
    caller.governor = governor(&mut caller)?;
    if caller.governor.is_null() {
        return Ok(());
    }
    // One of each, so that there is somebody to ask.
    let mut handle = 0;
    let tenant = allot_tenant_config::default();
    // SAFETY: what is passed is as the header says.
    let status =
        unsafe { allot_tenant_register(caller.governor, &raw const tenant, &raw mut handle) };
    if check(status) == ALLOT_OK {
        caller.handles.push(handle);
    }
    for _ in 0..CALLS_MAX {
        if caller.u.is_empty() || caller.call().is_err() {
            break;
        }
        caller.names.clear();
    }
    end(&caller);
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    // What is too short for a configuration makes none.
    let _ = run(bytes);
});
