//! Server-sent events: each says that something has changed, so that the client looks again.
//!
//! Owns the flow of the stream: its first bytes are sent at once, it is never silent for long, and
//! its headers ask proxies not to buffer it. Callers rely on this: it ends when its token is
//! revoked or the service stops.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CACHE_CONTROL;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Sse};

use crate::http::app::App;
use crate::http::transport::access::Viewer;

/// The shortest time between two events.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest silence. Proxies drop a silent stream after 30 or 60 s.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Neither cached nor compressed: both would hold events back until there are many.
const UNCHANGED: &str = "no-cache, no-transform";
/// nginx buffers an answer until a page of memory is full, unless this header says `no`.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An event `change` at the start and whenever anything in the queue has changed
#[utoipa::path(
    get, path = "/v1/events", tag = "queue", security(("token" = ["reader"])),
    responses(
        (
            status = 200, body = String, content_type = "text/event-stream",
            description = "The stream; its data is a number that grows"
        ),
    )
)]
pub async fn events(State(app): State<App>, Viewer(caller): Viewer) -> impl IntoResponse {
    let mut shutdown = app.shutdown.clone();
    let stream = async_stream::stream! {
        // The reader may be busy with a long queue.
        yield Ok::<_, Infallible>(Event::default().comment("changes follow"));
        let Ok(mut changes) = app.reader.run(|reader| reader.follow()).await else { return };
        changes.mark_changed();
        let revoked = app.access.revoked(caller.key);
        tokio::pin!(revoked);
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = shutdown.cancelled() => return,
                () = &mut revoked => return,
            }
            let count = *changes.borrow_and_update();
            yield Ok(Event::default().event("change").data(count.to_string()));
            tokio::time::sleep(PAUSE).await;
        }
    };
    let headers = [(CACHE_CONTROL, UNCHANGED), (BUFFERING, "no")];
    let heartbeat = KeepAlive::new().interval(HEARTBEAT);
    (headers, Sse::new(stream).keep_alive(heartbeat))
}
