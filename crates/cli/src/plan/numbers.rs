//! A whole number, or one for each layer, as keys of models have them.

use std::fmt;

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// The same for all layers.
    One(u64),
    /// One for each layer.
    Each(Vec<u64>),
}

impl Numbers {
    /// That of a layer; none where there are not so many.
    pub fn of(&self, layer: usize) -> Option<u64> {
        match self {
            Self::One(number) => Some(*number),
            Self::Each(numbers) => numbers.get(layer).copied(),
        }
    }

    /// The largest; 0 where there is none.
    pub fn max(&self) -> u64 {
        match self {
            Self::One(number) => *number,
            Self::Each(numbers) => numbers.iter().copied().max().unwrap_or(0),
        }
    }

    /// Of how many layers it speaks; none: of all.
    pub fn layers(&self) -> Option<usize> {
        match self {
            Self::One(_) => None,
            Self::Each(numbers) => Some(numbers.len()),
        }
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(number) => write!(f, "{number}"),
            Self::Each(numbers) => write!(f, "an array of {} numbers", numbers.len()),
        }
    }
}
