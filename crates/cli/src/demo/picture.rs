//! The two runs as small pictures, side by side on one scale: time to the right, bytes upwards,
//! every tenant in its own colour, and the capacity as a line through both.

use super::timeline::Timeline;
use crate::report::human;

/// Characters in each picture.
const WIDTH: usize = 30;
/// Rows from nothing to the capacity, and the most of all.
const ROWS_BELOW: u64 = 7;
const ROWS_MAX: u64 = 14;
const EIGHTHS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How a picture may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Blocks in colour.
    Color,
    /// Blocks in shades, where colour is unwanted.
    Shade,
    /// Plain letters, where blocks cannot be shown.
    Ascii,
}

impl Ink {
    /// A tenant's sign in front of its name, so that the table explains the picture.
    pub fn sign(self, tenant: usize) -> String {
        self.paint(Fill::Tenant(tenant), None, '█')
    }

    /// Something to be read first.
    pub fn strong(self, text: &str) -> String {
        if self == Ink::Color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Something to be read last.
    pub fn soft(self, text: &str) -> String {
        if self == Ink::Color { format!("\x1b[2m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Good or bad news.
    pub fn verdict(self, text: &str, good: bool) -> String {
        let color = if good { 32 } else { 31 };
        if self == Ink::Color { format!("\x1b[1;{color}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// One character. In colour, `block` shows how much of the cell is `lower`, and the rest of it
    /// is `upper`.
    fn paint(self, lower: Fill, upper: Option<Fill>, block: char) -> String {
        const SHADES: [char; 4] = ['█', '▓', '▒', '░'];
        const LETTERS: [char; 4] = ['#', '=', 'o', '.'];
        match (self, lower) {
            (Ink::Color, _) => {
                let above = upper.map(|fill| format!(";48;5;{}", fill.color())).unwrap_or_default();
                format!("\x1b[38;5;{}{above}m{block}\x1b[0m", lower.color())
            }
            (Ink::Shade, Fill::Tenant(n)) => SHADES[n % 4].to_string(),
            (Ink::Shade, Fill::Over) => "×".to_string(),
            (Ink::Ascii, Fill::Tenant(n)) => LETTERS[n % 4].to_string(),
            (Ink::Ascii, Fill::Over) => "!".to_string(),
        }
    }

    fn line(self) -> &'static str {
        if self == Ink::Ascii { "-" } else { "┄" }
    }
}

/// What a byte of the picture belongs to: a tenant, or nobody who could have it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    Tenant(usize),
    Over,
}

impl Fill {
    /// In the palette of 256 colours.
    fn color(self) -> u8 {
        const TENANTS: [u8; 4] = [75, 215, 79, 175];
        match self {
            Fill::Tenant(n) => TENANTS[n % 4],
            Fill::Over => 203,
        }
    }
}

/// Both pictures and their axes, in lines of fewer than 80 characters.
pub fn picture(ink: Ink, capacity_bytes: u64, left: &Timeline, right: &Timeline) -> Vec<String> {
    let top = left.peak_bytes.max(right.peak_bytes).max(capacity_bytes);
    let row_bytes = capacity_bytes.div_ceil(ROWS_BELOW).max(top.div_ceil(ROWS_MAX)).max(1);
    let line_row = capacity_bytes.div_ceil(row_bytes);
    let rows = top.div_ceil(row_bytes).max(line_row + 1);
    let columns = [left.columns(WIDTH), right.columns(WIDTH)];
    let mut lines = Vec::new();
    for row in (0..rows).rev() {
        let label = match row {
            row if row == line_row => human::bytes(capacity_bytes),
            row if row + 1 == rows => human::bytes(top),
            _ => String::new(),
        };
        let cells = columns.each_ref().map(|columns| -> String {
            let cell = |held: &Vec<u64>| cell(ink, held, row, row_bytes, capacity_bytes);
            columns
                .iter()
                .map(|held| {
                    let empty = if row == line_row { ink.soft(ink.line()) } else { " ".into() };
                    cell(held).unwrap_or(empty)
                })
                .collect()
        });
        lines.push(format!("{:>10}  {}   {}", label, cells[0], cells[1]).trim_end().to_string());
    }
    let axis = format!("{:<w$}{:>5}", "0 s", "60 s", w = WIDTH - 5);
    lines.push(ink.soft(&format!("{:>10}  {axis}   {axis}", "")));
    lines
}

/// One character; `None` if the cell is empty. In colour a cell shows the first border in it, to
/// an eighth; otherwise it is whatever its middle is.
fn cell(ink: Ink, held: &[u64], row: u64, row_bytes: u64, capacity_bytes: u64) -> Option<String> {
    let at = |part: u64, parts: u64| {
        fill(held, row * row_bytes + row_bytes * (2 * part + 1) / (2 * parts), capacity_bytes)
    };
    if ink != Ink::Color {
        return Some(ink.paint(at(0, 1)?, None, '█'));
    }
    let lower = at(0, 8)?;
    let border = (1..8).find(|part| at(*part, 8) != Some(lower)).unwrap_or(8);
    let upper = if border < 8 { at(border, 8) } else { None };
    Some(ink.paint(lower, upper, EIGHTHS[border as usize - 1]))
}

/// Whose a byte is when the tenants' bytes lie on top of each other.
fn fill(held: &[u64], byte: u64, capacity_bytes: u64) -> Option<Fill> {
    let mut top = 0;
    let tenant = held.iter().position(|bytes| {
        top += bytes;
        byte < top
    })?;
    Some(if byte < capacity_bytes { Fill::Tenant(tenant) } else { Fill::Over })
}

#[cfg(test)]
mod tests {
    use super::super::load::END_NS;
    use super::*;

    fn timeline(bytes: [u64; 2]) -> Timeline {
        let mut line = Timeline::new(2);
        line.add(0, bytes[0]);
        line.add(1, bytes[1]);
        line.mark(END_NS / 2);
        line
    }

    #[test]
    fn letters_show_who_and_what_is_over() {
        let lines = picture(Ink::Ascii, 100, &timeline([60, 90]), &timeline([60, 30]));
        let picture = lines.join("\n");
        assert!((lines.len() as u64) <= ROWS_MAX + 1);
        for sign in ["#", "=", "!", "-"] {
            assert!(picture.contains(sign), "{sign} is missing:\n{picture}");
        }
        assert!(picture.is_ascii());
        assert!(lines.iter().all(|line| line.len() < 80), "{picture}");
        let right: String = lines.iter().filter_map(|line| line.get(45..)).collect();
        assert!(!right.contains('!'), "the right run is not over:\n{picture}");
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        let both = [timeline([60, 90]), timeline([60, 30])];
        let drawn = |ink| picture(ink, 100, &both[0], &both[1]).join("\n");
        assert!(drawn(Ink::Color).contains("\x1b["));
        assert!(!drawn(Ink::Shade).contains('\x1b'));
    }
}
