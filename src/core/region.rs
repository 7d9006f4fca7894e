//! Where all state lives: tables of fixed capacity, addressed by index, never by pointer.
//!
//! A table is reserved whole when the governor is created and its pages are touched on demand, so
//! a generous capacity costs address space and no memory. Cells never move. Under loom a table is
//! a small boxed slice, so every capacity is a parameter of a model.

/// A cell type whose all-zero bytes are its empty state.
///
/// # Safety
///
/// A value of all zero bytes must be valid, and the type must not need `Drop`.
pub unsafe trait Zeroed: Sized {
    /// The empty cell, built field by field (loom's atomics are not plain bytes).
    fn empty() -> Self;
}

/// A fixed number of cells.
pub struct Table<T> {
    #[cfg(not(allot_loom))]
    cells: pages::Pages<T>,
    #[cfg(allot_loom)]
    cells: Box<[T]>,
}

impl<T: Zeroed> Table<T> {
    /// A table of `capacity` empty cells. Nothing is written: the machine gives zeroed pages.
    #[cfg(not(allot_loom))]
    pub fn new(capacity: usize) -> Self {
        Self { cells: pages::Pages::new(capacity) }
    }

    /// A table of `capacity` empty cells.
    #[cfg(allot_loom)]
    pub fn new(capacity: usize) -> Self {
        Self { cells: (0..capacity).map(|_| T::empty()).collect() }
    }
}

impl<T> Table<T> {
    /// The cell at `index`, if there is one.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&T> {
        self.cells.get(index as usize)
    }

    /// The cell at `index`.
    ///
    /// # Safety
    ///
    /// `index` is below [`Table::capacity`].
    #[inline(always)]
    pub unsafe fn at(&self, index: u32) -> &T {
        debug_assert!((index as usize) < self.cells.len());
        // SAFETY: as the caller promises.
        unsafe { self.cells.get_unchecked(index as usize) }
    }

    /// How many cells there are.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.cells.len() as u32
    }

    /// The cells of these indices.
    pub fn range(&self, indices: std::ops::Range<u32>) -> &[T] {
        &self.cells[indices.start as usize..indices.end as usize]
    }

    /// All cells, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.cells.iter()
    }
}

impl<T> std::ops::Index<u32> for Table<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.cells[index as usize]
    }
}

/// Zeroed cells on pages that are touched on demand.
#[cfg(not(allot_loom))]
mod pages {
    use super::Zeroed;
    use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
    use std::ptr::NonNull;

    /// Alignment every allocator gives without touching what it gives. A wider one makes it fall
    /// back to an aligned allocation that it then clears by hand, page after page.
    const PLAIN_ALIGNMENT: usize = 16;

    pub struct Pages<T> {
        base: NonNull<u8>,
        layout: Layout,
        cells: NonNull<T>,
        count: usize,
    }

    // SAFETY: `Pages` owns its cells like a boxed slice does.
    unsafe impl<T: Send> Send for Pages<T> {}
    // SAFETY: as above; shared access gives out shared references only.
    unsafe impl<T: Sync> Sync for Pages<T> {}

    impl<T: Zeroed> Pages<T> {
        pub fn new(count: usize) -> Self {
            const { assert!(!std::mem::needs_drop::<T>() && size_of::<T>() > 0) };
            // Room to align the first cell by hand; never empty, so there is always a pointer.
            let cells = Layout::array::<T>(count.max(1)).expect("table within address space");
            let size = cells.size() + cells.align();
            let layout = Layout::from_size_align(size, PLAIN_ALIGNMENT).expect("as above");
            // SAFETY: the layout's size is not zero.
            let base = unsafe { alloc_zeroed(layout) };
            let Some(base) = NonNull::new(base) else { handle_alloc_error(layout) };
            let offset = base.as_ptr().align_offset(cells.align());
            // SAFETY: `offset` is below the alignment, and so much more was allocated.
            let cells = unsafe { base.add(offset) }.cast::<T>();
            Self { base, layout, cells, count }
        }
    }

    impl<T> std::ops::Deref for Pages<T> {
        type Target = [T];

        #[inline]
        fn deref(&self) -> &[T] {
            // SAFETY: `count` cells of zeroed, aligned memory lie there, valid by `Zeroed`, and
            // live as long as `self`.
            unsafe { std::slice::from_raw_parts(self.cells.as_ptr(), self.count) }
        }
    }

    impl<T> Drop for Pages<T> {
        fn drop(&mut self) {
            // SAFETY: allocated in `new` with this layout; the cells need no drop of their own.
            unsafe { dealloc(self.base.as_ptr(), self.layout) };
        }
    }
}

#[cfg(test)]
/// That cells built field by field are the zeroed ones: loom's models begin with the former, the
/// machine with the latter.
pub mod tests {
    use super::{Table, Zeroed};
    use crate::core::sync::{AtomicU32, AtomicU64, Ordering};

    /// What is made of atomics.
    pub trait Words {
        /// What each of them holds.
        fn words(&self) -> Vec<u64>;
    }

    impl Words for AtomicU32 {
        fn words(&self) -> Vec<u64> {
            // Relaxed: no other thread knows it.
            vec![self.load(Ordering::Relaxed).into()]
        }
    }

    impl Words for AtomicU64 {
        fn words(&self) -> Vec<u64> {
            // Relaxed: no other thread knows it.
            vec![self.load(Ordering::Relaxed)]
        }
    }

    impl<T: Words, const N: usize> Words for [T; N] {
        fn words(&self) -> Vec<u64> {
            self.iter().flat_map(Words::words).collect()
        }
    }

    /// Names every field of a type. One that is added and not named does not compile.
    macro_rules! words {
        ($type:ty: $($field:tt)*) => {
            impl $crate::core::region::tests::Words for $type {
                fn words(&self) -> Vec<u64> {
                    let Self { $($field: _),* } = self;
                    let fields = [$(&self.$field as &dyn $crate::core::region::tests::Words),*];
                    fields.into_iter().flat_map(|field| field.words()).collect()
                }
            }
        };
    }
    pub(crate) use words;

    /// Asserts that an empty cell and one of a new table hold zeros alone.
    pub fn assert_empty_is_zeroed<T: Zeroed + Words>() {
        let (empty, table) = (T::empty().words(), Table::<T>::new(1));
        let zeros = vec![0; empty.len()];
        assert_eq!((&empty, &table[0].words()), (&zeros, &zeros), "{}", std::any::type_name::<T>());
    }
}
