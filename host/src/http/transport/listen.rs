//! Connections: accepted, served, and shut down in order.
//!
//! Owns the limits on the head of a request, and the shutdown. Leaves the places to `connections`,
//! and the deadlines of slow clients to `peer`. Callers rely on this: after SIGTERM or SIGINT no
//! request is begun, running ones are finished, and waiting ones are answered at once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower::ServiceExt;

use super::answers::Answers;
use super::connections::{Connections, Entry, Full};
use super::problem::Problem;
use super::shutdown::Trigger;
use super::socket::{Answer, Socket};

/// The paths that a connection without a place may ask for.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];
const HEADERS: usize = 64;
const HEADERS_BYTES: usize = 32 << 10;
/// How long requests may go on after SIGTERM or SIGINT.
const GOODBYE: Duration = Duration::from_secs(20);
/// How often to look for connections that have been slow for too long.
const SWEEP: Duration = Duration::from_millis(250);

pub struct Listening {
    pub listener: TcpListener,
    pub connections: Arc<Connections>,
    pub answers: Arc<Answers>,
    pub trigger: Trigger,
}

/// Serves until SIGTERM or SIGINT, or until a thread that requests need has `ended`.
pub async fn serve(listening: Listening, router: Router, ended: &Notify) -> io::Result<()> {
    let Listening {
        listener,
        connections: places,
        answers,
        trigger,
    } = listening;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        tokio::select! {
            accepted = accept(&listener, &places) => match accepted {
                Ok((stream, from)) => match places.add(from) {
                    Ok(entry) => {
                        let peer = Arc::clone(&entry.peer);
                        let connection = connection(stream, router.clone(), entry);
                        let connection = graceful.watch(connection);
                        connections.spawn(async move {
                            tokio::select! {
                                // A client that goes away in the middle is not our error.
                                _ = connection => {}
                                () = peer.asked_to_end() => {}
                            }
                        });
                    }
                    Err(full) => refuse(&stream, full),
                },
                // Too many open files, for example: other parts of the process may have taken more
                // than usual.
                Err(error) => {
                    tracing::warn!("a connection was not accepted: {error}");
                    places.give_way();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            // Collects the connections that have ended.
            Some(_) = connections.join_next() => {}
            _ = sweep.tick() => places.sweep(answers.are_many()),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = ended.notified() => break,
        }
    }
    drop(listener);
    tracing::info!("stopping: no new requests, and waiting claims are answered");
    trigger.cancel();
    if tokio::time::timeout(GOODBYE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests were cut off after {} s", GOODBYE.as_secs());
    }
    // A client that does not read its answer would keep the service running for ever.
    connections.shutdown().await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    connections: &Connections,
) -> io::Result<(TcpStream, SocketAddr)> {
    connections.room().await;
    let (stream, from) = listener.accept().await?;
    // Answers are small, and clients wait for each.
    stream.set_nodelay(true)?;
    Ok((stream, from))
}

/// Answers why a connection is refused, if this can be written without waiting.
fn refuse(stream: &TcpStream, full: Full) {
    let text = format!("{full}\n");
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
         content-type: text/plain\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    );
    let _ = stream.try_write(answer.as_bytes());
}

fn connection(
    stream: TcpStream,
    router: Router,
    entry: Entry,
) -> impl hyper_util::server::graceful::GracefulConnection {
    let peer = Arc::clone(&entry.peer);
    let socket = Socket {
        stream,
        peer: Arc::clone(&peer),
    };
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        peer.is_served();
        let has_place = entry.has_place() || PROBES.contains(&request.uri().path());
        let peer = Arc::clone(&peer);
        let router = router.clone();
        async move {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(Arc::clone(&peer));
            let response = match has_place {
                true => router.oneshot(request).await?,
                false => no_place(),
            };
            Ok::<_, std::convert::Infallible>(response.map(|body| Answer { body, peer }))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        // `peer` has this deadline, which begins with the first byte.
        .header_read_timeout(None)
        .max_headers(HEADERS)
        .max_buf_size(HEADERS_BYTES)
        .serve_connection(TokioIo::new(socket), service)
}

fn no_place() -> axum::response::Response {
    let problem = Problem::later(
        StatusCode::SERVICE_UNAVAILABLE,
        "all connections are in use: end some, or try again in a second",
        1,
    );
    ([(CONNECTION, HeaderValue::from_static("close"))], problem).into_response()
}
