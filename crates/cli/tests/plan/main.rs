//! `allot plan` from the outside: the binary on model files made here, and its readers on bytes.
//!
//! | file | what it shows |
//! |---|---|
//! | `files` | making model files, and running the binary |
//! | `published` | what tokens of published models take, from both formats |
//! | `shapes` | what is unusual about a shape, and how files name it |
//! | `fits` | what fits, and what is short by how much |
//! | `granted` | the configuration of a plan, granted by a governor to the last byte |
//! | `guide` | what docs/PLAN.md shows |
//! | `refusals` | files that are torn, hostile or absurd: one exact message each |
//! | `truncated` | files cut off at every byte, in bounded memory |

mod files;
mod fits;
mod granted;
mod guide;
mod published;
mod refusals;
mod shapes;
mod truncated;
