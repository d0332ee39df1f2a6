//! One try to send an alert, to the chat's new id if the chat has moved.
//!
//! Owns what is stored about a move. Callers rely on this: no transaction is open during a request,
//! and a move that could not be stored is found again with the next alert.

use std::time::Duration;

use jiff::Timestamp;
use ureq::Agent;

use super::{Channel, Failure};
use crate::error::with_causes;
use crate::store::{Alert, Store};

pub(super) fn send(
    store: &mut Store,
    channel: &Channel,
    (agent, timeout): (&Agent, Duration),
    now: Timestamp,
    alert: &Alert,
) -> Result<(), Failure> {
    let Some(chat) = channel.chat() else {
        return channel.send(agent, timeout, now, alert, None).result;
    };
    let name = channel.name();
    let known = store.moved_chat(name, chat).unwrap_or_else(|error| {
        tracing::warn!(
            "cannot read whether the chat has moved: {}",
            with_causes(&error)
        );
        None
    });
    let sent = channel.send(agent, timeout, now, alert, known.as_deref());
    if sent.moved_to.as_deref() == Some(chat) {
        // The chat has its configured id again.
        if let Err(error) = store.chat_is_back(name, chat) {
            tracing::warn!("cannot forget the chat's other id: {}", with_causes(&error));
        }
    } else if let Some(to) = sent.moved_to {
        let (from, shown) = (chat.escape_debug(), to.escape_debug());
        tracing::warn!(
            "the chat `{from}` has moved to `{shown}`, and alerts follow it: write \
             `chat = \"{shown}\"` in `[alerts.{name}]`, or set `SERIAL_GATE_TELEGRAM_CHAT`"
        );
        if let Err(error) = store.chat_has_moved(name, chat, &to) {
            tracing::warn!("cannot store the move: {}", with_causes(&error));
        }
    }
    sent.result
}
