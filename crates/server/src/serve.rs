//! Connections: how many, how long each may take to say what it wants, and the end of all.

use crate::cache;
use crate::guests::{Guest, Lobby};
use crate::keeper;
use crate::router;
use crate::state::State;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;

/// What connections may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at one time. For a further one the oldest makes way that has shown no token; if
    /// all have, it waits.
    pub connections_max: usize,
    /// Time to send the head of a request.
    pub head_within: Duration,
    /// Time in which some of an answer has to be taken.
    pub taken_within: Duration,
    /// Time that open requests have once the end has been asked for.
    pub drain_within: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            head_within: Duration::from_secs(10),
            taken_within: Duration::from_secs(10),
            drain_within: Duration::from_secs(10),
        }
    }
}

/// Largest head that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What the machine keeps of answers that a client does not take; it doubles it.
const UNTAKEN_BYTES_MAX: usize = 64 * 1024;

/// How far the end has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    /// Open requests are answered, and no others.
    Draining,
    /// Nobody is answered any more.
    Over,
}

/// Pause after an error of `accept`, which is of the machine: no descriptors are left, say.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves until `end`, then lets open requests finish within their time. Leases end on time
/// meanwhile.
///
/// # Errors
///
/// That nobody ends leases any more, which is a bug. What goes wrong with a connection ends that
/// connection.
pub async fn serve(
    listener: TcpListener,
    state: Arc<State>,
    bounds: Bounds,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut keeper = tokio::spawn(keeper::keep(Arc::downgrade(&state), state.sooner.clone()));
    let watch = tokio::spawn(cache::watch(Arc::downgrade(&state)));
    let permits = Arc::new(Semaphore::new(bounds.connections_max));
    let lobby = Arc::new(Lobby::default());
    let (stage, staged) = watch::channel(Stage::Open);
    let service = router(&state);
    let mut end = pin!(end);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &permits, &lobby) => accepted,
            () = &mut end => break,
            _ = &mut keeper => return Err(io::Error::other("who ends leases has ended itself")),
        };
        let Some((stream, permit)) = accepted else { continue };
        let (guest, service) = (lobby.enter(), service.clone());
        let connection = connection(stream, service, guest.clone(), bounds, staged.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection => {}
                () = guest.leaves() => {}
            }
            drop(permit);
        });
    }
    drop(listener);
    let _ = stage.send(Stage::Draining);
    // Who listens would not end by itself.
    state.events.end();
    state.watch.end();
    let all = u32::try_from(bounds.connections_max).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(bounds.drain_within, permits.acquire_many(all)).await;
    let _ = stage.send(Stage::Over);
    keeper.abort();
    watch.abort();
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    lobby: &Lobby,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let Ok((stream, _)) = listener.accept().await else {
        tokio::time::sleep(ACCEPT_AGAIN).await;
        return None;
    };
    if let Ok(permit) = permits.clone().try_acquire_owned() {
        return Some((stream, permit));
    }
    lobby.make_room();
    let permit = permits.clone().acquire_owned().await.ok()?;
    Some((stream, permit))
}

async fn connection(
    stream: TcpStream,
    service: axum::Router,
    guest: Arc<Guest>,
    bounds: Bounds,
    mut staged: watch::Receiver<Stage>,
) {
    // Small answers, each of which somebody waits for.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_send_buffer_size(UNTAKEN_BYTES_MAX);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(bounds.head_within);
    http.max_buf_size(HEAD_BYTES_MAX);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(bounds.taken_within));
    let stream = Box::pin(stream);
    let service = service.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(guest.clone());
        request
    });
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // The other side has gone, or said what nobody understands: nothing is owed to it.
        _ = connection.as_mut() => return,
        _ = staged.wait_for(|stage| *stage >= Stage::Draining) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        _ = staged.wait_for(|stage| *stage >= Stage::Over) => {}
    }
}
