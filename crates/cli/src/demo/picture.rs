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
        self.paint(Fill::Tenant(tenant), '█')
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

    fn paint(self, fill: Fill, block: char) -> String {
        const COLORS: [u8; 4] = [75, 215, 79, 175];
        const SHADES: [char; 4] = ['█', '▓', '▒', '░'];
        const LETTERS: [char; 4] = ['#', '=', 'o', '.'];
        match (self, fill) {
            (Ink::Color, Fill::Tenant(n)) => format!("\x1b[38;5;{}m{block}\x1b[0m", COLORS[n % 4]),
            (Ink::Color, Fill::Over) => format!("\x1b[38;5;196m{block}\x1b[0m"),
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

#[derive(Clone, Copy)]
enum Fill {
    Tenant(usize),
    Over,
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

/// One character: the tenant that holds the middle of the cell. `None` if nobody does.
fn cell(ink: Ink, held: &[u64], row: u64, row_bytes: u64, capacity_bytes: u64) -> Option<String> {
    let total: u64 = held.iter().sum();
    let (low, middle) = (row * row_bytes, row * row_bytes + row_bytes / 2);
    let eighth = (total.saturating_sub(low) * 8 / row_bytes).min(8);
    let seen = if ink == Ink::Color { eighth > 0 } else { total > middle };
    if !seen {
        return None;
    }
    let mut upper = 0;
    let tenant = held.iter().position(|bytes| {
        upper += bytes;
        upper > middle
    });
    let last = held.iter().rposition(|bytes| *bytes > 0).unwrap_or(0);
    let fill = if low >= capacity_bytes || (total > capacity_bytes && middle > capacity_bytes) {
        Fill::Over
    } else {
        Fill::Tenant(tenant.unwrap_or(last))
    };
    Some(ink.paint(fill, EIGHTHS[eighth.clamp(1, 8) as usize - 1]))
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
