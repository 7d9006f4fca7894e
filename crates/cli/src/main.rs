//! The command `allot`.

fn main() {}
