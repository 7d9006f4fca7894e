//! Sizes within the sentences of a server, told as all others are: `24576 MiB` become `24 GiB`.

use crate::report::human::{UNITS, bytes};

/// Punctuation that may stand directly before a size in a sentence.
const BEFORE_SIZE: [char; 3] = ['(', '`', '"'];

/// A sentence with its sizes as [`bytes`] tells them: `24576 MiB` become `24 GiB`.
pub fn sized(sentence: &str) -> String {
    let mut out = String::with_capacity(sentence.len());
    let mut rest = sentence;
    while let Some((word, after)) = rest.split_once(' ') {
        match size_at(word, after) {
            Some((size, unit)) => {
                let before = word.len() - word.trim_start_matches(BEFORE_SIZE).len();
                out += &word[..before];
                out += &bytes(size);
                rest = &after[unit..];
            }
            None => {
                out += word;
                out.push(' ');
                rest = after;
            }
        }
    }
    out + rest
}

/// The size that a word and the unit at the beginning of what follows it are, with the length of
/// that unit.
fn size_at(word: &str, after: &str) -> Option<(u64, usize)> {
    let number = word.trim_start_matches(BEFORE_SIZE);
    if !number.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let amount: f64 = number.parse().ok().filter(|amount: &f64| amount.is_finite())?;
    let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
    let power = match &after[..end] {
        "bytes" => 0,
        unit => UNITS.iter().position(|known| *known == unit)?,
    };
    Some(((amount * (1u64 << (10 * power)) as f64).round() as u64, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same figures are read by the test of the dashboard.
    #[test]
    fn sizes_are_told_by_one_rule_here_and_on_the_dashboard() {
        let lines = include_str!("../../tests/top/sizes.txt").lines();
        let told = |given: &str| given.parse().map_or_else(|_| sized(given), bytes);
        let mut seen = 0;
        for (given, expected) in lines.map(|line| line.split_once('\t').unwrap()) {
            assert_eq!(told(given), expected, "{given}");
            seen += 1;
        }
        assert!(seen > 15, "{seen} lines");
        assert_eq!(sized("1e999 MiB, 5 MiBs, 7 x"), "1e999 MiB, 5 MiBs, 7 x");
    }
}
