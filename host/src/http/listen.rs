//! Connections: taken, limited, and ended in good order.
//!
//! Owns the limits that come before any request is whole. Callers rely on this: after SIGTERM or SIGINT no request is
//! begun, those that run are finished, and those that wait are answered at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::App;

/// Connections at once. Each may be a worker that waits.
const CONNECTIONS: usize = 4_096;
/// How long a connection may take to send the head of a request, its idle time included.
const HEAD: Duration = Duration::from_secs(60);
const HEADERS: usize = 64;
const HEADERS_BYTES: usize = 32 << 10;
/// How long requests may go on after the service was told to stop.
const GOODBYE: Duration = Duration::from_secs(20);
/// How often the files under the access tokens are looked at while nobody asks.
const LOOK_AT_FILES: Duration = Duration::from_secs(1);

/// Serves until the process is told to stop, or a thread has `ended` that requests need.
pub async fn until_told(
    listener: TcpListener,
    router: Router,
    app: &App,
    ended: &Notify,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut look = tokio::time::interval(LOOK_AT_FILES);
    loop {
        tokio::select! {
            accepted = accept(&listener, &places) => match accepted {
                Ok((stream, from, place)) => {
                    let connection = graceful.watch(connection(stream, from, router.clone()));
                    connections.spawn(async move {
                        // Whoever went away in the middle is nobody's error.
                        let _ = connection.await;
                        drop(place);
                    });
                }
                // Too many open files, for example: they will be closed.
                Err(error) => {
                    tracing::warn!("a connection was not taken: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            // Those that have ended are forgotten.
            Some(_) = connections.join_next() => {}
            _ = look.tick() => app.access.let_go_of_moved_files(),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = ended.notified() => break,
        }
    }
    drop(listener);
    tracing::info!("stopping: no more requests, and nobody waits for a job any more");
    app.stopping.send_replace(true);
    if tokio::time::timeout(GOODBYE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests were cut off after {} s", GOODBYE.as_secs());
    }
    // Whoever does not read its answer would keep the service for ever.
    connections.shutdown().await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, from) = listener.accept().await?;
    // Answers are small, and somebody waits for each.
    stream.set_nodelay(true)?;
    Ok((stream, from, place))
}

fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(from));
        router.clone().oneshot(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEADERS)
        .max_buf_size(HEADERS_BYTES)
        .serve_connection(TokioIo::new(stream), service)
}
