//! The progress bar: on a terminal only, and only for work that lasts.

use std::io::Read;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Draws to standard error where that is a terminal, and nowhere else.
pub struct Progress {
    shown: bool,
}

impl Progress {
    /// Bars on a terminal; indicatif itself draws none elsewhere.
    pub fn on_terminal() -> Self {
        Self { shown: true }
    }

    /// No bars at all.
    pub fn hidden() -> Self {
        Self { shown: false }
    }

    /// `reader` with a bar that follows its bytes.
    pub fn reading<R: Read + 'static>(
        &self,
        path: &Path,
        bytes: u64,
        reader: R,
    ) -> impl Read + use<R> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.bar(bytes, &format!("reading {name}")).wrap_read(reader)
    }

    /// A bar over `length` requests.
    pub fn bar(&self, length: u64, what: &str) -> ProgressBar {
        if !self.shown {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}") {
            bar.set_style(style);
        }
        bar.set_message(what.to_string());
        bar
    }
}
