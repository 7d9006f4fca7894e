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
    cells: Box<[T]>,
}

impl<T: Zeroed> Table<T> {
    /// A table of `capacity` empty cells.
    ///
    /// The machine gives zeroed pages on demand: nothing is written here.
    #[cfg(not(allot_loom))]
    pub fn new(capacity: usize) -> Self {
        const { assert!(!std::mem::needs_drop::<T>()) };
        let cells = Box::<[T]>::new_zeroed_slice(capacity);
        // SAFETY: `T: Zeroed` says that all zero bytes are a valid `T`.
        Self { cells: unsafe { cells.assume_init() } }
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

    /// How many cells there are.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.cells.len() as u32
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
