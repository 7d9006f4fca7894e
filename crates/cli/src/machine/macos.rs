//! macOS: what the GPU works with, as Metal recommends it, and footprints of processes, as Activity
//! Monitor shows them. All of it is a bonus: what cannot be had is left out.
//!
//! Metal is asked for while the program runs, so that nothing has to be linked for it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::{size_of, transmute, zeroed};

use super::processes::SEEN_MAX;
use super::{More, Processes};

const METAL: &CStr = c"/System/Library/Frameworks/Metal.framework/Metal";
const OBJECTIVE_C: &CStr = c"/usr/lib/libobjc.A.dylib";
/// `PROC_PIDPATHINFO_MAXSIZE` is for paths; names have `2 * MAXCOMLEN` bytes at most.
const NAME_BYTES_MAX: usize = 64;

/// What is said beside the probe.
pub fn more() -> More {
    More { gpu_bytes: working_set_bytes(), ..More::default() }
}

/// The largest processes by footprint; those of other users say nothing.
pub fn processes() -> Processes {
    let mut processes = Processes::default();
    let mut pids: Vec<c_int> = vec![0; SEEN_MAX];
    let room_bytes = size_of::<c_int>() * pids.len();
    // SAFETY: the buffer is live and as long as said; what is not filled stays 0.
    let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), room_bytes as c_int) };
    pids.truncate(usize::try_from(count).unwrap_or(0));
    for pid in pids {
        if let Some(bytes) = footprint_bytes(pid) {
            processes.see(u64::try_from(pid).unwrap_or(0), bytes, || name(pid));
        }
    }
    processes
}

fn footprint_bytes(pid: c_int) -> Option<u64> {
    // SAFETY: a C struct of integers alone: all zeros are a value.
    let mut usage: libc::rusage_info_v2 = unsafe { zeroed() };
    let place = (&raw mut usage).cast::<libc::rusage_info_t>();
    // SAFETY: the struct is live and the one that this version fills.
    let status = unsafe { libc::proc_pid_rusage(pid, libc::RUSAGE_INFO_V2, place) };
    (status == 0).then_some(usage.ri_phys_footprint)
}

fn name(pid: c_int) -> String {
    let mut name = [0_u8; NAME_BYTES_MAX];
    // SAFETY: the buffer is live and as long as said.
    let length = unsafe { libc::proc_name(pid, name.as_mut_ptr().cast(), name.len() as u32) };
    let length = usize::try_from(length).unwrap_or(0).min(name.len());
    String::from_utf8_lossy(&name[..length]).into_owned()
}

/// What Metal recommends to use at most: `[device recommendedMaxWorkingSetSize]`.
fn working_set_bytes() -> Option<u64> {
    type NewDevice = unsafe extern "C" fn() -> *mut c_void;
    type Selector = unsafe extern "C" fn(name: *const c_char) -> *mut c_void;
    type Ask = unsafe extern "C" fn(object: *mut c_void, selector: *mut c_void) -> u64;
    type Release = unsafe extern "C" fn(object: *mut c_void);

    let (metal, objective_c) = (library(METAL)?, library(OBJECTIVE_C)?);
    let new_device = symbol(metal, c"MTLCreateSystemDefaultDevice")?;
    let selector = symbol(objective_c, c"sel_registerName")?;
    let ask = symbol(objective_c, c"objc_msgSend")?;
    let release = symbol(objective_c, c"objc_release")?;
    // SAFETY: these are the types of the functions of those names; the message is one without
    // arguments that answers with a number of 64 bits.
    let (new_device, selector, ask, release) = unsafe {
        (
            transmute::<*mut c_void, NewDevice>(new_device),
            transmute::<*mut c_void, Selector>(selector),
            transmute::<*mut c_void, Ask>(ask),
            transmute::<*mut c_void, Release>(release),
        )
    };
    // SAFETY: takes nothing, and gives a device of which we hold one reference, or none.
    let device = unsafe { new_device() };
    if device.is_null() {
        return None;
    }
    // SAFETY: the name ends in a nul, the device is live and has this message since macOS 10.12;
    // the one reference is given back and the device not used after that.
    let bytes = unsafe {
        let bytes = ask(device, selector(c"recommendedMaxWorkingSetSize".as_ptr()));
        release(device);
        bytes
    };
    (bytes > 0).then_some(bytes)
}

/// A library of the system, which stays loaded.
fn library(path: &CStr) -> Option<*mut c_void> {
    // SAFETY: the path ends in a nul; the system's own libraries may be loaded at any time.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY) };
    (!library.is_null()).then_some(library)
}

fn symbol(library: *mut c_void, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the library is loaded and the name ends in a nul.
    let symbol = unsafe { libc::dlsym(library, name.as_ptr()) };
    (!symbol.is_null()).then_some(symbol)
}
