//! What several fuzz targets share.
//!
//! | file | what is there |
//! |---|---|
//! | `scratch` | a folder in memory, gone when the process ends well |
//! | `trace` | bytes as a trace, and what must hold of whatever is decoded |

pub mod scratch;
pub mod trace;
