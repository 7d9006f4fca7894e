//! Groups: inner nodes of the tree that own limits for their children.

use crate::governor::{ALLOT_UNLIMITED, allot_governor};
use crate::guard::{Fault, call, call_to_end};
use crate::pointer::{Versioned, out, read, text};
use crate::status::{ALLOT_ERROR_CONFIG, ALLOT_ERROR_NEWER, ALLOT_NONE, ALLOT_OK, allot_status};
use allotment::{GroupConfig, GroupHandle};
use std::ffi::c_char;

/// A registered group of one governor, by value; never 0. Refused once the group is gone.
pub type allot_group = u64;

/// Bytes of a name, at most.
pub const ALLOT_NAME_BYTES_MAX: u64 = 255;

/// A group. Begin with ALLOT_GROUP_CONFIG_INIT.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct allot_group_config {
    /// sizeof(allot_group_config).
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// What people call it: UTF-8 without NUL, at most 255 bytes. Read during the call only.
    pub name: *const c_char,
    /// Bytes of the name.
    pub name_length: u64,
    /// The group above; 0: directly below the pool.
    pub parent: allot_group,
    /// Floor of the whole group, in bytes; its children's guarantees come out of it.
    pub guarantee_bytes: u64,
    /// Ceiling of the whole group, in bytes; ALLOT_UNLIMITED: the parent's.
    pub limit_bytes: u64,
}

// SAFETY: numbers and a pointer, none of them padded.
unsafe impl Versioned for allot_group_config {
    const SIZE_MIN: usize = 48;
}

impl Default for allot_group_config {
    fn default() -> Self {
        Self {
            struct_size: size_of::<Self>() as u32,
            reserved: 0,
            name: std::ptr::null(),
            name_length: 0,
            parent: 0,
            guarantee_bytes: 0,
            limit_bytes: ALLOT_UNLIMITED,
        }
    }
}

impl allot_group_config {
    /// # Safety
    ///
    /// The name is NULL or valid.
    unsafe fn checked(&self) -> Result<GroupConfig, Fault> {
        if self.reserved != 0 {
            return Err(ALLOT_ERROR_NEWER.into());
        }
        Ok(GroupConfig {
            // SAFETY: as the caller says.
            name: unsafe { text(self.name, self.name_length, ALLOT_NAME_BYTES_MAX) }?.to_string(),
            parent: parent(self.parent),
            guarantee_bytes: self.guarantee_bytes,
            limit_bytes: limit(self.limit_bytes),
        })
    }
}

pub(crate) fn parent(group: allot_group) -> Option<GroupHandle> {
    (group != 0).then(|| GroupHandle::from_u64(group))
}

pub(crate) fn limit(bytes: u64) -> Option<u64> {
    (bytes != ALLOT_UNLIMITED).then_some(bytes)
}

/// The error of a field that cannot be changed.
pub(crate) fn fixed(field: &str) -> Fault {
    let message = format!("{field}: cannot be changed; leave it 0, or as it was registered");
    Fault::Told(ALLOT_ERROR_CONFIG, message.into())
}

/// Registers a group.
///
/// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK and *out_group;
/// ALLOT_ERROR_CONFIG for limits out of order; ALLOT_ERROR_TEXT and ALLOT_ERROR_UTF8 for the name;
/// ALLOT_ERROR_TOO_DEEP; ALLOT_ERROR_TABLE_FULL; ALLOT_ERROR_GUARANTEES_EXCEED;
/// ALLOT_ERROR_GUARANTEE_UNAVAILABLE; ALLOT_ERROR_GONE and ALLOT_ERROR_FOREIGN for the parent;
/// ALLOT_ERROR_CONTENDED as for allot_tenant_register. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_group_register(
    governor: *mut allot_governor,
    config: *const allot_group_config,
    out_group: *mut allot_group,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let config = read(config)?.checked()?;
            let out_group = out(out_group)?;
            out_group.write(governor.inner.register_group(config)?.as_u64());
            Ok(ALLOT_OK)
        })
    }
}

/// Changes guarantee, limit and name of a group while it runs. A name of length 0 leaves it as it
/// is; parent has to be 0 or what it was registered with. Below what is in use nothing is taken
/// away.
///
/// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; errors as for
/// allot_group_register; ALLOT_ERROR_CONTENDED if another thread changed it meanwhile: call again.
/// Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_group_update(
    governor: *mut allot_governor,
    group: allot_group,
    config: *const allot_group_config,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let config = read(config)?.checked()?;
            let group = GroupHandle::from_u64(group);
            // It stays as it is as long as the handle is good.
            let parent = governor.inner.group_config(group)?.parent;
            if config.parent.is_some() && config.parent != parent {
                return Err(fixed("parent"));
            }
            governor.inner.set_group(group, |now| {
                let name = std::mem::take(&mut now.name);
                *now = GroupConfig { parent, ..config };
                if now.name.is_empty() {
                    now.name = name;
                }
            })?;
            Ok(ALLOT_OK)
        })
    }
}

/// Unregisters a group without children.
///
/// Threads: any. Blocks: on the administrative mutex. Returns: ALLOT_OK; ALLOT_ERROR_HAS_CHILDREN;
/// ALLOT_ERROR_GONE; ALLOT_ERROR_FOREIGN. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_group_unregister(
    governor: *mut allot_governor,
    group: allot_group,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call_to_end(governor, |governor| {
            governor.inner.unregister_group(GroupHandle::from_u64(group))?;
            Ok(ALLOT_OK)
        })
    }
}

/// Finds a group by its name; the one in the lowest slot if several have it.
///
/// Threads: any. Blocks: on the administrative mutex; steps grow with the number of accounts.
/// Returns: ALLOT_OK and *out_group; ALLOT_NONE; ALLOT_ERROR_TEXT; ALLOT_ERROR_UTF8. Since: 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn allot_group_find_name(
    governor: *mut allot_governor,
    name: *const c_char,
    name_length: u64,
    out_group: *mut allot_group,
) -> allot_status {
    // SAFETY: the contract of the header.
    unsafe {
        call(governor, |governor| {
            let name = text(name, name_length, ALLOT_NAME_BYTES_MAX)?;
            let out_group = out(out_group)?;
            let Some(group) = governor.inner.find_group(name) else { return Ok(ALLOT_NONE) };
            out_group.write(group.as_u64());
            Ok(ALLOT_OK)
        })
    }
}
