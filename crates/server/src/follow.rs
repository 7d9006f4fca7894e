//! The configuration file, looked at once a second and when SIGHUP comes.
//!
//! The text is compared, not the time of the file: clocks are set back, and an editor that writes
//! another file and renames it, a link that is turned to another folder and a file that is written
//! in place all come to the same. A text that differs is applied once it was the same at two looks,
//! so that one that is being written is not; a signal does not wait. What cannot be read or is
//! refused is told once, and leaves everything as it is.

use crate::config::{Applied, Source};
use crate::state::State;
use allotment_config::read_file;
use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::Duration;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What came of a file that has changed, or of a signal.
#[derive(Debug)]
pub enum Told {
    /// It is applied.
    Applied(Applied),
    /// It is not, and why.
    Refused(String),
}

/// Ready each time SIGHUP comes; never where there is no such signal.
struct Hangups {
    #[cfg(unix)]
    signals: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            signals: {
                use tokio::signal::unix::{SignalKind, signal};
                signal(SignalKind::hangup()).ok()
            },
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signals) = &mut self.signals
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

/// What was read at a look: the text, or why there is none.
type Read = Result<String, String>;

/// Goes on until the server is gone. `path` is the file, if there is one; `begun_with` the text
/// that the server was started with. SIGHUP ends the process no more once this has returned; called
/// within a runtime.
pub fn follow(
    state: Weak<State>,
    path: Option<PathBuf>,
    begun_with: String,
    tell: impl Fn(Told) + Send,
) -> impl Future<Output = ()> {
    // Now, and not when the future is polled for the first time.
    let hangups = Hangups::new();
    look_again(hangups, state, path, begun_with, tell)
}

async fn look_again(
    mut hangups: Hangups,
    state: Weak<State>,
    path: Option<PathBuf>,
    begun_with: String,
    tell: impl Fn(Told) + Send,
) {
    let mut settled: Read = Ok(begun_with);
    let mut before: Option<Read> = None;
    loop {
        let at_once = tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => false,
            () = hangups.next() => true,
        };
        let Some(state) = state.upgrade() else { return };
        let found = match &path {
            Some(path) => read(path).await,
            None if at_once => Ok(String::new()),
            None => continue,
        };
        let is_new = found != settled && before.as_ref() == Some(&found);
        if at_once || is_new {
            tell(take(&state, path.as_deref(), &found).await);
            settled = found;
            before = None;
        } else {
            before = Some(found);
        }
    }
}

async fn read(path: &Path) -> Read {
    let path = path.to_path_buf();
    let read = tokio::task::spawn_blocking(move || {
        // A pipe in its place would be waited for.
        let is_file = std::fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if !is_file && path.exists() {
            let path = path.display();
            return Err(format!("{path}: the configuration cannot be read: it is no file"));
        }
        read_file(&path).map_err(|error| error.to_string())
    });
    read.await.unwrap_or_else(|error| Err(error.to_string()))
}

async fn take(state: &State, path: Option<&Path>, found: &Read) -> Told {
    let refuse = |why: String| {
        state.configured.note_unread(&why);
        Told::Refused(why)
    };
    let text = match found {
        Ok(text) => text,
        Err(error) => return refuse(error.clone()),
    };
    let tenants = state.configured.effective().setup.tenants.len();
    if let Some(path) = path.filter(|_| text.trim().is_empty() && tenants > 0) {
        // Somebody's disk was full, more likely than that all tenants are to go.
        let path = path.display();
        return refuse(format!(
            "{path}: the file is empty, and {tenants} tenants would leave; write a comment if that \
             is meant"
        ));
    }
    let source = match path {
        Some(path) => Source::File(path.to_path_buf(), text.clone()),
        None => Source::Again,
    };
    match state.configure(source).await {
        Ok(applied) => Told::Applied(applied),
        Err(refused) => Told::Refused(refused.to_string()),
    }
}
