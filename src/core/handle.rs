//! Small copyable names for slots: `governor tag:8 | generation:32 | index:24`, in a `u64`.
//!
//! A handle is *stale* once its slot has moved on to a later generation; it is *foreign* if its
//! tag is another governor's. Neither is ever zero, because generations begin at one.

use std::fmt;

/// The most cells a table addressed by handles may have.
pub const INDEX_MAX: u32 = (1 << INDEX_BITS) - 1;

const INDEX_BITS: u32 = 24;
const GENERATION_BITS: u32 = 32;
const TAG_BITS: u32 = 8;
const _: () = assert!(INDEX_BITS + GENERATION_BITS + TAG_BITS == 64);

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            pub(crate) fn new(tag: u8, generation: u32, index: u32) -> Self {
                debug_assert!(index <= INDEX_MAX && generation != 0);
                let high = u64::from(tag) << (INDEX_BITS + GENERATION_BITS);
                Self(high | (u64::from(generation) << INDEX_BITS) | u64::from(index))
            }

            /// The handle as a number, for C and for maps; never 0.
            #[inline]
            pub fn as_u64(self) -> u64 {
                self.0
            }

            /// The handle a number stands for. Any number is accepted: a wrong one is refused
            /// where it is used.
            #[inline]
            pub fn from_u64(number: u64) -> Self {
                Self(number)
            }

            #[inline]
            pub(crate) fn tag(self) -> u8 {
                (self.0 >> (INDEX_BITS + GENERATION_BITS)) as u8
            }

            #[inline]
            pub(crate) fn generation(self) -> u32 {
                (self.0 >> INDEX_BITS) as u32
            }

            /// Its slot: what events call the account, or a part of a grant's id.
            #[inline]
            pub fn index(self) -> u32 {
                self.0 as u32 & INDEX_MAX
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let name = stringify!($name);
                write!(f, "{name}({}.{})", self.index(), self.generation())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }
    };
}

handle! {
    /// Names a registered tenant of one governor. Cheap to copy; refused once the tenant is gone.
    TenantHandle
}
handle! {
    /// Names a registered group of one governor. Cheap to copy; refused once the group is gone.
    GroupHandle
}
handle! {
    /// Names one grant of one governor. Cheap to copy; refused once the grant has ended.
    GrantId
}
