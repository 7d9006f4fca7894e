//! macOS: Mach counters, and the memory pressure that dispatch reports.
//!
//! | figure | source |
//! |---|---|
//! | memory in the machine | `sysctl hw.memsize` |
//! | in use, available | `host_statistics64(HOST_VM_INFO64)`, summed up in `mac_pages.rs` |
//! | footprint of this process | `task_info(TASK_VM_INFO)`, its `phys_footprint` |
//! | swap | `sysctl vm.swapusage` |
//! | level | the worse of a dispatch source and `kern.memorystatus_vm_pressure_level` |
//!
//! Every struct that the kernel fills is asked for up to the last field used here and no further,
//! so that older and newer systems agree on its size; the offsets are checked when this compiles.

use std::ffi::{CStr, c_void};
use std::io::Error;
use std::mem::{offset_of, size_of};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU8, Ordering};

use libc::{HOST_VM_INFO64, host_statistics64, xsw_usage};
use mach2::kern_return::{KERN_SUCCESS, kern_return_t};
use mach2::mach_init::mach_host_self;
use mach2::mach_port::mach_port_deallocate;
use mach2::mach_types::host_t;
use mach2::message::mach_msg_type_number_t;
use mach2::task::task_info;
use mach2::task_info::{TASK_VM_INFO, task_vm_info};
use mach2::traps::mach_task_self;
use mach2::vm_page_size::vm_kernel_page_size;
use mach2::vm_statistics::vm_statistics64;
use mach2::vm_types::integer_t;

use super::mac_pages::MacPages;
use super::{MachineLevel, OsError, Probe, Sample};

/// Words of `vm_statistics64` that every system since macOS 10.9 fills.
const VM_WORDS: mach_msg_type_number_t = words(offset_of!(vm_statistics64, swapped_count));

/// Words of `task_vm_info` up to and with `phys_footprint`.
const TASK_WORDS: mach_msg_type_number_t = words(offset_of!(task_vm_info, min_address));

// The first revision of each struct that holds what we ask for (mach/host_info.h, task_info.h).
const _: () = assert!(VM_WORDS == 38 && TASK_WORDS == 38);
const _: () = assert!(size_of::<vm_statistics64>() >= 38 * size_of::<integer_t>());

const fn words(bytes: usize) -> mach_msg_type_number_t {
    assert!(bytes.is_multiple_of(size_of::<integer_t>()));
    (bytes / size_of::<integer_t>()) as mach_msg_type_number_t
}

/// Samples a Mac.
#[derive(Debug)]
pub struct MacProbe {
    host: HostPort,
    pressure: PressureSource,
    total_bytes: u64,
}

impl MacProbe {
    /// The probe of this machine. From now on dispatch tells it about memory pressure.
    ///
    /// # Errors
    ///
    /// When the size of the memory cannot be read or no dispatch source can be had.
    pub fn here() -> Result<Self, OsError> {
        Ok(Self {
            host: HostPort::new(),
            pressure: PressureSource::new()?,
            total_bytes: sysctl::<u64>(c"hw.memsize", "sysctl hw.memsize")?,
        })
    }
}

impl Probe for MacProbe {
    fn sample(&mut self) -> Result<Sample, OsError> {
        let pages = self.host.pages()?;
        // Swap is a bonus: a sample without it is still a sample.
        let swap = sysctl::<xsw_usage>(c"vm.swapusage", "sysctl vm.swapusage").ok();
        Ok(Sample {
            total_bytes: self.total_bytes,
            reserved_bytes: None,
            available_bytes: pages.available_bytes(self.total_bytes),
            process_bytes: Some(footprint_bytes()?),
            limit_bytes: None,
            used_bytes: Some(pages.used_bytes()),
            // Dispatch tells of changes, and of those not everyone at once; the kernel answers for
            // this moment.
            level: self.pressure.level().max(level_now()),
            stall_ppm: None,
            swap_total_bytes: swap.map(|swap| swap.xsu_total),
            swap_used_bytes: swap.map(|swap| swap.xsu_used),
        })
    }
}

/// A send right to the host, given back on drop: each call of `mach_host_self` adds a reference.
#[derive(Debug)]
struct HostPort(host_t);

impl HostPort {
    fn new() -> Self {
        // SAFETY: takes nothing and returns a name of this task's port space.
        Self(unsafe { mach_host_self() })
    }

    fn pages(&self) -> Result<MacPages, OsError> {
        let mut counts = vm_statistics64::default();
        let mut filled = VM_WORDS;
        // SAFETY: `counts` is a live `vm_statistics64` of at least VM_WORDS words (asserted above),
        // `filled` tells the kernel that it may write no more, and the host port is ours.
        let code = unsafe {
            let out = (&raw mut counts).cast::<integer_t>();
            host_statistics64(self.0, HOST_VM_INFO64, out, &raw mut filled)
        };
        check("host_statistics64", code, filled, VM_WORDS)?;
        // SAFETY: set by the system library before any code of ours runs, and constant after.
        let page_bytes = unsafe { vm_kernel_page_size } as u64;
        Ok(MacPages {
            page_bytes,
            internal: u64::from(counts.internal_page_count),
            purgeable: u64::from(counts.purgeable_count),
            wired: u64::from(counts.wire_count),
            compressor: u64::from(counts.compressor_page_count),
        })
    }
}

impl Drop for HostPort {
    fn drop(&mut self) {
        // SAFETY: gives back the one reference that `new` took; the name is not used after this.
        // The answer is of no use to anyone: there is nothing else to try.
        let _ = unsafe { mach_port_deallocate(mach_task_self(), self.0) };
    }
}

/// What this process keeps, as Activity Monitor and the system's own limits count it.
fn footprint_bytes() -> Result<u64, OsError> {
    let mut info = task_vm_info::default();
    let mut filled = TASK_WORDS;
    // SAFETY: `info` is a live `task_vm_info`, longer than TASK_WORDS words (the offset of one of
    // its fields), `filled` tells the kernel that it may write no more, and the task is our own.
    let code = unsafe {
        let out = (&raw mut info).cast::<integer_t>();
        task_info(mach_task_self(), TASK_VM_INFO, out, &raw mut filled)
    };
    check("task_info", code, filled, TASK_WORDS)?;
    Ok(info.phys_footprint)
}

fn check(
    call: &'static str,
    code: kern_return_t,
    filled: mach_msg_type_number_t,
    wanted: mach_msg_type_number_t,
) -> Result<(), OsError> {
    if code == KERN_SUCCESS && filled >= wanted {
        return Ok(());
    }
    Err(OsError::Mach { call, code })
}

/// A type that may be filled with any bytes.
///
/// # Safety
///
/// Every bit pattern, all zeros among them, must be a valid value.
unsafe trait Plain: Copy {}
// SAFETY: an integer has no invalid bits.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for i32 {}
// SAFETY: a C struct of integers alone.
unsafe impl Plain for xsw_usage {}

fn sysctl<T: Plain>(name: &CStr, call: &'static str) -> Result<T, OsError> {
    // SAFETY: `T: Plain` says that all zeros are a value.
    let mut value: T = unsafe { std::mem::zeroed() };
    let mut filled = size_of::<T>();
    // SAFETY: the name ends in a nul, `value` is live and `filled` its size, and nothing is set.
    let status = unsafe {
        let out = (&raw mut value).cast::<c_void>();
        libc::sysctlbyname(name.as_ptr(), out, &raw mut filled, null_mut(), 0)
    };
    if status != 0 {
        return Err(OsError::Call { call, kind: Error::last_os_error().kind() });
    }
    if filled != size_of::<T>() {
        return Err(OsError::Call { call, kind: std::io::ErrorKind::InvalidData });
    }
    Ok(value)
}

/// The part of libdispatch that is needed (dispatch/source.h, object.h, queue.h). It belongs to
/// libSystem, which every program is linked to.
mod dispatch {
    use std::ffi::c_void;

    /// Any dispatch object.
    pub type Object = *mut c_void;
    /// A function that gets the context of its object.
    pub type Function = unsafe extern "C" fn(context: *mut c_void);

    /// `struct dispatch_source_type_s`, of which only the address is used.
    #[repr(C)]
    pub struct SourceType {
        opaque: [u8; 0],
    }

    /// Bits of the mask and of the data of a memory pressure source.
    pub const NORMAL: usize = 0x01;
    pub const WARN: usize = 0x02;
    pub const CRITICAL: usize = 0x04;
    /// `QOS_CLASS_UTILITY`: soon, but not before the user's own work.
    pub const QOS_UTILITY: isize = 0x11;

    unsafe extern "C" {
        #[link_name = "_dispatch_source_type_memorypressure"]
        pub static MEMORY_PRESSURE: SourceType;

        pub fn dispatch_get_global_queue(identifier: isize, flags: usize) -> Object;
        pub fn dispatch_source_create(
            kind: *const SourceType,
            handle: usize,
            mask: usize,
            queue: Object,
        ) -> Object;
        pub fn dispatch_set_context(object: Object, context: *mut c_void);
        pub fn dispatch_set_finalizer_f(object: Object, finalizer: Function);
        pub fn dispatch_source_set_event_handler_f(source: Object, handler: Function);
        pub fn dispatch_source_get_data(source: Object) -> usize;
        pub fn dispatch_resume(object: Object);
        pub fn dispatch_source_cancel(source: Object);
        pub fn dispatch_release(object: Object);
    }
}

/// The context of the dispatch source: what its handler needs.
#[derive(Debug)]
struct Watch {
    source: dispatch::Object,
    /// A [`MachineLevel`] as a number.
    level: AtomicU8,
}

/// Hears from the kernel when memory pressure changes.
///
/// The source owns the [`Watch`] through its context, and its finalizer frees it; dispatch runs
/// that after the last reference is gone and no handler runs any more. We hold one reference until
/// drop, so until then the watch can be read from here.
#[derive(Debug)]
struct PressureSource(NonNull<Watch>);

// SAFETY: dispatch objects may be used from any thread, and the watch is an address that never
// changes beside an atomic.
unsafe impl Send for PressureSource {}
// SAFETY: as above; no method takes more than a look at the atomic.
unsafe impl Sync for PressureSource {}

impl PressureSource {
    fn new() -> Result<Self, OsError> {
        let mask = dispatch::NORMAL | dispatch::WARN | dispatch::CRITICAL;
        // SAFETY: the type is libdispatch's own, the handle of this type is 0, and a global queue
        // is never freed.
        let source = unsafe {
            let queue = dispatch::dispatch_get_global_queue(dispatch::QOS_UTILITY, 0);
            dispatch::dispatch_source_create(&raw const dispatch::MEMORY_PRESSURE, 0, mask, queue)
        };
        if source.is_null() {
            let kind = std::io::ErrorKind::Other;
            return Err(OsError::Call { call: "dispatch_source_create", kind });
        }
        let watch = Box::new(Watch { source, level: AtomicU8::new(MachineLevel::Normal as u8) });
        let watch = NonNull::from(Box::leak(watch));
        // SAFETY: a new source is suspended, so that nothing runs before it is set up; its context
        // is a live `Watch` as both functions expect. It is resumed exactly once, which is also
        // what makes it legal to release.
        unsafe {
            dispatch::dispatch_set_context(source, watch.as_ptr().cast());
            dispatch::dispatch_set_finalizer_f(source, free_watch);
            dispatch::dispatch_source_set_event_handler_f(source, hear);
            dispatch::dispatch_resume(source);
        }
        Ok(Self(watch))
    }

    fn watch(&self) -> &Watch {
        // SAFETY: freed by the finalizer, which cannot run before `drop` gives up our reference.
        unsafe { self.0.as_ref() }
    }

    fn level(&self) -> MachineLevel {
        // Relaxed: pairs with the store in hear; the level is all there is to learn from it.
        match self.watch().level.load(Ordering::Relaxed) {
            0 => MachineLevel::Normal,
            1 => MachineLevel::Warning,
            _ => MachineLevel::Critical,
        }
    }
}

impl Drop for PressureSource {
    fn drop(&mut self) {
        let source = self.watch().source;
        // SAFETY: the source is live and was resumed; after the release neither it nor the watch
        // is touched from here. A handler that runs meanwhile keeps both until it returns.
        unsafe {
            dispatch::dispatch_source_cancel(source);
            dispatch::dispatch_release(source);
        }
    }
}

/// The event handler.
///
/// # Safety
///
/// Only for dispatch, with the `Watch` that `PressureSource::new` made as the context.
unsafe extern "C" fn hear(context: *mut c_void) {
    // SAFETY: the context is that watch, and dispatch frees it only after the last handler.
    let watch = unsafe { &*context.cast::<Watch>() };
    // SAFETY: called from the source's own handler, where its data is defined.
    let data = unsafe { dispatch::dispatch_source_get_data(watch.source) };
    // Relaxed: pairs with the load in level; nothing else is published by it.
    watch.level.store(level_of(data) as u8, Ordering::Relaxed);
}

/// The finalizer.
///
/// # Safety
///
/// Only for dispatch, once, with the `Watch` that `PressureSource::new` leaked as the context.
unsafe extern "C" fn free_watch(context: *mut c_void) {
    // SAFETY: leaked from a box in `new`, and dispatch calls this once, when nobody else looks.
    drop(unsafe { Box::from_raw(context.cast::<Watch>()) });
}

/// The worst of the levels in `bits`: several may have been reported since the last call.
fn level_of(bits: usize) -> MachineLevel {
    if bits & dispatch::CRITICAL != 0 {
        MachineLevel::Critical
    } else if bits & dispatch::WARN != 0 {
        MachineLevel::Warning
    } else {
        MachineLevel::Normal
    }
}

/// The level that the kernel reports now; Normal where it does not say, for then dispatch will.
fn level_now() -> MachineLevel {
    let call = "sysctl kern.memorystatus_vm_pressure_level";
    let bits = sysctl::<i32>(c"kern.memorystatus_vm_pressure_level", call).unwrap_or(0);
    level_of(usize::try_from(bits).unwrap_or(0))
}
