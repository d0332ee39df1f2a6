//! Server-sent events: that something has changed, for those who then look again.
//!
//! Owns that the stream flows: its first bytes come at once, it is never silent for long, and
//! proxies are asked to keep none of it back. Callers rely on this: it ends when its token is
//! revoked, or the service stops.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CACHE_CONTROL;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Sse};

use crate::http::app::App;
use crate::http::transport::access::Viewer;

/// A follower is told at most this often.
const PAUSE: Duration = Duration::from_millis(250);
/// How long nothing may come. Proxies take a stream for dead after 30 or 60 s.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Neither kept nor compressed: both would hold events back until there are many.
const UNCHANGED: &str = "no-cache, no-transform";
/// nginx keeps answers back until it has a page of memory full, but not those that say so.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An event `change` at the start and whenever anything in the queue has changed
#[utoipa::path(
    get, path = "/events", tag = "queue", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "The stream; its data is a number that grows", body = String, content_type = "text/event-stream"),
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
