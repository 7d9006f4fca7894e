//! Every look through a pointer of the caller's: checked for NULL and alignment, structs by their
//! size, texts by their bytes. Nothing is written before everything was checked.
//!
//! A struct begins with its size, as the caller's header knows it:
//!
//! | struct_size is | then |
//! |---|---|
//! | this library's | it is read as it is |
//! | smaller, but one that it has had | what is missing has its default |
//! | larger, all further bytes zero | they are left out |
//! | larger, any further byte set | [`ALLOT_ERROR_NEWER`] |
//! | anything else | [`ALLOT_ERROR_STRUCT_SIZE`] |

use crate::guard::Fault;
use crate::status::{
    ALLOT_ERROR_MISALIGNED, ALLOT_ERROR_NEWER, ALLOT_ERROR_NULL, ALLOT_ERROR_STRUCT_SIZE,
    ALLOT_ERROR_TEXT, ALLOT_ERROR_UTF8, ALLOT_OK, ALLOT_TRUNCATED, allot_status,
};
use std::ffi::c_char;

/// No struct will ever be larger.
const STRUCT_SIZE_MAX: usize = 4_096;
/// Structs grow by so many bytes at least: no padding is ever hidden in one.
const STRUCT_STEP: usize = 8;

/// A struct of the header.
///
/// # Safety
///
/// `repr(C)`, `struct_size: u32` first, no padding, and any bytes are a value of it.
pub unsafe trait Versioned: Copy + Default {
    /// What it was first released with.
    const SIZE_MIN: usize;
}

/// What a pointer points to.
///
/// # Safety
///
/// It is NULL, misaligned, or valid for `'a`.
#[inline(always)]
pub(crate) unsafe fn reference<'a, T>(pointer: *const T) -> Result<&'a T, Fault> {
    check(pointer)?;
    // SAFETY: as the caller says, and it is neither NULL nor misaligned.
    Ok(unsafe { &*pointer })
}

#[inline(always)]
fn check<T>(pointer: *const T) -> Result<(), Fault> {
    // One comparison for both: bits below the alignment end up on top, and zero wraps around.
    let places = pointer.addr().rotate_right(align_of::<T>().trailing_zeros());
    if places.wrapping_sub(1) < usize::MAX / align_of::<T>() {
        return Ok(());
    }
    Err(if pointer.is_null() { ALLOT_ERROR_NULL } else { ALLOT_ERROR_MISALIGNED }.into())
}

/// A struct of the caller's.
///
/// # Safety
///
/// It is NULL, misaligned, or points to as many bytes as its first field says.
#[inline(always)]
pub(crate) unsafe fn read<T: Versioned>(pointer: *const T) -> Result<T, Fault> {
    check(pointer)?;
    // SAFETY: every struct begins with its size.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    if size == size_of::<T>() {
        // SAFETY: so large it is, and any bytes are a value.
        return Ok(unsafe { pointer.read() });
    }
    // SAFETY: as the caller says.
    unsafe { read_resized(pointer, size) }
}

/// The same where it lies, if it is as large as this library's.
///
/// # Safety
///
/// As [`read`].
#[inline(always)]
pub(crate) unsafe fn look<'a, T: Versioned>(pointer: *const T) -> Option<&'a T> {
    check(pointer).ok()?;
    // SAFETY: every struct begins with its size.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    // SAFETY: so large it is, and any bytes are a value.
    (size == size_of::<T>()).then(|| unsafe { &*pointer })
}

#[cold]
unsafe fn read_resized<T: Versioned>(pointer: *const T, size: usize) -> Result<T, Fault> {
    // SAFETY: as the caller says.
    unsafe { check_size(pointer, size) }?;
    let mut value = T::default();
    // SAFETY: both have so many bytes, and any bytes are a value.
    unsafe {
        let to = (&raw mut value).cast::<u8>();
        to.copy_from_nonoverlapping(pointer.cast(), size.min(size_of::<T>()));
    }
    Ok(value)
}

/// Whether a struct may have this size, and is known as far as it is set.
unsafe fn check_size<T: Versioned>(pointer: *const T, size: usize) -> Result<(), Fault> {
    if !(T::SIZE_MIN..=STRUCT_SIZE_MAX).contains(&size) || !size.is_multiple_of(STRUCT_STEP) {
        return Err(ALLOT_ERROR_STRUCT_SIZE.into());
    }
    let known = size_of::<T>();
    if size > known {
        let bytes = pointer.cast::<u8>();
        // SAFETY: the caller has so many bytes.
        let tail = unsafe { std::slice::from_raw_parts(bytes.add(known), size - known) };
        if tail.iter().any(|&byte| byte != 0) {
            return Err(ALLOT_ERROR_NEWER.into());
        }
    }
    Ok(())
}

/// Structs of the caller's, one after the other, all of one size.
///
/// # Safety
///
/// It is NULL, misaligned, or points to `count` structs of the size that the first field says.
pub(crate) unsafe fn read_all<T: Versioned>(
    pointer: *const T,
    count: usize,
) -> Result<Vec<T>, Fault> {
    if count == 0 {
        return Ok(Vec::new());
    }
    check(pointer)?;
    // SAFETY: every struct begins with its size.
    let stride = unsafe { pointer.cast::<u32>().read() } as usize;
    // SAFETY: there is one.
    unsafe { check_size(pointer, stride) }?;
    let elements = (0..count).map(|place| {
        // SAFETY: there are so many of that size, which keeps them aligned.
        let element = unsafe { pointer.cast::<u8>().add(place * stride).cast::<T>() };
        // SAFETY: as above.
        if unsafe { element.cast::<u32>().read() } as usize != stride {
            return Err(ALLOT_ERROR_STRUCT_SIZE.into());
        }
        // SAFETY: as above.
        unsafe { read(element) }
    });
    elements.collect()
}

/// Where an answer goes.
#[derive(Clone, Copy)]
pub(crate) struct Out<T>(*mut T);

/// A place for an answer.
///
/// # Safety
///
/// It is NULL, misaligned, or may be written until the call ends.
#[inline(always)]
pub(crate) unsafe fn out<T>(pointer: *mut T) -> Result<Out<T>, Fault> {
    check(pointer)?;
    Ok(Out(pointer))
}

/// A place for an answer that the caller may not want.
///
/// # Safety
///
/// As [`out`].
#[inline(always)]
pub(crate) unsafe fn out_optional<T>(pointer: *mut T) -> Result<Option<Out<T>>, Fault> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    unsafe { out(pointer) }.map(Some)
}

impl<T> Out<T> {
    #[inline(always)]
    pub(crate) fn write(self, value: T) {
        // SAFETY: whoever made it vouches for the pointer.
        unsafe { self.0.write(value) }
    }
}

/// Where an answer goes that is a struct.
#[derive(Clone, Copy)]
pub(crate) struct OutStruct<T> {
    pointer: *mut T,
    size: usize,
}

/// A place for an answer that is a struct.
///
/// # Safety
///
/// It is NULL, misaligned, or has as many bytes as its first field says, which may be written until
/// the call ends.
#[inline(always)]
pub(crate) unsafe fn out_struct<T: Versioned>(pointer: *mut T) -> Result<OutStruct<T>, Fault> {
    check(pointer)?;
    // SAFETY: every struct begins with its size.
    let size = unsafe { pointer.cast::<u32>().read() } as usize;
    if size != size_of::<T>() {
        // SAFETY: as the caller says.
        unsafe { check_size(pointer, size) }?;
    }
    Ok(OutStruct { pointer, size })
}

/// A place for an answer that is a struct, if the caller wants it.
///
/// # Safety
///
/// As [`out_struct`].
#[inline(always)]
pub(crate) unsafe fn out_struct_optional<T: Versioned>(
    pointer: *mut T,
) -> Result<Option<OutStruct<T>>, Fault> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    unsafe { out_struct(pointer) }.map(Some)
}

impl<T: Versioned> OutStruct<T> {
    /// Writes as much as the caller knows, all but the size.
    pub(crate) fn write(self, value: &T) {
        let from = (&raw const *value).cast::<u8>();
        let size = self.size.min(size_of::<T>());
        // SAFETY: both have so many bytes; whoever made it vouches for the pointer.
        unsafe {
            let to = self.pointer.cast::<u8>().add(size_of::<u32>());
            to.copy_from_nonoverlapping(from.add(size_of::<u32>()), size - size_of::<u32>());
        }
    }
}

/// A text of the caller's: UTF-8 without NUL, at most `max` bytes. NULL with length 0 is empty.
///
/// # Safety
///
/// It is NULL, or points to `length` bytes that stay as they are for `'a`.
pub(crate) unsafe fn text<'a>(
    pointer: *const c_char,
    length: u64,
    max: u64,
) -> Result<&'a str, Fault> {
    if length == 0 {
        return Ok("");
    }
    if pointer.is_null() {
        return Err(ALLOT_ERROR_NULL.into());
    }
    if length > max {
        let message = format!("a text of {length} bytes; at most {max} are possible");
        return Err(Fault::Told(ALLOT_ERROR_TEXT, message.into()));
    }
    // SAFETY: as the caller says.
    let bytes = unsafe { std::slice::from_raw_parts(pointer.cast::<u8>(), length as usize) };
    if let Some(place) = bytes.iter().position(|&byte| byte == 0) {
        let message = format!("a text of {length} bytes has a NUL as byte {place}; leave it away");
        return Err(Fault::Told(ALLOT_ERROR_TEXT, message.into()));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let message = format!("a text is not UTF-8 from byte {} on", error.valid_up_to());
        Fault::Told(ALLOT_ERROR_UTF8, message.into())
    })
}

/// Where a text goes.
pub(crate) struct Buffer {
    pointer: *mut u8,
    size: usize,
}

impl Buffer {
    /// # Safety
    ///
    /// `pointer` is NULL or has room for `size` bytes until the call ends.
    pub(crate) unsafe fn new(pointer: *mut c_char, size: u64) -> Result<Self, Fault> {
        if size > 0 && pointer.is_null() {
            return Err(ALLOT_ERROR_NULL.into());
        }
        Ok(Self { pointer: pointer.cast(), size: usize::try_from(size).unwrap_or(usize::MAX) })
    }

    /// Writes a text and a NUL, cut between two characters if it does not fit, and its length.
    pub(crate) fn write(self, text: &str, out_length: Option<Out<u64>>) -> allot_status {
        if let Some(out_length) = out_length {
            out_length.write(text.len() as u64);
        }
        if self.size == 0 {
            return if text.is_empty() { ALLOT_OK } else { ALLOT_TRUNCATED };
        }
        let mut end = text.len().min(self.size - 1);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        // SAFETY: there is room for that and the NUL; whoever made it vouches for the pointer.
        unsafe {
            self.pointer.copy_from_nonoverlapping(text.as_ptr(), end);
            self.pointer.add(end).write(0);
        }
        if end < text.len() { ALLOT_TRUNCATED } else { ALLOT_OK }
    }
}
