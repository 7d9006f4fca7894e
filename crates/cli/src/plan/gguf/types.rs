//! The types of tensors: how many values stand in a block, and what it takes. A row is a whole
//! number of blocks.

/// A type of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    /// Its number in files.
    number: u32,
    /// Its usual name.
    pub name: &'static str,
    /// Values in a block.
    pub block_values: u64,
    /// Bytes of a block.
    pub block_bytes: u64,
}

const fn of_type(number: u32, name: &'static str, block_values: u64, block_bytes: u64) -> Type {
    Type { number, name, block_values, block_bytes }
}

const TYPES: [Type; 34] = [
    of_type(0, "F32", 1, 4),
    of_type(1, "F16", 1, 2),
    of_type(2, "Q4_0", 32, 18),
    of_type(3, "Q4_1", 32, 20),
    of_type(6, "Q5_0", 32, 22),
    of_type(7, "Q5_1", 32, 24),
    of_type(8, "Q8_0", 32, 34),
    of_type(9, "Q8_1", 32, 36),
    of_type(10, "Q2_K", 256, 84),
    of_type(11, "Q3_K", 256, 110),
    of_type(12, "Q4_K", 256, 144),
    of_type(13, "Q5_K", 256, 176),
    of_type(14, "Q6_K", 256, 210),
    of_type(15, "Q8_K", 256, 292),
    of_type(16, "IQ2_XXS", 256, 66),
    of_type(17, "IQ2_XS", 256, 74),
    of_type(18, "IQ3_XXS", 256, 98),
    of_type(19, "IQ1_S", 256, 50),
    of_type(20, "IQ4_NL", 32, 18),
    of_type(21, "IQ3_S", 256, 110),
    of_type(22, "IQ2_S", 256, 82),
    of_type(23, "IQ4_XS", 256, 136),
    of_type(24, "I8", 1, 1),
    of_type(25, "I16", 1, 2),
    of_type(26, "I32", 1, 4),
    of_type(27, "I64", 1, 8),
    of_type(28, "F64", 1, 8),
    of_type(29, "IQ1_M", 256, 56),
    of_type(30, "BF16", 1, 2),
    of_type(34, "TQ1_0", 256, 54),
    of_type(35, "TQ2_0", 256, 66),
    of_type(39, "MXFP4", 32, 17),
    of_type(40, "NVFP4", 64, 36),
    of_type(41, "Q1_0", 128, 18),
];

/// The type of this number.
pub fn of(number: u32) -> Option<Type> {
    TYPES.iter().find(|known| known.number == number).copied()
}
