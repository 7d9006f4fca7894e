//! Colours, or none: `NO_COLOR` in the environment, if it is not empty, takes them away. What they
//! tell is told by characters and words as well.

use ratatui::style::{Color, Modifier, Style};

use super::bar::Part;

/// How things look.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    colours: bool,
}

impl Palette {
    /// With colours, or without.
    pub fn new(colours: bool) -> Self {
        Self { colours }
    }

    /// As the environment has it.
    pub fn of_environment() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// What is less important.
    pub fn quiet(self) -> Style {
        if self.colours { Style::new().fg(Color::DarkGray) } else { Style::new() }
    }

    /// Headings.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The row that is chosen.
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What somebody should look at.
    pub fn warning(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// What is wrong.
    pub fn alarm(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// A level of pressure.
    pub fn pressure(self, level: &str) -> Style {
        match level {
            "normal" => self.coloured(Color::Green),
            "high" => self.warning(),
            _ => self.alarm(),
        }
    }

    /// A cell of a bar.
    pub fn part(self, part: Part) -> Style {
        match part {
            Part::Used => self.coloured(Color::Blue),
            Part::Evictable => self.coloured(Color::Cyan),
            Part::Idle => self.coloured(Color::Magenta),
            Part::Room | Part::Open | Part::Beyond => self.quiet(),
            Part::Guarantee => self.coloured(Color::Green).add_modifier(Modifier::BOLD),
            Part::Fair => self.warning(),
            Part::Limit | Part::Burst => self.alarm(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_there_are_none() {
        let (with, without) = (Palette::new(true), Palette::new(false));
        let looks = |palette: Palette| {
            let parts = [Part::Used, Part::Room, Part::Fair, Part::Limit];
            let parts = parts.map(|part| palette.part(part));
            let levels = ["normal", "high", "critical"].map(|level| palette.pressure(level));
            [&parts[..], &levels[..], &[palette.quiet(), palette.alarm()]].concat()
        };
        assert!(looks(with).iter().all(|style| style.fg.is_some()));
        assert!(looks(without).iter().all(|style| style.fg.is_none() && style.bg.is_none()));
    }
}
