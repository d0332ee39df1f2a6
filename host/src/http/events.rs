//! Server-sent events: that something has changed, for those who then look again.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use tokio_stream::Stream;

use super::App;
use super::problem::Problem;

/// Whoever follows is told at most this often.
const PAUSE: Duration = Duration::from_millis(250);

/// An event `change` at the start and whenever anything in the queue has changed
#[utoipa::path(
    get, path = "/events", tag = "queue", security(("token" = ["reader"])),
    responses(
        (status = 200, description = "The stream; its data is a number that grows", body = String, content_type = "text/event-stream"),
    )
)]
pub async fn events(
    State(app): State<App>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let mut changes = app.reader.run(|reader| reader.follow()).await?;
    changes.mark_changed();
    let mut stopping = app.stopping.subscribe();
    let stream = async_stream::stream! {
        loop {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            let count = *changes.borrow_and_update();
            yield Ok(Event::default().event("change").data(count.to_string()));
            tokio::time::sleep(PAUSE).await;
        }
    };
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}
