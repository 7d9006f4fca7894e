//! Listeners to the stream of events: many that read all they get, or one that never reads.

use super::client::head;
use super::{Failure, Place};
use std::fmt;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[expect(clippy::disallowed_types, reason = "counts of a load, no part of the core's models")]
type Count = std::sync::atomic::AtomicU64;
#[expect(clippy::disallowed_types, reason = "a switch of a load, no part of the core's models")]
type Switch = std::sync::atomic::AtomicBool;

/// Longest wait until all listen.
const CONNECTED_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for a client that is to be cut off.
const CUT_WITHIN: Duration = Duration::from_secs(30);
const READ_BYTES: usize = 16 * 1024;

/// Listeners on a thread of their own, until they are ended.
pub struct Listeners {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), String>>,
}

#[derive(Default)]
struct Shared {
    listening: Count,
    bytes: Count,
    end: Switch,
}

/// What they heard.
pub struct Heard {
    listeners: u64,
    bytes: u64,
}

impl Listeners {
    /// Comes back once all of them listen.
    pub fn new(place: &Place, count: usize) -> Result<Self, Failure> {
        let shared = Arc::new(Shared::default());
        let (place, theirs) = (place.clone(), shared.clone());
        let thread = std::thread::spawn(move || {
            let runtime = super::runtime().map_err(|error| error.to_string())?;
            runtime.block_on(all(&place, count, &theirs)).map_err(|error| error.to_string())
        });
        let begin = Instant::now();
        // Relaxed: a count.
        while shared.listening.load(Ordering::Relaxed) < count as u64 {
            if thread.is_finished() || begin.elapsed() > CONNECTED_WITHIN {
                return Err(format!("not all of {count} listen").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { shared, thread })
    }

    pub fn end(self) -> Result<Heard, Failure> {
        // Relaxed: only that it is seen some time counts.
        self.shared.end.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "the listeners have panicked")??;
        let load = |count: &Count| count.load(Ordering::Relaxed);
        let (listeners, bytes) = (load(&self.shared.listening), load(&self.shared.bytes));
        Ok(Heard { listeners, bytes })
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.bytes / self.listeners.max(1) / 1024;
        write!(f, "{} listen and heard {each} KiB each", self.listeners)
    }
}

async fn all(place: &Place, count: usize, shared: &Arc<Shared>) -> Result<(), Failure> {
    let mut tasks = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(place.address).await?;
        let head = head("GET", "/v1/events", &place.token, "");
        stream.write_all(head.as_bytes()).await?;
        let shared = shared.clone();
        tasks.push(tokio::spawn(async move {
            let mut buffer = vec![0; READ_BYTES];
            let mut first = true;
            while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                // Relaxed: counts.
                shared.listening.fetch_add(u64::from(first), Ordering::Relaxed);
                shared.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                first = false;
            }
        }));
    }
    while !shared.end.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    Ok(())
}

/// A client that has asked for events and never reads.
pub struct Deaf(std::net::TcpStream);

pub fn deaf(place: &Place) -> Result<Deaf, Failure> {
    let mut stream = std::net::TcpStream::connect(place.address)?;
    stream.write_all(head("GET", "/v1/events", &place.token, "").as_bytes())?;
    Ok(Deaf(stream))
}

impl Deaf {
    /// Whether the server has ended the connection: reads what was sent before.
    pub fn was_cut(mut self) -> Result<bool, Failure> {
        self.0.set_read_timeout(Some(Duration::from_secs(1)))?;
        let begin = Instant::now();
        let mut buffer = vec![0; READ_BYTES];
        while begin.elapsed() < CUT_WITHIN {
            match self.0.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return Ok(true);
                }
                Err(_) => return Ok(false),
            }
        }
        Ok(false)
    }
}
