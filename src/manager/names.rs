//! Names in sentences: what people may call a tenant, and how the caller's own words are shown.
//!
//! ```text
//! a tenant's name       1 to 128 characters, none of them a control character; else refused
//! everything else       accepted as it is, and kept as it is
//! shown in a sentence   on one line: control characters escaped, 80 characters and "…" at most
//! ```

use super::error::MemoryError;
use std::fmt::{self, Write};

/// Most characters of a tenant's name.
const NAME_MAX: usize = 128;
/// Characters that a sentence shows of the caller's words.
const SHOWN_MAX: usize = 80;

/// Refuses what cannot be a tenant's name.
pub(super) fn check_name(name: &str) -> Result<(), MemoryError> {
    let refuse = |problem| Err(MemoryError::Config { field: "name", problem });
    let length = name.chars().count();
    if !(1..=NAME_MAX).contains(&length) {
        return refuse(format!("{length} characters are out of range; use 1 to {NAME_MAX}"));
    }
    if let Some((at, control)) = name.chars().enumerate().find(|(_, c)| c.is_control()) {
        return refuse(format!(
            "character {} is the control character {}; use letters, digits and signs that can be \
             printed on one line",
            at + 1,
            control.escape_default()
        ));
    }
    Ok(())
}

/// Words of the caller's, as a sentence shows them: of models, allocation ids and groups.
pub(super) struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("(unnamed)");
        }
        for (at, character) in self.0.chars().enumerate() {
            match character {
                _ if at == SHOWN_MAX => return f.write_char('…'),
                _ if character.is_control() => write!(f, "{}", character.escape_default())?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}
