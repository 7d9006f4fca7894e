//! Connections that have shown no token yet. When all places are taken and somebody new comes, the
//! one of them that came first makes way: whoever has no token cannot keep out those who have one
//! by sitting there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;

/// Those that have shown none, in the order in which they came.
#[derive(Debug, Default)]
pub struct Lobby {
    strangers: Mutex<Strangers>,
}

#[derive(Debug, Default)]
struct Strangers {
    came: u64,
    leave: BTreeMap<u64, Arc<Notify>>,
}

/// One connection.
#[derive(Debug)]
pub struct Guest {
    lobby: Arc<Lobby>,
    number: u64,
    leave: Arc<Notify>,
    known: OnceLock<()>,
}

impl Lobby {
    /// Somebody has come.
    pub fn enter(self: &Arc<Self>) -> Arc<Guest> {
        let leave = Arc::new(Notify::new());
        let mut strangers = self.strangers();
        strangers.came += 1;
        let number = strangers.came;
        strangers.leave.insert(number, leave.clone());
        drop(strangers);
        Arc::new(Guest { lobby: self.clone(), number, leave, known: OnceLock::new() })
    }

    /// Asks the stranger that came first to leave, if there is one.
    pub fn make_room(&self) {
        if let Some((_, leave)) = self.strangers().leave.pop_first() {
            leave.notify_one();
        }
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guest {
    /// It has shown a token: it may stay.
    pub fn is_known_now(&self) {
        if self.known.set(()).is_ok() {
            self.lobby.strangers().leave.remove(&self.number);
        }
    }

    /// Ready when it is to make way. Who was asked and has shown a token meanwhile stays.
    pub async fn leaves(&self) {
        loop {
            self.leave.notified().await;
            // One that shows its token at this moment may be let go, as if it had broken off.
            if self.known.get().is_none() {
                return;
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.lobby.strangers().leave.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_stranger_makes_way_and_who_is_known_stays() {
        let lobby = Arc::new(Lobby::default());
        let [known, first, second] = [0; 3].map(|_| lobby.enter());
        known.is_known_now();
        lobby.make_room();
        first.leaves().await;
        drop(second);
        lobby.make_room();
        assert!(lobby.strangers().leave.is_empty());
        known.leave.notify_one();
        let left = tokio::time::timeout(std::time::Duration::from_millis(20), known.leaves());
        assert!(left.await.is_err());
    }
}
