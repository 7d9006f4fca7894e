//! The file of keys, read again when SIGHUP comes: a key is put in front, or taken out, while the
//! server runs. What cannot be read leaves the keys as they are.

use std::path::{Path, PathBuf};
use std::sync::Weak;

use allotment_server::State;

use crate::token::read_keys;

/// Goes on until the server is gone; never reads where there is no such signal. Called within a
/// runtime.
pub fn follow(state: Weak<State>, path: PathBuf, audience: String) -> impl Future<Output = ()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // Now, and not when the future is polled for the first time.
        let hangups = signal(SignalKind::hangup());
        async move {
            let Ok(mut hangups) = hangups else { return };
            while hangups.recv().await.is_some() {
                let Some(state) = state.upgrade() else { return };
                let (path, audience) = (path.clone(), audience.clone());
                // A pipe in its place would be waited for.
                let read = tokio::task::spawn_blocking(move || take(&state, &path, &audience));
                drop(read);
            }
        }
    }
    #[cfg(not(unix))]
    {
        let _ = (state, path, audience);
        std::future::ready(())
    }
}

#[cfg(unix)]
fn take(state: &State, path: &Path, audience: &str) {
    match read_keys(path, audience) {
        Ok(keys) => {
            state.door.set_keys(Some(keys));
            eprintln!("allot: the keys of {} are in force", path.display());
        }
        Err(error) => eprintln!("allot: the keys stay as they were: {error}"),
    }
}
